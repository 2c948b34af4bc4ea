//! The directory of the unified hierarchy that a container lives in, and what becomes of it when the container stops.
//!
//! lxc removes a stopped container's directories itself, once. A leaf that stands in them in that moment keeps it from
//! that, and lxc starts no container beside what is left of its last run: so whoever made a leaf there clears away, as
//! lxc would have, what is left when the leaf has gone.
//!
//! Not before lxc has had its turn: a monitor that stops its container waits for an event of the container's cgroup, and
//! where that is removed under it, it asks for the event for ever, on a whole core, and `lxc-stop` waits with it (seen
//! with lxc 5.0). So nothing is removed while the monitor lives.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::sys;
use super::target::runs;

/// Directories that one call of [`Home::clear`] looks at, and how deep it goes: a container can make more than fits
/// into a moment. The next call goes on.
const MOST: usize = 512;
const DEEPEST: usize = 64;

pub struct Home {
    directory: OwnedFd,
    of: Option<Family>,
}

/// The container that a home is of.
#[derive(Clone)]
pub struct Family {
    pub init: Rc<OwnedFd>,
    /// Its monitor, which is the parent of its init.
    pub monitor: Rc<OwnedFd>,
    /// How many directories lxc made for it: `lxc/101/ns` are two, below `lxc`.
    pub made: usize,
}

/// What [`Home::clear`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleared {
    /// Nothing is left.
    Yes,
    /// The container runs, or its monitor does: lxc clears away itself.
    LeftToLxc,
    /// Something is in it still.
    No,
}

impl Home {
    pub fn new(directory: OwnedFd, of: Option<Family>) -> Self {
        Self { directory, of }
    }

    /// Whether the container's init has ended, and with it every process of its pid namespace.
    pub fn is_deserted(&self) -> bool {
        self.of.as_ref().is_some_and(|of| sys::has_ended(of.init.as_fd()))
    }

    /// As [`Home::is_deserted`], and true from the moment on in which the init begins to end.
    pub fn is_being_left(&self) -> bool {
        self.of.as_ref().is_some_and(|of| !runs(&of.init))
    }

    /// For people to read.
    pub fn path(&self) -> String {
        let path = std::fs::read_link(format!("/proc/self/fd/{}", self.directory.as_raw_fd()));
        path.map_or_else(|error| error.to_string(), |path| path.display().to_string())
    }

    /// Removes the directories that lxc made for the container, and those in them: of a deserted home alone, and none
    /// that holds a process.
    pub fn clear(&self) -> Cleared {
        let Some(of) = self.of.as_ref().filter(|_| self.is_deserted()) else { return Cleared::LeftToLxc };
        let Ok(mut top) = up(&self.directory, ".") else { return Cleared::Yes };
        for _ in 1..of.made {
            let Ok(above) = up(&top, "..") else { return Cleared::Yes };
            top = above;
        }
        let Some((parent, name)) = place(&top) else { return Cleared::Yes };
        if !sys::has_ended(of.monitor.as_fd()) {
            return Cleared::LeftToLxc;
        }
        match remove_tree(parent.as_fd(), &name, DEEPEST, &mut MOST.clone()) {
            Ok(()) => Cleared::Yes,
            Err(_) => Cleared::No,
        }
    }
}

impl AsFd for Home {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

fn up(from: &OwnedFd, path: &str) -> Result<OwnedFd, Errno> {
    openat(from, path, OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
}

/// The directory above this one, and this one's name there; none when it has been removed. One that lxc has made anew
/// under the name is another.
fn place(directory: &OwnedFd) -> Option<(OwnedFd, CString)> {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", directory.as_raw_fd())).ok()?;
    let name = CString::new(path.file_name()?.as_bytes()).ok()?;
    let parent = up(directory, "..").ok()?;
    let there = fstatat(&parent, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
    let this = fstat(directory).ok()?;
    ((there.st_dev, there.st_ino) == (this.st_dev, this.st_ino)).then_some((parent, name))
}

fn remove_tree(parent: BorrowedFd<'_>, name: &CString, depth: usize, left: &mut usize) -> Result<(), Errno> {
    match remove(parent, name) {
        Err(_) if depth > 0 && *left > 0 => *left -= 1,
        done => return done,
    }
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut directory = match Dir::openat(parent, name.as_c_str(), flags, Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(()),
        opened => opened?,
    };
    let inner: Vec<CString> = directory
        .iter()
        .flatten()
        .filter(|entry| entry.file_type() == Some(Type::Directory))
        .map(|entry| entry.file_name().to_owned())
        .filter(|name| !matches!(name.as_bytes(), b"." | b".."))
        .collect();
    for name in &inner {
        // What one keeps is seen below: the one above it cannot go.
        let _ = remove_tree(directory.as_fd(), name, depth - 1, left);
    }
    remove(parent, name)
}

fn remove(parent: BorrowedFd<'_>, name: &CString) -> Result<(), Errno> {
    match unlinkat(parent, name.as_c_str(), UnlinkatFlags::RemoveDir) {
        Err(Errno::ENOENT) => Ok(()),
        done => done,
    }
}
