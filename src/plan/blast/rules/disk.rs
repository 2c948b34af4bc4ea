//! Disks that are taken out, removed, moved, grown or made a template's: who boots from them, and who else has them.

use super::guest::{clone_of, shared_with};
use super::{Need, Rule};
use crate::catalog::list;
use crate::estate::guest::{Backing, Disk, Guest, Kind, Role, Slot};
use crate::estate::part::Part;
use crate::estate::volume::Volume;
use crate::plan::blast::look::{and, called, object};
use crate::plan::blast::{Found, Look, Severity};
use crate::plan::fields::text;

pub const RULES: &[Rule] = &[
    Rule {
        calls: &[
            "PUT /nodes/{node}/{kind}/{vmid}/config",
            "POST /nodes/{node}/qemu/{vmid}/config",
            "PUT /nodes/{node}/qemu/{vmid}/unlink",
        ],
        needs: &[],
        checks: &[taken, reordered],
    },
    Rule {
        calls: &["POST /nodes/{node}/qemu/{vmid}/move_disk", "POST /nodes/{node}/lxc/{vmid}/move_volume"],
        needs: &[],
        checks: &[moved, given_away],
    },
    Rule { calls: &["PUT /nodes/{node}/{kind}/{vmid}/resize"], needs: &[], checks: &[grown] },
    Rule {
        calls: &["POST /nodes/{node}/{kind}/{vmid}/template"],
        needs: &[Need::Status],
        checks: &[made_a_template],
    },
];

/// The disk behind a key, as it is now.
fn at<'a>(guest: &'a Guest, key: &str) -> Option<&'a Disk> {
    let slot = Slot::parse(key)?;
    guest.disks.iter().find(|disk| disk.slot == slot && !disk.pending)
}

/// The volume that a value of the configuration names, where it names one.
fn volume(value: &str) -> Option<Volume> {
    let first = value.split(',').next().unwrap_or_default();
    Volume::parse(first.strip_prefix("volume=").or_else(|| first.strip_prefix("file=")).unwrap_or(first))
}

fn taken(look: &Look<'_>, found: &mut Found) {
    let Some(guest) = look.guest() else { return };
    let mut keys = look.list("delete");
    keys.extend(look.list("idlist"));
    for key in keys {
        let Some(disk) = at(guest, &key) else { continue };
        match disk.role == Role::Unused || look.flag("force") {
            true => removed(look, found, guest, disk),
            false => taken_out(found, guest, disk),
        }
    }
    for (key, value) in &look.request().args {
        let Some(disk) = at(guest, key) else { continue };
        let new = text(value);
        let same = disk.volume().is_some() && disk.volume() == volume(&new).as_ref();
        let host = matches!(&disk.backing, Backing::Host(path) if new.split(',').any(|part| {
            part == &**path || part.split_once('=').is_some_and(|(_, named)| named == &**path)
        }));
        if !same && !host {
            taken_out(found, guest, disk);
        }
    }
}

/// A disk that leaves its slot and is kept.
fn taken_out(found: &mut Found, guest: &Guest, disk: &Disk) {
    let (name, slot) = (called(guest), disk.slot.name());
    let (severity, why) = match (&disk.backing, disk.role) {
        (Backing::Empty, _) | (_, Role::Media | Role::Unused) => return,
        (Backing::Host(path), _) => {
            (Severity::Degraded, format!("{name} loses {slot}, {path} of its node; what is in it stays"))
        }
        (Backing::Volume(volume), Role::Boot) => {
            (Severity::WontBoot, format!("{name}'s {slot} is what it boots from ({volume})"))
        }
        (Backing::Volume(volume), Role::CloudInit) => {
            (Severity::Degraded, format!("{name} loses {slot}, from which cloud-init sets it up ({volume})"))
        }
        (Backing::Volume(volume), Role::Snippet) => {
            (Severity::Degraded, format!("{name} goes without {volume}"))
        }
        (Backing::Volume(volume), _) => {
            (Severity::Degraded, format!("{name} loses {slot}, which is kept as an unused disk ({volume})"))
        }
    };
    found.hit(object(guest), severity, why);
}

/// A disk that is removed with what is on it, unless somebody else has it.
fn removed(look: &Look<'_>, found: &mut Found, guest: &Guest, disk: &Disk) {
    let slot = disk.slot.name();
    let Some(volume) = disk.volume() else { return taken_out(found, guest, disk) };
    if disk.role == Role::Media {
        return;
    }
    if disk.role == Role::Boot && !guest.template {
        let why = format!("{}'s {slot} is what it boots from ({volume})", called(guest));
        found.hit(object(guest), Severity::WontBoot, why);
    }
    let named = guest.snapshots.iter().filter(|snapshot| snapshot.volumes.contains(volume));
    let snapshots: Vec<String> = named.map(|snapshot| snapshot.name.to_string()).collect();
    if !snapshots.is_empty() {
        let (have, need) = if snapshots.len() == 1 { ("snapshot", "needs") } else { ("snapshots", "need") };
        let why = format!("{slot} ({volume}) is not removed: {have} {} still {need} it", and(&snapshots));
        found.hit(object(guest), Severity::Degraded, why);
        return;
    }
    if volume.owner().is_some_and(|owner| owner != guest.vmid) {
        let why = format!("{slot} is taken away; {volume} is not this guest's, and stays");
        found.hit(object(guest), Severity::Degraded, why);
        return;
    }
    let what = format!("{} {slot} ({volume})", object(guest));
    found.hit(what, Severity::DataLost, "the disk and what is on it are removed");
    shared_with(look, found, guest.vmid, volume, Severity::DataLost, "is removed");
    clones(look, found, guest, volume);
}

fn clones(look: &Look<'_>, found: &mut Found, guest: &Guest, base: &Volume) {
    for (other, volume) in found.all(look.estate.linked_clones(guest.vmid)) {
        if volume.base().as_ref() == Some(base) {
            clone_of(look, found, other, &volume, &format!("template {}", guest.vmid));
        }
    }
}

/// A boot order that leaves out what the machine boots from.
fn reordered(look: &Look<'_>, found: &mut Found) {
    let Some(guest) = look.guest().filter(|guest| guest.kind == Kind::Qemu) else { return };
    let Some(order) = look.text("boot") else { return };
    let Some(now) = guest.disks.iter().find(|disk| disk.role == Role::Boot && !disk.pending) else { return };
    let Some(order) = order.split(',').find_map(|part| part.trim().strip_prefix("order=")) else { return };
    let names: Vec<&str> = list(order).collect();
    let slot = now.slot.name();
    let first = names
        .iter()
        .find_map(|name| at(guest, name).filter(|disk| matches!(disk.role, Role::Boot | Role::Data)));
    match first {
        Some(first) if first.slot == now.slot => {}
        Some(first) => {
            let why = format!("{} boots from {} and no longer from {slot}", called(guest), first.slot.name());
            found.hit(object(guest), Severity::Degraded, why);
        }
        None => {
            let why = format!("{slot} is what {} boots from, and the new order leaves it out", called(guest));
            found.hit(object(guest), Severity::WontBoot, why);
        }
    }
}

/// The disk that a call moves, grows or makes a template's.
fn named<'a>(look: &Look<'a>) -> Option<(&'a Guest, &'a Disk)> {
    let guest = look.guest()?;
    let key = look.text("disk").or_else(|| look.text("volume"))?;
    Some((guest, at(guest, &key)?))
}

/// A disk that is copied to another storage.
fn moved(look: &Look<'_>, found: &mut Found) {
    let (Some((guest, disk)), Some(target)) = (named(look), look.text("storage")) else { return };
    let (name, slot) = (called(guest), disk.slot.name());
    let Some(volume) = disk.volume() else { return };
    found.rests_on(look, &[Part::Storages, Part::Replication, Part::Ha]);
    let content = if guest.kind == Kind::Lxc { "rootdir" } else { "images" };
    match look.estate.storage(&target) {
        None => {
            found.hit(object(guest), Severity::Degraded, format!("there is no storage {target}: PVE refuses"))
        }
        Some(to) if !to.is_on(&guest.node) => {
            let why = format!("{target} is not on {}, where {name} is: PVE refuses", guest.node);
            found.hit(object(guest), Severity::Degraded, why);
        }
        Some(to) => {
            if to.takes(content) == Some(false) {
                let why = format!("{target} does not take {content}: PVE refuses");
                found.hit(object(guest), Severity::Degraded, why);
            }
            leaves_shared(look, found, guest, disk, volume, to.shared);
            let zfs = |kind: &str| kind == "zfspool";
            let jobs = look.estate.cluster().replications.iter();
            for job in jobs.filter(|job| job.vmid == guest.vmid && !job.disabled && disk.replicated) {
                if !zfs(&to.kind) {
                    let why =
                        format!("{name}'s {slot} is on {target} then, and only ZFS is replicated: it fails");
                    found.hit(format!("replication {}", job.id), Severity::LosesBackup, why);
                }
            }
        }
    }
    let frozen = guest.snapshots.iter().filter(|snapshot| snapshot.volumes.contains(volume));
    let frozen: Vec<String> = frozen.map(|snapshot| snapshot.name.to_string()).collect();
    if !frozen.is_empty() {
        let kept = match look.flag("delete") {
            true => "PVE refuses to remove the source while they have it",
            false => "the copy has none of them",
        };
        let why = format!("{name}'s {slot} is in {} ({volume}): {kept}", and(&frozen));
        found.hit(object(guest), Severity::Degraded, why);
    }
    if look.flag("delete") {
        shared_with(look, found, guest.vmid, volume, Severity::DataLost, "is removed once it is copied");
        clones(look, found, guest, volume);
    }
}

/// What only shared storage gives.
fn leaves_shared(
    look: &Look<'_>,
    found: &mut Found,
    guest: &Guest,
    disk: &Disk,
    volume: &Volume,
    shared: bool,
) {
    let was = look.estate.storage(volume.storage()).is_some_and(|storage| storage.shared);
    let sid = guest.sid();
    let resource = look.estate.cluster().resources.iter().find(|one| one.sid == sid);
    if let (true, false, Some(resource)) = (was, shared, resource) {
        let why = format!(
            "{}'s {} is then on {} alone: HA cannot start it elsewhere when that fails",
            called(guest),
            disk.slot.name(),
            guest.node
        );
        found.hit(resource.sid.to_string(), Severity::Degraded, why);
    }
}

/// A disk that another guest gets.
fn given_away(look: &Look<'_>, found: &mut Found) {
    let (Some((guest, disk)), Some(target)) = (named(look), look.text("target-vmid")) else { return };
    if target == guest.vmid.to_string() {
        return;
    }
    let (name, slot) = (called(guest), disk.slot.name());
    let (severity, why) = match disk.role {
        Role::Boot => {
            (Severity::WontBoot, format!("{name}'s {slot} is what it boots from, and goes to guest {target}"))
        }
        _ => (Severity::Degraded, format!("{name} loses {slot}, which goes to guest {target}")),
    };
    found.hit(object(guest), severity, why);
    let covered = found.all(look.estate.backups_of(guest)).is_backed_up();
    let to = target.parse().ok().and_then(|vmid| look.one(vmid));
    if let Some(to) = to.filter(|_| covered && disk.backed_up)
        && !found.all(look.estate.backups_of(to)).is_backed_up()
    {
        let why = format!("no backup job takes it, so {name}'s {slot} is no longer backed up");
        found.hit(object(to), Severity::LosesBackup, why);
    }
}

fn grown(look: &Look<'_>, found: &mut Found) {
    let Some((guest, disk)) = named(look) else { return };
    let Some(volume) = disk.volume() else { return };
    shared_with(look, found, guest.vmid, volume, Severity::Degraded, "is of another size than it knows of");
}

/// Its disks get other names.
fn made_a_template(look: &Look<'_>, found: &mut Found) {
    let Some(guest) = look.guest() else { return };
    found.rests_on(look, &[Part::Replication, Part::Ha]);
    let only = look.text("disk");
    let is_meant = |disk: &&Disk| only.as_ref().is_none_or(|only| *only == disk.slot.name());
    for disk in guest.disks.iter().filter(|disk| !disk.pending).filter(is_meant) {
        if let (Some(volume), Role::Boot | Role::Data | Role::Firmware) = (disk.volume(), disk.role) {
            shared_with(look, found, guest.vmid, volume, Severity::WontBoot, "gets another name");
        }
    }
    let cluster = look.estate.cluster();
    let sid = guest.sid();
    if let Some(resource) = cluster.resources.iter().find(|one| one.sid == sid && one.state == "started") {
        found.hit(resource.sid.to_string(), Severity::Degraded, "HA goes on trying to start it, and cannot");
    }
    if !guest.snapshots.is_empty() {
        let names: Vec<String> = guest.snapshots.iter().map(|one| one.name.to_string()).collect();
        let why = format!("{} has snapshots ({}): PVE refuses while it does", called(guest), and(&names));
        found.hit(object(guest), Severity::Degraded, why);
    }
    for job in cluster.replications.iter().filter(|job| job.vmid == guest.vmid && !job.disabled) {
        let why = "the copies on its target have the old names: all is copied again";
        found.hit(format!("replication {}", job.id), Severity::Degraded, why);
    }
}
