//! What `provostd` gives up before it reads a byte from anybody.
//!
//! The unit file gives it little to begin with; this holds when it was started otherwise. It must come before the first
//! connection: what is parsed later may be an attacker's.

use caps::CapSet;
use nix::errno::Errno;
use nix::sys::prctl;
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;

#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("cannot set no_new_privs: {0}")]
    NoNewPrivs(Errno),
    #[error("cannot become undumpable: {0}")]
    Undumpable(Errno),
    #[error("cannot give up capabilities ({set:?}): {source}")]
    Capabilities { set: CapSet, source: caps::errors::CapsError },
}

/// That this process has given up what it can. Whoever serves connections needs one.
pub struct Confined(());

/// Gives up every capability for good, the gain of new ones, and being looked into by other processes of the account.
pub fn confine() -> Result<Confined, SandboxError> {
    prctl::set_no_new_privs().map_err(SandboxError::NoNewPrivs)?;
    prctl::set_dumpable(false).map_err(SandboxError::Undumpable)?;
    let clear = |set| caps::clear(None, set).map_err(|source| SandboxError::Capabilities { set, source });
    // Narrowing the bounding set takes a capability of its own; without it there is none to come back by either.
    if caps::has_cap(None, CapSet::Effective, caps::Capability::CAP_SETPCAP).unwrap_or(false) {
        clear(CapSet::Bounding)?;
    }
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        clear(set)?;
    }
    Ok(Confined(()))
}

/// What holds this process now, as the kernel says.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Report {
    /// Effective.
    uid: u32,
    /// "none", or the permitted set in hexadecimal.
    capabilities: Option<String>,
    no_new_privs: bool,
    /// Whether a filter of system calls stands.
    seccomp: bool,
}

pub fn report() -> Report {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let none_or = |set: &str| if set.bytes().all(|digit| digit == b'0') { "none" } else { set }.to_owned();
    Report {
        uid: nix::unistd::Uid::effective().as_raw(),
        capabilities: field("CapPrm:").map(none_or),
        no_new_privs: field("NoNewPrivs:") == Some("1"),
        seccomp: field("Seccomp:") == Some("2"),
    }
}
