//! The journal's copy: each receipt as one entry.
//!
//! In: entries that are durable, and from where on the journal may lack older ones. Out: datagrams, from a thread of their
//! own. A journal that takes nothing delays nobody: what it did not take is counted and said in a later receipt.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::backlog::Backlog;
use super::copy::Copy;
use super::receipt::{Kind, Seq};

/// Where journald listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";

/// Batches that may wait for the journal.
const QUEUE: usize = 256;
/// How long the journal may keep one entry waiting.
const PATIENCE: Duration = Duration::from_millis(50);
/// How often receipts say what the journal did not take.
const CONFESS: Duration = Duration::from_secs(60);

enum Job {
    Copies(Vec<Copy>),
    Again(Backlog),
}

#[derive(Debug, Default)]
struct Dropped {
    ever: u64,
    /// Count, first, last, since a receipt said so.
    unsaid: Option<(u64, Seq, Seq)>,
}

impl Dropped {
    fn add(&mut self, seq: Seq, kind: Kind) {
        self.ever += 1;
        // One that says what was dropped must not be the reason for the next.
        if kind == Kind::Repair {
            return;
        }
        let (count, first, last) = self.unsaid.unwrap_or((0, seq, seq));
        self.unsaid = Some((count + 1, first.min(seq), last.max(seq)));
    }
}

pub struct Mirror {
    queue: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// Nothing more comes, and somebody waits for the thread.
    ending: Arc<AtomicBool>,
    dropped: Arc<Mutex<Dropped>>,
    state: String,
    confessed: Instant,
}

impl Mirror {
    /// `socket`: journald's; none where the daemon was not started by systemd.
    pub fn open(socket: Option<&Path>) -> Self {
        let dropped = Arc::new(Mutex::new(Dropped::default()));
        let off = |state: String| Self {
            queue: None,
            thread: None,
            ending: Arc::default(),
            dropped: dropped.clone(),
            state,
            confessed: Instant::now(),
        };
        let Some(path) = socket else { return off("off: not started by systemd".into()) };
        let bound = UnixDatagram::unbound()
            .and_then(|socket| socket.set_write_timeout(Some(PATIENCE)).map(|()| socket));
        let socket = match bound {
            Ok(socket) => socket,
            Err(error) => return off(format!("off: {error}")),
        };
        let (queue, jobs) = sync_channel::<Job>(QUEUE);
        let (path, counted) = (path.to_owned(), dropped.clone());
        let ending = Arc::<AtomicBool>::default();
        let ends = ending.clone();
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || {
            for job in jobs {
                let is_again = matches!(job, Job::Again(_));
                let mut given_up = false;
                let send = |copy: Copy| {
                    // By path each time: journald may be started anew.
                    if given_up || socket.send_to(&copy.datagram, &path).is_err() {
                        // So many that may not be new, and all that are left at the end, have no patience each.
                        given_up = is_again || ends.load(Ordering::Relaxed);
                        counted.lock().unwrap_or_else(PoisonError::into_inner).add(copy.seq, copy.kind);
                    }
                };
                match job {
                    Job::Copies(copies) => copies.into_iter().for_each(send),
                    Job::Again(backlog) => backlog.each(send),
                }
            }
        });
        match thread {
            Ok(thread) => Self {
                queue: Some(queue),
                thread: Some(thread),
                ending,
                state: "journald".into(),
                ..off(String::new())
            },
            Err(error) => off(format!("off: {error}")),
        }
    }

    pub fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    pub fn state(&self) -> String {
        self.state.clone()
    }

    pub fn dropped(&self) -> u64 {
        self.held().ever
    }

    /// Hands the copies over, or drops them where too many wait.
    pub fn send(&self, copies: Vec<Copy>) {
        let Some(queue) = self.queue.as_ref().filter(|_| !copies.is_empty()) else { return };
        let refused = queue.try_send(Job::Copies(copies));
        if let Err(
            TrySendError::Full(Job::Copies(copies)) | TrySendError::Disconnected(Job::Copies(copies)),
        ) = refused
        {
            let mut dropped = self.held();
            copies.iter().for_each(|copy| dropped.add(copy.seq, copy.kind));
        }
    }

    /// Hands over once more what the journal may not have kept of a run before. To be called before the first
    /// [`Mirror::send`]: there is room then.
    pub fn send_again(&self, backlog: Backlog) {
        if let Some(queue) = &self.queue {
            let _ = queue.try_send(Job::Again(backlog));
        }
    }

    /// What a receipt has to say now: how many were dropped, the first and the last. One that was closed says it at once.
    pub fn to_confess(&mut self) -> Option<(u64, Seq, Seq)> {
        if self.thread.is_some() && self.confessed.elapsed() < CONFESS {
            return None;
        }
        let unsaid = self.held().unsaid.take()?;
        self.confessed = Instant::now();
        tracing::warn!(
            "the journal did not take {} receipts ({} to {}); the ledger has them",
            unsaid.0,
            unsaid.1,
            unsaid.2
        );
        Some(unsaid)
    }

    /// Waits until the journal has what was handed over, or refused it. One that takes nothing is waited for once for each
    /// batch.
    pub fn close(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        self.queue = None;
        self.thread.take().map(JoinHandle::join);
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Dropped> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
