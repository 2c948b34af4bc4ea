//! A guest: what its configuration says it is and holds.
//!
//! In: the text of `nodes/NODE/qemu-server/ID.conf` or `nodes/NODE/lxc/ID.conf`. Out: a [`Guest`] of the facts that others
//! depend on, and PVE's digest of the text. The text itself is not kept, and of a secret only that there is one.

pub mod config;
mod disk;
mod net;
mod snapshot;
pub mod vsock;

use smol_str::SmolStr;

pub use disk::{Backing, Bus, Disk, Role, Slot};
pub use net::{Device, DeviceFrom, Net};
pub use snapshot::Snapshot;

use super::finding::{Finding, Findings};
use super::property;
use super::text::Text;
use super::volume::Volume;
use config::{Config, Head, Section};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Qemu,
    Lxc,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Qemu, Self::Lxc];

    /// As the API and `.vmlist` name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Lxc => "lxc",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The folder under `nodes/NODE`.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Qemu => "qemu-server",
            Self::Lxc => "lxc",
        }
    }

    /// As HA's ids begin: `vm:105`.
    #[must_use]
    pub fn sid(self) -> &'static str {
        match self {
            Self::Qemu => "vm",
            Self::Lxc => "ct",
        }
    }
}

/// A file under /etc/pve: `nodes/pve1/qemu-server/105.conf`.
#[must_use]
pub fn file(kind: Kind, node: &str, vmid: u32) -> String {
    format!("nodes/{node}/{}/{vmid}.conf", kind.folder())
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    pub vmid: u32,
    pub kind: Kind,
    pub node: SmolStr,
    /// Whether its configuration could be read. Of one that could not, nothing else here is known.
    pub seen: bool,
    pub name: Option<SmolStr>,
    pub template: bool,
    /// `protection`: PVE refuses to remove it or its disks.
    pub protected: bool,
    pub onboot: bool,
    /// `backup`, `migrate`, `snapshot`, …: PVE refuses most changes.
    pub lock: Option<SmolStr>,
    /// In lower case, as PVE compares them unless told otherwise.
    pub tags: Box<[SmolStr]>,
    /// The current ones, then the pending.
    pub disks: Box<[Disk]>,
    pub nets: Box<[Net]>,
    pub devices: Box<[Device]>,
    pub snapshots: Box<[Snapshot]>,
    /// vsock CIDs that it starts with next.
    pub cids: Box<[u32]>,
    /// The snapshot that the current state descends from.
    pub parent: Option<SmolStr>,
    /// Where a suspend to disk goes.
    pub state_storage: Option<SmolStr>,
    /// A restart would change something.
    pub pending: bool,
    /// Whether a first user's password is set.
    pub has_password: bool,
    /// SHA-1 of the file, as PVE's `digest` parameter takes it; nothing where it was not the file that was read.
    pub digest: Option<[u8; 20]>,
}

impl Guest {
    /// The facts of one configuration, and what of it could not be understood. `file` is for the findings.
    #[must_use]
    pub fn parse(kind: Kind, node: &SmolStr, vmid: u32, bytes: &[u8], file: &str) -> (Self, Vec<Finding>) {
        let mut findings = Findings::new(file);
        let text = Text::new(bytes, &mut findings);
        let config = Config::parse(kind, &text, &mut findings);
        let now = config.current();
        let mut disks = disk::disks(kind, vmid, now, &mut findings);
        let (mut nets, mut devices) = (net::nets(now), net::devices(kind, now));
        for section in &config.sections {
            match section.head {
                Head::Pending => {
                    let more = disk::disks(kind, vmid, section, &mut findings);
                    disks.extend(more.into_iter().map(|disk| Disk { pending: true, ..disk }));
                    nets.extend(net::nets(section).into_iter().map(|net| Net { pending: true, ..net }));
                    devices.extend(net::devices(kind, section));
                }
                Head::Special("fleecing") => disks.extend(disk::disks(kind, vmid, section, &mut findings)),
                Head::Special(_) | Head::Current | Head::Snapshot(_) | Head::Unknown(_) => {}
            }
        }
        disk::mark_boot(kind, now, &mut disks);
        let snapshots = snapshot::snapshots(kind, vmid, &config, &disks, &mut findings);
        let word = |key: &str| now.get(key).map(SmolStr::from);
        let flag = |key: &str| now.get(key).is_some_and(property::is_yes);
        let name = if kind == Kind::Qemu { "name" } else { "hostname" };
        let guest = Self {
            vmid,
            kind,
            node: node.clone(),
            seen: true,
            name: word(name),
            template: flag("template"),
            protected: flag("protection"),
            onboot: flag("onboot"),
            lock: word("lock"),
            tags: tags(now),
            disks: disks.into(),
            nets: nets.into(),
            devices: devices.into(),
            snapshots: snapshots.into(),
            cids: now.get("args").filter(|_| kind == Kind::Qemu).map(vsock::of_args).unwrap_or_default(),
            parent: word("parent"),
            state_storage: word("vmstatestorage"),
            pending: config.pending().is_some_and(|pending| !pending.entries.is_empty()),
            has_password: config.sections.iter().any(|section| section.get("cipassword").is_some()),
            digest: Some(digest(bytes)),
        };
        (guest, findings.finish())
    }

    /// One that is there, and of which no more is known.
    #[must_use]
    pub fn unseen(kind: Kind, node: &SmolStr, vmid: u32) -> Self {
        let (guest, _) = Self::parse(kind, node, vmid, &[], "");
        Self { seen: false, digest: None, ..guest }
    }

    /// `vm:105`, as HA names it.
    #[must_use]
    pub fn sid(&self) -> String {
        format!("{}:{}", self.kind.sid(), self.vmid)
    }

    /// Every volume that its configuration names, those of its snapshots included. The same one may come twice.
    pub fn volumes(&self) -> impl Iterator<Item = &Volume> {
        let snapshots =
            self.snapshots.iter().flat_map(|snapshot| snapshot.only_here.iter().chain(&snapshot.state));
        self.disks.iter().filter_map(Disk::volume).chain(snapshots)
    }

    #[must_use]
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|held| held.eq_ignore_ascii_case(tag))
    }
}

fn tags(section: &Section<'_>) -> Box<[SmolStr]> {
    let text = section.get("tags").unwrap_or_default();
    let mut tags: Vec<SmolStr> = property::list(text).map(|tag| tag.to_lowercase().into()).collect();
    tags.sort_unstable();
    tags.dedup();
    tags.into()
}

/// PVE's own digest: it guards against lost updates, not against attackers.
fn digest(bytes: &[u8]) -> [u8; 20] {
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, bytes);
    digest.as_ref().try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests;
