//! The file door: a process in a container, in place of a command, that reads or writes one file of it and ends.
//!
//! In: an [`Errand`], three pipes, and one descriptor of the node's: its own `/proc/self/fd`. Out: what [`crate::door`]
//! says. It must never run or load anything of the container's, never open what is no plain file or directory, and never
//! reach beyond the container's root.
//!
//! What it stands on, each by itself enough: it is in the container's namespaces, as its root and no more, so what it sees
//! is what a command there would see; every path is resolved by the kernel within the root ([`place`]); what a path led to
//! is looked at before it is opened, and opened by what was looked at, not by its path once more; a Landlock domain ends at
//! the root, a filter lets only the calls through that this takes, and of the capabilities only those that files take
//! ([`confine`]).
//!
//! A change is whole or not there: [`put`]. Whoever started this may die at any moment: then a pipe ends, and so does this,
//! after it has cleared away what it had begun.

mod calls;
mod confine;
mod get;
mod names;
mod node;
mod place;
mod put;
mod refuse;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstat};

use crate::door::{Errand, Found, No, Said};
pub(super) use confine::{confine, confine_on_node};
pub(super) use node::Node;
use refuse::{Doing, OnPath};

use super::sys;

/// Bytes that are copied at once.
const CHUNK: usize = 128 * 1024;

/// What the process holds once it is in the container and confined. Only [`confine`] makes one.
pub(super) struct Door {
    /// The container's.
    root: OwnedFd,
    /// The node's `/proc/self/fd`, by which this process opens what it has found. The container's own /proc may be anything.
    own: OwnedFd,
    /// Of an errand on the node itself: then `root` is one of those that the operator listed.
    node: Option<Node>,
}

/// Why an errand ends without being done.
enum End {
    /// And its caller is told.
    No(No),
    /// There is nobody to tell.
    GivenUp,
}

impl From<No> for End {
    fn from(no: No) -> Self {
        Self::No(no)
    }
}

/// Goes on the errand and ends the process.
pub(super) fn run(door: &Door, errand: &Errand) -> ! {
    let done = match errand {
        Errand::Get(get) => get::get(door, get),
        Errand::Put(put) => put::put(door, put),
        Errand::Remove(remove) => put::remove(door, remove),
    };
    match done {
        Ok(()) => sys::exit_now(0),
        Err(End::GivenUp) => sys::exit_now(3),
        Err(End::No(no)) => {
            let _ = say(&Said::Refused(no));
            sys::exit_now(2)
        }
    }
}

const STDIN: BorrowedFd<'static> = sys::borrowed::<0>();
const STDOUT: BorrowedFd<'static> = sys::borrowed::<1>();
const STDERR: BorrowedFd<'static> = sys::borrowed::<2>();

fn say(said: &Said) -> Result<(), End> {
    let mut line = serde_json::to_vec(said).map_err(|_| End::GivenUp)?;
    line.push(b'\n');
    write_all(STDERR, &line)
}

fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), End> {
    while !bytes.is_empty() {
        match nix::unistd::write(to, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EINTR) => {}
            Err(_) => return Err(End::GivenUp),
        }
    }
    Ok(())
}

/// As much as there is; less than the buffer holds only at the end.
fn read_full(mut from: impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

impl Door {
    /// Opens what a descriptor stands for, and nothing else, as its path may lead elsewhere by now. It must have been seen
    /// to be a plain file or a directory.
    fn reopen(&self, seen: &OwnedFd, flags: OFlag) -> Result<OwnedFd, Errno> {
        use std::os::fd::AsRawFd;
        // O_NONBLOCK: somebody may hold a lease on it, and is not waited for.
        let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        openat(&self.own, seen.as_raw_fd().to_string().as_str(), flags, Mode::empty())
    }

    /// A file that is to be read, with what it is.
    fn open_file(&self, seen: &OwnedFd, path: &str) -> Result<(File, FileStat), No> {
        let file = self.reopen(seen, OFlag::O_RDONLY).on(path, Doing::Open)?;
        let stat = fstat(&file).on(path, Doing::Look)?;
        self.may_reach(&file, &stat, path)?;
        Ok((File::from(file), stat))
    }
}

/// As it is told. `names` are the container's own.
fn found(stat: &FileStat, names: &names::Names) -> Found {
    Found {
        is_directory: place::is_directory(stat),
        size: stat.st_size as u64,
        uncounted: false,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        user: names.user(stat.st_uid),
        group: names.group(stat.st_gid),
        mtime: stat.st_mtime,
        links: stat.st_nlink,
        from: 0,
        follows: 0,
    }
}

/// Copies the whole of what `from` gives to `to`, by way of `seen`.
fn pump(
    mut from: impl Read,
    mut to: Option<&mut File>,
    mut seen: impl FnMut(&[u8]) -> Result<(), End>,
    most: u64,
) -> Result<Pumped, End> {
    let mut buffer = vec![0; CHUNK];
    let mut total = 0;
    while total < most {
        let want = CHUNK.min((most - total).try_into().unwrap_or(CHUNK));
        let read = match read_full(&mut from, &mut buffer[..want]) {
            Ok(read) => read,
            Err(error) => return Ok(Pumped::Unreadable(errno(&error))),
        };
        if read == 0 {
            break;
        }
        seen(&buffer[..read])?;
        if let Some(Err(error)) = to.as_mut().map(|to| to.write_all(&buffer[..read])) {
            return Ok(Pumped::Unwritable(errno(&error)));
        }
        total += read as u64;
    }
    Ok(Pumped::All(total))
}

enum Pumped {
    All(u64),
    Unreadable(Errno),
    Unwritable(Errno),
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}
