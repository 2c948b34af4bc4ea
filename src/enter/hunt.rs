//! The end of everything that descends from a command, wherever it has gone.
//!
//! A hunt goes from one [`Scan`] to the next, which it shares with all others; between them the loop serves. All are
//! stopped before one is killed: a fork bomb would fill each place that becomes free.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::sys;
use super::walk::{Scan, Session, Why};

/// How long killed processes are waited for when none of them ends: by a v1 freezer or a device, some are kept from it.
const HELD_UP: Duration = Duration::from_millis(200);
/// How long it goes on at all.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// Ends them.
    Kill,
    /// Only counts them.
    Count,
}

pub struct Hunt {
    /// Not reaped while the hunt goes on: until then its pid means no other process.
    command: Pid,
    session: Option<Session>,
    aim: Aim,
    until: Instant,
    stopped: HashSet<i32>,
    /// How long the same processes have been there, though killed.
    held_up: (HashSet<i32>, Instant),
    /// Whether the scan that is under way began after the hunt did.
    joined: bool,
}

impl Hunt {
    /// Ends the command and whatever descends from it.
    pub fn kill(command: Pid, session: Option<Session>) -> Self {
        // So that it neither ends, which would break the lines of parents, nor forks. An ESRCH, here and below, means
        // that what was wanted is so already.
        let _ = kill(command, Signal::SIGSTOP);
        Self::new(command, session, Aim::Kill)
    }

    /// Finds what goes on when the command has ended.
    pub fn count(command: Pid, session: Session) -> Self {
        Self::new(command, Some(session), Aim::Count)
    }

    fn new(command: Pid, session: Option<Session>, aim: Aim) -> Self {
        let now = Instant::now();
        let held_up = (HashSet::new(), now);
        Self { command, session, aim, until: now + PATIENCE, stopped: HashSet::new(), held_up, joined: false }
    }

    /// A scan begins that this hunt is to see the end of.
    pub fn join(&mut self) {
        self.joined = true;
    }

    /// Takes in a scan. The number of those that go on when the hunt is over, none when it needs another.
    pub fn turn(&mut self, scan: &Scan) -> Option<usize> {
        if !self.joined {
            return None;
        }
        self.joined = false;
        let found = scan.descendants(self.command, self.session);
        if self.aim == Aim::Count {
            return Some(found.len());
        }
        let pids: HashSet<i32> = found.keys().copied().collect();
        if pids != self.held_up.0 {
            self.held_up = (pids, Instant::now());
        }
        let late = Instant::now() >= self.until || self.held_up.1.elapsed() > HELD_UP;
        let all_stopped = found.keys().all(|pid| self.stopped.contains(pid));
        let order = if late || all_stopped { Signal::SIGKILL } else { Signal::SIGSTOP };
        for (pid, why) in &found {
            signal(*pid, *why, order);
        }
        if found.is_empty() || late {
            let _ = kill(self.command, Signal::SIGKILL);
            return Some(found.len());
        }
        self.stopped.extend(found.into_keys());
        None
    }
}

fn signal(pid: i32, why: Why, order: Signal) {
    // The pid may mean another process by now, and not one of the container's.
    let Ok(pidfd) = sys::pidfd_open(Pid::from_raw(pid)) else { return };
    if why.holds_for(pid) {
        let _ = sys::pidfd_signal(pidfd.as_fd(), order as i32);
    }
}
