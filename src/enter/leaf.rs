//! A cgroup of its own for each command, inside the container's: so that a timeout or a cancelled call kills every
//! descendant, and so that what the command used can be told.
//!
//! The leaf stands beside lxc's own `.lxc`, belongs to the node's root, and is made and removed through the descriptor
//! of the directory that it stands in: no path is walked, so nothing can be swapped under it.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::home::Home;
use super::sys;

/// One command's cgroup.
pub struct Leaf {
    home: Rc<Home>,
    name: String,
    directory: OwnedFd,
    is_removed: bool,
    events: Option<File>,
    cpu: Option<File>,
}

/// What a command's cgroup used; what no controller of the host counts is absent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    pub cpu_us: Option<u64>,
    pub peak_bytes: Option<u64>,
}

impl Leaf {
    pub(super) fn open(home: &Rc<Home>, name: String) -> Result<Self, Errno> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let directory = openat(home.as_fd(), name.as_str(), flags, Mode::empty())?;
        Ok(Self { home: Rc::clone(home), name, directory, is_removed: false, events: None, cpu: None })
    }

    /// Opens what is asked when the command has ended, while the command is still on its way.
    pub fn make_ready(&mut self) {
        self.events = open_in(self.directory.as_fd(), "cgroup.events", OFlag::O_RDONLY).ok();
        self.cpu = open_in(self.directory.as_fd(), "cpu.stat", OFlag::O_RDONLY).ok();
    }

    /// Closes what is not needed to wait for its end.
    pub fn only_watch(&mut self) {
        self.cpu = None;
    }

    /// Whether the kernel says that no process is in it any more, or that it is not there any more.
    pub fn is_empty(&self) -> bool {
        self.is_removed
            || self.events.as_ref().is_some_and(|events| says(events, b"populated 0") || is_gone(events))
    }

    pub fn usage(&self) -> Usage {
        let cpu_us = self.cpu.as_ref().and_then(|cpu| {
            let mut stat = [0; 512];
            let length = cpu.read_at(&mut stat, 0).ok()?;
            let stat = std::str::from_utf8(&stat[..length]).ok()?;
            stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?.parse().ok()
        });
        let peak_bytes =
            read_in(self.directory.as_fd(), "memory.peak").ok().and_then(|peak| peak.trim().parse().ok());
        Usage { cpu_us, peak_bytes }
    }

    /// Processes that are still in it.
    pub fn population(&self) -> usize {
        read_in(self.directory.as_fd(), "cgroup.procs").map_or(0, |pids| pids.lines().count())
    }

    /// Kills every process in it, those that fork meanwhile and those that are frozen included.
    pub fn kill(&self) -> Result<(), Errno> {
        write_in(self.directory.as_fd(), "cgroup.kill", "1")
    }

    /// A descriptor that reports POLLPRI when the cgroup has become empty, or is no longer, since [`Leaf::is_empty`] was
    /// asked. It goes on to report that until it is asked again.
    pub fn events(&self) -> Option<BorrowedFd<'_>> {
        self.events.as_ref().map(AsFd::as_fd)
    }

    /// Says, for a later [`Cgroups::sweep`], that what is still in it was left running on purpose. The mark is a
    /// `trusted.` attribute, which nothing inside a container can set.
    pub fn mark_left_running(&self) {
        // Without the mark a restart of provost-execd ends those processes: the safe way to be wrong.
        let _ = sys::set_trusted_mark(self.directory.as_fd());
    }

    pub(super) fn is_the_nodes(&self) -> bool {
        fstat(&self.directory).is_ok_and(|stat| stat.st_uid == 0)
    }

    pub(super) fn was_left_running(&self) -> bool {
        sys::has_trusted_mark(self.directory.as_fd())
    }

    /// Removes it if nothing is in it, before the end of its command is taken: until then the container's init cannot end
    /// either, and lxc not be at work here.
    pub(super) fn remove_before_reaping(&mut self) {
        if !self.is_removed && self.is_empty() {
            self.is_removed = self.remove().is_ok();
        }
    }

    fn remove(&self) -> Result<(), Errno> {
        unlinkat(self.home.as_fd(), self.name.as_str(), UnlinkatFlags::RemoveDir)
    }

    /// The directory that it stands in.
    pub fn home(&self) -> &Rc<Home> {
        &self.home
    }

    /// Removes it if it is empty; false while it is not. In a container that is on its way out it is left to lxc, which
    /// gives up on all of them when one goes away while it looks at it; what lxc leaves is cleared when lxc has ended.
    pub fn is_gone_after_remove(&self) -> bool {
        self.is_removed || self.home.is_being_left() || self.remove() != Err(Errno::EBUSY)
    }
}

impl AsFd for Leaf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

pub(super) fn open_in(directory: BorrowedFd<'_>, name: &str, how: OFlag) -> Result<File, Errno> {
    openat(directory, name, how | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW, Mode::empty()).map(File::from)
}

fn read_in(directory: BorrowedFd<'_>, name: &str) -> std::io::Result<String> {
    sys::read_small(open_in(directory, name, OFlag::O_RDONLY)?, 1 << 20)
}

/// Whether `cgroup.events` has this line now.
pub(super) fn says(events: &File, line: &[u8]) -> bool {
    let mut text = [0; 256];
    events
        .read_at(&mut text, 0)
        .is_ok_and(|length| text[..length].split(|byte| *byte == b'\n').any(|one| one == line))
}

/// Whether the file's cgroup has been removed.
fn is_gone(file: &File) -> bool {
    file.read_at(&mut [0], 0).is_err_and(|error| error.raw_os_error() == Some(libc::ENODEV))
}

pub(super) fn write_in(directory: BorrowedFd<'_>, name: &str, text: &str) -> Result<(), Errno> {
    open_in(directory, name, OFlag::O_WRONLY)?
        .write_all(text.as_bytes())
        .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
}
