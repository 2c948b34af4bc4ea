//! What the lane promises on this kernel, and which mechanism keeps each promise.
//!
//! What it does not keep a command from, because the kernel cannot tell it from looking, or because looking would not be
//! possible without it:
//!
//! * reading itself: access times, a lease or an automount that an open breaks or triggers, what a read takes out
//!   of a FIFO
//! * a shared record lock on a file that it reads (sqlite needs it), which holds up writers while the command runs
//! * using up what the container's limits leave: processor, memory, processes, inotify watches, disk reads, page
//!   cache
//! * an abstract socket name of nine characters or less, taken while the command runs, at which nobody can be
//!   reached
//! * a kernel module of the node's that asking loads: socket diagnosis (as ss does), an unknown program format

use serde::Serialize;

/// One promise: its name, the Landlock ABI from which Landlock keeps it (if it ever does), whether the filter (or a
/// plainer means that every kernel has) keeps it. What it says stands above each.
struct Promise(&'static str, Option<u32>, bool);

const PROMISES: &[Promise] = &[
    // no file is written, created, removed, renamed or linked
    Promise("files", Some(1), false),
    // no device under /dev is opened but null, zero, full, random and urandom
    Promise("devices", Some(1), false),
    // no file is cut short
    Promise("truncate", Some(3), true),
    // no ioctl but those that ask
    Promise("device_ioctl", Some(5), true),
    // no mode, owner, time, attribute or inode flag is set
    Promise("metadata", None, true),
    // no flock and no lease is taken
    Promise("locks", None, true),
    // nothing is mounted, unmounted or moved, no root is changed
    Promise("mounts", Some(1), true),
    // no namespace is made or entered
    Promise("namespaces", None, true),
    // no TCP port is bound or connected
    Promise("tcp", Some(4), true),
    // no socket of any family but netlink, there only to ask
    Promise("network", None, true),
    // no service of the container is spoken to
    Promise("unix_sockets", None, true),
    // nor by an abstract name
    Promise("abstract_sockets", Some(6), true),
    // no process outside the command is signalled
    Promise("signals", Some(6), true),
    // no process outside the command is traced, read or written
    Promise("ptrace", Some(1), true),
    // no other process gets another priority, affinity or limit
    Promise("scheduling", None, true),
    // no System V or POSIX queue, semaphore or segment is made, used or removed
    Promise("ipc", None, true),
    // no capability is left but CAP_DAC_READ_SEARCH, and none comes back by exec
    Promise("privileges", None, true),
    // no clock, name, module, key, BPF, perf, quota or io_uring call
    Promise("kernel", None, true),
    // a crash writes no core and wakes no core handler
    Promise("core_dumps", None, true),
];

/// What holds on this kernel. `held`, `missing` and `single` carry names out of [`PROMISES`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Guarantees {
    /// The Landlock ABI in use; 0 without Landlock.
    pub landlock_abi: u32,
    /// Whether the system call filter is in use.
    pub seccomp: bool,
    /// What uid 0 of the container keeps; another user keeps nothing.
    pub capabilities: Vec<String>,
    pub held: Vec<&'static str>,
    /// Held, but by one mechanism where a newer kernel has two.
    pub single: Vec<&'static str>,
    pub missing: Vec<&'static str>,
}

impl Guarantees {
    pub fn at(landlock_abi: u32, seccomp: bool, capabilities: Vec<String>) -> Self {
        let mut all =
            Guarantees { landlock_abi, seccomp, capabilities, held: vec![], single: vec![], missing: vec![] };
        for Promise(name, from, filtered) in PROMISES {
            let by_landlock = from.is_some_and(|from| landlock_abi >= from);
            let by_filter = *filtered && seccomp;
            match (by_landlock, by_filter) {
                (false, false) => all.missing.push(name),
                _ => all.held.push(name),
            }
            if !by_landlock && by_filter && from.is_some() {
                all.single.push(name);
            }
        }
        all
    }
}
