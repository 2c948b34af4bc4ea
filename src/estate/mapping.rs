//! Hardware mappings: a name for a device or a folder, with what it is on each node.

use smol_str::SmolStr;

use super::finding::Findings;
use super::property;
use super::section::{Heads, sections};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Pci,
    Usb,
    Directory,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Pci, Self::Usb, Self::Directory];

    /// Under /etc/pve.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::Pci => "mapping/pci.cfg",
            Self::Usb => "mapping/usb.cfg",
            Self::Directory => "mapping/directory.cfg",
        }
    }

    /// As the API's path and the ACLs' have it: `/mapping/dir/share`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pci => "pci",
            Self::Usb => "usb",
            Self::Directory => "dir",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    pub kind: Kind,
    pub id: SmolStr,
    /// Where it is there; a guest that uses it starts on no other node.
    pub nodes: Box<[SmolStr]>,
}

pub fn parse(kind: Kind, text: &str, findings: &mut Findings<'_>) -> Vec<Mapping> {
    let of = |map| property::get(map, "node").map(SmolStr::from);
    sections(text, Heads::Plain, findings)
        .into_iter()
        .map(|section| {
            let mut nodes: Vec<SmolStr> = section.all("map").filter_map(of).collect();
            nodes.sort_unstable();
            nodes.dedup();
            Mapping { kind, id: section.id.into(), nodes: nodes.into() }
        })
        .collect()
}
