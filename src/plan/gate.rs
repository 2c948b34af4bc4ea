//! What this room and [`crate::apply`] ask of policy: whether somebody may make a change, and what they still need.

use std::path::PathBuf;

use crate::catalog::Method;
use crate::catalog::tier::Judgement;
use crate::policy::{Denied, Principal};
use crate::pve::Methods;

/// A change that somebody wants to make.
pub struct Wanted<'a> {
    pub method: Method,
    /// As the catalogue has it: `/nodes/{node}/lxc/{vmid}/config`.
    pub template: &'a str,
    /// Filled in and encoded.
    pub path: &'a str,
    pub judgement: &'a Judgement,
    /// Every guest that it names or reaches.
    pub guests: &'a [u32],
    /// Whether the session has read what guests wrote.
    pub taint: bool,
}

/// That it may be made, as whom, and what it still needs.
#[derive(Debug, Clone)]
pub struct Leave {
    pub role: String,
    /// The role's own token for the API.
    pub token: Option<PathBuf>,
    /// What the client for it can send at all.
    pub methods: Methods,
    pub needs: Needs,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    Approval { because: Vec<String>, self_approval: bool },
}

/// Who decides. Asked when a plan is made, and again when it is applied.
pub trait Gate: Send + Sync {
    fn change(&self, principal: &Principal, wanted: &Wanted<'_>) -> Result<Leave, Denied>;

    /// Refuses while every change is halted.
    fn running(&self) -> Result<(), Denied>;

    /// A person's yes to exactly this plan; it is used up by being taken.
    fn approval(&self, plan_id: &str, sha256: &str) -> Option<Approval>;
}

/// A person's yes, bound to one plan.
#[derive(Debug)]
pub struct Approval {
    /// Its receipt.
    pub receipt: crate::ledger::Seq,
}
