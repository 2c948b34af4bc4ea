//! The calls of a plan after its first: each looked at anew, recorded, sent and followed, once the one before is done.
//!
//! The first that does not come out stops the rest. What was done is not taken back by itself: whoever asked is told how
//! far it came.

use std::time::Instant;

use serde_json::Value;

use super::carry::{Became, Ended, close, outcome_of};
use super::{Author, drift};
use crate::ledger::{Recorded, Seq};
use crate::plan::undo::Undo;
use crate::plan::{Eyes, Plan, Refused, Request, steps};
use crate::policy::Hand;
use crate::pve::task::Line;

/// One call of several, as far as it came.
#[derive(Debug, Clone)]
pub struct Step {
    /// `POST /cluster/firewall/ipset`
    pub call: String,
    /// The intent's receipt; none where it was not begun.
    pub receipt: Option<Seq>,
    pub outcome: Option<Seq>,
    /// None: not begun.
    pub result: Option<Became>,
}

impl Step {
    fn of(request: &Request) -> Self {
        let call = format!("{} {}", request.method(), request.path());
        Self { call, receipt: None, outcome: None, result: None }
    }
}

/// A call, and what it is made with.
pub(super) struct Next {
    pub request: Request,
    pub hand: Hand,
}

/// Makes all of them, or those up to the first that fails.
pub(super) async fn go_on(
    eyes: &Eyes,
    plan: &Plan,
    author: &Author,
    nexts: Vec<Next>,
    hear: &mut (impl FnMut(Line) + Send),
) -> Vec<Step> {
    let mut steps: Vec<Step> = nexts.iter().map(|next| Step::of(&next.request)).collect();
    for (at, next) in nexts.into_iter().enumerate() {
        let step = &mut steps[at];
        let begun = Instant::now();
        let (recorded, ready) = match begin(eyes, plan, author, &next.request, at + 1).await {
            Ok(begun) => begun,
            Err(refused) => {
                step.result = Some(Became::Failed(refused.to_string()));
                break;
            }
        };
        step.receipt = Some(recorded.seq());
        let sent = match ready {
            Ok(request) => outcome_of(eyes, &request, &recorded, next.hand, hear).await,
            Err(refused) => Ended::not(refused),
        };
        let result = sent.result.clone();
        step.outcome = close(recorded, next.request.template(), &sent, begun, &[]).await.ok();
        let done = matches!(result, Became::Done | Became::Warnings(_));
        step.result = Some(result);
        if !done {
            break;
        }
    }
    steps
}

/// The intent, on the disk before anything is sent. What cannot be made is on record as well.
async fn begin(
    eyes: &Eyes,
    plan: &Plan,
    author: &Author,
    request: &Request,
    at: usize,
) -> Result<(Recorded, Result<Request, Refused>), Refused> {
    let ready = steps::ready(eyes, request).await;
    let (digest, undo, ready) = match ready {
        Ok(steps::Ready { digest, undo }) => {
            let guarded = drift::guarded(eyes, request, digest.clone());
            (digest, undo, guarded)
        }
        Err(refused) => (None, Undo::none("it was not made"), Err(refused)),
    };
    let recorded = author.intent(plan, request, digest.as_deref(), &undo, at).await?;
    Ok((recorded, ready))
}

/// What became of a plan of several calls, by its first and by the others.
pub(super) fn verdict(plan: &Plan, first: Became, steps: &[Step]) -> Became {
    let all = steps.len() + 1;
    let is_done = |step: &&Step| matches!(step.result, Some(Became::Done | Became::Warnings(_)));
    let warnings: u32 = std::iter::once(&first)
        .chain(steps.iter().filter_map(|step| step.result.as_ref()))
        .map(|result| if let Became::Warnings(count) = result { *count } else { 0 })
        .sum();
    if !matches!(first, Became::Done | Became::Warnings(_)) || steps.is_empty() {
        return first;
    }
    let Some(stopped) = steps.iter().find(|step| !is_done(step)) else {
        return if warnings > 0 { Became::Warnings(warnings) } else { Became::Done };
    };
    let done = 1 + steps.iter().take_while(is_done).count();
    let told = |why: &str| {
        let made: Vec<String> = std::iter::once(format!("{} {}", plan.request.method(), plan.request.path()))
            .chain(steps.iter().take(done - 1).map(|step| step.call.clone()))
            .collect();
        let open: Vec<&str> = steps.iter().skip(done).map(|step| step.call.as_str()).collect();
        let rest = if open.is_empty() { "nothing".to_owned() } else { open.join(", ") };
        format!(
            "call {} of {all}, {}: {why}; done: {}; not begun: {rest}",
            done + 1,
            stopped.call,
            made.join(", ")
        )
    };
    match &stopped.result {
        Some(Became::Failed(why)) => Became::Failed(told(why)),
        Some(Became::Unknown(why)) => Became::Unknown(told(why)),
        _ => Became::Unknown(told("nobody knows")),
    }
}

/// The calls with how each stands, for an answer.
pub fn shown(steps: &[Step]) -> Vec<Value> {
    let row = |step: &Step| {
        serde_json::json!({
            "call": step.call,
            "receipt": step.receipt,
            "result": step.result.as_ref().map_or("not begun", Became::name),
        })
    };
    steps.iter().map(row).collect()
}
