//! Which entries the operator moved away: sealed segments may go, and the tree still proves what remains.

use super::disk::{self, DiskError};
use super::place::Place;
use super::receipt::Seq;

/// The first entry that has to be here: what stands in `archived`, or 0.
pub fn first_kept(place: &Place) -> Result<Seq, DiskError> {
    let text = disk::read_small(&place.archived())?.unwrap_or_default();
    // Unreadable is as good as none: then nothing may be missing.
    Ok(std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0))
}

pub fn set_first_kept(place: &Place, first: Seq) -> Result<(), DiskError> {
    disk::replace(&place.archived(), format!("{first}\n").as_bytes(), 0o644)
}
