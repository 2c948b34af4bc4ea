//! What was brought of a subject, for the readers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::battery::Each;
use super::cgroup::Figures;
use super::{Missing, On, Probe, Subject};

/// One answer of the API, or why there is none.
#[derive(Debug)]
pub struct Answered {
    /// Node, or storage on a node; empty where the probe is one call.
    pub place: String,
    pub said: Result<Value, String>,
}

/// All that was brought.
#[derive(Debug)]
pub struct Gathered {
    pub subject: Subject,
    /// The node that it is on, where it is on one.
    pub node: Option<String>,
    /// What the shell in the container wrote, by probe; or why nothing came of it.
    pub inside: Result<BTreeMap<String, String>, String>,
    /// By probe.
    pub api: BTreeMap<String, Vec<Answered>>,
    /// The subject's cgroup before and after the other probes; or why there are no figures.
    pub host: Result<(Figures, Figures), String>,
}

impl Gathered {
    /// What a probe inside wrote.
    pub fn section(&self, probe: &str) -> Result<&str, String> {
        let sections = self.inside.as_ref().map_err(Clone::clone)?;
        sections.get(probe).map(String::as_str).ok_or_else(|| CUT_OFF.to_owned())
    }

    /// What the API gave for a probe, by place.
    pub fn answers(&self, probe: &str) -> impl Iterator<Item = (&str, &Value)> {
        let answered = self.api.get(probe).into_iter().flatten();
        answered.filter_map(|answered| Some((answered.place.as_str(), answered.said.as_ref().ok()?)))
    }

    /// The one answer of a probe that is one call.
    pub fn answer(&self, probe: &str) -> Result<&Value, String> {
        let first = self.answers(probe).next();
        first.map(|(_, value)| value).ok_or_else(|| format!("it needs what probe {probe} could not read"))
    }

    /// Whether there is anything for its reader.
    pub fn has(&self, probe: &Probe) -> bool {
        match probe.on {
            On::Inside => self.section(&probe.name).is_ok(),
            // It stands on others.
            On::Derived => true,
            On::Host => self.host.is_ok(),
            On::Api => self.answers(&probe.name).next().is_some(),
        }
    }

    /// What of a probe did not come.
    pub fn missing(&self, probe: &Probe) -> Vec<Missing> {
        let one = |why: &String| vec![Missing { probe: probe.name.clone(), why: why.clone() }];
        match probe.on {
            On::Inside => self.section(&probe.name).err().iter().flat_map(one).collect(),
            On::Host => self.host.as_ref().err().into_iter().flat_map(one).collect(),
            On::Derived => Vec::new(),
            // What it is asked for is the error.
            On::Api if probe.each == Some(Each::Silent) => Vec::new(),
            On::Api => {
                let Some(answered) = self.api.get(&probe.name).filter(|answered| !answered.is_empty()) else {
                    return one(&UNASKED.to_owned());
                };
                let failed = answered.iter().filter_map(|answered| {
                    let why = answered.said.as_ref().err()?.clone();
                    let probe = match answered.place.as_str() {
                        "" => probe.name.clone(),
                        place => format!("{} {place}", probe.name),
                    };
                    Some(Missing { probe, why })
                });
                failed.collect()
            }
        }
    }
}

const CUT_OFF: &str =
    "the shell in the container ended, or its output was cut, before this probe's was there";
const UNASKED: &str = "it was not asked: there is no node, or no storage for backups, to ask it of";
