//! The steps of an entry, and how a process that failed in one tells its parent.

use std::fmt;

use nix::errno::Errno;

macro_rules! steps {
    ($($step:ident = $text:literal,)*) => {
        /// A step of the entry, as far as it can fail.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Step { $($step,)* }

        impl Step {
            const ALL: &[Step] = &[$(Step::$step,)*];
        }

        impl fmt::Display for Step {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Step::$step => $text,)* })
            }
        }
    };
}

steps! {
    Descriptors = "arranging the descriptors",
    Session = "leaving the session and its terminal",
    Cgroup = "joining the container's v1 cgroups",
    Limits = "setting the container's resource limits",
    ProcValues = "setting the container's lxc.proc values",
    Personality = "setting the container's personality",
    LabelFile = "opening the security label's file",
    Namespaces = "joining the namespaces",
    Cores = "joining the container's core scheduling group",
    Keyring = "leaving the host's keyring",
    User = "finding the user",
    Bounding = "narrowing the capability bounding set",
    Label = "taking on the security label",
    NoNewPrivs = "setting no_new_privs",
    Seccomp = "installing the seccomp profile",
    Identity = "becoming the user",
    Directory = "changing to the working directory",
    Inspect = "confining the command to reading",
    Confine = "confining the process to the container's files",
    Root = "opening the listed root",
    OwnList = "opening the list of its own descriptors",
    Exec = "executing the program",
    OwnProfile = "leaving provost-execd's own AppArmor profile",
}

/// Which step failed, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    pub step: Step,
    pub errno: Errno,
}

impl Failure {
    pub const SIZE: usize = 5;

    pub fn bytes(self) -> [u8; Self::SIZE] {
        let errno = (self.errno as i32).to_ne_bytes();
        [self.step as u8, errno[0], errno[1], errno[2], errno[3]]
    }

    pub fn from_bytes(bytes: [u8; Self::SIZE]) -> Option<Self> {
        let [step, errno @ ..] = bytes;
        Some(Self {
            step: *Step::ALL.get(usize::from(step))?,
            errno: Errno::from_raw(i32::from_ne_bytes(errno)),
        })
    }
}

/// Names the step that a failure belongs to.
pub trait At<T> {
    fn at(self, step: Step) -> Result<T, Failure>;
}

impl<T> At<T> for Result<T, Errno> {
    fn at(self, step: Step) -> Result<T, Failure> {
        self.map_err(|errno| Failure { step, errno })
    }
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, step: Step) -> Result<T, Failure> {
        self.map_err(|error| Failure {
            step,
            errno: Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)),
        })
    }
}
