//! What the journal may lack of a run that ended without a word: killed, or cut off with the machine.
//!
//! In: the log, as it was found. Out: the copies of its last entries, once more. A daemon that is killed takes along what
//! it had made durable and not yet handed over; a machine that goes down, what journald had not yet put on its disk, which
//! it does each five minutes. An entry that the journal has twice does no harm: both name the same receipt.

use std::ops::ControlFlow;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::copy::Copy;
use super::note::PublicKey;
use super::place::Place;
use super::receipt::{Receipt, Seq};
use super::segments::{SegmentError, Segments};
use super::tree::leaf_hash;

/// How much older than the last one an entry may be: twice what journald takes by default, `SyncIntervalSec`.
const SINCE: SignedDuration = SignedDuration::from_mins(10);
/// Entries at most.
const MOST: u64 = 1 << 16;

/// The last entries before `end`.
pub struct Backlog {
    pub place: Place,
    pub log: PublicKey,
    pub end: Seq,
}

impl Backlog {
    /// The oldest first.
    pub fn each(&self, send: impl FnMut(Copy)) {
        if let Err(error) = self.try_each(send) {
            tracing::warn!("what the journal may lack of the run before was not handed over again: {error}");
        }
    }

    fn try_each(&self, mut send: impl FnMut(Copy)) -> Result<(), SegmentError> {
        let segments = Segments::open(&self.place)?;
        segments.walk(self.first(&segments)?, |found| {
            if found.seq >= self.end {
                return ControlFlow::Break(());
            }
            if let Ok(receipt) = Receipt::parse(found.line) {
                send(Copy::again(&receipt, &leaf_hash(found.line), &self.log));
            }
            ControlFlow::Continue(())
        })
    }

    fn first(&self, segments: &Segments) -> Result<Seq, SegmentError> {
        #[derive(Deserialize)]
        struct Timed {
            time: Timestamp,
        }
        let (mut first, mut newest) = (self.end, None);
        segments.walk_back(self.end, |seq, line| {
            let Ok(Timed { time }) = serde_json::from_slice(line) else { return ControlFlow::Break(()) };
            let newest = *newest.get_or_insert(time);
            if newest.duration_since(time) > SINCE || self.end - seq > MOST {
                return ControlFlow::Break(());
            }
            first = seq;
            ControlFlow::Continue(())
        })?;
        Ok(first)
    }
}
