//! Volume ids, parsed once: `fast:9000/base-9000-disk-0.qcow2/111/vm-111-disk-0.qcow2`.
//!
//! What a volume id says by itself: the storage, what the volume is, whose it is, what it is a clone of. Whether it exists
//! is the storage's to say.

use std::fmt;

use smol_str::SmolStr;

/// Longer ids are nobody's: a path on Linux ends at 4096 bytes, and PVE's own formats far below.
const MOST: usize = 1024;

/// `STORAGE:NAME`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Volume {
    storage: SmolStr,
    name: SmolStr,
}

/// What a volume is, as its name tells. VMs' and containers' disks are told apart by who uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    Disk,
    /// The drive from which a VM's cloud-init reads.
    CloudInit,
    /// The memory of a snapshot or of a suspended VM.
    State,
    Iso,
    /// A container's template.
    Archive,
    Backup,
    Snippet,
    Import,
    /// A LUN, or what another storage plugin names in its own way.
    Other,
}

impl Volume {
    /// Nothing if it is no volume id: a path on the node, a device, `none`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MOST || text.contains(|c: char| c.is_control() || c == ',') {
            return None;
        }
        let (storage, name) = text.split_once(':')?;
        (is_storage(storage) && !name.is_empty()).then(|| Self { storage: storage.into(), name: name.into() })
    }

    /// In the way of old configurations, which name a file and no storage: it is `local`'s.
    #[must_use]
    pub(super) fn legacy(vmid: u32, file: &str, is_media: bool) -> Option<Self> {
        let name = if is_media { format!("local:iso/{file}") } else { format!("local:{vmid}/{file}") };
        (!file.is_empty() && !file.contains(['/', ':'])).then(|| Self::parse(&name)).flatten()
    }

    #[must_use]
    pub fn storage(&self) -> &SmolStr {
        &self.storage
    }

    /// All that follows the storage.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn content(&self) -> Content {
        let folders = [
            ("iso/", Content::Iso),
            ("vztmpl/", Content::Archive),
            ("backup/", Content::Backup),
            ("snippets/", Content::Snippet),
            ("import/", Content::Import),
        ];
        if let Some((_, content)) = folders.iter().find(|(folder, _)| self.name.starts_with(folder)) {
            return *content;
        }
        match owned(self.leaf()) {
            Some((_, rest)) if rest == "cloudinit" || rest.starts_with("cloudinit.") => Content::CloudInit,
            Some((_, rest)) if rest.starts_with("state-") => Content::State,
            Some(_) => Content::Disk,
            None => Content::Other,
        }
    }

    /// The guest that its name says it belongs to: of a backup, the guest that it is of.
    #[must_use]
    pub fn owner(&self) -> Option<u32> {
        if self.content() == Content::Backup {
            return backed_up(self.name.strip_prefix("backup/")?);
        }
        if let Some((vmid, _)) = owned(self.leaf()) {
            return Some(vmid);
        }
        // A file of any name in a guest's own folder.
        let (folder, _) = self.name.split_once('/')?;
        folder.parse().ok()
    }

    /// The volume that this one is a linked clone of. LVM-thin has none: its clones live without their origin.
    #[must_use]
    pub fn base(&self) -> Option<Self> {
        if !self.name.starts_with("base") && !self.name.contains("/base") {
            return None;
        }
        let name = match *self.name.split('/').collect::<Vec<_>>() {
            [base, clone] if is_base(base) && owned(clone).is_some() => base,
            [folder, base, _, clone] if is_base(base) && owned(clone).is_some() => {
                &self.name[..folder.len() + 1 + base.len()]
            }
            _ => return None,
        };
        Some(Self { storage: self.storage.clone(), name: name.into() })
    }

    /// Whether it is a template's disk, which clones may hang on.
    #[must_use]
    pub fn is_base(&self) -> bool {
        is_base(self.leaf())
    }

    fn leaf(&self) -> &str {
        self.name.rsplit_once('/').map_or(&*self.name, |(_, leaf)| leaf)
    }
}

impl fmt::Display for Volume {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.storage, self.name)
    }
}

impl fmt::Debug for Volume {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

fn is_storage(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_alphabetic())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn is_base(leaf: &str) -> bool {
    (leaf.starts_with("base-") || leaf.starts_with("basevol-")) && owned(leaf).is_some()
}

/// `vm-111-disk-0.qcow2`: the guest, and what follows.
fn owned(leaf: &str) -> Option<(u32, &str)> {
    let (kind, rest) = leaf.split_once('-')?;
    if !matches!(kind, "vm" | "base" | "subvol" | "basevol") {
        return None;
    }
    let (vmid, rest) = rest.split_once('-')?;
    Some((vmid.parse().ok()?, rest))
}

/// `vzdump-qemu-105-2026_01_31-01_00_00.vma.zst`, or the backup server's `vm/105/2026-01-31T01:00:00Z`.
fn backed_up(name: &str) -> Option<u32> {
    if let Some(rest) = name.strip_prefix("vm/").or_else(|| name.strip_prefix("ct/")) {
        return rest.split_once('/')?.0.parse().ok();
    }
    let mut words = name.strip_prefix("vzdump-")?.split('-');
    words.next().filter(|kind| matches!(*kind, "qemu" | "lxc" | "openvz"))?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests;
