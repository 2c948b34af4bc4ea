//! PVE's workers: long calls answer with a UPID and go on in the background, with a log, a lock on their guest and an
//! end that may be an error.
//!
//! What a worker does is a [`Work`]: a beginning that may refuse, lines with the seconds that they take, and an end that
//! changes the estate. How it is run in time is in `worker`.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::estate::{Estate, now};

/// `UPID:pve1:00002660:00075A57:6B012EB1:resize:110:root@pam!t1:`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Upid {
    pub node: String,
    pub pid: u32,
    /// Clock ticks after the node's start.
    pub pstart: u64,
    /// Seconds since 1970.
    pub start: u64,
    pub kind: String,
    pub id: String,
    /// With the token after `!`.
    pub user: String,
}

impl fmt::Display for Upid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, pid, pstart, start, kind, id, user } = self;
        write!(out, "UPID:{node}:{pid:08X}:{pstart:08X}:{start:08X}:{kind}:{id}:{user}:")
    }
}

impl Upid {
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        // The id may hold a colon of its own, as a volume's does; PVE writes it without.
        let ["UPID", node, pid, pstart, start, kind, id, user, ""] = parts[..] else { return None };
        let hex = |digits: &str, lengths: &[usize]| {
            lengths.contains(&digits.len()).then(|| u64::from_str_radix(digits, 16).ok()).flatten()
        };
        Some(Self {
            node: node.to_owned(),
            pid: u32::try_from(hex(pid, &[8])?).ok()?,
            pstart: hex(pstart, &[8, 9])?,
            start: hex(start, &[8])?,
            kind: kind.to_owned(),
            id: id.to_owned(),
            user: user.to_owned(),
        })
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    pub upid: Upid,
    pub lines: Vec<String>,
    /// When, and `OK` or the error.
    pub end: Option<(u64, String)>,
    pub stopping: bool,
}

impl Task {
    pub fn row(&self) -> Value {
        let mut row = json!({
            "upid": self.upid.to_string(),
            "node": self.upid.node,
            "pid": self.upid.pid,
            "pstart": self.upid.pstart,
            "starttime": self.upid.start,
            "type": self.upid.kind,
            "id": self.upid.id,
        });
        self.write_user(&mut row);
        row
    }

    /// The user without the token; the token beside it.
    fn write_user(&self, row: &mut Value) {
        match self.upid.user.split_once('!') {
            Some((user, token)) => {
                row["user"] = json!(user);
                row["tokenid"] = json!(token);
            }
            None => row["user"] = json!(self.upid.user),
        }
    }

    /// In lists the outcome is the status, and there is no end while it runs.
    pub fn listed(&self) -> Value {
        let mut row = self.row();
        if let Some((when, outcome)) = &self.end {
            row["endtime"] = json!(when);
            row["status"] = json!(outcome);
        }
        row
    }

    pub fn status(&self) -> Value {
        let mut row = self.row();
        match &self.end {
            None => row["status"] = json!("running"),
            Some((_, outcome)) => {
                row["status"] = json!("stopped");
                row["exitstatus"] = json!(outcome);
            }
        }
        row
    }
}

/// Newest last.
#[derive(Debug, Default)]
pub struct Tasks {
    list: Vec<Task>,
    by_upid: HashMap<String, usize>,
}

impl Tasks {
    pub fn all(&self) -> std::slice::Iter<'_, Task> {
        self.list.iter()
    }

    pub fn get(&self, upid: &str) -> Option<&Task> {
        self.by_upid.get(upid).map(|at| &self.list[*at])
    }

    pub fn get_mut(&mut self, upid: &str) -> Option<&mut Task> {
        self.by_upid.get(upid).map(|at| &mut self.list[*at])
    }

    pub fn add(&mut self, task: Task) {
        self.by_upid.insert(task.upid.to_string(), self.list.len());
        self.list.push(task);
    }
}

type Change = Box<dyn FnOnce(&mut Estate, &mut Vec<String>) -> Result<(), String> + Send>;

/// What a worker does.
pub struct Work {
    /// Held over the whole work: the guest and the word in its `lock`; an empty word only asks that there is none.
    pub lock: Option<(u32, &'static str)>,
    pub begin: Change,
    /// Lines of the log, each after the seconds that it takes.
    pub steps: Vec<(f64, String)>,
    pub end: Change,
}

impl Work {
    pub fn new() -> Self {
        Self { lock: None, begin: Box::new(|_, _| Ok(())), steps: Vec::new(), end: Box::new(|_, _| Ok(())) }
    }

    pub fn lock(mut self, vmid: u32, word: &'static str) -> Self {
        self.lock = Some((vmid, word));
        self
    }

    pub fn begin(
        mut self,
        change: impl FnOnce(&mut Estate, &mut Vec<String>) -> Result<(), String> + Send + 'static,
    ) -> Self {
        self.begin = Box::new(change);
        self
    }

    pub fn step(mut self, seconds: f64, line: impl Into<String>) -> Self {
        self.steps.push((seconds, line.into()));
        self
    }

    /// A copy of so many bytes, told in the way of PVE's own lines.
    pub fn copy(mut self, bytes: u64) -> Self {
        let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
        for percent in [25, 50, 75, 100] {
            let done = gib(bytes / 100 * percent);
            let line = format!("transferred {done} of {} ({percent}.00%)", gib(bytes));
            self = self.step(0.25 + bytes as f64 / 4e9, line);
        }
        self
    }

    pub fn end(
        mut self,
        change: impl FnOnce(&mut Estate, &mut Vec<String>) -> Result<(), String> + Send + 'static,
    ) -> Self {
        self.end = Box::new(change);
        self
    }
}

impl Estate {
    /// A worker's name, and its place in the list.
    pub fn new_task(&mut self, node: &str, kind: &str, id: &str, user: &str) -> Upid {
        let number = self.count();
        let since = self.node(node).map_or(0, |node| node.since);
        let start = now();
        let upid = Upid {
            node: node.to_owned(),
            pid: u32::try_from(9_000 + number % 4_000_000).unwrap_or(1),
            // Unique even within a second, as the kernel's ticks with the process's number are.
            pstart: (start.saturating_sub(since) * 100 + number) & 0xffff_ffff,
            start,
            kind: kind.to_owned(),
            id: id.to_owned(),
            user: user.to_owned(),
        };
        self.tasks.add(Task { upid: upid.clone(), lines: Vec::new(), end: None, stopping: false });
        self.version += 1;
        upid
    }

    /// Refuses where the guest is locked.
    pub fn unlocked(&self, vmid: u32) -> Result<(), String> {
        let Some(guest) = self.guest(vmid) else { return Ok(()) };
        match guest.get("lock") {
            Some(lock) => Err(format!("{} is locked ({lock})", guest.kind.word())),
            None => Ok(()),
        }
    }
}
