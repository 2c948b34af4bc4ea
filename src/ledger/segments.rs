//! The lines on the disk, found by number.
//!
//! In: a directory of segments. Out: lines by their number, forwards or backwards. Where a line is, is found by halving:
//! each says its number, so there is no index that could be wrong. It must never write.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use memchr::{memchr, memrchr};
use serde::Deserialize;

use super::disk::{DiskError, During};
use super::place::Place;
use super::receipt::Seq;

/// Bytes that one line may hold at most: bodies are bounded far below.
const MOST_LINE: usize = 2 << 20;
const STEP: usize = 64 << 10;

#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("segment {path} is missing", path = path.display())]
    Missing { path: PathBuf },
    #[error("{path}, byte {at}: no line that is a receipt", path = path.display())]
    NoReceipt { path: PathBuf, at: u64 },
    #[error("{path} begins with entry {found}, and should with {wanted}", path = path.display())]
    Gap { path: PathBuf, found: Seq, wanted: Seq },
    #[error("entry {0} is not here")]
    NotHere(Seq),
}

pub type Result<T> = std::result::Result<T, SegmentError>;

/// One file of lines.
#[derive(Debug)]
pub struct Segment {
    pub number: u64,
    pub path: PathBuf,
    pub file: File,
    /// Number of its first line; the next line's, where it has none yet.
    pub first: Seq,
    /// Bytes of its whole lines.
    pub length: u64,
    /// Bytes behind them: a line that was not written to its end.
    pub torn: u64,
}

/// Every segment that is here, in order, without a hole.
#[derive(Debug)]
pub struct Segments {
    pub all: Vec<Segment>,
    /// One past the last whole line.
    pub end: Seq,
}

/// The number that a line says it has.
pub fn seq_of(line: &[u8]) -> Option<Seq> {
    #[derive(Deserialize)]
    struct Numbered {
        seq: Seq,
    }
    serde_json::from_slice::<Numbered>(line).ok().map(|line| line.seq)
}

impl Segments {
    pub fn open(place: &Place) -> Result<Self> {
        let mut numbers = numbers(place)?;
        numbers.sort_unstable();
        let mut all: Vec<Segment> = Vec::with_capacity(numbers.len());
        for number in numbers {
            if let Some(before) = all.last().filter(|before| before.number + 1 != number) {
                return Err(SegmentError::Missing { path: place.segment(before.number + 1) });
            }
            let path = place.segment(number);
            let file = File::open(&path).during("open", &path)?;
            let held = file.metadata().during("look at", &path)?.len();
            let mut segment = Segment { number, path, file, first: 0, length: held, torn: 0 };
            segment.length = segment.last_break(held)?.map_or(0, |at| at + 1);
            segment.torn = held - segment.length;
            if segment.length > 0 {
                let (line, _) = segment.line_at(0)?;
                segment.first = seq_of(&line)
                    .ok_or_else(|| SegmentError::NoReceipt { path: segment.path.clone(), at: 0 })?;
            }
            all.push(segment);
        }
        let mut segments = Self { all, end: 0 };
        segments.join()?;
        Ok(segments)
    }

    /// Checks that each segment ends where the next begins.
    fn join(&mut self) -> Result<()> {
        let mut next = None;
        for segment in &mut self.all {
            if segment.length == 0 {
                segment.first = next.unwrap_or(0);
            } else if let Some(wanted) = next.filter(|wanted| *wanted != segment.first) {
                return Err(SegmentError::Gap { path: segment.path.clone(), found: segment.first, wanted });
            }
            if segment.length > 0 {
                next = Some(segment.last()? + 1);
            }
        }
        self.end = next.unwrap_or(0);
        Ok(())
    }

    /// The first line that is here.
    pub fn first(&self) -> Seq {
        self.all.first().map_or(0, |segment| segment.first)
    }

    /// The segment and place of a line.
    pub fn find(&self, seq: Seq) -> Result<(usize, u64)> {
        if seq < self.first() || seq >= self.end {
            return Err(SegmentError::NotHere(seq));
        }
        let index =
            self.all.partition_point(|segment| segment.first <= seq && segment.length > 0).saturating_sub(1);
        Ok((index, self.all[index].find(seq)?))
    }

    pub fn line(&self, seq: Seq) -> Result<Vec<u8>> {
        let (index, at) = self.find(seq)?;
        Ok(self.all[index].line_at(at)?.0)
    }

    /// Lines from `seq` on. What the walk calls itself back for is each line, with its number and place.
    pub fn walk(&self, seq: Seq, mut each: impl FnMut(Found<'_>) -> std::ops::ControlFlow<()>) -> Result<()> {
        if seq >= self.end {
            return Ok(());
        }
        let (mut index, mut at) = self.find(seq)?;
        let mut seq = seq;
        while let Some(segment) = self.all.get(index) {
            let mut lines = Lines::new(segment, at..segment.length);
            while let Some((line, at)) = lines.next()? {
                if each(Found { seq, line, path: &segment.path, at }).is_break() {
                    return Ok(());
                }
                seq += 1;
            }
            index += 1;
            at = 0;
        }
        Ok(())
    }

    /// Lines backwards from the one before `seq`.
    pub fn walk_back(
        &self,
        seq: Seq,
        mut each: impl FnMut(Seq, &[u8]) -> std::ops::ControlFlow<()>,
    ) -> Result<()> {
        let mut seq = seq.min(self.end);
        if seq <= self.first() {
            return Ok(());
        }
        let (mut index, at) = self.find(seq - 1)?;
        let mut end = at + self.all[index].line_at(at)?.0.len() as u64 + 1;
        loop {
            let segment = &self.all[index];
            // Bytes from `start` to `end` that were not yet given out.
            let mut held: Vec<u8> = Vec::new();
            let mut start = end;
            while start > 0 || !held.is_empty() {
                // `held` ends with a line break; the line before it begins after the break before that.
                let body = held.len().saturating_sub(1);
                match memrchr(b'\n', &held[..body]) {
                    Some(before) => {
                        seq -= 1;
                        if each(seq, &held[before + 1..body]).is_break() {
                            return Ok(());
                        }
                        held.truncate(before + 1);
                    }
                    None if start == 0 => {
                        seq -= 1;
                        if each(seq, &held[..body]).is_break() {
                            return Ok(());
                        }
                        held.clear();
                    }
                    None => {
                        let more = STEP.min(start as usize);
                        start -= more as u64;
                        let mut bytes = vec![0; more];
                        segment.file.read_exact_at(&mut bytes, start).during("read", &segment.path)?;
                        bytes.append(&mut held);
                        held = bytes;
                    }
                }
            }
            let Some(before) = index.checked_sub(1) else { return Ok(()) };
            index = before;
            end = self.all[index].length;
        }
    }
}

/// A line on a walk.
pub struct Found<'a> {
    pub seq: Seq,
    pub line: &'a [u8],
    pub path: &'a std::path::Path,
    pub at: u64,
}

fn numbers(place: &Place) -> Result<Vec<u64>> {
    let dir = std::fs::read_dir(place.dir()).during("list", place.dir())?;
    let names: io::Result<Vec<_>> = dir.map(|entry| entry.map(|entry| entry.file_name())).collect();
    let names = names.during("list", place.dir())?;
    let number = |name: &std::ffi::OsString| {
        let digits = name.to_str()?.strip_prefix("entries-")?.strip_suffix(".jsonl")?;
        digits.parse().ok().filter(|number| place.segment(*number).file_name() == Some(name))
    };
    Ok(names.iter().filter_map(number).collect())
}

impl Segment {
    /// Where the last line break before `end` is.
    fn last_break(&self, end: u64) -> Result<Option<u64>> {
        let mut end = end;
        while end > 0 {
            let start = end.saturating_sub(STEP as u64);
            let mut bytes = vec![0; (end - start) as usize];
            self.file.read_exact_at(&mut bytes, start).during("read", &self.path)?;
            if let Some(at) = memrchr(b'\n', &bytes) {
                return Ok(Some(start + at as u64));
            }
            end = start;
        }
        Ok(None)
    }

    /// The line that begins at `at`, and where the next one does.
    pub fn line_at(&self, at: u64) -> Result<(Vec<u8>, u64)> {
        let mut bytes = Vec::new();
        let mut step = 2048;
        loop {
            let from = at + bytes.len() as u64;
            let room = (step as u64).min(self.length.saturating_sub(from)) as usize;
            if room == 0 || bytes.len() > MOST_LINE {
                return Err(SegmentError::NoReceipt { path: self.path.clone(), at });
            }
            let old = bytes.len();
            bytes.resize(old + room, 0);
            self.file.read_exact_at(&mut bytes[old..], from).during("read", &self.path)?;
            if let Some(end) = memchr(b'\n', &bytes[old..]) {
                bytes.truncate(old + end);
                let next = at + bytes.len() as u64 + 1;
                return Ok((bytes, next));
            }
            step = STEP;
        }
    }

    /// Number of the last whole line.
    fn last(&self) -> Result<Seq> {
        let start = self.last_break(self.length - 1)?.map_or(0, |at| at + 1);
        let (line, _) = self.line_at(start)?;
        seq_of(&line).ok_or_else(|| SegmentError::NoReceipt { path: self.path.clone(), at: start })
    }

    /// Where line `seq` begins.
    fn find(&self, seq: Seq) -> Result<u64> {
        // Line starts: `low` is one at or before the line, `high` is past it.
        let (mut low, mut high) = (0, self.length);
        while high - low > STEP as u64 {
            let middle = low + (high - low) / 2;
            // The line that holds the byte in the middle begins after the break before it.
            let start = self.last_break(middle)?.map_or(0, |at| at + 1).max(low);
            let (line, next) = self.line_at(start)?;
            let found = seq_of(&line)
                .ok_or_else(|| SegmentError::NoReceipt { path: self.path.clone(), at: start })?;
            match found.cmp(&seq) {
                std::cmp::Ordering::Equal => return Ok(start),
                std::cmp::Ordering::Less => low = next,
                std::cmp::Ordering::Greater => high = start,
            }
        }
        let mut lines = Lines::new(self, low..high);
        while let Some((line, at)) = lines.next()? {
            if seq_of(line) == Some(seq) {
                return Ok(at);
            }
        }
        Err(SegmentError::NotHere(seq))
    }
}

/// Whole lines of a part of a segment, read in large pieces.
pub struct Lines<'a> {
    segment: &'a Segment,
    /// Not yet read.
    rest: Range<u64>,
    held: Vec<u8>,
    /// The part of `held` that was read and not given out.
    ready: Range<usize>,
    /// Where `held` begins.
    base: u64,
}

impl<'a> Lines<'a> {
    pub fn new(segment: &'a Segment, part: Range<u64>) -> Self {
        Self { segment, base: part.start, rest: part, held: Vec::new(), ready: 0..0 }
    }

    #[allow(clippy::should_implement_trait, reason = "it lends from itself")]
    pub fn next(&mut self) -> Result<Option<(&[u8], u64)>> {
        loop {
            if let Some(length) = memchr(b'\n', &self.held[self.ready.clone()]) {
                let start = self.ready.start;
                self.ready.start += length + 1;
                return Ok(Some((&self.held[start..start + length], self.base + start as u64)));
            }
            if self.rest.is_empty() {
                // What does not end is no line.
                return Ok(None);
            }
            self.read()?;
        }
    }

    /// One more piece, behind what is left of the one before.
    fn read(&mut self) -> Result<()> {
        const PIECE: u64 = 256 << 10;
        self.base += self.ready.start as u64;
        self.held.copy_within(self.ready.clone(), 0);
        self.ready = 0..self.ready.len();
        let more = PIECE.min(self.rest.end - self.rest.start) as usize;
        let end = self.ready.end + more;
        if self.held.len() < end {
            self.held.resize(end, 0);
        }
        let into = &mut self.held[self.ready.end..end];
        self.segment.file.read_exact_at(into, self.rest.start).during("read", &self.segment.path)?;
        self.rest.start += more as u64;
        self.ready.end = end;
        Ok(())
    }
}
