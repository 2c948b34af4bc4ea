//! `provost-execd`'s end of the wire: one thread, one event loop, one process a command.
//!
//! In: connections from `provostd`. Out: commands in containers that the operator listed, and on the node itself where the
//! operator lets them, one journal entry each. It
//! never reads a byte of what a command writes, and it decides by its own configuration alone: a `provostd` that was
//! taken over gains no container by asking.

mod command;
mod gate;
mod host;
mod inquiries;
mod job;
mod journal;
mod left;
mod listen;
mod packet;
mod pursuit;
mod record;
mod remains;
mod room;
mod start;

use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use crate::enter::sys;
use command::Why;
use gate::Gate;
use job::{Job, Next};
use pursuit::Pursuit;
use room::Room;

/// Commands at once, whatever the configuration says: each costs descriptors and a process.
const MOST_JOBS: usize = 1024;
/// How long nobody is let in after somebody could not be.
const DEAF_FOR: Duration = Duration::from_millis(250);
/// Connections let in in one turn of the loop: those who wait for something else have theirs too.
const MOST_ACCEPTED: usize = 16;
/// How long the commands have to end when this process is to.
const PATIENCE_AT_END: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    #[error(transparent)]
    Gate(#[from] gate::GateError),
    #[error(transparent)]
    Listen(#[from] listen::ListenError),
    #[error("cannot watch {what}: {errno}")]
    Watch { what: &'static str, errno: Errno },
    #[error("cannot make this process undumpable: {0}")]
    Undumpable(Errno),
}

/// What the loop knows between events.
pub struct Keeper {
    gate: Gate,
    room: Room,
    listener: OwnedFd,
    /// Readable when a child has ended, or this process should.
    signals: SignalFd,
    epoll: Rc<Epoll>,
    jobs: HashMap<u32, Job>,
    pursuit: Pursuit,
    next_id: u32,
    /// Until when nobody is let in, after somebody could not be.
    deaf_until: Option<Instant>,
    /// Until when the last commands are waited for: this process is to end.
    ending: Option<Instant>,
}

const LISTENER: u64 = 0;
const CONNECTION: u64 = 1;
const COMMAND: u64 = 2;
const LEFT: u64 = 3;
const SIGNALS: u64 = 4;
const LEAF: u64 = 5;
const MONITOR: u64 = 6;
const SWEEP: u64 = 7;

fn token(kind: u64, id: u32) -> u64 {
    kind << 32 | u64::from(id)
}

impl Keeper {
    /// Reads the configuration, listens, and looks at what the kernel offers.
    pub fn open(config: PathBuf) -> Result<Self, KeeperError> {
        // Every child inherits this, so that no container sees into one before its exec.
        nix::sys::prctl::set_dumpable(false).map_err(KeeperError::Undumpable)?;
        let gate = Gate::open(config)?;
        let listener = listen::listener(&gate.exec().socket, gate.peer())?;
        let watch = |errno| KeeperError::Watch { what: "for events", errno };
        let epoll = Rc::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(watch)?);
        epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER)).map_err(watch)?;
        let signals = signals().map_err(watch)?;
        epoll.add(&signals, EpollEvent::new(EpollFlags::EPOLLIN, token(SIGNALS, 0))).map_err(watch)?;
        let mut keeper = Self {
            gate,
            room: Room::new(&epoll),
            listener,
            signals,
            epoll,
            jobs: HashMap::new(),
            pursuit: Pursuit::new(),
            next_id: 0,
            deaf_until: None,
            ending: None,
        };
        keeper.room.sweep(&keeper.gate);
        host::sweep(&keeper.gate);
        Ok(keeper)
    }

    /// Serves until SIGTERM or SIGINT; its commands end with it.
    pub fn serve(mut self) -> Result<(), KeeperError> {
        let watchdog = sd_notify::watchdog_enabled().map(|limit| limit / 2);
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        tracing::info!(
            landlock_abi = self.room.lane.abi(),
            containers = ?self.gate.exec().containers.ranges(),
            host = self.gate.exec().host,
            "serving"
        );
        let mut events = [EpollEvent::empty(); 64];
        loop {
            let hunts = self.pursuit.deadline(&mut self.jobs);
            let deadlines =
                self.jobs.values().filter_map(Job::deadline).chain(self.deaf_until).chain(self.ending);
            let deadlines =
                deadlines.chain(hunts).chain(self.room.remains.deadline()).chain(self.room.deadline());
            let patience = deadlines.map(until).chain(watchdog).min();
            let timeout = patience.map_or(EpollTimeout::NONE, |patience| {
                // Rounded up: a millisecond early would be a turn for nothing.
                let up = if patience.is_zero() { patience } else { patience + Duration::from_millis(1) };
                EpollTimeout::try_from(up).unwrap_or(EpollTimeout::MAX)
            });
            let ready = match self.epoll.wait(&mut events, timeout) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(KeeperError::Watch { what: "for events", errno }),
            };
            for event in &events[..ready] {
                let id = event.data() as u32;
                match event.data() >> 32 {
                    LISTENER => self.accept(),
                    LEFT => self.room.left.turn(id, &mut self.room.remains),
                    SIGNALS if self.is_told_to_end() => self.end(),
                    SIGNALS => self.reap_strays(),
                    MONITOR => self.hear(id),
                    SWEEP => self.room.hear_sweep(id),
                    _ => self.turn(id),
                }
            }
            let late: Vec<u32> =
                self.jobs.iter().filter(|(_, job)| job.is_late()).map(|(id, _)| *id).collect();
            late.into_iter().for_each(|id| self.turn(id));
            let (asked, swept) = self.room.late();
            asked.into_iter().for_each(|vmid| self.hear(vmid));
            swept.into_iter().for_each(|vmid| self.room.hear_sweep(vmid));
            self.pursuit.turn(&mut self.jobs).into_iter().for_each(|id| self.turn(id));
            self.room.remains.turn();
            for leaf in std::mem::take(&mut self.room.swept) {
                let id = self.new_id();
                self.room.left.take(id, leaf, true, &mut self.room.remains);
            }
            if self.ending.is_some_and(|until| self.jobs.is_empty() || until <= Instant::now()) {
                return Ok(());
            }
            self.listen_again()?;
            if watchdog.is_some() {
                let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
            }
        }
    }

    fn listen_again(&mut self) -> Result<(), KeeperError> {
        if self.ending.is_none() && self.deaf_until.is_some_and(|until| until <= Instant::now()) {
            self.deaf_until = None;
            let event = EpollEvent::new(EpollFlags::EPOLLIN, LISTENER);
            let watch = |errno| KeeperError::Watch { what: "for connections", errno };
            self.epoll.add(&self.listener, event).map_err(watch)?;
        }
        Ok(())
    }

    fn new_id(&mut self) -> u32 {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }

    fn accept(&mut self) {
        for _ in 0..MOST_ACCEPTED {
            let connection = match listen::accept(&self.listener) {
                Ok(Some(connection)) => connection,
                Ok(None) => return,
                Err(errno) => {
                    tracing::error!(%errno, "cannot accept a connection");
                    // Out of descriptors, most likely: those that run will free some. Until then the listener would
                    // say the same thing over and over.
                    if self.epoll.delete(&self.listener).is_ok() {
                        self.deaf_until = Some(Instant::now() + DEAF_FOR);
                    }
                    return;
                }
            };
            if let Err(refusal) = self.gate.admit(&connection, self.jobs.len() < MOST_JOBS) {
                packet::answer(&connection, refusal);
                continue;
            }
            let id = self.new_id();
            let event = EpollEvent::new(
                EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET,
                token(CONNECTION, id),
            );
            if let Err(errno) = self.epoll.add(&connection, event) {
                tracing::error!(%errno, "cannot watch a connection");
                continue;
            }
            self.jobs.insert(id, Job::new(connection));
            // The request is most often here already.
            self.turn(id);
        }
    }

    /// A container's monitor has answered: whoever waits for that goes on.
    fn hear(&mut self, vmid: u32) {
        if self.room.hear(&self.gate, vmid) {
            let waiting = self.jobs.iter().filter(|(_, job)| job.waits_for() == Some(vmid));
            let waiting: Vec<u32> = waiting.map(|(id, _)| *id).collect();
            waiting.into_iter().for_each(|id| self.turn(id));
            self.room.forget(vmid);
        }
    }

    /// Lets a job see what happened to it.
    fn turn(&mut self, id: u32) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        match job.turn(&mut self.gate, &mut self.room) {
            Next::Wait => {}
            Next::Watch => {
                // Once: its end is not taken while what descends from it is looked for.
                let event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, token(COMMAND, id));
                if let Some(Err(errno)) = job.pidfd().map(|command| self.epoll.add(command, event)) {
                    tracing::error!(%errno, "cannot watch a command; ending it");
                    job.end(Why::HungUp);
                }
            }
            Next::WatchLeaf => {
                let event = EpollEvent::new(EpollFlags::EPOLLPRI, token(LEAF, id));
                if let Some(Err(errno)) = job.leaf_events().map(|events| self.epoll.add(events, event)) {
                    // It is looked at again at its deadline.
                    tracing::warn!(%errno, "cannot watch a cgroup");
                }
            }
            Next::Done => {
                if let Some((leaf, stopped)) = self.jobs.remove(&id).and_then(Job::into_leaf) {
                    self.room.left.take(id, leaf, stopped, &mut self.room.remains);
                }
            }
        }
    }

    /// Takes what signals came, and says whether one of them was for this process.
    fn is_told_to_end(&self) -> bool {
        let came = std::iter::from_fn(|| self.signals.read_signal().ok().flatten());
        came.filter(|signal| signal.ssi_signo != Signal::SIGCHLD as u32).count() > 0
    }

    /// Lets nobody in any more and ends every command, so that none goes on unwatched.
    fn end(&mut self) {
        if self.ending.is_some() {
            return;
        }
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        let _ = self.epoll.delete(&self.listener);
        self.jobs.retain(|_, job| job.end(Why::Ending));
        tracing::info!(commands = self.jobs.len(), "ending");
        self.ending = Some(Instant::now() + PATIENCE_AT_END);
    }

    /// Takes the ends of children that are no command: a process in a container can give its own child to its parent,
    /// which is this one (CLONE_PARENT), and they would pile up as zombies.
    fn reap_strays(&mut self) {
        let commands: HashSet<Pid> = self.jobs.values().filter_map(Job::pid).collect();
        for pid in sys::children() {
            if !commands.contains(&pid) {
                // Still running, or gone already: nothing to take.
                let _ = sys::reap(pid);
            }
        }
    }
}

/// The signals that matter, as a descriptor. The commands unblock them again before they run.
fn signals() -> Result<SignalFd, Errno> {
    let signals: SigSet = [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
    signals.thread_block()?;
    SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

fn until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
