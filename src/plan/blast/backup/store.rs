//! A datastore that is no more, is away, is collected, or is configured otherwise.

use super::settings::{self, Settings, deleted, is_keep, touches};
use super::shelf::{Shelf, number, place, summed, word};
use super::{Found, Severity, kept, lost};

/// A datastore that is no more, with its backups or without.
pub async fn removed(shelf: &Shelf<'_>, found: &mut Found) {
    let store = shelf.store();
    let groups = shelf.groups(&store, "", None).await;
    let destroyed = shelf.flag("destroy-data");
    for group in groups {
        let told = group.told();
        match destroyed {
            true => lost(found, group.object(), format!("{told} are destroyed with the datastore")),
            false => found.hit(
                group.object(),
                Severity::Unreachable,
                format!("{told} stay on the disk, and nobody can restore them until the datastore is made again there"),
            ),
        }
    }
    found.hit(format!("datastore {store}"), Severity::LosesBackup, "whoever backs up to it is refused");
    jobs(shelf, found, &store).await;
}

/// The jobs of every kind that are of a datastore, and those that read from it into another.
async fn jobs(shelf: &Shelf<'_>, found: &mut Found, store: &str) {
    let why = match shelf.flag("keep-job-configs") {
        true => "the job stays, and fails until the datastore is made again",
        false => "the job goes with its datastore",
    };
    for (kind, template) in [
        ("prune", "/config/prune"),
        ("sync", ""),
        ("verify", "/config/verify"),
        ("tape backup", "/config/tape-backup-job"),
    ] {
        let rows = match kind {
            "sync" => shelf.sync_jobs().await,
            _ => shelf.rows(&format!("the {kind} jobs"), template, &[], &[]).await,
        };
        for row in rows {
            let job = format!("{kind} job {}", word(&row, "id"));
            if word(&row, "store") == store {
                found.hit(job, Severity::LosesBackup, why);
            } else if kind == "sync" && word(&row, "remote").is_empty() && word(&row, "remote-store") == store
            {
                // Without a remote, the other datastore is one of this server.
                let to = place(&word(&row, "store"), &word(&row, "ns"), "");
                let why =
                    format!("it fetches from {store}, and fails from then on: {to} gets no newer copies");
                found.hit(job, Severity::LosesBackup, why);
            }
        }
    }
}

pub async fn changed(shelf: &Shelf<'_>, found: &mut Found) {
    let (store, args) = (shelf.store(), &shelf.request.args);
    let object = format!("datastore {store}");
    if let Some(mode) = shelf.text("maintenance-mode") {
        maintained(shelf, found, &mode).await;
    }
    if touches(args, &["notify", "notify-user", "notification-mode"]) {
        let why = "of what fails there, others are told from then on, or nobody";
        found.hit(object, Severity::Degraded, why);
    }
    let collects = collects(shelf);
    if !collects.is_empty() {
        collected(shelf, found, &format!("{}, ", collects.join(" and "))).await;
    }
    let is_its_own =
        |name: &str| is_keep(name) || ["prune-schedule", "gc-schedule", "verify-new"].contains(&name);
    if !args.keys().any(|name| is_its_own(name)) && !deleted(args).iter().any(|name| is_its_own(name)) {
        return;
    }
    if let Some(now) = settings::datastore(shelf, &store).await {
        by_its_own(shelf, found, &now).await;
    }
}

/// What a maintenance keeps from whom: only the one that is called read-only lets restores go on.
async fn maintained(shelf: &Shelf<'_>, found: &mut Found, mode: &str) {
    let (severity, why) = match mode_of(mode).as_str() {
        "read-only" => (
            Severity::LosesBackup,
            "nobody can back up to it, and nothing is pruned or collected there, until the maintenance is over; restores go on",
        ),
        "delete" => (
            Severity::Unreachable,
            "nobody can back up to it or restore from it: it is taken for one that is being removed, and no call ends that",
        ),
        "unmount" => {
            (Severity::Unreachable, "nobody can back up to it or restore from it until it is mounted again")
        }
        _ => (
            Severity::Unreachable,
            "nobody can back up to it or restore from it until the maintenance is over",
        ),
    };
    away(shelf, found, &shelf.store(), severity, why).await;
}

/// A datastore that is not to be had, and whose backups are in it.
pub async fn away(shelf: &Shelf<'_>, found: &mut Found, store: &str, severity: Severity, why: &str) {
    let groups = shelf.groups(store, "", None).await;
    found.hit(format!("datastore {store}"), severity, format!("{why}. There are {}", summed(&groups)));
}

/// The kind of maintenance in `offline,message=x` or `type=offline`.
fn mode_of(mode: &str) -> String {
    let kind = |property: &str| match property.split_once('=') {
        None => Some(property.trim().to_owned()),
        Some((name, kind)) => (name.trim() == "type").then(|| kind.trim().to_owned()),
    };
    mode.split(',').find_map(kind).unwrap_or_default()
}

/// Whether no call ends such a maintenance.
pub fn is_for_good(mode: &str) -> bool {
    mode_of(mode) == "delete"
}

/// When the arguments have garbage collected.
fn collects(shelf: &Shelf<'_>) -> Vec<&'static str> {
    let args = &shelf.request.args;
    let mut at = Vec::new();
    if shelf.text("gc-schedule").is_some_and(|schedule| !schedule.is_empty()) {
        at.push("by its schedule");
    }
    if args.contains_key("gc-on-unmount") && !shelf.is_off("gc-on-unmount") {
        at.push("whenever it is unmounted");
    }
    if touches(args, &["tuning"]) {
        at.push("at the next collection, as soon as its tuning then says");
    }
    at
}

/// What it does by itself, and would no more or otherwise: pruning, collecting, reading through what comes.
async fn by_its_own(shelf: &Shelf<'_>, found: &mut Found, now: &Settings) {
    let (store, args) = (shelf.store(), &shelf.request.args);
    let next = now.after(args);
    let stops = |name: &str| now.has(name) && !next.has(name);
    if now.is_on("verify-new") && !next.is_on("verify-new") {
        let groups = shelf.groups(&store, "", None).await;
        let why = format!(
            "new backups are no longer read through as they come: damage is found by a later look, or when they are restored. There are {}",
            summed(&groups)
        );
        found.hit(format!("datastore {store}"), Severity::Degraded, why);
    }
    for (ends, why) in [
        (stops("prune-schedule"), "nothing is pruned there by its own schedule, and it fills"),
        (stops("gc-schedule"), "nothing is freed there by itself, and it fills"),
    ] {
        if ends {
            found.hit(format!("datastore {store}"), Severity::Degraded, why);
        }
    }
    let given = args.keys().any(|name| is_keep(name) || name == "prune-schedule");
    if !given && !deleted(args).iter().any(|name| is_keep(name)) {
        return;
    }
    let keep = next.kept();
    if !keep.is_empty() {
        let groups = shelf.groups(&store, "", None).await;
        kept::taken(shelf, found, groups, &keep, "when it is pruned next").await;
    }
}

pub async fn unmounted(shelf: &Shelf<'_>, found: &mut Found) {
    let why = "nobody can back up to it or restore from it until it is mounted again";
    away(shelf, found, &shelf.store(), Severity::Unreachable, why).await;
}

/// What garbage collection frees, and when. Backups that are there lose nothing by it.
pub async fn collected(shelf: &Shelf<'_>, found: &mut Found, at: &str) {
    let store = shelf.store();
    let named = [("store", store.as_str())];
    let last = shelf.get("how the last collection ended", "/admin/datastore/{store}/gc", &named, &[]).await;
    let pending = last.and_then(|last| number(&last, "pending-bytes")).filter(|bytes| *bytes > 0);
    let pending = pending
        .map(|bytes| format!("; at the last one {bytes} bytes waited for their time"))
        .unwrap_or_default();
    found.hit(
        format!("datastore {store}"),
        Severity::Degraded,
        format!("{at}chunks that no backup names are freed, so what was forgotten cannot be had back; no backup loses any, and the disks are busy{pending}"),
    );
}
