//! `provostd`'s side of the file door: one connection and three pipes an errand. Dropping it ends the errand.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio_util::sync::CancellationToken;

use crate::door::{Errand, Said};
use crate::exec::client::{self, Call};
use crate::exec::wire::{Mode, Outcome, Reply, Request, VERSION};
use crate::policy::Permit;
use crate::text::clean;
use crate::tools::answer::{CANCELLED, Failure};
use crate::tools::pipes::{Pipes, no_pipes};

/// Bytes of one thing said: more is not ours.
const LONGEST: usize = 64 << 10;
const CHUNK: usize = 256 << 10;
/// As much as a pipe may hold where nobody has said otherwise.
const PIPE: i32 = 1 << 20;
/// How long an errand may take.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Door<'a> {
    life: Life<'a>,
    input: Option<Sender>,
    output: Receiver,
    said: Receiver,
    /// What was said, as far as it is not a line yet.
    begun: Vec<u8>,
}

/// Whether the errand is still under way, and wanted.
struct Life<'a> {
    call: Call,
    ended: Option<Outcome>,
    given_up: Option<&'a CancellationToken>,
}

/// How long an errand may take by the configuration.
pub fn patience(permit: &Permit) -> Duration {
    PATIENCE.min(Duration::from_secs(permit.exec().max_timeout_s.into()))
}

impl<'a> Door<'a> {
    pub fn open(permit: &Permit, errand: Errand, given_up: &'a CancellationToken) -> Result<Self, Failure> {
        let request = Request {
            version: VERSION,
            guest: permit.guest(),
            mode: if errand.changes() { Mode::Change } else { Mode::Inspect },
            argv: Vec::new(),
            env: Vec::new(),
            cwd: "/".into(),
            user: None,
            timeout_ms: patience(permit).as_millis() as u64,
            asked_by: permit.asked_by().to_owned(),
            script: None,
            file: Some(errand),
        };
        let pipes = Pipes::new().map_err(no_pipes)?;
        for end in [&pipes.stdin, &pipes.stdout] {
            // Slower without, and no worse.
            let _ = nix::fcntl::fcntl(end, nix::fcntl::FcntlArg::F_SETPIPE_SZ(PIPE));
        }
        let ends = [&pipes.stdin_end, &pipes.stdout_end, &pipes.stderr_end];
        let call = client::ask(&permit.exec().socket, &request, ends)?;
        let Pipes { stdin, stdout, stderr, .. } = pipes.keep_ours().map_err(no_pipes)?;
        let life = Life { call, ended: None, given_up: Some(given_up) };
        Ok(Self { life, input: Some(stdin), output: stdout, said: stderr, begun: Vec::new() })
    }

    /// From here on it is seen through, whoever still waits for it.
    pub fn see_through(&mut self) {
        self.life.given_up = None;
    }

    /// What it says next; none once it has said everything. A refusal is a failure.
    pub async fn hear(&mut self) -> Result<Option<Said>, Failure> {
        loop {
            if let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
                let rest = self.begun.split_off(end + 1);
                let line = std::mem::replace(&mut self.begun, rest);
                return match serde_json::from_slice(&line) {
                    Ok(Said::Refused(no)) => {
                        Err(Failure::new(&no.kind, clean(no.message.as_bytes()), no.next).with(SAID, true))
                    }
                    Ok(said) => Ok(Some(said)),
                    Err(_) => Err(unclear()),
                };
            }
            if self.begun.len() > LONGEST {
                return Err(unclear());
            }
            let read = self.life.during(self.said.read_buf(&mut self.begun)).await?;
            if !read.is_ok_and(|length| length > 0) {
                return Ok(None);
            }
        }
    }

    /// As [`Door::hear`], where something has to come.
    pub async fn answer(&mut self) -> Result<Said, Failure> {
        match self.hear().await? {
            Some(said) => Ok(said),
            None => Err(self.ended().await.err().unwrap_or_else(unclear)),
        }
    }

    /// The bytes that it gives out, to their end or to as many as were announced.
    pub async fn take(
        &mut self,
        most: u64,
        mut each: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<u64, Failure> {
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut total = 0;
        while total < most {
            chunk.clear();
            let want = (CHUNK as u64).min(most - total) as usize;
            let read = self.life.during((&mut self.output).take(want as u64).read_buf(&mut chunk)).await?;
            match read {
                Ok(0) | Err(_) => break,
                Ok(length) => total += length as u64,
            }
            each(&chunk)?;
        }
        Ok(total)
    }

    /// Hands content in. Where it is not taken, what is said next tells why.
    pub async fn give(&mut self, parts: [&[u8]; 2]) -> Result<(), Failure> {
        let Some(mut input) = self.input.take() else { return Ok(()) };
        for part in parts {
            if self.life.during(input.write_all(part)).await?.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Its end: that it came to one by itself.
    pub async fn ended(&mut self) -> Result<(), Failure> {
        self.input = None;
        let outcome = match self.life.ended.take() {
            Some(outcome) => outcome,
            None => match self.life.call.reply().await? {
                Reply::Ended(outcome) => outcome,
                Reply::Refused(refusal) => return Err(refusal.into()),
            },
        };
        if outcome.timed_out {
            let message = format!("it took longer than {PATIENCE:?}: the file system is slow, or hangs");
            return Err(Failure::new(
                "timeout",
                message,
                "ask for less of the file, or see what its storage does",
            ));
        }
        match (outcome.exit_code, outcome.container_stopped) {
            (Some(0), _) => Ok(()),
            (_, true) => {
                Err(Failure::new("gone", "the container stopped meanwhile", "start it and call again"))
            }
            _ => Err(Failure::new(
                "broken",
                "the process at the file door was ended from within the container, or by its limits",
                "see the container's memory and its log, and call again",
            )),
        }
    }
}

/// Marks, until it is answered, a failure that the door itself named: nothing was changed then.
const SAID: &str = "said";

/// Whether the door said so itself, rather than not having been heard of; and the failure without that mark.
pub fn said(mut failure: Failure) -> (bool, Failure) {
    let said = failure.beside.remove(SAID).is_some();
    (said, failure)
}

/// Marks a failure as one that changed nothing, whoever knows that.
pub fn nothing_changed(failure: Failure) -> Failure {
    failure.with(SAID, true)
}

impl Life<'_> {
    async fn during<T>(&mut self, step: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::pin!(step);
        let given_up = self.given_up;
        let cancelled = async {
            match given_up {
                Some(token) => token.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(cancelled);
        loop {
            tokio::select! {
                biased;
                () = &mut cancelled => return Err(Failure::new(CANCELLED, "the call was cancelled; nothing was changed", "")),
                done = &mut step => return Ok(done),
                reply = self.call.reply(), if self.ended.is_none() => match reply? {
                    // What it said and gave before is still in the pipes.
                    Reply::Ended(outcome) => self.ended = Some(outcome),
                    Reply::Refused(refusal) => return Err(refusal.into()),
                },
            }
        }
    }
}

pub fn unclear() -> Failure {
    let next = "on the node: journalctl -t provost-execd; restart both daemons after an upgrade";
    Failure::new("execd_broken", "what the file door said is not understood", next)
}
