//! The way to end a command for which no cgroup leaf could be made: a walk over the container's processes.
//!
//! The command was made a subreaper, so while it lives every descendant's line of parents leads to it, daemons
//! included. It is stopped first, so that it neither ends nor forks, and killed last.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Kills `command` and everything that descends from it, as far as `patience` allows.
pub fn kill_descendants(command: Pid, patience: Duration) {
    let deadline = Instant::now() + patience;
    // An ESRCH below means that it is gone, which is what was wanted.
    let _ = kill(command, Signal::SIGSTOP);
    loop {
        let descendants = descendants(command);
        if descendants.is_empty() || Instant::now() >= deadline {
            break;
        }
        for pid in descendants {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
    let _ = kill(command, Signal::SIGKILL);
}

fn descendants(command: Pid) -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    let Ok(proc) = std::fs::read_dir("/proc") else { return Vec::new() };
    for pid in proc.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
        if let Some(parent) = parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut next = vec![command.as_raw()];
    while let Some(pid) = next.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            found.push(Pid::from_raw(child));
            next.push(child);
        }
    }
    found
}

/// The parent of a process that still runs; a zombie has nothing left to kill.
fn parent(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    fields.next()?.parse().ok().filter(|_| state != "Z" && state != "X")
}
