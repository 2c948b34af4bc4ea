//! Why a container could not be entered: what was tried, what answered, and what the operator does next.

use std::path::PathBuf;

use nix::errno::Errno;

use super::inspect::InspectError;
use super::policy::PolicyFileError;
use super::step::Step;

#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    #[error("container {vmid} is not running: nothing listens on its monitor socket @{socket} ({errno})")]
    Stopped { vmid: u32, socket: String, errno: Errno },
    #[error("there is no container {vmid} on this node: there is no {place}", place = place.display())]
    Absent { vmid: u32, place: PathBuf },
    #[error(
        "container {vmid} was not entered: @{socket} is held by uid {uid}, not by root's lxc monitor; the container \
         is down and another process has taken its name"
    )]
    Impostor { vmid: u32, socket: String, uid: u32 },
    #[error("the monitor of container {vmid} did not answer {what}: {errno}")]
    Monitor { vmid: u32, what: &'static str, errno: Errno },
    #[error("the monitor of container {vmid} answered {what} with {detail}")]
    Answer { vmid: u32, what: &'static str, detail: String },
    #[error("container {vmid} shares the host's user namespace: its root is the node's root")]
    Privileged { vmid: u32 },
    #[error(
        "container {vmid} shares the host's user namespace, and its processes may have capabilities that provost-execd \
         itself may not ({missing:#x}): a command there would have fewer"
    )]
    Narrow { vmid: u32, missing: u64 },
    #[error("container {vmid} is frozen: a command would start frozen too")]
    Frozen { vmid: u32 },
    #[error("container {vmid} stopped while it was being entered")]
    Gone { vmid: u32 },
    #[error("cannot read {path} of container {vmid}: {errno}", path = path.display())]
    Proc { vmid: u32, path: PathBuf, errno: Errno },
    #[error("{path} of container {vmid} holds {text:?} where {wanted} was due", path = path.display())]
    ProcText { vmid: u32, path: PathBuf, text: String, wanted: &'static str },
    #[error("the seccomp profile of container {vmid} cannot be used: {source}")]
    Seccomp { vmid: u32, source: Box<PolicyFileError> },
    #[error(
        "container {vmid} runs under a seccomp filter, and its monitor names no lxc.seccomp.profile: a command would run \
         without that filter"
    )]
    Unfiltered { vmid: u32 },
    #[error("container {vmid}: {item} = {text:?} is not understood")]
    Setting { vmid: u32, item: &'static str, text: String },
    #[error("cannot make a cgroup for the command in container {vmid}: {errno}")]
    Leaf { vmid: u32, errno: Errno },
    #[error("cannot start a process for container {vmid}: {errno}")]
    Spawn { vmid: u32, errno: Errno },
    #[error("{step} failed in container {vmid}: {errno}")]
    Step { vmid: u32, step: Step, errno: Errno },
    #[error("the inspect lane is not available: {0}")]
    Lane(#[from] InspectError),
    #[error(
        "the inspect lane is refused: this kernel's Landlock ABI is {abi}, and [exec] inspect_floor asks for {floor}"
    )]
    Floor { abi: u32, floor: u32 },
}

impl EnterError {
    /// A short name that programs can compare.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Stopped { .. } => "stopped",
            Self::Absent { .. } => "no_such_container",
            Self::Impostor { .. } => "impostor",
            Self::Monitor { .. } | Self::Answer { .. } => "monitor",
            Self::Privileged { .. } => "privileged",
            Self::Narrow { .. } => "capabilities",
            Self::Frozen { .. } => "frozen",
            Self::Gone { .. } => "gone",
            Self::Proc { .. } | Self::ProcText { .. } => "proc",
            Self::Seccomp { .. } | Self::Unfiltered { .. } => "seccomp_profile",
            Self::Setting { .. } => "setting",
            Self::Leaf { .. } => "cgroup",
            Self::Spawn { .. } => "spawn",
            Self::Step { step: Step::Exec, errno: Errno::ENOENT | Errno::ENOTDIR, .. } => "no_such_program",
            Self::Step { step: Step::Exec, .. } => "not_executable",
            Self::Step { step: Step::User, .. } => "no_such_user",
            Self::Step { step: Step::Directory, errno: Errno::EACCES, .. } => "directory_refused",
            Self::Step { step: Step::Directory, .. } => "no_such_directory",
            Self::Step { .. } => "entry",
            Self::Lane(_) => "inspect",
            Self::Floor { .. } => "inspect_floor",
        }
    }

    /// What the reader can do about it.
    pub fn next(&self) -> String {
        match self {
            Self::Stopped { vmid, .. } => format!("start it (pct start {vmid}), then call again"),
            Self::Absent { .. } => {
                "name one that pct list has on this node; one that was made and never ran is started first".into()
            }
            Self::Impostor { socket, .. } => {
                format!("find the process (ss -xlp | grep '{socket}') and end it, then start the container")
            }
            Self::Monitor { vmid, .. } | Self::Answer { vmid, .. } => {
                format!("see whether its monitor is alive (pgrep -af 'lxc.*monitor.*{vmid}'); restarting the container mends it")
            }
            Self::Privileged { .. } => {
                "make the container unprivileged, or set privileged = true under [exec] if its root may be the node's".into()
            }
            Self::Narrow { .. } => {
                "give provost-execd all that such containers have: systemctl edit provost-execd, with CapabilityBoundingSet=~ under [Service]; then systemctl restart provost-execd".into()
            }
            Self::Frozen { vmid } => format!("resume it (lxc-unfreeze -n {vmid}), then call again"),
            Self::Gone { vmid } => format!("see why it stopped (pct status {vmid}), start it and call again"),
            Self::Seccomp { .. } => "mend the file that lxc.seccomp.profile names; lxc itself will not start from it".into(),
            Self::Unfiltered { vmid } => {
                format!("see what its init is started by (grep Seccomp /proc/$(lxc-info -pH -n {vmid})/status); set lxc.seccomp.profile")
            }
            Self::Setting { item, .. } => format!("correct {item} in the container's configuration"),
            Self::Leaf { .. } => "see whether the container's cgroup still exists and cgroup.max.descendants leaves room".into(),
            Self::Spawn { errno: Errno::EAGAIN, .. } => {
                "the container's pids limit is reached: end something in it or raise the limit".into()
            }
            Self::Step { step: Step::Exec, errno: Errno::ENOENT, .. } => {
                "give the whole path, or a name found in PATH inside the container; a script also needs its interpreter there".into()
            }
            Self::Step { step: Step::Exec, errno: Errno::EACCES, .. } => {
                "the file is not executable for this user: check its mode and its mount's noexec".into()
            }
            Self::Step { step: Step::Exec, errno: Errno::EPERM, .. } => {
                "the kernel does not let this user run it here: a program with more rights than a command may gain (file capabilities, getcap), or a security label or filter of the container".into()
            }
            Self::Step { step: Step::Exec, errno: Errno::E2BIG, .. } => {
                "the arguments and variables are longer than the container's limits allow (a quarter of lxc.prlimit.stack, 128 KiB each): pass long input on stdin".into()
            }
            Self::Step { step: Step::Exec, errno: Errno::ENOEXEC, .. } => {
                "it is no program that this kernel runs: a script needs a first line such as #!/bin/sh".into()
            }
            Self::Step { step: Step::Directory, errno: Errno::EACCES, .. } => {
                "the directory is there, and this user may not enter it: give another cwd, or another user".into()
            }
            Self::Step { step: Step::User, .. } => "name a user that the container's /etc/passwd holds, or give a number".into(),
            Self::Step { step: Step::Directory, .. } => "give a cwd that exists inside the container".into(),
            Self::Floor { abi: 0, .. } => {
                "boot a kernel with Landlock (lsm=landlock,…), or use mode \"change\" where policy allows it".into()
            }
            Self::Floor { .. } => "use mode \"change\" where policy allows it, or lower inspect_floor knowing what is then not guarded".into(),
            Self::Proc { .. } | Self::ProcText { .. } | Self::Spawn { .. } | Self::Step { .. } | Self::Lane(_) => {
                "journalctl -t provost-execd has the whole story".into()
            }
        }
    }
}
