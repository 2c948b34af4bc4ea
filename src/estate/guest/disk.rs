//! What a guest keeps outside itself: disks, mount points, drives, snippets, and what is passed through from the host.

use smol_str::SmolStr;

use super::Kind;
use super::config::Section;
use crate::estate::finding::{Findings, What, shown};
use crate::estate::property;
use crate::estate::volume::{Content, Volume};

/// A key of the configuration that names something to store on: `scsi0`, `rootfs`, `unused3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    pub bus: Bus,
    pub number: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bus {
    // In the order in which PVE looks for a first disk.
    Ide,
    Scsi,
    Virtio,
    Sata,
    Efi,
    Tpm,
    Rootfs,
    Mount,
    Unused,
    /// The memory of a VM that is suspended to disk.
    VmState,
    /// Left over from a backup.
    Fleecing,
    Hook,
    CloudInitFile,
    /// `lxc.mount.entry`
    RawMount,
}

/// `(bus, key, whether a number follows it)`
const BUSES: &[(Bus, &str, bool)] = &[
    (Bus::Ide, "ide", true),
    (Bus::Scsi, "scsi", true),
    (Bus::Virtio, "virtio", true),
    (Bus::Sata, "sata", true),
    (Bus::Efi, "efidisk", true),
    (Bus::Tpm, "tpmstate", true),
    (Bus::Rootfs, "rootfs", false),
    (Bus::Mount, "mp", true),
    (Bus::Unused, "unused", true),
    (Bus::VmState, "vmstate", false),
    (Bus::Fleecing, "fleecing-images", false),
    (Bus::Hook, "hookscript", false),
    (Bus::CloudInitFile, "cicustom", false),
    (Bus::RawMount, "lxc.mount.entry", false),
];

impl Slot {
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        let name = key.trim_end_matches(|c: char| c.is_ascii_digit());
        let (bus, _, numbered) = BUSES.iter().find(|(_, known, _)| *known == name)?;
        let digits = &key[name.len()..];
        match (numbered, digits.is_empty()) {
            (true, false) => Some(Self { bus: *bus, number: digits.parse().ok()? }),
            (false, true) => Some(Self { bus: *bus, number: 0 }),
            _ => None,
        }
    }

    /// The key.
    #[must_use]
    pub fn name(self) -> String {
        let known = BUSES.iter().find(|(bus, ..)| *bus == self.bus);
        match known {
            Some((_, name, true)) => format!("{name}{}", self.number),
            Some((_, name, false)) => (*name).to_owned(),
            None => String::new(),
        }
    }

    fn is_drive(self) -> bool {
        matches!(self.bus, Bus::Ide | Bus::Scsi | Bus::Virtio | Bus::Sata)
    }
}

/// What stands behind a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backing {
    Volume(Volume),
    /// A path or device of the node: the guest is tied to it, and no storage knows.
    Host(SmolStr),
    /// An empty drive, or the node's own.
    Empty,
}

/// What a guest uses it for. This is what a blast radius speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Without it the guest does not start.
    Boot,
    Data,
    /// EFI variables, TPM state.
    Firmware,
    CloudInit,
    /// An ISO in a drive.
    Media,
    /// Hook scripts and cloud-init's own files.
    Snippet,
    Unused,
    State,
    Leftover,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    pub slot: Slot,
    pub role: Role,
    pub backing: Backing,
    /// Bytes, as the configuration has it; absent or 0 where it does not say.
    pub size: Option<u64>,
    /// Whether a backup of the guest holds it.
    pub backed_up: bool,
    pub replicated: bool,
    /// A mount point that the operator says is on every node.
    pub shared: bool,
    /// Only after the next restart.
    pub pending: bool,
}

impl Disk {
    #[must_use]
    pub fn volume(&self) -> Option<&Volume> {
        match &self.backing {
            Backing::Volume(volume) => Some(volume),
            Backing::Host(_) | Backing::Empty => None,
        }
    }
}

/// Every disk that a section names.
pub fn disks(kind: Kind, vmid: u32, section: &Section<'_>, findings: &mut Findings<'_>) -> Vec<Disk> {
    let mut found = Vec::new();
    for entry in &section.entries {
        let key = if entry.key == "cdrom" { "ide2" } else { entry.key };
        let Some(slot) = Slot::parse(key) else { continue };
        let listed: Vec<Option<Disk>> = match slot.bus {
            Bus::Fleecing => numbered(slot, Role::Leftover, property::list(entry.value)),
            Bus::CloudInitFile => {
                numbered(slot, Role::Snippet, property::parts(entry.value).map(|(_, id)| id))
            }
            _ => vec![disk(kind, vmid, slot, entry.value)],
        };
        for disk in listed {
            match disk {
                // `lxc.mount.entry: proc …` is no file of anybody's.
                Some(Disk { backing: Backing::Empty, slot: Slot { bus: Bus::RawMount, .. }, .. }) => {}
                Some(disk) => found.push(disk),
                None => findings.add(entry.line, What::Value(shown(key))),
            }
        }
    }
    found
}

/// Names the disk that it boots from, and what is to come in its place.
pub fn mark_boot(kind: Kind, current: &Section<'_>, disks: &mut [Disk]) {
    let Some(slot) = first_to_boot(kind, current, disks) else { return };
    let there = disks.iter_mut().filter(|disk| disk.slot == slot && disk.role == Role::Data);
    there.for_each(|disk| disk.role = Role::Boot);
}

fn plain(slot: Slot, role: Role, backing: Backing) -> Disk {
    Disk {
        slot,
        role,
        backing,
        size: None,
        backed_up: false,
        replicated: false,
        shared: false,
        pending: false,
    }
}

fn numbered<'a>(slot: Slot, role: Role, ids: impl Iterator<Item = &'a str>) -> Vec<Option<Disk>> {
    let one = |(number, id)| {
        let number = u16::try_from(number).unwrap_or(u16::MAX);
        Some(plain(Slot { number, ..slot }, role, Backing::Volume(Volume::parse(id)?)))
    };
    ids.enumerate().map(one).collect()
}

fn disk(kind: Kind, vmid: u32, slot: Slot, value: &str) -> Option<Disk> {
    let first = if kind == Kind::Qemu { "file" } else { "volume" };
    let mut named = property::parts(value).find(|(name, _)| *name == Some(first)).map(|(_, id)| id);
    named = named.or_else(|| property::parts(value).find(|(name, _)| name.is_none()).map(|(_, id)| id));
    if slot.bus == Bus::RawMount {
        let from = value.split_ascii_whitespace().next()?;
        let backing = if from.starts_with('/') { Backing::Host(from.into()) } else { Backing::Empty };
        return Some(plain(slot, Role::Data, backing));
    }
    let id = named?;
    let is_media = property::get(value, "media") == Some("cdrom");
    let backing = match id {
        "none" | "cdrom" if slot.is_drive() => Backing::Empty,
        path if path.starts_with('/') => Backing::Host(path.into()),
        id => {
            let volume = Volume::parse(id);
            let legacy = || Volume::legacy(vmid, id, is_media).filter(|_| slot.is_drive());
            Backing::Volume(volume.or_else(legacy)?)
        }
    };
    let content = if let Backing::Volume(volume) = &backing { volume.content() } else { Content::Other };
    let role = match slot.bus {
        Bus::Unused => Role::Unused,
        Bus::VmState => Role::State,
        Bus::Efi | Bus::Tpm => Role::Firmware,
        Bus::Hook => Role::Snippet,
        Bus::Rootfs => Role::Boot,
        _ if content == Content::CloudInit => Role::CloudInit,
        _ if is_media || content == Content::Iso => Role::Media,
        _ => Role::Data,
    };
    let flag = |key| property::get(value, key).map(property::is_yes);
    let is_volume = matches!(backing, Backing::Volume(_));
    // Of a VM everything is backed up unless it says otherwise; of a container's mount points nothing.
    let by_default = match slot.bus {
        Bus::Mount => false,
        Bus::Unused | Bus::VmState | Bus::Hook => false,
        _ => !matches!(role, Role::Media | Role::CloudInit),
    };
    Some(Disk {
        size: property::get(value, "size").and_then(property::size),
        backed_up: is_volume && (slot.bus == Bus::Rootfs || flag("backup").unwrap_or(by_default)),
        replicated: is_volume && flag("replicate").unwrap_or(!matches!(role, Role::Media | Role::Snippet)),
        shared: flag("shared").unwrap_or(false),
        ..plain(slot, role, backing)
    })
}

/// Of a VM the first disk of its boot order; of an older one what `bootdisk` names, or else the first that it has.
fn first_to_boot(kind: Kind, section: &Section<'_>, disks: &[Disk]) -> Option<Slot> {
    if kind == Kind::Lxc {
        return None;
    }
    let candidate = |disk: &&Disk| disk.slot.is_drive() && disk.role == Role::Data && !disk.pending;
    let known = |key: &str| {
        let slot = Slot::parse(key)?;
        disks.iter().filter(candidate).any(|disk| disk.slot == slot).then_some(slot)
    };
    let boot = section.get("boot").unwrap_or_default();
    if let Some(order) = property::get(boot, "order") {
        return property::list(order).find_map(known);
    }
    if let Some(key) = section.get("bootdisk") {
        return known(key);
    }
    let unnamed = || property::parts(boot).find(|(name, _)| name.is_none()).map(|(_, value)| value);
    let order = property::get(boot, "legacy").or_else(unnamed).unwrap_or("cdn");
    let first = disks.iter().filter(candidate).map(|disk| disk.slot).min();
    first.filter(|_| order.contains('c'))
}
