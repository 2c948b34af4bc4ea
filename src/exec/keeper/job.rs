//! One connection: its request, its command, its answer.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::Room;
use super::command::{After, Command, Why};
use super::gate::{Gate, refusal};
use super::host::HostCall;
use super::packet::{answer, has_hung_up, receive};
use super::start::{Started, start};
use crate::enter::hunt::Hunt;
use crate::enter::leaf::Leaf;
use crate::enter::walk::Scan;
use crate::exec::wire::{Refusal, Request};

/// How long a peer may take from connecting to asking.
const PATIENCE_FOR_REQUEST: Duration = Duration::from_secs(5);

pub struct Job {
    connection: OwnedFd,
    stage: Stage,
}

enum Stage {
    /// Connected, and has not asked yet.
    Silent {
        deadline: Instant,
    },
    /// Its container's monitor is being asked.
    Waiting {
        request: Box<Request>,
        stdio: [OwnedFd; 3],
        since: Instant,
    },
    Running(Box<Command>),
    /// On the node itself.
    OnHost(Box<HostCall>),
    Done,
}

/// What the loop does with a job after its turn.
pub enum Next {
    Wait,
    /// A command was started: watch its pidfd too.
    Watch,
    /// What is left in a command's leaf ends: watch that.
    WatchLeaf,
    Done,
}

impl Job {
    pub fn new(connection: OwnedFd) -> Self {
        Self { connection, stage: Stage::Silent { deadline: Instant::now() + PATIENCE_FOR_REQUEST } }
    }

    pub fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Silent { deadline } => Some(*deadline),
            Stage::Running(command) => command.deadline(),
            Stage::OnHost(call) => call.deadline(),
            // The inquiry has one.
            Stage::Waiting { .. } | Stage::Done => None,
        }
    }

    /// The container whose monitor it waits for.
    pub fn waits_for(&self) -> Option<u32> {
        match &self.stage {
            Stage::Waiting { request, .. } => request.guest.vmid(),
            _ => None,
        }
    }

    pub fn is_late(&self) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= Instant::now())
    }

    fn command(&self) -> Option<&Command> {
        match &self.stage {
            Stage::Running(command) => Some(command),
            _ => None,
        }
    }

    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        match &self.stage {
            Stage::OnHost(call) => Some(call.pidfd()),
            _ => self.command().map(Command::pidfd),
        }
    }

    pub fn pid(&self) -> Option<Pid> {
        match &self.stage {
            Stage::OnHost(call) => Some(call.pid()),
            _ => self.command().map(Command::pid),
        }
    }

    pub fn leaf_events(&self) -> Option<BorrowedFd<'_>> {
        self.command().and_then(Command::leaf_events)
    }

    pub fn hunt(&mut self) -> Option<&mut Hunt> {
        match &mut self.stage {
            Stage::Running(command) => command.hunt(),
            _ => None,
        }
    }

    /// Takes in a scan; true when the job is due for a turn by it.
    pub fn see(&mut self, scan: &Scan) -> bool {
        match &mut self.stage {
            Stage::Running(command) => command.see(scan),
            _ => false,
        }
    }

    /// Begins to end the command. False where there is none.
    pub fn end(&mut self, why: Why) -> bool {
        match &mut self.stage {
            Stage::Running(command) => {
                command.end(why);
                true
            }
            Stage::OnHost(call) => {
                call.end(why);
                true
            }
            _ => false,
        }
    }

    /// The leaf that is to be cleared away, and whether the container is too.
    pub fn into_leaf(self) -> Option<(Leaf, bool)> {
        match self.stage {
            Stage::Running(command) => command.into_leaf(),
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
                    Ok(Some((request, stdio))) => {
                        self.start(Box::new(request), stdio, Instant::now(), gate, room)
                    }
                    Err(refusal) => self.refuse(refusal),
                }
            }
            Stage::Waiting { .. } if has_hung_up(&self.connection) => {
                self.stage = Stage::Done;
                Next::Done
            }
            Stage::Waiting { .. } => match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Waiting { request, stdio, since } => self.start(request, stdio, since, gate, room),
                _ => Next::Done,
            },
            Stage::OnHost(call) => match call.turn(&self.connection) {
                After::Done => Next::Done,
                After::Wait | After::WatchLeaf => Next::Wait,
            },
            Stage::Running(command) => match command.turn(&self.connection) {
                After::Wait => Next::Wait,
                After::WatchLeaf => Next::WatchLeaf,
                After::Done => Next::Done,
            },
            Stage::Done => Next::Done,
        }
    }

    fn start(
        &mut self,
        request: Box<Request>,
        stdio: [OwnedFd; 3],
        since: Instant,
        gate: &mut Gate,
        room: &mut Room,
    ) -> Next {
        match start(&request, &stdio, since, gate, room) {
            Ok(None) => {
                self.stage = Stage::Waiting { request, stdio, since };
                Next::Wait
            }
            Ok(Some(Started::Inside(command))) => {
                self.stage = Stage::Running(command);
                Next::Watch
            }
            Ok(Some(Started::Host(call))) => {
                self.stage = Stage::OnHost(Box::new(call));
                Next::Watch
            }
            Err(refusal) => {
                tracing::warn!(
                    provost_guest = %request.guest,
                    provost_decision = "refused",
                    kind = refusal.kind,
                    asked_by = ?request.asked_by,
                    "refused: {}",
                    refusal.message
                );
                self.refuse(refusal)
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal) -> Next {
        answer(&self.connection, refusal);
        self.stage = Stage::Done;
        Next::Done
    }
}
