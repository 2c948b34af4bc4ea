//! Who is hit beside the field that changes: the thing itself by a table, what depends on it by the estate's graph.
//!
//! In: a change as it was observed, and a [`View`] of what may depend on it, which a [`World`] gathers. Out: objects, how
//! hard each is hit, and why, in a sentence; and what nobody looked at. It must never let what was not looked at pass for
//! unharmed.
//!
//! | file | what it does |
//! | --- | --- |
//! | `world` | gathers what the rules of a call need: the estate, who runs, who is connected, answers of the API |
//! | `look` | what a rule looks at, and how it says what it found |
//! | `rules` | which rules a call has, one file a subject; `alone.txt` names the calls that need none, `unseen.txt` what nobody looks at |
//! | `own` | what a call does to the very thing it is made on |
//! | `backup` | the same on a Backup Server, which has no estate: what its own lists and dry runs say |

mod backup;
mod look;
mod own;
pub mod rules;
mod world;

use std::collections::BTreeSet;

use serde::Serialize;

use super::eyes::Seen;
use crate::catalog::tier::Tier;

pub(super) use backup::is_for_good;
pub use look::{Change, Found, Look, Runs};
use own::by_grounds;
pub use own::own;
pub use world::{Connections, Door, Peer, Sources, View, World};

/// How hard something is hit, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Degraded,
    LosesBackup,
    LosesAccess,
    Stops,
    Unreachable,
    WontBoot,
    DataLost,
}

/// Something that a change hits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Hit {
    /// `lxc/105`, `storage/local-zfs`, `user alice@pve`.
    pub object: String,
    pub severity: Severity,
    pub why: String,
}

/// All that is hit, the worst first, each once; and what was not looked at.
pub fn radius(change: Change<'_>, view: &View) -> Found {
    let mut found = Found { hits: Vec::new(), not_seen: view.not_seen.clone() };
    let endpoint = change.request.endpoint();
    let product = change.request.product();
    let mut rules = rules::of(product, &endpoint).peekable();
    match &view.estate {
        _ if view.told.is_some() => {}
        _ if rules.peek().is_none() && rules::why_alone(product, &endpoint).is_some() => {}
        _ if rules.peek().is_none() => {
            const NO_RULE: &str = "what else depends on it was not looked at: no rule is made for this call";
            found.unseen(rules::what_unseen(product, &endpoint).unwrap_or(NO_RULE));
        }
        Some(estate) => {
            let look = Look { change, view, estate };
            rules.flat_map(|rule| rule.checks).for_each(|check| check(&look, &mut found));
        }
        // Why not is among what the view did not see.
        None => {}
    }
    if let Some(told) = &view.told {
        found.hits.extend(told.hits.iter().cloned());
        told.not_seen.iter().for_each(|what| found.unseen(what.clone()));
    }
    // What a rule says of the same thing says more.
    let told: BTreeSet<(String, Severity)> =
        found.hits.iter().map(|hit| (hit.object.clone(), hit.severity)).collect();
    let has_rules = rules::of(product, &endpoint).next().is_some();
    let looked = view.told.is_some() || view.estate.is_some() && has_rules;
    // What a list of backups or the server's own dry run says is all that goes.
    let of_tables = if view.told.is_some() { Vec::new() } else { own(change, looked) };
    let own = of_tables.into_iter().filter(|hit| !told.contains(&(hit.object.clone(), hit.severity)));
    found.hits.extend(own);
    if found.hits.is_empty() {
        // Of what could not be read, nobody can say that it is unharmed.
        let saw_all = view.told.as_ref().is_none_or(|told| told.not_seen.is_empty());
        let known: &[Tier] = if looked && saw_all { &[Tier::Lockout, Tier::Destructive] } else { &[] };
        found.hits = by_grounds(change.request, known);
    }
    found.hits.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.object.cmp(&b.object)));
    let mut seen = BTreeSet::new();
    found.hits.retain(|hit| seen.insert(hit.clone()));
    if let Some(Seen::Hidden(why)) = &change.observed.subject {
        found.unseen(format!("how it is now could not be read: {why}"));
    }
    if change.request.template().contains("/{vmid}") && change.observed.guest.is_none() {
        found.unseen("the guest's configuration and state could not be read");
    }
    found
}
