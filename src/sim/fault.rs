//! Faults on demand: what a real cluster does to a client on a bad day.
//!
//! In process by [`Sim::fault`](super::Sim::fault); from outside by a line to the control socket, or by the header
//! `Provost-Sim-Fault` for one request. In words: `slow 500 /cluster/resources`.

use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

use thiserror::Error;

/// How long a huge answer is.
pub const HUGE: usize = 50 * 1024 * 1024;

#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The answer comes after this time.
    Slow(Duration),
    /// The answer never comes, and nothing is done.
    Hang,
    /// It is done, and the answer never comes.
    Mute,
    /// This status and reason in place of an answer.
    Status(u16, String),
    /// The cluster has lost its quorum: reads go on, whatever would write is refused.
    NoQuorum,
    /// A node is off: what is forwarded to it comes back as 595.
    NodeGone(String),
    /// The next task whose UPID holds the pattern fails half-way with these words.
    TaskFails(String),
    /// The next task whose UPID holds the pattern ends well, with this warning.
    TaskWarns(String),
    /// The guest carries this lock.
    Locked(u32, String),
    /// A new certificate, from the next connection on.
    Renewed,
    /// The connection is cut after half of the body.
    Cut,
    /// A page in place of JSON, with 200.
    Html,
    /// A body that is not UTF-8.
    InvalidUtf8,
    /// A body of 50 MB.
    Huge,
}

#[derive(Debug, Error)]
#[error(
    "no fault {0:?}; there are: slow MS, hang, mute, status CODE REASON, no-quorum, node-gone NAME, task-fails TEXT, \
     task-warns TEXT, locked VMID WORD, renewed, cut, html, invalid-utf8, huge"
)]
pub struct UnknownFault(String);

/// `slow 500`, `status 503 Service Unavailable`, `locked 104 backup`.
impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let unknown = || UnknownFault(text.to_owned());
        let (name, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        Ok(match name {
            "slow" => Self::Slow(Duration::from_millis(rest.parse().map_err(|_| unknown())?)),
            "hang" => Self::Hang,
            "mute" => Self::Mute,
            "status" => {
                let (code, reason) = rest.split_once(' ').unwrap_or((rest, "Service Unavailable"));
                Self::Status(code.parse().map_err(|_| unknown())?, reason.to_owned())
            }
            "no-quorum" => Self::NoQuorum,
            "node-gone" => Self::NodeGone(rest.to_owned()),
            "task-fails" => Self::TaskFails(rest.to_owned()),
            "task-warns" => Self::TaskWarns(rest.to_owned()),
            "locked" => {
                let (vmid, word) = rest.split_once(' ').ok_or_else(unknown)?;
                Self::Locked(vmid.parse().map_err(|_| unknown())?, word.to_owned())
            }
            "renewed" => Self::Renewed,
            "cut" => Self::Cut,
            "html" => Self::Html,
            "invalid-utf8" => Self::InvalidUtf8,
            "huge" => Self::Huge,
            _ => return Err(unknown()),
        })
    }
}

/// A fault, where it strikes, and how often yet.
#[derive(Debug, Clone)]
pub struct Trap {
    pub fault: Fault,
    /// Part of `METHOD /path`, or of a task's UPID; empty strikes everywhere.
    pub pattern: String,
    /// `None`: until it is cleared.
    pub times: Option<u32>,
}

/// Those that are set.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Trap>>);

impl Faults {
    pub fn set(&self, trap: Trap) {
        self.lock().push(trap);
    }

    /// Those that were set.
    pub fn clear(&self) -> Vec<Trap> {
        std::mem::take(&mut self.lock())
    }

    /// The first trap for `subject` that `wanted` takes, used once.
    pub fn take<T>(&self, subject: &str, wanted: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        let mut traps = self.lock();
        let (at, found) = traps.iter().enumerate().find_map(|(at, trap)| {
            let found = subject.contains(&trap.pattern).then(|| wanted(&trap.fault)).flatten();
            found.map(|found| (at, found))
        })?;
        if let Some(times) = &mut traps[at].times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                traps.remove(at);
            }
        }
        Some(found)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Trap>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
