//! What can fail on the way into the lane. Each failure means that the command must not be run.

use std::error::Error;
use std::fmt;
use std::io;

use nix::errno::Errno;

/// A step of the way in, in the words of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Session,
    CoreLimit,
    Bounding,
    Capabilities,
    Rules,
    Root,
    Device,
    Domain,
    Filter,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Session => "lead a session of its own",
            Step::CoreLimit => "limit core dumps",
            Step::Bounding => "drop the bounding set",
            Step::Capabilities => "give up capabilities",
            Step::Rules => "build the file rules",
            Step::Root => "list the root directory",
            Step::Device => "look at a device",
            Step::Domain => "enter the Landlock domain",
            Step::Filter => "install the system call filter",
        })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    #[error(
        "this kernel has no Landlock (5.13 or newer, with landlock among its LSMs): inspect cannot keep files from being written"
    )]
    NoLandlock,
    #[error(
        "this kernel takes no seccomp filters: inspect cannot keep metadata, sockets and processes from being changed"
    )]
    NoSeccomp,
    #[error("inspect could not {step}")]
    Kernel {
        step: Step,
        #[source]
        source: io::Error,
    },
    #[error("inspect could not {step}")]
    Landlock {
        step: Step,
        #[source]
        source: landlock::RulesetError,
    },
    #[error("inspect could not {step}")]
    Caps {
        step: Step,
        #[source]
        source: caps::errors::CapsError,
        errno: Errno,
    },
    #[error("inspect could not {step}: the kernel enforced less than it offered")]
    Partial { step: Step },
}

impl InspectError {
    /// The errno that lies under it, for a report that carries only numbers; ENOTSUP where the kernel offers too little.
    pub fn errno(&self) -> Errno {
        if let InspectError::Caps { errno, .. } = self {
            return *errno;
        }
        let mut cause: Option<&(dyn Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if let Some(code) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
                return Errno::from_raw(code);
            }
            cause = error.source();
        }
        Errno::ENOTSUP
    }

    pub(super) fn kernel(step: Step, source: impl Into<io::Error>) -> Self {
        InspectError::Kernel { step, source: source.into() }
    }
}
