//! A cgroup of its own for each command, inside the container's: so that a timeout or a cancelled call kills every
//! descendant, and so that what the command used can be told.
//!
//! The leaf stands beside lxc's own `.lxc`, belongs to the node's root, and is made and removed through descriptors
//! that the monitor handed over: no path is walked, so nothing can be swapped under it.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fstat, mkdirat};
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, fstatfs};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::error::EnterError;
use super::sys;
use crate::process::start_time;

/// Leaves are named `.provost-<pid>-<start time>-<number>` after the process that made them, so that a later one can
/// tell which were left behind.
const PREFIX: &str = ".provost-";

/// A container's own cgroup directories.
pub struct Cgroups {
    unified: Option<Rc<OwnedFd>>,
    /// The unified one's `cgroup.events`.
    events: Option<File>,
    v1: Vec<OwnedFd>,
}

impl Cgroups {
    pub fn sort(vmid: u32, directories: Vec<OwnedFd>) -> Result<Self, EnterError> {
        let mut cgroups = Self { unified: None, events: None, v1: Vec::new() };
        for directory in directories {
            let kind =
                fstatfs(&directory).map_err(|errno| EnterError::Leaf { vmid, errno })?.filesystem_type();
            if kind == CGROUP2_SUPER_MAGIC {
                cgroups.events = open_in(directory.as_fd(), "cgroup.events", OFlag::O_RDONLY).ok();
                cgroups.unified = Some(Rc::new(directory));
            } else if kind == CGROUP_SUPER_MAGIC {
                cgroups.v1.push(directory);
            }
        }
        Ok(cgroups)
    }

    /// The container's directory in the unified hierarchy.
    pub fn unified(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(AsFd::as_fd)
    }

    /// Whether the container, and so whatever starts in it, is frozen.
    pub fn is_frozen(&self) -> bool {
        self.events.as_ref().is_some_and(|events| says(events, b"frozen 1"))
    }

    /// Moves the calling process into the container's v1 hierarchies. Before any namespace is joined: inside the user
    /// namespace the permission is gone.
    pub fn join_v1(&self) -> Result<(), Errno> {
        for hierarchy in &self.v1 {
            // "0" is the writer itself, whatever its pid is called in which namespace.
            write_in(hierarchy.as_fd(), "cgroup.procs", "0")?;
        }
        Ok(())
    }

    /// Removes what processes of Provost that are gone have left: every process of a call that nobody waits for any
    /// more is killed; what a finished call left running on purpose stays. Returns the leaves cleared.
    pub fn sweep(&self, maker: &Maker) -> usize {
        let Some(unified) = &self.unified else { return 0 };
        let Ok(mut directory) =
            nix::dir::Dir::openat(unified, ".", OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        else {
            return 0;
        };
        let names: Vec<String> = directory
            .iter()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned))
            .filter(|name| name.starts_with(PREFIX) && !maker.is_of_a_living_process(name))
            .collect();
        let cleared = names.into_iter().filter_map(|name| Leaf::open(unified, name).ok()).filter(|leaf| {
            // What the container's root made under such a name is its own affair.
            if !leaf.is_the_nodes() {
                return false;
            }
            if !leaf.was_left_running() {
                leaf.kill_all(Duration::from_secs(1));
            }
            leaf.remove().is_ok()
        });
        cleared.count()
    }
}

/// Names leaves after this process.
pub struct Maker {
    prefix: String,
    made: u64,
}

impl Maker {
    pub fn for_this_process() -> Self {
        let pid = std::process::id();
        Self { prefix: format!("{PREFIX}{pid}-{}-", start_time(pid as i32).unwrap_or_default()), made: 0 }
    }

    /// A new leaf in the container's cgroup; none where the container is in no unified hierarchy.
    pub fn make(&mut self, cgroups: &Cgroups) -> Result<Option<Leaf>, Errno> {
        let Some(unified) = &cgroups.unified else { return Ok(None) };
        self.made += 1;
        let name = format!("{}{}", self.prefix, self.made);
        mkdirat(unified, name.as_str(), Mode::from_bits_truncate(0o755))?;
        Leaf::open(unified, name).map(Some)
    }

    fn is_of_a_living_process(&self, name: &str) -> bool {
        let mut parts = name[PREFIX.len()..].split('-');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (Some(pid), Some(start)) = (number(), number()) else { return false };
        name.starts_with(&self.prefix) || start_time(pid as i32) == Some(start)
    }
}

/// One command's cgroup.
pub struct Leaf {
    parent: Rc<OwnedFd>,
    name: String,
    directory: OwnedFd,
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
    fn open(parent: &Rc<OwnedFd>, name: String) -> Result<Self, Errno> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let directory = openat(parent, name.as_str(), flags, Mode::empty())?;
        Ok(Self { parent: Rc::clone(parent), name, directory, events: None, cpu: None })
    }

    /// Opens what is asked when the command has ended, while the command is still on its way.
    pub fn make_ready(&mut self) {
        self.events = open_in(self.directory.as_fd(), "cgroup.events", OFlag::O_RDONLY).ok();
        self.cpu = open_in(self.directory.as_fd(), "cpu.stat", OFlag::O_RDONLY).ok();
    }

    /// Whether the kernel says that no process is in it any more.
    pub fn is_empty(&self) -> bool {
        self.events.as_ref().is_some_and(|events| says(events, b"populated 0"))
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

    /// As [`Leaf::kill`], and waits until they are gone or `patience` is over.
    pub fn kill_all(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while self.kill().is_ok() && self.population() > 0 && Instant::now() < deadline {
            // The kernel needs a moment to take a killed process apart; cgroup.events tells when, by POLLPRI.
            self.wait_for_change(Duration::from_millis(20));
        }
    }

    /// A descriptor that reports POLLPRI when the cgroup becomes empty, or is no longer.
    pub fn events(&self) -> Result<OwnedFd, Errno> {
        openat(&self.directory, "cgroup.events", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
    }

    fn wait_for_change(&self, patience: Duration) {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        let Ok(events) = self.events() else { return };
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::ZERO);
        // A failed or interrupted wait only means that the caller looks again sooner.
        let _ = poll(&mut [PollFd::new(events.as_fd(), PollFlags::POLLPRI)], timeout);
    }

    /// Says, for a later [`Cgroups::sweep`], that what is still in it was left running on purpose. The mark is a
    /// `trusted.` attribute, which nothing inside a container can set.
    pub fn mark_left_running(&self) {
        // Without the mark a restart of provost-execd ends those processes: the safe way to be wrong.
        let _ = sys::set_trusted_mark(self.directory.as_fd());
    }

    fn is_the_nodes(&self) -> bool {
        fstat(&self.directory).is_ok_and(|stat| stat.st_uid == 0)
    }

    fn was_left_running(&self) -> bool {
        sys::has_trusted_mark(self.directory.as_fd())
    }

    /// Removes it; [`Errno::EBUSY`] while a process is in it.
    pub fn remove(&self) -> Result<(), Errno> {
        unlinkat(&self.parent, self.name.as_str(), UnlinkatFlags::RemoveDir)
    }

    /// Removes it if it is empty; false while it is not.
    pub fn is_gone_after_remove(&self) -> bool {
        self.remove() != Err(Errno::EBUSY)
    }
}

impl AsFd for Leaf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

fn open_in(directory: BorrowedFd<'_>, name: &str, how: OFlag) -> Result<File, Errno> {
    openat(directory, name, how | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW, Mode::empty()).map(File::from)
}

fn read_in(directory: BorrowedFd<'_>, name: &str) -> std::io::Result<String> {
    sys::read_small(open_in(directory, name, OFlag::O_RDONLY)?, 1 << 20)
}

/// Whether `cgroup.events` has this line now.
fn says(events: &File, line: &[u8]) -> bool {
    let mut text = [0; 256];
    events
        .read_at(&mut text, 0)
        .is_ok_and(|length| text[..length].split(|byte| *byte == b'\n').any(|one| one == line))
}

fn write_in(directory: BorrowedFd<'_>, name: &str, text: &str) -> Result<(), Errno> {
    open_in(directory, name, OFlag::O_WRONLY)?
        .write_all(text.as_bytes())
        .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
}
