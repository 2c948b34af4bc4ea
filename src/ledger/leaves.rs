//! The hash of every line, made by as many threads as there are processors, or by one.
//!
//! In: segments. Out: their leaves, in order, a segment at a time. What waits is bounded by the number of threads, so a
//! log of any size takes the same memory.

use std::ops::ControlFlow;
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, SendError, SyncSender, sync_channel};

use memchr::memmem::Finder;

use super::segments::{Lines, Segment, SegmentError, Segments};
use super::tree::{Hash, leaf_hash};

/// What verification needs of a line.
pub struct Leaf {
    pub hash: Hash,
    /// Where it begins in its segment, and its bytes without the newline.
    pub at: u64,
    pub length: u32,
    /// Whether it says that it has the number of its place.
    pub numbered: bool,
}

/// Some leaves of a segment; none at its end.
type Batch = Result<Option<Vec<Leaf>>, SegmentError>;

/// Leaves handed over at once, and how often that before somebody waits.
const BATCH: usize = 2048;
const AHEAD: usize = 16;

/// Calls `each` with the leaves of one segment after the other, until it breaks off.
pub fn in_order(
    segments: &Segments,
    alone: bool,
    mut each: impl FnMut(&Segment, Vec<Leaf>) -> Result<ControlFlow<()>, SegmentError>,
) -> Result<(), SegmentError> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let (threads, ahead) = if alone { (1, 1) } else { (processors, AHEAD) };
    std::thread::scope(|scope| {
        let start = |worker| {
            let (done, leaves) = sync_channel(ahead);
            scope.spawn(move || {
                let mut mine = segments.all.iter().skip(worker).step_by(threads);
                // Nobody listens any more once it broke off.
                mine.try_for_each(|segment| hand_over(segment, &done))
            });
            leaves
        };
        let workers: Vec<Receiver<Batch>> = (0..threads).map(start).collect();
        for (index, segment) in segments.all.iter().enumerate() {
            while let Some(leaves) = workers[index % threads].recv().unwrap_or(Ok(None))? {
                if each(segment, leaves)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    })
}

fn hand_over(segment: &Segment, to: &SyncSender<Batch>) -> Result<(), SendError<Batch>> {
    let mut lines = Lines::new(segment, 0..segment.length);
    let (mut seq, mut leaves) = (segment.first, Vec::with_capacity(BATCH));
    loop {
        match lines.next() {
            Ok(Some((line, at))) => {
                let numbered = is_numbered(line, seq);
                leaves.push(Leaf { hash: leaf_hash(line), at, length: line.len() as u32, numbered });
                seq += 1;
                if leaves.len() == BATCH {
                    to.send(Ok(Some(std::mem::replace(&mut leaves, Vec::with_capacity(BATCH)))))?;
                }
            }
            Ok(None) => break,
            Err(error) => return to.send(Err(error)),
        }
    }
    to.send(Ok(Some(leaves)))?;
    to.send(Ok(None))
}

/// Whether the line says that it has this number. Its own text for it is looked for, which is quicker than to parse the
/// line, and cannot be inside of a string: there, a quotation mark is escaped.
fn is_numbered(line: &[u8], seq: u64) -> bool {
    static NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b",\"seq\":"));
    NAME.find_iter(line).any(|at| {
        let rest = &line[at + NAME.needle().len()..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = rest[..digits]
            .iter()
            .try_fold(0u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
        digits > 0 && number == Some(seq) && rest[digits..].starts_with(b",\"start\":")
    })
}
