//! PVE's formats by their names: a table of what each wants.
//!
//! A format that is not here is passed, and whoever asked is told so. None of these is stricter than PVE where PVE's
//! own description leaves room.

mod calendar;
mod cpu;
mod firewall;
mod keys;
mod names;
mod net;
mod pem;
mod storage;
#[cfg(test)]
pub(super) mod tests;

use crate::catalog::{PropertyKey, list};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Outcome {
    Fits,
    /// What it is not.
    Refused(&'static str),
    /// A property string with these keys.
    Properties(&'static [PropertyKey]),
    Unknown,
}

/// What a value of this format is called, and whether this is one.
struct Row {
    name: &'static str,
    what: &'static str,
    fits: fn(&str) -> bool,
}

const fn row(name: &'static str, what: &'static str, fits: fn(&str) -> bool) -> Row {
    Row { name, what, fits }
}

/// What is pasted here is mostly a public key as it stands in its file.
const URLENCODED: &str = "text in percent-encoding (letters, digits and -_.!~*'() stand for themselves; + is %2B, / is \
                          %2F, = is %3D, a space is %20, a line break is %0A)";

/// In the order of their names, as bytes.
static FORMATS: &[Row] = &[
    row("CIDR", "network in CIDR notation", net::cidr),
    row("CIDRv4", "IPv4 network in CIDR notation", net::cidr4),
    row("CIDRv6", "IPv6 network in CIDR notation", net::cidr6),
    row("FullRangeCIDR", "network in CIDR notation", net::full_range_cidr),
    row("IPorCIDR", "IP address or network", |v| net::ip(v) || net::full_range_cidr(v)),
    row("IPorCIDRorAlias", "IP address, network or alias", |v| {
        net::ip(v) || net::full_range_cidr(v) || firewall::alias(v)
    }),
    row("address", "IP address or host name", net::address),
    row("bridge-pair", "pair of bridges", |v| names::pair(v, names::bridge)),
    row("disk-size", "disk size", storage::size),
    row("dns-name", "DNS name", net::dns_name),
    row("email", "email address", names::email),
    row("email-or-username", "email address or user name", |v| names::email(v) || names::mail_user(v)),
    row("graphite-path", "graphite path", net::dns_name),
    row("ip", "IP address", net::ip),
    row("ipv4", "IPv4 address", net::ip4),
    row("ipv4mask", "IPv4 netmask", net::mask4),
    row("ipv6", "IPv6 address", net::ip6),
    row("ldap-simple-attr", "LDAP attribute", |v| names::of(v, 1, "")),
    row("lxc-ip-with-ll-iface", "IP address", net::ip_with_interface),
    row("mac-addr", "MAC address", net::mac),
    row("mac-prefix", "MAC address prefix", net::mac_prefix),
    row("pem-certificate", "PEM certificate", |v| pem::fits(v, Some("CERTIFICATE"), 1)),
    row("pem-certificate-chain", "PEM certificate chain", |v| pem::fits(v, Some("CERTIFICATE"), usize::MAX)),
    row("pem-string", "PEM text of one block", |v| pem::fits(v, None, 1)),
    row("pve-acme-alias", "domain", net::alias_domain),
    row("pve-acme-domain", "domain", net::acme_domain),
    row("pve-bridge-id", "bridge", names::bridge),
    row("pve-calendar-event", "calendar event", calendar::event),
    row("pve-command-batch", "list of commands in JSON", names::commands),
    row("pve-configid", "configuration ID", names::configid),
    row("pve-cpuset", "list of CPUs", names::cpuset),
    row("pve-ct-timezone", "time zone", names::timezone),
    row("pve-day-of-week", "day of the week", |v| {
        matches!(v, "mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun")
    }),
    row("pve-dir-override", "directory override", storage::directory_override),
    row("pve-fw-addr-spec", "address, range, alias or IP set", firewall::addresses),
    row("pve-fw-comment-spec", "comment of one line", |v| !v.contains('\n')),
    row("pve-fw-conntrack-helper", "conntrack helpers", firewall::helpers),
    row("pve-fw-dport-spec", "ports", firewall::ports),
    row("pve-fw-icmp-type-spec", "ICMP type", firewall::icmp_type),
    row("pve-fw-protocol-spec", "protocol", firewall::protocol),
    row("pve-fw-sport-spec", "ports", firewall::ports),
    row("pve-groupid", "group name", names::account),
    row("pve-ha-group-node", "node with its priority", names::node_with_priority),
    row("pve-ha-node", "node with its priority", names::node_with_priority),
    row("pve-ha-resource-id", "HA resource", names::ha_resource),
    row("pve-ha-resource-or-vm-id", "HA resource or VM ID", |v| names::ha_resource(v) || names::digits(v)),
    row("pve-hotplug-features", "list of hotplug features", names::hotplug),
    row("pve-iface", "network interface", names::iface),
    row("pve-ipv4-config", "IPv4 configuration", |v| matches!(v, "dhcp" | "manual") || net::cidr4(v)),
    row("pve-ipv6-config", "IPv6 configuration", |v| {
        matches!(v, "auto" | "dhcp" | "manual") || net::cidr6(v)
    }),
    row("pve-lxc-dev-string", "device path", storage::device),
    row("pve-lxc-mp-string", "mount point", storage::mount_point),
    row("pve-node", "node name", names::node),
    row("pve-phys-bits", "number of address bits", |v| {
        v == "host" || net::number(v, 2).is_some_and(|bits: u32| (8..=64).contains(&bits))
    }),
    row("pve-poolid", "pool", names::pool),
    row("pve-priv", "privilege", |v| names::of(v, 1, ".")),
    row("pve-qm-bootdev", "boot device", storage::boot_device),
    row("pve-qm-bootdisk", "disk", storage::qemu_disk),
    row("pve-qm-ide", "drive", storage::drive),
    row("pve-realm", "realm", names::realm),
    row("pve-replication-job-id", "replication job id", names::replication_job),
    row("pve-roleid", "role", names::account),
    row("pve-sdn-bgp-rt", "route target", names::route_target),
    row("pve-sdn-controller-id", "SDN controller", names::controller),
    row("pve-sdn-dns-id", "SDN DNS plugin", names::sdn),
    row("pve-sdn-fabric-id", "SDN fabric", names::fabric),
    row("pve-sdn-ipam-id", "SDN IPAM", names::sdn),
    row("pve-sdn-isis-net", "IS-IS network entity", names::isis_net),
    row("pve-sdn-prefix-list-id", "prefix list", names::word),
    row("pve-sdn-route-map-id", "route map", names::word),
    row("pve-sdn-subnet-id", "SDN subnet", names::subnet),
    row("pve-sdn-vnet-id", "SDN vnet", names::sdn),
    row("pve-sdn-zone-id", "SDN zone", names::sdn),
    row("pve-storage-content", "storage content type", storage::content),
    row("pve-storage-id", "storage ID", storage::id),
    row("pve-storage-options", "mount options, which hold no white space", names::word),
    row("pve-storage-path", "absolute path", storage::path),
    row("pve-storage-path-in-property-string", "absolute path", storage::path_in_properties),
    row("pve-storage-portal-dns", "iSCSI portal", net::portal),
    row("pve-storage-server", "server", net::address),
    row("pve-storage-vgname", "volume group", storage::volume_group),
    row("pve-storage-zfs-blocksize", "ZFS block size", storage::block_size),
    row("pve-tag", "tag", names::tag),
    row("pve-task-status-type", "task status", |v| {
        ["ok", "error", "warning", "unknown"].iter().any(|status| v.eq_ignore_ascii_case(status))
    }),
    row("pve-tokenid", "token", names::tokenid),
    row("pve-userid", "user", names::userid),
    row("pve-vlan-id-or-range", "VLAN or range of VLANs", net::vlans),
    row("pve-vm-cputype", cpu::WHAT, cpu::kind),
    row("pve-vmid", "VM ID", names::vmid),
    row("pve-volume-id", "volume ID", storage::volume),
    row("pve-volume-id-or-absolute-path", "volume ID or absolute path", |v| {
        storage::volume(v) || v.starts_with('/')
    }),
    row("pve-volume-id-or-qm-path", "volume ID or path", storage::volume_or_qemu_path),
    row("storage-pair", "pair of storages", |v| names::pair(v, storage::id)),
    row("string", "string", |_| true),
    row("urlencoded", URLENCODED, names::urlencoded),
];

/// What `value` is to the format of this `name`. `-opt` lets it be empty, `-list` has many of them.
pub(super) fn outcome(name: &str, value: &str) -> Outcome {
    if let Some(keys) = keys::of(name) {
        return Outcome::Properties(keys);
    }
    if let Some(row) = find(name) {
        return if (row.fits)(value) { Outcome::Fits } else { Outcome::Refused(row.what) };
    }
    if let Some(name) = name.strip_suffix("-opt") {
        return if value.is_empty() { Outcome::Fits } else { outcome(name, value) };
    }
    let Some(row) =
        name.strip_suffix("-list").map(|name| name.strip_suffix("-a").unwrap_or(name)).and_then(find)
    else {
        return Outcome::Unknown;
    };
    // What parts them is seen: a list that holds what no display shows is read in two ways.
    let plain = !value
        .chars()
        .any(|letter| letter.is_control() && letter != '\0' && letter != '\n' && letter != '\t');
    if plain && list(value).all(row.fits) { Outcome::Fits } else { Outcome::Refused(row.what) }
}

/// The keys of a format that is a property string.
pub(super) fn keys(name: &str) -> Option<&'static [PropertyKey]> {
    keys::of(name)
}

/// Every format that is known here.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().map(|row| row.name).chain(keys::names())
}

/// Whether many may stand in one string.
pub(super) fn is_list(name: &str) -> bool {
    name.ends_with("-list")
}

fn find(name: &str) -> Option<&'static Row> {
    FORMATS.binary_search_by(|row| row.name.cmp(name)).ok().map(|at| &FORMATS[at])
}
