//! Which guest is without a backup when a job changes, or backups go.

use std::collections::BTreeMap;

use serde_json::Value;
use smol_str::SmolStr;

use super::{Get, Need, Rule};
use crate::estate::guest::Guest;
use crate::estate::jobs::{BackupJob, Chosen};
use crate::estate::volume::{Content, Volume};
use crate::plan::blast::look::{and, called, called_of, object, object_of};
use crate::plan::blast::{Found, Look, Severity};
use crate::plan::eyes::Seen;
use crate::plan::fields::text;

const KEPT: &str = "what the retention would keep";

const DRY_RUN: Need = Need::Get(Get {
    name: KEPT,
    template: "/nodes/{node}/storage/{storage}/prunebackups",
    with: &[("prune-backups", "{prune-backups}")],
});

pub const RULES: &[Rule] = &[
    Rule { calls: &["DELETE /cluster/backup/{id}"], needs: &[], checks: &[job_removed] },
    Rule { calls: &["PUT /cluster/backup/{id}"], needs: &[], checks: &[job_changed, job_keeps_less] },
    Rule { calls: &["POST /nodes/{node}/vzdump"], needs: &[Need::Status], checks: &[halts] },
    Rule { calls: &["DELETE /nodes/{node}/storage/{storage}/prunebackups"], needs: &[], checks: &[pruned] },
    Rule { calls: &["PUT /storage/{storage}"], needs: &[DRY_RUN], checks: &[keeps_less] },
    Rule {
        calls: &["PUT /nodes/{node}/storage/{storage}/content/{volume}"],
        needs: &[],
        checks: &[unprotected],
    },
];

/// The guests that jobs that run took, and that none takes then; with the jobs that did.
pub fn bare(
    look: &Look<'_>,
    found: &mut Found,
    jobs: &[BackupJob],
    pool: &dyn Fn(&Guest) -> Option<SmolStr>,
    why: &dyn Fn(&Guest, &str) -> String,
) {
    // Any question of backups says what of jobs, pools and guests was not seen.
    found.all(look.estate.only_backed_up_by(""));
    let cluster = look.estate.cluster();
    for guest in look.estate.guests() {
        let now = cluster.access.pool_of(guest.vmid).map(SmolStr::as_str);
        let by = |job: &&BackupJob| job.enabled && job.covers(guest, now);
        let was: Vec<String> = cluster.jobs.iter().filter(by).map(|job| job.id.to_string()).collect();
        let then = pool(guest);
        if !was.is_empty() && !jobs.iter().any(|job| job.enabled && job.covers(guest, then.as_deref())) {
            found.hit(object(guest), Severity::LosesBackup, why(guest, &and(&was)));
        }
    }
}

pub fn pool_now<'a>(look: &Look<'a>) -> impl Fn(&Guest) -> Option<SmolStr> + use<'a> {
    let access = &look.estate.cluster().access;
    |guest| access.pool_of(guest.vmid).cloned()
}

fn told(guest: &Guest, was: &str) -> String {
    let only = if was.contains(" and ") { "were the only jobs" } else { "was the only job" };
    format!("{} is backed up by nothing any more: {was} {only} that took it", called(guest))
}

fn job_removed(look: &Look<'_>, found: &mut Found) {
    let Some(id) = look.text("id") else { return };
    let mut jobs = look.estate.cluster().jobs.as_ref().clone();
    jobs.retain(|job| job.id != id);
    bare(look, found, &jobs, &pool_now(look), &told);
}

fn job_changed(look: &Look<'_>, found: &mut Found) {
    let Some(id) = look.text("id") else { return };
    let mut jobs = look.estate.cluster().jobs.as_ref().clone();
    let Some(job) = jobs.iter_mut().find(|job| job.id == id) else { return };
    let gone = look.list("delete");
    let is_gone = |key: &str| gone.iter().any(|name| name == key);
    if look.is_off("enabled") {
        job.enabled = false;
    } else if look.flag("enabled") || is_gone("enabled") {
        job.enabled = true;
    }
    if let Some(node) = look.text("node").filter(|node| !node.is_empty()) {
        job.node = Some(node.into());
    } else if is_gone("node") {
        job.node = None;
    }
    let ids = |key: &str| -> Box<[u32]> { look.list(key).iter().filter_map(|id| id.parse().ok()).collect() };
    let given = |key: &str| look.request().args.contains_key(key);
    // Who is taken is said anew, or stays.
    job.chosen = match &job.chosen {
        _ if given("vmid") => Chosen::Guests(ids("vmid")),
        _ if given("pool") => Chosen::Pool(look.text("pool").unwrap_or_default().into()),
        Chosen::AllBut(_) if look.is_off("all") || is_gone("all") => Chosen::Nothing,
        Chosen::AllBut(_) if given("exclude") => Chosen::AllBut(ids("exclude")),
        Chosen::AllBut(_) if is_gone("exclude") => Chosen::AllBut(Box::default()),
        Chosen::AllBut(but) => Chosen::AllBut(but.clone()),
        _ if look.flag("all") => Chosen::AllBut(ids("exclude")),
        Chosen::Guests(_) if is_gone("vmid") => Chosen::Nothing,
        Chosen::Pool(_) if is_gone("pool") => Chosen::Nothing,
        stays => stays.clone(),
    };
    bare(look, found, &jobs, &pool_now(look), &told);
}

fn job_keeps_less(look: &Look<'_>, found: &mut Found) {
    let (Some(id), Some(keep)) = (look.text("id"), look.text("prune-backups")) else { return };
    let jobs = &look.estate.cluster().jobs;
    let same = jobs.iter().any(|job| job.id == id && job.prune.as_deref() == Some(keep.as_str()));
    if !same && !keep.contains("keep-all=1") {
        let why = format!("each time it runs, the backups of its guests go that {keep} does not keep");
        found.hit(format!("backup job {id}"), Severity::LosesBackup, why);
    }
}

/// A backup in mode `stop` or `suspend` takes the guest away from its users.
fn halts(look: &Look<'_>, found: &mut Found) {
    let how = match look.text("mode").as_deref() {
        Some("stop") => "is shut down, backed up while it starts again, and is away meanwhile",
        Some("suspend") => "stands still while it is backed up",
        _ => return,
    };
    let (node, pool) = (look.text("node").unwrap_or_default(), look.text("pool"));
    let (named, but) = (look.list("vmid"), look.list("exclude"));
    let is_in = |list: &[String], guest: &Guest| list.iter().any(|id| *id == guest.vmid.to_string());
    for guest in look.estate.guests().filter(|guest| guest.node == node && look.may_run(guest.vmid)) {
        let held = look.estate.cluster().access.pool_of(guest.vmid).map(SmolStr::as_str);
        let taken = is_in(&named, guest) || look.flag("all") || (pool.is_some() && pool.as_deref() == held);
        if taken && !is_in(&but, guest) {
            found.hit(object(guest), Severity::Stops, format!("{} {how}", called(guest)));
        }
    }
}

/// How many of a guest's backups go, and stay.
#[derive(Default)]
struct Count {
    goes: usize,
    stays: usize,
}

fn counted(rows: &[Value]) -> BTreeMap<u32, Count> {
    let mut all: BTreeMap<u32, Count> = BTreeMap::new();
    for row in rows {
        let Some(vmid) = row.get("vmid").and_then(|vmid| text(vmid).parse().ok()) else { continue };
        let count = all.entry(vmid).or_default();
        match row.get("mark").map(text).as_deref() {
            Some("remove") => count.goes += 1,
            _ => count.stays += 1,
        }
    }
    all
}

fn lose(look: &Look<'_>, found: &mut Found, rows: &[Value], when: &str) {
    let storage = look.text("storage").unwrap_or_default();
    for (vmid, Count { goes, stays }) in counted(rows) {
        let name = called_of(look, vmid);
        let gone = match goes {
            0 => continue,
            1 => format!("one backup of {name} on {storage} is removed{when}"),
            goes => format!("{goes} backups of {name} on {storage} are removed{when}"),
        };
        let why = match stays {
            0 => format!("{gone}: none stays there"),
            1 => format!("{gone}, and one stays"),
            stays => format!("{gone}, and {stays} stay"),
        };
        found.hit(object_of(look, vmid), Severity::LosesBackup, why);
    }
}

/// The API's own dry run is what the plan rests on.
fn pruned(look: &Look<'_>, found: &mut Found) {
    match &look.change.observed.subject {
        Some(Seen::There(Value::Array(rows))) => lose(look, found, rows, ""),
        _ => found.unseen("which backups would be removed: the dry run gave no answer"),
    }
}

fn keeps_less(look: &Look<'_>, found: &mut Found) {
    if look.text("prune-backups").is_some() {
        lose(look, found, look.rows(KEPT), " the next time they are pruned");
    }
}

/// The guest whose backup the call's volume is.
fn backup_of(look: &Look<'_>) -> Option<u32> {
    let (storage, name) = (look.text("storage")?, look.text("volume")?);
    let id = if name.contains(':') { name } else { format!("{storage}:{name}") };
    let volume = Volume::parse(&id).filter(|volume| volume.content() == Content::Backup)?;
    volume.owner()
}

fn unprotected(look: &Look<'_>, found: &mut Found) {
    let Some(vmid) = backup_of(look) else { return };
    if look.is_off("protected") {
        let why = format!("this backup of {} goes when it is next pruned", called_of(look, vmid));
        found.hit(object_of(look, vmid), Severity::LosesBackup, why);
    }
}
