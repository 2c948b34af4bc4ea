//! A command from its birth to its answer.
//!
//! Whichever comes first ends it: its own end, the deadline, or the caller hanging up, which is how a call is cancelled.
//! Nothing here waits: what takes time is a phase, and the loop comes back to it.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::gate::{of_entry, refusal};
use super::packet::{answer, has_hung_up, send};
use crate::enter::hunt::Hunt;
use crate::enter::leaf::Leaf;
use crate::enter::walk::Scan;
use crate::enter::{Ended, KillBy, Running};
use crate::exec::wire::{LaneReport, Mode, Outcome, PeakOf, Reply};

/// How long a killed command may take to end before its caller is told that it has not.
const PATIENCE_FOR_END: Duration = Duration::from_secs(5);
/// How long a change at the file door, whose caller is gone, may take to see that and clear away what it has begun.
pub const PATIENCE_FOR_CLEARING: Duration = Duration::from_secs(3);
/// How long the end of what a command left in its leaf is waited for: the kernel takes killed processes apart at once.
const PATIENCE_FOR_REST: Duration = Duration::from_secs(1);

pub struct Command {
    running: Running,
    mode: Mode,
    /// By its pipes: no force is needed at first.
    ends_itself: bool,
    lane: LaneReport,
    deadline: Instant,
    killed: Option<Why>,
    phase: Phase,
    /// The container went down under it.
    stopped: bool,
}

enum Phase {
    /// It runs, or was killed and is on its way out.
    Going,
    /// Its descendants are looked for; until that is over its end is not taken.
    Hunted(Hunt),
    /// They have been: so many go on. It is only left to take its end.
    Found(usize),
    /// It has ended, and what was in its leaf has been killed.
    Settling(Ended),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    TimedOut,
    HungUp,
    /// This process ends.
    Ending,
    /// Killed, told its caller that it would not end, and still has not.
    Stuck,
}

/// What the loop does with a command after its turn.
#[derive(Debug, PartialEq, Eq)]
pub enum After {
    Wait,
    /// Comes back when its leaf is empty.
    WatchLeaf,
    Done,
}

impl Command {
    pub fn new(running: Running, mode: Mode, ends_itself: bool, lane: LaneReport, deadline: Instant) -> Self {
        let (killed, phase, stopped) = (None, Phase::Going, false);
        Self { running, mode, ends_itself, lane, deadline, killed, phase, stopped }
    }

    pub fn deadline(&self) -> Option<Instant> {
        Some(self.deadline).filter(|_| self.killed != Some(Why::Stuck))
    }

    /// Readable once, when it has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.running.pidfd()
    }

    pub fn pid(&self) -> Pid {
        self.running.pid()
    }

    /// Reports when what is in its leaf has ended.
    pub fn leaf_events(&self) -> Option<BorrowedFd<'_>> {
        self.running.inhabited_leaf().and_then(Leaf::events)
    }

    /// The leaf that is to be cleared away, and whether the container is too.
    pub fn into_leaf(self) -> Option<(Leaf, bool)> {
        let stopped = self.stopped;
        self.running.into_leaf().map(|leaf| (leaf, stopped))
    }

    /// Its hunt, if there is one.
    pub fn hunt(&mut self) -> Option<&mut Hunt> {
        match &mut self.phase {
            Phase::Hunted(hunt) => Some(hunt),
            _ => None,
        }
    }

    /// Takes in a scan. True when the hunt is over by it, and the command is due for a turn.
    pub fn see(&mut self, scan: &Scan) -> bool {
        let found = self.hunt().and_then(|hunt| hunt.turn(scan));
        if let Some(found) = found {
            self.phase = Phase::Found(found);
        }
        found.is_some()
    }

    pub fn turn(&mut self, connection: &OwnedFd) -> After {
        match self.phase {
            Phase::Settling(_) => return self.settle(connection),
            Phase::Hunted(_) => {}
            // Without a leaf, what descends from it is found by its session, which it has for as long as nobody has
            // taken its end.
            Phase::Going
                if self.running.kill_by() == KillBy::PidNamespaceWalk && self.running.has_ended() =>
            {
                match self.running.count() {
                    Some(_) if !self.keeps() => self.phase = Phase::Hunted(self.running.kill()),
                    Some(count) => self.phase = Phase::Hunted(count),
                    None => return self.reap(connection, 0),
                }
            }
            Phase::Going | Phase::Found(_) => {
                let found = if let Phase::Found(found) = self.phase { found } else { 0 };
                let after = self.reap(connection, found);
                if after != After::Wait {
                    return after;
                }
            }
        }
        if self.killed.is_none() && has_hung_up(connection) {
            match std::mem::take(&mut self.ends_itself) {
                true => self.deadline = self.deadline.min(Instant::now() + PATIENCE_FOR_CLEARING),
                false => self.end(Why::HungUp),
            }
        }
        if self.deadline <= Instant::now() {
            match self.killed {
                None => self.end(Why::TimedOut),
                Some(Why::Stuck) => {}
                Some(_) => {
                    let message = "the command was killed and has not ended: it is frozen, traced, or waits on a device";
                    let next =
                        "thaw the container or see what it waits for (cat /proc/PID/stack on the node)";
                    answer(connection, refusal("stuck", message.into(), next.into()));
                    self.killed = Some(Why::Stuck);
                }
            }
        }
        After::Wait
    }

    /// Begins to end it and all that descends from it.
    pub fn end(&mut self, why: Why) {
        if self.killed.is_none() {
            self.killed = Some(why);
            self.deadline = Instant::now() + PATIENCE_FOR_END;
            if !matches!(self.phase, Phase::Settling(_)) {
                self.phase = Phase::Hunted(self.running.kill());
            }
        }
    }

    /// Whether what descends from it may go on. A finished command in the inspect lane leaves nothing behind; one that
    /// was ended by force neither.
    fn keeps(&self) -> bool {
        self.mode == Mode::Change && self.killed.is_none()
    }

    fn reap(&mut self, connection: &OwnedFd, found: usize) -> After {
        match self.running.reap() {
            Ok(None) => After::Wait,
            Ok(Some(ended)) => {
                // Asked only where it can be so: it takes a look into /proc.
                self.stopped =
                    signal_of(ended.status) == Some(libc::SIGKILL) && !self.running.container_runs();
                let left = match self.running.inhabited_leaf() {
                    Some(leaf) if self.keeps() => {
                        leaf.mark_left_running();
                        leaf.population()
                    }
                    Some(leaf) if leaf.kill().is_ok() => {
                        self.deadline = Instant::now() + PATIENCE_FOR_REST;
                        self.phase = Phase::Settling(ended);
                        return After::WatchLeaf;
                    }
                    _ => found,
                };
                self.tell(connection, &ended, left)
            }
            Err(error) => {
                self.stopped = true;
                tracing::warn!(kind = error.kind(), "a command was not run: {error}");
                send(connection, &Reply::Refused(of_entry(&error)));
                After::Done
            }
        }
    }

    fn settle(&mut self, connection: &OwnedFd) -> After {
        if self.running.inhabited_leaf().is_some() && Instant::now() < self.deadline {
            return After::Wait;
        }
        match std::mem::replace(&mut self.phase, Phase::Going) {
            Phase::Settling(ended) => self.tell(connection, &ended, 0),
            _ => After::Done,
        }
    }

    fn tell(&self, connection: &OwnedFd, ended: &Ended, left_running: usize) -> After {
        let status = ended.status;
        let outcome = Outcome {
            exit_code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
            signal: signal_of(status),
            timed_out: self.killed == Some(Why::TimedOut),
            container_stopped: self.killed.is_none() && self.stopped,
            duration_us: ended.duration.as_micros() as u64,
            cpu_us: ended.usage.cpu_us,
            peak_bytes: ended.usage.peak_bytes,
            peak_of: if ended.peak_is_of_process { PeakOf::Process } else { PeakOf::Cgroup },
            left_running,
            lane: self.lane.clone(),
        };
        // One that ends with this process has no answer: its caller sees the connection close.
        if self.killed != Some(Why::Ending) {
            send(connection, &Reply::Ended(outcome));
        }
        After::Done
    }
}

/// The signal that ended the command, if one did.
fn signal_of(status: i32) -> Option<i32> {
    libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status))
}
