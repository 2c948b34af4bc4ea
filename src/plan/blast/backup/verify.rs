//! Which backups are read through for damage, and which no longer are, by a verify job or a call of its own.

use std::collections::BTreeSet;

use super::settings::{Settings, job, object, touches};
use super::shelf::{Group, Shelf, summed};
use super::{Found, Severity};

/// What settles which backups a job reads, and when.
const REACH: &[&str] = &["schedule", "store", "ns", "max-depth", "ignore-verified", "outdated-after"];

/// Reads backups and notes what it found.
pub async fn runs(shelf: &Shelf<'_>, found: &mut Found) {
    let job = match shelf.request.template().starts_with("/admin/datastore/") {
        true => Settings::of_row(&shelf.request.args.clone().into()),
        false => match job(shelf, "verify").await {
            Some(job) => job,
            None => return,
        },
    };
    let store = match job.text("store") {
        none if none.is_empty() => shelf.store(),
        store => store,
    };
    let groups = match shelf.text("backup-id") {
        Some(_) => shelf.named_group().await.into_iter().collect(),
        None => shelf.groups(&store, &job.text("ns"), job.number("max-depth")).await,
    };
    let what = match (shelf.text("backup-time"), &groups[..]) {
        (Some(_), [group]) => format!("one backup of {}", group.owner),
        (_, groups) => summed(groups),
    };
    let why = format!(
        "what is due of {what} is read through, and the disks are busy meanwhile; a broken one is marked, and nothing is removed"
    );
    found.hit(format!("datastore {store}"), Severity::Degraded, why);
}

/// A job that is made.
pub async fn made(shelf: &Shelf<'_>, found: &mut Found) {
    let job = Settings::of_row(&shelf.request.args.clone().into());
    let at = match job.text("schedule") {
        never if never.is_empty() => "whenever somebody runs it".to_owned(),
        at => at,
    };
    let why = format!(
        "in {}, {} are read through {at}, and the disks are busy meanwhile; what was read through once is read again {}",
        job.place(),
        summed(&scope(shelf, &job).await),
        Rest::of(&job).told()
    );
    found.hit(object(shelf, "verify"), Severity::Degraded, why);
}

/// A job that is no more.
pub async fn removed(shelf: &Shelf<'_>, found: &mut Found) {
    let Some(now) = job(shelf, "verify").await else { return };
    let groups = scope(shelf, &now).await;
    no_longer(shelf, found, &now, &groups, "by it any more");
}

pub async fn changed(shelf: &Shelf<'_>, found: &mut Found) {
    let args = &shelf.request.args;
    if !touches(args, REACH) {
        return;
    }
    let Some(now) = job(shelf, "verify").await else { return };
    let next = now.after(args);
    let was = scope(shelf, &now).await;
    let same = ["store", "ns", "max-depth"].iter().all(|name| now.text(name) == next.text(name));
    let (stay, leave): (Vec<Group>, Vec<Group>) = match same {
        true => (was, Vec::new()),
        false => {
            let is: BTreeSet<String> = scope(shelf, &next).await.iter().map(Group::object).collect();
            was.into_iter().partition(|group| is.contains(&group.object()))
        }
    };
    if !leave.is_empty() {
        no_longer(shelf, found, &now, &leave, "by it any more");
    }
    let (was_at, is_at) = (now.text("schedule"), next.text("schedule"));
    if !was_at.is_empty() && is_at.is_empty() {
        return no_longer(shelf, found, &now, &stay, "unless somebody runs it");
    }
    let mut told = |why: String| found.hit(object(shelf, "verify"), Severity::Degraded, why);
    let place = next.place();
    if !was_at.is_empty() && was_at != is_at {
        told(format!("in {place}, {} are read through {is_at}, and no longer {was_at}", summed(&stay)));
    }
    let rests = Rest::of(&next);
    if rests > Rest::of(&now) {
        told(format!(
            "in {place}, of {}, what was read through once is read again {}",
            summed(&stay),
            rests.told()
        ));
    }
}

fn no_longer(shelf: &Shelf<'_>, found: &mut Found, now: &Settings, groups: &[Group], how: &str) {
    let at = match now.text("schedule") {
        never if never.is_empty() => "by hand".to_owned(),
        at => at,
    };
    let why = format!(
        "in {}, {} are not read through {how} ({at} until now): damage is found when they are restored",
        now.place(),
        summed(groups)
    );
    found.hit(object(shelf, "verify"), Severity::Degraded, why);
}

async fn scope(shelf: &Shelf<'_>, job: &Settings) -> Vec<Group> {
    shelf.groups(&job.text("store"), &job.text("ns"), job.number("max-depth")).await
}

/// How long a job leaves alone what was read through and found whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rest {
    None,
    Days(u64),
    Forever,
}

impl Rest {
    /// Where a job says nothing, what was read through once is passed by.
    fn of(job: &Settings) -> Self {
        match (job.is_off("ignore-verified"), job.number("outdated-after")) {
            (true, _) => Self::None,
            (false, Some(days)) => Self::Days(days),
            (false, None) => Self::Forever,
        }
    }

    fn told(self) -> String {
        match self {
            Self::None => "each time".to_owned(),
            Self::Days(days) => format!("after {days} days at the earliest"),
            Self::Forever => "no more".to_owned(),
        }
    }
}
