//! A process as a guest agent has it: a child whose input is given at once, and whose output is kept up to a limit.

use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgid};
use serde_json::{Value, json};

use super::super::api::latin;

#[derive(Debug)]
pub struct Process {
    pid: u64,
    shared: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    out: Kept,
    err: Kept,
    status: Option<ExitStatus>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    cut: bool,
    closed: bool,
}

impl Process {
    pub fn start(command: &[String], input: Option<Vec<u8>>, most: usize) -> io::Result<Self> {
        let (path, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        // As systemd starts an agent.
        let mut child = Command::new(path)
            .args(arguments)
            .current_dir("/")
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("INVOCATION_ID", "0123456789abcdef0123456789abcdef")
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let shared = Arc::new(Mutex::new(State::default()));
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            // A command may close its input before it has read all of it.
            thread::spawn(move || drop(stdin.write_all(&input)));
        }
        if let Some(stream) = child.stdout.take() {
            let shared = shared.clone();
            thread::spawn(move || keep(stream, most, &shared, |state| &mut state.out));
        }
        if let Some(stream) = child.stderr.take() {
            let shared = shared.clone();
            thread::spawn(move || keep(stream, most, &shared, |state| &mut state.err));
        }
        let pid = u64::from(child.id());
        let waiting = shared.clone();
        thread::spawn(move || wait(child, &waiting));
        Ok(Self { pid, shared })
    }

    pub fn pid(&self) -> u64 {
        self.pid
    }

    /// Once it has ended and nobody holds its output open any more.
    pub fn ended(&self) -> Option<Value> {
        let state = lock(&self.shared);
        let status = state.status.filter(|_| state.out.closed && state.err.closed)?;
        let mut ended = json!({ "exited": 1 });
        if let Some(code) = status.code() {
            ended["exitcode"] = code.into();
        }
        if let Some(signal) = status.signal() {
            ended["signal"] = signal.into();
        }
        for (name, kept) in [("out", &state.out), ("err", &state.err)] {
            if !kept.bytes.is_empty() {
                ended[format!("{name}-data")] = latin::characters(&kept.bytes).into();
            }
            if kept.cut {
                ended[format!("{name}-truncated")] = 1.into();
            }
        }
        Some(ended)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if lock(&self.shared).status.is_some() {
            return;
        }
        let Ok(pid) = i32::try_from(self.pid).map(Pid::from_raw) else { return };
        // A group is only ever its own.
        let _ = match getpgid(Some(pid)) {
            Ok(group) if group == pid => killpg(pid, Signal::SIGKILL),
            _ => kill(pid, Signal::SIGKILL),
        };
    }
}

fn lock(shared: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait(mut child: Child, shared: &Mutex<State>) {
    let status = child.wait();
    lock(shared).status = status.ok();
}

fn keep(mut stream: impl Read, most: usize, shared: &Mutex<State>, of: fn(&mut State) -> &mut Kept) {
    let mut chunk = vec![0; 64 << 10];
    while let Ok(length @ 1..) = stream.read(&mut chunk) {
        let mut state = lock(shared);
        let kept = of(&mut state);
        let room = most.saturating_sub(kept.bytes.len()).min(length);
        kept.bytes.extend_from_slice(&chunk[..room]);
        kept.cut |= room < length;
    }
    of(&mut lock(shared)).closed = true;
}
