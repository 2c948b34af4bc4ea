//! An answer, and what could not be looked at for it. There is no way to read "nothing" out of one without being told
//! whether all was seen.

use super::finding::Finding;

#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen<T> {
    found: T,
    unseen: Vec<Finding>,
}

impl<T> Seen<T> {
    pub(super) fn new(found: T, unseen: Vec<Finding>) -> Self {
        Self { found, unseen }
    }

    /// What was found. There may be more.
    pub fn at_least(&self) -> &T {
        &self.found
    }

    /// What was not seen: empty where nothing is missing.
    pub fn unseen(&self) -> &[Finding] {
        &self.unseen
    }

    pub fn is_whole(&self) -> bool {
        self.unseen.is_empty()
    }

    /// All that there is.
    ///
    /// # Errors
    ///
    /// What was not seen: then nobody can say that this is all.
    pub fn whole(self) -> Result<T, Vec<Finding>> {
        if self.unseen.is_empty() { Ok(self.found) } else { Err(self.unseen) }
    }

    /// Both halves.
    pub fn into_parts(self) -> (T, Vec<Finding>) {
        (self.found, self.unseen)
    }

    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Seen<U> {
        Seen { found: with(self.found), unseen: self.unseen }
    }
}
