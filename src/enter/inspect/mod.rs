//! The inspect lane: what a child that has entered a container does to itself right before it becomes the command, so
//! that the kernel lets the command look at anything and change nothing.
//!
//! In: the [`Lane`] that [`probe`] prepared when the daemon started, while the host's libraries were still the only ones
//! in reach. Out: [`Guarantees`]. Never: a decision about which commands may run, a helper program, a look at anything
//! in the container but `/` and `/dev`.
//!
//! Five layers, each the kernel's: capabilities (all given up but the one that only reads), no_new_privs, a limit that
//! keeps crashes from being recorded, Landlock for files, and a seccomp filter for what Landlock does not know.

mod capabilities;
mod compile;
mod error;
mod files;
mod guarantees;
mod rule;
mod table;

use std::os::fd::OwnedFd;

use landlock::{ABI, LandlockStatus, RestrictSelf};
use libc::sock_filter;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Pid, getpid, getsid, setsid};

pub use capabilities::kept as kept_capabilities;
pub use error::{InspectError, Step};
pub use guarantees::Guarantees;
pub use rule::{ALL, Row, Rule, Test};
pub use table::rows;

use super::sys;

#[cfg(not(target_arch = "x86_64"))]
compile_error!("the table of system calls is written for x86_64, the architecture that Proxmox VE runs on");

/// What this kernel can do, and the filter, compiled once.
pub struct Lane {
    landlock: ABI,
    filter: Option<Vec<sock_filter>>,
}

/// Asks the kernel what it offers. Changes nothing.
pub fn probe() -> Lane {
    // With no flag set this makes no system call but the one that asks for the ABI.
    let landlock = RestrictSelf::default()
        .no_new_privs(false)
        .apply()
        .map_or(LandlockStatus::NotImplemented, |status| status.landlock);
    Lane::at(landlock.into(), sys::takes_filters())
}

impl Lane {
    fn at(landlock: ABI, seccomp: bool) -> Lane {
        let landlock = landlock.min(files::NEWEST);
        Lane { landlock, filter: seccomp.then(|| compile::compile(rows(), landlock as u32)) }
    }

    /// The Landlock ABI in use; 0 without Landlock.
    pub fn abi(&self) -> u32 {
        self.landlock as u32
    }

    /// Whether the lane stands on this kernel with at least the Landlock ABI that the operator asks for.
    pub fn meets(&self, floor: u32) -> bool {
        self.filter.is_some() && self.abi() >= floor.max(1)
    }

    /// What [`confine`] would guarantee to a command run as uid 0 of the container.
    pub fn guarantees(&self) -> Guarantees {
        Guarantees::at(self.abi(), self.filter.is_some(), vec!["CAP_DAC_READ_SEARCH".to_owned()])
    }
}

/// Confines this process for good, and with it whatever it execs or forks.
///
/// For the single-threaded child of a fork that has entered the container, has become the user whose command it runs, and
/// holds no descriptor but its three, pipes or plain files of the caller's: a datagram socket among them could be aimed
/// anew. no_new_privs lets an AppArmor label that was set for the exec take effect only if this process is unconfined so
/// far. After an error the process is confined in part: it must exit, not exec.
pub fn confine(lane: &Lane) -> Result<Guarantees, InspectError> {
    let filter = lane.filter.as_deref().ok_or(InspectError::NoSeccomp)?;
    if lane.landlock == ABI::Unsupported {
        return Err(InspectError::NoLandlock);
    }
    lead_session()?;
    limit_core_dumps()?;
    files::restrict(lane.landlock)?;
    let kept = capabilities::give_up()?;
    // Last, because it would refuse some of the above.
    sys::install_filter(filter).map_err(|e| InspectError::kernel(Step::Filter, e))?;
    Ok(Guarantees::at(lane.abi(), true, kept))
}

/// A filter for `rows`, where Landlock may be missing; what they do not name is absent.
pub fn filter<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<sock_filter> {
    compile::compile(rows, 0)
}

/// Keeps this process's files within `root` for good, where the kernel has Landlock: to read, and with `changes` to write,
/// make and remove plain files.
pub fn keep_within(lane: &Lane, root: &OwnedFd, also: &[OwnedFd], changes: bool) -> Result<(), Errno> {
    match lane.landlock {
        ABI::Unsupported => Ok(()),
        abi => files::restrict_to(abi, root, also, changes).map_err(|error| error.errno()),
    }
}

/// A session of its own has no controlling terminal, and its process groups hold no one else: a signal to the own group,
/// which is the one that the filter lets pass where Landlock cannot scope signals, stays within the command.
fn lead_session() -> Result<(), InspectError> {
    let failed = |errno| InspectError::kernel(Step::Session, errno);
    if getsid(None).map_err(failed)? != getpid() {
        let _leader: Pid = setsid().map_err(failed)?;
    }
    Ok(())
}

/// One byte: too little for a core file, and the value at which the kernel does not start a core handler either; at zero
/// it would, and a handler runs on the host and keeps what it is given.
fn limit_core_dumps() -> Result<(), InspectError> {
    let failed = |errno| InspectError::kernel(Step::CoreLimit, errno);
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE).map_err(failed)?;
    let limit = hard.min(1);
    setrlimit(Resource::RLIMIT_CORE, limit, limit).map_err(failed)
}
