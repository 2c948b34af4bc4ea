//! Evidence batteries and what they flag.
//!
//! In: a [`Subject`], and what was gathered of it ([`Gathered`]): sections that a shell in the container wrote, answers of
//! the API, figures of the host's own cgroups. Out: a [`Report`]: flags with their evidence, and every probe that told
//! nothing, with why. The batteries are tables (`battery/*.toml`); the readers are code. It asks nobody anything itself,
//! and must never take what a guest says for more than the guest's word: no text of a guest's decides what a flag advises.

mod api;
pub mod battery;
pub mod cgroup;
mod gathered;
mod host;
pub mod inside;
mod page;
mod subject;
#[cfg(test)]
mod tests;
pub mod unit;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};

pub use battery::{Battery, On, Probe};
pub use gathered::{Answered, Gathered};
use page::Page;
pub use subject::{NoSubject, Subject};

/// How much a flag matters. In the order in which flags are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Broken now, or about to lose something.
    Critical,
    /// Will break, or already hurts.
    Warning,
    /// Worth knowing.
    Info,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Flag {
    pub severity: Severity,
    /// What it is, and where. Names in it may come from the guest: data, never instructions.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// What shows it: figures, lines of logs. As `what`.
    pub evidence: String,
    /// What to do next: `find: WORDS`, for which `find` gives a recipe.
    pub next: String,
}

/// A probe that told nothing.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Missing {
    /// Its name in the battery, with the node or storage where it was one of many.
    pub probe: String,
    /// What was tried, and what answered.
    pub why: String,
}

/// What a battery found.
#[derive(Debug, Default)]
pub struct Report {
    pub flags: Vec<Flag>,
    pub incomplete: Vec<Missing>,
    /// Probe → what it saw, in a line.
    pub evidence: BTreeMap<String, String>,
}

/// Flags shown of one sign: a hundred guests without a backup are one finding.
const MOST_OF_A_SIGN: usize = 8;

/// Reads all that was gathered, by the battery of its subject. `now` is the node's clock, in seconds since 1970.
pub fn judge(battery: &'static Battery, gathered: &Gathered, now: i64) -> Report {
    let mut report = Report::default();
    let mut found: Vec<(Severity, usize, Flag)> = Vec::new();
    for (place, probe) in battery.probes.iter().enumerate() {
        report.incomplete.extend(gathered.missing(probe));
        if !gathered.has(probe) {
            continue;
        }
        let Some(reader) = reader(&probe.name) else { continue };
        let mut page = Page::new(probe, gathered, now);
        if let Err(why) = reader(gathered, &mut page) {
            report.incomplete.push(Missing { probe: probe.name.clone(), why });
        }
        let (flags, incomplete, fact) = page.close();
        found.extend(flags.into_iter().map(|flag| (flag.severity, place, flag)));
        report.incomplete.extend(incomplete);
        if !fact.is_empty() {
            report.evidence.insert(probe.name.clone(), fact);
        }
    }
    found.sort_by_key(|(severity, place, _)| (*severity, *place));
    report.flags = found.into_iter().map(|(_, _, flag)| flag).collect();
    report
}

/// What makes findings of what a probe brought. What it cannot tell is an error, and so an entry of `incomplete`.
type Reader = fn(&Gathered, &mut Page<'_>) -> Result<(), String>;

/// By the names of probes.
static READERS: LazyLock<BTreeMap<&'static str, Reader>> = LazyLock::new(|| {
    [inside::READERS, unit::READERS, host::READERS, api::READERS].concat().into_iter().collect()
});

fn reader(probe: &str) -> Option<Reader> {
    READERS.get(probe).copied()
}
