//! What a sync job removes, sends, or leaves without newer copies: run, made, changed or removed, and its remote with it.
//!
//! A job that fetches can remove here what its source has not got any more, as far as it is its owner's; one that sends
//! can do so at its target. What the other server has, only that one knows.

use super::settings::{Settings, deleted, job, object, touches};
use super::shelf::{Group, Shelf, place, summed, word};
use super::{Found, Severity};

/// What settles when a job runs, from where to where, and what of it. Given, or taken out, each may have it remove or send
/// what it did not before.
const REACH: &[&str] = &[
    "schedule",
    "run-on-mount",
    "remove-vanished",
    "sync-direction",
    "remote",
    "remote-store",
    "remote-ns",
    "store",
    "ns",
    "max-depth",
    "group-filter",
    "owner",
    "transfer-last",
    "encrypted-only",
    "verified-only",
    "active-encryption-key",
];

/// Taken out, these have it do less.
const LESS: &[&str] = &["schedule", "run-on-mount", "remove-vanished"];

/// Whose the backups are that a job fetches, where it does not say.
const DEFAULT_OWNER: &str = "root@pam";

/// A job's two ends as a line names them.
struct Ends {
    sends: bool,
    from: String,
    to: String,
}

impl Ends {
    fn of(job: &Settings) -> Self {
        let far = place(&job.text("remote-store"), &job.text("remote-ns"), "");
        let far = match job.text("remote") {
            here if here.is_empty() => far,
            remote => format!("{far} at {remote}"),
        };
        let here = job.place();
        match job.text("sync-direction") == "push" {
            true => Self { sends: true, from: here, to: far },
            false => Self { sends: false, from: far, to: here },
        }
    }
}

/// A run, by a job or without one, and a job that is made.
pub async fn runs(shelf: &Shelf<'_>, found: &mut Found) {
    let Some(now) = job(shelf, "sync").await else { return };
    let mut args = shelf.request.args.clone();
    if shelf.request.template() == "/push" {
        args.insert("sync-direction".to_owned(), "push".into());
    }
    let named = match shelf.text("id") {
        Some(id) => format!("sync job {id}"),
        None => shelf.request.path().to_owned(),
    };
    let next = now.after(&args);
    reaches(shelf, found, &named, &next).await;
    unmounts(found, &next);
}

/// Of the datastore on a removable disk that a job leaves unmounted.
fn unmounts(found: &mut Found, job: &Settings) {
    if job.is_on("unmount-on-done") {
        let why = "it is unmounted whenever the job has run: nobody can back up to it or restore from it until it is mounted again";
        found.hit(format!("datastore {}", job.text("store")), Severity::Unreachable, why);
    }
}

pub async fn changed(shelf: &Shelf<'_>, found: &mut Found) {
    let args = &shelf.request.args;
    let parts = shelf.flag("unmount-on-done");
    if !parts && !touches(args, REACH) {
        return;
    }
    let Some(now) = job(shelf, "sync").await else { return };
    let next = now.after(args);
    if parts {
        unmounts(found, &next);
    }
    if !touches(args, REACH) {
        return;
    }
    let named = object(shelf, "sync");
    left_behind(shelf, found, &named, &now, &next).await;
    let given = REACH.iter().any(|name| args.get(*name).is_some_and(|value| !value.is_null()));
    let more =
        deleted(args).iter().any(|name| REACH.contains(&name.as_str()) && !LESS.contains(&name.as_str()));
    if !given && !more {
        return;
    }
    reaches(shelf, found, &named, &next).await;
    let ends = Ends::of(&next);
    if !ends.sends && !next.is_on("remove-vanished") {
        let Ends { from, to, .. } = ends;
        let why = format!("it fetches from {from} into {to}, which fills by it, and removes nothing there");
        found.hit(named, Severity::Degraded, why);
    }
}

/// A job that is no more.
pub async fn removed(shelf: &Shelf<'_>, found: &mut Found) {
    let Some(now) = job(shelf, "sync").await else { return };
    let why = format!("{} gets no newer copies by it, and what is there stays", Ends::of(&now).to);
    found.hit(object(shelf, "sync"), Severity::LosesBackup, why);
}

pub async fn remote_removed(shelf: &Shelf<'_>, found: &mut Found) {
    for (id, job) in jobs_by_remote(shelf).await {
        let why = format!("it fails from then on: {} gets no newer copies", Ends::of(&job).to);
        found.hit(format!("sync job {id}"), Severity::LosesBackup, why);
    }
}

/// Another server, or another user at it, by the same name.
pub async fn remote_changed(shelf: &Shelf<'_>, found: &mut Found) {
    if !touches(&shelf.request.args, &["host", "port", "auth-id"]) {
        return;
    }
    for (id, job) in jobs_by_remote(shelf).await {
        let (named, Ends { sends, from, to }) = (format!("sync job {id}"), Ends::of(&job));
        let why = match sends {
            true => format!(
                "{to} is what the remote then leads to: where it went until now gets no newer copies by it"
            ),
            false => format!(
                "{from} is what the remote then leads to: of what is only where it led until now, {to} gets no newer copies"
            ),
        };
        found.hit(named.clone(), Severity::LosesBackup, why);
        reaches(shelf, found, &named, &job).await;
    }
}

async fn jobs_by_remote(shelf: &Shelf<'_>) -> Vec<(String, Settings)> {
    let name = shelf.text("name").unwrap_or_default();
    let rows = shelf.sync_jobs().await;
    let named = rows.iter().filter(|row| word(row, "remote") == name);
    named.map(|row| (word(row, "id"), Settings::of_row(row))).collect()
}

/// What gets no newer copies by a job that is changed, or not by itself.
async fn left_behind(shelf: &Shelf<'_>, found: &mut Found, named: &str, now: &Settings, next: &Settings) {
    let (was, is) = (Ends::of(now), Ends::of(next));
    let mut told = |why: String| found.hit(named, Severity::LosesBackup, why);
    if let (Some(at), None) = (by_itself(now), by_itself(next)) {
        told(format!(
            "it no longer runs by itself ({at} until now): {} gets no newer copies unless somebody runs it",
            was.to
        ));
    }
    if was.to != is.to {
        told(format!("{} gets no newer copies by it, and what is there stays: they go to {}", was.to, is.to));
    }
    if was.from != is.from {
        told(format!("what is in {} is copied by it no more: what is in {} is", was.from, is.from));
    }
    let narrows = narrower(now, next);
    if !narrows.is_empty() {
        told(format!("what {} then leaves out gets no newer copies in {}", narrows.join(" and "), is.to));
    }
    let (was, new) = (owner(now), owner(next));
    if !is.sends && was != new {
        let groups = scope(shelf, next).await;
        for group in groups.iter().filter(|group| owns(&was, group) && !owns(&new, group)) {
            let why =
                format!("{} get no newer ones by it: it leaves alone what is not {new}'s", group.told());
            found.hit(group.object(), Severity::LosesBackup, why);
        }
    }
}

/// When it runs without anybody's call.
fn by_itself(job: &Settings) -> Option<String> {
    let at = job.text("schedule");
    match job.is_on("run-on-mount") {
        _ if !at.is_empty() => Some(at),
        true => Some("when its datastore is mounted".to_owned()),
        false => None,
    }
}

/// By what it passes over more than it did.
fn narrower(now: &Settings, next: &Settings) -> Vec<&'static str> {
    let mut by: Vec<&'static str> = Vec::new();
    if next.has("group-filter") && next.text("group-filter") != now.text("group-filter") {
        by.push("group-filter");
    }
    let depth = |job: &Settings| job.number("max-depth").unwrap_or(u64::MAX);
    if depth(next) < depth(now) {
        by.push("max-depth");
    }
    by.extend(
        ["encrypted-only", "verified-only"].into_iter().filter(|name| next.is_on(name) && !now.is_on(name)),
    );
    by
}

/// What such a job takes away or sends, whenever it runs.
async fn reaches(shelf: &Shelf<'_>, found: &mut Found, named: &str, job: &Settings) {
    let ends = Ends::of(job);
    let removes = job.is_on("remove-vanished");
    if !ends.sends && !removes {
        return;
    }
    let groups = scope(shelf, job).await;
    if job.has("group-filter") {
        shelf.not_seen("which groups its group-filter passes over was not looked at: fewer may be hit");
    }
    let Ends { sends, from, to } = ends;
    if sends {
        let why = format!(
            "what is in {from} leaves for {to} by it, and what comes there later too: {}",
            summed(&groups)
        );
        found.hit(named, Severity::Degraded, why);
        if removes {
            let why = format!("backups there that {from} has not got any more are removed by {named}");
            found.hit(format!("datastore {to}"), Severity::LosesBackup, why);
            shelf.not_seen(format!(
                "which backups the target {to} loses was not looked at: they are another server's"
            ));
        }
        return;
    }
    // What is fetched without a job is whose call it is.
    let by_job = shelf.request.template() != "/pull";
    let owner = owner(job);
    for group in groups.into_iter().filter(|group| !by_job || owns(&owner, group)) {
        let why = format!("of {}, those that {from} has not got any more are removed", group.told());
        found.hit(group.object(), Severity::LosesBackup, why);
    }
    shelf.not_seen("which of them are gone at the source: only the source knows, and it was not asked");
}

async fn scope(shelf: &Shelf<'_>, job: &Settings) -> Vec<Group> {
    shelf.groups(&job.text("store"), &job.text("ns"), job.number("max-depth")).await
}

fn owner(job: &Settings) -> String {
    match job.text("owner") {
        nobody if nobody.is_empty() => DEFAULT_OWNER.to_owned(),
        owner => owner,
    }
}

/// What a token owns is its user's too, and a sync leaves alone what is somebody else's.
fn owns(owner: &str, group: &Group) -> bool {
    let user = group.owner.split('!').next().unwrap_or_default();
    group.owner == owner || user == owner
}
