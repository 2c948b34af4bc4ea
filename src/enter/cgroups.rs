//! A container's own cgroup directories: where leaves are made, and what of them is cleared away when the container is
//! gone.
//!
//! They are reached through descriptors that the monitor handed over: no path is walked, so nothing can be swapped
//! under them.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, mkdirat};
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, fstatfs};

use super::error::EnterError;
use super::home::{Family, Home};
use super::leaf::{Leaf, open_in, says, write_in};
use super::sys;
use crate::process::start_time;

/// Leaves are named `.provost-<pid>-<start time>-<number>` after the process that made them, so that a later one can
/// tell which were left behind. The number is a random one: the container's root owns the directory that they stand in,
/// and could take the next name first.
const PREFIX: &str = ".provost-";
/// Names tried for a leaf.
const TRIES: usize = 4;

/// A container's own cgroup directories.
pub struct Cgroups {
    home: Option<Rc<Home>>,
    /// The unified one's `cgroup.events`.
    events: Option<File>,
    v1: Vec<OwnedFd>,
}

impl Cgroups {
    /// Tells the directories apart. `of` is the container that they are the home of.
    pub fn sort(vmid: u32, directories: Vec<OwnedFd>, of: Option<Family>) -> Result<Self, EnterError> {
        let mut cgroups = Self { home: None, events: None, v1: Vec::new() };
        for directory in directories {
            let kind =
                fstatfs(&directory).map_err(|errno| EnterError::Leaf { vmid, errno })?.filesystem_type();
            if kind == CGROUP2_SUPER_MAGIC {
                cgroups.events = open_in(directory.as_fd(), "cgroup.events", OFlag::O_RDONLY).ok();
                cgroups.home = Some(Rc::new(Home::new(directory, of.clone())));
            } else if kind == CGROUP_SUPER_MAGIC {
                cgroups.v1.push(directory);
            }
        }
        Ok(cgroups)
    }

    /// The container's directory in the unified hierarchy.
    pub fn unified(&self) -> Option<BorrowedFd<'_>> {
        self.home.as_ref().map(|home| home.as_fd())
    }

    /// As [`Cgroups::unified`], with what is known of the container.
    pub fn home(&self) -> Option<&Rc<Home>> {
        self.home.as_ref()
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

    /// Ends what processes of Provost that are gone have left: every process of a call that nobody waits for any more is
    /// killed; what a finished call left running on purpose stays. Returns the leaves that cannot be removed yet.
    pub fn sweep(&self, maker: &Maker) -> Vec<Leaf> {
        let Some(home) = &self.home else { return Vec::new() };
        let Ok(mut directory) =
            nix::dir::Dir::openat(home.as_fd(), ".", OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        else {
            return Vec::new();
        };
        let names: Vec<String> = directory
            .iter()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned))
            .filter(|name| name.starts_with(PREFIX) && !maker.is_of_a_living_process(name))
            .collect();
        let leaves = names.into_iter().filter_map(|name| Leaf::open(home, name).ok());
        // What the container's root made under such a name is its own affair.
        let ours = leaves.filter(Leaf::is_the_nodes).filter(|leaf| {
            if !leaf.was_left_running() {
                let _ = leaf.kill();
            }
            !leaf.is_gone_after_remove()
        });
        ours.map(|mut leaf| {
            leaf.make_ready();
            leaf
        })
        .collect()
    }
}

/// Names leaves after this process.
pub struct Maker {
    prefix: String,
}

impl Maker {
    pub fn for_this_process() -> Self {
        let pid = std::process::id();
        Self { prefix: format!("{PREFIX}{pid}-{}-", start_time(pid as i32).unwrap_or_default()) }
    }

    /// A new leaf in the container's cgroup; none where the container is in no unified hierarchy.
    pub fn make(&self, cgroups: &Cgroups) -> Result<Option<Leaf>, Errno> {
        let Some(home) = &cgroups.home else { return Ok(None) };
        let mut failed = Errno::EEXIST;
        for _ in 0..TRIES {
            let name = format!("{}{}", self.prefix, sys::random()?);
            match self.make_as(home, name) {
                Ok(leaf) => return Ok(Some(leaf)),
                // There already, gone already, or another one already: the container's root is quick.
                Err(errno @ (Errno::EEXIST | Errno::ENOENT | Errno::EPERM)) => failed = errno,
                Err(errno) => return Err(errno),
            }
        }
        Err(failed)
    }

    fn make_as(&self, home: &Rc<Home>, name: String) -> Result<Leaf, Errno> {
        mkdirat(home.as_fd(), name.as_str(), Mode::from_bits_truncate(0o755))?;
        let leaf = Leaf::open(home, name)?;
        // Whoever owns the directory around it may have put one of his own into its place.
        if leaf.is_the_nodes() { Ok(leaf) } else { Err(Errno::EPERM) }
    }

    fn is_of_a_living_process(&self, name: &str) -> bool {
        let mut parts = name[PREFIX.len()..].split('-');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (Some(pid), Some(start)) = (number(), number()) else { return false };
        name.starts_with(&self.prefix) || start_time(pid as i32) == Some(start)
    }
}
