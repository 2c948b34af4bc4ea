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
//! | [`resolve`] | what became of intents that a daemon before this one left open |

mod carry;
mod drift;
pub mod resolve;

use std::sync::Arc;

use serde_json::{Value, json};

pub use carry::{Applied, Became, Running};

use crate::catalog::Catalog;
use crate::ledger::receipt::{Json, body};
use crate::ledger::{Decision, Entry, Recorded};
use crate::plan::snapshot::Taken;
use crate::plan::{Asked, Asker, Claim, Desk, Eyes, Plan, PlanId, Refused, foresee, wanted};
use crate::policy::{Cleared, Hand, Leave, Policy, Principal};
use crate::pve::Client;

/// The node, as the daemon knows it.
#[derive(Clone)]
pub struct Node {
    /// Not yet limited: each role gets its own from it.
    pub client: Client,
    pub catalog: Arc<Catalog>,
}

/// Applies a plan. What comes back runs by itself; to drop it is to stop listening.
pub async fn run(
    desk: &Desk,
    policy: &Policy,
    principal: &Principal,
    asker: Asker,
    node: &Node,
    id: &str,
) -> Result<Running, Refused> {
    let mut asked = Asked { asker, plan: Some(id.chars().take(64).collect()), ..Asked::default() };
    match begin(desk, policy, principal, &mut asked, node, id).await {
        Ok(running) => Ok(running),
        Err(refused) => {
            desk.refused("apply", &asked, &refused).await;
            Err(refused)
        }
    }
}

async fn begin(
    desk: &Desk,
    policy: &Policy,
    principal: &Principal,
    asked: &mut Asked,
    node: &Node,
    id: &str,
) -> Result<Running, Refused> {
    let id: PlanId = id.parse()?;
    let plan = desk.plans.find(id, principal.uid())?;
    asked.request = Some(plan.request.clone());
    let taint = asked.asker.taint;
    let leave = policy.change(principal, &wanted(&plan.request, taint))?;
    let eyes = Eyes::new(&reader(node, &leave), node.catalog.clone());
    let snapshot = first(policy, principal, &eyes, node, &plan, taint)?;
    let claim = desk.plans.claim(id, principal.uid())?;
    let cleared = match policy.approvals.clear(leave, &id.to_string(), &plan.sha256) {
        Ok(cleared) => cleared,
        Err(why) => {
            claim.give_back();
            return Err(Refused::Unapproved { id: id.to_string(), why });
        }
    };
    // A plan that drifted is spent: it is to be made anew.
    let undrifted = drift::check(&eyes, &plan).await?;
    let recorded = match intent(desk, asked, &plan, &cleared).await {
        Ok(recorded) => recorded,
        Err(refused) => {
            if let (_, Some(approved)) = cleared.give_up() {
                policy.approvals.give_back(approved);
            }
            claim.give_back();
            return Err(refused);
        }
    };
    // Halted meanwhile. The hand looks once more, right before the socket.
    if let Err(denied) = policy.halt.check() {
        return Err(halted(claim, recorded, denied.into()).await);
    }
    claim.spent(recorded.seq());
    let hand = Hand::new(&node.client, cleared);
    Ok(carry::start(desk, carry::Carried { eyes, plan, undrifted, recorded, snapshot, hand }))
}

/// What the snapshot before the change is taken with, where the plan says that there is one.
fn first(
    policy: &Policy,
    principal: &Principal,
    eyes: &Eyes,
    node: &Node,
    plan: &Plan,
    taint: bool,
) -> Result<Option<carry::First>, Refused> {
    let Some(name) = plan.snapshot.clone() else { return Ok(None) };
    let Some(Taken { take, .. }) = Taken::named(eyes, &plan.request, name)? else { return Ok(None) };
    let leave = foresee(policy, principal, &take, taint)?;
    let cleared = policy.approvals.clear(leave, &plan.id.to_string(), &plan.sha256);
    let cleared = cleared.map_err(|why| Refused::Unapproved { id: plan.id.to_string(), why })?;
    Ok(Some(carry::First { take, hand: Hand::new(&node.client, cleared) }))
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

/// The node's API as the role has it, to look.
fn reader(node: &Node, leave: &Leave) -> Client {
    match leave.token() {
        Some(token) => node.client.for_token(token),
        None => node.client.clone(),
    }
}

/// What is meant, on the disk before anything is sent: with how it was, and the way back.
async fn intent(desk: &Desk, asked: &Asked, plan: &Plan, cleared: &Cleared) -> Result<Recorded, Refused> {
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
        why: cleared.approved().map(|yes| {
            let yes = yes.decision();
            format!("approved by {}, in receipt {}", yes.by, yes.receipt).into()
        }),
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
    Ok(desk.ledger().intent(head, intent).await?)
}
