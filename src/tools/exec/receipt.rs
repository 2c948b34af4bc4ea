//! The receipts of commands.
//!
//! In the change lane an intent is on the disk before anything is sent, which takes the [`Leave`] that came of it; in the
//! inspect lane the log must be taking receipts. What became of the command is recorded whoever still listens: by
//! [`Running::ended`], or, where the call is dropped, by that.

use std::time::Instant;

use super::output::Shown;
use super::run::{Ran, Stop, Wanted};
use crate::exec::wire::{Mode, Script};
use crate::ledger::receipt::body::{Exec, Intent, Outcome, Output, Refusal, Result as Became};
use crate::ledger::receipt::{Argv, Clean, Json};
use crate::ledger::{Decision, Entry, Ledger, Ready, Recorded, Seq, Unrecorded};
use crate::policy::Permit;
use crate::tools::record::Call;

/// That a command may leave the process, in this lane. Only a durable intent lets one change anything.
pub enum Leave {
    Inspect(Ready),
    Change(Box<Recorded>),
}

/// A command whose end is not recorded yet.
pub struct Running {
    ledger: Ledger,
    /// All that its receipt says but how it ended.
    entry: Entry,
    /// None once it is recorded.
    body: Option<Exec>,
    /// None once it is used up.
    leave: Option<Leave>,
    began: Instant,
}

impl Running {
    /// Records what is about to run. From here on the command's receipt is this one's to leave.
    pub async fn begin(
        call: &mut Call,
        permit: &Permit,
        wanted: &Wanted,
        stdin: Option<&str>,
    ) -> Result<Self, Unrecorded> {
        let ledger = call.ledger().clone();
        let body = Exec {
            argv: Argv::of(&wanted.argv, ledger.argv()),
            cwd: Some(Clean::of(&wanted.cwd)),
            duration_us: 0,
            env: wanted.env.iter().map(|(name, _)| Clean::of(name)).collect(),
            exit_code: None,
            killed: false,
            mode: permit.mode().name(),
            of: None,
            signal: None,
            stderr: Output { bytes: 0, sha256: None },
            stdin: stdin.map(|text| {
                let Script { bytes, sha256 } = Script::of(text);
                Output { bytes, sha256: Some(sha256) }
            }),
            stdout: Output { bytes: 0, sha256: None },
            timed_out: false,
            user: wanted.user.as_deref().map(Clean::of),
        };
        let (leave, entry) = match permit.mode() {
            Mode::Inspect => {
                let ready = ledger.ready()?;
                (Leave::Inspect(ready), call.entry(Decision::Allowed, None, body.clone()))
            }
            Mode::Change => {
                let mut details = serde_json::json!({
                    "cwd": body.cwd, "env": body.env, "stdin": body.stdin, "user": body.user,
                    "timeout_ms": wanted.timeout_ms,
                });
                if let Some(node) = &wanted.vm {
                    details["vm"] = serde_json::json!(Clean::of(node));
                }
                let intent = Intent {
                    act: "exec",
                    args: Some(Json::of_clean(details)),
                    argv: Some(body.argv.clone()),
                    before: None,
                    from: None,
                    sha256: None,
                };
                let entry = call.entry(Decision::Allowed, None, intent.clone());
                (Leave::Change(Box::new(ledger.intent(entry.clone(), intent).await?)), entry)
            }
        };
        call.recorded_elsewhere();
        Ok(Self { ledger, entry, body: Some(body), leave: Some(leave), began: Instant::now() })
    }

    /// The intent's receipt, in the change lane.
    pub fn intent(&self) -> Option<Seq> {
        match &self.leave {
            Some(Leave::Change(recorded)) => Some(recorded.seq()),
            _ => None,
        }
    }

    /// What sending takes.
    pub fn leave(&self) -> Option<&Leave> {
        self.leave.as_ref()
    }

    /// Records how it ended, and answers the receipt's number once that is written: a daemon that is killed takes it along no
    /// more, and within a tenth of a second it survives a power cut too, which the intent of a change did before the command
    /// was sent. Where the disk takes nothing just now, the number is the intent's, and what became of it is recorded as
    /// soon as it can be.
    pub async fn ended(mut self, ran: &Ran) -> (Option<Seq>, Option<Unrecorded>) {
        let Some(mut exec) = self.body.take() else { return (None, None) };
        let (stop, why) = match &ran.end {
            Ok(outcome) => {
                (exec.exit_code, exec.signal) = (outcome.exit_code, outcome.signal);
                (exec.duration_us, exec.timed_out) = (outcome.duration_us, outcome.timed_out);
                (None, outcome.container_stopped.then(|| "the container stopped".to_owned()))
            }
            Err(stop) => (Some(stop), Some(stop.failure().message)),
        };
        (exec.stdout, exec.stderr) = (output(&ran.stdout), output(&ran.stderr));
        let why = why.as_deref().map(Clean::of);
        let refusal = match stop {
            Some(Stop::Refused(failure)) => Some(failure),
            Some(stop) => {
                let killed = !matches!(stop, Stop::Left { killed: false, .. });
                (exec.killed, exec.duration_us) = (killed, self.elapsed());
                None
            }
            None => None,
        };
        match (self.leave.take(), refusal) {
            (Some(Leave::Change(recorded)), refusal) => {
                let intent = recorded.seq();
                let recorded = match refusal {
                    Some(_) => {
                        let duration_us = self.elapsed();
                        let outcome = Outcome {
                            answer: None,
                            duration_us,
                            of: intent,
                            result: Became::Failed,
                            status: None,
                            upid: None,
                        };
                        recorded.refused().outcome_numbered(why, outcome).await
                    }
                    None => recorded.outcome_numbered(why, exec).await,
                };
                recorded.map_or_else(|error| (Some(intent), Some(error)), |seq| (Some(seq), None))
            }
            (_, Some(failure)) => {
                let body = Refusal {
                    args: None,
                    argv: Some(exec.argv),
                    code: Clean::of(&failure.kind),
                    next: (!failure.next.is_empty()).then(|| Clean::of(&failure.next)),
                };
                self.record(Entry {
                    decision: Some(Decision::Refused),
                    why,
                    body: body.into(),
                    ..self.entry.clone()
                })
                .await
            }
            (_, None) => self.record(Entry { why, body: exec.into(), ..self.entry.clone() }).await,
        }
    }

    async fn record(&self, entry: Entry) -> (Option<Seq>, Option<Unrecorded>) {
        match self.ledger.append_numbered(entry.clone()).await {
            Ok(seq) => (Some(seq), None),
            Err(error) => {
                // It changed nothing. If the disk still takes none, it is counted.
                self.ledger.leave(entry);
                (None, Some(error))
            }
        }
    }

    fn elapsed(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An intent says by itself that it was given up.
        if let (Some(exec), Some(Leave::Inspect(_))) = (self.body.take(), &self.leave) {
            let body = Exec { killed: true, duration_us: self.elapsed(), ..exec };
            let why = Some("the call was given up, and the command killed".into());
            self.ledger.leave(Entry { why, body: body.into(), ..self.entry.clone() });
        }
    }
}

fn output(shown: &Shown) -> Output {
    Output { bytes: shown.total, sha256: shown.sha256.clone() }
}
