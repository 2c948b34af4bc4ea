//! Privileges: what the command may keep, and what it can never get back.

use caps::{CapSet, Capability, CapsHashSet};
use nix::errno::Errno;

use super::error::{InspectError, Step};
use crate::enter::sys;

/// The one that only reads: it passes over read permission of files and search permission of directories.
const KEPT: Capability = Capability::CAP_DAC_READ_SEARCH;

/// What is kept, a bit a capability.
pub fn kept() -> u64 {
    KEPT.bitmask()
}

/// Gives up every capability but [`KEPT`], which only uid 0 keeps, and only if the container had it. Answers with what
/// the kernel says is left.
///
/// The bounding set goes first, because that takes CAP_SETPCAP; uid 0's exec would otherwise get its all back. A process
/// that has already become another user has lost CAP_SETPCAP and keeps its bounding set; with nothing permitted,
/// no_new_privs and no way into a user namespace there is nothing that the set could bound.
pub fn give_up() -> Result<Vec<String>, InspectError> {
    // The crate tells what failed, and the kernel's errno, still there, tells why.
    let failed = |source| InspectError::Caps { step: Step::Capabilities, source, errno: Errno::last() };
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).map_err(failed)? {
        sys::keep_bounding(kept()).map_err(|errno| InspectError::kernel(Step::Bounding, errno))?;
    }
    caps::clear(None, CapSet::Ambient).map_err(failed)?;
    let mut kept = CapsHashSet::new();
    if nix::unistd::geteuid().is_root() && caps::has_cap(None, CapSet::Permitted, KEPT).map_err(failed)? {
        kept.insert(KEPT);
    }
    caps::clear(None, CapSet::Inheritable).map_err(failed)?;
    for set in [CapSet::Effective, CapSet::Permitted] {
        caps::set(None, set, &kept).map_err(failed)?;
    }
    let left = caps::read(None, CapSet::Permitted).map_err(failed)?;
    if !left.is_subset(&kept) {
        return Err(InspectError::Partial { step: Step::Capabilities });
    }
    Ok(left.iter().map(ToString::to_string).collect())
}
