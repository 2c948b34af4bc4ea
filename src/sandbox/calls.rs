//! The calls that are let through: those that the daemon, or its reader, makes, and where it matters with which
//! arguments. Any other is refused with EPERM, whatever newer kernels add.
//!
//! The unit's `SystemCallFilter=` stands beside it where there is one; this one holds without, and is narrower: it tells
//! a connection from a bound socket, a thread from a process, and memory from code.

use libseccomp::error::SeccompError;
use libseccomp::{ScmpAction, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};

/// Whose calls.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    Daemon {
        /// A host is given by its name: what asks for its address makes sockets of other kinds, and loads libraries.
        resolves: bool,
    },
    Reader,
}

const REFUSED: ScmpAction = ScmpAction::Errno(libc::EPERM);
const ABSENT: ScmpAction = ScmpAction::Errno(libc::ENOSYS);

/// Whatever their arguments, a family a line.
#[rustfmt::skip]
const LET_THROUGH: &[&str] = &[
    // Descriptors.
    "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2", "lseek",
    "close", "dup", "dup2", "dup3", "fcntl", "pipe", "pipe2", "sendfile", "splice", "copy_file_range",
    // Files: which, Landlock says.
    "open", "openat", "openat2", "stat", "lstat", "fstat", "newfstatat", "statx", "statfs", "fstatfs", "access",
    "faccessat", "faccessat2", "readlink", "readlinkat", "getdents64", "getcwd", "rename", "renameat", "renameat2",
    "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "ftruncate", "fallocate", "fsync", "fdatasync",
    "sync_file_range", "flock", "fadvise64", "fchmod", "umask", "utimensat", "memfd_create",
    // Memory. Code is below.
    "munmap", "mremap", "madvise", "brk",
    // Threads and time.
    "futex", "futex_waitv", "futex_wait", "futex_wake", "set_robust_list", "rseq", "sched_yield", "sched_getaffinity",
    "membarrier", "exit", "exit_group", "restart_syscall", "nanosleep", "clock_nanosleep", "clock_gettime",
    "clock_getres", "gettimeofday", "time", "timerfd_create", "timerfd_settime", "timerfd_gettime", "getrusage",
    "times", "sysinfo", "uname",
    // Signals to itself.
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "sigaltstack", "signalfd4",
    // What it is.
    "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups",
    "capget", "getrandom",
    // Sockets that it was given or has made, and connecting. Not bind and not listen.
    "socketpair", "connect", "accept", "accept4", "getsockname", "getpeername", "getsockopt", "setsockopt", "sendto",
    "sendmsg", "sendmmsg", "recvfrom", "recvmsg", "recvmmsg", "shutdown",
    // Waiting.
    "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select", "pselect6",
    "eventfd2",
];

/// As if the kernel had none: a library then goes another way.
const NOT_THERE: &[&str] = &["clone3"];

/// Newer calls of those above: an older libseccomp does not know them.
fn number(name: &str) -> Option<ScmpSyscall> {
    ScmpSyscall::from_name(name).ok()
}

/// Installs the filter for this thread and those that it starts.
pub fn filter(of: Of) -> Result<(), SeccompError> {
    program(of)?.load()
}

fn program(of: Of) -> Result<ScmpFilterContext, SeccompError> {
    let mut filter = ScmpFilterContext::new(REFUSED)?;
    // no_new_privs was set before.
    filter.set_ctl_nnp(false)?;
    // The calls that are made most are told apart as quickly as those at the list's end.
    filter.set_ctl_optimize(2)?;
    for call in LET_THROUGH.iter().filter_map(|name| number(name)) {
        filter.add_rule(ScmpAction::Allow, call)?;
    }
    for call in NOT_THERE.iter().filter_map(|name| number(name)) {
        filter.add_rule(ABSENT, call)?;
    }
    for (name, tests) in with_arguments(of) {
        if let Some(call) = number(name) {
            filter.add_rule_conditional(ScmpAction::Allow, call, &tests)?;
        }
    }
    Ok(filter)
}

/// Each row lets a call through where all its tests hold.
fn with_arguments(of: Of) -> Vec<(&'static str, Vec<ScmpArgCompare>)> {
    // The kernel looks at the lower half of an int.
    let is = |argument, value: i32| masked(argument, u64::from(u32::MAX), value as u32 as u64);
    let family = |family| is(0, family);
    let mut rows = vec![
        // A thread, and never a process: nothing is run.
        ("clone", vec![masked(0, libc::CLONE_THREAD as u64, libc::CLONE_THREAD as u64)]),
        // To its own process alone: that is how it aborts.
        ("tgkill", vec![is(0, std::process::id() as i32)]),
        // Names of threads and of memory; not whether it can be looked into.
        ("prctl", vec![is(0, libc::PR_SET_NAME)]),
        ("prctl", vec![is(0, libc::PR_GET_NAME)]),
        ("prctl", vec![is(0, libc::PR_SET_VMA)]),
        ("prctl", vec![is(0, libc::PR_CAPBSET_READ)]),
        // Limits are read, and not set.
        ("prlimit64", vec![ScmpArgCompare::new(2, ScmpCompareOp::Equal, 0)]),
        ("socket", vec![family(libc::AF_UNIX)]),
        // Memory that is written is never code.
        ("mprotect", vec![masked(2, libc::PROT_EXEC as u64, 0)]),
        ("mmap", vec![masked(2, libc::PROT_EXEC as u64, 0)]),
    ];
    for request in [libc::FIONBIO, libc::FIOCLEX, libc::FIONREAD, libc::TCGETS, libc::TIOCGWINSZ] {
        rows.push(("ioctl", vec![masked(1, u64::from(u32::MAX), request)]));
    }
    // What looks up names loads a library for it.
    let code = ("mmap", vec![masked(2, (libc::PROT_EXEC | libc::PROT_WRITE) as u64, libc::PROT_EXEC as u64)]);
    let stream = |of| vec![family(of), masked(1, SOCK_TYPE_MASK, libc::SOCK_STREAM as u64)];
    match of {
        Of::Daemon { resolves } => {
            rows.extend([libc::AF_INET, libc::AF_INET6].map(|of| ("socket", stream(of))));
            if resolves {
                let datagram = |of| vec![family(of), masked(1, SOCK_TYPE_MASK, libc::SOCK_DGRAM as u64)];
                rows.extend([libc::AF_INET, libc::AF_INET6].map(|of| ("socket", datagram(of))));
                rows.push(code);
            }
        }
        Of::Reader => rows.push(code),
    }
    rows
}

/// Of a socket's type, without the flags.
const SOCK_TYPE_MASK: u64 = 0xf;

fn masked(argument: u32, mask: u64, value: u64) -> ScmpArgCompare {
    ScmpArgCompare::new(argument, ScmpCompareOp::MaskedEqual(mask), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_call_that_the_library_knows_but_for_the_newest() {
        let unknown: Vec<_> =
            LET_THROUGH.iter().chain(NOT_THERE).filter(|name| number(name).is_none()).collect();
        let newest = ["futex_wait", "futex_wake"];
        assert!(unknown.iter().all(|name| newest.contains(name)), "{unknown:?}");
        for (name, _) in with_arguments(Of::Daemon { resolves: true }) {
            assert!(number(name).is_some(), "{name}");
        }
    }

    #[test]
    fn what_makes_programs_processes_or_doors_is_not_let_through() {
        for name in [
            "bind",
            "listen",
            "execve",
            "execveat",
            "fork",
            "vfork",
            "ptrace",
            "kill",
            "tkill",
            "mount",
            "setns",
            "unshare",
            "init_module",
            "finit_module",
            "bpf",
            "capset",
            "setuid",
            "keyctl",
            "io_uring_setup",
            "process_vm_readv",
            "pidfd_getfd",
            "pidfd_send_signal",
            "symlink",
            "link",
            "mknod",
            "chroot",
        ] {
            assert!(!LET_THROUGH.contains(&name), "{name}");
        }
    }

    #[test]
    fn the_filters_of_both_processes_can_be_made() {
        for of in [Of::Daemon { resolves: false }, Of::Daemon { resolves: true }, Of::Reader] {
            program(of).unwrap();
        }
    }
}
