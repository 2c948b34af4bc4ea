//! Where a reader writes what it sees.

use super::battery::Sign;
use super::{Flag, Gathered, MOST_OF_A_SIGN, Missing, Probe};
use crate::text::brief;

/// Characters of a flag's title and of its evidence.
const MOST_WHAT: usize = 200;
const MOST_EVIDENCE: usize = 600;
/// Of the line that says what a probe saw.
const MOST_FACT: usize = 400;

pub struct Page<'a> {
    probe: &'static Probe,
    gathered: &'a Gathered,
    /// Seconds since 1970, by this node's clock.
    pub now: i64,
    flags: Vec<Flag>,
    counts: Vec<(&'static str, usize)>,
    incomplete: Vec<Missing>,
    facts: Vec<String>,
}

impl<'a> Page<'a> {
    pub fn new(probe: &'static Probe, gathered: &'a Gathered, now: i64) -> Self {
        let (flags, counts, incomplete, facts) = Default::default();
        Self { probe, gathered, now, flags, counts, incomplete, facts }
    }

    fn sign(&self, name: &str) -> Option<&'static Sign> {
        let sign = self.probe.signs.iter().find(|sign| sign.name == name);
        debug_assert!(sign.is_some(), "probe {} has no sign {name}", self.probe.name);
        sign
    }

    /// From which figure on the battery flags this.
    pub fn limit(&self, sign: &str) -> f64 {
        self.sign(sign).and_then(|sign| sign.limit).unwrap_or(f64::INFINITY)
    }

    pub fn flag(&mut self, sign: &'static str, what: impl AsRef<str>, evidence: impl AsRef<str>) {
        self.flag_on("", sign, what, evidence);
    }

    /// Of one node among many.
    pub fn flag_on(
        &mut self,
        node: &str,
        sign: &'static str,
        what: impl AsRef<str>,
        evidence: impl AsRef<str>,
    ) {
        let Some(known) = self.sign(sign) else { return };
        let count = match self.counts.iter_mut().find(|(name, _)| *name == sign) {
            Some((_, count)) => count,
            None => {
                self.counts.push((sign, 0));
                &mut self.counts.last_mut().expect("just pushed").1
            }
        };
        *count += 1;
        if *count > MOST_OF_A_SIGN {
            return;
        }
        self.flags.push(Flag {
            severity: known.severity,
            what: brief(what.as_ref(), MOST_WHAT),
            why: &known.why,
            evidence: brief(evidence.as_ref(), MOST_EVIDENCE),
            next: self.filled(&known.next, node),
        });
    }

    /// Only what this program knows goes into what a flag advises: never a text of a guest's.
    fn filled(&self, next: &str, node: &str) -> String {
        let node = if node.is_empty() { self.gathered.node.as_deref().unwrap_or("{node}") } else { node };
        let vmid = self.gathered.subject.guest().map(|vmid| vmid.to_string());
        next.replace("{node}", node)
            .replace("{kind}", self.gathered.subject.kind())
            .replace("{vmid}", vmid.as_deref().unwrap_or("{vmid}"))
    }

    /// A line of what was seen, whatever is made of it.
    pub fn fact(&mut self, fact: impl Into<String>) {
        self.facts.push(fact.into());
    }

    /// What this probe could not tell, beside what it could.
    pub fn cannot_tell(&mut self, why: impl AsRef<str>) {
        let why = brief(why.as_ref(), MOST_EVIDENCE);
        self.incomplete.push(Missing { probe: self.probe.name.clone(), why });
    }

    pub fn close(mut self) -> (Vec<Flag>, Vec<Missing>, String) {
        for (sign, count) in std::mem::take(&mut self.counts) {
            if let (true, Some(sign)) = (count > MOST_OF_A_SIGN, self.sign(sign)) {
                let (more, severity) = (count - MOST_OF_A_SIGN, sign.severity);
                let next = self.filled(&sign.next, "");
                let (what, evidence) = (format!("{more} more of {}", sign.name), String::new());
                self.flags.push(Flag { severity, what, why: &sign.why, evidence, next });
            }
        }
        let fact = brief(&self.facts.join("; "), MOST_FACT);
        (self.flags, self.incomplete, fact)
    }
}

/// Seconds since 1970 for a person, in UTC.
pub fn date(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}
