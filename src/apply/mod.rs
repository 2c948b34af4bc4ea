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
//! | [`steps`] | the calls that follow it, where a plan has several |
//! | [`resolve`] | what became of intents that a daemon before this one left open |

mod carry;
mod drift;
pub mod resolve;
pub mod steps;

use std::sync::Arc;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub use carry::{Applied, Became, Running};
pub use steps::Step;

use crate::catalog::Catalog;
use crate::ledger::receipt::{Json, body};
use crate::ledger::{Decision, Entry, Ledger, Recorded, Who};
use crate::plan::snapshot::Taken;
use crate::plan::undo::Undo;
use crate::plan::{Asked, Asker, Claim, Desk, Eyes, Plan, PlanId, Refused, Request};
use crate::plan::{await_person, foresee, steps as plan_steps, wanted};
use crate::policy::{Cleared, Hand, Leave, Policy, Principal};
use crate::pve::Client;

/// The node, as the daemon knows it.
#[derive(Clone)]
pub struct Node {
    /// Not yet limited: each role gets its own from it.
    pub client: Client,
    pub catalog: Arc<Catalog>,
}

/// Applies a plan. What comes back runs by itself; to drop it is to stop listening. Whoever gives up before the intent is
/// recorded has changed nothing. This itself is to run to its end: see [`Desk::carry`].
pub async fn run(
    desk: &Desk,
    policy: &Policy,
    principal: &Principal,
    asker: Asker,
    node: &Node,
    id: &str,
    given_up: &CancellationToken,
) -> Result<Running, Refused> {
    let mut asked = Asked { asker, plan: Some(id.chars().take(64).collect()), ..Asked::default() };
    match begin(desk, policy, principal, &mut asked, node, id, given_up).await {
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
    given_up: &CancellationToken,
) -> Result<Running, Refused> {
    let id: PlanId = id.parse()?;
    let plan = desk.plans.find(id, principal.account())?;
    asked.request = Some(plan.request.clone());
    let taint = asked.asker.taint;
    let leave = policy.change(principal, &wanted(&plan.request, taint))?;
    let eyes = Eyes::new(&reader(node, &leave), node.catalog.clone());
    let calls = calls(policy, principal, &eyes, &plan, leave, taint)?;
    let claim = desk.plans.claim(id, principal.account())?;
    // What the session has read since may ask for more than the plan did.
    await_person(policy, &plan, calls.leaves[0].role(), &plan_steps::needs(&calls.leaves))?;
    let plan_id = id.to_string();
    let cleared = policy.approvals.clear_all(calls.leaves, &plan_id, &plan.sha256);
    let mut cleared = cleared.map_err(|why| Refused::Unapproved { id: plan_id, why })?.into_iter();
    let first = cleared.next().ok_or_else(|| Refused::NoPlan { id: id.to_string() })?;
    let rest: Vec<Cleared> = cleared.collect();
    let undrifted = match drift::check(desk, &eyes, &plan).await {
        Ok(undrifted) => undrifted,
        Err(refused) => {
            // A plan that drifted is spent: it is to be made anew. One that could not be looked at is not.
            match refused {
                Refused::Drifted { .. } => claim.used_up(),
                _ => give_back(policy, first),
            }
            return Err(refused);
        }
    };
    if given_up.is_cancelled() {
        give_back(policy, first);
        return Err(Refused::GivenUp { id: id.to_string() });
    }
    let author = Author {
        ledger: desk.ledger().clone(),
        who: asked.asker.who.clone(),
        approved: first.approved().map(|yes| {
            let yes = yes.decision();
            format!("approved by {}, in receipt {}", yes.by, yes.receipt)
        }),
    };
    let recorded = author.intent(&plan, &plan.request, plan.observed.digest.as_deref(), &plan.undo, 0).await;
    let recorded = match recorded {
        Ok(recorded) => recorded,
        Err(refused) => {
            give_back(policy, first);
            return Err(refused);
        }
    };
    // Halted meanwhile. The hand looks once more, right before the socket.
    if let Err(denied) = policy.halt.check() {
        return Err(halted(claim, recorded, denied.into()).await);
    }
    claim.spent(recorded.seq());
    let mut hands = rest.into_iter().map(|cleared| Hand::new(&node.client, cleared));
    let snapshot = calls.take.and_then(|take| Some(carry::First { take, hand: hands.next()? }));
    let nexts = plan.then.iter().cloned().zip(hands).map(|(request, hand)| steps::Next { request, hand });
    let nexts = nexts.collect();
    let hand = Hand::new(&node.client, first);
    Ok(carry::start(desk, carry::Carried { eyes, plan, undrifted, recorded, snapshot, hand, nexts, author }))
}

/// What was used up for a change of which nothing was sent.
fn give_back(policy: &Policy, cleared: Cleared) {
    if let (_, Some(approved)) = cleared.give_up() {
        policy.approvals.give_back(approved);
    }
}

/// Policy's leave for every call that the plan makes.
struct Calls {
    /// The snapshot that is taken first.
    take: Option<Request>,
    /// The plan's own call, the snapshot where there is one, the calls that follow.
    leaves: Vec<Leave>,
}

fn calls(
    policy: &Policy,
    principal: &Principal,
    eyes: &Eyes,
    plan: &Plan,
    leave: Leave,
    taint: bool,
) -> Result<Calls, Refused> {
    let take = match plan.snapshot.clone() {
        Some(name) => Taken::named(eyes, &plan.request, name)?.map(|taken| taken.take),
        None => None,
    };
    let mut leaves = vec![leave];
    for request in take.iter().chain(&plan.then) {
        leaves.push(foresee(policy, principal, request, taint)?);
    }
    Ok(Calls { take, leaves })
}

async fn halted(claim: Claim<'_, Plan>, recorded: Recorded, refused: Refused) -> Refused {
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

/// Who records a plan's calls, with whose yes.
pub(crate) struct Author {
    ledger: Ledger,
    who: Who,
    approved: Option<String>,
}

impl Author {
    /// What is meant, on the disk before anything is sent: with how it was, and the way back. `at` is the call's place in
    /// the plan, from 0.
    async fn intent(
        &self,
        plan: &Plan,
        request: &Request,
        digest: Option<&str>,
        undo: &Undo,
        at: usize,
    ) -> Result<Recorded, Refused> {
        let template = request.template();
        let mut before = json!({
            "call": { "method": request.method(), "path": request.path() },
            "digest": digest,
            "undo": undo,
        });
        if !plan.then.is_empty() {
            before["step"] = json!({ "at": at, "of": plan.then.len() + 1 });
        }
        if let Some(snapshot) = plan.snapshot.as_ref().filter(|_| at == 0) {
            before["snapshot"] = snapshot.as_str().into();
        }
        let head = Entry {
            principal: Some(self.who.clone()),
            tool: Some("apply"),
            guest: request.guest().or_else(|| crate::plan::only(&request.guests)),
            endpoint: Some(request.endpoint().into()),
            decision: Some(Decision::Allowed),
            why: self.approved.as_deref().map(Into::into),
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
        Ok(self.ledger.intent(head, intent).await?)
    }
}
