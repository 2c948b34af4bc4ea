//! The undo of a receipt: the call that was worked out when the change was planned, asked for anew.

use serde_json::Value;

use super::undo::{Undo, Way};
use super::{Eyes, Refused, Request, reach};
use crate::ledger::{Kind, Ledger, Receipt, Segments, Seq};

/// The request that takes back what receipt `seq` says.
pub async fn request(eyes: &Eyes, ledger: &Ledger, seq: Seq) -> Result<Request, Refused> {
    let place = ledger.place().clone();
    let looked = tokio::task::spawn_blocking(move || intent(&place, seq)).await;
    let receipt = looked.unwrap_or_else(|_| Err("it could not be read".to_owned()));
    let receipt = receipt.map_err(|why| Refused::NoReceipt { seq, why })?;
    let undo = receipt.body.get("before").and_then(|before| before.get("undo")).cloned();
    let no_way = |why: String| Refused::NoWayBack { seq, why };
    let undo: Undo = undo
        .and_then(|undo| serde_json::from_value(undo).ok())
        .ok_or_else(|| no_way("the receipt holds none".to_owned()))?;
    if let Some(name) = undo.lacks_secret() {
        return Err(no_way(format!("\"{name}\" is a secret, which no receipt holds")));
    }
    let call = match (undo.way, undo.call) {
        (Way::None, _) | (_, None) => return Err(no_way(undo.why)),
        (_, Some(call)) => call,
    };
    let mut request = Request::of(&eyes.catalog, call.method, &call.path, call.args, Vec::new())?;
    request.guests = reach::guests(eyes, &request).await?;
    Ok(request)
}

/// The intent that the receipt is, or that it closes.
fn intent(place: &crate::ledger::Place, seq: Seq) -> Result<Receipt, String> {
    let read = |seq: Seq| -> Result<Receipt, String> {
        let segments = Segments::open(place).map_err(|error| error.to_string())?;
        let line = segments.line(seq).map_err(|error| error.to_string())?;
        Receipt::parse(&line).map_err(|_| "it cannot be read".to_owned())
    };
    let receipt = read(seq)?;
    let intent = match receipt.kind {
        Kind::Intent => receipt,
        Kind::Outcome | Kind::File => read(receipt.closes().ok_or("it closes no intent")?)?,
        kind => {
            return Err(format!("it is a {} receipt, which records no change that a plan made", kind.name()));
        }
    };
    match intent.body.get("act").and_then(Value::as_str) {
        Some("apply" | "undo") => Ok(intent),
        Some("file_put") => Err("it records a file_put: file_put with restore takes it back".to_owned()),
        _ => Err("it records no change that a plan made".to_owned()),
    }
}
