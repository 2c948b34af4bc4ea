//! The way to end what a cgroup does not hold: processes that moved themselves out of it, as the root of a container may
//! within the container's cgroups, and all of them where no leaf could be made.
//!
//! They are told by the audit session: each command gets one of its own before it enters, every descendant inherits it,
//! and nothing in a container may change it once it is set. Where the kernel counts no audit sessions, the line of
//! parents is followed instead; the command is a subreaper then, so while it lives every line leads to it.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// An audit session, where the kernel counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session(u32);

impl Session {
    /// That of a process: none when it is in none, or only in the one that this process is in itself.
    pub fn of(pid: Pid) -> Option<Self> {
        let session = read(&pid.to_string())?;
        (Some(session) != read("self")).then_some(Self(session))
    }
}

/// "-1" as the kernel writes it: in no session.
const NONE: u32 = u32::MAX;

fn read(pid: &str) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/sessionid")).ok()?;
    text.trim().parse().ok().filter(|session| *session != NONE)
}

/// Puts the calling process into an audit session of its own. Before it enters: the file is the host's, and the right
/// to it too. False where that is not to be had.
pub fn own_session() -> bool {
    let uid = nix::unistd::Uid::effective().to_string();
    std::fs::write("/proc/self/loginuid", uid).is_ok()
}

/// Kills `command` and everything that descends from it, as far as `patience` allows.
pub fn kill_descendants(command: Pid, session: Option<Session>, patience: Duration) {
    let deadline = Instant::now() + patience;
    // So that it neither ends, which would break the lines of parents, nor forks. An ESRCH, here and below, means
    // that what was wanted is so already.
    let _ = kill(command, Signal::SIGSTOP);
    loop {
        let found = descendants(command, session);
        if found.is_empty() || Instant::now() >= deadline {
            break;
        }
        for pid in found {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
    let _ = kill(command, Signal::SIGKILL);
}

fn descendants(command: Pid, session: Option<Session>) -> HashSet<Pid> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    let mut found = HashSet::new();
    let Ok(proc) = std::fs::read_dir("/proc") else { return found };
    for pid in proc.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
        let Some(parent) = parent(pid) else { continue };
        if session.is_some_and(|session| read(&pid.to_string()) == Some(session.0)) {
            found.insert(Pid::from_raw(pid));
        }
        children.entry(parent).or_default().push(pid);
    }
    let mut next = vec![command.as_raw()];
    while let Some(pid) = next.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            found.insert(Pid::from_raw(child));
            next.push(child);
        }
    }
    found.remove(&command);
    found
}

/// The parent of a process that still runs; a zombie has nothing left to kill.
fn parent(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    fields.next()?.parse().ok().filter(|_| state != "Z" && state != "X")
}
