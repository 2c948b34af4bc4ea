//! What can be wrong with a log: what, and where.

use std::path::PathBuf;

use super::hashes::HashesError;
use super::note::NoteError;
use super::receipt::Seq;
use super::segments::SegmentError;
use super::state::StateError;

/// A finding that no crash explains.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    #[error("{path} is missing, and the log is not new", path = path.display())]
    FileMissing { path: PathBuf },
    #[error("{path} {source}", path = path.display())]
    Key { path: PathBuf, source: NoteError },
    #[error("{path} is not the public half of the key that signs here", path = path.display())]
    KeyPair { path: PathBuf },
    #[error("{path} {source}", path = path.display())]
    Head { path: PathBuf, source: NoteError },
    #[error("{path} {source}", path = path.display())]
    State { path: PathBuf, source: StateError },
    #[error(transparent)]
    Segment(SegmentError),
    #[error(transparent)]
    Hashes(HashesError),
    #[error("entry {seq} ({path}, byte {at}) {what}", path = path.display())]
    Entry { seq: Seq, path: PathBuf, at: u64, what: Altered },
    #[error("{path} ends in the middle of a line, at byte {at}, and is not the last segment", path = path.display())]
    Torn { path: PathBuf, at: u64 },
    #[error("entries {have} to {} are missing at the end: {by} holds {wanted}", wanted - 1)]
    CutOff { have: u64, wanted: u64, by: String },
    #[error("the hashes stored for entry {seq} are not those of its line")]
    StoredHash { seq: Seq },
    #[error(
        "the first {size} entries do not have the root that {by} states: what was recorded was changed{}",
        since.map_or_else(String::new, |since| format!(", at or after entry {since}"))
    )]
    Root {
        size: u64,
        by: String,
        /// The size of the largest head that still holds.
        since: Option<u64>,
    },
    #[error("the head that {path} holds is of {size} entries, and the log has {have}: it was set back to an older state", path = path.display())]
    RolledBack { path: PathBuf, size: u64, have: u64 },
    #[error(
        "entries {first} to {last} are missing at the beginning, and the operator archived only those before {archived}"
    )]
    NotArchived { first: Seq, last: Seq, archived: Seq },
}

/// What is wrong with one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Altered {
    /// Its bytes are not those whose hash is stored.
    Changed,
    /// It has the number of another entry.
    Numbered(Seq),
    NotAReceipt,
    /// The daemon had stopped before it.
    Added,
}

impl std::fmt::Display for Altered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Altered::Changed => write!(f, "was changed: its hash is not the one that the tree holds"),
            Altered::Numbered(found) => write!(
                f,
                "is not here: the line in its place says that it is entry {found}; lines were taken out, put in or moved"
            ),
            Altered::NotAReceipt => write!(f, "is no receipt in canonical form"),
            Altered::Added => write!(f, "was put there after the daemon had stopped"),
        }
    }
}
