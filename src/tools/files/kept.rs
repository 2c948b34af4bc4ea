//! What was replaced, kept for undo: a file each, by the hash of its content, in the daemon's own directory.
//!
//! Within a budget, oldest out first. On the disk before the change is made. Nobody but the daemon reads them: they hold
//! what the guests' files held.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use ring::digest::{Context, SHA256, digest};
use tempfile::NamedTempFile;

use crate::ledger::tree::hex;

pub struct Kept {
    dir: PathBuf,
    /// One makes room at a time.
    room: Mutex<()>,
}

/// One that is being taken in.
pub struct Taking {
    file: NamedTempFile,
    hash: Context,
    dir: PathBuf,
}

impl Kept {
    pub fn beside(ledger: &Path) -> Self {
        Self { dir: ledger.parent().unwrap_or(ledger).join("replaced"), room: Mutex::default() }
    }

    /// Makes room for so many bytes, and begins to take them in. None where the budget is smaller.
    pub fn begin(&self, bytes: u64, budget: u64) -> io::Result<Option<Taking>> {
        if bytes > budget {
            return Ok(None);
        }
        let _one = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        self.make_room(budget - bytes)?;
        let file = tempfile::Builder::new()
            .prefix(".new-")
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(&self.dir)?;
        Ok(Some(Taking { file, hash: Context::new(&SHA256), dir: self.dir.clone() }))
    }

    fn make_room(&self, most: u64) -> io::Result<()> {
        let mut all: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            // One that is being taken in may have got its name meanwhile.
            let Ok(meta) = entry.metadata() else { continue };
            // One that is being taken in is young; what a daemon that was killed has left there is not.
            let young = meta.modified()?.elapsed().is_ok_and(|age| age.as_secs() < 3600);
            if entry.file_name().as_encoded_bytes().starts_with(b".") && young {
                continue;
            }
            all.push((meta.modified()?, meta.len(), entry.path()));
        }
        all.sort();
        let mut total: u64 = all.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in all {
            if total <= most {
                break;
            }
            fs::remove_file(path)?;
            total -= bytes;
        }
        Ok(())
    }

    /// What was kept under that hash, if it still is, and is what it was.
    pub fn read(&self, sha256: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.dir.join(sha256))?.read_to_end(&mut bytes)?;
        match hex(digest(&SHA256, &bytes).as_ref()) == sha256 {
            true => Ok(bytes),
            false => Err(io::Error::other("it is not what was kept")),
        }
    }
}

impl Taking {
    pub fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.file.write_all(bytes)
    }

    /// Keeps it for good if it is all there. On the disk when this returns.
    pub fn keep(self, sha256: &str) -> io::Result<()> {
        if hex(self.hash.finish().as_ref()) != sha256 {
            return Err(io::Error::other("what came is not what was announced"));
        }
        self.file.as_file().sync_all()?;
        self.file.persist(self.dir.join(sha256)).map_err(|error| error.error)?;
        File::open(&self.dir)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(kept: &Kept, content: &[u8], budget: u64) -> Option<String> {
        let mut taking = kept.begin(content.len() as u64, budget).unwrap()?;
        taking.take(content).unwrap();
        let sha256 = hex(digest(&SHA256, content).as_ref());
        taking.keep(&sha256).unwrap();
        Some(sha256)
    }

    #[test]
    fn what_is_kept_comes_back_as_long_as_the_budget_has_room_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept::beside(&dir.path().join("ledger"));
        let first = keep(&kept, b"first", 12).unwrap();
        assert_eq!(kept.read(&first).unwrap(), b"first");
        let old = SystemTime::now() - std::time::Duration::from_secs(60);
        let file = File::options().append(true).open(kept.dir.join(&first)).unwrap();
        file.set_modified(old).unwrap();
        let second = keep(&kept, b"second", 12).unwrap();
        assert!(kept.read(&first).is_ok() && kept.read(&second).is_ok());
        keep(&kept, b"3", 7).unwrap();
        assert!(kept.read(&first).is_err() && kept.read(&second).is_ok());
        assert_eq!(keep(&kept, b"too long", 7), None);
        let mode = fs::metadata(&kept.dir).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700);
    }

    #[test]
    fn what_is_not_all_there_or_was_changed_is_not_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept::beside(&dir.path().join("ledger"));
        let mut taking = kept.begin(5, 100).unwrap().unwrap();
        taking.take(b"fir").unwrap();
        assert!(taking.keep(&hex(digest(&SHA256, b"first").as_ref())).is_err());
        assert_eq!(fs::read_dir(&kept.dir).unwrap().count(), 0);
        let sha256 = keep(&kept, b"first", 100).unwrap();
        fs::write(kept.dir.join(&sha256), b"other").unwrap();
        assert!(kept.read(&sha256).is_err());
    }
}
