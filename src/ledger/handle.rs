//! How the other rooms reach the writer.
//!
//! A change goes: [`Ledger::intent`], which answers once the intent is on the disk, then whatever leaves the process, for
//! which the caller needs the [`Recorded`] that came back, then [`Recorded::outcome`].

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::damage::Damage;
use super::open::{self, Trouble};
use super::place::Place;
use super::receipt::body::{Body, Intent, Outcome, Result as Became};
use super::receipt::{Entry, Seq};
use super::writer::{Job, Wants, Writer};
use crate::config::ArgvRecord;

/// Jobs that may wait; whoever brings one more waits too.
const QUEUE: usize = 8192;

/// Where and how a log is kept.
#[derive(Debug, Clone)]
pub struct Options {
    pub dir: PathBuf,
    /// A file that holds the signing key, used where it exists: systemd's credential `ledger-key`.
    pub credential: Option<PathBuf>,
    /// Directories of heads that were published.
    pub witnesses: Vec<PathBuf>,
    /// The journal's socket; none: no copy is kept there.
    pub journal: Option<PathBuf>,
    pub argv: ArgvRecord,
    /// Bytes after which a new segment is begun.
    pub segment_bytes: u64,
    /// How long a receipt that nobody waits for may stay off the disk.
    pub commit_within: Duration,
    /// How long an entry may stay without a signed head.
    pub checkpoint_every: Duration,
}

impl Options {
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            credential: None,
            witnesses: Vec::new(),
            journal: None,
            argv: ArgvRecord::Full,
            segment_bytes: 64 << 20,
            commit_within: Duration::from_millis(100),
            checkpoint_every: Duration::from_secs(60),
        }
    }

    /// As the daemon keeps it: by configuration, with what systemd and the node offer.
    pub fn of(config: &crate::config::Ledger) -> Self {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self {
            credential: credentials.map(|dir| dir.join("ledger-key")),
            witnesses: super::witness::dirs(),
            journal: std::env::var_os("JOURNAL_STREAM").map(|_| super::mirror::SOCKET.into()),
            argv: config.argv,
            ..Self::new(&config.dir)
        }
    }
}

/// Why a receipt was not made. What it would have recorded must not be done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unrecorded {
    #[error("nothing may be changed: the ledger is damaged: {0}")]
    Damaged(Arc<Damage>),
    #[error("nothing may be changed while it cannot be recorded: {0}")]
    Unavailable(Arc<Trouble>),
    #[error("nothing may be changed: the ledger is closed, as the daemon is stopping")]
    Closed,
}

impl Unrecorded {
    /// A short name that programs can compare.
    pub fn kind(&self) -> &'static str {
        match self {
            Unrecorded::Damaged(_) => "ledger_damaged",
            Unrecorded::Unavailable(_) => "ledger_unavailable",
            Unrecorded::Closed => "stopping",
        }
    }

    /// What to do about it.
    pub fn next(&self) -> &'static str {
        match self {
            Unrecorded::Damaged(_) => "the operator should run: provost audit verify. Reading goes on",
            Unrecorded::Unavailable(_) => {
                "it goes on by itself once the disk takes receipts again (df, dmesg); reading goes on meanwhile"
            }
            Unrecorded::Closed => "call again",
        }
    }
}

/// How the log stands.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Status {
    /// "ready", "damaged", "unavailable".
    pub state: &'static str,
    /// Why, where it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    pub origin: String,
    /// Entries on the disk.
    pub size: u64,
    /// Entries that the latest signed head covers.
    pub signed: u64,
    /// Intents without an outcome.
    pub open_intents: Vec<Seq>,
    /// Receipts of reads that could not be kept, since the start.
    pub unrecorded: u64,
    /// "journald", or why there is no copy.
    pub mirror: String,
    /// Receipts that the journal did not take, since the start.
    pub unmirrored: u64,
    /// What whoever has to leave a receipt is told meanwhile.
    #[serde(skip)]
    pub(super) refusing: Option<Unrecorded>,
}

/// That the log took receipts a moment ago. Whoever acts without an intent needs one.
#[derive(Debug)]
pub struct Ready(());

/// Looks at a receipt, and must not wait.
struct Tap(Box<dyn Fn(&Entry) + Send + Sync>);

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tap")
    }
}

/// The log. Clones reach the same writer.
#[derive(Debug, Clone)]
pub struct Ledger {
    jobs: mpsc::Sender<Job>,
    status: Arc<Mutex<Status>>,
    place: Place,
    argv: ArgvRecord,
    /// Receipts that nobody waited for and the queue had no place for: the writer counts them with those that the disk
    /// did not take.
    lost: Arc<AtomicU64>,
    /// Who looks at each receipt as it is left.
    tap: Arc<OnceLock<Tap>>,
    writer: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Ledger {
    /// Opens or makes the log. A log that is damaged, or whose disk takes nothing, opens too: it refuses what has to be
    /// recorded, with that reason, and can be read.
    pub fn open(options: Options) -> Result<Self, Trouble> {
        let place = Place::new(&options.dir);
        let lock = match open::lock(&place) {
            Ok(lock) => Some(lock),
            Err(locked @ Trouble::Locked { .. }) => return Err(locked),
            // The writer tries again, and says why meanwhile.
            Err(_) => None,
        };
        let (jobs, queue) = mpsc::channel(QUEUE);
        let status = Arc::new(Mutex::new(Status::default()));
        let argv = options.argv;
        // What is found is known when this returns.
        let (opened, ready) = std::sync::mpsc::channel();
        let shared = status.clone();
        let lost = Arc::new(AtomicU64::new(0));
        let uncounted = lost.clone();
        let thread = std::thread::Builder::new().name("ledger".into()).spawn(move || {
            let mut writer = Writer::new(options, lock, shared, uncounted);
            writer.open();
            let _ = opened.send(());
            writer.run(queue);
        });
        let thread = thread.map_err(|source| {
            Trouble::Disk(super::disk::DiskError {
                what: "start a thread for",
                path: place.dir().into(),
                source,
            })
        })?;
        let _ = ready.recv();
        Ok(Self {
            jobs,
            status,
            place,
            argv,
            lost,
            tap: Arc::default(),
            writer: Arc::new(Mutex::new(Some(thread))),
        })
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    pub fn argv(&self) -> ArgvRecord {
        self.argv
    }

    pub fn status(&self) -> Status {
        held(&self.status).clone()
    }

    /// Has somebody look at each receipt from here on. The first stays.
    pub fn tap(&self, tap: impl Fn(&Entry) + Send + Sync + 'static) {
        let _ = self.tap.set(Tap(Box::new(tap)));
    }

    fn job(&self, entry: Entry, wants: Wants) -> Job {
        if let Some(tap) = self.tap.get() {
            tap.0(&entry);
        }
        Job::append(entry, wants)
    }

    /// Leaves a receipt that nobody waits for: on the disk within [`Options::commit_within`]. Waits only for a place in
    /// the queue. What the disk does not take is counted, and said in a later receipt.
    pub async fn append(&self, entry: Entry) -> Result<(), Unrecorded> {
        self.jobs.send(self.job(entry, Wants::Nothing)).await.map_err(|_| Unrecorded::Closed)
    }

    /// As [`Ledger::append`], for callers that must not wait, as a disk that hangs fills the queue: what finds no place is
    /// counted, and said in a later receipt.
    pub fn leave(&self, entry: Entry) {
        if self.jobs.try_send(self.job(entry, Wants::Nothing)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether receipts are taken now; why not, where they are not.
    pub fn ready(&self) -> Result<Ready, Unrecorded> {
        held(&self.status).refusing.clone().map_or(Ok(Ready(())), Err)
    }

    /// Leaves a receipt, and answers once it would survive a power cut.
    pub async fn append_durable(&self, entry: Entry) -> Result<Seq, Unrecorded> {
        let (ack, answer) = oneshot::channel();
        self.jobs.send(self.job(entry, Wants::Durable(ack))).await.map_err(|_| Unrecorded::Closed)?;
        answer.await.unwrap_or(Err(Unrecorded::Closed))
    }

    /// Leaves a receipt, and answers its number once it is written: it stays there when this process is killed, and is durable
    /// within [`Options::commit_within`]. A power cut before that may take it along, and its number with it.
    pub async fn append_numbered(&self, entry: Entry) -> Result<Seq, Unrecorded> {
        let (ack, answer) = oneshot::channel();
        self.jobs.send(self.job(entry, Wants::Number(ack))).await.map_err(|_| Unrecorded::Closed)?;
        answer.await.unwrap_or(Err(Unrecorded::Closed))
    }

    /// As [`Ledger::append_durable`], for threads outside of a runtime.
    pub fn append_durable_blocking(&self, entry: Entry) -> Result<Seq, Unrecorded> {
        let (ack, answer) = oneshot::channel();
        self.jobs.blocking_send(self.job(entry, Wants::Durable(ack))).map_err(|_| Unrecorded::Closed)?;
        answer.blocking_recv().unwrap_or(Err(Unrecorded::Closed))
    }

    /// Records what is about to be changed. Only with what comes back may it be.
    pub async fn intent(&self, head: Entry, intent: Intent) -> Result<Recorded, Unrecorded> {
        let entry = Entry { body: Body::Intent(intent), ..head };
        let kept = Entry { body: Body::Halt(super::receipt::body::Halt { halted: false }), ..entry.clone() };
        let seq = self.append_durable(entry).await?;
        Ok(Recorded { seq, head: kept, ledger: self.clone(), closed: false })
    }

    /// Leaves a receipt that is written before any other, now or when the disk takes some again. Whether it will be, if
    /// the daemon lives so long.
    fn owe(&self, entry: Entry) -> bool {
        self.jobs.try_send(Job::Owe(Box::new(entry))).is_ok()
    }

    /// Signs a head of all that is here, now.
    pub async fn checkpoint(&self) -> Result<(), Unrecorded> {
        let (ack, answer) = oneshot::channel();
        self.jobs.send(Job::Checkpoint(ack)).await.map_err(|_| Unrecorded::Closed)?;
        answer.await.unwrap_or(Err(Unrecorded::Closed))
    }

    /// Verification has found something: from now on nothing may be changed.
    pub fn damaged(&self, damage: Damage) {
        let jobs = self.jobs.clone();
        // The queue may be full, and this may be a runtime's own thread.
        std::thread::spawn(move || drop(jobs.blocking_send(Job::Damaged(damage))));
    }

    /// Writes what is queued, signs a last head, and says that the daemon stopped. Other clones can record no more.
    pub fn close(self) {
        let (stopped, wait) = std::sync::mpsc::channel();
        let thread = held(&self.writer).take();
        let jobs = self.jobs.clone();
        // The queue may be full, and this may be a runtime's own thread.
        std::thread::spawn(move || {
            let _ = jobs.blocking_send(Job::Stop);
            let ended = thread.is_none_or(|thread| thread.join().is_ok());
            let _ = stopped.send(ended);
        });
        if wait.recv() != Ok(true) {
            tracing::error!("the ledger's writer did not end as it should");
        }
    }
}

/// A poisoned lock only means that another thread panicked: what it holds is plain data.
pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// An intent that is on the disk: the permission to go on. It ends with an outcome; one that is dropped without stays
/// open, and the next start finds it.
#[must_use = "an intent wants its outcome"]
#[derive(Debug)]
pub struct Recorded {
    seq: Seq,
    head: Entry,
    ledger: Ledger,
    closed: bool,
}

impl Recorded {
    /// The intent's number.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// The same, for an outcome that says that it was refused elsewhere.
    pub fn refused(mut self) -> Self {
        self.head.decision = Some(super::receipt::Decision::Refused);
        self
    }

    /// Records what became of it: an `Outcome`, `Exec` or `File`, whose `of` is set here. On the disk when it returns.
    pub async fn outcome(
        mut self,
        why: Option<super::receipt::Clean>,
        body: impl Into<Body>,
    ) -> Result<Seq, Unrecorded> {
        let entry = self.closing(why, body.into());
        let recorded = self.ledger.append_durable(entry.clone()).await;
        self.close(entry, recorded)
    }

    /// As [`Recorded::outcome`], for who cannot wait for the disk: as [`Ledger::append_numbered`]. The intent is durable
    /// whatever happens.
    pub async fn outcome_numbered(
        mut self,
        why: Option<super::receipt::Clean>,
        body: impl Into<Body>,
    ) -> Result<Seq, Unrecorded> {
        let entry = self.closing(why, body.into());
        let recorded = self.ledger.append_numbered(entry.clone()).await;
        self.close(entry, recorded)
    }

    fn closing(&mut self, why: Option<super::receipt::Clean>, mut body: Body) -> Entry {
        match &mut body {
            Body::Outcome(outcome) => outcome.of = self.seq,
            Body::Exec(exec) => exec.of = Some(self.seq),
            Body::File(file) => file.of = Some(self.seq),
            _ => {}
        }
        Entry { body, why: why.or(self.head.why.take()), ..self.head.clone() }
    }

    fn close(&mut self, entry: Entry, recorded: Result<Seq, Unrecorded>) -> Result<Seq, Unrecorded> {
        // What was done is said before anything else, once the disk takes receipts again.
        self.closed = match &recorded {
            Ok(_) => true,
            Err(Unrecorded::Unavailable(_)) => self.ledger.owe(entry),
            Err(_) => false,
        };
        recorded
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        let why = "what was begun was given up, and nothing says what became of it";
        let body = Outcome {
            answer: None,
            duration_us: 0,
            of: self.seq,
            result: Became::Unknown,
            status: None,
            upid: None,
        };
        if !self.ledger.owe(Entry { why: Some(why.into()), body: body.into(), ..self.head.clone() }) {
            tracing::error!("what became of intent {} was not recorded", self.seq);
        }
    }
}
