//! What keeps a host from answering, in words that say what to do; and the same as a tool's failure.

use std::time::Duration;

use serde_json::{Value, json};

use crate::tools::face::Failure;

/// Why a host did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// A short name that programs can compare.
    pub kind: &'static str,
    pub message: String,
    pub next: String,
}

impl Trouble {
    pub fn new(kind: &'static str, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { kind, message: message.into(), next: next.into() }
    }

    /// It has not come up, and may yet.
    pub fn connecting() -> Self {
        Self::new("connecting", "it is still being connected to", "call again in some seconds")
    }

    /// It was asked, and has said nothing in time.
    pub fn silent(after: Duration) -> Self {
        let next = "call again with `host` alone, which waits longer; on that node: provost doctor";
        Self::new(
            "no_answer",
            format!("it did not answer within {:.0} s", after.as_secs_f64().max(1.0)),
            next,
        )
    }

    /// What it said is no answer.
    pub fn no_answer(what: impl Into<String>) -> Self {
        let next = "the other hosts are not touched by it; is that Provost, and of this version?";
        Self::new("no_answer_of_provost", what, next)
    }

    pub fn json(&self) -> Value {
        json!({ "kind": self.kind, "message": self.message, "next": self.next })
    }

    pub fn failure(&self, host: &str) -> Failure {
        let message = format!("host {host}: {}", self.message);
        Failure::new(self.kind, message, self.next.clone()).with("host", host)
    }
}
