//! `provost audit tail`: waits on the directory, not on a clock.

use std::io::Write;
use std::ops::ControlFlow;

use clap::Args;
use inotify::{Inotify, WatchMask};

use super::{AuditError, Done, VERIFIED, line};
use crate::ledger::{Place, Receipt, Segments, Seq};

#[derive(Debug, Args)]
pub struct Tail {
    /// Wait for more
    #[arg(long, short)]
    follow: bool,
    /// So many to begin with
    #[arg(long, short = 'n', default_value_t = 10)]
    lines: u64,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

impl Tail {
    pub fn run(self, place: &Place) -> Done {
        let mut watch = self.follow.then(|| watch(place)).transpose()?;
        let end = Segments::open(place)?.end;
        let mut next = end.saturating_sub(self.lines);
        loop {
            next = self.print(place, next)?;
            let Some(watch) = &mut watch else { return Ok(VERIFIED) };
            let mut events = [0; 4096];
            // What it says is only that something was written.
            let _ = watch.read_events_blocking(&mut events)?;
        }
    }

    /// Prints what there is from `next` on, and returns what comes after.
    fn print(&self, place: &Place, next: Seq) -> Result<Seq, AuditError> {
        let segments = Segments::open(place)?;
        // A log whose unfinished end was taken back is shorter than it was.
        let mut next = next.clamp(segments.first(), segments.end);
        let mut out = anstream::stdout().lock();
        let mut failed = Ok(());
        segments.walk(next, |found| {
            next = found.seq + 1;
            failed = match Receipt::parse(found.line) {
                Ok(_) if self.json => writeln!(out, "{}", String::from_utf8_lossy(found.line)),
                Ok(receipt) => line::write(&mut out, &receipt),
                Err(_) => writeln!(out, "{:>7} is no receipt: run provost audit verify", found.seq),
            };
            if failed.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        failed?;
        out.flush()?;
        Ok(next)
    }
}

fn watch(place: &Place) -> Result<Inotify, AuditError> {
    let watch = Inotify::init()?;
    watch.watches().add(place.dir(), WatchMask::MODIFY | WatchMask::CREATE)?;
    Ok(watch)
}
