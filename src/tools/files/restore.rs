//! The undo of a `file_put`: what was there before comes back, as long as what was put is still what is there.

use serde_json::Value;

use super::put::{FilePutArguments, Wanted};
use super::{meant, wrong};
use crate::door::{Errand, Over, Put, Remove};
use crate::exec::wire::Guest;
use crate::ledger::{Place, Receipt, Seq, query};
use crate::tools::Provost;
use crate::tools::answer::Failure;

pub async fn wanted(
    provost: &Provost,
    given: &FilePutArguments,
    seq: Seq,
    keep: u64,
) -> Result<Wanted, Failure> {
    if !given.is_bare() {
        return Err(wrong("restore takes nothing but guest beside it"));
    }
    let place = provost.desk.ledger.place().clone();
    let looked = tokio::task::spawn_blocking(move || intent(&place, seq)).await;
    let intent = looked.unwrap_or_else(|_| Err("it could not be read".to_owned()));
    let intent = intent.map_err(|why| no(format!("receipt {seq} cannot be taken back: {why}")))?;
    let on_host = intent.guest.is_none() && intent.endpoint.as_deref() == Some("file_put host");
    let same = match given.guest {
        Guest::Vmid(vmid) => intent.guest == Some(vmid),
        Guest::Host => on_host,
    };
    if !same {
        return Err(no(format!("receipt {seq} is of another guest")));
    }
    let missing = || no(format!("receipt {seq} does not hold what its undo takes"));
    let path = intent.body["args"]["path"].as_str().ok_or_else(missing)?.to_owned();
    let put = intent.body["sha256"].as_str().map(str::to_owned);
    let before = &intent.body["before"];
    let text = |name: &str| before[name].as_str().map(str::to_owned);
    let number = |name: &str| before[name].as_u64().ok_or_else(missing);
    let (errand, content) = match (put, before) {
        (Some(sha256), Value::Null) => (Errand::Remove(Remove { path, sha256, keep }), Vec::new()),
        // What was taken away comes back only where nothing is.
        (put, _) => {
            let sha256 = text("sha256").ok_or_else(missing)?;
            let mode = text("mode").and_then(|mode| u32::from_str_radix(&mode, 8).ok());
            // Of a VM without Linux neither was known.
            let owner = match before["uid"].is_null() {
                true => None,
                false => Some(format!("{}:{}", number("uid")?, number("gid")?)),
            };
            let hash = sha256.clone();
            let files = provost.files.clone();
            let read = tokio::task::spawn_blocking(move || files.kept.read(&hash)).await;
            let content = read.ok().and_then(Result::ok).ok_or_else(|| {
                no(format!("what receipt {seq} replaced is not kept any more: [exec] keep_replaced had no room for it"))
            })?;
            let over = put.map_or(Over::Never, Over::IfHash);
            let bytes = content.len() as u64;
            (Errand::Put(Put { path, bytes, sha256, mode, owner, over, keep }), content)
        }
    };
    Ok(Wanted { errand: meant(errand)?, content, from: Some(seq) })
}

fn no(message: String) -> Failure {
    Failure::new(
        "no_way_back",
        message,
        "`audit` lists receipts; those of kind \"file\" with act \"put\" can be taken back",
    )
}

/// The intent of a `file_put`.
fn intent(place: &Place, seq: Seq) -> Result<Receipt, String> {
    let intent = query::intent(place, seq)?;
    match intent.body["act"].as_str() {
        Some("file_put") => Ok(intent),
        _ => Err("it records no file_put".to_owned()),
    }
}
