//! Who has what on a storage, and who hangs on a template.

use smol_str::SmolStr;

use crate::estate::guest::{Guest, Role, Slot};
use crate::estate::index::Index;
use crate::estate::part::Part;
use crate::estate::seen::Seen;
use crate::estate::storage::Storage;
use crate::estate::users::Used;
use crate::estate::volume::Volume;

/// One thing that a guest has on a storage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    pub guest: u32,
    pub node: SmolStr,
    pub using: Using,
    /// What it is; nothing where the whole storage is meant.
    pub volume: Option<Volume>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Using {
    /// In its current configuration, or after its next restart.
    Disk { role: Role, slot: Slot, pending: bool },
    /// The memory that a snapshot saved.
    SnapshotState(SmolStr),
    /// Only a snapshot still names it.
    SnapshotOnly(SmolStr),
    /// Disks of the guest are frozen there in this snapshot.
    SnapshotOn(SmolStr),
    /// A suspend to disk would go there.
    SuspendsTo,
}

impl Use {
    /// What it uses it for, in the current configuration.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        match self.using {
            Using::Disk { role, .. } => Some(role),
            _ => None,
        }
    }
}

/// Everything that depends on a storage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnStorage {
    /// By guest.
    pub uses: Vec<Use>,
    /// Backup jobs that write there, those that are off included.
    pub jobs: Vec<SmolStr>,
    /// Storages that stand on one of its volumes.
    pub stands: Vec<SmolStr>,
    /// Other names of the same place: what is there can still be reached by them.
    pub twins: Vec<SmolStr>,
    pub pools: Vec<SmolStr>,
}

impl OnStorage {
    /// The guests that use it in this way, each once.
    pub fn guests(&self, role: Role) -> impl Iterator<Item = u32> {
        let mut last = None;
        self.uses
            .iter()
            .filter(move |one| one.role() == Some(role))
            .map(|one| one.guest)
            .filter(move |vmid| last.replace(*vmid) != Some(*vmid))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.uses.is_empty() && self.jobs.is_empty() && self.stands.is_empty() && self.pools.is_empty()
    }
}

impl Index {
    #[must_use]
    pub fn storage(&self, id: &str) -> Option<&Storage> {
        self.cluster().storages.iter().find(|storage| storage.id == id)
    }

    /// What hangs on a storage. Which backups lie there is the API's to say: no file names them.
    pub fn on_storage(&self, id: &str) -> Seen<OnStorage> {
        let cluster = self.cluster();
        let this = self.storage(id);
        let is_twin = |other: &&Storage| other.id != id && this.is_some_and(|this| same_place(this, other));
        let found = OnStorage {
            uses: self.users(Used::Storage(id.into())).flat_map(|guest| uses(guest, id)).collect(),
            jobs: self.backups_to(id).map(|job| job.id.clone()).collect(),
            stands: cluster
                .storages
                .iter()
                .filter(|storage| storage.base.as_ref().is_some_and(|base| base.storage() == id))
                .map(|storage| storage.id.clone())
                .collect(),
            twins: cluster.storages.iter().filter(is_twin).map(|storage| storage.id.clone()).collect(),
            pools: cluster
                .access
                .pools
                .iter()
                .filter(|(_, pool)| pool.storages.contains(id))
                .map(|(name, _)| name.clone())
                .collect(),
        };
        self.seen(found, &[Part::Guests, Part::Storages, Part::Jobs, Part::Access])
    }

    /// The guests with a disk that is a linked clone of one of this guest's, with those disks.
    pub fn linked_clones(&self, template: u32) -> Seen<Vec<(u32, Volume)>> {
        let hangs = |volume: &&Volume| volume.base().and_then(|base| base.owner()) == Some(template);
        let disks = |guest: &Guest| {
            let mut disks: Vec<_> =
                guest.volumes().filter(hangs).map(|disk| (guest.vmid, disk.clone())).collect();
            disks.sort();
            disks.dedup();
            disks
        };
        let found = self.users(Used::Template(template)).flat_map(|guest| disks(guest)).collect();
        self.seen(found, &[Part::Guests])
    }

    /// Every guest that names this volume, its snapshots included.
    pub fn users_of_volume(&self, volume: &Volume) -> Seen<Vec<Use>> {
        let users = self.users(Used::Storage(volume.storage().clone()));
        let all = users.flat_map(|guest| uses(guest, volume.storage()));
        let found = all.filter(|one| one.volume.as_ref() == Some(volume)).collect();
        self.seen(found, &[Part::Guests])
    }
}

fn uses(guest: &Guest, storage: &str) -> Vec<Use> {
    let here = |volume: &&Volume| volume.storage() == storage;
    let one = |using, volume| Use { guest: guest.vmid, node: guest.node.clone(), using, volume };
    let mut found = Vec::new();
    for disk in &guest.disks {
        if let Some(volume) = disk.volume().filter(here) {
            let using = Using::Disk { role: disk.role, slot: disk.slot, pending: disk.pending };
            found.push(one(using, Some(volume.clone())));
        }
    }
    for snapshot in &guest.snapshots {
        let name = &snapshot.name;
        if let Some(volume) = snapshot.state.as_ref().filter(here) {
            found.push(one(Using::SnapshotState(name.clone()), Some(volume.clone())));
        }
        for volume in snapshot.only_here.iter().filter(here) {
            found.push(one(Using::SnapshotOnly(name.clone()), Some(volume.clone())));
        }
        if snapshot.storages.iter().any(|on| on == storage) {
            found.push(one(Using::SnapshotOn(name.clone()), None));
        }
    }
    if guest.state_storage.as_deref() == Some(storage) {
        found.push(one(Using::SuspendsTo, None));
    }
    found
}

/// One place under two names: made of the same, or one path.
fn same_place(a: &Storage, b: &Storage) -> bool {
    let paths = a.path.is_some() && a.path == b.path;
    paths || (a.kind == b.kind && !a.source.is_empty() && a.source == b.source)
}
