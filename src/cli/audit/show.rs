//! `provost audit show SEQ`.

use clap::Args;
use serde_json::{Value, json};
use tlog_tiles::tlog::check_record;

use super::{AuditError, DAMAGED, Done, VERIFIED, key, read};
use crate::ledger::tree::{base64, leaf_hash};
use crate::ledger::{Hashes, Place, Segments, Seq};
use crate::text::clean;

#[derive(Debug, Args)]
pub struct Show {
    /// The receipt's number
    seq: Seq,
    /// The exact line, as it is hashed, and nothing else
    #[arg(long)]
    raw: bool,
    /// As one JSON object, the proof included
    #[arg(long, conflicts_with = "raw")]
    json: bool,
}

impl Show {
    pub fn run(self, place: &Place) -> Done {
        let key = key(place)?;
        let path = place.checkpoint();
        let head = key.head(&read(&path)?).map_err(|source| AuditError::Note { path, source })?;
        let stored = Hashes::open(place)?
            .ok_or_else(|| AuditError::Other(format!("{} is missing", place.hashes().display())))?;
        let line = Segments::open(place)?.line(self.seq)?;
        if self.raw {
            println!("{}", String::from_utf8_lossy(&line));
            return Ok(VERIFIED);
        }
        let leaf = leaf_hash(&line);
        let signed = self.seq < head.size;
        let proof = if signed { stored.prove_inclusion(head.size, self.seq)? } else { Vec::new() };
        let holds = signed && check_record(&proof, head.size, head.root, self.seq, leaf).is_ok();
        let receipt = serde_json::from_slice(&line).unwrap_or(Value::Null);
        let says = match (signed, holds) {
            (true, true) => "verified: it is in the signed tree",
            (true, false) => "DAMAGED: it is not what the signed head covers",
            (false, _) => "newer than the signed head, which comes each minute",
        };
        if self.json {
            let path: Vec<String> = proof.iter().map(base64).collect();
            let proof = json!({
                "leaf": base64(&leaf), "size": head.size, "root": base64(&head.root), "path": path,
                "verified": signed.then_some(holds),
            });
            println!("{}", json!({ "receipt": receipt, "proof": proof }));
        } else {
            let text = serde_json::to_string_pretty(&receipt).unwrap_or_default();
            println!("{}\n\nleaf  {}", clean(text.as_bytes()), base64(&leaf));
            proof.iter().for_each(|hash| println!("path  {}", base64(hash)));
            println!("root  {} of {} entries\n{says}", base64(&head.root), head.size);
        }
        Ok(if signed && !holds { DAMAGED } else { VERIFIED })
    }
}
