//! The way to end what a cgroup does not hold: processes that moved themselves out of it, as the root of a container may
//! within the container's cgroups, and all of them where no leaf could be made.
//!
//! They are told by the audit session: each command gets one of its own before it enters, every descendant inherits it,
//! and nothing in a container may change it once it is set. Where the kernel counts no audit sessions, the line of
//! parents is followed instead; the command is a subreaper then, so while it lives every line leads to it.

use std::collections::{HashMap, HashSet};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::sys;

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

/// How long killed processes are waited for when none of them ends.
const HELD_UP: Duration = Duration::from_millis(200);

/// Kills `command` and everything that descends from it, as far as `patience` allows.
pub fn kill_descendants(command: Pid, session: Option<Session>, patience: Duration) {
    let deadline = Instant::now() + patience;
    // So that it neither ends, which would break the lines of parents, nor forks. An ESRCH, here and below, means
    // that what was wanted is so already.
    let _ = kill(command, Signal::SIGSTOP);
    let mut stopped = HashSet::new();
    // How long the same processes have been there, though killed: by a v1 freezer or a device, some are kept from ending.
    let mut held_up = (HashSet::new(), Instant::now());
    loop {
        let found = descendants(command, session);
        let pids: HashSet<i32> = found.keys().copied().collect();
        if pids != held_up.0 {
            held_up = (pids, Instant::now());
        }
        let late = Instant::now() >= deadline || held_up.1.elapsed() > HELD_UP;
        // All are stopped before one is killed: a fork bomb would fill each place that becomes free.
        let all_stopped = found.keys().all(|pid| stopped.contains(pid));
        let order = if late || all_stopped { Signal::SIGKILL } else { Signal::SIGSTOP };
        for (pid, why) in &found {
            signal(*pid, *why, order);
        }
        if found.is_empty() || late {
            break;
        }
        stopped.extend(found.into_keys());
    }
    let _ = kill(command, Signal::SIGKILL);
}

fn signal(pid: i32, why: Why, order: Signal) {
    // The pid may mean another process by now, and not one of the container's.
    let Ok(pidfd) = sys::pidfd_open(Pid::from_raw(pid)) else { return };
    if why.holds_for(pid) {
        let _ = sys::pidfd_signal(pidfd.as_fd(), order as i32);
    }
}

/// By what a process is known to descend from the command.
#[derive(Debug, Clone, Copy)]
enum Why {
    Session(Session),
    Parent(i32),
}

impl Why {
    fn holds_for(self, pid: i32) -> bool {
        match self {
            Self::Session(session) => read(&pid.to_string()) == Some(session.0),
            Self::Parent(known) => parent(pid) == Some(known),
        }
    }
}

fn descendants(command: Pid, session: Option<Session>) -> HashMap<i32, Why> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    let mut found = HashMap::new();
    let Ok(proc) = std::fs::read_dir("/proc") else { return found };
    for pid in proc.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
        let Some(parent) = parent(pid) else { continue };
        if let Some(session) = session.filter(|session| read(&pid.to_string()) == Some(session.0)) {
            found.insert(pid, Why::Session(session));
        }
        children.entry(parent).or_default().push(pid);
    }
    let mut next = vec![command.as_raw()];
    while let Some(pid) = next.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            found.entry(child).or_insert(Why::Parent(pid));
            next.push(child);
        }
    }
    found.remove(&command.as_raw());
    found
}

/// The parent of a process that still runs. A zombie has nothing left to kill, unless only its first thread has ended.
fn parent(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // From the state on, which is field 3; the parent is field 4, the number of threads field 20.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let (state, threads) = (*fields.first()?, fields.get(17)?.parse::<u32>().ok()?);
    let runs = threads > 1 || !matches!(state, "Z" | "X");
    fields.get(1)?.parse().ok().filter(|_| runs)
}
