//! PVE's section files: `storage.cfg`, `ha/resources.cfg`, `sdn/zones.cfg`, `jobs.cfg` and their like.
//!
//! ```text
//! dir: backup
//!     path /mnt/backup
//!     content backup,iso
//! ```

use std::fmt::Write;

use indexmap::IndexMap;

use super::digest;

/// The files of this kind, and whether a section's head names a type.
pub const FILES: &[(&str, bool)] = &[
    ("storage.cfg", true),
    ("domains.cfg", true),
    ("jobs.cfg", true),
    ("replication.cfg", true),
    ("notifications.cfg", true),
    ("status.cfg", true),
    ("priv/acme/plugins.cfg", true),
    ("ha/groups.cfg", true),
    ("ha/resources.cfg", true),
    ("ha/rules.cfg", true),
    ("sdn/zones.cfg", true),
    ("sdn/vnets.cfg", true),
    ("sdn/subnets.cfg", true),
    ("sdn/controllers.cfg", true),
    ("sdn/ipams.cfg", true),
    ("sdn/dns.cfg", true),
    ("sdn/fabrics.cfg", true),
    ("mapping/directory.cfg", false),
    ("mapping/pci.cfg", false),
    ("mapping/usb.cfg", false),
    ("virtual-guest/cpu-models.conf", true),
];

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Section {
    pub kind: String,
    pub id: String,
    /// In the order of the file. A value of several lines is written once for each: mappings have several `map`.
    pub values: IndexMap<String, String>,
}

impl Section {
    pub fn new(kind: &str, id: &str, values: &[(&str, &str)]) -> Self {
        let values = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self { kind: kind.to_owned(), id: id.to_owned(), values }
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    pub fn is_set(&self, key: &str) -> bool {
        matches!(self.get(key), Some("1" | "yes" | "true" | "on"))
    }
}

/// One file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sections {
    pub typed: bool,
    pub list: Vec<Section>,
}

impl Sections {
    pub fn find(&self, id: &str) -> Option<&Section> {
        self.list.iter().find(|section| section.id == id)
    }

    pub fn find_mut(&mut self, id: &str) -> Option<&mut Section> {
        self.list.iter_mut().find(|section| section.id == id)
    }

    pub fn remove(&mut self, id: &str) -> bool {
        let before = self.list.len();
        self.list.retain(|section| section.id != id);
        self.list.len() < before
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        for section in &self.list {
            let kind = if self.typed { format!("{}: ", section.kind) } else { String::new() };
            // HA's ids hold the type: `vm:105` stands as `vm: 105`.
            let name = section.id.strip_prefix(&format!("{}:", section.kind)).unwrap_or(&section.id);
            let _ = writeln!(text, "{kind}{name}");
            for (key, value) in &section.values {
                for line in value.split('\n') {
                    let _ = writeln!(text, "\t{key} {line}");
                }
            }
            text.push('\n');
        }
        text
    }

    pub fn digest(&self) -> String {
        digest(self.text().as_bytes())
    }
}
