//! What `provostd` gives up before it reads a byte from anybody.
//!
//! In: what it needs ([`Needs`]), by its configuration. Out: [`Confined`], which whoever serves connections asks for, and
//! a [`Report`] of what the kernel holds it to. The unit file gives it little to begin with; this holds when it was started
//! otherwise, from a build tree or as root, and says what no unit can say: which files by which rights, which ports, and
//! calls by their arguments. It must come after the sockets were had and before the first connection: what is parsed later
//! may be an attacker's.
//!
//! | layer | holds it from | file |
//! | --- | --- | --- |
//! | Landlock | files, ports, signals, abstract sockets, `ptrace` | [`domain`] |
//! | the reader, a process beside it | keys that lie among the files it reads | [`reader`] |
//! | seccomp | every call that it has no use for: binding, running programs, new processes | [`calls`] |
//! | capabilities, no_new_privs | gaining a right, as root too | [`rights`] |

mod calls;
mod domain;
mod needs;
pub mod reader;
mod report;
mod rights;

use std::path::Path;

pub use needs::{Needs, Reached};
pub use report::{Report, report, say_closed, walls};

#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("cannot {what}: {source}")]
    Rights { what: &'static str, source: std::io::Error },
    #[error("cannot give up capabilities ({set:?}): {source}")]
    Capabilities { set: caps::CapSet, source: caps::errors::CapsError },
    #[error("cannot start the reader, which opens the files that are replaced by name: {0}")]
    Reader(std::io::Error),
    #[error("cannot enter the Landlock domain: {0}")]
    Domain(#[from] landlock::RulesetError),
    #[error("cannot install the filter of system calls: {0}")]
    Calls(#[from] libseccomp::error::SeccompError),
    #[error("{0} threads run already, and those that are not this one would not be held")]
    Threads(usize),
}

/// That this process has given up what it can. Whoever serves connections needs one.
pub struct Confined {
    reader: reader::Beside,
}

impl Confined {
    /// Waits until the reader has ended. Without it no configuration, token or certificate can be read again.
    pub async fn reader_ended(&self) {
        self.reader.ended().await;
    }
}

/// One layer without the others: that each holds by itself is tried by tests/sandbox.
#[cfg(feature = "trespass")]
pub fn confine_by(layer: &str, mut needs: Needs) -> Result<(), SandboxError> {
    needs.make_directories();
    match layer {
        "rights" => {
            rights::no_new()?;
            rights::give_up()
        }
        "landlock" => domain::enter(&needs).map(drop).map_err(Into::into),
        "seccomp" => {
            rights::no_new()?;
            calls::filter(calls::Of::Daemon { resolves: needs.resolves }).map_err(Into::into)
        }
        other => panic!("there is no layer {other}"),
    }
}

/// Gives up everything that is not in `needs`, for good. `config` is what the reader is told to read.
pub fn confine(mut needs: Needs, config: &Path) -> Result<Confined, SandboxError> {
    // A thread keeps what it was started with.
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads != 1 {
        return Err(SandboxError::Threads(threads));
    }
    needs.make_directories();
    rights::no_new()?;
    // While a program can still be run.
    let reader = reader::start(config).map_err(SandboxError::Reader)?;
    rights::give_up()?;
    let domain = domain::enter(&needs)?;
    calls::filter(calls::Of::Daemon { resolves: needs.resolves })?;
    report::keep(&needs, domain);
    Ok(Confined { reader })
}
