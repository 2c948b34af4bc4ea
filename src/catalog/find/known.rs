//! What there is that words may name: nodes, and guests by their names or ids.
//!
//! Whoever searches says what is there for whom it is searched; the catalogue knows of none. Where something is named that
//! is not there, what is left of the words may mean anything.

/// What there is.
#[derive(Debug, Clone, Default)]
pub struct Known {
    pub nodes: Vec<String>,
    pub guests: Vec<Guest>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    pub vmid: u32,
    pub kind: GuestKind,
    pub node: String,
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestKind {
    Qemu,
    Lxc,
}

impl GuestKind {
    /// As PVE writes it in paths, and as the type of a resource.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "qemu" => Some(Self::Qemu),
            "lxc" => Some(Self::Lxc),
            _ => None,
        }
    }
}

impl Known {
    pub(super) fn node(&self, word: &str) -> Option<&str> {
        self.nodes.iter().find(|node| node.eq_ignore_ascii_case(word)).map(String::as_str)
    }

    pub(super) fn guest(&self, vmid: u32) -> Option<&Guest> {
        self.guests.iter().find(|guest| guest.vmid == vmid)
    }

    pub(super) fn guests_named<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a Guest> {
        self.guests.iter().filter(move |guest| !word.is_empty() && guest.name.eq_ignore_ascii_case(word))
    }
}

/// Whether a word is written as guests' names often are: `web-104`. What systems are called is written so too.
pub(super) fn is_like_a_guest(word: &str) -> bool {
    const SYSTEMS: &str = "debian ubuntu alpine fedora centos rocky alma almalinux arch opensuse devuan windows win freebsd \
        openwrt pve proxmox raid vlan port node host zone";
    let Some((name, number)) = word.rsplit_once(['-', '_']) else { return false };
    let is_number = (1..=9).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    is_number && is_name && !SYSTEMS.split_ascii_whitespace().any(|system| system == name)
}

/// Whether a word is written as nodes' names often are: `pve3`, `node-2`.
pub(super) fn is_like_a_node(word: &str) -> bool {
    const NAMES: [&str; 5] = ["node", "pve", "host", "proxmox", "hv"];
    let number = |name: &&str| word.strip_prefix(name).map(|rest| rest.trim_start_matches(['-', '_']));
    let is_number =
        |number: &str| (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    NAMES.iter().find_map(number).is_some_and(is_number)
}

#[cfg(test)]
mod tests {
    use super::{is_like_a_guest, is_like_a_node};

    #[test]
    fn a_host_and_a_number_are_like_a_node() {
        for word in ["pve3", "node-2", "host01"] {
            assert!(is_like_a_node(word), "{word}");
        }
        for word in ["pve", "nodes", "web-104", "pve-cluster", "pve9000", "hostname2"] {
            assert!(!is_like_a_node(word), "{word}");
        }
    }

    #[test]
    fn a_name_and_a_number_are_like_a_guest() {
        for (word, expected) in [
            ("web-104", true),
            ("db_2", true),
            ("nginx-proxy-01", true),
            ("web", false),
            ("web-", false),
            ("-1", false),
            ("104", false),
            ("debian-12", false),
            ("vlan-10", false),
            ("local-lvm", false),
        ] {
            assert_eq!(is_like_a_guest(word), expected, "{word}");
        }
    }
}
