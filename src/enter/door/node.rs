//! What holds for files of the node itself, beside what holds for every file.
//!
//! A path goes on beneath the root that it was listed under, and what it led to is judged by the path that the kernel has for
//! it, so that no link, mount or second name of it says otherwise.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::readlinkat;
use nix::sys::stat::FileStat;

use super::Door;
use super::place::is_file;
use super::refuse::{Doing, OnPath, no};
use crate::config::{Config, host};
use crate::door::No;

pub struct Node {
    pub config: Config,
    /// As the operator listed it.
    pub root: PathBuf,
}

impl Node {
    /// The path from the root on. One that does not lie there by its words lies outside.
    pub fn beneath<'a>(&self, path: &'a [u8]) -> Result<&'a [u8], Errno> {
        let rest = Path::new(OsStr::from_bytes(path)).strip_prefix(&self.root).map_err(|_| Errno::EXDEV)?;
        let rest = rest.as_os_str().as_bytes();
        Ok(if rest.is_empty() { b"." } else { rest })
    }
}

impl Door {
    /// Refuses what is never given out, by where it really is.
    pub(super) fn may_reach(&self, seen: &impl AsFd, stat: &FileStat, path: &str) -> Result<(), No> {
        let Some(node) = &self.node else { return Ok(()) };
        if is_file(stat) && stat.st_nlink > 1 {
            let message =
                format!("{path:?} has other names too, and by one of them it may be what is never given out");
            return Err(no(
                "closed",
                message,
                "name a file that has one name (find -samefile tells the others)",
            ));
        }
        refuse_closed(node, &self.whereabouts(seen, path)?, path)
    }

    /// The same of a name that may have no file yet.
    pub(super) fn may_place(&self, directory: &impl AsFd, name: &OsStr, path: &str) -> Result<(), No> {
        let Some(node) = &self.node else { return Ok(()) };
        refuse_closed(node, &self.whereabouts(directory, path)?.join(name), path)
    }

    /// Where the kernel says that it is.
    fn whereabouts(&self, seen: &impl AsFd, path: &str) -> Result<PathBuf, No> {
        let own = seen.as_fd().as_raw_fd().to_string();
        readlinkat(&self.own, own.as_str()).map(PathBuf::from).on(path, Doing::Look)
    }
}

fn refuse_closed(node: &Node, place: &Path, path: &str) -> Result<(), No> {
    match host::closed(&node.config, place) {
        None => Ok(()),
        Some(why) => {
            let next = "whatever [exec] host_roots lists, nobody is given this through Provost";
            Err(no("closed", format!("{path:?} is closed: {why}"), next))
        }
    }
}
