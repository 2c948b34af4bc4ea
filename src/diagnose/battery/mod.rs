//! The batteries: which probes there are for a kind of subject, where each runs, what it flags, why that matters and what
//! to do next. Tables, one a kind, read once.
//!
//! ```toml
//! [[probe]]
//! name = "disks"                # what reads it is found by this name
//! on = "inside"                 # inside: a snippet of shell; api: a GET; host: this node's cgroups; derived: others' results
//! run = "df -l"                 # inside
//! apart = true                  # inside: beside the others, as it may hang
//! get = "/nodes/{node}/storage" # api; {node}, {vmid}, {kind}, {storage}
//! args = { errors = "1" }       # api; @day stands for yesterday, in seconds since 1970
//! each = "node"                 # api: once a node that is online, or "backups": once a storage that holds backups, or
//!                               # "silent": once a storage of a Backup Server that is not reached, for what PVE says to it
//! [[probe.sign]]
//! name = "disk_full"
//! severity = "critical"
//! limit = 95                    # what it means is the reader's
//! why = "Writes fail."
//! next = "find: grow a disk"
//! ```

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::{Severity, Subject};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Battery {
    #[serde(rename = "probe")]
    pub probes: Vec<Probe>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum On {
    Inside,
    Host,
    Api,
    Derived,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Each {
    Node,
    Backups,
    Silent,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    pub name: String,
    pub on: On,
    #[serde(default)]
    pub run: String,
    #[serde(default)]
    pub apart: bool,
    #[serde(default)]
    pub get: String,
    #[serde(default)]
    pub args: BTreeMap<String, String>,
    pub each: Option<Each>,
    #[serde(default, rename = "sign")]
    pub signs: Vec<Sign>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sign {
    pub name: String,
    pub severity: Severity,
    pub limit: Option<f64>,
    pub why: String,
    pub next: String,
}

const CONTAINER: &str = include_str!("container.toml");
const UNIT: &str = include_str!("unit.toml");
const VM: &str = include_str!("vm.toml");
const NODE: &str = include_str!("node.toml");
const CLUSTER: &str = include_str!("cluster.toml");

/// A table that cannot be read is found by this room's tests.
fn read(text: &str) -> Battery {
    toml::from_str(text).unwrap_or_default()
}

impl Battery {
    pub fn of(subject: &Subject) -> &'static Self {
        static CONTAINERS: LazyLock<Battery> = LazyLock::new(|| read(CONTAINER));
        static UNITS: LazyLock<Battery> = LazyLock::new(|| read(UNIT));
        static VMS: LazyLock<Battery> = LazyLock::new(|| read(VM));
        static NODES: LazyLock<Battery> = LazyLock::new(|| read(NODE));
        static CLUSTERS: LazyLock<Battery> = LazyLock::new(|| read(CLUSTER));
        match subject {
            Subject::Lxc(_) => &CONTAINERS,
            Subject::Unit(..) => &UNITS,
            Subject::Qemu(_) => &VMS,
            Subject::Node(_) => &NODES,
            Subject::Cluster => &CLUSTERS,
        }
    }

    pub fn on(&self, on: On) -> impl Iterator<Item = &Probe> {
        self.probes.iter().filter(move |probe| probe.on == on)
    }
}
