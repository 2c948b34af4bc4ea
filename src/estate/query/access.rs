//! Who may what where.

use crate::estate::access::Grant;
use crate::estate::index::Index;
use crate::estate::part::Part;
use crate::estate::seen::Seen;

const PARTS: &[Part] = &[Part::Access];

impl Index {
    /// Every role that a user or a token holds at a path, however it came by it.
    pub fn granted(&self, path: &str) -> Seen<Vec<Grant>> {
        self.seen(self.cluster().access.granted(path), PARTS)
    }

    pub fn granted_to(&self, who: &str, path: &str) -> Seen<Vec<Grant>> {
        self.seen(self.cluster().access.granted_to(who, path), PARTS)
    }
}
