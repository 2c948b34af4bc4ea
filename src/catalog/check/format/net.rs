//! Addresses, networks and names of hosts.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::names;

pub(super) fn ip4(value: &str) -> bool {
    value.parse::<Ipv4Addr>().is_ok()
}

pub(super) fn ip6(value: &str) -> bool {
    value.parse::<Ipv6Addr>().is_ok()
}

pub(super) fn ip(value: &str) -> bool {
    ip4(value) || ip6(value)
}

pub(super) fn cidr4(value: &str) -> bool {
    network(value, ip4, 8..=32)
}

pub(super) fn cidr6(value: &str) -> bool {
    network(value, ip6, 8..=128)
}

pub(super) fn cidr(value: &str) -> bool {
    cidr4(value) || cidr6(value)
}

pub(super) fn full_range_cidr(value: &str) -> bool {
    network(value, ip4, 0..=32) || network(value, ip6, 0..=128)
}

fn network(value: &str, address: fn(&str) -> bool, bits: std::ops::RangeInclusive<u8>) -> bool {
    value.split_once('/').is_some_and(|(ip, length)| {
        address(ip) && number(length, 3).is_some_and(|length| bits.contains(&length))
    })
}

/// Digits alone, at most so many.
pub(super) fn number<N: std::str::FromStr>(text: &str, digits: usize) -> Option<N> {
    let plain = !text.is_empty() && text.len() <= digits && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

pub(super) fn mask4(value: &str) -> bool {
    value.parse::<Ipv4Addr>().is_ok_and(|mask| {
        let bits = mask.to_bits();
        bits.leading_ones() + bits.trailing_zeros() == 32
    })
}

/// An address, or one of a link with the interface that it is on: `fe80::1%eth0`.
pub(super) fn ip_with_interface(value: &str) -> bool {
    match value.split_once('%') {
        Some((address, interface)) => address.starts_with("fe80:") && ip6(address) && names::iface(interface),
        None => ip(value),
    }
}

pub(super) fn mac(value: &str) -> bool {
    value.len() == 17 && hex_pairs(value) && is_unicast(value)
}

pub(super) fn mac_prefix(value: &str) -> bool {
    // The last pair may be half of one, or none.
    let (whole, half) = value.rsplit_once(':').filter(|(_, last)| last.len() < 2).unwrap_or((value, ""));
    matches!(whole.len(), 2 | 5 | 8)
        && hex_pairs(whole)
        && is_unicast(whole)
        && half.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn hex_pairs(value: &str) -> bool {
    value.split(':').all(|pair| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_unicast(value: &str) -> bool {
    value.get(..2).and_then(|pair| u8::from_str_radix(pair, 16).ok()).is_some_and(|byte| byte & 1 == 0)
}

pub(super) fn dns_name(value: &str) -> bool {
    // Of lengths PVE says nothing here.
    value.split('.').all(|label| inner(label, "-"))
}

/// Letters and digits at both ends, these between them too.
fn inner(value: &str, between: &str) -> bool {
    names::of(value, 1, between) && !value.starts_with(is_in(between)) && !value.ends_with(is_in(between))
}

fn is_in(set: &str) -> impl Fn(char) -> bool {
    move |c| set.contains(c)
}

pub(super) fn address(value: &str) -> bool {
    // A name it is, and Perl takes it for no.
    value != "0" && (ip(value) || dns_name(value))
}

/// A domain of two labels at least.
pub(super) fn acme_domain(value: &str) -> bool {
    alias_domain(value) && !value.split('.').any(|label| label.starts_with('_'))
}

/// As a domain, of which labels may begin with an underscore.
pub(super) fn alias_domain(value: &str) -> bool {
    value.contains('.') && value.split('.').all(|label| names::of(label, 1, "-_") && !label.starts_with('-'))
}

/// A host, with a port if need be.
pub(super) fn portal(value: &str) -> bool {
    let host = |text: &str| names::of(text, 1, "-.");
    if let Some((inside, after)) = value.strip_prefix('[').and_then(|value| value.split_once(']')) {
        return (ip6(inside) || host(inside))
            && (after.is_empty() || after.strip_prefix(':').is_some_and(names::digits));
    }
    // An IPv6 address has its port behind a dot.
    let dotted = |(address, port): (&str, &str)| ip6(address) && names::digits(port);
    if ip6(value) || value.rsplit_once('.').is_some_and(dotted) {
        return true;
    }
    match value.split_once(':') {
        Some((name, port)) => host(name) && names::digits(port),
        None => host(value),
    }
}

/// `10`, `10-20`.
pub(super) fn vlans(value: &str) -> bool {
    let vlan = |text: &str| number(text, 4).filter(|id: &u16| (2..=4094).contains(id));
    match value.split_once('-') {
        Some((first, last)) => matches!((vlan(first), vlan(last)), (Some(first), Some(last)) if first < last),
        None => vlan(value).is_some(),
    }
}
