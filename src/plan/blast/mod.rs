//! Who is hit beside the field that changes: the thing itself by a table, what depends on it by the estate's graph.
//!
//! In: a change as it was observed. Out: objects, how hard each is hit, and why, in a sentence; and what nobody looked at.
//! It must never let what was not looked at pass for unharmed.

mod own;

use serde::Serialize;

use super::Request;
use super::fields::Effect;
use super::observe::Observed;

pub use own::own;

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// `lxc/105`, `storage/local-zfs`, `user alice@pve`.
    pub object: String,
    pub severity: Severity,
    pub why: String,
}

/// What rules look at.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    pub request: &'a Request,
    pub observed: &'a Observed,
    pub effects: &'a [Effect],
}

/// What a look at the world found, and where it could not look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    pub hits: Vec<Hit>,
    pub not_seen: Vec<String>,
}

/// Who knows what depends on what. It answers from memory: planning does not wait for it.
pub trait World: Send + Sync {
    fn hits(&self, change: Change<'_>) -> Found;
}

/// Nobody who knows.
pub struct Unknown;

impl World for Unknown {
    fn hits(&self, _: Change<'_>) -> Found {
        Found { hits: Vec::new(), not_seen: vec!["what depends on it was not looked at".to_owned()] }
    }
}

/// All that is hit, the worst first, each once.
pub fn radius(world: &dyn World, change: Change<'_>) -> Found {
    let mut found = world.hits(change);
    found.hits.extend(own(change));
    found.hits.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.object.cmp(&b.object)));
    let mut seen = std::collections::BTreeSet::new();
    found.hits.retain(|hit| seen.insert((hit.object.clone(), hit.severity)));
    if let Some(super::eyes::Seen::Hidden(why)) = &change.observed.subject {
        found.not_seen.push(format!("how it is now could not be read: {why}"));
    }
    let guest = change.request.template().contains("/{vmid}");
    if guest && change.observed.guest.is_none() {
        found.not_seen.push("the guest's configuration and state could not be read".to_owned());
    }
    found
}
