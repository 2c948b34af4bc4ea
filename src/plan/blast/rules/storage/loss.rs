//! What is lost of a storage, and who had it: disks, snapshots, saved memory, backups and the jobs that write them.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use super::BACKUPS;
use crate::estate::guest::{Guest, Role};
use crate::estate::volume::Volume;
use crate::estate::{OnStorage, Use, Using};
use crate::plan::blast::look::{and, called, object};
use crate::plan::blast::{Found, Look, Runs, Severity};
use crate::plan::fields::text;

/// What of a storage is lost, and where.
pub(super) struct Loss<'a> {
    pub(super) storage: &'a str,
    /// "lies on nas": how each sentence ends.
    pub(super) end: String,
    pub(super) is_lost_on: &'a dyn Fn(&str) -> bool,
    pub(super) is_lost: &'a dyn Fn(&Guest, Role, Option<&Volume>) -> bool,
    /// Whether backups can no longer be written there.
    pub(super) writes: bool,
    /// Whether those that lie there can no longer be read, from anywhere.
    pub(super) lists: bool,
}

impl<'a> Loss<'a> {
    pub(super) fn whole(storage: &'a str, end: String, is_lost_on: &'a dyn Fn(&str) -> bool) -> Self {
        Self { storage, end, is_lost_on, is_lost: &|_, _, _| true, writes: true, lists: true }
    }
}

pub(super) fn lose(look: &Look<'_>, found: &mut Found, on: &OnStorage, loss: &Loss<'_>) {
    let mut by_guest: BTreeMap<u32, Vec<&Use>> = BTreeMap::new();
    on.uses.iter().for_each(|one| by_guest.entry(one.guest).or_default().push(one));
    for (vmid, uses) in by_guest {
        // One that is on two nodes is looked at once on each.
        for guest in look.estate.guest(vmid).filter(|guest| (loss.is_lost_on)(&guest.node)) {
            let uses: Vec<&Use> = uses.iter().filter(|one| one.node == guest.node).copied().collect();
            of_guest(look, found, guest, &uses, loss);
        }
    }
    if loss.writes {
        jobs(look, found, loss);
    }
    if loss.lists {
        backups(look, found, loss);
    }
}

/// What one guest has there.
fn of_guest(look: &Look<'_>, found: &mut Found, guest: &Guest, uses: &[&Use], loss: &Loss<'_>) {
    let (name, end) = (called(guest), &loss.end);
    let (mut boots, mut needs, mut keeps, mut frozen) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut suspends = false;
    for one in uses {
        match &one.using {
            Using::Disk { role, slot, pending } if (loss.is_lost)(guest, *role, one.volume.as_ref()) => {
                let slot = match pending {
                    true => format!("{} (pending)", slot.name()),
                    false => slot.name(),
                };
                match role {
                    Role::Boot => boots.push(slot),
                    Role::Unused | Role::Leftover => keeps.push(slot),
                    _ => needs.push(slot),
                }
            }
            Using::Disk { .. } => {}
            Using::SnapshotState(snapshot) | Using::SnapshotOnly(snapshot) | Using::SnapshotOn(snapshot) => {
                if (loss.is_lost)(guest, Role::Data, None) && !frozen.contains(snapshot) {
                    frozen.push(snapshot.clone());
                }
            }
            Using::SuspendsTo => suspends = (loss.is_lost)(guest, Role::State, None),
        }
    }
    let lie = |slots: &[String]| if slots.len() == 1 { "lies" } else { "lie" };
    let needed = !boots.is_empty() || !needs.is_empty();
    if needed && guest.template {
        let disks: Vec<String> = boots.iter().chain(&needs).cloned().collect();
        let why =
            format!("template {}'s {} {} {end}: it cannot be cloned", guest.vmid, and(&disks), lie(&disks));
        found.hit(object(guest), Severity::Degraded, why);
    } else if needed {
        let mut why = match (&boots[..], &needs[..]) {
            ([], needs) => {
                let them = if needs.len() == 1 { "it" } else { "them" };
                format!("{name}'s {} {} {end}, and it does not start without {them}", and(needs), lie(needs))
            }
            (boots, []) => format!("{name}'s {} is what it boots from, and lies {end}", and(boots)),
            (boots, needs) => {
                format!(
                    "{name}'s {} is what it boots from, and lies {end}; so {} its {}",
                    and(boots),
                    if needs.len() == 1 { "does" } else { "do" },
                    and(needs)
                )
            }
        };
        if look.runs(guest.vmid) == Runs::Yes {
            why += "; it runs on until it is next stopped";
        }
        found.hit(object(guest), Severity::WontBoot, why);
    }
    if !keeps.is_empty() {
        let why = format!(
            "{name}'s {} {} {end}, and can be neither attached nor removed",
            and(&keeps),
            lie(&keeps)
        );
        found.hit(object(guest), Severity::Degraded, why);
    }
    if !frozen.is_empty() {
        let (names, it) = match &frozen[..] {
            [one] => (format!("snapshot {one}"), "it"),
            many => (
                format!("snapshots {}", and(&many.iter().map(SmolStr::to_string).collect::<Vec<_>>())),
                "them",
            ),
        };
        let have = if frozen.len() == 1 { "has" } else { "have" };
        let why = format!("{name}'s {names} {have} disks {end}: there is no way back to {it}");
        found.hit(object(guest), Severity::Degraded, why);
    }
    if suspends {
        found.hit(
            object(guest),
            Severity::Degraded,
            format!("a suspend of {name} to disk goes to {}", loss.storage),
        );
    }
}

/// Jobs that write there, and the guests that no other job takes.
fn jobs(look: &Look<'_>, found: &mut Found, loss: &Loss<'_>) {
    let cluster = look.estate.cluster();
    let is_hit = |node: Option<&str>| node.is_none_or(|node| (loss.is_lost_on)(node));
    let writes = |job: &str| {
        let mut all = cluster.jobs.iter().filter(|one| one.id == job);
        all.any(|one| one.storage.as_deref() == Some(loss.storage) && is_hit(one.node.as_deref()))
    };
    for job in cluster.jobs.iter().filter(|job| job.enabled && job.storage.is_none()) {
        let what =
            format!("backup job {} names no storage, and where its node writes to was not looked at", job.id);
        found.unseen(what);
    }
    if !cluster.jobs.iter().any(|job| job.enabled && writes(&job.id)) {
        return;
    }
    let mut hit: BTreeSet<SmolStr> = BTreeSet::new();
    for guest in look.estate.guests().filter(|guest| (loss.is_lost_on)(&guest.node)) {
        let covered = found.all(look.estate.backups_of(guest));
        let by: Vec<&SmolStr> = covered.by.iter().filter(|one| one.enabled).map(|one| &one.job).collect();
        hit.extend(by.iter().filter(|job| writes(job)).map(|job| (*job).clone()));
        if !by.is_empty() && by.iter().all(|job| writes(job)) {
            let jobs: Vec<String> = by.iter().map(ToString::to_string).collect();
            let why = format!("{} is backed up by {} alone, to {}", called(guest), and(&jobs), loss.storage);
            found.hit(object(guest), Severity::LosesBackup, why);
        }
    }
    for job in hit {
        let why = format!("it writes its backups to {}", loss.storage);
        found.hit(format!("backup job {job}"), Severity::LosesBackup, why);
    }
}

/// The backups that lie there, as the API lists them.
fn backups(look: &Look<'_>, found: &mut Found, loss: &Loss<'_>) {
    let mut of: BTreeMap<u32, usize> = BTreeMap::new();
    for row in look.rows(BACKUPS) {
        let named =
            row.get("volid").map(text).and_then(|id| Volume::parse(&id)).and_then(|volume| volume.owner());
        let vmid = named.or_else(|| text(row.get("vmid")?).parse().ok());
        *of.entry(vmid.unwrap_or(0)).or_default() += 1;
    }
    for (vmid, count) in of {
        let backups = if count == 1 { "one backup".to_owned() } else { format!("{count} backups") };
        let lie = if count == 1 { "lies" } else { "lie" };
        match look.one(vmid) {
            Some(guest) if !(loss.is_lost_on)(&guest.node) => {}
            Some(guest) => {
                let why = format!("{backups} of {} {lie} on {}", called(guest), loss.storage);
                found.hit(object(guest), Severity::LosesBackup, why);
            }
            None => {
                let why =
                    format!("{backups} {lie} on {}, and the guest itself is no longer there", loss.storage);
                found.hit(format!("guest/{vmid}"), Severity::LosesBackup, why);
            }
        }
    }
}
