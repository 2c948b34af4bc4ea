//! The container's seccomp policy: from the text that LXC reads to the filter that `lxc-attach` installs.
//!
//! In comes the text of a policy file (`lxc.seccomp.profile`), out goes a [`Program`]: plain BPF
//! instructions, compiled outside the container, so that after `setns` one `seccomp(2)` call installs it and
//! no library runs. The promise is that they are the instructions `lxc-attach` (LXC 5 and 6) would install,
//! one by one, because both are libseccomp's answer to the same calls. This room never installs a filter,
//! never guesses at a policy that LXC refuses, and never enters a container.
//!
//! It has to be the same libseccomp, though: an older one does not know the newer calls and skips the rules
//! about them, so that a linked-in copy could deny less than the node's LXC does. [`library_version`] is for
//! comparing the two.
//!
//! The caller installs with `SECCOMP_SET_MODE_FILTER` and **no flags**, as LXC does: any flag changes what
//! `/proc/PID/status` shows. LXC sets no `no_new_privs` for it (libseccomp's own setting is turned off), so
//! installing takes CAP_SYS_ADMIN in the user namespace of the process.
//!
//! # What LXC does that one would not guess
//!
//! * A section header (`[x86]`, `[all]`, …) says whether the rules below matter on this machine, not to
//!   which of its architectures they apply: a rule that matters goes into all of them.
//! * x86_64 filters x86 and x32 calls with the same rules, arm64 those of 32-bit arm. A call that the other
//!   architecture does not have, or has only behind a multiplexer (`socket` on x86), is left out there.
//! * A process of an architecture that the filter does not know is killed, whatever the policy's default.
//! * A name that libseccomp does not know is skipped, and so is a line that starts with a tab: they are
//!   returned as [`Skipped`], so that they can be logged.
//! * Words are told by how they start (`killall` is `kill`), and only a space separates them.
//! * A rule whose action is the policy's default is an error.
//!
//! # Stricter than LXC, on purpose
//!
//! * `notify` asks a supervisor (`lxc.seccomp.notify.proxy`) to answer for the kernel. The instructions are
//!   LXC's; but nobody listens to a filter that was installed without a listener, and the kernel then answers
//!   ENOSYS without making the call: refused, never allowed. [`Program::asks_supervisor`] tells.
//! * A policy that LXC cannot read is refused. (`lxc-attach` warns and installs what it had read so far.) So
//!   is one whose default is `notify`, under which nothing can be run.
//! * Input is bounded, and a number that does not fit is an error, where C wraps or cuts it. How long a
//!   policy with hundreds of conditions on one call takes is up to libseccomp, and LXC has waited for it too
//!   when the container started; only root can write one.

mod arch;
mod cache;
mod compile;
mod error;
mod number;
mod parse;
mod program;
mod rule;

#[cfg(test)]
mod tests;

pub use cache::{Loaded, PolicyCache, PolicyFileError};
pub use compile::{SkipReason, Skipped};
pub use error::PolicyError;
pub use program::Program;

/// The longest policy text that is read, in bytes. Those in the field have a few hundred.
pub const MAX_POLICY_BYTES: usize = 1 << 20;

/// The most rules that a policy may have. There are fewer than 500 calls to make rules about.
pub const MAX_RULES: usize = 4096;

/// A policy, compiled.
#[derive(Debug)]
pub struct Compiled {
    /// What the entering process installs.
    pub program: Program,
    /// The rules that are not in force, or not everywhere, as with LXC: for the log.
    pub skipped: Vec<Skipped>,
}

/// The version of the libseccomp that compiles policies here, such as `2.6.0`. That of the node's LXC can be
/// told from where its `libseccomp.so.2` leads.
#[must_use]
pub fn library_version() -> Option<String> {
    libseccomp::ScmpVersion::current().ok().map(|version| version.to_string())
}

/// Compiles the text of a policy file, version 1 or 2, for the architecture that this program was built for.
///
/// # Errors
///
/// What LXC refuses, what is out of bounds, and what libseccomp cannot express, each with its line and text.
pub fn compile(text: &str) -> Result<Compiled, PolicyError> {
    let host = arch::HOST.ok_or(PolicyError::Host)?;
    compile::compile(&parse::parse(text, &host)?, &host)
}
