//! How many tokens there may be at once, and of how many dead ones anything is still known.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::record::{Record, TokenId};

/// Why a record was not kept.
pub enum Unkept {
    /// The issuer has as many as one may have.
    Own,
    Full,
    Revoked,
    Disk(String),
}

/// Tokens that are good at once: root's, all others', and one other's. A user who gives out as many as there may be keeps
/// neither another nor root from it.
const MOST: usize = 1000;
pub const MOST_OWN: usize = 50;

pub fn has_room<'a>(
    records: impl Iterator<Item = &'a Arc<Record>>,
    issuer: u32,
    now: Timestamp,
) -> Result<(), Unkept> {
    let (mut own, mut others) = (0, 0);
    for record in records.filter(|record| record.is_good(now)) {
        own += usize::from(record.issuer.uid() == issuer);
        others += usize::from(record.issuer.uid() != 0);
    }
    match issuer {
        0 if own >= MOST => Err(Unkept::Full),
        0 => Ok(()),
        _ if own >= MOST_OWN => Err(Unkept::Own),
        _ if others >= MOST => Err(Unkept::Full),
        _ => Ok(()),
    }
}

/// Nothing is known any more of what has expired, nor, for an issuer each, of what was taken back but the latest: a number
/// that nobody knows opens nothing either.
pub fn forget_the_dead(records: &mut BTreeMap<TokenId, Arc<Record>>, now: Timestamp) {
    records.retain(|_, record| !record.is_over(now));
    let mut revoked: Vec<_> = records
        .values()
        .filter_map(|record| Some((record.revoked.as_ref()?.at, record.issuer.uid(), record.id)))
        .collect();
    revoked.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
    let mut of: HashMap<u32, usize> = HashMap::new();
    for (_, issuer, id) in revoked {
        let count = of.entry(issuer).or_default();
        *count += 1;
        if *count > MOST_OWN {
            records.remove(&id);
        }
    }
}
