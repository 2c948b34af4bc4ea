//! Files that are opened by name, and replaced by name.
//!
//! A Landlock domain lets a file be opened by the place it had when the domain was made: another file that is moved onto
//! its name is not it. So a process that holds itself in one leaves the opening of such files to a process beside it that
//! is asked by name ([`through`]). In: a path. Out: a descriptor to read from. It must never open for writing.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;

use nix::dir::{Dir, Type};

type Opener = Box<dyn Fn(&Path, i32) -> io::Result<OwnedFd> + Send + Sync>;

static BESIDE: OnceLock<Opener> = OnceLock::new();

/// Whom to ask for what this process may not open itself, from here on.
pub fn through(opener: impl Fn(&Path, i32) -> io::Result<OwnedFd> + Send + Sync + 'static) {
    let _ = BESIDE.set(Box::new(opener));
}

/// Opens for reading; never waits for a pipe's other end.
pub fn open(path: &Path) -> io::Result<File> {
    open_with(path, 0)
}

/// As [`open`], but not where the name's last part is a link.
pub fn open_no_link(path: &Path) -> io::Result<File> {
    open_with(path, libc::O_NOFOLLOW)
}

fn open_with(path: &Path, flags: i32) -> io::Result<File> {
    let flags = flags | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => match BESIDE.get() {
            Some(opener) => opener(path, flags).map(File::from),
            None => Err(error),
        },
        other => other,
    }
}

/// What a directory holds: names, and whether each is a directory itself.
pub fn list(path: &Path) -> io::Result<Vec<(std::ffi::OsString, bool)>> {
    let opened = open_with(path, libc::O_DIRECTORY)?;
    let mut dir = Dir::from_fd(opened.into())?;
    let mut names = Vec::new();
    for entry in dir.iter() {
        let entry = entry?;
        let name = std::ffi::OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
        if name == "." || name == ".." {
            continue;
        }
        let is_dir = match entry.file_type() {
            Some(kind) => kind == Type::Directory,
            // Not every file system says.
            None => std::fs::symlink_metadata(path.join(&name)).is_ok_and(|stat| stat.is_dir()),
        };
        names.push((name, is_dir));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_listed_with_what_is_a_directory_in_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("folder", dir.path().join("link")).unwrap();
        let mut names = list(dir.path()).unwrap();
        names.sort();
        assert_eq!(names, [("file".into(), false), ("folder".into(), true), ("link".into(), false)]);
        assert_eq!(list(&dir.path().join("gone")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(list(&dir.path().join("file")).is_err());
    }

    #[test]
    fn a_link_is_followed_only_where_it_may_be() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("file", &link).unwrap();
        assert!(open(&link).is_ok());
        assert_eq!(open_no_link(&link).unwrap_err().raw_os_error(), Some(libc::ELOOP));
    }
}
