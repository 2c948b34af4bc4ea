//! Verification by the daemon itself: at its start and each hour, so slowly that nobody notices.
//!
//! In: the log. Out: the first thing that is wrong, told to the writer, which from then on refuses changes. It must never
//! take a processor from those who are served, nor call damaged what is only being written.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::handle::Ledger;
use super::verify::{Against, verify, verify_slowly};
use super::witness;

/// From the end of one verification to the next.
const EVERY: Duration = Duration::from_secs(3600);
/// Bytes of receipts that are verified in a second: of ten million, the whole in four minutes at a thirtieth of a
/// processor.
const SPEED: u64 = 20 << 20;

/// Verifies until it is dropped.
#[must_use]
pub struct Watch(#[expect(dead_code, reason = "its end is what the thread hears")] SyncSender<()>);

impl Watch {
    /// Starts with the first verification. A thread that cannot be had is told to the log, and nobody is kept waiting.
    pub fn start(ledger: &Ledger) -> Self {
        let (alive, ended) = sync_channel(0);
        let ledger = ledger.clone();
        let watching = std::thread::Builder::new().name("verify".into()).spawn(move || {
            while round(&ledger, &ended).is_continue() && rest(&ended, EVERY).is_continue() {}
        });
        if let Err(error) = watching {
            tracing::error!("the ledger is not verified by itself: {error}; provost audit verify does it");
        }
        Self(alive)
    }
}

fn rest(ended: &Receiver<()>, span: Duration) -> ControlFlow<()> {
    match ended.recv_timeout(span) {
        Err(RecvTimeoutError::Timeout) => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    }
}

fn round(ledger: &Ledger, ended: &Receiver<()>) -> ControlFlow<()> {
    let against = Against { witnesses: witness::dirs(), ..Against::default() };
    let slowly = |bytes| rest(ended, Duration::from_micros(bytes * 1_000_000 / SPEED));
    let verdict = match verify_slowly(ledger.place(), &against, slowly) {
        Ok(None) => return ControlFlow::Break(()),
        Ok(Some(verdict)) if verdict.holds() => {
            tracing::debug!(receipts = verdict.size - verdict.first, "the ledger holds");
            return ControlFlow::Continue(());
        }
        Ok(Some(_)) => verify(ledger.place(), &against),
        Err(error) => Err(error),
    };
    // Twice, as the first took minutes, in which the operator may have moved segments away.
    match verdict {
        Ok(verdict) => {
            verdict.damage.into_iter().next().into_iter().for_each(|damage| ledger.damaged(damage))
        }
        Err(error) => tracing::warn!("the ledger could not be verified: {error}"),
    }
    ControlFlow::Continue(())
}
