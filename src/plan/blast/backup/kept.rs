//! What a retention takes, by the server's own dry run: of a prune that is made now, of a prune job, of a datastore.

use serde_json::Value;

use super::settings::{Settings, job, object};
use super::shelf::{Group, NAMED, Shelf, number};
use super::{Found, Severity, lost, many, when};
use crate::plan::fields::truth;
use crate::pve::Rehearsal;

/// Groups of which a dry run is asked for one change.
const MOST_REHEARSALS: usize = 200;

/// What a dry run says of one group.
struct Pruned {
    goes: Vec<i64>,
    stays: usize,
}

pub async fn group(shelf: &Shelf<'_>, found: &mut Found) {
    if shelf.flag("dry-run") {
        return;
    }
    let Some(group) = shelf.named_group().await else { return };
    taken(shelf, found, vec![group], &asked(shelf), "now").await;
}

pub async fn all(shelf: &Shelf<'_>, found: &mut Found) {
    if shelf.flag("dry-run") {
        return;
    }
    let (store, ns) = (shelf.store(), shelf.text("ns").unwrap_or_default());
    let depth = shelf.text("max-depth").and_then(|depth| depth.parse().ok());
    let groups = shelf.groups(&store, &ns, depth).await;
    taken(shelf, found, groups, &asked(shelf), "now").await;
}

/// A job that runs now, or by its schedule from then on.
pub async fn by_job(shelf: &Shelf<'_>, found: &mut Found) {
    let Some(now) = job(shelf, "prune").await else { return };
    let next = now.after(&shelf.request.args);
    let by_hand = shelf.request.template().ends_with("/run");
    if next.is_on("disable") && !by_hand {
        if now.has("store") && !now.is_on("disable") {
            idle(shelf, found, &now);
        }
        return;
    }
    let groups = shelf.groups(&next.text("store"), &next.text("ns"), next.number("max-depth")).await;
    let at = if by_hand { "now" } else { "when the job runs next" };
    taken(shelf, found, groups, &next.kept(), at).await;
}

/// A prune job that is no more.
pub async fn job_removed(shelf: &Shelf<'_>, found: &mut Found) {
    if let Some(now) = job(shelf, "prune").await {
        idle(shelf, found, &now);
    }
}

fn idle(shelf: &Shelf<'_>, found: &mut Found, now: &Settings) {
    let why = format!("nothing is pruned in {} by it, and the datastore fills", now.place());
    found.hit(object(shelf, "prune"), Severity::Degraded, why);
}

/// What goes of these groups where this is kept. With nothing to keep by, all is kept.
pub async fn taken(
    shelf: &Shelf<'_>,
    found: &mut Found,
    groups: Vec<Group>,
    keep: &[(String, String)],
    at: &str,
) {
    if groups.len() > MOST_REHEARSALS {
        let more = groups.len() - MOST_REHEARSALS;
        shelf.not_seen(format!("what the retention takes of {} more was not asked", many(more, "group")));
    }
    for group in groups.into_iter().take(MOST_REHEARSALS) {
        if let Some(pruned) = rehearsed(shelf, &group, keep).await {
            tell(found, &group, pruned, at);
        }
    }
}

fn asked(shelf: &Shelf<'_>) -> Vec<(String, String)> {
    Settings::default().after(&shelf.request.args).kept()
}

fn tell(found: &mut Found, group: &Group, pruned: Pruned, at: &str) {
    let mut goes = pruned.goes;
    if goes.is_empty() {
        return;
    }
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

async fn rehearsed(shelf: &Shelf<'_>, group: &Group, keep: &[(String, String)]) -> Option<Pruned> {
    let rows = match dry_run(shelf, group, keep).await {
        Ok(rows) => rows,
        Err(why) => {
            shelf.not_seen(format!("the server's dry run of {} could not be had: {why}", group.object()));
            return None;
        }
    };
    let stays = |row: &&Value| {
        ["keep", "protected"]
            .iter()
            .any(|name| row.get(*name).is_some_and(|value| truth(value) == Some(true)))
    };
    Some(Pruned {
        goes: rows.iter().filter(|row| !stays(row)).filter_map(|row| number(row, "backup-time")).collect(),
        stays: rows.iter().filter(stays).count(),
    })
}

async fn dry_run(shelf: &Shelf<'_>, group: &Group, keep: &[(String, String)]) -> Result<Vec<Value>, String> {
    let rehearsal = Rehearsal::prune(&group.store, &group.ns, &group.kind, &group.id, keep);
    let rehearsal = rehearsal.map_err(|error| error.to_string())?;
    let answer = shelf.eyes.client.rehearse(&rehearsal).await.map_err(|error| error.to_string())?;
    answer.data().map_err(|error| error.to_string())
}
