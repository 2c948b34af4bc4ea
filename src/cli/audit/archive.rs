//! `provost audit archive DIR`: moves sealed segments away.
//!
//! The oldest first, never the one that is written to, so that what remains has no hole. What is here no more is said in a
//! file, or verification would call it missing; anybody who has the moved files can put them back.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{AuditError, Done, VERIFIED};
use crate::ledger::{Place, Receipt, Segments, archive};

#[derive(Debug, Args)]
pub struct Archive {
    /// Where to
    to: PathBuf,
    /// Only what is older than this: 2026-01-31, 90d
    #[arg(long, value_parser = crate::ledger::query::time)]
    before: Option<jiff::Timestamp>,
}

impl Archive {
    pub fn run(self, place: &Place) -> Done {
        let segments = Segments::open(place)?;
        let cannot = |what: &str, path: &Path, error: std::io::Error| {
            AuditError::Other(format!("cannot {what} {}: {error}", path.display()))
        };
        fs::create_dir_all(&self.to).map_err(|error| cannot("make", &self.to, error))?;
        for pair in segments.all.windows(2) {
            let (old, next) = (&pair[0], &pair[1]);
            let newest = Receipt::parse(&segments.line(next.first - 1)?).ok().map(|receipt| receipt.time);
            if self.before.is_some_and(|before| newest.is_none_or(|newest| newest >= before)) {
                break;
            }
            let to = self.to.join(old.path.file_name().unwrap_or_default());
            // Copied and safe over there before it goes here; it may be another file system.
            fs::copy(&old.path, &to).map_err(|error| cannot("copy to", &to, error))?;
            File::open(&to).and_then(|file| file.sync_all()).map_err(|error| cannot("sync", &to, error))?;
            File::open(&self.to)
                .and_then(|dir| dir.sync_all())
                .map_err(|error| cannot("sync", &self.to, error))?;
            archive::set_first_kept(place, next.first)?;
            fs::remove_file(&old.path).map_err(|error| cannot("remove", &old.path, error))?;
            println!("{}: receipts {} to {}", to.display(), old.first, next.first - 1);
        }
        Ok(VERIFIED)
    }
}
