//! From one index to the next: what moved is read again, several files at once, and nothing else.
//!
//! A tree may be replaced while it is read. So a survey follows each reading, and what moved in between is read once more;
//! after some rounds what still moves is named as such.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use smol_str::SmolStr;
use zeroize::Zeroizing;

use super::cluster::{Parsed, parse};
use super::finding::{Finding, What};
use super::guest::Guest;
use super::index::Index;
use super::source::{Listed, Source, Stamp, Survey, Unread};

/// pmxcfs answers eight readers in a quarter of the time of one, and more no faster.
const READERS: usize = 8;
/// Fewer files are not worth a thread.
const A_READER: usize = 32;
/// Bytes that a reader begins with: most files fit, and none is then copied to make room.
const ROOM: usize = 64 << 10;
/// Surveys, at most; in a quiet cluster the second finds nothing new.
const ROUNDS: usize = 4;

/// What moved, to be read.
#[derive(Debug, Default)]
pub(super) struct Moved {
    pub guests: Vec<Listed>,
    pub files: Vec<SmolStr>,
}

/// What came of one file.
pub(super) enum Outcome {
    Guest(Listed, Box<Guest>, Vec<Finding>),
    File(SmolStr, Option<Parsed>, Vec<Finding>),
    /// It could not be read.
    Unread(Result<Listed, SmolStr>, What),
    /// It went between the survey and the reading.
    Gone(Result<Listed, SmolStr>),
}

/// The index as the source has it now. Nothing is copied if nothing moved.
#[must_use]
pub fn refresh(source: &dyn Source, last: Option<&Arc<Index>>) -> Arc<Index> {
    let mut index = last.map_or_else(|| Arc::new(Index::default()), Arc::clone);
    let mut known = last.is_some();
    for round in 1..=ROUNDS {
        let survey = source.survey(known.then(|| index.survey()));
        // What nobody can tell whether it moved is read once, and not in each round.
        let moved = index.moved(&survey, round == 1);
        if known && moved.guests.is_empty() && moved.files.is_empty() && index.is_listed(&survey) {
            break;
        }
        let outcomes = read(source, moved, round == ROUNDS);
        index = Arc::new(index.with(survey, outcomes));
        known = true;
    }
    index
}

fn read(source: &dyn Source, moved: Moved, is_last: bool) -> Vec<Outcome> {
    let guests = moved.guests.into_iter().map(Ok);
    let tasks: Vec<Result<Listed, SmolStr>> = moved.files.into_iter().map(Err).chain(guests).collect();
    let readers = tasks.len().div_ceil(A_READER).min(READERS);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut outcomes = Vec::new();
        // Wiped at the end, and before each file: passwords stand in some of them.
        let mut bytes = Zeroizing::new(Vec::with_capacity(ROOM));
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            bytes.clear();
            outcomes.push(outcome(source, task.clone(), &mut bytes, is_last));
        }
        outcomes
    };
    if readers <= 1 {
        return work();
    }
    thread::scope(|scope| {
        let threads: Vec<_> = (0..readers).map(|_| scope.spawn(work)).collect();
        // A reader that panicked left its files unread: that must not look as if there were none.
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

fn outcome(
    source: &dyn Source,
    task: Result<Listed, SmolStr>,
    bytes: &mut Vec<u8>,
    is_last: bool,
) -> Outcome {
    let file: SmolStr = task.as_ref().map_or_else(Clone::clone, |listed| listed.file().into());
    match source.read(&file, bytes) {
        Ok(()) => {}
        Err(Unread::Because(what)) => return Outcome::Unread(task, what),
        // A file that was listed and is not there moved; the next survey knows where to.
        Err(Unread::Absent) if task.is_ok() && is_last => return Outcome::Unread(task, What::Moving),
        Err(Unread::Absent) => return Outcome::Gone(task),
    }
    match task {
        Ok(listed) => {
            let (mut guest, findings) = Guest::parse(listed.kind, &listed.node, listed.vmid, bytes, &file);
            guest.digest = guest.digest.filter(|_| source.is_verbatim());
            Outcome::Guest(listed, Box::new(guest), findings)
        }
        Err(file) => match parse(&file, bytes) {
            Some((parsed, findings)) => Outcome::File(file, Some(parsed), findings),
            None => Outcome::File(file, None, Vec::new()),
        },
    }
}

/// Whether what was read under one stamp must be read again under the other.
pub(super) fn has_moved(read: Stamp, now: Stamp, unknown_counts: bool) -> bool {
    if read == Stamp::Unknown || now == Stamp::Unknown { unknown_counts } else { read != now }
}

/// Whether the files are the same ones, whatever their stamps.
pub(super) fn same_names(a: &Survey, b: &Survey) -> bool {
    a.files.keys().eq(b.files.keys())
        && a.nodes == b.nodes
        && a.findings == b.findings
        && (Arc::ptr_eq(&a.guests, &b.guests)
            || a.guests.iter().map(Listed::key).eq(b.guests.iter().map(Listed::key)))
}
