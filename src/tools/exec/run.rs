//! One command: its pipes, its output while it runs, its end.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext, RoleServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio_util::sync::CancellationToken;

use super::output::{Kept, Shown, share};
use super::receipt::Leave;
use crate::exec::client;
use crate::exec::wire::{Mode, Outcome, Reply, Request, Script, VERSION};
use crate::policy::Permit;
use crate::text::clean;
use crate::tools::answer::Failure;
use crate::tools::pipes::{Pipes, no_pipes};
use crate::tools::record::Notes;

/// What to run, as far as the caller says it.
#[derive(Clone)]
pub struct Wanted {
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    pub cwd: String,
    pub user: Option<String>,
    pub timeout_ms: u64,
    /// What goes to its stdin is a script, and is on record.
    pub is_script: bool,
    /// Bytes of its output that are kept, where they are others than the configuration's.
    pub most: Option<usize>,
    /// Of a VM: the node that it is on.
    pub vm: Option<String>,
}

impl Wanted {
    /// Bytes that it holds.
    pub fn size(&self) -> usize {
        let variables = self.env.iter().flat_map(|(name, value)| [name, value]);
        self.argv.iter().chain(variables).map(|text| size_of::<String>() + text.len()).sum()
    }
}

/// What it wrote until it ended or was given up, and how that was.
pub struct Ran {
    pub end: Result<Outcome, Stop>,
    pub stdout: Shown,
    pub stderr: Shown,
}

/// Why a command did not come to its end.
pub enum Stop {
    /// Nothing of it ran.
    Refused(Failure),
    /// The way to it broke. It is killed with its connection.
    Lost(Failure),
    /// Its caller gave it up. It is killed.
    Cancelled,
    /// In a VM: its end was not seen, or not waited for.
    Left { failure: Failure, killed: bool },
}

impl Stop {
    pub fn failure(&self) -> Failure {
        match self {
            Self::Refused(failure) | Self::Lost(failure) | Self::Left { failure, .. } => failure.clone(),
            Self::Cancelled => super::cancelled(),
        }
    }
}

/// Bytes read in one go: at first, of a command that writes more, and of one that has filled its pipe.
const CHUNKS: [usize; 3] = [4 << 10, 64 << 10, 128 << 10];
/// What such a pipe then holds: while one half is read and hashed, the other is written. All of an account's pipes together
/// may hold 64 MiB before the kernel makes new ones narrow.
const WIDE: i32 = 256 << 10;
/// What is still read once the command has ended: all that a pipe can hold. More comes from a process that goes on,
/// and that is not waited for.
const LAST: usize = 1 << 20;

pub async fn run(
    permit: &Permit,
    leave: &Leave,
    wanted: Wanted,
    stdin: Option<String>,
    mut progress: Option<Progress>,
    given_up: &CancellationToken,
) -> Ran {
    let exec = permit.exec();
    let most = wanted.most.unwrap_or(exec.max_output);
    let request = Request {
        version: VERSION,
        guest: permit.guest(),
        // Never wider than what is on record.
        mode: match leave {
            Leave::Inspect(_) => Mode::Inspect,
            Leave::Change(_) => permit.mode(),
        },
        argv: wanted.argv,
        env: wanted.env,
        cwd: wanted.cwd,
        user: wanted.user,
        timeout_ms: wanted.timeout_ms,
        asked_by: permit.asked_by().to_owned(),
        script: stdin.as_deref().filter(|_| wanted.is_script).map(Script::of),
        file: None,
    };
    let (mut out, mut err) = (Kept::new(most), Kept::new(most));
    let asked = Pipes::new().map_err(no_pipes).and_then(|pipes| {
        let ends = [&pipes.stdin_end, &pipes.stdout_end, &pipes.stderr_end];
        let call = client::ask(&exec.socket, &request, ends)?;
        Ok((call, pipes.keep_ours().map_err(no_pipes)?))
    });
    let (call, Pipes { stdin: input, mut stdout, mut stderr, .. }) = match asked {
        Ok(asked) => asked,
        Err(failure) => {
            let (stdout, stderr) = share(out, err, most);
            return Ran { end: Err(Stop::Refused(failure)), stdout, stderr };
        }
    };
    // With nothing to say, the command sees the end of its input at once.
    let feed = stdin.filter(|text| !text.is_empty()).map(|text| tokio::spawn(feed(input, text)));
    let _feed = feed.map(AbortOnDrop);

    let (mut out_open, mut err_open) = (true, true);
    let (mut out_chunk, mut err_chunk) = (Vec::with_capacity(CHUNKS[0]), Vec::with_capacity(CHUNKS[0]));
    let reply = call.reply();
    tokio::pin!(reply);
    let reply = loop {
        out_chunk.clear();
        err_chunk.clear();
        let due = progress.as_ref().and_then(Progress::due);
        tokio::select! {
            // The end before output: a process that the command left behind may write for ever. What the command itself
            // wrote by then is in the pipes, and read from there below.
            biased;
            // The connection closes as this returns: provost-execd kills the command and all that it started.
            () = given_up.cancelled() => break None,
            reply = &mut reply => break Some(reply),
            read = stdout.read_buf(&mut out_chunk), if out_open => out_open = took(read, &mut out, &out_chunk),
            read = stderr.read_buf(&mut err_chunk), if err_open => err_open = took(read, &mut err, &err_chunk),
            () = until(due), if due.is_some() => {}
        }
        widen(&stdout, &mut out_chunk);
        widen(&stderr, &mut err_chunk);
        if let Some(progress) = &mut progress {
            progress.saw(&out_chunk, &err_chunk);
        }
    };
    if out_open {
        last(&stdout, &mut out, &mut out_chunk);
    }
    if err_open {
        last(&stderr, &mut err, &mut err_chunk);
    }
    if let Some(progress) = progress.filter(|_| reply.is_some()) {
        // A client that does not read is not waited for.
        let _ = tokio::time::timeout(Duration::from_secs(1), progress.settle()).await;
    }
    let (stdout, stderr) = share(out, err, most);
    let end = match reply {
        None => Err(Stop::Cancelled),
        Some(Ok(Reply::Ended(outcome))) => Ok(outcome),
        Some(Ok(Reply::Refused(refusal))) if stdout.total + stderr.total == 0 => {
            Err(Stop::Refused(refusal.into()))
        }
        Some(Ok(Reply::Refused(refusal))) => Err(Stop::Lost(with_output(refusal.into(), &stdout, &stderr))),
        Some(Err(error)) => Err(Stop::Lost(with_output(error.into(), &stdout, &stderr))),
    };
    Ran { end, stdout, stderr }
}

/// What a command had written when it was given up is what its caller has to go by.
fn with_output(failure: Failure, stdout: &Shown, stderr: &Shown) -> Failure {
    if stdout.total + stderr.total == 0 {
        return failure;
    }
    failure.with("stdout", stdout.text.as_str()).with("stderr", stderr.text.as_str())
}

async fn until(due: Option<Instant>) {
    match due {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn took(read: io::Result<usize>, kept: &mut Kept, chunk: &[u8]) -> bool {
    kept.take(chunk);
    if matches!(read, Ok(0)) {
        kept.end();
    }
    // An error on our own end of a pipe ends the stream as its close would.
    read.is_ok_and(|length| length > 0)
}

/// More room for a stream that has just filled what there was.
fn widen(stream: &Receiver, chunk: &mut Vec<u8>) {
    let room = chunk.capacity();
    let Some(next) = CHUNKS.iter().find(|size| chunk.len() == room && **size > room) else { return };
    chunk.reserve_exact(next - chunk.len());
    if *next == CHUNKS[2] {
        // Where the kernel gives no more, it goes on as it is.
        let _ = fcntl(stream, FcntlArg::F_SETPIPE_SZ(WIDE));
    }
}

/// What is in the pipe now.
fn last(stream: &Receiver, kept: &mut Kept, chunk: &mut Vec<u8>) {
    let mut left = LAST;
    chunk.clear();
    while left > 0
        && let Ok(length) = stream.try_read_buf(chunk)
    {
        if length == 0 {
            return kept.end();
        }
        kept.take(chunk);
        chunk.clear();
        left = left.saturating_sub(length);
    }
}

async fn feed(mut input: Sender, text: String) {
    // A command may end or close its stdin before it has read everything: its own affair.
    let _ = input.write_all(text.as_bytes()).await;
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// MCP progress with the lines that a command writes while it runs.
pub struct Progress {
    peer: Peer<RoleServer>,
    token: ProgressToken,
    notes: Arc<Notes>,
    bytes: u64,
    pending: Vec<u8>,
    told: Option<Instant>,
    in_flight: Option<tokio::task::JoinHandle<()>>,
}

impl Progress {
    /// Notifications come no closer than this; what is written meanwhile goes into one.
    const APART: Duration = Duration::from_millis(100);
    /// Bytes of output in one notification: the newest.
    const MOST: usize = 2048;

    /// None when the client did not ask for progress.
    pub fn of(context: &RequestContext<RoleServer>, notes: &Arc<Notes>) -> Option<Self> {
        let token = context.meta.get_progress_token()?;
        Some(Self {
            peer: context.peer.clone(),
            token,
            notes: notes.clone(),
            bytes: 0,
            pending: Vec::new(),
            told: None,
            in_flight: None,
        })
    }

    fn saw(&mut self, stdout: &[u8], stderr: &[u8]) {
        self.bytes += (stdout.len() + stderr.len()) as u64;
        for part in [stdout, stderr] {
            self.pending.extend_from_slice(&part[part.len().saturating_sub(Self::MOST)..]);
        }
        let over = self.pending.len().saturating_sub(Self::MOST);
        self.pending.drain(..over);
        let soon = self.told.is_some_and(|told| told.elapsed() < Self::APART);
        if soon || self.busy() || self.pending.is_empty() {
            return;
        }
        self.notes.made_by_guest();
        let message = clean(&std::mem::take(&mut self.pending));
        let notification =
            ProgressNotificationParam::new(self.token.clone(), self.bytes as f64).with_message(message);
        let peer = self.peer.clone();
        self.told = Some(Instant::now());
        self.in_flight = Some(tokio::spawn(async move {
            // A client that is gone is noticed elsewhere.
            let _ = peer.notify_progress(notification).await;
        }));
    }

    /// A client that reads slowly gets fewer notifications, not a queue of them.
    fn busy(&self) -> bool {
        self.in_flight.as_ref().is_some_and(|sending| !sending.is_finished())
    }

    /// When to look again at what waits, so that it does not wait for the command to write more.
    fn due(&self) -> Option<Instant> {
        let told = self.told.filter(|_| !self.pending.is_empty())?;
        Some(if self.busy() { Instant::now() } else { told } + Self::APART)
    }

    /// Lets the last notification go out first: none may follow the answer.
    async fn settle(self) {
        if let Some(sending) = self.in_flight {
            let _ = sending.await;
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
