//! Families: `net0`, `net1`, … of the `net[n]` that PVE writes, and how far each goes.

use crate::catalog::{Endpoint, Parameter};

/// The highest number of each. PVE's description names the family alone; where two kinds of guests differ, the higher.
const HIGHEST: [(&str, u32); 17] = [
    ("acmedomain", 5),
    ("dev", 255),
    ("hostpci", 15),
    ("ide", 3),
    ("ipconfig", 31),
    ("link", 7),
    ("mp", 255),
    ("net", 31),
    ("numa", 7),
    ("parallel", 2),
    ("sata", 5),
    ("scsi", 30),
    ("serial", 3),
    ("unused", 255),
    ("usb", 13),
    ("virtio", 15),
    ("virtiofs", 9),
];

/// What a name stands for among the parameters of an endpoint.
pub(super) enum Named<'a> {
    Parameter(&'a Parameter),
    /// Of a family, but too high.
    Beyond {
        highest: u32,
    },
    Nothing,
}

impl Endpoint {
    /// The parameter that a name stands for: `vmid`, `net0`.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        match self.named(name) {
            Named::Parameter(parameter) => Some(parameter),
            Named::Beyond { .. } | Named::Nothing => None,
        }
    }

    pub(super) fn named(&self, name: &str) -> Named<'_> {
        let find = |name: &str, family| {
            self.parameters.iter().find(|parameter| parameter.family == family && parameter.name == name)
        };
        if let Some(parameter) = find(name, false) {
            return Named::Parameter(parameter);
        }
        let family = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = &name[family.len()..];
        // `net00` is no name that PVE knows.
        if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
            return Named::Nothing;
        }
        let Some(parameter) = find(family, true) else { return Named::Nothing };
        let highest = highest(family);
        match digits.parse::<u32>() {
            Ok(number) if number <= highest => Named::Parameter(parameter),
            _ => Named::Beyond { highest },
        }
    }
}

/// The highest number of a family; of one that nobody knew here, one that no PVE has reached.
pub(super) fn highest(family: &str) -> u32 {
    HIGHEST.iter().find(|(name, _)| *name == family).map_or(255, |(_, highest)| *highest)
}
