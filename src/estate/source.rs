//! Where the estate is read from: `/etc/pve`, or the API where that cannot be read.
//!
//! A source first says what there is, with a stamp each that changes when the thing does, and then gives the text of what
//! is asked for. Both speak of files under /etc/pve, so that there is one parser for each.

use std::collections::BTreeMap;
use std::sync::Arc;

use smol_str::SmolStr;

use super::finding::{Finding, What};
use super::guest::{self, Kind};

/// What says whether a file is the one that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// Of `.version` or `.vmlist`: when the counting began, and the count.
    Count(u64, u64),
    /// Of a plain file.
    File { inode: u64, seconds: i64, nanoseconds: i64, size: u64 },
    /// Of what is so small that it was read to see.
    Hash(u64),
    /// It may have changed.
    Unknown,
}

/// A guest that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub vmid: u32,
    pub kind: Kind,
    pub node: SmolStr,
    pub stamp: Stamp,
}

impl Listed {
    /// Its configuration, under /etc/pve.
    #[must_use]
    pub fn file(&self) -> String {
        guest::file(self.kind, &self.node, self.vmid)
    }

    /// What tells it from every other, those included that wrongly share its id.
    #[must_use]
    pub fn key(&self) -> (u32, &SmolStr, Kind) {
        (self.vmid, &self.node, self.kind)
    }
}

/// What there is.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// By [`Listed::key`].
    pub guests: Arc<[Listed]>,
    /// Every other file that there is to read, by its path under /etc/pve.
    pub files: BTreeMap<SmolStr, Stamp>,
    pub nodes: Vec<SmolStr>,
    /// What could not be listed.
    pub findings: Vec<Finding>,
    /// The source's own: what the list of guests was made of.
    pub(super) guests_stamp: Option<Stamp>,
    /// The source's own: when anything at all was last written.
    pub(super) root_stamp: Option<Stamp>,
}

/// Why there is no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// It is not there, or no longer.
    Absent,
    Because(What),
}

pub trait Source: Send + Sync {
    /// What there is now. `last` is what was given before, of which what did not move may be taken again.
    fn survey(&self, last: Option<&Survey>) -> Survey;

    /// Whether what is read is the file itself, and PVE's digest that of its bytes.
    fn is_verbatim(&self) -> bool {
        true
    }

    /// Puts the file's bytes into `into`, which is empty.
    ///
    /// # Errors
    ///
    /// When it is not there, and when it cannot or may not be read.
    fn read(&self, file: &str, into: &mut Vec<u8>) -> Result<(), Unread>;
}

/// In the order of a survey.
pub(super) fn sorted(mut guests: Vec<Listed>) -> Arc<[Listed]> {
    guests.sort_unstable_by(|a, b| a.key().cmp(&b.key()));
    guests.into()
}

/// Whether a name can be one of a node's, and no way out of a folder.
pub(super) fn is_node(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
