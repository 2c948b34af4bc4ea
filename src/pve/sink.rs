//! Who takes an answer's body, piece by piece as it comes; and the memory that all bodies together may take.

use std::borrow::Cow;
use std::sync::Arc;

use super::surrogates;
use crate::account::Account;
use crate::share::{Share, Spent, Supply};

/// Takes the body of a 2xx in JSON.
pub trait Sink: Send {
    /// An answer begins, of so many bytes if it says so. What came before is forgotten: a read may be tried again.
    /// An error, here or later, ends the answer.
    fn begin(&mut self, announced: usize) -> Result<(), Overfull>;
    /// The next bytes.
    fn take(&mut self, piece: &[u8]) -> Result<(), Overfull>;
}

/// No more of the answer can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Overfull {
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// For now: what others hold is given back.
    #[error("{}", match .0 {
        Spent::Own => "this account's other answers take all the memory that one account may have for them",
        Spent::All => "other answers take all the memory that there is for them",
    })]
    NoRoom(Spent),
}

/// The memory for what is held of answers, as one account has it.
#[derive(Clone)]
pub struct Room {
    bytes: Arc<Supply>,
    account: Account,
    /// Bytes of one answer that may be held.
    most: usize,
}

/// What one answer takes of it, given back when it is dropped.
pub struct Held {
    share: Share,
    most: usize,
    taken: usize,
}

/// What a small answer may take without being counted: their number is bounded by that of the calls under way, and a
/// change's answer is never lost for want of room.
const FREE: usize = 64 << 10;

impl Room {
    pub fn new(bytes: Arc<Supply>, account: impl Into<Account>, most: usize) -> Self {
        Self { bytes, account: account.into(), most }
    }

    pub(super) fn of_account(&self, account: Account) -> Self {
        Self { account, ..self.clone() }
    }

    /// With more, or less, for one answer.
    pub(super) fn of_length(&self, most: usize) -> Self {
        Self { most, ..self.clone() }
    }

    pub(super) fn account(&self) -> Account {
        self.account
    }

    /// Nothing yet.
    pub fn held(&self) -> Held {
        Held { share: self.bytes.none(self.account), most: self.most, taken: 0 }
    }
}

impl Held {
    /// Whether one answer may ever hold as much.
    pub fn check(&self, bytes: usize) -> Result<(), Overfull> {
        if bytes > self.most { Err(Overfull::TooLong(self.most)) } else { Ok(()) }
    }

    /// Makes sure that `bytes` may be held.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), Overfull> {
        self.check(bytes)?;
        if bytes > self.taken.max(FREE) {
            let taken = bytes.next_multiple_of(FREE);
            self.share.resize(taken).map_err(Overfull::NoRoom)?;
            self.taken = taken;
        }
        Ok(())
    }

    /// Adds to what is held in `buffer`, which will be `announced` bytes at least.
    pub fn extend(&mut self, buffer: &mut Vec<u8>, bytes: &[u8], announced: usize) -> Result<(), Overfull> {
        let length = buffer.len() + bytes.len();
        if length > buffer.capacity() {
            self.check(length)?;
            let wanted = announced.max(buffer.capacity() * 2).min(self.most).max(length);
            self.grow_to(wanted)?;
            buffer.reserve_exact(wanted - buffer.len());
        }
        buffer.extend_from_slice(bytes);
        Ok(())
    }
}

/// A body kept whole.
pub struct Text {
    bytes: Vec<u8>,
    announced: usize,
    held: Held,
}

impl Text {
    pub fn new(room: &Room) -> Self {
        Self { bytes: Vec::new(), announced: 0, held: room.held() }
    }

    /// Of a body that another sink has held.
    pub fn of(bytes: Vec<u8>, held: Held) -> Self {
        Self { bytes, announced: 0, held }
    }

    /// UTF-8, with U+FFFD where it was not, or held half a character; and what stands for its memory.
    pub(super) fn into_string(self) -> (String, Held) {
        let text = String::from_utf8(self.bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        let text = match surrogates::whole(&text) {
            Cow::Owned(mended) => mended,
            Cow::Borrowed(_) => text,
        };
        (text, self.held)
    }
}

impl Sink for Text {
    fn begin(&mut self, announced: usize) -> Result<(), Overfull> {
        self.bytes.clear();
        self.announced = announced;
        self.held.check(announced)
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), Overfull> {
        // What is announced is not yet there: a liar gets a megabyte, and what it sends.
        let is_here = self.bytes.len() + piece.len() >= 1 << 20;
        let announced = if is_here { self.announced } else { self.announced.min(1 << 20) };
        self.held.extend(&mut self.bytes, piece, announced)
    }
}
