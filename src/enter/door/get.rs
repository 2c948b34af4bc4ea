//! A file's bytes, or a directory's entries, out of the container.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, SpliceFFlags, readlinkat, splice};
use nix::sys::stat::{FileStat, fstatat};

use super::names::Names;
use super::place::{is_directory, kind};
use super::refuse::{Doing, OnPath, by_kernel};
use super::{Door, End, Pumped, STDOUT, found, pump, say, write_all};
use crate::door::{Found, Get, Listed, Listing, MOST_COUNTED, MOST_ENTRIES, Part, Said};

pub fn get(door: &Door, get: &Get) -> Result<(), End> {
    let (seen, stat) = door.find(&get.path)?;
    let names = Names::read();
    match is_directory(&stat) {
        true => list(door, get, &seen, found(&stat, &names), &names),
        false => send(door, get, &seen, &names),
    }
}

/// Where a part begins in a whole of `size`, and how much of it there is.
fn range(part: Part, most: u64, size: u64) -> (u64, u64) {
    let from = match part {
        Part::From(from) => from.min(size),
        Part::Last(last) => size.saturating_sub(last),
    };
    (from, most.min(size - from))
}

/// From the file's pages into the pipe: nothing is copied on the way, and nothing read by this process.
fn send(door: &Door, get: &Get, seen: &OwnedFd, names: &Names) -> Result<(), End> {
    /// A pipe's worth, where pipes are as large as they may be.
    const AT_ONCE: u64 = 1 << 20;
    let (file, stat) = door.open_file(seen, &get.path)?;
    let (from, follows) = range(get.part, get.most, stat.st_size as u64);
    say(&Said::Found(Found { from, follows, ..found(&stat, names) }))?;
    let (mut offset, end) = (from as i64, from + follows);
    while (offset as u64) < end {
        let want = (end - offset as u64).min(AT_ONCE) as usize;
        match splice(file.as_fd(), Some(&mut offset), STDOUT, None, want, SpliceFFlags::empty()) {
            // It has become shorter.
            Ok(0) => break,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(Errno::EPIPE) => return Err(End::GivenUp),
            Err(Errno::EINVAL) => return copy(&file, offset as u64, end, &get.path),
            Err(errno) => return Err(by_kernel(&get.path, Doing::Read, errno).into()),
        }
    }
    Ok(())
}

/// For file systems that give no pages away.
fn copy(file: &std::fs::File, from: u64, end: u64, path: &str) -> Result<(), End> {
    use std::io::{Seek, SeekFrom};
    let mut file = file;
    let sought = file.seek(SeekFrom::Start(from)).map_err(|error| super::errno(&error));
    sought.on(path, Doing::Read)?;
    match pump(file, None, |bytes| write_all(STDOUT, bytes), end - from)? {
        Pumped::Unreadable(errno) | Pumped::Unwritable(errno) => {
            Err(by_kernel(path, Doing::Read, errno).into())
        }
        Pumped::All(_) => Ok(()),
    }
}

fn list(door: &Door, get: &Get, seen: &OwnedFd, found: Found, known: &Names) -> Result<(), End> {
    let open = door.reopen(seen, OFlag::O_RDONLY | OFlag::O_DIRECTORY).on(&get.path, Doing::Open)?;
    let mut directory = Dir::from_fd(open).on(&get.path, Doing::List)?;
    let mut names = Vec::new();
    let mut uncounted = false;
    for entry in directory.iter() {
        let entry = entry.on(&get.path, Doing::List)?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        if names.len() == MOST_COUNTED {
            uncounted = true;
            break;
        }
        names.push(name.to_vec());
    }
    names.sort_unstable();
    let (from, count) = range(get.part, get.most.min(MOST_ENTRIES), names.len() as u64);
    say(&Said::Found(Found { size: names.len() as u64, uncounted, from, ..found }))?;
    let wanted = names.into_iter().skip(from as usize).take(count as usize);
    let entries = wanted.map(|name| listed(seen, name, known)).collect();
    let listing = serde_json::to_vec(&Listing { entries }).map_err(|_| End::GivenUp)?;
    write_all(STDOUT, &listing)
}

fn listed(directory: &OwnedFd, name: Vec<u8>, known: &Names) -> Listed {
    let path = std::ffi::OsStr::from_bytes(&name);
    let Ok(stat) = fstatat(directory, path, AtFlags::AT_SYMLINK_NOFOLLOW) else {
        let (user, group, to) = (None, None, None);
        return Listed { name, kind: '?', size: 0, mode: 0, uid: 0, gid: 0, user, group, mtime: 0, to };
    };
    let FileStat { st_size, st_mode, st_uid: uid, st_gid: gid, st_mtime: mtime, .. } = stat;
    let kind = kind(st_mode);
    let to = (kind == 'l').then(|| readlinkat(directory, path).ok()).flatten();
    let to = to.map(|to| to.as_bytes().to_vec());
    let (size, mode) = (st_size as u64, st_mode & 0o7777);
    let (user, group) = (known.user(uid), known.group(gid));
    Listed { name, kind, size, mode, uid, gid, user, group, mtime, to }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_lies_within_the_whole() {
        for (part, most, size, expected) in [
            (Part::From(0), 10, 5, (0, 5)),
            (Part::From(3), 10, 5, (3, 2)),
            (Part::From(9), 10, 5, (5, 0)),
            (Part::From(u64::MAX), u64::MAX, 5, (5, 0)),
            (Part::Last(2), 10, 5, (3, 2)),
            (Part::Last(u64::MAX), 3, 5, (0, 3)),
            (Part::Last(0), 3, 5, (5, 0)),
            (Part::From(0), 3, 0, (0, 0)),
        ] {
            assert_eq!(range(part, most, size), expected, "{part:?} {most} {size}");
        }
    }
}
