//! What lies in the ledger's directory, and what it is called.

use std::path::{Path, PathBuf};

/// The directory, and the names in it.
#[derive(Debug, Clone)]
pub struct Place(PathBuf);

impl Place {
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// The receipts, one a line: `entries-000001.jsonl` and so on.
    pub fn segment(&self, number: u64) -> PathBuf {
        self.0.join(format!("entries-{number:06}.jsonl"))
    }

    /// Every hash of the tree, 32 bytes each, in the order of `tlog_tiles::stored_hash_index`.
    pub fn hashes(&self) -> PathBuf {
        self.0.join("hashes")
    }

    /// The latest signed head.
    pub fn checkpoint(&self) -> PathBuf {
        self.0.join("checkpoint")
    }

    /// What the daemon has to know when it starts again: a note signed like the head.
    pub fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    pub fn secret_key(&self) -> PathBuf {
        self.0.join("ledger.key")
    }

    /// The note verifier key.
    pub fn public_key(&self) -> PathBuf {
        self.0.join("ledger.pub")
    }

    pub fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Which segments the operator has moved away.
    pub fn archived(&self) -> PathBuf {
        self.0.join("archived")
    }
}
