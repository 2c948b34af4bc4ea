//! Why the door did not do what it was asked for, as its caller reads it.

use nix::errno::Errno;

use crate::door::No;

/// What was tried when the kernel said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    Find,
    Look,
    Open,
    Read,
    List,
    Make,
    Write,
    Owner,
    Replace,
    Remove,
}

impl Doing {
    fn words(self) -> &'static str {
        match self {
            Self::Find => "find",
            Self::Look => "look at",
            Self::Open => "open",
            Self::Read => "read",
            Self::List => "list",
            Self::Make => "make a file beside",
            Self::Write => "write",
            Self::Owner => "set owner or mode of",
            Self::Replace => "put into place",
            Self::Remove => "remove",
        }
    }
}

pub trait OnPath<T> {
    /// Names the path and what was being done with it.
    fn on(self, path: &str, doing: Doing) -> Result<T, No>;
}

impl<T> OnPath<T> for Result<T, Errno> {
    fn on(self, path: &str, doing: Doing) -> Result<T, No> {
        self.map_err(|errno| by_kernel(path, doing, errno))
    }
}

pub fn by_kernel(path: &str, doing: Doing, errno: Errno) -> No {
    let (kind, next) = match errno {
        Errno::ENOENT => ("not_found", "see what is there: file_get of the directory above"),
        Errno::ENOTDIR => (
            "not_a_directory",
            "a part of the path is a file: see what is there, file_get of the directory above",
        ),
        Errno::ELOOP => (
            "symlinks",
            "the path runs in a circle, or through /proc where that leads out of the file tree: name the file by another path",
        ),
        Errno::ENAMETOOLONG => ("name_too_long", "names have at most 255 bytes"),
        Errno::EACCES | Errno::EPERM => (
            "permission",
            "root itself may not, there: the file may be immutable (lsattr), or belong to a user whom the container does not map; /etc/pve takes no change without a quorum, and no mode or owner but its own",
        ),
        Errno::EROFS => ("read_only", "the file system is mounted read-only there"),
        Errno::ENOSPC | Errno::EDQUOT => {
            ("full", "make room there (df, df -i), then call again: nothing was changed")
        }
        Errno::EFBIG => (
            "too_large",
            "the container's limits take no file of that size; /etc/pve takes 1 MiB, or half of that before PVE 8",
        ),
        Errno::EBUSY => ("busy", "something is mounted on it; write to what is mounted there by exec"),
        Errno::EEXIST => ("exists", "overwrite \"if_hash\" or \"always\" replaces it"),
        Errno::EAGAIN => {
            ("busy", "it is being moved, or leased to somebody who does not give it back: call again")
        }
        Errno::ESTALE => ("gone", "it went meanwhile: call again"),
        Errno::EXDEV => ("outside", "it lies beyond the root: a link or \"..\" leads out of it"),
        _ => ("file", "see dmesg on the node if the file system is damaged"),
    };
    no(kind, format!("cannot {} {path:?}: {errno}", doing.words()), next)
}

pub fn no(kind: &str, message: String, next: &str) -> No {
    No { kind: kind.into(), message, next: next.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_as_full_as_a_disk_and_says_that_nothing_was_changed() {
        for errno in [Errno::ENOSPC, Errno::EDQUOT] {
            for doing in [Doing::Make, Doing::Write, Doing::Replace] {
                let no = by_kernel("/srv/t", doing, errno);
                assert_eq!(no.kind, "full", "{}", no.message);
                assert!(
                    no.message.contains("/srv/t") && no.next.contains("nothing was changed"),
                    "{}",
                    no.message
                );
            }
        }
    }
}
