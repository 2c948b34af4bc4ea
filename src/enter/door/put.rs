//! A file put into place, or taken away: as a whole, or not at all.
//!
//! The new content goes into a file without a name (O_TMPFILE), which nobody sees and which goes by itself if this process
//! does. Only when all of it is there, is what was promised and is on the disk does it get a name: its own, where nothing
//! may be replaced, as `linkat` replaces nothing; else one aside, for the moment until `renameat2` puts it over the old
//! file. Where a file system has no such files it has a name aside from the start, and this process takes that away
//! again.
//!
//! It is not ended when `provost-execd` is: a pipe tells it, and it leaves nothing behind.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat2};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, fstatat};
use nix::sys::statfs::{FUSE_SUPER_MAGIC, fstatfs};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fsync, linkat, unlinkat};
use sha2::{Digest, Sha256};

use super::names::{Names, owner};
use super::place::Place;
use super::refuse::{Doing, OnPath, by_kernel, no};
use super::{Door, End, Pumped, STDIN, STDOUT, found, pump, say, write_all};
use crate::door::{Found, GO, No, Over, Put, Remove, Said};
use crate::enter::sys;

pub fn put(door: &Door, put: &Put) -> Result<(), End> {
    let path = &put.path;
    let place = door.place(path)?;
    if put.over == Over::Never && place.old.is_some() {
        return Err(by_kernel(path, Doing::Replace, Errno::EEXIST).into());
    }
    let (uid, gid) = whose(put, &place)?;
    let mode = put.mode.or(place.old.as_ref().map(|(_, old)| old.st_mode & 0o7777)).unwrap_or(0o644);
    let given = place.gives_its_own().on(path, Doing::Look)?;
    let was = show_what_was(door, &place, path, put.keep)?;
    if matches!(&put.over, Over::IfHash(wanted) if was.as_ref() != Some(wanted)) {
        return Err(changed(path, &was).into());
    }
    await_go(was)?;
    let mut new = New::make(&place.directory).on(path, Doing::Make)?;
    take(&mut new, put)?;
    let owned = fchown(&new.file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    let owned = unless_given(owned, given && put.owner.is_none());
    if owned == Err(Errno::EPERM) && door.node.is_some() {
        return Err(not_to_give(path, uid, gid).into());
    }
    owned.on(path, Doing::Owner)?;
    // After that: a change of owner takes the setuid bit away.
    let mode = fchmod(&new.file, Mode::from_bits_truncate(mode));
    unless_given(mode, given && put.mode.is_none()).on(path, Doing::Owner)?;
    fsync(&new.file).on(path, Doing::Write)?;
    let stat = fstat(&new.file).on(path, Doing::Look)?;
    place.is_as_it_was(path)?;
    match place.old {
        None => new.take_name(door, &place.name).on(path, Doing::Replace)?,
        Some(_) => new.take_place(door, &place.name).on(path, Doing::Replace)?,
    }
    fsync(&place.directory).map_err(|errno| not_synced(path, errno))?;
    say(&Said::Written(Found { follows: 0, ..found(&stat, &Names::read()) }))
}

pub fn remove(door: &Door, remove: &Remove) -> Result<(), End> {
    let path = &remove.path;
    let place = door.place(path)?;
    let was = show_what_was(door, &place, path, remove.keep)?;
    if was.as_ref() != Some(&remove.sha256) {
        return Err(changed(path, &was).into());
    }
    await_go(was)?;
    place.is_as_it_was(path)?;
    unlinkat(&place.directory, place.name.as_os_str(), UnlinkatFlags::NoRemoveDir).on(path, Doing::Remove)?;
    fsync(&place.directory).map_err(|errno| not_synced(path, errno))?;
    say(&Said::Removed)
}

/// Says what is there, gives its content out where that is to be kept, and answers with its hash.
fn show_what_was(door: &Door, place: &Place, path: &str, keep: u64) -> Result<Option<String>, End> {
    let Some((seen, _)) = &place.old else {
        say(&Said::Absent)?;
        return Ok(None);
    };
    let (file, stat) = door.open_file(seen, path)?;
    let size = stat.st_size as u64;
    let kept = size <= keep;
    say(&Said::Found(Found { follows: if kept { size } else { 0 }, ..found(&stat, &Names::read()) }))?;
    let mut hash = Sha256::new();
    let give = |bytes: &[u8]| {
        hash.update(bytes);
        if kept { write_all(STDOUT, bytes) } else { Ok(()) }
    };
    // No more than was announced: whoever reads would wait for the rest, or take it for what comes next.
    match pump(&file, None, give, size)? {
        Pumped::All(total) if total == size => {}
        Pumped::All(_) => return Err(changed(path, &None).into()),
        Pumped::Unreadable(errno) | Pumped::Unwritable(errno) => {
            return Err(by_kernel(path, Doing::Read, errno).into());
        }
    }
    Ok(Some(hex(hash)))
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn changed(path: &str, is: &Option<String>) -> No {
    let message = match is {
        Some(hash) => format!("{path:?} is another than was expected: its sha256 is {hash}"),
        None => format!("{path:?} is another than was expected, or is not there"),
    };
    no("changed", message, "read it again (file_get), and decide by what it is now; nothing was changed")
}

fn not_synced(path: &str, errno: Errno) -> No {
    let message =
        format!("{path:?} is changed, and whether it stays so over a power cut is not known: {errno}");
    no("not_synced", message, "see dmesg on the node; the file system may be damaged")
}

/// Whose the new file is to be.
fn whose(put: &Put, place: &Place) -> Result<(u32, u32), No> {
    let old = place.old.as_ref().map_or((0, 0), |(_, old)| (old.st_uid, old.st_gid));
    let Some(spec) = &put.owner else { return Ok(old) };
    let (uid, gid) = owner(spec).map_err(|_| {
        let message = format!("the container has no owner {spec:?}");
        no(
            "no_such_user",
            message,
            "name a user or user:group that its /etc/passwd and /etc/group hold, or give numbers",
        )
    })?;
    Ok((uid, gid.unwrap_or(old.1)))
}

/// Says what the change will replace, by its hash, and waits until what has to be known and recorded before is.
fn await_go(was: Option<String>) -> Result<(), End> {
    say(&Said::Was(was))?;
    let mut byte = [0];
    loop {
        match nix::unistd::read(STDIN, &mut byte) {
            Ok(1) if byte[0] == GO => return Ok(()),
            Err(Errno::EINTR) => {}
            _ => return Err(End::GivenUp),
        }
    }
}

/// Takes the content in. What is not the whole of what was promised is none.
fn take(new: &mut New<'_>, put: &Put) -> Result<(), End> {
    let mut hash = Sha256::new();
    let stdin = File::from(STDIN.try_clone_to_owned().map_err(|_| End::GivenUp)?);
    let seen = |bytes: &[u8]| {
        hash.update(bytes);
        Ok(())
    };
    // One more would be too many.
    match pump(stdin, Some(&mut new.file), seen, put.bytes.saturating_add(1))? {
        Pumped::All(total) if total < put.bytes => Err(End::GivenUp),
        Pumped::All(total) if total == put.bytes && hex(hash.clone()) == put.sha256 => Ok(()),
        Pumped::All(_) => {
            let message = "what came is not what was announced".to_owned();
            Err(no("content", message, "journalctl -t provostd; nothing was changed").into())
        }
        Pumped::Unreadable(_) => Err(End::GivenUp),
        Pumped::Unwritable(errno) => Err(by_kernel(&put.path, Doing::Write, errno).into()),
    }
}

/// `provost-execd` begins without the right to give a file of the node away.
fn not_to_give(path: &str, uid: u32, gid: u32) -> No {
    let message = format!(
        "{path:?} would be of uid {uid}, gid {gid}, and provost-execd has no right to give it to them"
    );
    let next = "on the node: systemctl edit provost-execd, with CapabilityBoundingSet=CAP_CHOWN CAP_FOWNER CAP_FSETID under [Service]; nothing was changed";
    no("capabilities", message, next)
}

/// Where the file system has its own and nobody asked for another, its refusal is none.
fn unless_given(done: Result<(), Errno>, given: bool) -> Result<(), Errno> {
    match done {
        Err(Errno::EPERM | Errno::EACCES | Errno::ENOSYS | Errno::EOPNOTSUPP) if given => Ok(()),
        done => done,
    }
}

impl Place {
    /// Whether the file system there may have an owner and a mode of its own for every file, as that of /etc/pve has.
    fn gives_its_own(&self) -> Result<bool, Errno> {
        Ok(fstatfs(&self.directory)?.filesystem_type() == FUSE_SUPER_MAGIC)
    }

    /// Whether what was read is still what is there.
    fn is_as_it_was(&self, path: &str) -> Result<(), No> {
        let now = match fstatat(&self.directory, self.name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(now) => Some(now),
            Err(Errno::ENOENT) => None,
            Err(errno) => return Err(errno).on(path, Doing::Look),
        };
        let same = match (&self.old, &now) {
            (None, None) => true,
            (Some((_, old)), Some(now)) => of(old) == of(now),
            _ => false,
        };
        if same { Ok(()) } else { Err(changed(path, &None)) }
    }
}

/// What tells one content of one file from another.
fn of(stat: &FileStat) -> [i64; 7] {
    let FileStat { st_dev, st_ino, st_size, st_mtime, st_mtime_nsec, st_ctime, st_ctime_nsec, .. } = *stat;
    [st_dev as i64, st_ino as i64, st_size, st_mtime, st_mtime_nsec, st_ctime, st_ctime_nsec]
}

/// The new file, until it is where it belongs.
struct New<'a> {
    directory: &'a OwnedFd,
    file: File,
    /// Its name aside, while it has one.
    aside: Option<OsString>,
}

impl<'a> New<'a> {
    fn make(directory: &'a OwnedFd) -> Result<Self, Errno> {
        /// Nobody else's before it is its owner's.
        const MODE: Mode = Mode::from_bits_truncate(0o600);
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        match openat(directory, ".", flags | OFlag::O_TMPFILE, MODE) {
            Ok(file) => Ok(Self { directory, file: file.into(), aside: None }),
            Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL | Errno::ENOENT) => {
                let name = aside()?;
                let flags = flags | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
                let file = openat(directory, name.as_os_str(), flags, MODE)?;
                Ok(Self { directory, file: file.into(), aside: Some(name) })
            }
            Err(errno) => Err(errno),
        }
    }

    /// Where nothing is; if something is by now, it stays.
    fn take_name(mut self, door: &Door, name: &OsStr) -> Result<(), Errno> {
        match &self.aside {
            None => self.link(door, name),
            Some(aside) => {
                let (aside, only) = (aside.as_os_str(), RenameFlags::RENAME_NOREPLACE);
                match renameat2(self.directory, aside, self.directory, name, only) {
                    Ok(()) => {}
                    // A file system without that: a second name is not had where there is one, either.
                    Err(Errno::EINVAL) => {
                        match linkat(self.directory, aside, self.directory, name, AtFlags::empty()) {
                            // Nor has that of /etc/pve second names.
                            Err(Errno::EPERM | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
                                self.take_empty_place(aside, name)?
                            }
                            done => return done,
                        }
                    }
                    Err(errno) => return Err(errno),
                }
                self.aside = None;
                Ok(())
            }
        }
    }

    /// Where there is neither a rename that replaces nothing nor a second name: what makes the name is made to have it.
    fn take_empty_place(&self, aside: &OsStr, name: &OsStr) -> Result<(), Errno> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        drop(openat(self.directory, name, flags, Mode::from_bits_truncate(0o600))?);
        renameat2(self.directory, aside, self.directory, name, RenameFlags::empty()).inspect_err(|_| {
            let _ = unlinkat(self.directory, name, UnlinkatFlags::NoRemoveDir);
        })
    }

    /// In place of what is there.
    fn take_place(mut self, door: &Door, name: &OsStr) -> Result<(), Errno> {
        if self.aside.is_none() {
            let aside = aside()?;
            self.link(door, &aside)?;
            self.aside = Some(aside);
        }
        let Some(aside) = &self.aside else { return Err(Errno::EINVAL) };
        renameat2(self.directory, aside.as_os_str(), self.directory, name, RenameFlags::empty())?;
        self.aside = None;
        Ok(())
    }

    /// Gives the file without a name one: by this process's own list of descriptors, as naming it by the descriptor alone
    /// takes a right on the node.
    fn link(&self, door: &Door, name: &OsStr) -> Result<(), Errno> {
        let own = self.file.as_fd().as_raw_fd().to_string();
        linkat(&door.own, own.as_str(), self.directory, name, AtFlags::AT_SYMLINK_FOLLOW)
    }
}

impl Drop for New<'_> {
    fn drop(&mut self) {
        if let Some(aside) = &self.aside {
            let _ = unlinkat(self.directory, aside.as_os_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

fn aside() -> Result<OsString, Errno> {
    Ok(format!(".provost-{:016x}", sys::random()?).into())
}
