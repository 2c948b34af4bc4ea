//! A plan becomes a change: once, as planned, by its maker, and recorded before and after.
//!
//! In: a plan's id and who asks. Out: what became of it, with the receipt by which it can be taken back; or a
//! [`Refused`], and nothing was done. It must never send a call whose intent is not on the disk, never send one twice,
//! and never lose what became of one: the call and what follows it are a task of their own, which no client can drop.
//!
//! [`run`] is the whole of it: each step gives the value that the next one needs.
//!
//! | file | what it does |
//! | --- | --- |
//! | `drift` | what the plan rests on, looked at again |
//! | `carry` | the call, its task to the end, the outcome's receipt |
//! | `snapshot` | the snapshot before it |
//! | `write` | the request as it is sent |
//! | [`resolve`] | what became of intents that a daemon before this one left open |

mod carry;
mod drift;
pub mod resolve;
mod snapshot;
mod write;

use std::sync::Arc;

use serde_json::{Value, json};

pub use carry::{Applied, Became, Running};
pub use snapshot::is_ours;

use crate::catalog::Catalog;
use crate::ledger::receipt::{Json, body};
use crate::ledger::{Decision, Entry, Recorded};
use crate::plan::gate::{Approval, Leave, Needs};
use crate::plan::{Asked, Asker, Claim, Desk, Eyes, Plan, PlanId, Refused};
use crate::policy::Principal;
use crate::pve::Client;

/// The node, as the daemon knows it.
#[derive(Clone)]
pub struct Node {
    /// Not yet limited: each role gets its own from it.
    pub client: Client,
    pub catalog: Arc<Catalog>,
}

/// That a person said yes, or that nobody has to.
pub struct Approved {
    by: Option<Approval>,
}

/// Applies a plan. What comes back runs by itself; to drop it is to stop listening.
pub async fn run(
    desk: &Desk,
    principal: &Principal,
    asker: Asker,
    node: &Node,
    id: &str,
) -> Result<Running, Refused> {
    let mut asked = Asked { asker, plan: Some(id.chars().take(64).collect()), ..Asked::default() };
    match begin(desk, principal, &mut asked, node, id).await {
        Ok(running) => Ok(running),
        Err(refused) => {
            desk.refused("apply", &asked, &refused).await;
            Err(refused)
        }
    }
}

async fn begin(
    desk: &Desk,
    principal: &Principal,
    asked: &mut Asked,
    node: &Node,
    id: &str,
) -> Result<Running, Refused> {
    let id: PlanId = id.parse()?;
    let plan = desk.plans.find(id, principal.uid())?;
    asked.request = Some(plan.request.clone());
    let leave = desk.leave(principal, &plan.request, asked.asker.taint)?;
    desk.gate.running()?;
    let client = client(node, &leave);
    let eyes = Eyes::new(&client, node.catalog.clone());
    let claim = desk.plans.claim(id, principal.uid())?;
    let approved = match approval(desk, &leave, &plan) {
        Ok(approved) => approved,
        Err(refused) => {
            claim.give_back();
            return Err(refused);
        }
    };
    // A plan that drifted is spent: it is to be made anew.
    let undrifted = drift::check(&eyes, &plan).await?;
    let recorded = match intent(desk, asked, &plan, &approved).await {
        Ok(recorded) => recorded,
        Err(refused) => {
            claim.give_back();
            return Err(refused);
        }
    };
    // Halted meanwhile: the last look before anything leaves.
    if let Err(denied) = desk.gate.running() {
        return Err(halted(claim, recorded, denied.into()).await);
    }
    let seq = recorded.seq();
    claim.spent(seq);
    Ok(carry::start(carry::Carried { client, eyes, plan, undrifted, recorded, approved }))
}

async fn halted(claim: Claim<'_>, recorded: Recorded, refused: Refused) -> Refused {
    claim.spent(recorded.seq());
    let body = body::Outcome {
        answer: None,
        duration_us: 0,
        of: recorded.seq(),
        result: body::Result::Failed,
        status: None,
        upid: None,
    };
    let why = format!("nothing was sent: {refused}");
    if let Err(unrecorded) = recorded.outcome(Some(why.into()), body).await {
        return unrecorded.into();
    }
    refused
}

/// The client of the role: its token, and no method that it may not use.
fn client(node: &Node, leave: &Leave) -> Client {
    let client = match &leave.token {
        Some(token) => node.client.for_token(token),
        None => node.client.clone(),
    };
    client.limited_to(leave.methods)
}

fn approval(desk: &Desk, leave: &Leave, plan: &Plan) -> Result<Approved, Refused> {
    match &leave.needs {
        Needs::Nothing => Ok(Approved { by: None }),
        Needs::Approval { because, .. } => match desk.gate.approval(&plan.id.to_string(), &plan.sha256) {
            Some(approval) => Ok(Approved { by: Some(approval) }),
            None => Err(Refused::Unapproved { id: plan.id.to_string(), because: because.clone() }),
        },
    }
}

/// What is meant, on the disk before anything is sent: with how it was, and the way back.
async fn intent(desk: &Desk, asked: &Asked, plan: &Plan, approved: &Approved) -> Result<Recorded, Refused> {
    let request = &plan.request;
    let template = request.template();
    let mut before = json!({
        "call": { "method": request.method(), "path": request.path() },
        "digest": plan.observed.digest,
        "undo": plan.undo,
    });
    if let Some(snapshot) = &plan.snapshot {
        before["snapshot"] = snapshot.as_str().into();
    }
    let head = Entry {
        principal: Some(asked.asker.who.clone()),
        tool: Some("apply"),
        guest: request.guest().or_else(|| crate::plan::only(&request.guests)),
        endpoint: Some(request.endpoint().into()),
        decision: Some(Decision::Allowed),
        why: approved.by.as_ref().map(|by| format!("approved by receipt {}", by.receipt).into()),
        plan: Some(plan.id.to_string().into()),
        // The ledger puts the intent in its place.
        body: body::Halt { halted: false }.into(),
    };
    let intent = body::Intent {
        act: if plan.undoes.is_some() { "undo" } else { "apply" },
        args: Some(Json::of(template, Value::Object(request.args.clone()))),
        argv: None,
        before: Some(Json::of(template, before)),
        from: Some(plan.undoes.unwrap_or(plan.receipt)),
        sha256: Some(plan.sha256.clone()),
    };
    Ok(desk.ledger.intent(head, intent).await?)
}
