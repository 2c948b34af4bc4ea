//! What is on record, in order.

use std::path::Path;

use provost::ledger::{Place, Receipt, Segments};
use serde_json::Value;

/// Every receipt of a log, the oldest first.
pub fn all(ledger: &Path) -> Vec<Receipt> {
    let mut all = Vec::new();
    let Ok(segments) = Segments::open(&Place::new(ledger)) else { return all };
    // What is being written is there the next time.
    let _ = segments.walk(segments.first(), |found| {
        all.push(Receipt::parse(found.line).expect("a receipt"));
        std::ops::ControlFlow::Continue(())
    });
    all
}

/// In a word or two each: kind, tool, and what of the body says which one it is.
pub fn outline(receipts: &[Receipt]) -> Vec<String> {
    let words = |receipt: &Receipt| {
        let detail = ["act", "code", "result"].iter().find_map(|name| receipt.body[*name].as_str());
        let parts = [Some(receipt.kind.name()), receipt.tool.as_deref(), detail];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    receipts.iter().map(words).collect()
}

/// The one with this number, as an answer gave it.
pub fn numbered<'a>(receipts: &'a [Receipt], number: &Value) -> &'a Receipt {
    let found = receipts.iter().find(|receipt| *number == receipt.seq);
    found.unwrap_or_else(|| panic!("no receipt {number}: {:#?}", outline(receipts)))
}
