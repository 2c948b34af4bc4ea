//! What stands in firewall rules.

use super::{names, net};

/// `+ipset`, `alias`, `dc/alias`; addresses, networks and ranges; many between commas.
pub(super) fn addresses(value: &str) -> bool {
    if let Some(set) = value.strip_prefix('+') {
        return alias(set) || sdn_set(set);
    }
    if alias(value) {
        return true;
    }
    !value.is_empty()
        && value.split(',').map(str::trim).all(|part| match part.split_once('-') {
            Some((first, last)) => (net::ip4(first) && net::ip4(last)) || (net::ip6(first) && net::ip6(last)),
            None => net::ip(part) || net::full_range_cidr(part),
        })
}

/// The name of an alias or an IP set, with where it is declared.
pub(super) fn alias(value: &str) -> bool {
    let name = value.strip_prefix("dc/").or_else(|| value.strip_prefix("guest/")).unwrap_or(value);
    names::of(name, 2, "-_") && name.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// `sdn/zone-all`.
fn sdn_set(value: &str) -> bool {
    value.strip_prefix("sdn/").is_some_and(|name| names::of(name, 2, "-_."))
}

/// `80`, `8000:8100`, `https`; many between commas.
pub(super) fn ports(value: &str) -> bool {
    !value.is_empty()
        && value.split(',').map(str::trim).all(|part| match part.split_once(':') {
            Some((first, last)) => {
                matches!((port(first), port(last)), (Some(first), Some(last)) if first <= last)
            }
            None => port(part).is_some() || service(part),
        })
}

fn port(text: &str) -> Option<u16> {
    net::number(text, 5)
}

/// A name as /etc/services has them.
fn service(value: &str) -> bool {
    names::of(value, 2, "-_+.") && value.bytes().any(|byte| byte.is_ascii_alphabetic())
}

pub(super) fn protocol(value: &str) -> bool {
    net::number::<u8>(value, 3).is_some() || (service(value) || value.eq_ignore_ascii_case("l2tp"))
}

/// `any`, `8`, `3/1`, `echo-request`.
pub(super) fn icmp_type(value: &str) -> bool {
    let (kind, code) = value.split_once('/').unwrap_or((value, "0"));
    let is_number = |text| net::number::<u8>(text, 3).is_some();
    (is_number(kind) && is_number(code)) || service(value)
}

pub(super) fn helper(value: &str) -> bool {
    matches!(value, "amanda" | "ftp" | "irc" | "netbios-ns" | "pptp" | "sane" | "sip" | "snmp" | "tftp")
}
