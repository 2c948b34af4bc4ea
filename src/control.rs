//! The wire between `provost` and `provostd`: what operators ask, and what they are answered.
//!
//! In and out: one line of JSON each way on a socket of its own ([`crate::config::Listen::control`]). Who asks, the kernel
//! says; nothing of it stands in an [`Ask`]. Texts in answers may hold what a guest or a model wrote: whoever shows them
//! cleans them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Bytes of a question's line, and of an answer's.
pub const MOST_ASKED: u64 = 16 << 10;
pub const MOST_ANSWERED: u64 = 8 << 20;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Stop every change and every command: [`Switched`].
    Halt { why: String },
    /// Let them go on: [`Switched`].
    Resume { why: String },
    /// The plans that wait, and those that waited lately: [`Plans`].
    Plans {},
    /// One of them, whole: [`Shown`].
    Plan { id: String },
    /// Yes or no to what was shown: [`Decided`].
    Decide { id: String, sha256: String, approve: bool, why: String },
    /// Where the catalogue of the API is from, and what of it has no tier: [`Catalogue`].
    Catalogue {},
    /// How the daemon stands, tokens tried: [`Examined`].
    Examine {},
    /// What holds the daemon in: [`Walls`].
    Walls {},
    /// A token for the HTTP door: [`GivenOut`].
    IssueToken { acts_as: ActsAs, ttl_s: u32, window_s: u32, delay_s: u32 },
    /// The same token, for another while: [`GivenOut`].
    RefreshToken { id: String },
    /// The tokens that are known: [`Tokens`].
    Tokens {},
    /// Take one back: [`TakenBack`].
    RevokeToken { id: String, why: String },
}

/// Whose rights a token has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ActsAs {
    /// Whoever asks.
    Me,
    Role(String),
    /// An account; only root is believed who that is. Its groups, the primary first.
    User {
        uid: u32,
        name: Option<String>,
        groups: Vec<(u32, Option<String>)>,
    },
}

/// What is answered: one of the types below as JSON, or why not.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Done(Value),
    Refused(Refused),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// A short name that programs can compare.
    pub kind: String,
    pub message: String,
    /// What to do about it.
    pub next: String,
}

/// A halt that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halted {
    pub by: String,
    pub since: Timestamp,
    pub why: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Switched {
    /// The halt that stands now.
    pub halted: Option<Halted>,
    /// The one that was lifted.
    pub lifted: Option<Halted>,
    /// PVE's tasks that run on: a halt stops none.
    pub running: Vec<Running>,
    /// Why they are not known.
    pub unseen: Option<String>,
    /// What did not go as it should: it cannot be kept, or not be recorded.
    pub note: Option<String>,
}

/// A task of PVE's that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    pub upid: String,
    pub node: String,
    /// `vzdump`, `qmigrate`
    pub kind: String,
    /// What it works on: a guest's id, a disk; empty for a node's own.
    pub id: String,
    pub user: String,
    pub since: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plans {
    pub halted: Option<Halted>,
    /// The latest first.
    pub plans: Vec<Line>,
}

/// A plan in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub id: String,
    /// `waiting`, `deciding`, `approved`, `denied`, `applied`, `expired`
    pub state: String,
    pub asked_by: String,
    pub role: String,
    /// `PUT /nodes/{node}/qemu/{vmid}/config`
    pub endpoint: String,
    pub guest: Option<u32>,
    pub summary: Vec<String>,
    /// Why it needs a yes.
    pub because: Vec<String>,
    pub expires: Timestamp,
    pub decided_by: Option<String>,
    pub decided_at: Option<Timestamp>,
    /// Number of the answer's receipt; without one, of the plan's.
    pub receipt: u64,
}

impl Line {
    pub fn waits(&self) -> bool {
        self.state == "waiting"
    }
}

/// A plan as a person is shown it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shown {
    pub line: Line,
    /// The whole plan, to be read before it is answered.
    pub text: String,
    /// What an answer is bound to.
    pub sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    pub id: String,
    pub approved: bool,
    pub asked_by: String,
    /// Number of the answer's receipt.
    pub receipt: u64,
    /// It cannot be applied meanwhile.
    pub halted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// `node`, `cache` (of the node's own), `built in for PVE 9.2`
    pub origin: String,
    /// What keeps a newer one from being here.
    pub problem: Option<String>,
    pub endpoints: usize,
    /// `POST /nodes/{node}/…`: they count as destructive.
    pub unclassified: Vec<String>,
}

/// How the daemon stands.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Examined {
    pub version: String,
    /// Why the configuration, as it is on the disk, is not in force.
    pub configuration: Option<String>,
    /// Each token of the configuration, after a call with it.
    pub tokens: Vec<Token>,
    /// Daemons of PVE's that do not answer and are left alone for now.
    pub aside: Vec<String>,
    pub ledger: Ledger,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// As the configuration names it.
    pub given: PathBuf,
    /// `USER@REALM!ID`
    pub id: Option<String>,
    /// Why it does not work.
    pub problem: Option<String>,
    /// Path → what it may there, as PVE says.
    pub permissions: BTreeMap<String, BTreeSet<String>>,
}

/// The receipts, as the daemon has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// `ready`, `damaged`, `unavailable`
    pub state: String,
    pub why: Option<String>,
    pub next: Option<String>,
    pub size: u64,
    pub signed: u64,
    pub open_intents: usize,
    /// `journald`, or why receipts are not copied there.
    pub mirror: String,
    pub unrecorded: u64,
    pub unmirrored: u64,
}

/// A token, to be handed over once: nobody can be shown it again.
#[derive(Clone, Serialize, Deserialize)]
pub struct GivenOut {
    pub token: String,
    pub about: GivenToken,
}

/// What is known of a token: not the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenToken {
    pub id: String,
    /// `role:operator`, `user:alice`
    pub acts_as: String,
    /// The role that counts for it now; none: it may do nothing.
    pub role: Option<String>,
    pub issuer: String,
    /// `active`, `expired`, `revoked`
    pub state: String,
    pub issued: Timestamp,
    pub expires: Timestamp,
    pub refresh_until: Timestamp,
    pub refreshed: u64,
    pub revoked_by: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Where they are of use; none: HTTP is off.
    pub http: Option<String>,
    /// The latest first.
    pub tokens: Vec<GivenToken>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenBack {
    pub token: GivenToken,
    /// What did not go as it should: a restart would give it back, or it is not recorded.
    pub note: Option<String>,
}

/// What the kernel holds the daemon to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walls {
    pub uid: u32,
    /// None: the kernel has no Landlock, or was started without it.
    pub landlock_abi: Option<u32>,
    /// What does not hold, and why.
    pub missing: Vec<String>,
    /// Why it cannot see which virtual machines run. It should, where it serves them, and nowhere else.
    #[serde(default)]
    pub hidden: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_reads_back_and_what_nobody_asks_is_refused() {
        let text = String::new;
        for ask in [
            Ask::Halt { why: "x".into() },
            Ask::Resume { why: text() },
            Ask::Plans {},
            Ask::Plan { id: "x".into() },
            Ask::Decide { id: text(), sha256: text(), approve: true, why: text() },
            Ask::Catalogue {},
            Ask::Examine {},
            Ask::Walls {},
            Ask::IssueToken { acts_as: ActsAs::Role(text()), ttl_s: 1, window_s: 2, delay_s: 0 },
            Ask::RefreshToken { id: text() },
            Ask::Tokens {},
            Ask::RevokeToken { id: text(), why: text() },
        ] {
            let line = serde_json::to_string(&ask).unwrap();
            assert_eq!(serde_json::from_str::<Ask>(&line).unwrap(), ask, "{line}");
        }
        for line in ["{}", r#"{"ask":"stop"}"#, r#"{"ask":"plans","all":true}"#, r#"{"ask":"halt"}"#, "[]"] {
            assert!(serde_json::from_str::<Ask>(line).is_err(), "{line}");
        }
    }
}
