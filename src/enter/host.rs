//! A file of the node itself: a process at the file door that enters nothing but the node's own mounts.
//!
//! `provost-execd` has mounts of its own, read-only and with homes and /tmp hidden; the errand goes to where PID 1 is, and from
//! there no further than the listed root: by openat2, by Landlock, and by what it is allowed to be.

use std::convert::Infallible;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, FcntlArg, OFlag, OpenHow, ResolveFlag, fcntl, open, openat2};
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Pid, chdir, pipe2, setsid};

use super::door::{self, Door, Node};
use super::inspect::Lane;
use super::label;
use super::step::{At, Failure, Step};
use super::sys::{self, Forked};
use crate::config::Config;
use crate::door::Errand;

/// An errand, and what it is held to.
pub struct NodeErrand<'a> {
    pub errand: &'a Errand,
    pub lane: &'a Lane,
    pub config: &'a Config,
    /// One of the configuration's, that the errand's path lies under.
    pub root: &'a Path,
}

const STATUS: BorrowedFd<'static> = sys::borrowed::<3>();
const FIRST_FREE: i32 = 4;

/// The process, its pidfd, and the pipe on which it says which step failed.
pub fn spawn(errand: &NodeErrand<'_>, stdio: [BorrowedFd<'_>; 3]) -> Result<(Pid, OwnedFd, OwnedFd), Errno> {
    let (status, status_end) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    label::is_own_profile();
    match sys::fork_into(None)? {
        Forked::Parent { pid, pidfd } => Ok((pid, pidfd, status)),
        Forked::Child => {
            let Err(failure) = go(errand, stdio, &status_end);
            // Where it is by now, unless the way there is what failed.
            let _ = nix::unistd::write(STATUS, &failure.bytes());
            sys::exit_now(127)
        }
    }
}

fn go(errand: &NodeErrand<'_>, stdio: [BorrowedFd<'_>; 3], status: &OwnedFd) -> Result<Infallible, Failure> {
    prctl::set_dumpable(false).at(Step::Descriptors)?;
    // Which files of the node it may reach, the operator lists; the profile would know of none.
    label::leave_own_profile().at(Step::OwnProfile)?;
    arrange(stdio, status).at(Step::Descriptors)?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).at(Step::Session)?;
    umask(Mode::from_bits_truncate(0o022));
    setsid().at(Step::Session)?;
    let own = open("/proc/self/fd", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
    let own = own.at(Step::OwnList)?;
    let mounts = File::open("/proc/1/ns/mnt").at(Step::Namespaces)?;
    setns(&mounts, CloneFlags::CLONE_NEWNS).at(Step::Namespaces)?;
    drop(mounts);
    chdir("/").at(Step::Namespaces)?;
    let door = at_door(errand, own)?;
    door::run(&door, errand.errand)
}

fn at_door(errand: &NodeErrand<'_>, own: OwnedFd) -> Result<Door, Failure> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let root = openat2(AT_FDCWD, errand.root, how).at(Step::Root)?;
    let node = Node { config: errand.config.clone(), root: errand.root.to_owned() };
    door::confine_on_node(own, root, node, errand.errand.changes(), errand.lane)
}

/// The three pipes at 0 to 2 and the status behind them; all else is closed.
fn arrange(stdio: [BorrowedFd<'_>; 3], status: &OwnedFd) -> Result<(), Errno> {
    let [stdin, stdout, stderr] = stdio;
    let mut aside = [0; 4];
    for (from, aside) in [stdin, stdout, stderr, status.as_fd()].iter().zip(&mut aside) {
        *aside = fcntl(from, FcntlArg::F_DUPFD_CLOEXEC(FIRST_FREE))?;
    }
    for (to, from) in aside.iter().enumerate() {
        sys::dup_to(*from, to as i32, to > 2)?;
    }
    sys::close_from(FIRST_FREE)
}
