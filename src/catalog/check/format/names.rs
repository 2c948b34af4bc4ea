//! Names and ids, as PVE lets them be.

use super::{list, net};

/// At least so many letters, digits and characters of `others`.
pub(super) fn of(value: &str, least: usize, others: &str) -> bool {
    value.len() >= least && value.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

fn starts_alphabetic(value: &str) -> bool {
    value.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn starts_alphanumeric(value: &str) -> bool {
    value.starts_with(|c: char| c.is_ascii_alphanumeric())
}

fn ends_alphanumeric(value: &str) -> bool {
    value.ends_with(|c: char| c.is_ascii_alphanumeric())
}

/// Anything without a space in it.
pub(super) fn word(value: &str) -> bool {
    !value.is_empty() && !value.chars().any(|c| c.is_whitespace() || c.is_control())
}

pub(super) fn node(value: &str) -> bool {
    of(value, 1, "-") && starts_alphanumeric(value) && ends_alphanumeric(value)
}

/// `pve1`, `pve1:2`.
pub(super) fn node_with_priority(value: &str) -> bool {
    match value.split_once(':') {
        Some((name, priority)) => node(name) && net::number::<u32>(priority, 4).is_some(),
        None => node(value),
    }
}

pub(super) fn vmid(value: &str) -> bool {
    net::number(value, 9).is_some_and(|id: u32| id >= 100) && !value.starts_with('0')
}

pub(super) fn configid(value: &str) -> bool {
    of(value, 2, "-_") && starts_alphabetic(value)
}

pub(super) fn bridge(value: &str) -> bool {
    !value.is_empty() && value.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c))
}

pub(super) fn iface(value: &str) -> bool {
    of(value, 2, "_.:-") && value.len() <= 32 && starts_alphanumeric(value)
}

/// Of groups and roles.
pub(super) fn account(value: &str) -> bool {
    of(value, 1, ".-_")
}

pub(super) fn realm(value: &str) -> bool {
    of(value, 2, ".-_") && starts_alphabetic(value) && value.len() <= 32
}

pub(super) fn userid(value: &str) -> bool {
    let name = |name: &str| word(name) && !name.contains([':', '/']);
    value.len() <= 64 && value.rsplit_once('@').is_some_and(|(user, of)| name(user) && realm(of))
}

/// `root@pam!agent`.
pub(super) fn tokenid(value: &str) -> bool {
    value
        .rsplit_once('!')
        .is_some_and(|(user, token)| userid(user) && of(token, 2, ".-_") && starts_alphabetic(token))
}

/// `dev`, `dev/web/test`.
pub(super) fn pool(value: &str) -> bool {
    value.split('/').count() <= 3 && value.split('/').all(account)
}

pub(super) fn email(value: &str) -> bool {
    value.split_once('@').is_some_and(|(user, host)| {
        let user = user
            .split('.')
            .all(|part| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || "_+-~".contains(c)));
        user && host.split('.').all(|label| of(label, 1, "-"))
    })
}

pub(super) fn tag(value: &str) -> bool {
    of(value, 1, "_-+.") && value.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
}

/// `105-0`.
pub(super) fn replication_job(value: &str) -> bool {
    value.split_once('-').is_some_and(|(guest, job)| vmid(guest) && net::number::<u64>(job, 9).is_some())
}

/// `vm:105`.
pub(super) fn ha_resource(value: &str) -> bool {
    value.split_once(':').is_some_and(|(kind, name)| {
        !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_lowercase()) && of(name, 1, "-_.")
    })
}

/// `old:new`, one name for both, or `1` for each to itself.
pub(super) fn pair(value: &str, name: fn(&str) -> bool) -> bool {
    match value.split_once(':') {
        Some((from, to)) => name(from) && name(to),
        None => value == "1" || name(value),
    }
}

/// `0`, `1`, or some of what can be plugged.
pub(super) fn hotplug(value: &str) -> bool {
    matches!(value, "0" | "1")
        || list(value).all(|part| matches!(part, "network" | "disk" | "cpu" | "memory" | "usb" | "cloudinit"))
}

/// `0-3,8`.
pub(super) fn cpuset(value: &str) -> bool {
    value.split(',').all(|part| {
        let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), "0"));
        net::number::<u32>(first, 5).is_some() && net::number::<u32>(last, 5).is_some()
    })
}

pub(super) fn timezone(value: &str) -> bool {
    of(value, 1, "_+-/") && !value.starts_with('/') && !value.contains("//")
}

/// At most so many blocks of PEM, and at least one.
pub(super) fn pem(value: &str, most: usize) -> bool {
    let begins = value.matches("-----BEGIN ").count();
    begins >= 1 && begins <= most && begins == value.matches("-----END ").count()
}

pub(super) fn json_array(value: &str) -> bool {
    serde_json::from_str::<Vec<serde::de::IgnoredAny>>(value).is_ok()
}

pub(super) fn urlencoded(value: &str) -> bool {
    of(value, 0, "%-_.!~*'()+")
}

/// Names in SDN, short since interfaces are named after them.
pub(super) fn sdn(value: &str) -> bool {
    of(value, 2, "") && starts_alphabetic(value)
}

pub(super) fn controller(value: &str) -> bool {
    of(value, 2, "-_") && starts_alphabetic(value) && ends_alphanumeric(value)
}

pub(super) fn fabric(value: &str) -> bool {
    of(value, 2, "-") && value.len() <= 8 && starts_alphanumeric(value) && ends_alphanumeric(value)
}

/// `zone-10.0.0.0-24`.
pub(super) fn subnet(value: &str) -> bool {
    of(value, 3, ".:-/")
}

/// `65000:100`, `10.0.0.1:100`.
pub(super) fn route_target(value: &str) -> bool {
    value.split_once(':').is_some_and(|(left, right)| {
        (net::ip4(left) || net::number::<u32>(left, 10).is_some()) && net::number::<u32>(right, 10).is_some()
    })
}

/// `47.0023.0000.0000.0000.0000.0000.0000.1900.0004.00`.
pub(super) fn isis_net(value: &str) -> bool {
    let parts: Vec<&str> = value.split('.').collect();
    let hex = |part: &str, digits| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    match parts[..] {
        [first, ref middle @ .., last] => {
            hex(first, 2)
                && hex(last, 2)
                && (3..=9).contains(&middle.len())
                && middle.iter().all(|part| hex(part, 4))
        }
        _ => false,
    }
}
