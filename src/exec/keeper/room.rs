//! What `provost-execd` keeps between commands: the containers' facts, their seccomp profiles, what the kernel offers.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::Epoll;

use super::gate::{Gate, of_entry, refusal};
use super::inquiries::Inquiries;
use super::left::Left;
use super::record::Recorder;
use super::remains::Remains;
use super::{MONITOR, SWEEP};
use crate::enter::cgroups::{Cgroups, Maker};
use crate::enter::inquiry::{Facts, Inquiry};
use crate::enter::inspect::{self, Lane};
use crate::enter::leaf::Leaf;
use crate::enter::policy::PolicyCache;
use crate::enter::{EnterError, Target};
use crate::exec::wire::Refusal;

/// How long a monitor that did not answer is not asked again.
const WEDGED_FOR: Duration = Duration::from_secs(5);

/// What an entry needs, kept between commands.
pub struct Room {
    pub lane: Lane,
    pub policies: PolicyCache,
    pub maker: Maker,
    pub remains: Remains,
    pub left: Left,
    pub recorder: Rc<Recorder>,
    /// Leaves of an earlier run that what was in them has yet to leave.
    pub swept: Vec<Leaf>,
    targets: HashMap<u32, Target>,
    /// Of the configuration that the targets were read by.
    generation: u64,
    inquiries: Inquiries,
    /// For what an earlier run left.
    sweeps: Inquiries,
    /// Why a container's facts could not be had, and until when that is the answer: none for those alone who waited.
    failed: HashMap<u32, (Refusal, Option<Instant>)>,
}

impl Room {
    pub fn new(epoll: &Rc<Epoll>) -> Self {
        Self {
            lane: inspect::probe(),
            policies: PolicyCache::default(),
            maker: Maker::for_this_process(),
            remains: Remains::default(),
            left: Left::new(epoll),
            recorder: Rc::new(Recorder::for_this_process()),
            swept: Vec::new(),
            targets: HashMap::new(),
            generation: 0,
            inquiries: Inquiries::new(epoll, MONITOR),
            sweeps: Inquiries::new(epoll, SWEEP),
            failed: HashMap::new(),
        }
    }

    /// The container's facts: those of its last entry if it has not restarted since. None while its monitor is asked;
    /// [`Room::hear`] says when that is over.
    pub fn target(&mut self, gate: &Gate, vmid: u32) -> Result<Option<(&Target, &Maker, &Lane)>, Refusal> {
        if self.generation != gate.generation() {
            self.generation = gate.generation();
            self.targets.clear();
            self.failed.clear();
        }
        if self.targets.get(&vmid).is_some_and(Target::is_alive) {
            return Ok(Some((&self.targets[&vmid], &self.maker, &self.lane)));
        }
        if let Some((refusal, until)) = self.failed.get(&vmid) {
            if until.is_none_or(|until| until > Instant::now()) {
                return Err(refusal.clone());
            }
            self.failed.remove(&vmid);
        }
        // Those of containers that are gone go with this one's.
        self.targets.retain(|_, target| target.is_alive());
        let begin = || Inquiry::whole(&gate.exec().lxcpath, vmid);
        self.inquiries.begin(vmid, gate.generation(), begin).map_err(|error| of_entry(&error))?;
        Ok(None)
    }

    /// A monitor has said something, or its time is over. True when there is a target, or why there is none.
    pub fn hear(&mut self, gate: &Gate, vmid: u32) -> bool {
        let Some((answered, generation)) = self.inquiries.turn(vmid) else { return false };
        // Asked by another configuration, which may name another container by this number: to be asked again.
        if generation != gate.generation() {
            return true;
        }
        match answered.and_then(|facts| self.read(gate, vmid, facts)) {
            Ok(target) => {
                self.swept.extend(target.cgroups.sweep(&self.maker));
                self.targets.insert(vmid, target);
            }
            Err(error) => {
                let wedged = matches!(error, EnterError::Monitor { errno: Errno::ETIMEDOUT, .. });
                let until = wedged.then(|| Instant::now() + WEDGED_FOR);
                self.failed.insert(vmid, (of_entry(&error), until));
            }
        }
        true
    }

    fn read(&mut self, gate: &Gate, vmid: u32, facts: Facts) -> Result<Target, EnterError> {
        Target::read(vmid, facts, gate.exec().privileged, &mut self.policies)
    }

    /// Those who waited have been told: who asks next is not to be told the same, unless asking takes long.
    pub fn forget(&mut self, vmid: u32) {
        self.failed.retain(|failed, (_, until)| *failed != vmid || until.is_some());
    }

    /// When to call [`Room::hear`] or [`Room::hear_sweep`] for those that [`Room::late`] names.
    pub fn deadline(&self) -> Option<Instant> {
        [self.inquiries.deadline(), self.sweeps.deadline()].into_iter().flatten().min()
    }

    /// The containers whose monitors have had their time, for an entry and for a sweep.
    pub fn late(&self) -> (Vec<u32>, Vec<u32>) {
        (self.inquiries.late(), self.sweeps.late())
    }

    /// Refuses a container in which too many finished commands have left processes running for another to do so.
    pub fn has_room(&self, vmid: u32) -> Result<(), Refusal> {
        let home = self.targets.get(&vmid).and_then(|target| target.cgroups.home());
        match home.and_then(|home| self.left.is_full(home)) {
            None => Ok(()),
            Some(here) => {
                let message =
                    format!("{here} earlier commands have left processes running in container {vmid}");
                let next = "end some of them (ps -ef in the container), or start what is to stay as a service of its own";
                Err(refusal("left_running", message, next.into()))
            }
        }
    }

    /// After a command that was not born: its leaf was there for a moment.
    pub fn look_after(&mut self, vmid: u32) {
        if let Some(home) = self.targets.get(&vmid).and_then(|target| target.cgroups.home()) {
            self.remains.look(home, true);
        }
    }

    /// Begins to clear what an earlier run left in the containers that are up now; one that comes later is swept on its
    /// first command.
    pub fn sweep(&mut self, gate: &Gate) {
        let exec = gate.exec();
        for vmid in running(&exec.lxcpath).into_iter().filter(|vmid| exec.containers.contains(*vmid)) {
            let begin = || Inquiry::of_cgroups(&exec.lxcpath, vmid);
            if let Err(error) = self.sweeps.begin(vmid, gate.generation(), begin) {
                tracing::warn!(provost_guest = vmid, %error, "cannot look for commands left behind");
            }
        }
    }

    /// A monitor has said which cgroups to sweep.
    pub fn hear_sweep(&mut self, vmid: u32) {
        let Some((answered, _)) = self.sweeps.turn(vmid) else { return };
        match answered.and_then(|facts| Cgroups::sort(vmid, facts.cgroups, None)) {
            Ok(cgroups) => self.swept.extend(cgroups.sweep(&self.maker)),
            Err(error) => {
                tracing::warn!(provost_guest = vmid, %error, "cannot look for commands left behind");
            }
        }
    }
}

/// The containers whose monitors listen now, by the names of their sockets.
fn running(lxcpath: &Path) -> Vec<u32> {
    let Ok(sockets) = std::fs::read_to_string("/proc/net/unix") else { return Vec::new() };
    let start = format!("@{}/", lxcpath.display());
    let vmid = |line: &str| {
        let name = line.split_ascii_whitespace().nth(7)?.strip_prefix(&start)?;
        name.strip_suffix("/command")?.parse().ok()
    };
    let mut found: Vec<u32> = sockets.lines().filter_map(vmid).collect();
    found.sort_unstable();
    found.dedup();
    found
}
