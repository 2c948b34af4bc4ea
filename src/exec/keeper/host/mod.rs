//! A command or a file on the node itself, where the operator has switched that on.
//!
//! In: a request that the gate has passed. Out: for a command a service of systemd's ([`service`], [`bus`]), for a file a
//! process of this program's own at the file door ([`crate::enter::host`]). One journal entry each before it starts, as for
//! a container. That a person approved it is `provostd`'s to see to; that it is possible at all is decided here, by the
//! root-owned configuration.

mod bus;
mod service;

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::command::{After, PATIENCE_FOR_CLEARING, Why};
use super::gate::{Gate, refusal};
use super::packet::{answer, has_hung_up, send};
use super::record::Recorder;
use crate::config::host;
use crate::enter::inspect::Lane;
use crate::enter::step::Failure;
use crate::enter::{host as at_door, sys};
use crate::exec::wire::{LaneReport, Mode, Outcome, PeakOf, Refusal, Reply, Request};
use bus::Systemd;
use service::Report;

/// How long what was told to end may take, until its caller hears that it has not.
const PATIENCE_FOR_END: Duration = Duration::from_secs(15);

pub struct HostCall {
    pid: Pid,
    pidfd: OwnedFd,
    /// What the process says at its end.
    said: OwnedFd,
    how: How,
    mode: Mode,
    began: Instant,
    deadline: Instant,
    ending: Option<Why>,
    /// Its caller is gone, and it clears up.
    clearing: bool,
    told: bool,
}

enum How {
    /// systemd runs it, until this pipe is closed.
    Service(Option<OwnedFd>),
    /// It changes a file, and clears up when its pipes end.
    Change,
    Look,
}

impl HostCall {
    pub fn start(
        request: &Request,
        stdio: &[OwnedFd; 3],
        since: Instant,
        gate: &Gate,
        lane: &Lane,
        recorder: &Recorder,
    ) -> Result<Self, Refusal> {
        let failed = |errno| {
            refusal(
                "spawn",
                format!("no process can be made for it: {errno}"),
                "call again when less runs at once".into(),
            )
        };
        let (began, deadline) = (Instant::now(), since + Duration::from_millis(request.timeout_ms));
        let call = |pid, pidfd, said, how| Self {
            pid,
            pidfd,
            said,
            how,
            mode: request.mode,
            began,
            deadline,
            ending: None,
            clearing: false,
            told: false,
        };
        if let Some(errand) = &request.file {
            let config = gate.config();
            let root = host::root(config, errand.path().as_ref()).map(|(root, _)| root);
            let root = root.ok_or_else(|| refusal("not_listed", "no root has it".into(), String::new()))?;
            recorder.record(request, gate.argv_record())?;
            let errand_there = at_door::NodeErrand { errand, lane, config, root };
            let (pid, pidfd, said) =
                at_door::spawn(&errand_there, stdio.each_ref().map(AsFd::as_fd)).map_err(failed)?;
            return Ok(call(pid, pidfd, said, if errand.changes() { How::Change } else { How::Look }));
        }
        recorder.record(request, gate.argv_record())?;
        let service::Started { pid, pidfd, report, control } =
            service::start(request, stdio).map_err(failed)?;
        Ok(call(pid, pidfd, report, How::Service(Some(control))))
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    pub fn deadline(&self) -> Option<Instant> {
        Some(self.deadline).filter(|_| !self.told)
    }

    pub fn turn(&mut self, connection: &OwnedFd) -> After {
        if sys::has_ended(self.pidfd()) {
            return self.finish(connection);
        }
        if self.ending.is_none() && !self.clearing && has_hung_up(connection) {
            match self.how {
                // Its pipes end with its caller.
                How::Change => {
                    self.clearing = true;
                    self.deadline = self.deadline.min(Instant::now() + PATIENCE_FOR_CLEARING);
                }
                _ => self.end(Why::HungUp),
            }
        }
        if self.deadline <= Instant::now() {
            match self.ending {
                None => self.end(Why::TimedOut),
                Some(_) if !self.told => {
                    let message = "it was told to end, and has not: a process of it may wait on a device";
                    answer(
                        connection,
                        refusal(
                            "stuck",
                            message.into(),
                            "on the node: systemctl status 'provost-host-*'".into(),
                        ),
                    );
                    self.told = true;
                    // It waits for a bus that does not answer; systemd ends the command by its own time limit.
                    let _ = sys::pidfd_signal(self.pidfd.as_fd(), libc::SIGKILL);
                }
                Some(_) => {}
            }
        }
        After::Wait
    }

    /// Begins to end it and all that descends from it.
    pub fn end(&mut self, why: Why) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(why);
        self.deadline = Instant::now() + PATIENCE_FOR_END;
        match &mut self.how {
            How::Service(control) => drop(control.take()),
            How::Change | How::Look => {
                let _ = sys::pidfd_signal(self.pidfd.as_fd(), libc::SIGKILL);
            }
        }
    }

    fn finish(&mut self, connection: &OwnedFd) -> After {
        let status = sys::reap(self.pid).ok().flatten().map_or(0, |reaped| reaped.status);
        let reply = match &self.how {
            How::Service(_) => self.of_service(),
            How::Change | How::Look => self.of_door(status),
        };
        if !self.told && self.ending != Some(Why::Ending) {
            send(connection, &reply.unwrap_or_else(Reply::Refused));
        }
        After::Done
    }

    fn of_service(&self) -> Result<Reply, Refusal> {
        let lost = || {
            let next = "on the node: systemctl status 'provost-host-*'; journalctl -t provost-execd";
            refusal(
                "lost",
                "the process that waited for the command was ended, and systemd ends the command".into(),
                next.into(),
            )
        };
        let mut text = Vec::new();
        // All of it is there: it was written in one go, before the end.
        let _ = std::fs::File::from(self.said.try_clone().map_err(|_| lost())?).read_to_end(&mut text);
        match serde_json::from_slice(&text).map_err(|_| lost())? {
            Report::Refused(refusal) => Err(refusal),
            Report::Ended { timed_out, exit_code, signal, duration_us, cpu_us, peak_bytes } => {
                let timed_out = timed_out || self.ending == Some(Why::TimedOut);
                Ok(Reply::Ended(Outcome {
                    exit_code,
                    signal,
                    timed_out,
                    duration_us,
                    cpu_us,
                    peak_bytes,
                    ..self.outcome()
                }))
            }
        }
    }

    fn of_door(&self, status: i32) -> Result<Reply, Refusal> {
        let mut bytes = [0; Failure::SIZE];
        if let Ok(Failure::SIZE) = nix::unistd::read(&self.said, &mut bytes)
            && let Some(Failure { step, errno }) = Failure::from_bytes(bytes)
        {
            let message = format!("{step} failed on the node: {errno}");
            return Err(refusal("entry", message, "journalctl -t provost-execd has the whole story".into()));
        }
        let exit_code = libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
        let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
        let timed_out = self.ending == Some(Why::TimedOut);
        Ok(Reply::Ended(Outcome { exit_code, signal, timed_out, ..self.outcome() }))
    }

    fn outcome(&self) -> Outcome {
        Outcome {
            exit_code: None,
            signal: None,
            timed_out: false,
            container_stopped: false,
            duration_us: self.began.elapsed().as_micros() as u64,
            cpu_us: None,
            peak_bytes: None,
            peak_of: PeakOf::Cgroup,
            left_running: 0,
            lane: LaneReport {
                mode: self.mode,
                kill: "cgroup".into(),
                landlock_abi: None,
                seccomp: None,
                not_guarded: Vec::new(),
            },
        }
    }
}

/// Ends what commands of an earlier run left on the node: that run and the processes that waited for them were killed at
/// once.
pub fn sweep(gate: &Gate) {
    if !gate.exec().host {
        return;
    }
    let ended = Systemd::connect().and_then(|mut systemd| {
        let left = systemd.all()?;
        for name in &left {
            tracing::warn!(unit = name, "ends a command on the node that an earlier run left");
            systemd.stop(name)?;
        }
        Ok(())
    });
    if let Err(error) = ended {
        tracing::warn!("commands on the node cannot run, as systemd cannot be asked: {error}");
    }
}
