//! A rollback, and a snapshot that is removed: the snapshots around it, the disks that only one side has.

use super::Rule;
use crate::estate::guest::{Disk, Guest, Role, Snapshot};
use crate::estate::part::Part;
use crate::plan::blast::look::{and, object};
use crate::plan::blast::{Found, Look, Severity};
use crate::plan::eyes::Seen;

pub const RULES: &[Rule] = &[
    Rule {
        calls: &["POST /nodes/{node}/{kind}/{vmid}/snapshot/{snapname}/rollback"],
        needs: &[],
        checks: &[newer, since, copies],
    },
    Rule {
        calls: &["DELETE /nodes/{node}/{kind}/{vmid}/snapshot/{snapname}"],
        needs: &[],
        checks: &[children, only_there],
    },
];

/// Storages that return to their newest snapshot alone.
const NEWEST_ONLY: &[&str] = &["zfspool", "zfs"];

fn snapshot<'a>(look: &Look<'a>) -> Option<(&'a Guest, &'a Snapshot)> {
    let (guest, name) = (look.guest()?, look.text("snapname")?);
    let snapshot = guest.snapshots.iter().find(|one| one.name == name)?;
    Some((guest, snapshot))
}

/// Snapshots that were taken after it, on storages that cannot go back past them.
fn newer(look: &Look<'_>, found: &mut Found) {
    let Some((guest, this)) = snapshot(look) else { return };
    found.rests_on(look, &[Part::Storages]);
    let is_newer = |other: &&Snapshot| match (other.time, this.time) {
        (Some(other), Some(this)) => other > this,
        _ => guest.lineage(&other.name).skip(1).any(|one| one.name == this.name),
    };
    for other in guest.snapshots.iter().filter(|other| other.name != this.name).filter(is_newer) {
        let blocks = other.storages.iter().filter(|id| this.storages.contains(id)).filter(|id| {
            look.estate.storage(id).is_some_and(|storage| NEWEST_ONLY.contains(&&*storage.kind))
        });
        let on: Vec<String> = blocks.map(ToString::to_string).collect();
        if !on.is_empty() {
            let why = format!(
                "it is newer than {}, and {} goes back to the newest only: PVE refuses until it is removed",
                this.name,
                and(&on)
            );
            found.hit(format!("{} snapshot {}", object(guest), other.name), Severity::DataLost, why);
        }
    }
}

/// Disks that the guest was given after the snapshot.
fn since(look: &Look<'_>, found: &mut Found) {
    let Some((guest, this)) = snapshot(look) else { return };
    let Some(then) = look.change.observed.subject.as_ref().and_then(Seen::object) else {
        found.unseen(format!("which disks snapshot {} has was not seen", this.name));
        return;
    };
    let holds = |disk: &&Disk| matches!(disk.role, Role::Boot | Role::Data | Role::Firmware) && !disk.pending;
    let new = guest.disks.iter().filter(holds).filter_map(|disk| {
        let volume = disk.volume()?.to_string();
        let is_there = then.values().any(|value| {
            let value = crate::plan::fields::text(value);
            let first = value.split(',').next().unwrap_or_default();
            first == volume || first.split_once('=').is_some_and(|(_, named)| named == volume)
        });
        (!is_there).then(|| (disk.slot.name(), volume))
    });
    for (slot, volume) in new {
        let why = format!("{slot} ({volume}) is not in snapshot {}: it becomes an unused disk", this.name);
        found.hit(object(guest), Severity::Degraded, why);
    }
}

fn copies(look: &Look<'_>, found: &mut Found) {
    let Some((guest, _)) = snapshot(look) else { return };
    found.rests_on(look, &[Part::Replication]);
    let jobs = look.estate.cluster().replications.iter();
    for job in jobs.filter(|job| job.vmid == guest.vmid && !job.disabled) {
        let why = "what it copied is newer than the guest then is: the next run may have to copy all of it";
        found.hit(format!("replication {}", job.id), Severity::Degraded, why);
    }
}

fn children(look: &Look<'_>, found: &mut Found) {
    let Some((guest, this)) = snapshot(look) else { return };
    for child in guest.children(&this.name) {
        let onto = match &this.parent {
            Some(parent) => format!("hangs on {parent} from then on"),
            None => "is the first from then on".to_owned(),
        };
        let why = format!("it was taken after {}: it stays, and {onto}", this.name);
        found.hit(format!("{} snapshot {}", object(guest), child.name), Severity::Degraded, why);
    }
}

/// Volumes that nothing else names.
fn only_there(look: &Look<'_>, found: &mut Found) {
    let Some((guest, this)) = snapshot(look) else { return };
    for volume in &this.only_here {
        let others = guest.snapshots.iter().filter(|one| one.name != this.name);
        if !others.into_iter().any(|other| other.only_here.contains(volume)) {
            let why = format!("{volume} is named by snapshot {} alone: nothing has it afterwards", this.name);
            found.hit(object(guest), Severity::Degraded, why);
        }
    }
}
