//! The undo of a receipt: the call that was worked out when the change was planned, asked for anew.

use std::ops::ControlFlow;

use serde_json::Value;

use super::undo::{Inverse, Undo, Way};
use super::{Eyes, Refused, Request, reach, since};
use crate::account::Account;
use crate::catalog::Method;
use crate::ledger::query::{self, Filter, newest_first};
use crate::ledger::{Kind, Ledger, Receipt, Seq, Who};

/// What is taken back, and what has happened to it since.
pub struct Back {
    pub first: Request,
    pub then: Vec<Request>,
    pub warnings: Vec<String>,
}

/// The calls that take back what receipt `seq` says: of the first call of a plan that had several, all that were made, the
/// last first; of another receipt, its own.
///
/// `of`: whose changes may be asked for; everybody's where it is nobody.
pub async fn requests(eyes: &Eyes, ledger: &Ledger, seq: Seq, of: Option<Account>) -> Result<Back, Refused> {
    let place = ledger.place().clone();
    let looked = tokio::task::spawn_blocking(move || intents(&place, seq, of)).await;
    let receipts = looked.unwrap_or_else(|_| Err("it could not be read".to_owned()));
    let receipts = receipts.map_err(|why| Refused::NoReceipt { seq, why })?;
    let mut calls = Vec::new();
    let mut warnings = Vec::new();
    for receipt in receipts {
        let inverses = inverses(&receipt).map_err(|why| Refused::NoWayBack { seq, why })?;
        let found = since::found_again(eyes, &receipt, inverses).await?;
        let inverses = found.map_err(|why| Refused::NoWayBack { seq, why })?;
        warnings.extend(since::changed(eyes, &receipt, &inverses).await?);
        calls.extend(inverses);
    }
    let mut requests = Vec::new();
    for call in without_moves(calls) {
        let mut request = Request::of(&eyes.catalog, call.method, &call.path, call.args, Vec::new())?;
        request.guests = reach::guests(eyes, &request).await?;
        requests.push(request);
    }
    let mut requests = requests.into_iter();
    let first = requests.next().ok_or_else(|| Refused::NoWayBack { seq, why: "nothing was done".into() })?;
    Ok(Back { first, then: requests.collect(), warnings })
}

/// Without moving a rule back to where it was made: it is removed where it stands now.
fn without_moves(calls: Vec<Inverse>) -> Vec<Inverse> {
    let list = |call: &Inverse| call.path.rsplit_once('/').map(|(list, _)| list.to_owned());
    let removed: Vec<_> = calls.iter().filter(|call| call.method == Method::Delete).map(list).collect();
    let moves = |call: &Inverse| call.args.contains_key("moveto") && removed.contains(&list(call));
    calls.into_iter().filter(|call| !moves(call)).collect()
}

fn inverses(receipt: &Receipt) -> Result<Vec<Inverse>, String> {
    let undo = receipt.body.get("before").and_then(|before| before.get("undo")).cloned();
    let undo: Undo = undo
        .and_then(|undo| serde_json::from_value(undo).ok())
        .ok_or_else(|| "the receipt holds none".to_owned())?;
    if let Some(name) = undo.lacks_secret() {
        return Err(format!("\"{name}\" is a secret, which no receipt holds"));
    }
    match undo.way {
        Way::None => Err(undo.why),
        _ if undo.call.is_none() => Err(undo.why),
        _ => Ok(undo.calls().cloned().collect()),
    }
}

/// The intents that are taken back with receipt `seq`, the latest first.
fn intents(place: &crate::ledger::Place, seq: Seq, of: Option<Account>) -> Result<Vec<Receipt>, String> {
    let first = intent(place, seq)?;
    if of.is_some_and(|own| first.principal.as_ref().and_then(Who::account) != Some(own)) {
        return Err("it is somebody else's".to_owned());
    }
    if let Some(why) = failed(place, &first)? {
        return Err(format!(
            "the change failed ({why}), and taking back what was not made would hit something else"
        ));
    }
    let step = |receipt: &Receipt, name: &str| {
        receipt.body.pointer(&format!("/before/step/{name}")).and_then(Value::as_u64)
    };
    let (Some(0), Some(plan)) = (step(&first, "at"), first.plan.clone()) else { return Ok(vec![first]) };
    let mut failed = Vec::new();
    let mut made = Vec::new();
    let filter = Filter { plan: Some(plan), ..Filter::default() };
    newest_first(place, &filter, |receipt| {
        match receipt.kind {
            Kind::Outcome if receipt.body["result"] == "failed" => failed.extend(receipt.closes()),
            // Its outcome came before it, as the latest come first.
            Kind::Intent if receipt.seq >= first.seq && !failed.contains(&receipt.seq) => made.push(receipt),
            _ => {}
        }
        ControlFlow::Continue(())
    })
    .map_err(|error| error.to_string())?;
    Ok(made)
}

/// Why the change of an intent came to nothing, where it did.
fn failed(place: &crate::ledger::Place, intent: &Receipt) -> Result<Option<String>, String> {
    let Some(plan) = intent.plan.clone() else { return Ok(None) };
    let mut why = None;
    newest_first(place, &Filter { plan: Some(plan), ..Filter::default() }, |receipt| {
        if receipt.closes() == Some(intent.seq) {
            let failed = receipt.kind == Kind::Outcome && receipt.body["result"] == "failed";
            why = failed.then(|| receipt.why.clone().unwrap_or_default());
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })
    .map_err(|error| error.to_string())?;
    Ok(why)
}

/// The intent of a change that a plan made.
fn intent(place: &crate::ledger::Place, seq: Seq) -> Result<Receipt, String> {
    let intent = query::intent(place, seq)?;
    match intent.body.get("act").and_then(Value::as_str) {
        Some("apply" | "undo") => Ok(intent),
        Some("file_put") => Err("it records a file_put: file_put with restore takes it back".to_owned()),
        _ => Err("it records no change that a plan made".to_owned()),
    }
}
