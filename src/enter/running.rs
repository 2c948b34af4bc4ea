//! What `provost-execd` holds of a command while it lives, and what it learns of its end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::error::EnterError;
use super::hunt::Hunt;
use super::leaf::{Leaf, Usage};
use super::step::{Failure, Step};
use super::sys;
use super::target;
use super::walk::Session;

/// How a command's descendants can be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillBy {
    /// The kernel kills the whole cgroup at once.
    Cgroup,
    /// No cgroup leaf could be made: the descendants are searched in the pid namespace.
    PidNamespaceWalk,
}

/// A command under way.
pub struct Running {
    vmid: u32,
    pid: Pid,
    pidfd: OwnedFd,
    status: OwnedFd,
    leaf: Option<Leaf>,
    init: Rc<OwnedFd>,
    started: Instant,
}

/// A command that ended.
#[derive(Debug)]
pub struct Ended {
    /// As wait(2) reports it.
    pub status: i32,
    pub duration: Duration,
    pub usage: Usage,
    /// Of the command and the children it waited for, where no cgroup counted.
    pub peak_is_of_process: bool,
}

impl Running {
    /// `born` is the process: its pid, its pidfd, and the pipe by which it says why it did not become the command.
    pub(super) fn new(
        vmid: u32,
        born: (Pid, OwnedFd, OwnedFd),
        mut leaf: Option<Leaf>,
        init: Rc<OwnedFd>,
        started: Instant,
    ) -> Self {
        if let Some(leaf) = &mut leaf {
            leaf.make_ready();
        }
        let (pid, pidfd, status) = born;
        Self { vmid, pid, pidfd, status, leaf, init, started }
    }

    /// Readable once the command has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    pub fn has_ended(&self) -> bool {
        sys::has_ended(self.pidfd())
    }

    pub fn kill_by(&self) -> KillBy {
        if self.leaf.is_some() { KillBy::Cgroup } else { KillBy::PidNamespaceWalk }
    }

    /// Whether the container that it was started in still runs.
    pub fn container_runs(&self) -> bool {
        target::runs(&self.init)
    }

    /// Begins to end the command and every descendant of it. Not to be reaped before the hunt is over.
    pub fn kill(&self) -> Hunt {
        let session = Session::of(self.pid);
        // Most often this is all, and it is one write. What moved out of the cgroup is left to the hunt. Where no session
        // tells, the lines of parents do, and those break when the command ends: there it ends with the hunt.
        if session.is_some()
            && let Some(leaf) = &self.leaf
        {
            let _ = leaf.kill();
        }
        Hunt::kill(self.pid, session)
    }

    /// Looks for what goes on of a command that has ended, where no leaf tells. None where nothing does.
    pub fn count(&self) -> Option<Hunt> {
        Some(Hunt::count(self.pid, Session::of(self.pid)?))
    }

    /// Takes the command's end, if it has come: how it ended, or the step of the entry that failed.
    pub fn reap(&mut self) -> Result<Option<Ended>, EnterError> {
        let vmid = self.vmid;
        if !self.has_ended() {
            return Ok(None);
        }
        let counted = self.leaf.as_ref().map(Leaf::usage).unwrap_or_default();
        if let Some(leaf) = &mut self.leaf {
            leaf.remove_before_reaping();
        }
        let reaped = sys::reap(self.pid).map_err(|errno| EnterError::Spawn { vmid, errno })?;
        let Some(reaped) = reaped else { return Ok(None) };
        let duration = self.started.elapsed();
        let usage = Usage {
            cpu_us: counted.cpu_us.or(Some(reaped.cpu_us)),
            peak_bytes: counted.peak_bytes.or(Some(reaped.peak_bytes)),
        };
        if let Some(Failure { step, errno }) = self.failure() {
            let gone = step == Step::Namespaces && !self.container_runs();
            return Err(if gone {
                EnterError::Gone { vmid }
            } else {
                EnterError::Step { vmid, step, errno }
            });
        }
        Ok(Some(Ended {
            status: reaped.status,
            duration,
            usage,
            peak_is_of_process: counted.peak_bytes.is_none(),
        }))
    }

    /// What the entry reported, if it failed; an exec that succeeded has closed the pipe without a word.
    fn failure(&self) -> Option<Failure> {
        let mut bytes = [0; Failure::SIZE];
        match nix::unistd::read(&self.status, &mut bytes) {
            Ok(Failure::SIZE) => Failure::from_bytes(bytes),
            _ => None,
        }
    }

    /// The leaf while something is in it.
    pub fn inhabited_leaf(&self) -> Option<&Leaf> {
        self.leaf.as_ref().filter(|leaf| !leaf.is_empty())
    }

    /// The leaf, to be removed once nothing is in it any more.
    pub fn into_leaf(self) -> Option<Leaf> {
        self.leaf
    }
}
