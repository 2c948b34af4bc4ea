//! Why there is no plan, or why it is not applied: for whoever asked, and for the receipt.

use serde_json::{Value, json};

use super::id::PlanIdError;
use crate::ledger::{Seq, Unrecorded};
use crate::policy::{Broken, Denied, NotApproved};
use crate::pve::{CallError, PveError};

#[derive(Debug, thiserror::Error)]
pub enum Refused {
    // The question.
    #[error("{path} is to be read, and a plan is for what changes something")]
    NoChange { path: String },
    #[error("{path}: the method is missing")]
    NoMethod { path: String },
    #[error("{path}: {why}")]
    NoEndpoint { path: String, why: String },
    #[error("no call that changes anything fits \"{words}\"")]
    Words { words: String },
    #[error("\"{words}\" is no {call}, which comes nearest: {why}")]
    Doubtful { words: String, call: String, why: String },
    #[error("nothing that this role may see is called \"{name}\"")]
    Nobody { name: String },
    #[error("{} guests are called \"{name}\"", ids.len())]
    Unclear { name: String, ids: Vec<u32> },
    #[error("\"{name}\" is one more than a call is about")]
    Another { name: String },
    #[error("\"{name}\" is no node of this cluster, and the call is made on one")]
    NoNode { name: String, nodes: Vec<String> },
    #[error("{call} changes nothing by itself, and the arguments are empty: it takes {}", takes.join(", "))]
    Unfinished { call: String, takes: Vec<String> },
    #[error("{path} has a blank: {{{name}}}")]
    Blank { path: String, name: String },
    #[error("{endpoint}: {}", problems.join("; "))]
    Parameters { endpoint: String, problems: Vec<String> },
    #[error("the arguments have {bytes} bytes, and may have {most}")]
    TooMuch { bytes: usize, most: usize },
    #[error("{endpoint} takes a file in its body, which no plan can hold")]
    Upload { endpoint: String },

    // Policy.
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Broken(#[from] Broken),
    #[error("plan {id}: {why}")]
    Unapproved { id: String, why: NotApproved },
    #[error("{why}")]
    NoRoom { why: String },

    // What is there.
    #[error("there is no guest {vmid} that this role may see")]
    NoGuest { vmid: u32 },
    #[error("guest {vmid} is not there, but at {path}")]
    Elsewhere { vmid: u32, path: String },
    #[error("{what}: {why}")]
    NoSuchThing { what: String, why: String },
    #[error("{what} exists already")]
    Exists { what: String },
    #[error("guest {vmid} is locked ({lock}): something is at work on it")]
    Locked { vmid: u32, lock: String },
    #[error("guest {vmid}: {why}")]
    Held { vmid: u32, why: String },
    #[error("the digest that was given is {given}, and the configuration's is {now}")]
    Stale { given: String, now: String },
    #[error(
        "{endpoint} changes guest {vmid} beyond what any call takes back, and no snapshot of it can be made: {why}"
    )]
    NoSnapshot { endpoint: String, vmid: u32, why: String },

    // The plan.
    #[error(transparent)]
    Id(#[from] PlanIdError),
    #[error("there is no plan {id}")]
    NoPlan { id: String },
    #[error("plan {id} was made by somebody else")]
    NotYours { id: String },
    #[error("plan {id} has expired: a plan holds for 15 minutes")]
    Expired { id: String },
    #[error("plan {id} is used up{}", receipt.map(|seq| format!(": it was applied, by receipt {seq}")).unwrap_or_else(|| ": it is being applied, or was found not to hold".into()))]
    Applied { id: String, receipt: Option<Seq> },
    #[error("plan {id} no longer holds: {what} changed since it was made")]
    Drifted { id: String, what: String },
    #[error("plan {id} was given up before anything was begun")]
    GivenUp { id: String },
    #[error("{plans} plans wait already, and there is no room for another")]
    Full { plans: usize },

    // The undo.
    #[error("there is no receipt {seq} to undo: {why}")]
    NoReceipt { seq: Seq, why: String },
    #[error("receipt {seq} has no way back: {why}")]
    NoWayBack { seq: Seq, why: String },

    // The way there.
    #[error(transparent)]
    Pve(#[from] PveError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Unrecorded(#[from] Unrecorded),
    #[error("snapshot {name} of guest {vmid} was not made, so nothing was changed: {why}")]
    SnapshotFailed { name: String, vmid: u32, why: String },
    #[error("the part of this program that was to begin it ended early")]
    NotBegun,
    #[error("the part of this program that was at work on it ended early; receipt {seq} says what was meant")]
    Lost { seq: Seq },
}

impl Refused {
    /// A short name that programs can compare.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoChange { .. } => "not_a_change",
            Self::NoMethod { .. } | Self::TooMuch { .. } => "arguments",
            Self::NoEndpoint { .. } | Self::Words { .. } => "no_such_path",
            Self::Blank { .. }
            | Self::NoNode { .. }
            | Self::Parameters { .. }
            | Self::Unfinished { .. }
            | Self::Call(_) => "parameters",
            Self::Upload { .. } => "upload",
            Self::Denied(denied) => denied.kind(),
            Self::Unapproved { why, .. } => why.kind(),
            Self::NoRoom { .. } => "too_many_plans",
            Self::NoGuest { .. } | Self::Nobody { .. } | Self::Elsewhere { .. } => "no_such_guest",
            Self::Unclear { .. } | Self::Another { .. } | Self::Doubtful { .. } => "ambiguous",
            Self::NoSuchThing { .. } => "not_found",
            Self::Exists { .. } => "exists",
            Self::Locked { .. } => "locked",
            Self::Held { .. } => "held_back",
            Self::Stale { .. } => "stale_digest",
            Self::NoSnapshot { .. } => "no_snapshot",
            Self::Id(PlanIdError::Malformed) => "arguments",
            Self::Id(PlanIdError::NoRandom) => "internal",
            Self::NoPlan { .. } => "no_such_plan",
            Self::NotYours { .. } => "not_your_plan",
            Self::Expired { .. } => "expired",
            Self::Applied { .. } => "already_applied",
            Self::Drifted { .. } => "drifted",
            Self::GivenUp { .. } => "cancelled",
            Self::Full { .. } => "too_many_plans",
            Self::NoReceipt { .. } => "no_such_receipt",
            Self::NoWayBack { .. } => "no_way_back",
            Self::Pve(PveError::MayHaveHappened { .. }) => "may_have_happened",
            Self::Pve(error) if error.is_passing() => "pve_unreachable",
            Self::Pve(PveError::Unauthorized { .. }) => "pve_token",
            Self::Pve(PveError::Forbidden { .. }) => "forbidden",
            Self::Pve(PveError::Withheld { .. }) => "withheld",
            Self::Pve(_) => "pve",
            Self::Unrecorded(unrecorded) => unrecorded.kind(),
            Self::SnapshotFailed { .. } => "snapshot_failed",
            Self::Lost { .. } | Self::NotBegun | Self::Broken(_) => "internal",
        }
    }

    /// What to do about it.
    pub fn next(&self) -> String {
        match self {
            Self::NoChange { .. } => "`read` reads it".into(),
            Self::NoMethod { .. } => "give method: POST, PUT or DELETE; `find` tells which there are".into(),
            Self::NoEndpoint { .. } | Self::Words { .. } => "`find` finds calls by plain words".into(),
            Self::Nobody { .. } => {
                "read /cluster/resources for what there is, and give an id or the call's path".into()
            }
            Self::Unclear { ids, .. } => {
                format!("give an id: {}", ids.iter().map(u32::to_string).collect::<Vec<_>>().join(", "))
            }
            Self::Elsewhere { path, .. } => format!("plan it with a path that begins with {path}"),
            Self::Another { .. } => "plan each by itself, or give a path and args".into(),
            Self::Doubtful { .. } => {
                "`find` shows which calls there are; plan one by its method and path".into()
            }
            Self::NoNode { nodes, .. } => format!("give node in args: {}", nodes.join(", ")),
            Self::Unfinished { .. } => "give in args what is to be changed, and to what".into(),
            Self::Blank { name, .. } => format!("give {name} in args"),
            Self::Parameters { .. } | Self::Call(_) | Self::TooMuch { .. } => {
                "correct them and plan again".into()
            }
            Self::Upload { .. } => "let the node fetch it: plan POST …/storage/{storage}/download-url".into(),
            Self::Denied(denied) => denied.next(),
            Self::Broken(_) => "nothing is changed over such a catalogue; report this".into(),
            Self::Unapproved { why, .. } => why.next(),
            Self::NoRoom { .. } => "let those be answered first: provost plans".into(),
            Self::NoGuest { .. } => "read /cluster/resources for the guests that there are".into(),
            Self::NoSuchThing { .. } => "read the list above it for what there is".into(),
            Self::Exists { .. } => {
                "take another name or id, or plan a change of the one that is there".into()
            }
            Self::Locked { .. } => {
                "read the guest's recent tasks for what holds it, and plan again when it has ended".into()
            }
            Self::Held { .. } => "change that first, if that is meant".into(),
            Self::Stale { .. } => "read it again, and decide again".into(),
            Self::NoSnapshot { .. } => {
                "give snapshot \"none\" if it is to be done without a way back; policy may forbid that".into()
            }
            Self::NoPlan { .. } | Self::Expired { .. } | Self::Drifted { .. } => {
                "plan it again, and look at what it says now".into()
            }
            Self::NotYours { .. } => "plan it yourself".into(),
            Self::GivenUp { .. } => "apply it again if it is still wanted".into(),
            Self::Applied { .. } => "plan it again if it is to be done again".into(),
            Self::Id(_) => "give plan_id as `plan` gave it".into(),
            Self::Full { .. } => "apply or forget some; a plan is forgotten after 15 minutes".into(),
            Self::NoReceipt { .. } => {
                "`audit` lists receipts; those of kind \"outcome\" can be undone".into()
            }
            Self::NoWayBack { .. } => "read how it is now, and plan what gives it back".into(),
            Self::Pve(PveError::MayHaveHappened { .. }) => {
                "read what it names before anything is repeated".into()
            }
            Self::Pve(error) => match error.unit() {
                Some(unit) => {
                    let units = unit.replace(' ', " and ");
                    format!("call again; if it stays so, the operator can look at {units}")
                }
                // It answered: there is nothing wrong with whoever did.
                None => {
                    "look at what it was asked for and what it says; the operator has `provost doctor`".into()
                }
            },
            Self::Unrecorded(unrecorded) => unrecorded.next().into(),
            Self::SnapshotFailed { .. } => "look at why, and plan again".into(),
            Self::Lost { .. } | Self::NotBegun => "read how it is before anything is repeated".into(),
        }
    }

    /// For the receipt and for programs: the problems one by one, where there are several; and what a yes takes.
    pub fn details(&self) -> Vec<(&'static str, Value)> {
        match self {
            Self::Parameters { problems, .. } => vec![("problems", json!(problems))],
            Self::Unapproved { why: NotApproved::Waiting { because, by, until, .. }, .. } => {
                vec![
                    ("because", json!(because)),
                    ("by", json!(by)),
                    ("expires", json!(until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())),
                ]
            }
            _ => Vec::new(),
        }
    }
}
