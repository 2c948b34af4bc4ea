//! One connection: its request, its command, its answer.
//!
//! A job waits for its request, then for its command's end, then is done. Whichever comes first ends the command: its
//! own end, the deadline, or the caller hanging up, which is how a call is cancelled.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::Room;
use super::gate::{Gate, refusal};
use super::packet::{answer, has_hung_up, receive, send};
use crate::enter::leaf::Leaf;
use crate::enter::{self, Ended, EnterError, KillBy, Running};
use crate::exec::wire::{LaneReport, Mode, Outcome, PeakOf, Refusal, Reply, Request};

/// How long a peer may take from connecting to asking.
const PATIENCE_FOR_REQUEST: Duration = Duration::from_secs(5);
/// How long a killed command may take to end before its caller is told that it has not.
const PATIENCE_FOR_END: Duration = Duration::from_secs(5);

pub struct Job {
    connection: OwnedFd,
    stage: Stage,
}

enum Stage {
    /// Connected, and has not asked yet.
    Silent {
        deadline: Instant,
    },
    Running(Box<Command>),
    Done,
}

struct Command {
    running: Running,
    mode: Mode,
    lane: LaneReport,
    deadline: Instant,
    killed: Option<Why>,
    /// The container went down under it.
    stopped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    TimedOut,
    HungUp,
    /// Killed, told its caller that it would not end, and still has not.
    Stuck,
}

/// What the loop does with a job after its turn.
pub enum Next {
    Wait,
    /// A command was started: watch its pidfd too.
    Watch,
    Done,
}

impl Job {
    pub fn new(connection: OwnedFd) -> Self {
        Self { connection, stage: Stage::Silent { deadline: Instant::now() + PATIENCE_FOR_REQUEST } }
    }

    pub fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Silent { deadline } => Some(*deadline),
            Stage::Running(command) if command.killed == Some(Why::Stuck) => None,
            Stage::Running(command) => Some(command.deadline),
            Stage::Done => None,
        }
    }

    pub fn is_late(&self) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= Instant::now())
    }

    pub fn command(&self) -> Option<BorrowedFd<'_>> {
        match &self.stage {
            Stage::Running(command) => Some(command.running.pidfd()),
            _ => None,
        }
    }

    pub fn pid(&self) -> Option<Pid> {
        match &self.stage {
            Stage::Running(command) => Some(command.running.pid()),
            _ => None,
        }
    }

    /// Ends the command because it cannot be watched.
    pub fn abandon(&mut self) {
        if let Stage::Running(command) = &mut self.stage {
            command.end(Why::HungUp);
        }
    }

    /// Ends the command and waits until nothing of it is left.
    pub fn end(self) {
        if let Stage::Running(command) = self.stage {
            command.running.end();
        }
    }

    /// The leaf that is to be cleared away, and whether the container is too.
    pub fn into_leaf(self) -> Option<(Leaf, bool)> {
        match self.stage {
            Stage::Running(command) => command.running.into_leaf().map(|leaf| (leaf, command.stopped)),
            _ => None,
        }
    }

    pub fn turn(&mut self, gate: &mut Gate, room: &mut Room) -> Next {
        match &mut self.stage {
            Stage::Silent { deadline } => {
                let late = *deadline <= Instant::now();
                match receive(&self.connection) {
                    Ok(None) if !late => Next::Wait,
                    Ok(None) => self.refuse(refusal("silent", "no request came".into(), String::new())),
                    // Its hanging up may have come in one event with its request: there would be no other to tell.
                    Ok(Some(_)) if has_hung_up(&self.connection) => {
                        self.stage = Stage::Done;
                        Next::Done
                    }
                    Ok(Some((request, stdio))) => match start(&request, &stdio, gate, room) {
                        Ok(command) => {
                            self.stage = Stage::Running(Box::new(command));
                            Next::Watch
                        }
                        Err(refusal) => {
                            tracing::warn!(
                                provost_guest = request.guest,
                                provost_decision = "refused",
                                kind = refusal.kind,
                                asked_by = ?request.asked_by,
                                "refused: {}",
                                refusal.message
                            );
                            self.refuse(refusal)
                        }
                    },
                    Err(refusal) => self.refuse(refusal),
                }
            }
            Stage::Running(command) => command.turn(&self.connection),
            Stage::Done => Next::Done,
        }
    }

    fn refuse(&mut self, refusal: Refusal) -> Next {
        answer(&self.connection, refusal);
        self.stage = Stage::Done;
        Next::Done
    }
}

impl Command {
    fn turn(&mut self, connection: &OwnedFd) -> Next {
        // A finished command in the inspect lane leaves nothing behind; one that was ended by force neither.
        let keep = self.mode == Mode::Change && self.killed.is_none();
        match self.running.reap(keep) {
            Ok(Some(ended)) => {
                // Asked only where it can be so: it takes a look into /proc.
                self.stopped =
                    signal_of(ended.status) == Some(libc::SIGKILL) && !self.running.container_runs();
                let container_stopped = self.killed.is_none() && self.stopped;
                let outcome =
                    outcome(&ended, self.killed == Some(Why::TimedOut), container_stopped, self.lane.clone());
                send(connection, &Reply::Ended(outcome));
                return Next::Done;
            }
            Err(error) => {
                self.stopped = true;
                tracing::warn!(kind = error.kind(), "a command was not run: {error}");
                send(connection, &Reply::Refused(of_entry(&error)));
                return Next::Done;
            }
            Ok(None) => {}
        }
        if self.killed.is_none() && has_hung_up(connection) {
            self.end(Why::HungUp);
        }
        if self.deadline <= Instant::now() {
            match self.killed {
                None => self.end(Why::TimedOut),
                Some(Why::Stuck) => {}
                Some(_) => {
                    let message =
                        "the command was killed and has not ended: it is frozen, traced, or waits on a device".into();
                    let next =
                        "thaw the container or see what it waits for (cat /proc/PID/stack on the node)"
                            .into();
                    send(connection, &Reply::Refused(refusal("stuck", message, next)));
                    self.killed = Some(Why::Stuck);
                }
            }
        }
        Next::Wait
    }

    fn end(&mut self, why: Why) {
        self.running.kill();
        self.killed = Some(why);
        self.deadline = Instant::now() + PATIENCE_FOR_END;
    }
}

/// Passes the gate, writes the journal's entry, and starts the command: in that order, so that nothing runs unlisted
/// or unrecorded.
fn start(
    request: &Request,
    stdio: &[OwnedFd; 3],
    gate: &mut Gate,
    room: &mut Room,
) -> Result<Command, Refusal> {
    gate.check(request)?;
    let started = Instant::now();
    let command = enter::Command {
        argv: request.argv.iter().map(|argument| c_string(argument)).collect::<Result<_, _>>()?,
        env: request.env.clone(),
        cwd: c_string(&request.cwd)?,
        user: request.user.clone(),
    };
    let floor = gate.exec().inspect_floor;
    let (target, maker, lane) = room.target(gate, request.guest).map_err(|error| of_entry(&error))?;
    let lane = match request.mode {
        Mode::Change => None,
        Mode::Inspect if lane.meets(floor) => Some(lane),
        Mode::Inspect => return Err(of_entry(&EnterError::Floor { abi: lane.abi(), floor })),
    };
    record(request, gate.records_argv());
    let stdio = stdio.each_ref().map(AsFd::as_fd);
    let running = match enter::spawn(target, &command, stdio, lane, maker) {
        Ok(running) => running,
        Err(error) => {
            room.look_after(request.guest);
            return Err(of_entry(&error));
        }
    };
    let report = LaneReport {
        mode: request.mode,
        kill: match running.kill_by() {
            KillBy::Cgroup => "cgroup".into(),
            KillBy::PidNamespaceWalk => "pid_namespace_walk".into(),
        },
        landlock_abi: lane.map(|lane| lane.abi()),
        seccomp: lane.map(|lane| lane.guarantees().seccomp),
        not_guarded: lane
            .map(|lane| lane.guarantees().missing)
            .unwrap_or_default()
            .into_iter()
            .map(Into::into)
            .collect(),
    };
    let deadline = started + Duration::from_millis(request.timeout_ms);
    Ok(Command { running, mode: request.mode, lane: report, deadline, killed: None, stopped: false })
}

/// The one journal entry of a command, written before it starts.
fn record(request: &Request, in_full: bool) {
    let command = if in_full { &request.argv[..] } else { &request.argv[..1] };
    tracing::info!(
        provost_guest = request.guest,
        provost_decision = "allowed",
        provost_mode = request.mode.name(),
        provost_argv = ?command,
        provost_user = request.user.as_deref().unwrap_or("root"),
        asked_by = ?request.asked_by,
        "{} in container {}: {:?}",
        request.mode.name(),
        request.guest,
        command
    );
}

fn outcome(ended: &Ended, timed_out: bool, container_stopped: bool, lane: LaneReport) -> Outcome {
    let status = ended.status;
    Outcome {
        exit_code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
        signal: signal_of(status),
        timed_out,
        container_stopped,
        duration_us: ended.duration.as_micros() as u64,
        cpu_us: ended.usage.cpu_us,
        peak_bytes: ended.usage.peak_bytes,
        peak_of: if ended.peak_is_of_process { PeakOf::Process } else { PeakOf::Cgroup },
        left_running: ended.left_running,
        lane,
    }
}

/// The signal that ended the command, if one did.
fn signal_of(status: i32) -> Option<i32> {
    libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status))
}

fn of_entry(error: &EnterError) -> Refusal {
    refusal(error.kind(), error.to_string(), error.next())
}

fn c_string(text: &str) -> Result<CString, Refusal> {
    CString::new(text).map_err(|_| refusal("request", format!("{text:?} holds a NUL byte"), String::new()))
}
