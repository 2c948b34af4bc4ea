//! The log as it stands on the disk, and what was added since the last sync.
//!
//! In: entries, one after the other. Out: what may be told to others, once a sync has made it durable. Nothing is hashed
//! into the stored tree before its line is durable, so a failure leaves nothing to take back but the end of one file.

use std::collections::BTreeSet;
use std::time::Instant;

use jiff::Timestamp;

use super::copy::Copy;
use super::disk::{self, Growing};
use super::note::{Head, PublicKey, SecretKey};
use super::open::{Standing, Trouble, of_state};
use super::place::Place;
use super::receipt::{Entry, Kind, Line, Seq, VERSION};
use super::state::State;
use super::tree::{Hash, Tree, leaf_hash};
use super::writer::Ack;

pub struct Log {
    place: Place,
    key: SecretKey,
    /// Of what is durable, and of what is added.
    durable: Tree,
    tree: Tree,
    head: Head,
    segment: Growing,
    segment_number: u64,
    /// Bytes of the segment that are durable.
    durable_length: u64,
    hashes: Growing,
    /// Hashes of durable lines that the disk did not take yet.
    unstored: Vec<u8>,
    /// Intents without an outcome.
    open: BTreeSet<Seq>,
    pending: Pending,
    pub signed_at: Instant,
}

/// What waits for the sync.
#[derive(Default)]
pub struct Pending {
    /// When the first of them came.
    pub since: Option<Instant>,
    pub acks: Vec<(Ack, Seq)>,
    pub copies: Vec<Copy>,
    /// How many of them nobody waits for.
    pub silent: u64,
    pub entries: u64,
    hashes: Vec<u8>,
    /// Number, whether it is an intent, the one it closes.
    intents: Vec<(Seq, bool, Option<Seq>)>,
}

/// When and by whom a line is written.
pub struct Stamp<'a> {
    pub mono_us: u64,
    pub start: &'a str,
    pub time: &'a Timestamp,
}

/// The line of an entry, without its newline.
pub fn line(entry: &Entry, seq: Seq, stamp: &Stamp, into: &mut Vec<u8>) {
    const TIME: jiff::fmt::temporal::DateTimePrinter =
        jiff::fmt::temporal::DateTimePrinter::new().precision(Some(6));
    let mut time = String::with_capacity(32);
    let _ = TIME.print_timestamp(stamp.time, &mut time);
    let line = Line {
        body: &entry.body,
        decision: entry.decision,
        endpoint: &entry.endpoint,
        guest: entry.guest,
        kind: entry.body.kind(),
        mono_us: stamp.mono_us,
        plan: &entry.plan,
        principal: &entry.principal,
        seq,
        start: stamp.start,
        time: &time,
        tool: entry.tool,
        v: VERSION,
        why: &entry.why,
    };
    // Into memory, from types that have only text keys: it cannot fail.
    let _ = serde_json::to_writer(into, &line);
}

impl Log {
    pub fn new(place: &Place, standing: Standing) -> Self {
        Self {
            place: place.clone(),
            key: standing.key,
            durable: standing.tree.clone(),
            tree: standing.tree,
            head: standing.head,
            durable_length: standing.segment.length(),
            segment: standing.segment,
            segment_number: standing.segment_number,
            hashes: standing.hashes,
            unstored: Vec::new(),
            open: standing.open,
            pending: Pending::default(),
            signed_at: Instant::now(),
        }
    }

    pub fn public(&self) -> &PublicKey {
        self.key.public()
    }

    /// Entries on the disk, and how many of them a head covers.
    pub fn sizes(&self) -> (u64, u64) {
        (self.durable.size(), self.head.size)
    }

    pub fn open_intents(&self) -> impl Iterator<Item = Seq> {
        self.open.iter().copied()
    }

    pub fn pending(&self) -> &Pending {
        &self.pending
    }

    /// Puts an entry's line into `buffer`, which is to be written next, and what follows from it into what is pending.
    pub fn add(
        &mut self,
        entry: &Entry,
        stamp: &Stamp,
        ack: Option<Ack>,
        buffer: &mut Vec<u8>,
    ) -> (Seq, Hash) {
        let seq = self.tree.size();
        let begins = buffer.len();
        line(entry, seq, stamp, buffer);
        let leaf = leaf_hash(&buffer[begins..]);
        buffer.push(b'\n');
        let pending = &mut self.pending;
        self.tree.push(leaf, &mut pending.hashes);
        pending.since.get_or_insert_with(Instant::now);
        pending.entries += 1;
        match ack {
            Some(ack) => pending.acks.push((ack, seq)),
            None => pending.silent += 1,
        }
        let (is_intent, closes) = (entry.body.kind() == Kind::Intent, entry.body.closes());
        if is_intent || closes.is_some() {
            pending.intents.push((seq, is_intent, closes));
        }
        (seq, leaf)
    }

    /// A copy for the journal, for when the entry is durable.
    pub fn copy(&mut self, copy: Copy) {
        self.pending.copies.push(copy);
    }

    pub fn write(&mut self, buffer: &[u8]) -> disk::Result<()> {
        self.store_hashes()?;
        self.segment.append(buffer)
    }

    /// Makes all that is pending durable. What comes back may be told.
    pub fn commit(&mut self) -> disk::Result<Pending> {
        self.segment.sync()?;
        let mut pending = std::mem::take(&mut self.pending);
        self.durable = self.tree.clone();
        self.durable_length = self.segment.length();
        for (seq, is_intent, closes) in pending.intents.drain(..) {
            if is_intent {
                self.open.insert(seq);
            }
            closes.map(|of| self.open.remove(&of));
        }
        self.unstored.append(&mut pending.hashes);
        // The lines are safe. If their hashes are not taken, the next write says why.
        let _ = self.store_hashes();
        Ok(pending)
    }

    /// Forgets what is not durable, and cuts it off before anything else is written. Its numbers were told to nobody.
    pub fn take_back(&mut self) -> Pending {
        self.segment.cut(self.durable_length);
        self.tree = self.durable.clone();
        std::mem::take(&mut self.pending)
    }

    /// Begins the next segment, if this one is full. All must be durable.
    pub fn rotate(&mut self, most: u64) -> disk::Result<()> {
        if self.segment.length() < most || self.pending.entries > 0 {
            return Ok(());
        }
        // The next segment begins where the stored tree ends: then what is torn is always at the end of the last one.
        self.store_hashes()?;
        let number = self.segment_number + 1;
        self.segment = Growing::open(self.place.segment(number), 0, 0o640)?;
        (self.segment_number, self.durable_length) = (number, 0);
        Ok(())
    }

    /// Signs a head of what is durable.
    pub fn sign(&mut self, stopped: bool) -> Result<(), Trouble> {
        self.signed_at = Instant::now();
        self.store_hashes()?;
        self.hashes.sync()?;
        let state = State { size: self.durable.size(), stopped, open: self.open.iter().copied().collect() };
        state.write(&self.place, &self.key).map_err(|error| of_state(&self.place, error))?;
        let head = Head { size: self.durable.size(), root: self.durable.root() };
        let path = self.place.checkpoint();
        let note =
            self.key.checkpoint(&head).map_err(|source| Trouble::NewKey { path: path.clone(), source })?;
        disk::replace(&path, &note, 0o644)?;
        self.head = head;
        Ok(())
    }

    fn store_hashes(&mut self) -> disk::Result<()> {
        if !self.unstored.is_empty() {
            self.hashes.append(&self.unstored)?;
            self.unstored.clear();
        }
        Ok(())
    }
}
