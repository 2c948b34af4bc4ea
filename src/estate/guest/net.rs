//! A guest's network cards, and what it is given of the host's devices.

use smol_str::SmolStr;

use super::Kind;
use super::config::Section;
use crate::estate::mapping;
use crate::estate::property;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Net {
    /// Of `net0`.
    pub number: u16,
    /// A bridge of the node's or a virtual network; a VM without one is behind QEMU's own address translation.
    pub bridge: Option<SmolStr>,
    pub tag: Option<u16>,
    /// Whether the guest's firewall stands before it.
    pub firewall: bool,
    pub down: bool,
    pub pending: bool,
}

#[must_use]
pub fn nets(section: &Section<'_>) -> Vec<Net> {
    let of = |key: &str| key.strip_prefix("net")?.parse().ok();
    let cards = section.entries.iter().filter_map(|entry| Some((of(entry.key)?, entry.value)));
    let flag = |value, key| property::get(value, key).is_some_and(property::is_yes);
    cards
        .map(|(number, value)| Net {
            number,
            bridge: property::get(value, "bridge").filter(|name| !name.is_empty()).map(SmolStr::from),
            tag: property::get(value, "tag").and_then(|tag| tag.parse().ok()),
            firewall: flag(value, "firewall"),
            down: flag(value, "link_down"),
            pending: false,
        })
        .collect()
}

/// A device or folder of the host's that the guest holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// `hostpci0`, `usb1`, `dev0`, `virtiofs0`, `serial0`
    pub key: SmolStr,
    pub from: DeviceFrom,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceFrom {
    /// A name in `mapping/`: it may be there on several nodes.
    Mapping(mapping::Kind, SmolStr),
    /// Of this node alone.
    Node(SmolStr),
}

#[must_use]
pub fn devices(kind: Kind, section: &Section<'_>) -> Vec<Device> {
    let mut found = Vec::new();
    for entry in &section.entries {
        let name = entry.key.trim_end_matches(|c: char| c.is_ascii_digit());
        if name.len() == entry.key.len() {
            continue;
        }
        let first = property::parts(entry.value).find(|(name, _)| name.is_none()).map(|(_, value)| value);
        let value = |key| property::get(entry.value, key);
        let mapped = |kind, key| {
            let name = value(key).or(if key == "dirid" { first } else { None })?;
            Some(DeviceFrom::Mapping(kind, name.into()))
        };
        let from = match (kind, name) {
            (Kind::Qemu, "hostpci") => mapped(mapping::Kind::Pci, "mapping")
                .or_else(|| Some(DeviceFrom::Node(value("host").or(first)?.into()))),
            (Kind::Qemu, "usb") => mapped(mapping::Kind::Usb, "mapping").or_else(|| {
                let host = value("host").or(first).filter(|host| !host.eq_ignore_ascii_case("spice"))?;
                Some(DeviceFrom::Node(host.into()))
            }),
            (Kind::Qemu, "virtiofs") => mapped(mapping::Kind::Directory, "dirid"),
            (Kind::Qemu, "serial" | "parallel") => {
                first.filter(|path| path.starts_with('/')).map(|path| DeviceFrom::Node(path.into()))
            }
            (Kind::Lxc, "dev") => value("path").or(first).map(|path| DeviceFrom::Node(path.into())),
            _ => None,
        };
        found.extend(from.map(|from| Device { key: entry.key.into(), from }));
    }
    found
}
