//! Which virtual machine has a CID: what stands between a vsock connection and a principal.
//!
//! In: the CID that the kernel reports of a peer. Out: a [`Machine`], which only this file makes, or why it is none
//! ([`Unknown`]). The kernel says the CID and no more, and lets no two devices on a node have the same one; so three things
//! have to agree. What *runs*: a process that systemd holds in the VM's own scope (`qemu.slice/120.scope`; only root puts one
//! there), that is root's, was started as VM 120 and with that CID, and is past its start, so that the device stands and is
//! its own. What the cluster's *configuration* says: VM 120 has that CID. And that it says so of no other VM of its node.
//! Where they differ, a configuration was edited under a running VM, or somebody is there who should not be: nobody gets in.
//!
//! It must never take a guest's word, or a configuration's alone: that of a VM which does not run here proves nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::estate::guest::{Kind, vsock};
use crate::estate::{Index, Keeper};

/// For the cluster's files, all of which are read when nobody has before. Nobody but who connects waits for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where systemd holds what PVE starts VMs in: the v2 tree; beside v1 controllers; v1's own.
const SLICES: [&str; 3] =
    ["/sys/fs/cgroup/qemu.slice", "/sys/fs/cgroup/unified/qemu.slice", "/sys/fs/cgroup/systemd/qemu.slice"];

/// A virtual machine of this node that runs, and has the CID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    cid: u32,
    vmid: u32,
}

impl Machine {
    pub fn cid(&self) -> u32 {
        self.cid
    }

    pub fn vmid(&self) -> u32 {
        self.vmid
    }

    #[cfg(test)]
    pub fn for_tests(cid: u32, vmid: u32) -> Self {
        Self { cid, vmid }
    }
}

/// Why a CID is no machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    #[error("CID {0} is no virtual machine's: it is this node itself, what it runs on, or nothing")]
    Reserved(u32),
    #[error("no virtual machine that runs on this node was started with vsock CID {0}")]
    NotRunning(u32),
    #[error("whose CID {0} is cannot be seen: the daemon is not let see which processes run")]
    Hidden(u32),
    #[error("VM {vmid}, which has vsock CID {cid}, has not finished starting")]
    Starting { cid: u32, vmid: u32 },
    #[error("VMs {vmids:?} were all started with vsock CID {cid}")]
    Several { cid: u32, vmids: Vec<u32> },
    #[error(
        "VM {vmid} runs with vsock CID {cid}, and its configuration does not give it that one (any more)"
    )]
    Unclaimed { cid: u32, vmid: u32 },
    #[error("VM {vmid} has vsock CID {cid}, and the configuration of VM {other} claims the same one")]
    Shared { cid: u32, vmid: u32, other: u32 },
    #[error(
        "VM {vmid} runs with vsock CID {cid}, and whether its configuration says so cannot be seen: {why}"
    )]
    Unseen { cid: u32, vmid: u32, why: String },
}

impl Unknown {
    /// A short name that programs can compare.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Reserved(_) => "cid_reserved",
            Self::NotRunning(_) => "cid_not_running",
            Self::Starting { .. } => "cid_starting",
            Self::Several { .. } | Self::Shared { .. } => "cid_shared",
            Self::Unclaimed { .. } => "cid_not_configured",
            Self::Unseen { .. } | Self::Hidden(_) => "cid_unseen",
        }
    }

    /// What to do about it.
    pub fn next(&self) -> String {
        match self {
            Self::Reserved(_) => {
                "on the node itself connect to the unix socket; in a VM, give it a device of its own with a CID from 3 on".into()
            }
            Self::NotRunning(cid) => format!(
                "root on the node gives it to a VM and restarts that: qm set VMID --args '-device vhost-vsock-pci,guest-cid={cid}'"
            ),
            Self::Hidden(_) => {
                "root on the node: provost doctor says which of the unit and AppArmor hides them, and what lets them be seen".into()
            }
            Self::Starting { .. } => "connect again".into(),
            Self::Several { .. } => "give each VM a CID of its own in its args, and restart it".into(),
            Self::Unclaimed { vmid, .. } => {
                format!("make args of VM {vmid} say what it is to have, and stop and start it")
            }
            Self::Shared { other, .. } => format!("give VM {other} another CID in its args"),
            Self::Unseen { .. } => "connect again once the node's /etc/pve answers".into(),
        }
    }
}

/// Knows the machines of this node.
pub struct Machines {
    keeper: Arc<Keeper>,
    slices: Vec<PathBuf>,
    /// Places for who looks what runs: each takes a thread.
    looks: Semaphore,
}

const LOOKS: usize = 2;

impl Machines {
    pub fn new(keeper: Arc<Keeper>) -> Self {
        Self::in_slices(keeper, SLICES.map(Into::into).into())
    }

    fn in_slices(keeper: Arc<Keeper>, slices: Vec<PathBuf>) -> Self {
        Self { keeper, slices, looks: Semaphore::new(LOOKS) }
    }

    /// Whose CID it is, at this moment. As long as a connection of its stands, it stays so: the kernel ends all of them with
    /// the device.
    pub async fn with_cid(&self, cid: u32) -> Result<Machine, Unknown> {
        if !vsock::CIDS.contains(&cid) {
            return Err(Unknown::Reserved(cid));
        }
        let slices = self.slices.clone();
        let place = self.looks.acquire().await;
        let looked = tokio::task::spawn_blocking(move || running(&slices, cid)).await;
        drop(place);
        let vmid = looked.unwrap_or(Err(Unknown::NotRunning(cid)))?;
        let why = match tokio::time::timeout(PATIENCE, self.keeper.current()).await {
            Ok(Ok(index)) => return claimed(&index, cid, vmid),
            Ok(Err(lost)) => lost.to_string(),
            Err(_) => "the cluster's files do not answer".to_owned(),
        };
        Err(Unknown::Unseen { cid, vmid, why })
    }
}

/// The one VM that runs with the CID.
fn running(slices: &[PathBuf], cid: u32) -> Result<u32, Unknown> {
    let scopes = slices.iter().filter_map(|slice| slice.read_dir().ok()).flatten().flatten();
    let scopes = scopes.filter_map(|entry| Some((vmid_of(&entry.file_name())?, entry.path())));
    let mut found: Vec<(u32, bool)> =
        scopes.filter_map(|(vmid, scope)| Some((vmid, started(&scope, vmid, cid)?))).collect();
    found.sort_unstable();
    found.dedup();
    match found[..] {
        // The first process is there, and what it was started with is everybody's to see where any other's is.
        [] if std::fs::read("/proc/1/cmdline").is_err() => Err(Unknown::Hidden(cid)),
        [] => Err(Unknown::NotRunning(cid)),
        [(vmid, true)] => Ok(vmid),
        [(vmid, false)] => Err(Unknown::Starting { cid, vmid }),
        _ => Err(Unknown::Several { cid, vmids: found.into_iter().map(|(vmid, _)| vmid).collect() }),
    }
}

/// `120.scope`
fn vmid_of(scope: &std::ffi::OsStr) -> Option<u32> {
    scope.to_str()?.strip_suffix(".scope")?.parse().ok()
}

/// Whether the VM in this scope is past its start; none where it was not started with the CID. QEMU starts in two processes
/// of one command line, and the first stays until the devices of the second stand: until then another may have the CID.
fn started(scope: &Path, vmid: u32, cid: u32) -> Option<bool> {
    let all = pids(scope);
    let has_cid = |pid: &i32| is_machine(*pid, vmid, cid);
    let machines: Vec<i32> = all.iter().copied().filter(has_cid).collect();
    let [machine] = machines[..] else { return (!machines.is_empty()).then_some(false) };
    let parent = crate::process::Stat::of(machine)?.parent()?;
    // Still there, so what was read was read of it and not of a later process of its number.
    pids(scope).contains(&machine).then(|| !all.contains(&parent))
}

fn pids(scope: &Path) -> Vec<i32> {
    let listed = std::fs::read_to_string(scope.join("cgroup.procs")).unwrap_or_default();
    listed.lines().filter_map(|pid| pid.parse().ok()).collect()
}

/// Whether a process is root's, and was started as that VM with that CID.
fn is_machine(pid: i32, vmid: u32, cid: u32) -> bool {
    let read = |name| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let status = String::from_utf8_lossy(&read("status")).into_owned();
    // Real, effective, saved, file system.
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let is_roots = uids.is_some_and(|uids| uids.split_ascii_whitespace().all(|uid| uid == "0"));
    let command = read("cmdline");
    let words: Vec<&str> =
        command.split(|byte| *byte == 0).filter_map(|word| str::from_utf8(word).ok()).collect();
    let id = words.windows(2).find(|pair| pair[0] == "-id").map(|pair| pair[1]);
    is_roots && id.and_then(|id| id.parse().ok()) == Some(vmid) && vsock::of_words(words).contains(&cid)
}

/// What the configuration says to it.
fn claimed(index: &Index, cid: u32, vmid: u32) -> Result<Machine, Unknown> {
    let claims = |vmid: u32| {
        let guests = index.guest(vmid).filter(|guest| guest.kind == Kind::Qemu);
        guests.filter(|guest| guest.cids.contains(&cid)).map(|guest| guest.node.clone()).next()
    };
    let Some(node) = claims(vmid) else { return Err(Unknown::Unclaimed { cid, vmid }) };
    // A VM of another node may have it there: CIDs are each node's own.
    let others = index.guests().filter(|guest| guest.vmid != vmid && guest.node == node);
    match others.filter(|guest| guest.cids.contains(&cid)).map(|guest| guest.vmid).next() {
        Some(other) => Err(Unknown::Shared { cid, vmid, other }),
        None => Ok(Machine { cid, vmid }),
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
