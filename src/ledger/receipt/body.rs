//! What belongs to each kind of receipt. One type a kind; fields in the order of their names.

use serde::Serialize;

use super::{Argv, Clean, Json, Kind, Seq};

macro_rules! bodies {
    ($($kind:ident),* $(,)?) => {
        /// The body of a receipt, by kind.
        #[derive(Debug, Clone, Serialize)]
        #[serde(untagged)]
        pub enum Body {
            $($kind($kind)),*
        }

        impl Body {
            pub fn kind(&self) -> Kind {
                match self {
                    $(Body::$kind(_) => Kind::$kind),*
                }
            }
        }

        $(impl From<$kind> for Body {
            fn from(body: $kind) -> Self {
                Body::$kind(body)
            }
        })*
    };
}

bodies!(Start, Session, Read, Plan, Approval, Intent, Outcome, Exec, File, Refusal, Halt, Repair, Token);

impl Body {
    /// The intent that this closes.
    pub fn closes(&self) -> Option<Seq> {
        match self {
            Body::Outcome(outcome) => Some(outcome.of),
            Body::Exec(exec) => exec.of,
            Body::File(file) => file.of,
            _ => None,
        }
    }
}

/// The daemon started, and this is the log as it found it.
#[derive(Debug, Clone, Serialize)]
pub struct Start {
    /// Whether commands are recorded in full or as a hash: "full", "hash".
    pub argv: &'static str,
    /// The kernel's boot id.
    pub boot: Clean,
    /// The first entry whose line is still here; those before were archived.
    pub first: Seq,
    /// Intents without an outcome: what they asked for may or may not have happened.
    pub open_intents: Vec<Seq>,
    pub origin: Clean,
    pub pid: u32,
    /// Root of the tree as it was found, in base64.
    pub root: String,
    /// Entries found.
    pub size: u64,
    /// Whether the daemon before said that it stopped.
    pub stopped_cleanly: bool,
    /// Provost's.
    pub version: &'static str,
}

/// A client came or went.
#[derive(Debug, Clone, Serialize)]
pub struct Session {
    /// Calls it had made, when it went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    pub event: SessionEvent,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// MCP revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Clean>,
    /// Numbers the sessions of one start.
    pub session: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEvent {
    Opened,
    Closed,
    /// Turned away: too many, or nobody whom a role names.
    TurnedAway,
}

/// Something was read; nothing changed.
#[derive(Debug, Clone, Serialize)]
pub struct Read {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Json>,
    /// Bytes of the answer.
    pub bytes: u64,
    pub duration_us: u64,
    /// Of what was read, where it is a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// HTTP status of the API's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// A change was thought through, and not made.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    pub args: Json,
    /// [{object, severity, why}]
    pub blast_radius: Json,
    /// Of the config as it was observed: the change is refused once it moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Clean>,
    /// Before → after, field by field.
    pub effects: Json,
    /// RFC 3339.
    pub expires: Clean,
    pub needs: Json,
    pub risk: Clean,
    /// Of the whole plan as it was shown, in canonical form.
    pub sha256: String,
    pub tier: Clean,
    pub undo: Json,
}

/// A person decided about a plan, or who asked for it took it back. The receipt's principal is that person.
#[derive(Debug, Clone, Serialize)]
pub struct Approval {
    /// "terminal", "elicitation"; "withdrawn" by who asked for it.
    pub how: &'static str,
    /// The plan's receipt.
    pub of: Seq,
    /// Of the plan that was shown to the person.
    pub sha256: String,
}

/// Something is about to be changed. Durable before anything leaves the process.
#[derive(Debug, Clone, Serialize)]
pub struct Intent {
    /// "apply", "undo", "exec", "file_put".
    pub act: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argv: Option<Argv>,
    /// What it was before, so that it can be undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Json>,
    /// The receipt of the plan, or the one that is undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Seq>,
    /// Of the plan, or of the content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Result {
    Done,
    Failed,
    /// The daemon ended in the middle, and nothing says what became of it.
    Unknown,
}

/// What became of an intent.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Json>,
    pub duration_us: u64,
    /// The intent's receipt.
    pub of: Seq,
    pub result: Result,
    /// HTTP status of the API's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// PVE's task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upid: Option<Clean>,
}

/// What a command wrote: never the bytes.
#[derive(Debug, Clone, Serialize)]
pub struct Output {
    pub bytes: u64,
    /// Absent where the output was not read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// A command ran in a guest.
#[derive(Debug, Clone, Serialize)]
pub struct Exec {
    pub argv: Argv,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<Clean>,
    pub duration_us: u64,
    /// Names only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<Clean>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Its caller gave it up, or the way to it broke: it and all that it started were killed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub killed: bool,
    /// "inspect", "change".
    pub mode: &'static str,
    /// Its intent's receipt, in the change lane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<Seq>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    pub stderr: Output,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin: Option<Output>,
    pub stdout: Output,
    pub timed_out: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Clean>,
}

/// A file was read out of a guest, written into one, or taken away from it: never what is in it.
#[derive(Debug, Clone, Serialize)]
pub struct File {
    /// "get", "list", "put", "remove".
    pub act: &'static str,
    /// That were given out or put in.
    pub bytes: u64,
    pub duration_us: u64,
    /// In the file, of the first of them, where that is not the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Clean>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<Seq>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Clean>,
    pub path: Clean,
    /// Of the content that was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_sha256: Option<String>,
    /// Of those bytes; absent where nothing was read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Of the whole file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// Something was asked for and not done. `why` of the receipt says why.
#[derive(Debug, Clone, Serialize)]
pub struct Refusal {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argv: Option<Argv>,
    /// A short name that programs can compare.
    pub code: Clean,
    /// What the caller was told to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Clean>,
}

/// An operator stopped all changes, or let them go on.
#[derive(Debug, Clone, Serialize)]
pub struct Halt {
    pub halted: bool,
}

/// What is wrong with the record itself, said by the record.
#[derive(Debug, Clone, Serialize)]
pub struct Repair {
    /// Bytes that were cut off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Receipts that are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The first and last entry, where they have numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Seq>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Seq>,
    /// Of the bytes that were cut off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    pub what: RepairOf,
}

impl Repair {
    pub fn of(what: RepairOf) -> Self {
        Self { bytes: None, count: None, first: None, last: None, sha256: None, what }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RepairOf {
    /// The last line was not whole, and was cut off: the daemon was killed as it wrote it. Nobody was told of it.
    TornLine,
    /// Reads, refusals and sessions left no receipt while the disk took none.
    Unrecorded,
    /// The journal took no copy of receipts; the log has them.
    Unmirrored,
}

/// A token was given out, given out anew, or taken back: never the token itself.
#[derive(Debug, Clone, Serialize)]
pub struct Token {
    /// "role:NAME" or "user:NAME".
    pub acts_as: Clean,
    pub event: TokenEvent,
    /// RFC 3339, like the others.
    pub expires: Clean,
    pub refresh_until: Clean,
    /// Its number, in hexadecimal.
    pub token: Clean,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenEvent {
    Issued,
    Refreshed,
    Revoked,
}
