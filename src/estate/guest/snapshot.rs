//! A guest's snapshots: whose child each is, and what it alone keeps.

use std::collections::{HashMap, HashSet};

use smol_str::SmolStr;

use super::config::Config;
use super::disk::{Disk, disks};
use super::{Guest, Kind};
use crate::estate::finding::{Findings, What, shown};
use crate::estate::volume::Volume;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub name: SmolStr,
    pub parent: Option<SmolStr>,
    /// Seconds since 1970.
    pub time: Option<u64>,
    /// The memory that was saved with it.
    pub state: Option<Volume>,
    /// Every volume that it names, its state aside.
    pub volumes: Box<[Volume]>,
    /// Volumes that it names and the guest no longer has: a storage that holds one holds this snapshot.
    pub only_here: Box<[Volume]>,
    /// Storages on which the guest's disks are frozen in this snapshot.
    pub storages: Box<[SmolStr]>,
}

pub(super) fn snapshots(
    kind: Kind,
    vmid: u32,
    config: &Config<'_>,
    current: &[Disk],
    findings: &mut Findings<'_>,
) -> Vec<Snapshot> {
    let mut found: Vec<Snapshot> = Vec::new();
    for (name, section) in config.snapshots() {
        let held = disks(kind, vmid, section, findings);
        let state = section.get("vmstate").and_then(Volume::parse);
        let volumes =
            || held.iter().filter_map(Disk::volume).filter(|volume| Some(*volume) != state.as_ref());
        let is_current = |volume: &Volume| current.iter().any(|disk| disk.volume() == Some(volume));
        let mut storages: Vec<SmolStr> = volumes().map(|volume| volume.storage().clone()).collect();
        storages.sort_unstable();
        storages.dedup();
        found.push(Snapshot {
            name: name.into(),
            parent: section.get("parent").map(SmolStr::from),
            time: section.get("snaptime").and_then(|time| time.parse().ok()),
            only_here: volumes().filter(|volume| !is_current(volume)).cloned().collect(),
            storages: storages.into(),
            volumes: volumes().cloned().collect(),
            state,
        });
    }
    if let Some(name) = circle(&found) {
        findings.add(0, What::Circle(shown(name)));
    }
    found
}

/// A snapshot that is its own ancestor.
fn circle(snapshots: &[Snapshot]) -> Option<&SmolStr> {
    let parents: HashMap<&SmolStr, Option<&SmolStr>> =
        snapshots.iter().map(|snapshot| (&snapshot.name, snapshot.parent.as_ref())).collect();
    let mut clear: HashSet<&SmolStr> = HashSet::new();
    for snapshot in snapshots {
        let (mut at, mut walked) = (Some(&snapshot.name), HashSet::new());
        while let Some(name) = at.filter(|name| !clear.contains(name)) {
            if !walked.insert(name) {
                return Some(name);
            }
            at = parents.get(name).copied().flatten();
        }
        clear.extend(walked);
    }
    None
}

impl Guest {
    /// The snapshot of that name and its ancestors, the nearest first. It ends, whatever the file says.
    pub fn lineage<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Snapshot> {
        let find = |name: &str| self.snapshots.iter().find(|snapshot| snapshot.name == name);
        std::iter::successors(find(name), move |snapshot| find(snapshot.parent.as_deref()?))
            .take(self.snapshots.len())
    }

    /// The snapshots whose parent it is: what a delete re-hangs, and what a rollback leaves behind.
    pub fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Snapshot> {
        self.snapshots.iter().filter(move |snapshot| snapshot.parent.as_deref() == Some(name))
    }
}
