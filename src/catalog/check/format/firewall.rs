//! What stands in firewall rules.

use super::{names, net};

/// `+ipset`, `alias`, `dc/alias`; addresses and networks of one version, many between commas; or one range of them.
pub(super) fn addresses(value: &str) -> bool {
    const LONGEST: usize = 64;
    if let Some(set) = value.strip_prefix('+') {
        return names::word(set) && set.chars().count() <= LONGEST;
    }
    if alias(value) {
        return value.len() <= LONGEST;
    }
    let parts = || value.split(',').map(str::trim);
    let range = |part: &str| {
        part.split_once('-').is_some_and(|(first, last)| {
            let (first, last) = (first.trim(), last.trim());
            (net::ip4(first) && net::ip4(last)) || (net::ip6(first) && net::ip6(last))
        })
    };
    value.is_empty() || range(value.trim()) || parts().all(network4) || parts().all(network6)
}

/// As Net::IP reads it: the last numbers of an address may be left out, `10.0/16`.
fn network4(value: &str) -> bool {
    let (address, bits) = value.split_once('/').unwrap_or((value, "32"));
    let numbers = || address.split('.').map(|number| net::number::<u8>(number, 3));
    numbers().count() <= 4
        && numbers().all(|number| number.is_some())
        && net::number::<u8>(bits, 3).is_some_and(|bits| bits <= 32)
}

fn network6(value: &str) -> bool {
    let (address, bits) = value.split_once('/').unwrap_or((value, "128"));
    net::ip6(address) && net::number::<u8>(bits, 3).is_some_and(|bits| bits <= 128)
}

/// The name of an alias or an IP set, with where it is declared.
pub(super) fn alias(value: &str) -> bool {
    let name = value.strip_prefix("dc/").or_else(|| value.strip_prefix("guest/")).unwrap_or(value);
    names::of(name, 2, "-_") && name.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// `80`, `8000:8100`, `https`; many between commas, with nothing beside them.
pub(super) fn ports(value: &str) -> bool {
    // What iptables takes in one rule: a range counts as two, a name as none.
    const MOST: usize = 15;
    let count = |part: &str| match part.split_once(':') {
        Some((first, last)) => {
            matches!((port(first), port(last)), (Some(first), Some(last)) if first <= last).then_some(2)
        }
        None => port(part).map(|_| 1).or_else(|| service(part).then_some(0)),
    };
    value.is_empty()
        || value.split(',').map(count).sum::<Option<usize>>().is_some_and(|numbers| numbers <= MOST)
}

fn port(text: &str) -> Option<u16> {
    net::number(text, 5)
}

/// A name as /etc/services has them.
fn service(value: &str) -> bool {
    names::of(value, 2, "-_+.") && value.bytes().any(|byte| byte.is_ascii_alphabetic())
}

pub(super) fn protocol(value: &str) -> bool {
    value.is_empty() || net::number::<u8>(value, 3).is_some() || service(value)
}

/// `any`, `echo-request`: iptables' names, of both versions. Numbers stand in a rule's `dport` alone.
pub(super) fn icmp_type(value: &str) -> bool {
    const NAMES: &[&str] = &[
        "TOS-host-redirect",
        "TOS-host-unreachable",
        "TOS-network-redirect",
        "TOS-network-unreachable",
        "address-mask-reply",
        "address-mask-request",
        "address-unreachable",
        "any",
        "bad-header",
        "beyond-scope",
        "communication-prohibited",
        "destination-unreachable",
        "echo-reply",
        "echo-request",
        "failed-policy",
        "fragmentation-needed",
        "host-precedence-violation",
        "host-prohibited",
        "host-redirect",
        "host-unknown",
        "host-unreachable",
        "ip-header-bad",
        "neighbor-advertisement",
        "neighbor-solicitation",
        "neighbour-advertisement",
        "neighbour-solicitation",
        "network-prohibited",
        "network-redirect",
        "network-unknown",
        "network-unreachable",
        "no-route",
        "packet-too-big",
        "parameter-problem",
        "port-unreachable",
        "precedence-cutoff",
        "protocol-unreachable",
        "redirect",
        "reject-route",
        "required-option-missing",
        "router-advertisement",
        "router-solicitation",
        "source-quench",
        "source-route-failed",
        "time-exceeded",
        "timestamp-reply",
        "timestamp-request",
        "ttl-zero-during-reassembly",
        "ttl-zero-during-transit",
        "unknown-header-type",
        "unknown-option",
    ];
    value.is_empty() || NAMES.contains(&value)
}

/// Many between commas.
pub(super) fn helpers(value: &str) -> bool {
    let known = |helper: &str| {
        matches!(helper, "amanda" | "ftp" | "irc" | "netbios-ns" | "pptp" | "sane" | "sip" | "snmp" | "tftp")
    };
    value.is_empty() || value.split(',').all(known)
}
