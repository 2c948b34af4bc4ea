//! What `provost-execd` keeps between commands: the containers' facts, their seccomp profiles, what the kernel offers.

use std::collections::HashMap;
use std::path::Path;

use super::gate::Gate;
use super::remains::Remains;
use crate::enter::cgroups::{Cgroups, Maker};
use crate::enter::inspect::{self, Lane};
use crate::enter::leaf::Leaf;
use crate::enter::monitor::Monitor;
use crate::enter::policy::PolicyCache;
use crate::enter::{EnterError, Target};

/// What an entry needs, kept between commands.
pub struct Room {
    pub lane: Lane,
    pub policies: PolicyCache,
    pub maker: Maker,
    pub remains: Remains,
    /// Leaves of an earlier run that what was in them has yet to leave.
    pub swept: Vec<Leaf>,
    targets: HashMap<u32, Target>,
}

impl Room {
    pub fn new() -> Self {
        Self {
            lane: inspect::probe(),
            policies: PolicyCache::default(),
            maker: Maker::for_this_process(),
            remains: Remains::default(),
            swept: Vec::new(),
            targets: HashMap::new(),
        }
    }

    /// The container's facts: those of its last entry if it has not restarted since.
    pub fn target(&mut self, gate: &Gate, vmid: u32) -> Result<(&Target, &mut Maker, &Lane), EnterError> {
        let exec = gate.exec();
        let known = self
            .targets
            .get(&vmid)
            .is_some_and(|target| target.is_alive() && (exec.privileged || target.has_user_namespace()));
        if !known {
            self.targets.remove(&vmid);
            let target = Target::read(&exec.lxcpath, vmid, exec.privileged, &mut self.policies)?;
            self.swept.extend(target.cgroups.sweep(&self.maker));
            self.targets.insert(vmid, target);
        }
        Ok((&self.targets[&vmid], &mut self.maker, &self.lane))
    }

    /// After a command that was not born: its leaf was there for a moment.
    pub fn look_after(&mut self, vmid: u32) {
        if let Some(home) = self.targets.get(&vmid).and_then(|target| target.cgroups.home()) {
            self.remains.look(home, true);
        }
    }

    /// Clears what an earlier run left in the containers that are up now; one that comes later is swept on its first
    /// command.
    pub fn sweep(&mut self, gate: &Gate) {
        let exec = gate.exec();
        for vmid in running(&exec.lxcpath).into_iter().filter(|vmid| exec.containers.contains(*vmid)) {
            let cgroups = Monitor::of(&exec.lxcpath, vmid).cgroups();
            match cgroups.and_then(|cgroups| Cgroups::sort(vmid, cgroups, None)) {
                Ok(cgroups) => self.swept.extend(cgroups.sweep(&self.maker)),
                Err(error) => {
                    tracing::warn!(provost_guest = vmid, %error, "cannot look for commands left behind")
                }
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
