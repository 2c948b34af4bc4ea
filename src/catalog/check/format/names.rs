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
        Some((name, priority)) => node(name) && digits(priority),
        None => node(value),
    }
}

pub(super) fn digits(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit())
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

/// `eno1`, `bond0.100`, `eno1:1`.
pub(super) fn iface(value: &str) -> bool {
    let (name, number) = value.split_once([':', '.']).unwrap_or((value, "0"));
    (2..=21).contains(&name.len()) && of(name, 2, "_") && starts_alphabetic(name) && digits(number)
}

/// Of groups and roles.
pub(super) fn account(value: &str) -> bool {
    of(value, 1, ".-_")
}

pub(super) fn realm(value: &str) -> bool {
    of(value, 2, ".-_") && starts_alphabetic(value)
}

pub(super) fn userid(value: &str) -> bool {
    value.chars().count() <= 64 && user_at_realm(value)
}

fn user_at_realm(value: &str) -> bool {
    let name = |name: &str| word(name) && !name.contains([':', '/']);
    value.rsplit_once('@').is_some_and(|(user, of)| name(user) && realm(of))
}

/// `root@pam!agent`. Of its length PVE says nothing.
pub(super) fn tokenid(value: &str) -> bool {
    value.rsplit_once('!').is_some_and(|(user, token)| user_at_realm(user) && realm(token))
}

/// `dev`, `dev/web/test`.
pub(super) fn pool(value: &str) -> bool {
    value.split('/').count() <= 3 && value.split('/').all(account)
}

pub(super) fn email(value: &str) -> bool {
    value
        .split_once('@')
        .is_some_and(|(user, host)| mail_user(user) && host.split('.').all(|label| of(label, 1, "-")))
}

/// What stands before the `@`: `root`, `a.b+c`.
pub(super) fn mail_user(value: &str) -> bool {
    value
        .split('.')
        .all(|part| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || "_+-~".contains(c)))
}

pub(super) fn tag(value: &str) -> bool {
    of(value, 1, "_-+.") && value.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
}

/// `105-0`.
pub(super) fn replication_job(value: &str) -> bool {
    value
        .split_once('-')
        .is_some_and(|(guest, job)| digits(guest) && guest.trim_start_matches('0').len() >= 3 && digits(job))
}

/// `vm:105`.
pub(super) fn ha_resource(value: &str) -> bool {
    value.split_once(':').is_some_and(|(kind, name)| {
        !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_lowercase()) && word(name)
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

/// `0-3,8`; none at all is a set too.
pub(super) fn cpuset(value: &str) -> bool {
    let value = value.trim_end_matches(',');
    let cpu = |text: &str| net::number::<u32>(text, 9);
    value.is_empty()
        || value.split(',').map(str::trim).all(|part| match part.split_once('-') {
            Some((first, last)) => {
                matches!((cpu(first), cpu(last)), (Some(first), Some(last)) if first <= last)
            }
            None => cpu(part).is_some(),
        })
}

/// The node's list of zones decides, which has each by its area and its place.
pub(super) fn timezone(value: &str) -> bool {
    let zone = |value: &str| {
        of(value, 1, "_+-/") && value.contains('/') && value.split('/').all(|part| !part.is_empty())
    };
    matches!(value, "host" | "UTC") || zone(value)
}

/// Commands of a batch: where each goes, and how.
pub(super) fn commands(value: &str) -> bool {
    use serde_json::Value;
    let command = |command: &Value| {
        let path = command.get("path").is_some_and(|it| it.is_string() || it.is_number());
        let method = command.get("method").and_then(Value::as_str);
        path && matches!(method, Some("GET" | "POST" | "PUT" | "DELETE"))
            && command.get("args").is_none_or(Value::is_object)
    };
    serde_json::from_str::<Vec<Value>>(value).is_ok_and(|commands| commands.iter().all(command))
}

pub(super) fn urlencoded(value: &str) -> bool {
    of(value, 0, "%-_.!~*'()")
}

/// Names in SDN, short since interfaces are named after them.
pub(super) fn sdn(value: &str) -> bool {
    of(value, 2, "") && starts_alphabetic(value)
}

pub(super) fn controller(value: &str) -> bool {
    of(value, 2, "-_") && starts_alphabetic(value) && ends_alphanumeric(value)
}

pub(super) fn fabric(value: &str) -> bool {
    // The pattern beside the format says more.
    of(value, 1, "-")
        && value.len() <= 8
        && starts_alphanumeric(value)
        && (value.len() < 8 || ends_alphanumeric(value))
}

/// `zone-10.0.0.0-24`, `10.0.0.0/24`.
pub(super) fn subnet(value: &str) -> bool {
    if value.contains('/') {
        return net::cidr(value);
    }
    let mut parts = value.split('-').skip(1);
    matches!((parts.next(), parts.next()), (Some(ip), Some(bits)) if net::cidr(&format!("{ip}/{bits}")))
}

/// `65000:100`.
pub(super) fn route_target(value: &str) -> bool {
    let number = |text: &str| net::number::<u32>(text, 10).is_some();
    value.split_once(':').is_some_and(|(left, right)| number(left) && number(right))
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
