//! The journal's copy: each receipt as one entry, with a `MESSAGE_ID` a kind.
//!
//! In: entries that are durable. Out: datagrams in journald's native protocol, from a thread of their own. A journal that
//! takes nothing delays nobody: what it did not take is counted and said in a later receipt.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::receipt::body::Body;
use super::receipt::{Decision, Entry, Kind, Seq};
use super::tree::{self, Hash};
use crate::text::{beginning, clean};

/// Where journald listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";

/// Batches that may wait for the journal.
const QUEUE: usize = 256;
/// How long the journal may keep one entry waiting.
const PATIENCE: Duration = Duration::from_millis(50);
/// How often receipts say what the journal did not take.
const CONFESS: Duration = Duration::from_secs(60);
/// Bytes of one field; the receipt itself has all.
const MOST_FIELD: usize = 2048;

/// One `MESSAGE_ID` a kind, as `journalctl --new-id128` gave them. They are fixed for ever: `systemd/provost.catalog`
/// explains each.
pub const fn message_id(kind: Kind) -> &'static str {
    match kind {
        Kind::Start => "404a74597a3e4f07b32156c0fbde7c89",
        Kind::Session => "83ad590c29a14864b75e6c0706c5a6a8",
        Kind::Read => "62ec6e0f7e3040e7b091940b9b074d92",
        Kind::Plan => "a0e53b39044841fdbdfcab18b839a29f",
        Kind::Approval => "d3142b0563424d68b9348118eb6ea455",
        Kind::Intent => "d3aeb89235a54871a51442dbcd7966f2",
        Kind::Outcome => "92ab11b12b944b1896167ccf8b68df77",
        Kind::Exec => "6db520642c4a4f1c83c0923b9ea4a4de",
        Kind::File => "983c97510b4e466fac8322d0b64c133f",
        Kind::Refusal => "768c16d9a38d42fea4f7157feb332a01",
        Kind::Halt => "a2073f9ff797484185d6696b29ce5ad2",
        Kind::Repair => "ff4056cda4864dd68b10ad26e5246b86",
    }
}

/// What the journal gets of a receipt.
#[derive(Debug)]
pub struct Copy {
    seq: Seq,
    kind: Kind,
    datagram: Vec<u8>,
}

impl Copy {
    pub fn of(entry: &Entry, seq: Seq, leaf: &Hash, origin: &str) -> Self {
        let kind = entry.body.kind();
        let priority = match (kind, entry.decision) {
            (Kind::Repair | Kind::Halt, _) | (_, Some(Decision::Refused)) => "4",
            (Kind::Read | Kind::Session, _) => "6",
            _ => "5",
        };
        let principal = entry.principal.as_ref().map(|who| who.name()).unwrap_or_else(|| "provost".into());
        let mut datagram = Vec::with_capacity(1024);
        let mut field = |name: &str, value: &str| put(&mut datagram, name, value);
        field("MESSAGE", &message(entry, seq, &principal));
        field("MESSAGE_ID", message_id(kind));
        field("PRIORITY", priority);
        field("SYSLOG_IDENTIFIER", "provost");
        field("PROVOST_LOG", origin);
        field("PROVOST_SEQ", &seq.to_string());
        field("PROVOST_KIND", kind.name());
        field("PROVOST_PRINCIPAL", &principal);
        field("PROVOST_HASH", &tree::hex(&leaf.0));
        if let Some(guest) = entry.guest {
            field("PROVOST_GUEST", &guest.to_string());
        }
        if let Some(endpoint) = &entry.endpoint {
            field("PROVOST_ENDPOINT", endpoint.as_str());
        }
        if let Some(decision) = entry.decision {
            field("PROVOST_DECISION", decision.name());
        }
        if let Some(plan) = &entry.plan {
            field("PROVOST_PLAN", plan.as_str());
        }
        if let Some(tool) = entry.tool {
            field("PROVOST_TOOL", tool);
        }
        if let Body::Repair(repair) = &entry.body
            && let (Some(count), Some(first), Some(last)) = (repair.count, repair.first, repair.last)
        {
            field("PROVOST_UNMIRRORED", &format!("{count} of {first}-{last}"));
        }
        Self { seq, kind, datagram }
    }
}

/// One line for a person.
fn message(entry: &Entry, seq: Seq, principal: &str) -> String {
    let mut text = format!("#{seq} {} {principal}", entry.body.kind().name());
    if let Some(decision) = entry.decision {
        text += &format!(" {}", decision.name());
    }
    if let Some(guest) = entry.guest {
        text += &format!(" guest {guest}");
    }
    if let Some(endpoint) = &entry.endpoint {
        text += &format!(" {}", endpoint.as_str());
    }
    if let Some(why) = &entry.why {
        text += &format!(": {}", why.as_str());
    }
    clean(text.as_bytes()).replace(['\n', '\t'], " ")
}

/// journald's native protocol: `NAME=VALUE\n`, or, for a value that could hold a line break, its length first.
fn put(datagram: &mut Vec<u8>, name: &str, value: &str) {
    let value = beginning(value, MOST_FIELD);
    datagram.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        datagram.push(b'\n');
        datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        datagram.push(b'=');
    }
    datagram.extend_from_slice(value.as_bytes());
    datagram.push(b'\n');
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
        let (count, first, _) = self.unsaid.unwrap_or((0, seq, seq));
        self.unsaid = Some((count + 1, first.min(seq), seq));
    }
}

pub struct Mirror {
    queue: Option<SyncSender<Vec<Copy>>>,
    thread: Option<JoinHandle<()>>,
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
        let (queue, batches) = sync_channel::<Vec<Copy>>(QUEUE);
        let (path, counted) = (path.to_owned(), dropped.clone());
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || {
            for copy in batches.into_iter().flatten() {
                // By path each time: journald may be started anew.
                if socket.send_to(&copy.datagram, &path).is_err() {
                    counted.lock().unwrap_or_else(PoisonError::into_inner).add(copy.seq, copy.kind);
                }
            }
        });
        match thread {
            Ok(thread) => Self {
                queue: Some(queue),
                thread: Some(thread),
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
        if let Err(TrySendError::Full(copies) | TrySendError::Disconnected(copies)) = queue.try_send(copies) {
            let mut dropped = self.held();
            copies.iter().for_each(|copy| dropped.add(copy.seq, copy.kind));
        }
    }

    /// What a receipt has to say now: how many were dropped, the first and the last.
    pub fn to_confess(&mut self) -> Option<(u64, Seq, Seq)> {
        if self.confessed.elapsed() < CONFESS {
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

    /// Waits until the journal has what was handed over, or refused it.
    pub fn close(&mut self) {
        self.queue = None;
        self.thread.take().map(JoinHandle::join);
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Dropped> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
