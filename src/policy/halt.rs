//! The halt: one switch that stops every change and every command, until somebody lifts it.
//!
//! In: who halts or resumes, and why. Out: whether anything may be done, asked before each thing that is. It is kept in a
//! file, so a restart lifts nothing; and what cannot be read is a halt, or whoever could damage the file could end one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Denied;
use crate::ledger::DiskError;
use crate::ledger::disk::{read_small, replace, sync_parent};
use crate::text::{beginning, clean};

/// The file's name, beside the ledger.
const NAME: &str = "halted";
/// Bytes of a reason.
const MOST_WHY: usize = 500;

/// That everything is halted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Halted {
    /// `user:root (uid 0)`
    pub by: String,
    pub since: Timestamp,
    pub why: String,
}

/// The switch. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Halt(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// None: it is not kept.
    file: Option<PathBuf>,
    now: Mutex<Option<Halted>>,
}

/// It is halted, and a restart would lift it.
#[derive(Debug, thiserror::Error)]
#[error("everything is halted, until provostd ends: it cannot be kept beyond that, as the daemon {0}")]
pub struct NotKept(#[from] DiskError);

/// It stays halted.
#[derive(Debug, thiserror::Error)]
#[error("everything stays halted: the daemon {0}; as root, remove that file and restart provostd")]
pub struct NotLifted(#[from] DiskError);

impl Halt {
    /// As the daemon keeps it: in the directory that holds the ledger's.
    pub fn beside(ledger: &Path) -> Self {
        Self::kept(ledger.parent().unwrap_or(ledger).join(NAME))
    }

    /// As the file has it: halted, where it is there; not, where it is not.
    pub fn kept(file: PathBuf) -> Self {
        let now = read(&file);
        if let Some(halted) = &now {
            tracing::warn!("every change is halted, by {} since {}: {}", halted.by, halted.since, halted.why);
        }
        Self(Arc::new(Shared { file: Some(file), now: Mutex::new(now) }))
    }

    /// One that no restart knows of.
    pub fn unkept() -> Self {
        Self(Arc::new(Shared { file: None, now: Mutex::default() }))
    }

    pub fn now(&self) -> Option<Halted> {
        self.lock().clone()
    }

    /// Refuses while everything is halted.
    pub fn check(&self) -> Result<(), Denied> {
        match &*self.lock() {
            Some(halted) => Err(Denied::Halted(halted.clone())),
            None => Ok(()),
        }
    }

    /// Halts from this moment on, whatever the disk says. A halt that stands already keeps its beginning and its reason.
    pub fn halt(&self, by: &str, why: &str) -> Result<Halted, (Halted, NotKept)> {
        let mut now = self.lock();
        let halted = now.get_or_insert_with(|| Halted {
            by: by.to_owned(),
            since: Timestamp::now(),
            why: beginning(&clean(why.as_bytes()), MOST_WHY).to_owned(),
        });
        let halted = halted.clone();
        drop(now);
        match self.keep(&halted) {
            Ok(()) => Ok(halted),
            Err(error) => Err((halted, NotKept(error))),
        }
    }

    /// Lifts the halt, and says which. The file goes first: what fails leaves everything halted.
    pub fn resume(&self) -> Result<Option<Halted>, NotLifted> {
        let mut now = self.lock();
        if now.is_some()
            && let Some(file) = &self.0.file
        {
            match std::fs::remove_file(file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(DiskError { what: "remove", path: file.clone(), source: error }.into());
                }
                _ => sync_parent(file)?,
            }
        }
        Ok(now.take())
    }

    fn keep(&self, halted: &Halted) -> Result<(), DiskError> {
        let Some(file) = &self.0.file else { return Ok(()) };
        let text = serde_json::to_vec(halted).expect("three texts are JSON");
        replace(file, &text, 0o600)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Halted>> {
        // Nothing that is done under the lock leaves it half-way.
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(file: &Path) -> Option<Halted> {
    let unreadable = |why: String| {
        let why = format!(
            "whether there is a halt cannot be told, as {} {why}; `provost resume` ends this",
            file.display()
        );
        Some(Halted { by: "provostd".into(), since: Timestamp::now(), why })
    };
    match read_small(file) {
        Ok(None) => None,
        Ok(Some(text)) => match serde_json::from_slice(&text) {
            Ok(halted) => Some(halted),
            Err(_) => unreadable("is not what was written there".into()),
        },
        Err(error) => unreadable(format!("cannot be read: {}", error.source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(dir: &tempfile::TempDir) -> Halt {
        Halt::beside(&dir.path().join("ledger"))
    }

    #[test]
    fn a_halt_survives_a_restart_with_who_and_why_and_its_end_does_too() {
        let dir = tempfile::tempdir().unwrap();
        let halt = kept(&dir);
        assert!(halt.check().is_ok());
        let halted = halt.halt("user:root (uid 0)", "storage\u{1b}[2J fails").unwrap();
        assert_eq!((halted.by.as_str(), halted.why.as_str()), ("user:root (uid 0)", "storage fails"));
        assert_eq!(kept(&dir).now(), Some(halted.clone()));
        // Another's halt on top of it changes nothing of the first.
        assert_eq!(halt.halt("user:bob (uid 5)", "me too").unwrap(), halted);
        assert_eq!(kept(&dir).resume().unwrap(), Some(halted));
        assert_eq!(kept(&dir).now(), None);
    }

    #[test]
    fn a_file_that_cannot_be_understood_is_a_halt_until_somebody_resumes() {
        for content in [
            &b""[..],
            b"{}",
            b"{\"by\":\"x\"",
            b"false",
            b"\xff\xfe",
            b"{\"by\":\"x\",\"since\":\"never\",\"why\":\"\"}",
        ] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(NAME), content).unwrap();
            let halt = kept(&dir);
            let Err(Denied::Halted(halted)) = halt.check() else { panic!("{content:?} is no halt") };
            assert!(halted.why.contains("halted is not what was written"), "{}", halted.why);
            halt.resume().unwrap();
            assert!(halt.check().is_ok() && kept(&dir).check().is_ok());
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_a_halt_that_resume_does_not_end_without_removing_it() {
        let dir = tempfile::tempdir().unwrap();
        // A directory stands for everything that is there and cannot be read; root may read all else.
        std::fs::create_dir_all(dir.path().join(NAME).join("below")).unwrap();
        let halt = kept(&dir);
        assert!(halt.check().is_err());
        let error = halt.resume().unwrap_err().to_string();
        assert!(error.contains("stays halted") && halt.check().is_err(), "{error}");
    }

    #[test]
    fn what_cannot_be_kept_halts_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let halt = Halt::beside(&dir.path().join("gone/ledger"));
        assert!(halt.check().is_ok());
        let (_, error) = halt.halt("user:root (uid 0)", "").unwrap_err();
        assert!(error.to_string().contains("until provostd ends"), "{error}");
        assert!(halt.check().is_err());
    }
}
