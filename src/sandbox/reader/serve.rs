//! The reader's side: it waits for a question, and ends with the daemon.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

use super::ask::{MOST, receive, send};
use super::names::{Ask, Names};
use crate::config::{ConfigError, load_trusted};
use crate::sandbox::{SandboxError, calls, domain, rights};

/// Files that are being opened at once: each takes a thread, for as long as the file system takes.
const MOST_AT_ONCE: usize = 8;

/// What the lookup of accounts reads: the files, and what other services keep for it.
const ACCOUNTS: [&str; 7] =
    ["/etc", "/usr", "/var/lib/sss", "/var/lib/extrausers", "/run/systemd/userdb", "/run/nscd", "/proc/self"];

#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("the daemon cannot be heard: {0}")]
    Socket(io::Error),
}

/// Answers what comes in by standard input until it ends.
pub fn run(config: &Path) -> Result<(), ReaderError> {
    leave_signals_to_the_daemon().map_err(ReaderError::Socket)?;
    let (known, seen) = load_trusted(config)?;
    let mut names = Names::of(config, &known, Some(seen));
    let mut roots: Vec<PathBuf> = ACCOUNTS.map(PathBuf::from).into();
    roots.extend(names.roots().iter().cloned());
    rights::no_new()?;
    rights::give_up()?;
    domain::enter_reading(&roots).map_err(SandboxError::from)?;
    calls::filter(calls::Of::Reader).map_err(SandboxError::from)?;
    let asked = io::stdin();
    let under_way = Arc::new(AtomicUsize::new(0));
    let mut question = [0; MOST];
    loop {
        let (length, answer) = receive(&asked, &mut question).map_err(ReaderError::Socket)?;
        match (&question[..length], answer) {
            // Its end.
            (&[], _) => return Ok(()),
            (question, Some(answer)) => answer_to(question, answer, &mut names, &under_way),
            _ => {}
        }
    }
}

/// What is sent to the whole unit, or from a terminal to both: the daemon reloads or ends by it, and needs its files until
/// then.
fn leave_signals_to_the_daemon() -> io::Result<()> {
    let signals = SigSet::from_iter([Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM]);
    Ok(signals.thread_block()?)
}

fn answer_to(question: &[u8], answer: OwnedFd, names: &mut Names, under_way: &Arc<AtomicUsize>) {
    let id = |rest: &[u8]| rest.try_into().ok().map(u32::from_ne_bytes);
    match question {
        [0, rest @ ..] => match rest.split_first_chunk() {
            Some((flags, path)) => {
                let path = Path::new(std::ffi::OsStr::from_bytes(path));
                match names.judge(path) {
                    Ok(ask) => open(ask, i32::from_ne_bytes(*flags), answer, under_way),
                    Err(errno) => refuse(&answer, errno),
                }
            }
            None => refuse(&answer, libc::EINVAL),
        },
        [1, rest @ ..] => name(&answer, id(rest).and_then(user)),
        [2, rest @ ..] => name(&answer, id(rest).and_then(group)),
        [3, rest @ ..] => match id(rest).map(account) {
            Some(Ok(found)) => drop(send(&answer, &told(found), None)),
            Some(Err(error)) => refuse(&answer, error.raw_os_error().unwrap_or(libc::EIO)),
            None => refuse(&answer, libc::EINVAL),
        },
        _ => refuse(&answer, libc::EINVAL),
    }
}

/// In a thread of its own: pmxcfs may hang.
fn open(ask: Ask, flags: i32, answer: OwnedFd, under_way: &Arc<AtomicUsize>) {
    if under_way.fetch_add(1, Ordering::Relaxed) >= MOST_AT_ONCE {
        under_way.fetch_sub(1, Ordering::Relaxed);
        return refuse(&answer, libc::EBUSY);
    }
    let done = under_way.clone();
    // One that cannot be started drops the answer's socket, and who asked sees its end.
    let started = std::thread::Builder::new().name("open".into()).stack_size(64 << 10).spawn(move || {
        match ask.open(flags) {
            Ok(file) => drop(send(&answer, &0i32.to_ne_bytes(), Some(&file.into()))),
            Err(error) => refuse(&answer, error.raw_os_error().unwrap_or(libc::EIO)),
        }
        done.fetch_sub(1, Ordering::Relaxed);
    });
    if started.is_err() {
        under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

// An asker that has gone needs no answer.
fn refuse(answer: &OwnedFd, errno: i32) {
    let _ = send(answer, &errno.to_ne_bytes(), None);
}

fn name(answer: &OwnedFd, name: Option<String>) {
    let mut bytes = 0i32.to_ne_bytes().to_vec();
    bytes.extend(name.unwrap_or_default().into_bytes());
    let _ = send(answer, &bytes, None);
}

/// Groups of an account that are told: more than anybody looks at.
const MOST_GROUPS: usize = 512;

/// No error, the name with a zero behind it, and the groups; nothing behind the first where there is no such account.
fn told(found: Option<(String, Vec<u32>)>) -> Vec<u8> {
    let mut bytes = 0i32.to_ne_bytes().to_vec();
    if let Some((name, groups)) = found {
        bytes.extend(name.into_bytes());
        bytes.push(0);
        bytes.extend(groups.into_iter().take(MOST_GROUPS).flat_map(u32::to_ne_bytes));
    }
    bytes
}

pub fn account(uid: u32) -> io::Result<Option<(String, Vec<u32>)>> {
    let Some(user) = User::from_uid(Uid::from_raw(uid))? else { return Ok(None) };
    let name = CString::new(user.name.clone()).map_err(io::Error::other)?;
    let mut groups: Vec<u32> = vec![user.gid.as_raw()];
    let others = getgrouplist(&name, user.gid)?.into_iter().map(Gid::as_raw);
    groups.extend(others.filter(|gid| *gid != user.gid.as_raw()));
    Ok(Some((user.name, groups)))
}

pub fn user(uid: u32) -> Option<String> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name)
}

pub fn group(gid: u32) -> Option<String> {
    Group::from_gid(Gid::from_raw(gid)).ok().flatten().map(|group| group.name)
}
