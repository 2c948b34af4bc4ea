//! Capabilities, and being looked into.

use caps::CapSet;
use nix::sys::prctl;

use super::SandboxError;

/// No program that is run from here on has more rights than this one.
pub fn no_new() -> Result<(), SandboxError> {
    prctl::set_no_new_privs()
        .map_err(|errno| SandboxError::Rights { what: "set no_new_privs", source: errno.into() })
}

/// Every capability, the gain of new ones, and being looked into by other processes of the account.
pub fn give_up() -> Result<(), SandboxError> {
    prctl::set_dumpable(false)
        .map_err(|errno| SandboxError::Rights { what: "become undumpable", source: errno.into() })?;
    // What is empty is left alone: a unit's filter need not let the call through that empties it.
    let clear = |set| match caps::read(None, set) {
        Ok(held) if held.is_empty() => Ok(()),
        _ => caps::clear(None, set).map_err(|source| SandboxError::Capabilities { set, source }),
    };
    // Narrowing the bounding set takes a capability of its own; without it there is none to come back by either.
    if caps::has_cap(None, CapSet::Effective, caps::Capability::CAP_SETPCAP).unwrap_or(false) {
        clear(CapSet::Bounding)?;
    }
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        clear(set)?;
    }
    Ok(())
}
