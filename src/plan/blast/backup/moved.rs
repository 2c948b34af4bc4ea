//! What is elsewhere then, what it is put together with there, and which retention holds for it there.

use super::settings::{self, Settings};
use super::shelf::{Group, Shelf, place, word};
use super::{Found, Severity};

pub async fn moved(shelf: &Shelf<'_>, found: &mut Found) {
    let (store, ns) = (shelf.store(), shelf.text("ns").unwrap_or_default());
    let groups = match shelf.text("backup-id") {
        Some(_) => shelf.named_group().await.into_iter().collect(),
        None => shelf.groups(&store, &ns, shelf.text("max-depth").and_then(|depth| depth.parse().ok())).await,
    };
    let target = shelf.text("target-ns").unwrap_or_default();
    // Of the whole datastore: a namespace that the move makes cannot be asked for.
    let there = shelf.groups(&store, "", None).await;
    let retentions = retentions(shelf, &store).await;
    for group in groups {
        let why = format!("{} are elsewhere: clients that go by the old namespace begin anew", group.told());
        found.hit(group.object(), Severity::Degraded, why);
        let to = beneath(&target, &ns, &group.ns);
        let same = |other: &&Group| other.ns == to && other.kind == group.kind && other.id == group.id;
        let into = there.iter().find(same).filter(|_| to != group.ns && merges(shelf));
        // What prunes them where they are is nothing new, unless it counts them together with others then.
        let is_new = |one: &&Retention| one.covers(&to) && (into.is_some() || !one.covers(&group.ns));
        let holds: Vec<&str> = retentions.iter().filter(is_new).map(|one| one.told.as_str()).collect();
        if !holds.is_empty() {
            let at = place(&store, &to, "");
            let together = if into.is_some() { ", as one group with those that are there" } else { "" };
            let why = format!("in {at} they are pruned by {}{together}", holds.join(" and by "));
            found.hit(group.object(), Severity::LosesBackup, why);
        }
        if let Some(into) = into {
            let why = format!(
                "{} are there already: those of {} are put among them, where the owners are the same, and no call takes them apart again",
                into.told(),
                group.object()
            );
            found.hit(into.object(), Severity::Degraded, why);
        }
    }
}

/// Unless the call says that nothing is to be merged: a server merges where it says nothing.
fn merges(shelf: &Shelf<'_>) -> bool {
    !shelf.is_off("merge-group") && !shelf.is_off("merge-groups")
}

/// Where a group of `ns`, which lies in or below `from`, is once `from` is `target`.
fn beneath(target: &str, from: &str, ns: &str) -> String {
    let rest = ns.strip_prefix(from).unwrap_or_default().trim_matches('/');
    [target, rest].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

struct Retention {
    ns: String,
    depth: Option<u64>,
    told: String,
}

impl Retention {
    fn covers(&self, ns: &str) -> bool {
        let rest = match self.ns.as_str() {
            "" => ns,
            own => match ns.strip_prefix(own) {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
                _ => return false,
            },
        };
        let levels = rest.split('/').filter(|part| !part.is_empty()).count() as u64;
        self.depth.is_none_or(|depth| levels <= depth)
    }
}

/// The prune jobs of a datastore that are not switched off, and its own schedule, which is of all its namespaces.
async fn retentions(shelf: &Shelf<'_>, store: &str) -> Vec<Retention> {
    let told = |name: String, job: &Settings| {
        let kept: Vec<String> = job.kept().iter().map(|(name, value)| format!("{name} {value}")).collect();
        format!("{name} ({})", kept.join(", "))
    };
    let rows = shelf.rows("the prune jobs", "/config/prune", &[], &[]).await;
    let mut all: Vec<Retention> = rows
        .iter()
        .filter(|row| word(row, "store") == store)
        .map(|row| (word(row, "id"), Settings::of_row(row)))
        .filter(|(_, job)| !job.is_on("disable") && !job.kept().is_empty())
        .map(|(id, job)| Retention {
            ns: job.text("ns"),
            depth: job.number("max-depth"),
            told: told(format!("prune job {id}"), &job),
        })
        .collect();
    if let Some(own) = settings::datastore(shelf, store).await
        && own.has("prune-schedule")
        && !own.kept().is_empty()
    {
        all.push(Retention {
            ns: String::new(),
            depth: None,
            told: told("the datastore's own schedule".to_owned(), &own),
        });
    }
    all
}
