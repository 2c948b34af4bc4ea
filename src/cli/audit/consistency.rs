//! `provost audit consistency OLD NEW`: that the newer head's tree begins with the older's.

use std::path::PathBuf;

use clap::Args;
use tlog_tiles::tlog::check_tree;

use super::{AuditError, DAMAGED, Done, VERIFIED, key, read};
use crate::ledger::tree::base64;
use crate::ledger::{Hashes, Place};

#[derive(Debug, Args)]
pub struct Consistency {
    /// The earlier checkpoint
    old: PathBuf,
    /// The later one [default: the log's own]
    new: Option<PathBuf>,
}

impl Consistency {
    pub fn run(self, place: &Place) -> Done {
        let key = key(place)?;
        let head = |path: PathBuf| {
            let note = read(&path)?;
            key.head(&note).map_err(|source| AuditError::Note { path, source })
        };
        let old = head(self.old)?;
        let new = head(self.new.unwrap_or_else(|| place.checkpoint()))?;
        if old.size > new.size {
            println!("DAMAGED: the earlier head is of {} entries, the later of {}", old.size, new.size);
            return Ok(DAMAGED);
        }
        let stored = Hashes::open(place)?
            .ok_or_else(|| AuditError::Other(format!("{} is missing", place.hashes().display())))?;
        println!("old   {} {}\nnew   {} {}", old.size, base64(&old.root), new.size, base64(&new.root));
        // Every tree begins with the empty one.
        let holds = if old.size == 0 {
            true
        } else {
            let proof = stored.prove_consistency(new.size, old.size)?;
            proof.iter().for_each(|hash| println!("proof {}", base64(hash)));
            check_tree(&proof, new.size, new.root, old.size, old.root).is_ok()
        };
        println!(
            "{}",
            if holds {
                "verified: the later grew out of the earlier"
            } else {
                "DAMAGED: the later did not grow out of the earlier"
            }
        );
        Ok(if holds { VERIFIED } else { DAMAGED })
    }
}
