//! What a rule looks at, and how it says what it found.

use std::sync::Arc;

use serde_json::Value;

use super::{Hit, Severity, View};
use crate::estate::guest::Guest;
use crate::estate::part::Part;
use crate::estate::{self, Index};
use crate::plan::Request;
use crate::plan::effects::listed;
use crate::plan::eyes::Seen;
use crate::plan::fields::{Effect, truth};
use crate::plan::observe::Observed;

/// Unseen things that one answer of the estate's may name: a broken file is named once, a broken tree not thousandfold.
const MOST_UNSEEN: usize = 20;

/// A change, as it was observed.
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

impl Found {
    pub fn hit(&mut self, object: impl Into<String>, severity: Severity, why: impl Into<String>) {
        self.hits.push(Hit { object: object.into(), severity, why: why.into() });
    }

    pub fn unseen(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !self.not_seen.contains(&what) {
            self.not_seen.push(what);
        }
    }

    /// Says what was not seen of parts that a rule looks at itself.
    pub fn rests_on(&mut self, look: &Look<'_>, parts: &[Part]) {
        self.all(look.estate.rests_on(parts));
    }

    /// What the estate answers; what it could not look at for the answer is said.
    pub fn all<T>(&mut self, seen: estate::Seen<T>) -> T {
        let (answer, unseen) = seen.into_parts();
        for finding in unseen.iter().take(MOST_UNSEEN) {
            self.unseen(finding.to_string());
        }
        if unseen.len() > MOST_UNSEEN {
            self.unseen(format!("and {} files more", unseen.len() - MOST_UNSEEN));
        }
        answer
    }
}

/// Whether a guest runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    Yes,
    No,
    /// Nobody could tell: it is taken to run.
    Unknown,
}

/// What a rule looks at.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    pub change: Change<'a>,
    pub view: &'a View,
    pub estate: &'a Index,
}

impl<'a> Look<'a> {
    pub fn request(&self) -> &'a Request {
        self.change.request
    }

    /// An argument, from the path or beside it.
    pub fn text(&self, name: &str) -> Option<String> {
        self.change.request.text(name)
    }

    /// The names in an argument that is a list; none where it was not given.
    pub fn list(&self, name: &str) -> Vec<String> {
        listed(self.change.request, name)
    }

    pub fn flag(&self, name: &str) -> bool {
        self.change.request.flag(name)
    }

    /// Whether the argument was given, and is no.
    pub fn is_off(&self, name: &str) -> bool {
        self.change.request.args.get(name).is_some_and(|value| truth(value) == Some(false))
    }

    /// The guest that the path is of, as the estate has it.
    pub fn guest(&self) -> Option<&'a Arc<Guest>> {
        self.one(self.change.request.guest()?)
    }

    pub fn one(&self, vmid: u32) -> Option<&'a Arc<Guest>> {
        self.estate.guest(vmid).next()
    }

    /// The rule needs [`super::rules::Need::Status`].
    pub fn runs(&self, vmid: u32) -> Runs {
        match self.view.status.as_ref().and_then(|status| status.get(&vmid)) {
            Some(status) if status == "stopped" => Runs::No,
            Some(status) if status != "unknown" => Runs::Yes,
            _ => Runs::Unknown,
        }
    }

    pub fn may_run(&self, vmid: u32) -> bool {
        self.runs(vmid) != Runs::No
    }

    /// The answer to a GET that the rule needs. That it could not be had is said already.
    pub fn answer(&self, name: &str) -> Option<&'a Value> {
        match self.view.answers.get(name)? {
            Seen::There(value) => Some(value),
            Seen::Missing(_) | Seen::Hidden(_) => None,
        }
    }

    pub fn rows(&self, name: &str) -> &'a [Value] {
        self.answer(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

/// `qemu/104`
pub fn object(guest: &Guest) -> String {
    format!("{}/{}", guest.kind.name(), guest.vmid)
}

/// `vm 104`, `ct 102`, as a sentence names it.
pub fn called(guest: &Guest) -> String {
    format!("{} {}", guest.kind.sid(), guest.vmid)
}

/// The same of a guest that may not be there.
pub fn object_of(look: &Look<'_>, vmid: u32) -> String {
    look.one(vmid).map_or_else(|| format!("guest/{vmid}"), |guest| object(guest))
}

pub fn called_of(look: &Look<'_>, vmid: u32) -> String {
    look.one(vmid).map_or_else(|| format!("guest {vmid}"), |guest| called(guest))
}

/// `a`, `a and b`, `a, b and c`
pub fn and(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
