//! Formats that are property strings, and of which PVE's description gives the name alone.

use crate::catalog::PropertyKey;

pub(super) fn of(_name: &str) -> Option<&'static [PropertyKey]> {
    None
}
