//! A volume that is removed by its name.

use super::super::guest::clone_of;
use super::BACKUPS;
use crate::estate::Using;
use crate::estate::guest::Role;
use crate::estate::volume::{Content, Volume};
use crate::plan::blast::look::{called, object};
use crate::plan::blast::{Found, Look, Severity};
use crate::plan::fields::text;

/// Whoever names it, and whether it is the last backup there.
pub(super) fn removed(look: &Look<'_>, found: &mut Found) {
    let (Some(storage), Some(name)) = (look.text("storage"), look.text("volume")) else { return };
    let id = if name.contains(':') { name } else { format!("{storage}:{name}") };
    let Some(volume) = Volume::parse(&id) else {
        found.unseen(format!("who uses {id} was not looked at: it is no volume's name"));
        return;
    };
    for one in found.all(look.estate.users_of_volume(&volume)) {
        let Some(guest) = look.one(one.guest) else { continue };
        let name = called(guest);
        let (severity, why) = match &one.using {
            Using::Disk { role: Role::Boot, slot, .. } => (
                Severity::WontBoot,
                format!("{name}'s {} is what it boots from, and is this volume", slot.name()),
            ),
            Using::Disk { role: Role::Media, slot, .. } => (
                Severity::WontBoot,
                format!("{name} has it in {}: it does not start until it is taken out", slot.name()),
            ),
            Using::Disk { role: Role::Unused | Role::Leftover, slot, .. } => {
                (Severity::DataLost, format!("{name} keeps it as {}", slot.name()))
            }
            Using::Disk { slot, .. } => (
                Severity::WontBoot,
                format!("{name}'s {} is this volume, and it does not start without it", slot.name()),
            ),
            Using::SnapshotState(snapshot) | Using::SnapshotOnly(snapshot) => (
                Severity::Degraded,
                format!("{name}'s snapshot {snapshot} needs it: there is no way back to that"),
            ),
            Using::SnapshotOn(_) | Using::SuspendsTo => continue,
        };
        found.hit(object(guest), severity, why);
    }
    if let Some(owner) = volume.owner().filter(|_| volume.is_base()) {
        for (other, disk) in found.all(look.estate.linked_clones(owner)) {
            if disk.base().as_ref() == Some(&volume) {
                clone_of(look, found, other, &disk, &format!("template {owner}"));
            }
        }
    }
    if volume.content() == Content::Backup {
        last_backup(look, found, &volume);
    }
}

fn last_backup(look: &Look<'_>, found: &mut Found, volume: &Volume) {
    let Some(vmid) = volume.owner() else { return };
    let listed = look.rows(BACKUPS).iter().filter_map(|row| Volume::parse(&text(row.get("volid")?)));
    let others: Vec<Volume> = listed.filter(|one| one.owner() == Some(vmid) && one != volume).collect();
    if look.answer(BACKUPS).is_some() && others.is_empty() {
        let there = look.one(vmid).is_some();
        let end = if there { "" } else { ", and the guest itself is no longer there" };
        let why = format!("it is the last backup of guest {vmid} on {}{end}", volume.storage());
        found.hit(
            look.one(vmid).map_or_else(|| format!("guest/{vmid}"), |guest| object(guest)),
            Severity::LosesBackup,
            why,
        );
    }
}
