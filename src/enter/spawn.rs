//! A command's birth, and what `provost-execd` holds of it while it lives.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use nix::unistd::{Pid, pipe2};

use super::cgroups::Maker;
use super::child::{self, Command, Entry};
use super::error::EnterError;
use super::inspect::Lane;
use super::leaf::{Leaf, Usage};
use super::step::{Failure, Step};
use super::sys::{self, Forked};
use super::target::{self, Target};
use super::walk::{self, Session};

/// How a command's descendants can be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// Descendants that still ran when the command itself had ended.
    pub left_running: usize,
}

/// Starts `command` in the container. Returns once its process is born; whether the entry and the exec succeeded is
/// known when it ends, from [`Running::reap`].
pub fn spawn(
    target: &Target,
    command: &Command,
    stdio: [BorrowedFd<'_>; 3],
    lane: Option<&Lane>,
    maker: &mut Maker,
) -> Result<Running, EnterError> {
    let vmid = target.vmid;
    if target.has_ended() {
        return Err(EnterError::Gone { vmid });
    }
    if target.cgroups.is_frozen() {
        return Err(EnterError::Frozen { vmid });
    }
    let leaf = maker.make(&target.cgroups).unwrap_or_default();
    let failed = |errno| match errno {
        // The pid namespace takes no new process once its init ends, and has none to join.
        _ if !target.runs() => EnterError::Gone { vmid },
        errno => EnterError::Spawn { vmid, errno },
    };
    let init = Rc::clone(&target.init);
    let started = Instant::now();
    let in_leaf = leaf.map(|leaf| (birth(target, command, stdio, lane, Some(leaf.as_fd())), leaf));
    let born = match in_leaf {
        Some((Ok(born), leaf)) => Ok((born, Some(leaf))),
        Some((Err(errno), leaf)) if !means_no_leaf(errno) => {
            let _ = leaf.remove();
            Err(errno)
        }
        unusable => {
            if let Some((_, leaf)) = unusable {
                let _ = leaf.remove();
            }
            // Beside the container's init then. Never in this process's own cgroup: it is not under the container's
            // limits.
            birth(target, command, stdio, lane, target.cgroups.unified()).map(|born| (born, None))
        }
    };
    let ((pid, pidfd, status), mut leaf) = born.map_err(failed)?;
    if let Some(leaf) = &mut leaf {
        leaf.make_ready();
    }
    Ok(Running { vmid, pid, pidfd, status, leaf, init, started })
}

/// Whether a birth failed by its leaf: because the container's root made the cgroups around it threaded, or removed it.
fn means_no_leaf(errno: Errno) -> bool {
    matches!(errno, Errno::EOPNOTSUPP | Errno::EBUSY | Errno::EINVAL | Errno::ENODEV | Errno::ENOENT)
}

fn birth(
    target: &Target,
    command: &Command,
    stdio: [BorrowedFd<'_>; 3],
    lane: Option<&Lane>,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<(Pid, OwnedFd, OwnedFd), Errno> {
    let (status_read, status_write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    let entry = Entry { target, command, stdio, lane, status: status_write.as_fd() };
    let _back = BornIn::pid_namespace_of(target)?;
    match sys::fork_into(cgroup)? {
        Forked::Child => child::run(&entry),
        Forked::Parent { pid, pidfd } => Ok((pid, pidfd, status_read)),
    }
}

/// While it lives, children of this process are born in the container's pid namespace: so one fork is enough, where
/// entering first and forking again would take two.
struct BornIn {
    own: &'static File,
}

impl BornIn {
    fn pid_namespace_of(target: &Target) -> Result<Option<Self>, Errno> {
        if !target.namespaces.contains(CloneFlags::CLONE_NEWPID) {
            return Ok(None);
        }
        let own = own_pid_namespace()?;
        setns(&target.init, CloneFlags::CLONE_NEWPID)?;
        Ok(Some(Self { own }))
    }
}

/// Opened once: this process is in one for all its life.
fn own_pid_namespace() -> Result<&'static File, Errno> {
    static OWN: OnceLock<File> = OnceLock::new();
    if let Some(own) = OWN.get() {
        return Ok(own);
    }
    let own = File::open("/proc/self/ns/pid")
        .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
    Ok(OWN.get_or_init(|| own))
}

impl Drop for BornIn {
    fn drop(&mut self) {
        if let Err(errno) = setns(self.own, CloneFlags::CLONE_NEWPID) {
            // The next command would be born in the wrong container. Nothing is worth going on for.
            tracing::error!(%errno, "cannot return to the host's pid namespace; ending");
            sys::exit_now(70);
        }
    }
}

impl Running {
    /// Readable once the command has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    pub fn kill_by(&self) -> KillBy {
        if self.leaf.is_some() { KillBy::Cgroup } else { KillBy::PidNamespaceWalk }
    }

    /// Whether the container that it was started in still runs.
    pub fn container_runs(&self) -> bool {
        target::runs(&self.init)
    }

    /// Ends the command and every descendant of it.
    pub fn kill(&self) {
        let session = Session::of(self.pid);
        let walk = |patience| walk::kill_descendants(self.pid, session, patience);
        // The lines of parents break when the command ends: where no session tells, they are followed first.
        if session.is_none() {
            walk(Duration::from_secs(1));
        }
        // Most often this is all, and it is one write. What moved out of the cgroup is left to the walk, which starts
        // at a command that is still there or, as a zombie, still has its session.
        let held = self.leaf.as_ref().is_some_and(|leaf| leaf.kill().is_ok());
        if session.is_some() {
            // The others' commands wait meanwhile: longer only where nothing else holds these.
            walk(Duration::from_millis(if held { 300 } else { 1000 }));
        }
    }

    /// Takes the command's end, if it has come: how it ended, or the step of the entry that failed.
    /// `keep` says whether descendants that are still there may go on.
    pub fn reap(&mut self, keep: bool) -> Result<Option<Ended>, EnterError> {
        let vmid = self.vmid;
        let reaped = sys::reap(self.pid).map_err(|errno| EnterError::Spawn { vmid, errno })?;
        let Some(reaped) = reaped else { return Ok(None) };
        let duration = self.started.elapsed();
        let counted = self.leaf.as_ref().map(Leaf::usage).unwrap_or_default();
        let usage = Usage {
            cpu_us: counted.cpu_us.or(Some(reaped.cpu_us)),
            peak_bytes: counted.peak_bytes.or(Some(reaped.peak_bytes)),
        };
        let left_running = self.settle_leaf(keep);
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
            left_running,
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

    /// Ends what is still in the leaf, unless it may go on. Returns how many go on. The leaf itself is left for
    /// [`Running::into_leaf`]: its removal is nothing that a caller should wait for.
    fn settle_leaf(&self, keep: bool) -> usize {
        let Some(leaf) = self.leaf.as_ref().filter(|leaf| !leaf.is_empty()) else { return 0 };
        let left = leaf.population();
        if left > 0 && keep {
            leaf.mark_left_running();
            return left;
        }
        if left > 0 {
            leaf.kill_all(Duration::from_secs(1));
        }
        0
    }

    /// As [`Running::kill`], and leaves no cgroup behind.
    pub fn end(mut self) {
        self.kill();
        self.settle_leaf(false);
        if let Some(leaf) = self.leaf.take() {
            let _ = leaf.remove();
        }
    }

    /// The leaf, to be removed once nothing is in it any more.
    pub fn into_leaf(self) -> Option<Leaf> {
        self.leaf
    }
}
