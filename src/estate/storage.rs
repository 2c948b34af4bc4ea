//! `storage.cfg`: where volumes are kept, for what, and on which nodes.

use smol_str::SmolStr;

use super::finding::Findings;
use super::section::{Heads, Section, sections};
use super::volume::Volume;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    pub id: SmolStr,
    /// `dir`, `nfs`, `zfspool`, …
    pub kind: SmolStr,
    /// What may be on it; nothing said is the type's own.
    pub content: Option<Box<[SmolStr]>>,
    /// Where it is; empty is everywhere.
    pub nodes: Box<[SmolStr]>,
    pub disabled: bool,
    /// Every node sees the same volumes.
    pub shared: bool,
    pub path: Option<SmolStr>,
    /// What it is made of, for those that are one thing under two names: `vgname`, `pool`, `server` and `export`, …
    pub source: Box<[(SmolStr, SmolStr)]>,
    /// The volume of another storage that it stands on.
    pub base: Option<Volume>,
    /// A password, key or the like stands in the file itself.
    pub has_secret: bool,
}

/// Types that are on the network by nature, whatever `shared` says.
const SHARED: &[&str] =
    &["nfs", "cifs", "pbs", "rbd", "cephfs", "iscsi", "iscsidirect", "glusterfs", "zfs", "esxi"];

/// Keys that say what a storage is made of.
const SOURCE: &[&str] = &[
    "server",
    "server2",
    "export",
    "share",
    "subdir",
    "volume",
    "portal",
    "target",
    "pool",
    "namespace",
    "data-pool",
    "monhost",
    "fs-name",
    "vgname",
    "thinpool",
    "datastore",
    "blocksize",
    "domain",
];

impl Storage {
    /// Whether a node has it, by the file; what a node really sees is the API's to say.
    #[must_use]
    pub fn is_on(&self, node: &str) -> bool {
        !self.disabled && (self.nodes.is_empty() || self.nodes.iter().any(|name| name == node))
    }

    /// Whether its volumes may be of that kind, if the file says.
    #[must_use]
    pub fn takes(&self, content: &str) -> Option<bool> {
        self.content.as_ref().map(|all| all.iter().any(|one| one == content))
    }

    fn new(section: &Section<'_>) -> Self {
        let known = SOURCE.iter().filter_map(|key| Some(((*key).into(), section.name(key)?)));
        Self {
            id: section.id.into(),
            kind: section.kind.into(),
            content: section.get("content").map(|_| section.names("content")),
            nodes: section.names("nodes"),
            disabled: section.flag("disable").unwrap_or(false),
            shared: section.flag("shared").unwrap_or(false) || SHARED.contains(&section.kind),
            path: section.name("path"),
            source: known.collect(),
            base: section.get("base").and_then(Volume::parse),
            has_secret: section.values.iter().any(|(key, _)| crate::secret::is_secret("/storage", key)),
        }
    }
}

/// The storages of the file, and `local`, which every node has even where the file is silent about it.
pub fn parse(text: &str, findings: &mut Findings<'_>) -> Vec<Storage> {
    let mut found: Vec<Storage> = sections(text, Heads::Typed, findings).iter().map(Storage::new).collect();
    if !found.iter().any(|storage| storage.id == "local") {
        let section = Section {
            kind: "dir",
            id: "local",
            line: 0,
            values: vec![("path", "/var/lib/vz"), ("content", "backup,iso,vztmpl,import")],
        };
        found.push(Storage::new(&section));
    }
    found
}
