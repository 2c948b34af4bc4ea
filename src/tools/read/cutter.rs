//! A list cut into its rows while it comes.
//!
//! In: the pieces of an answer's body, cut anywhere. Out: each row of `{"data":[…]}` as soon as its end is known, and what
//! stands behind the list. What does not begin so is kept as it is. No more is held than the row that a piece ends in.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem::Finder;
use serde::de::{Error as _, IgnoredAny};

use super::flat;
use super::veil;
use crate::pve::{Held, Overfull, Room};

pub struct Cutter {
    at: At,
    /// What is not cut yet, or never will be.
    held: Vec<u8>,
    /// Its length from which on another look at it is worth while: what a row needs is doubled, not looked through anew
    /// with each piece.
    again: usize,
    memory: Held,
    key: Finder<'static>,
}

enum At {
    Start,
    /// Where a row begins.
    Row,
    /// Behind the list.
    Tail,
    /// No list of PVE's usual form: it is only kept.
    Whole,
    Broken(serde_json::Error),
}

/// What else a body was.
pub enum Rest {
    /// A list, all of whose rows were given; and what stands behind it.
    List(Vec<u8>),
    /// Something else: all of it.
    Whole(Vec<u8>, Held),
}

/// What is known of a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// [`flat::Name`] finds its fields.
    pub flat: bool,
    /// A key may begin in it ([`veil::KEY`]): looked for in many rows at once.
    pub key: bool,
}

/// Takes a row.
pub type Take<'a> = dyn FnMut(&str, Marks) + 'a;

const START: &[u8] = b"{\"data\":[";
/// Bytes by which a row is completed at least.
const BIT: usize = 2048;

impl Cutter {
    pub fn new(room: &Room) -> Self {
        Self { at: At::Start, held: Vec::new(), again: 0, memory: room.held(), key: Finder::new(veil::KEY) }
    }

    /// As new.
    pub fn begin(&mut self) {
        (self.at, self.again) = (At::Start, 0);
        self.held.clear();
    }

    pub fn take(&mut self, mut piece: &[u8], row: &mut Take) -> Result<(), Overfull> {
        // The row in which the piece before ended; not the whole piece is copied to it, but bit by bit what it needs.
        while !self.held.is_empty() && !piece.is_empty() && self.cuts() {
            let before = self.held.len();
            let bit = piece.len().min(self.again.saturating_sub(before).max(BIT));
            self.hold(&piece[..bit])?;
            if self.held.len() < self.again {
                piece = &piece[bit..];
                continue;
            }
            let held = std::mem::take(&mut self.held);
            let used = self.cut(&held, row);
            self.held = held;
            self.again = if used == 0 { self.held.len() * 2 } else { 0 };
            if used >= before {
                self.held.clear();
                piece = &piece[used - before..];
            } else {
                self.held.drain(..used);
                piece = &piece[bit..];
            }
        }
        let used = if self.held.is_empty() && self.cuts() { self.cut(piece, row) } else { 0 };
        self.hold(&piece[used..])
    }

    /// The body is at its end.
    pub fn finish(mut self, row: &mut Take) -> Result<Rest, serde_json::Error> {
        let held = std::mem::take(&mut self.held);
        let mut used = if self.cuts() { self.cut(&held, row) } else { 0 };
        let key = self.key.find(&held).is_some();
        // The last row has no next one by which its end is known.
        while let At::Row = self.at {
            match one(&held[used..]) {
                One::Row(text, length) => {
                    row(&text, Marks { flat: false, key });
                    used += length;
                }
                One::Last(text, length) => {
                    row(&text, Marks { flat: false, key });
                    (self.at, used) = (At::Tail, used + length);
                }
                One::Incomplete => self.at = At::Broken(serde_json::Error::custom("the list has no end")),
                One::Broken(error) => self.at = At::Broken(error),
            }
        }
        match self.at {
            At::Tail => Ok(Rest::List(held[used..].to_vec())),
            At::Broken(error) => Err(error),
            At::Start | At::Row | At::Whole => Ok(Rest::Whole(held, self.memory)),
        }
    }

    fn cuts(&self) -> bool {
        matches!(self.at, At::Start | At::Row)
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), Overfull> {
        if matches!(self.at, At::Broken(_)) {
            return Ok(());
        }
        self.memory.extend(&mut self.held, bytes, 0)
    }

    /// Cuts off what is complete of `bytes`, and says how much that was.
    fn cut(&mut self, bytes: &[u8], row: &mut Take) -> usize {
        let mut at = 0;
        if let At::Start = self.at {
            let start = bytes.len().min(START.len());
            if bytes[..start] != START[..start] {
                self.at = At::Whole;
                return 0;
            }
            match bytes.get(start) {
                None => return 0,
                Some(b']') => {
                    self.at = At::Tail;
                    return start + 1;
                }
                Some(_) => (self.at, at) = (At::Row, start),
            }
        }
        let whole = whole(bytes);
        let key = self.key.find(bytes).is_some();
        while let At::Row = self.at {
            let mut flat = |range: Range<usize>| {
                let range = at + range.start..at + range.end;
                match whole.get(range.clone()) {
                    Some(text) => row(text, Marks { flat: true, key }),
                    None => row(&String::from_utf8_lossy(&bytes[range]), Marks { flat: true, key }),
                }
            };
            at += match flat::cut(&bytes[at..], &mut flat) {
                flat::Cut::Wait(used) => return at + used,
                flat::Cut::Parse(used) => used,
            };
            match one(&bytes[at..]) {
                One::Row(text, length) => {
                    row(&text, Marks { flat: false, key });
                    at += length;
                }
                One::Last(text, length) => {
                    row(&text, Marks { flat: false, key });
                    at += length;
                    self.at = At::Tail;
                }
                One::Incomplete => return at,
                One::Broken(error) => self.at = At::Broken(error),
            }
        }
        at
    }
}

/// What a parser finds where a row begins; with the bytes up to the next row, or to behind the list.
enum One<'a> {
    Row(Cow<'a, str>, usize),
    Last(Cow<'a, str>, usize),
    Incomplete,
    Broken(serde_json::Error),
}

fn one(bytes: &[u8]) -> One<'_> {
    let start = bytes.len() - bytes.trim_ascii_start().len();
    // A parser would call half a number wrong.
    let half = bytes.iter().rev().take_while(|byte| b"0123456789+-.eE".contains(byte)).count();
    let mut values = serde_json::Deserializer::from_slice(&bytes[start..(bytes.len() - half).max(start)])
        .into_iter::<IgnoredAny>();
    match values.next() {
        None => return One::Incomplete,
        Some(Err(error)) if error.is_eof() => return One::Incomplete,
        Some(Err(error)) => return One::Broken(error),
        Some(Ok(IgnoredAny)) => {}
    }
    let end = start + values.byte_offset();
    let text = String::from_utf8_lossy(&bytes[start..end]);
    let behind = end + (bytes.len() - end - bytes[end..].trim_ascii_start().len());
    match bytes.get(behind) {
        None => One::Incomplete,
        Some(b',') => One::Row(text, behind + 1),
        Some(b']') => One::Last(text, behind + 1),
        Some(_) => One::Broken(serde_json::Error::custom("a list has neither ',' nor ']' behind a row")),
    }
}

/// What of `bytes` is UTF-8 up to a first error, looked at once for all rows.
fn whole(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
