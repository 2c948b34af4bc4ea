//! What a cgroup does not hold: processes that moved themselves out of it, as the root of a container may within the
//! container's cgroups, and all of a command's where no leaf could be made.
//!
//! They are told by the audit session: each command gets one of its own before it enters, every descendant inherits it,
//! and nothing in a container may change it once it is set. Where the kernel counts no audit sessions, the line of
//! parents is followed instead; the command is a subreaper then, so while it lives every line leads to it.

use std::collections::HashMap;

use nix::unistd::Pid;

use crate::process::Stat;

/// An audit session, where the kernel counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Session(u32);

impl Session {
    /// That of a process: none when it is in none, or only in the one that this process is in itself.
    pub fn of(pid: Pid) -> Option<Self> {
        let session = read(&pid.to_string())?;
        (Some(session) != read("self")).then_some(session)
    }
}

/// "-1" as the kernel writes it: in no session.
const NONE: u32 = u32::MAX;

fn read(pid: &str) -> Option<Session> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/sessionid")).ok()?;
    text.trim().parse().ok().filter(|session| *session != NONE).map(Session)
}

/// Puts the calling process into an audit session of its own. Before it enters: the file is the host's, and the right
/// to it too. False where that is not to be had.
pub fn own_session() -> bool {
    let uid = nix::unistd::Uid::effective().to_string();
    std::fs::write("/proc/self/loginuid", uid).is_ok()
}

/// One look at every process of the node: for all that are searched for at once, and taken in pieces, so that nobody
/// else waits for it.
pub struct Scan {
    /// Those that are not looked at yet.
    pids: Vec<i32>,
    children: HashMap<i32, Vec<i32>>,
    members: HashMap<Session, Vec<i32>>,
}

impl Scan {
    /// Processes looked at in one piece: some milliseconds.
    const PIECE: usize = 512;

    pub fn begin() -> Self {
        let pids = std::fs::read_dir("/proc").map_or_else(
            |_| Vec::new(),
            |proc| proc.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect(),
        );
        Self { pids, children: HashMap::new(), members: HashMap::new() }
    }

    /// Looks at some more. True when all have been.
    pub fn advance(&mut self) -> bool {
        for pid in self.pids.drain(self.pids.len().saturating_sub(Self::PIECE)..) {
            let Some(parent) = parent(pid) else { continue };
            self.children.entry(parent).or_default().push(pid);
            if let Some(session) = read(&pid.to_string()) {
                self.members.entry(session).or_default().push(pid);
            }
        }
        self.pids.is_empty()
    }

    /// What descends from `command` and still runs, each with why it is known to, without the command itself.
    pub fn descendants(&self, command: Pid, session: Option<Session>) -> HashMap<i32, Why> {
        let members = session.into_iter().flat_map(|session| {
            let pids = self.members.get(&session).into_iter().flatten();
            pids.map(move |pid| (*pid, Why::Session(session)))
        });
        let mut found: HashMap<i32, Why> = members.collect();
        let mut next = vec![command.as_raw()];
        // A pid may have come to mean another process while the scan went on, and a line of parents run in a circle.
        let mut seen = std::collections::HashSet::new();
        while let Some(pid) = next.pop() {
            if !seen.insert(pid) {
                continue;
            }
            for child in self.children.get(&pid).into_iter().flatten() {
                found.entry(*child).or_insert(Why::Parent(pid));
                next.push(*child);
            }
        }
        found.remove(&command.as_raw());
        found
    }
}

/// By what a process is known to descend from the command.
#[derive(Debug, Clone, Copy)]
pub enum Why {
    Session(Session),
    Parent(i32),
}

impl Why {
    /// Whether it is so now: the pid may mean another process than the one that was found.
    pub fn holds_for(self, pid: i32) -> bool {
        match self {
            Self::Session(session) => read(&pid.to_string()) == Some(session),
            Self::Parent(known) => parent(pid) == Some(known),
        }
    }
}

/// The parent of a process that still runs. A zombie has nothing left to kill, unless only its first thread has ended.
fn parent(pid: i32) -> Option<i32> {
    let stat = Stat::of(pid)?;
    let runs = stat.threads()? > 1 || !matches!(stat.state()?, "Z" | "X");
    stat.parent().filter(|_| runs)
}
