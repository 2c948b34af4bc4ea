//! A person's answer, on record before it counts.

use super::approval::{Claim, Decision, Request, Withdrawal};
use crate::ledger::receipt::{Clean, body};
use crate::ledger::{Decision as Ruling, Entry, Ledger, Unrecorded, Who};

/// Records what `who` said to a plan, and lets it count. One that cannot be recorded is none: the plan waits on.
pub async fn record(
    ledger: &Ledger,
    claim: Claim,
    who: Who,
    why: Option<Clean>,
) -> Result<Decision, Unrecorded> {
    let ruling = if claim.yes() { Ruling::Allowed } else { Ruling::Refused };
    let entry = entry(claim.request(), claim.how().name(), ruling, who, why);
    let receipt = ledger.append_durable(entry).await?;
    Ok(claim.settle(receipt))
}

/// The same of a plan that `who` asked for and takes back.
pub async fn record_withdrawn(
    ledger: &Ledger,
    withdrawal: Withdrawal,
    who: Who,
    why: Option<Clean>,
) -> Result<(), Unrecorded> {
    let entry = entry(withdrawal.request(), "withdrawn", Ruling::Refused, who, why);
    let receipt = ledger.append_durable(entry).await?;
    withdrawal.settle(receipt);
    Ok(())
}

fn entry(request: &Request, how: &'static str, ruling: Ruling, who: Who, why: Option<Clean>) -> Entry {
    let approval = body::Approval { how, of: request.receipt, sha256: request.sha256.clone() };
    Entry {
        principal: Some(who),
        decision: Some(ruling),
        guest: request.guest,
        endpoint: Some(request.endpoint.as_str().into()),
        plan: Some(request.plan.as_str().into()),
        why,
        ..Entry::of(approval)
    }
}
