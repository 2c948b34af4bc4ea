//! The one thread that writes.
//!
//! In: entries, from a bounded queue. Out: their numbers, once one sync has made all that waited durable. A disk that
//! takes nothing is tried again, with each call that needs it and each second; until then every call is told why.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::backlog::Backlog;
use super::copy::Copy;
use super::damage::Damage;
use super::disk::DiskError;
use super::handle::{Options, Status, Unrecorded, held};
use super::log::{Log, Pending, Stamp};
use super::mirror::Mirror;
use super::open::{self, Lock, Standing, Trouble, of_state};
use super::place::Place;
use super::receipt::body::{Repair, RepairOf, Start};
use super::receipt::{Clean, Entry, Seq};
use super::state::State;
use super::tree;
use crate::config::ArgvRecord;

/// Jobs taken at once, and bytes written at once.
const BATCH: usize = 4096;
const BATCH_BYTES: usize = 4 << 20;
/// Entries after which a head is signed whatever the clock says: so many lines are read again at the next start.
const SIGN_AFTER: u64 = 1 << 15;
/// How often a disk that took nothing is tried again.
const AGAIN: Duration = Duration::from_secs(1);
const FAR: Duration = Duration::from_secs(3600);

pub type Ack = oneshot::Sender<Result<Seq, Unrecorded>>;

#[derive(Debug)]
pub enum Job {
    Append {
        entry: Box<Entry>,
        wants: Wants,
    },
    /// Before any other, whenever that is.
    Owe(Box<Entry>),
    Checkpoint(oneshot::Sender<Result<(), Unrecorded>>),
    Damaged(Damage),
    Stop,
}

/// What whoever leaves a receipt waits for.
#[derive(Debug)]
pub enum Wants {
    Nothing,
    /// Its number, once it is written: a daemon that is killed does not take it along, a power cut may.
    Number(Ack),
    /// That it survives a power cut.
    Durable(Ack),
}

impl Job {
    pub fn append(entry: Entry, wants: Wants) -> Self {
        Job::Append { entry: Box::new(entry), wants }
    }
}

enum Stand {
    Ready(Box<Log>),
    Refusing(Unrecorded),
}

pub struct Writer {
    options: Options,
    place: Place,
    lock: Option<Lock>,
    stand: Stand,
    /// Why the last attempt to write failed.
    trouble: Option<Arc<Trouble>>,
    tried: Instant,
    status: Arc<Mutex<Status>>,
    mirror: Mirror,
    /// Names this start in each receipt.
    start: String,
    began: Instant,
    announced: bool,
    /// Receipts that are owed before any other.
    owed: Vec<Entry>,
    /// Who is to be told a number, once what is in the buffer is written.
    numbered: Vec<(Ack, Seq)>,
    /// Outcomes that are not durable, and that nobody waits for until they are: if the disk fails them, they are owed.
    unsure: Vec<(Seq, Entry)>,
    /// Receipts of reads that were lost, since one said so; and since the start.
    unrecorded: u64,
    unrecorded_ever: u64,
    /// Those that found no place in the queue.
    uncounted: Arc<AtomicU64>,
}

impl Writer {
    pub fn new(
        options: Options,
        lock: Option<Lock>,
        status: Arc<Mutex<Status>>,
        uncounted: Arc<AtomicU64>,
    ) -> Self {
        let mut id = [0; 8];
        let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut id);
        Self {
            place: Place::new(&options.dir),
            mirror: Mirror::open(options.journal.as_deref()),
            lock,
            stand: Stand::Refusing(Unrecorded::Closed),
            trouble: None,
            tried: Instant::now(),
            status,
            start: tree::hex(&id),
            began: Instant::now(),
            announced: false,
            owed: Vec::new(),
            numbered: Vec::new(),
            unsure: Vec::new(),
            unrecorded: 0,
            unrecorded_ever: 0,
            uncounted,
            options,
        }
    }

    /// Tries to stand on what is on the disk. What is wrong is kept as the answer to everybody.
    pub fn open(&mut self) {
        self.tried = Instant::now();
        self.stand = match self.try_open() {
            Ok(log) => Stand::Ready(Box::new(log)),
            Err(trouble) => {
                tracing::error!("{trouble}");
                Stand::Refusing(match trouble {
                    Trouble::Damaged(damage) => Unrecorded::Damaged(Arc::new(damage)),
                    trouble => Unrecorded::Unavailable(Arc::new(trouble)),
                })
            }
        };
        self.pay();
        self.tell();
    }

    fn try_open(&mut self) -> Result<Log, Trouble> {
        let lock = match self.lock.take() {
            Some(lock) => lock,
            None => open::lock(&self.place)?,
        };
        let lock = self.lock.insert(lock);
        let (credential, witnesses) = (self.options.credential.as_deref(), &self.options.witnesses);
        let standing = open::stand(&self.place, credential, witnesses, lock)?;
        // Before the first line: one that is found behind a log that had stopped is not the daemon's.
        let state = State {
            size: standing.tree.size(),
            stopped: false,
            open: standing.open.iter().copied().collect(),
        };
        state.write(&self.place, &standing.key).map_err(|error| of_state(&self.place, error))?;
        if !self.announced {
            self.announce(&standing);
        }
        Ok(Log::new(&self.place, standing))
    }

    /// The first receipts of this start.
    fn announce(&mut self, standing: &Standing) {
        self.announced = true;
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        self.owed.push(Entry::of(Start {
            argv: match self.options.argv {
                ArgvRecord::Full => "full",
                ArgvRecord::Hash => "hash",
            },
            boot: Clean::ours(boot.trim()),
            first: standing.first,
            open_intents: standing.open.iter().copied().collect(),
            origin: Clean::ours(standing.key.public().origin()),
            pid: std::process::id(),
            root: tree::base64(&standing.tree.root()),
            size: standing.tree.size(),
            stopped_cleanly: standing.stopped,
            version: env!("CARGO_PKG_VERSION"),
        }));
        if !standing.stopped {
            self.mirror.send_again(Backlog {
                place: self.place.clone(),
                log: standing.key.public().clone(),
                end: standing.tree.size(),
            });
        }
        if let Some(torn) = &standing.torn {
            self.owed.push(Entry::of(Repair {
                bytes: Some(torn.bytes),
                sha256: Some(torn.sha256.clone()),
                first: Some(standing.tree.size()),
                ..Repair::of(RepairOf::TornLine)
            }));
        }
    }

    pub fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!("the ledger cannot wait for its queue: {error}"),
        };
        let mut jobs = Vec::with_capacity(BATCH);
        let mut stop = false;
        while !stop {
            let wait = self.next_due().saturating_duration_since(Instant::now());
            let taken = runtime
                .block_on(async { tokio::time::timeout(wait, queue.recv_many(&mut jobs, BATCH)).await });
            stop = taken == Ok(0) || jobs.iter().any(|job| matches!(job, Job::Stop));
            if stop {
                queue.close();
                jobs.extend(std::iter::from_fn(|| queue.try_recv().ok()));
            }
            self.take(&mut jobs);
            self.on_time();
        }
        self.commit();
        // Before the log is said to have stopped: one that is killed here hands over again at its next start.
        self.mirror.close();
        self.pay();
        let _ = self.sign(true);
    }

    fn next_due(&self) -> Instant {
        let owes = !self.owed.is_empty() || self.unrecorded > 0;
        let again = owes.then(|| self.tried + AGAIN);
        let due = match &self.stand {
            Stand::Ready(log) => {
                let commit = log.pending().since.map(|since| since + self.options.commit_within);
                let (size, signed) = log.sizes();
                let sign = (size > signed).then(|| log.signed_at + self.options.checkpoint_every);
                [commit, sign, again].into_iter().flatten().min()
            }
            Stand::Refusing(Unrecorded::Unavailable(_)) => Some(self.tried + AGAIN),
            Stand::Refusing(_) => None,
        };
        due.unwrap_or_else(|| Instant::now() + FAR)
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        if let Stand::Refusing(Unrecorded::Unavailable(_)) = &self.stand
            && self.tried + AGAIN <= now
        {
            return self.open();
        }
        let Stand::Ready(log) = &self.stand else { return };
        if log.pending().since.is_some_and(|since| since + self.options.commit_within <= now) {
            self.commit();
        }
        if self.tried + AGAIN <= now {
            self.pay();
        }
        let Stand::Ready(log) = &self.stand else { return };
        let (size, signed) = log.sizes();
        let due = log.signed_at + self.options.checkpoint_every <= now;
        if size - signed >= SIGN_AFTER || size > signed && due {
            let _ = self.sign(false);
        }
    }

    fn take(&mut self, jobs: &mut Vec<Job>) {
        let lost = self.unrecorded_ever;
        self.lose(self.uncounted.swap(0, Ordering::Relaxed));
        let waited_for = jobs.iter().any(|job| matches!(job, Job::Append { wants: Wants::Durable(_), .. }));
        if waited_for {
            if let Stand::Refusing(Unrecorded::Unavailable(_)) = &self.stand {
                self.open();
            }
            self.pay();
        }
        let mut heads = Vec::new();
        let mut buffer = Vec::with_capacity(BATCH_BYTES.min(jobs.len() * 1024));
        for job in jobs.drain(..) {
            match job {
                Job::Append { entry, wants } => self.add(&entry, wants, &mut buffer),
                Job::Owe(entry) => {
                    self.write(&mut buffer);
                    self.owe(*entry);
                }
                Job::Checkpoint(ack) => heads.push(ack),
                Job::Damaged(damage) => {
                    self.write(&mut buffer);
                    self.commit();
                    tracing::error!("the ledger is damaged: {damage}");
                    self.stand = Stand::Refusing(Unrecorded::Damaged(Arc::new(damage)));
                    self.tell();
                }
                Job::Stop => {}
            }
            if buffer.len() >= BATCH_BYTES {
                self.write(&mut buffer);
            }
        }
        self.write(&mut buffer);
        let full = matches!(&self.stand, Stand::Ready(log) if log.pending().entries > 4 * BATCH as u64);
        if waited_for || full || !heads.is_empty() {
            self.commit();
        }
        if self.unrecorded_ever != lost {
            self.tell();
        }
        if !heads.is_empty() {
            let signed = self.sign(false);
            heads.into_iter().for_each(|ack| drop(ack.send(signed.clone())));
        }
    }

    fn add(&mut self, entry: &Entry, wants: Wants, buffer: &mut Vec<u8>) {
        let refused = match (&self.stand, &self.trouble) {
            (Stand::Refusing(why), _) => Some(why.clone()),
            // Nothing goes before what is owed.
            (_, Some(trouble)) if !self.owed.is_empty() => Some(Unrecorded::Unavailable(trouble.clone())),
            _ => None,
        };
        let log = match (refused, &mut self.stand) {
            (None, Stand::Ready(log)) => log,
            (refused, _) => {
                match wants {
                    Wants::Number(ack) | Wants::Durable(ack) => {
                        drop(ack.send(Err(refused.unwrap_or(Unrecorded::Closed))));
                    }
                    Wants::Nothing => self.lose(1),
                }
                return;
            }
        };
        let (durable, number) = match wants {
            Wants::Nothing => (None, None),
            Wants::Durable(ack) => (Some(ack), None),
            Wants::Number(ack) => (None, Some(ack)),
        };
        let stamp = Stamp {
            mono_us: self.began.elapsed().as_micros() as u64,
            start: &self.start,
            time: &Timestamp::now(),
        };
        let (seq, leaf) = log.add(entry, &stamp, durable, buffer);
        if let Some(ack) = number {
            self.numbered.push((ack, seq));
            if entry.body.closes().is_some() {
                self.unsure.push((seq, entry.clone()));
            }
        }
        if self.mirror.is_on() {
            let copy = Copy::of(entry, seq, &leaf, log.public());
            log.copy(copy);
        }
    }

    fn write(&mut self, buffer: &mut Vec<u8>) {
        if let Stand::Ready(log) = &mut self.stand
            && !buffer.is_empty()
            && let Err(error) = log.write(buffer)
        {
            self.fail(error);
        }
        self.numbered.drain(..).for_each(|(ack, seq)| drop(ack.send(Ok(seq))));
        buffer.clear();
    }

    /// Makes all that is pending durable, and answers.
    fn commit(&mut self) {
        let Stand::Ready(log) = &mut self.stand else { return };
        if log.pending().entries == 0 {
            return;
        }
        match log.commit() {
            Ok(Pending { acks, copies, .. }) => {
                self.unsure.clear();
                // Before the answers: whoever has one sees it in what he asks next.
                if self.trouble.take().is_some() {
                    tracing::info!("the ledger's disk takes receipts again");
                }
                self.tell();
                acks.into_iter().for_each(|(ack, seq)| drop(ack.send(Ok(seq))));
                self.mirror.send(copies);
            }
            Err(error) => return self.fail(error),
        }
        let Stand::Ready(log) = &mut self.stand else { return };
        if let Err(error) = log.rotate(self.options.segment_bytes) {
            // This one goes on growing meanwhile.
            tracing::warn!("{error}");
        }
    }

    fn fail(&mut self, error: DiskError) {
        let Stand::Ready(log) = &mut self.stand else { return };
        let Pending { acks, silent, .. } = log.take_back();
        let trouble = Arc::new(Trouble::Disk(error));
        if self.trouble.is_none() {
            tracing::error!("{trouble}; changes are refused until the disk takes receipts again");
        }
        self.trouble = Some(trouble.clone());
        self.tried = Instant::now();
        // Who was told no number records it again; an outcome of which one was told gets another.
        let untold = std::mem::take(&mut self.numbered);
        let owed = self.owed.len();
        let told = self.unsure.drain(..).filter(|(seq, _)| untold.iter().all(|(_, other)| other != seq));
        self.owed.extend(told.map(|(_, entry)| entry));
        let kept = self.owed.len() - owed + untold.len();
        self.lose(silent.saturating_sub(kept as u64));
        // Before the answers, as when all went well.
        self.tell();
        for (ack, _) in acks.into_iter().chain(untold) {
            let _ = ack.send(Err(Unrecorded::Unavailable(trouble.clone())));
        }
    }

    /// Writes it with what else is owed, or keeps it for when that is possible.
    fn owe(&mut self, entry: Entry) {
        /// A log that takes nothing takes no intents: what is owed is bounded by what was begun before.
        const MOST: usize = 4096;
        if self.owed.len() < MOST {
            self.owed.push(entry);
            self.pay();
        } else {
            tracing::error!("too much is owed to the ledger; an outcome was not recorded");
        }
    }

    fn lose(&mut self, entries: u64) {
        self.unrecorded += entries;
        self.unrecorded_ever += entries;
    }

    /// Writes the receipts that are owed.
    fn pay(&mut self) {
        if let Some((count, first, last)) = self.mirror.to_confess() {
            let (count, first, last) = (Some(count), Some(first), Some(last));
            self.owed.push(Entry::of(Repair { count, first, last, ..Repair::of(RepairOf::Unmirrored) }));
        }
        let lost = self.unrecorded;
        if self.owed.is_empty() && lost == 0 || !matches!(self.stand, Stand::Ready(_)) {
            return;
        }
        self.tried = Instant::now();
        // What is pending came before them.
        self.commit();
        let mut owed = std::mem::take(&mut self.owed);
        let kept = owed.len();
        if lost > 0 {
            owed.push(Entry::of(Repair { count: Some(lost), ..Repair::of(RepairOf::Unrecorded) }));
        }
        let mut buffer = Vec::new();
        owed.iter().for_each(|entry| self.add(entry, Wants::Nothing, &mut buffer));
        self.write(&mut buffer);
        self.commit();
        if self.trouble.is_some() {
            // `fail` counted them as lost reads, and they are not.
            owed.truncate(kept);
            self.owed = owed;
            self.unrecorded_ever -= self.unrecorded - lost;
            self.unrecorded = lost;
        } else {
            self.unrecorded -= lost;
        }
        self.tell();
    }

    /// A failure was told; the next minute tries again.
    fn sign(&mut self, stopped: bool) -> Result<(), Unrecorded> {
        let log = match &mut self.stand {
            Stand::Ready(log) => log,
            Stand::Refusing(why) => return Err(why.clone()),
        };
        let signed = log.sign(stopped);
        self.tell();
        signed.map_err(|trouble| {
            tracing::error!("no head was signed: {trouble}");
            Unrecorded::Unavailable(Arc::new(trouble))
        })
    }

    fn tell(&self) {
        let mut status = held(&self.status);
        let why = match &self.stand {
            Stand::Ready(log) => {
                (status.size, status.signed) = log.sizes();
                status.origin = log.public().origin().to_owned();
                status.open_intents = log.open_intents().collect();
                status.state = if self.trouble.is_some() { "unavailable" } else { "ready" };
                self.trouble.as_ref().map(|trouble| trouble.to_string())
            }
            Stand::Refusing(why) => {
                let damaged = matches!(why, Unrecorded::Damaged(_));
                status.state = if damaged { "damaged" } else { "unavailable" };
                Some(why.to_string())
            }
        };
        status.why = why;
        status.refusing = match (&self.stand, &self.trouble) {
            (Stand::Refusing(why), _) => Some(why.clone()),
            (Stand::Ready(_), trouble) => trouble.clone().map(Unrecorded::Unavailable),
        };
        status.unrecorded = self.unrecorded_ever;
        status.mirror = self.mirror.state();
        status.unmirrored = self.mirror.dropped();
    }
}
