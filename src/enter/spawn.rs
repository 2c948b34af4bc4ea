//! A command's birth.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use nix::unistd::{Pid, pipe2};

use super::cgroups::Maker;
use super::child::{self, Entry, Work};
use super::error::EnterError;
use super::inspect::Lane;
use super::running::Running;
use super::sys::{self, Forked};
use super::target::Target;

/// Starts a command, or an errand at the file door, in the container. Returns once its process is born; whether the entry and the exec succeeded is
/// known when it ends, from [`Running::reap`].
pub fn spawn(
    target: &Target,
    work: Work<'_>,
    stdio: [BorrowedFd<'_>; 3],
    lane: Option<&Lane>,
    maker: &Maker,
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
    let in_leaf = leaf.map(|leaf| (birth(target, work, stdio, lane, Some(leaf.as_fd())), leaf));
    let born = match in_leaf {
        Some((Ok(born), leaf)) => Ok((born, Some(leaf))),
        Some((Err(errno), leaf)) if !means_no_leaf(errno) => {
            leaf.is_gone_after_remove();
            Err(errno)
        }
        unusable => {
            if let Some((_, leaf)) = unusable {
                leaf.is_gone_after_remove();
            }
            // Beside the container's init then. Never in this process's own cgroup: it is not under the container's
            // limits.
            birth(target, work, stdio, lane, target.cgroups.unified()).map(|born| (born, None))
        }
    };
    let (born, leaf) = born.map_err(failed)?;
    Ok(Running::new(vmid, born, leaf, init, started))
}

/// Whether a birth failed by its leaf: because the container's root made the cgroups around it threaded, or removed it.
fn means_no_leaf(errno: Errno) -> bool {
    matches!(errno, Errno::EOPNOTSUPP | Errno::EBUSY | Errno::EINVAL | Errno::ENODEV | Errno::ENOENT)
}

fn birth(
    target: &Target,
    work: Work<'_>,
    stdio: [BorrowedFd<'_>; 3],
    lane: Option<&Lane>,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<(Pid, OwnedFd, OwnedFd), Errno> {
    let (status_read, status_write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    let entry = Entry { target, work, stdio, lane, status: status_write.as_fd() };
    // Read once, and here: it allocates, and the child need not.
    super::label::is_own_profile();
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
