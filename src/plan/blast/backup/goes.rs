//! What is removed, or cannot be had any more: datastores, namespaces, groups, backups, and what a retention or a sync takes.

use serde_json::{Map, Value};

use super::shelf::{Group, Pruned, Shelf, number, place, word};
use super::{Found, Severity, lost, many, when};
use crate::catalog::list as listed;
use crate::plan::fields::{text, truth};

/// Backups that one line names; the rest are counted.
const NAMED: usize = 5;

pub async fn group(shelf: &Shelf<'_>, found: &mut Found) {
    let Some(group) = shelf.named_group().await else { return };
    let protected = shelf.backups(&group).await.iter().filter(|backup| backup.protected).count();
    if protected > 0 {
        let why =
            format!("{} of it are protected: the server keeps those, and says so", many(protected, "backup"));
        found.hit(group.object(), Severity::Degraded, why);
    }
    let why = format!(
        "{} go with the group",
        Group { count: group.count - protected.min(group.count), ..group.clone() }.told()
    );
    lost(found, group.object(), why);
}

pub async fn snapshot(shelf: &Shelf<'_>, found: &mut Found) {
    let Some(group) = shelf.named_group().await else { return };
    let Some(time) = shelf.text("backup-time").and_then(|time| time.parse::<i64>().ok()) else { return };
    let backups = shelf.backups(&group).await;
    let Some(backup) = backups.iter().find(|backup| backup.time == time) else { return };
    let object = format!(
        "backup {}",
        place(&group.store, &group.ns, &format!("{}/{}/{}", group.kind, group.id, when(time)))
    );
    if backup.protected {
        return found.hit(object, Severity::Degraded, "it is protected: the server refuses to remove it");
    }
    let others: Vec<i64> = backups.iter().map(|other| other.time).filter(|other| *other != time).collect();
    let left = match others.iter().max() {
        None => format!("it is the only backup of {}/{}", group.kind, group.id),
        Some(newest) if *newest < time => {
            format!("it is the newest; what is left is of {} and before", when(*newest))
        }
        Some(newest) => format!("{} stay, the newest of {}", many(others.len(), "other"), when(*newest)),
    };
    lost(found, object, format!("a backup of {} is gone: {left}", backup.owner));
}

pub async fn unprotected(shelf: &Shelf<'_>, found: &mut Found) {
    if !shelf.is_off("protected") {
        return;
    }
    let Some(group) = shelf.named_group().await else { return };
    let why = format!("the next prune may take the backup of {}", group.owner);
    found.hit(group.object(), Severity::LosesBackup, why);
}

pub async fn namespace(shelf: &Shelf<'_>, found: &mut Found) {
    let (store, ns) = (shelf.store(), shelf.text("ns").unwrap_or_default());
    if !shelf.flag("delete-groups") {
        let object = format!("namespace {}", place(&store, &ns, ""));
        return found.hit(
            object,
            Severity::Degraded,
            "it and those below it go where no backup is in them; the others stay",
        );
    }
    for group in shelf.groups(&store, &ns, None).await {
        lost(found, group.object(), format!("{} go with the namespace", group.told()));
    }
}

/// A datastore that is no more, with its backups or without.
pub async fn datastore(shelf: &Shelf<'_>, found: &mut Found) {
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
    if !shelf.flag("keep-job-configs") {
        for (kind, id) in jobs(shelf, &store).await {
            found.hit(format!("{kind} job {id}"), Severity::LosesBackup, "the job goes with its datastore");
        }
    }
}

/// The jobs of every kind that name a datastore.
async fn jobs(shelf: &Shelf<'_>, store: &str) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
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
        let of_it = rows.iter().filter(|row| word(row, "store") == store);
        all.extend(of_it.map(|row| (kind, word(row, "id"))));
    }
    all
}

pub async fn datastore_changed(shelf: &Shelf<'_>, found: &mut Found) {
    let store = shelf.store();
    if let Some(mode) = shelf.text("maintenance-mode") {
        let (severity, why) = match mode.contains("offline") || mode.contains("delete") {
            true => (
                Severity::Unreachable,
                "nobody can back up to it or restore from it until the maintenance is over",
            ),
            false => (
                Severity::LosesBackup,
                "nobody can back up to it until the maintenance is over; restores go on",
            ),
        };
        found.hit(format!("datastore {store}"), severity, why);
    }
    let keep = kept(&shelf.request.args);
    if !keep.is_empty() {
        let groups = shelf.groups(&store, "", None).await;
        tell_pruned(found, shelf.all_rehearsed(groups, &keep).await, "when it is pruned next");
    }
}

pub async fn unmounted(shelf: &Shelf<'_>, found: &mut Found) {
    let object = format!("datastore {}", shelf.store());
    found.hit(
        object,
        Severity::Unreachable,
        "nobody can back up to it or restore from it until it is mounted again",
    );
}

/// What garbage collection frees. Backups that are there lose nothing by it.
pub async fn collected(shelf: &Shelf<'_>, found: &mut Found) {
    let store = shelf.store();
    let named = [("store", store.as_str())];
    let Some(last) =
        shelf.get("how the last collection ended", "/admin/datastore/{store}/gc", &named, &[]).await
    else {
        return;
    };
    let pending = number(&last, "pending-bytes").filter(|bytes| *bytes > 0);
    let pending = pending
        .map(|bytes| format!("; at the last one {bytes} bytes waited for their time"))
        .unwrap_or_default();
    found.hit(
        format!("datastore {store}"),
        Severity::Degraded,
        format!("chunks that no backup names are freed, so what was forgotten cannot be had back; no backup loses any, and the disks are busy{pending}"),
    );
}

pub async fn moved(shelf: &Shelf<'_>, found: &mut Found) {
    let (store, ns) = (shelf.store(), shelf.text("ns").unwrap_or_default());
    let groups = match shelf.text("backup-id") {
        Some(_) => shelf.named_group().await.into_iter().collect(),
        None => shelf.groups(&store, &ns, shelf.text("max-depth").and_then(|depth| depth.parse().ok())).await,
    };
    for group in groups {
        let why = format!("{} are elsewhere: clients that go by the old namespace begin anew", group.told());
        found.hit(group.object(), Severity::Degraded, why);
    }
}

pub async fn pruned(shelf: &Shelf<'_>, found: &mut Found) {
    if shelf.flag("dry-run") {
        return;
    }
    let Some(group) = shelf.named_group().await else { return };
    let keep = kept(&shelf.request.args);
    tell_pruned(found, shelf.all_rehearsed(vec![group], &keep).await, "now");
}

pub async fn pruned_all(shelf: &Shelf<'_>, found: &mut Found) {
    if shelf.flag("dry-run") {
        return;
    }
    let (store, ns) = (shelf.store(), shelf.text("ns").unwrap_or_default());
    let depth = shelf.text("max-depth").and_then(|depth| depth.parse().ok());
    let groups = shelf.groups(&store, &ns, depth).await;
    tell_pruned(found, shelf.all_rehearsed(groups, &kept(&shelf.request.args)).await, "now");
}

/// A job that runs now, or by its schedule from then on.
pub async fn pruned_by_job(shelf: &Shelf<'_>, found: &mut Found) {
    let mut job = job_of(shelf, "prune").await;
    job.extend(shelf.request.args.clone());
    for name in listed(&job.get("delete").map(text).unwrap_or_default()) {
        job.remove(name);
    }
    if job.get("disable").is_some_and(|value| truth(value) == Some(true))
        && !shelf.request.template().ends_with("/run")
    {
        return;
    }
    let of = |name: &str| job.get(name).map(text).unwrap_or_default();
    let groups = shelf.groups(&of("store"), &of("ns"), of("max-depth").parse().ok()).await;
    let by_hand = shelf.request.template().ends_with("/run");
    let at = if by_hand { "now" } else { "when the job runs next" };
    tell_pruned(found, shelf.all_rehearsed(groups, &kept(&job)).await, at);
}

/// The job that the path names, as it is now.
async fn job_of(shelf: &Shelf<'_>, kind: &str) -> Map<String, Value> {
    let Some(id) = shelf.request.captured.get("id").map(text) else { return Map::new() };
    let template = format!("/config/{kind}/{{id}}");
    match shelf.get(&format!("the {kind} job"), &template, &[("id", &id)], &[]).await {
        Some(Value::Object(job)) => job,
        _ => Map::new(),
    }
}

fn kept(args: &Map<String, Value>) -> Vec<(String, String)> {
    let is_keep = |name: &String| name.starts_with("keep-") && name != "keep-job-configs";
    args.iter().filter(|(name, _)| is_keep(name)).map(|(name, value)| (name.clone(), text(value))).collect()
}

fn tell_pruned(found: &mut Found, all: Vec<(Group, Pruned)>, at: &str) {
    for (group, pruned) in all.into_iter().filter(|(_, pruned)| !pruned.goes.is_empty()) {
        let mut goes = pruned.goes;
        goes.sort_unstable_by(|a, b| b.cmp(a));
        let named: Vec<String> = goes.iter().take(NAMED).map(|time| when(*time)).collect();
        let more = match goes.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} older"),
        };
        let why = format!(
            "{} of {} go {at}, by the server's own dry run ({}{more}); {} stay",
            many(goes.len(), "backup"),
            group.owner,
            named.join(", "),
            pruned.stays
        );
        lost(found, group.object(), why);
    }
}

/// A sync that removes what its source has not got any more. What that is, only the source knows.
pub async fn vanished(shelf: &Shelf<'_>, found: &mut Found) {
    let mut job = job_of(shelf, "sync").await;
    job.extend(shelf.request.args.clone());
    if job.get("remove-vanished").is_none_or(|value| truth(value) != Some(true)) {
        return;
    }
    let of = |name: &str| job.get(name).map(text).unwrap_or_default();
    if of("sync-direction") == "push" {
        shelf.not_seen(format!(
            "which backups the target {} loses was not looked at: they are another server's",
            of("remote")
        ));
        return;
    }
    let owner = of("owner");
    let groups = shelf.groups(&of("store"), &of("ns"), of("max-depth").parse().ok()).await;
    // A sync leaves alone what is somebody else's.
    for group in groups.into_iter().filter(|group| owner.is_empty() || group.owner == owner) {
        let why = format!(
            "of {}, those that {} has not got any more are removed",
            group.told(),
            of("remote-store")
        );
        found.hit(group.object(), Severity::LosesBackup, why);
    }
    shelf.not_seen("which of them are gone at the source: only the source knows, and it was not asked");
}

pub async fn remote(shelf: &Shelf<'_>, found: &mut Found) {
    let name = shelf.text("name").unwrap_or_default();
    for row in shelf.sync_jobs().await {
        if word(&row, "remote") == name {
            let why = format!("it fails from then on: {} gets no newer copies", word(&row, "store"));
            found.hit(format!("sync job {}", word(&row, "id")), Severity::LosesBackup, why);
        }
    }
}

pub async fn job(shelf: &Shelf<'_>, found: &mut Found) {
    let kind = shelf.request.template().trim_start_matches("/config/").trim_end_matches("/{id}").to_owned();
    let job = job_of(shelf, &kind).await;
    let of = |name: &str| job.get(name).map(text).unwrap_or_default();
    let place = place(&of("store"), &of("ns"), "");
    let (severity, why) = match kind.as_str() {
        "prune" => {
            (Severity::Degraded, format!("nothing is pruned in {place} by it, and the datastore fills"))
        }
        "sync" => {
            (Severity::LosesBackup, format!("{place} gets no newer copies by it, and what is there stays"))
        }
        _ => (
            Severity::Degraded,
            format!("backups in {place} are not read through by it: damage is found when they are restored"),
        ),
    };
    found.hit(format!("{kind} job {}", shelf.text("id").unwrap_or_default()), severity, why);
}
