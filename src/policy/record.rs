//! A person's answer, on record before it counts.

use super::approval::{Claim, Decision};
use crate::ledger::receipt::{Clean, body};
use crate::ledger::{Decision as Ruling, Entry, Ledger, Unrecorded, Who};

/// Records what `who` said to a plan, and lets it count. One that cannot be recorded is none: the plan waits on.
pub async fn record(
    ledger: &Ledger,
    claim: Claim,
    who: Who,
    why: Option<Clean>,
) -> Result<Decision, Unrecorded> {
    let request = claim.request();
    let approval =
        body::Approval { how: claim.how().name(), of: request.receipt, sha256: request.sha256.clone() };
    let entry = Entry {
        principal: Some(who),
        decision: Some(if claim.yes() { Ruling::Allowed } else { Ruling::Refused }),
        guest: request.guest,
        endpoint: Some(request.endpoint.as_str().into()),
        plan: Some(request.plan.as_str().into()),
        why,
        ..Entry::of(approval)
    };
    let receipt = ledger.append_durable(entry).await?;
    Ok(claim.settle(receipt))
}
