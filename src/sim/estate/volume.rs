//! What lies on the storages: disks, images, templates and backups.

use super::guest::{self, Guest};
use super::sections::Section;
use super::{Estate, now};

#[derive(Debug, Clone, Default)]
pub struct Volume {
    pub storage: String,
    /// Where it lies; empty on a shared storage.
    pub node: String,
    /// After the colon of its id.
    pub name: String,
    /// `images`, `rootdir`, `iso`, `vztmpl`, `backup`, `snippets`, `import`.
    pub content: &'static str,
    pub format: String,
    pub size: u64,
    pub used: u64,
    pub created: u64,
    pub vmid: Option<u32>,
    pub parent: Option<String>,
    pub notes: Option<String>,
    pub protected: bool,
    /// What a backup holds.
    pub archive: Option<Box<Guest>>,
}

impl Volume {
    pub fn id(&self) -> String {
        format!("{}:{}", self.storage, self.name)
    }

    /// Whether it is what this name means on this node.
    fn is(&self, storage: &str, name: &str, node: &str) -> bool {
        self.storage == storage && self.name == name && (self.node.is_empty() || self.node == node)
    }
}

/// What another machine says of a storage that is on it.
#[derive(Debug, Clone, Default)]
pub struct Remote {
    /// Bytes of it, and how many are used.
    pub total: u64,
    pub used: u64,
    /// What it, or the way to it, answers in place of all else, and on which nodes; nowhere said, on all.
    pub refuses: Option<(String, Option<&'static str>)>,
}

/// How disks on a type of storage are named and kept.
fn in_directories(kind: &str) -> bool {
    matches!(kind, "dir" | "nfs" | "cifs" | "btrfs" | "cephfs" | "pbs")
}

impl Estate {
    pub fn storage(&self, name: &str) -> Result<&Section, String> {
        self.sections("storage.cfg").find(name).ok_or_else(|| format!("storage '{name}' does not exist"))
    }

    /// Whether `node` sees the storage.
    pub fn storage_on(&self, storage: &Section, node: &str) -> bool {
        storage.get("nodes").is_none_or(|nodes| nodes.split(',').any(|name| name == node))
    }

    pub fn is_shared(storage: &Section) -> bool {
        storage.is_set("shared")
            || matches!(&*storage.kind, "nfs" | "cifs" | "cephfs" | "rbd" | "pbs" | "iscsi")
    }

    pub fn volumes_on<'a>(&'a self, storage: &'a str, node: &'a str) -> impl Iterator<Item = &'a Volume> {
        self.volumes.iter().filter(move |volume| {
            volume.storage == storage && (volume.node.is_empty() || volume.node == node)
        })
    }

    pub fn volume(&self, id: &str, node: &str) -> Option<&Volume> {
        let (storage, name) = id.split_once(':')?;
        self.volumes.iter().find(|volume| volume.is(storage, name, node))
    }

    pub fn volume_mut(&mut self, id: &str, node: &str) -> Option<&mut Volume> {
        self.version += 1;
        let (storage, name) = id.split_once(':')?;
        self.volumes.iter_mut().find(|volume| volume.is(storage, name, node))
    }

    pub fn remove_volume(&mut self, id: &str, node: &str) -> Option<Volume> {
        self.version += 1;
        let (storage, name) = id.split_once(':')?;
        let at = self.volumes.iter().position(|volume| volume.is(storage, name, node))?;
        Some(self.volumes.swap_remove(at))
    }

    pub fn add_volume(&mut self, volume: Volume) {
        self.version += 1;
        self.volumes.push(volume);
    }

    /// A new disk for a guest, named as PVE names it. Gives its id.
    pub fn allocate(
        &mut self,
        storage: &str,
        guest: (guest::Kind, u32, &str),
        base: bool,
        format: Option<&str>,
        size: u64,
    ) -> Result<String, String> {
        let (kind, vmid, node) = guest;
        let section = self.storage(storage)?;
        let content = if kind == guest::Kind::Lxc { "rootdir" } else { "images" };
        if !section.get("content").unwrap_or("images,rootdir").split(',').any(|word| word == content) {
            let what = if kind == guest::Kind::Lxc { "container directories" } else { "vm images" };
            return Err(format!("storage '{storage}' does not support {what}"));
        }
        if !self.storage_on(section, node) {
            return Err(format!("storage '{storage}' is not available on node '{node}'"));
        }
        let directory = in_directories(&section.kind);
        let shared = Self::is_shared(section);
        let format = match (directory, kind, size) {
            (true, guest::Kind::Lxc, 0) => "subvol",
            (true, guest::Kind::Qemu, _) => format.unwrap_or("raw"),
            _ => "raw",
        }
        .to_owned();
        let stem = match (base, &*format) {
            (true, _) => "base",
            (false, "subvol") => "subvol",
            (false, _) => "vm",
        };
        let name = (0..)
            .map(|number| {
                let plain = format!("{stem}-{vmid}-disk-{number}");
                if directory { format!("{vmid}/{plain}.{format}") } else { plain }
            })
            .find(|name| self.volume(&format!("{storage}:{name}"), node).is_none())
            .unwrap_or_default();
        let volume = Volume {
            storage: storage.to_owned(),
            node: if shared { String::new() } else { node.to_owned() },
            name,
            content,
            format,
            size,
            used: size / 4,
            created: now(),
            vmid: Some(vmid),
            ..Volume::default()
        };
        let id = volume.id();
        self.add_volume(volume);
        Ok(id)
    }

    /// Why a storage that is enabled cannot be reached from a node, in the words of PVE's plugin.
    pub fn unreachable(&self, storage: &str, node: &str) -> Option<&str> {
        let (why, at) = self.remotes.get(storage)?.refuses.as_ref()?;
        at.is_none_or(|at| at == node).then_some(why)
    }

    /// Total, used and free bytes of a storage on a node.
    pub fn storage_use(&self, storage: &Section, node: &str) -> (u64, u64, u64) {
        if let Some(remote) = self.remotes.get(&storage.id) {
            return (remote.total, remote.used, remote.total.saturating_sub(remote.used));
        }
        let (total, other) = self.node(node).map_or((0, 0), |node| node.storage);
        let used: u64 = other + self.volumes_on(&storage.id, node).map(|volume| volume.used).sum::<u64>();
        (total, used, total.saturating_sub(used))
    }
}
