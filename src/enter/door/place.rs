//! Where a path leads, within the container's root and nowhere else.
//!
//! The kernel resolves it (`openat2`, RESOLVE_IN_ROOT and RESOLVE_NO_MAGICLINKS): a symbolic link, an absolute one or `..`
//! too, ends within the root however the tree is changed meanwhile. What comes of it is a handle (O_PATH) that wakes nothing:
//! it is looked at, and what is no plain file or directory of a real file system is not opened.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2, readlinkat};
use nix::sys::stat::{FileStat, SFlag, fstat, fstatat};
use nix::sys::statfs::{self, FsType, fstatfs};

use super::Door;
use super::refuse::{Doing, OnPath, no};
use crate::door::No;

/// As many links as the kernel follows in one path.
const MOST_LINKS: usize = 40;
/// How long a path is resolved anew. With `..` in it the kernel gives up whenever anything is moved or mounted on the whole
/// node meanwhile, so one that moves files all the time makes everybody try again.
const PATIENCE: Duration = Duration::from_secs(5);

/// File systems whose files are no files: windows into the kernel, and to other processes.
const NO_FILES: &[FsType] = &[
    statfs::PROC_SUPER_MAGIC,
    statfs::SYSFS_MAGIC,
    statfs::CGROUP_SUPER_MAGIC,
    statfs::CGROUP2_SUPER_MAGIC,
    statfs::DEBUGFS_MAGIC,
    statfs::TRACEFS_MAGIC,
    statfs::SECURITYFS_MAGIC,
    statfs::SELINUX_MAGIC,
    statfs::SMACK_MAGIC,
    statfs::BPF_FS_MAGIC,
    statfs::DEVPTS_SUPER_MAGIC,
    statfs::NSFS_MAGIC,
    statfs::RDTGROUP_SUPER_MAGIC,
    // configfs, pstore, efivarfs, mqueue, binfmt_misc, pidfd, fusectl, pipes, sockets, anonymous inodes.
    FsType(0x6265_6570),
    FsType(0x6165_676c),
    FsType(0xde5e_81e4),
    FsType(0x1980_0202),
    FsType(0x4249_4e4d),
    FsType(0x5049_4446),
    FsType(0x6573_5543),
    FsType(0x5049_5045),
    FsType(0x534f_434b),
    FsType(0x0904_1934),
];

pub fn is_file(stat: &FileStat) -> bool {
    stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits()
}

pub fn is_directory(stat: &FileStat) -> bool {
    stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits()
}

fn is_link(stat: &FileStat) -> bool {
    stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFLNK.bits()
}

pub fn kind(mode: u32) -> char {
    match mode & SFlag::S_IFMT.bits() {
        kind if kind == SFlag::S_IFREG.bits() => 'f',
        kind if kind == SFlag::S_IFDIR.bits() => 'd',
        kind if kind == SFlag::S_IFLNK.bits() => 'l',
        kind if kind == SFlag::S_IFIFO.bits() => 'p',
        kind if kind == SFlag::S_IFSOCK.bits() => 's',
        kind if kind == SFlag::S_IFCHR.bits() => 'c',
        kind if kind == SFlag::S_IFBLK.bits() => 'b',
        _ => '?',
    }
}

/// Where a file is to be, or is: in a directory that is open, under a name that is no link.
pub struct Place {
    pub directory: OwnedFd,
    pub name: OsString,
    /// What is there now.
    pub old: Option<(OwnedFd, FileStat)>,
}

impl Door {
    /// What the path leads to: a plain file or a directory, not opened yet.
    pub fn find(&self, path: &str) -> Result<(OwnedFd, FileStat), No> {
        let seen = self.resolve(path.as_bytes(), OFlag::O_PATH).on(path, Doing::Find)?;
        let stat = fstat(&seen).on(path, Doing::Look)?;
        self.look(seen, stat, path)
    }

    /// The place that the path leads to, the last link of it followed too, be it that nothing is there yet.
    pub fn place(&self, path: &str) -> Result<Place, No> {
        let mut now = path.as_bytes().to_vec();
        for _ in 0..MOST_LINKS {
            let at = now.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            let (above, name) = (&now[..=at], &now[at + 1..]);
            if matches!(name, b"" | b"." | b"..") {
                let next = "name a file in it";
                return Err(no("not_a_file", format!("{path:?} names a directory"), next));
            }
            let name = std::ffi::OsStr::from_bytes(name);
            let directory =
                self.resolve(above, OFlag::O_RDONLY | OFlag::O_DIRECTORY).on(path, Doing::Find)?;
            refuse_what_is_no_file(&directory, path)?;
            self.may_place(&directory, name, path)?;
            match fstatat(&directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                Err(Errno::ENOENT) => return Ok(Place { name: name.to_owned(), directory, old: None }),
                Err(errno) => return Err(errno).on(path, Doing::Look),
                Ok(stat) if !is_link(&stat) => {
                    let old = self.under(&directory, name, path)?;
                    return Ok(Place { name: name.to_owned(), directory, old: Some(old) });
                }
                Ok(link) => refuse_a_lure(&directory, &link, path)?,
            }
            let to = match readlinkat(&directory, name) {
                Ok(to) => to,
                // It is none any more.
                Err(Errno::EINVAL | Errno::ENOENT) => continue,
                Err(errno) => return Err(errno).on(path, Doing::Look),
            };
            let to = to.as_bytes();
            now = if to.starts_with(b"/") { to.to_vec() } else { [above, to].concat() };
        }
        Err(Errno::ELOOP).on(path, Doing::Find)
    }

    /// A plain file by its name in a directory; a link is none.
    fn under(
        &self,
        directory: &OwnedFd,
        name: &std::ffi::OsStr,
        path: &str,
    ) -> Result<(OwnedFd, FileStat), No> {
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let seen = openat2(directory, name, how).on(path, Doing::Find)?;
        let stat = fstat(&seen).on(path, Doing::Look)?;
        let (seen, stat) = self.look(seen, stat, path)?;
        match is_directory(&stat) {
            true => Err(no("not_a_file", format!("{path:?} is a directory"), "name a file in it")),
            false => Ok((seen, stat)),
        }
    }

    /// Refuses what is no plain file or directory.
    fn look(&self, seen: OwnedFd, stat: FileStat, path: &str) -> Result<(OwnedFd, FileStat), No> {
        if !is_file(&stat) && !is_directory(&stat) {
            let what = match kind(stat.st_mode) {
                'p' => "a FIFO",
                's' => "a socket",
                'c' | 'b' => "a device",
                'l' => "a symbolic link that was put there a moment ago",
                _ => "no plain file",
            };
            let next = "only plain files and directories pass here; exec reaches the rest";
            return Err(no("not_a_file", format!("{path:?} is {what}"), next));
        }
        refuse_what_is_no_file(&seen, path)?;
        self.may_reach(&seen, &stat, path)?;
        Ok((seen, stat))
    }

    fn resolve(&self, path: &[u8], flags: OFlag) -> Result<OwnedFd, Errno> {
        // On the node a link that leads out is refused: it would lead elsewhere for everybody else.
        let (path, within) = match &self.node {
            None => (path, ResolveFlag::RESOLVE_IN_ROOT),
            Some(node) => (node.beneath(path)?, ResolveFlag::RESOLVE_BENEATH),
        };
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .resolve(within | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let until = Instant::now() + PATIENCE;
        loop {
            match openat2(self.root.as_fd(), path, how) {
                Err(Errno::EAGAIN | Errno::EINTR) if Instant::now() < until => {}
                other => return other,
            }
        }
    }
}

/// As the kernel does where it follows a link itself (fs.protected_symlinks), whatever the node has set: in a directory where
/// everybody may put links, one of somebody else's leads where that somebody wants root to write.
fn refuse_a_lure(directory: &OwnedFd, link: &FileStat, path: &str) -> Result<(), No> {
    const EVERYBODYS: u32 = libc::S_ISVTX | libc::S_IWOTH;
    let above = fstat(directory).on(path, Doing::Look)?;
    let everybodys = above.st_mode & EVERYBODYS == EVERYBODYS;
    if everybodys && link.st_uid != 0 && link.st_uid != above.st_uid {
        let next = "name the file by its own path, if that is what you mean";
        let message =
            format!("{path:?} is a symbolic link that another user put into a directory of everybody's");
        return Err(no("symlinks", message, next));
    }
    Ok(())
}

/// By the file system that it is in.
fn refuse_what_is_no_file(seen: &OwnedFd, path: &str) -> Result<(), No> {
    let system = fstatfs(seen).on(path, Doing::Look)?.filesystem_type();
    if NO_FILES.contains(&system) {
        let next = "exec reads it: cat, in mode \"inspect\"";
        return Err(no("not_a_file", format!("{path:?} is a window into the kernel, not a file"), next));
    }
    Ok(())
}
