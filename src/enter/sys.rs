//! The few calls that nix does not wrap. Everything above this file is safe code.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;

/// Which side of [`fork_into`] the caller is on.
pub enum Forked {
    Child,
    Parent { pid: Pid, pidfd: OwnedFd },
}

/// `clone3` as a fork: its own memory and descriptors, born inside the cgroup when one is given. Being born there
/// costs a hundredth of moving there: writing `cgroup.procs` waits for an RCU grace period.
///
/// The caller must be single-threaded; the child must reach exec or [`exit_now`].
pub fn fork_into(cgroup: Option<BorrowedFd<'_>>) -> Result<Forked, Errno> {
    const INTO_CGROUP: u64 = 0x2_0000_0000;
    let mut pidfd: RawFd = -1;
    // SAFETY: clone_args is plain integers, for which zero is valid and means "not used".
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = libc::CLONE_PIDFD as u64;
    args.pidfd = &raw mut pidfd as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = cgroup {
        args.flags |= INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: without CLONE_VM the child runs on a copy of this memory, as after fork; this process has one thread,
    // so no lock can be held by another. `args` and `pidfd` outlive the call.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
    match Errno::result(pid)? {
        0 => Ok(Forked::Child),
        pid => {
            // SAFETY: the kernel has just put a new descriptor there, and nobody else knows of it.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Forked::Parent { pid: Pid::from_raw(pid as i32), pidfd })
        }
    }
}

/// Ends the process at once: no destructor, no buffer and no exit handler of the parent's copy runs.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit takes any code and does not return.
    unsafe { libc::_exit(code) }
}

/// How a child ended, and what it and the children it waited for used.
pub struct Reaped {
    pub status: i32,
    pub cpu_us: u64,
    pub peak_bytes: u64,
}

/// Reaps `pid` if it has ended.
pub fn reap(pid: Pid) -> Result<Option<Reaped>, Errno> {
    let mut status = 0;
    // SAFETY: rusage is plain integers, for which zero is valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals that outlive the call.
    let got = unsafe { libc::wait4(pid.as_raw(), &raw mut status, libc::WNOHANG, &raw mut usage) };
    if Errno::result(got)? == 0 {
        return Ok(None);
    }
    let micros = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    Ok(Some(Reaped {
        status,
        cpu_us: micros(usage.ru_utime) + micros(usage.ru_stime),
        peak_bytes: usage.ru_maxrss as u64 * 1024,
    }))
}

/// The pids of this process's children, ended ones included.
pub fn children() -> Vec<Pid> {
    let pid = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/self/task/{pid}/children")).unwrap_or_default();
    children.split_ascii_whitespace().filter_map(|child| child.parse().ok().map(Pid::from_raw)).collect()
}

/// A process by its pid, as a descriptor that never comes to mean another one.
pub fn pidfd_open(pid: Pid) -> Result<OwnedFd, Errno> {
    // SAFETY: integers only.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    // SAFETY: the kernel has just made it, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Sends a signal through a pidfd; signal 0 asks whether the process is still there.
pub fn pidfd_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    // SAFETY: no memory is passed but the null siginfo that the kernel documents.
    let done = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, std::ptr::null::<u8>(), 0)
    };
    Errno::result(done).map(drop)
}

/// A number that nobody can foresee.
pub fn random() -> Result<u64, Errno> {
    let mut bytes = [0; 8];
    // SAFETY: the kernel writes at most the eight bytes that it is given.
    let got = Errno::result(unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) })?;
    // So few come whole, once there are any.
    if got == 8 { Ok(u64::from_ne_bytes(bytes)) } else { Err(Errno::EAGAIN) }
}

/// Takes the cookie of process `pid` of this process's pid namespace, by which the kernel tells who may share a core
/// with whom.
pub fn share_core_with(pid: i32) -> Result<(), Errno> {
    const ONE_THREAD: libc::c_ulong = 0;
    // SAFETY: prctl with integer arguments only.
    let done = unsafe {
        libc::prctl(libc::PR_SCHED_CORE, libc::PR_SCHED_CORE_SHARE_FROM, pid, ONE_THREAD, 0 as libc::c_ulong)
    };
    Errno::result(done).map(drop)
}

/// Whether the process has ended, be it that nobody has taken its end yet.
pub fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    poll(&mut [PollFd::new(pidfd, PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(1)
}

/// Takes every capability whose bit is not in `keep` out of the bounding set, those that this build has no name for
/// included.
pub fn keep_bounding(keep: u64) -> Result<(), Errno> {
    for capability in (0..64).filter(|capability| keep >> capability & 1 == 0) {
        // SAFETY: prctl with integer arguments only.
        match Errno::result(unsafe { libc::prctl(libc::PR_CAPBSET_READ, capability, 0, 0, 0) }) {
            // Past the last that the kernel has.
            Err(Errno::EINVAL) => break,
            Err(errno) => return Err(errno),
            Ok(1) => {
                // SAFETY: as above.
                Errno::result(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) })?;
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

/// Installs a seccomp filter without flags, as lxc does.
pub fn install_filter(instructions: &[libc::sock_filter]) -> Result<(), Errno> {
    let length = u16::try_from(instructions.len()).map_err(|_| Errno::E2BIG)?;
    let program = libc::sock_fprog { len: length, filter: instructions.as_ptr().cast_mut() };
    // SAFETY: the program points at `length` instructions, which the kernel copies and does not write.
    let done =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
    Errno::result(done).map(drop)
}

/// Whether the kernel takes filters that answer a call with an errno.
pub fn takes_filters() -> bool {
    let action: u32 = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the kernel reads one u32 through the pointer, which is live.
    unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) == 0 }
}

/// A session keyring of the process's own, so that it can reach no key of the host's.
pub fn new_session_keyring() -> Result<(), Errno> {
    const JOIN_SESSION_KEYRING: i32 = 1;
    // SAFETY: a null name asks for an anonymous keyring.
    let done = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<u8>()) };
    match Errno::result(done) {
        // No keyrings in this kernel: then there is none to leave.
        Err(Errno::ENOSYS) => Ok(()),
        other => other.map(drop),
    }
}

/// Closes every descriptor from `first` on.
pub fn close_from(first: RawFd) -> Result<(), Errno> {
    // SAFETY: the caller is a fresh child whose Rust owners of those descriptors never run again.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) }).map(drop)
}

/// Makes `from` appear as descriptor `to` as well, which exec closes or keeps.
pub fn dup_to(from: RawFd, to: RawFd, close_on_exec: bool) -> Result<(), Errno> {
    let flags = if close_on_exec { libc::O_CLOEXEC } else { 0 };
    // SAFETY: dup3 on integers; what was open at `to` belongs to the parent's copy, which is not used again.
    Errno::result(unsafe { libc::dup3(from, to, flags) }).map(drop)
}

/// A descriptor by its number, which the caller has just filled and keeps open.
pub const fn borrowed<const FD: RawFd>() -> BorrowedFd<'static> {
    // SAFETY: the number is not -1, and the caller's child process never closes it.
    unsafe { BorrowedFd::borrow_raw(FD) }
}

/// The descriptor of what keeps it open, for as long as that does.
pub fn borrow(holder: &impl AsRawFd) -> BorrowedFd<'_> {
    // SAFETY: the holder lives at least as long as the borrow, and closes it no sooner than it ends.
    unsafe { BorrowedFd::borrow_raw(holder.as_raw_fd()) }
}

/// The execution domain: flags such as a 32-bit machine name or no address randomisation.
pub fn set_personality(persona: i32) -> Result<(), Errno> {
    // SAFETY: personality takes any value and touches no memory.
    Errno::result(unsafe { libc::personality(persona as libc::c_ulong) }).map(drop)
}

/// Every signal to its default action. Rust starts programs with SIGPIPE ignored, and an ignored signal survives exec.
/// By the kernel's own call: libc's refuses the signals that it keeps for itself, which whoever started this may have
/// ignored all the same.
pub fn default_signals() {
    /// Of the kernel's `struct sigaction`: handler, flags, restorer, mask. All zero is SIG_DFL.
    const DEFAULT: [u64; 4] = [0; 4];
    for signal in 1..=64 {
        // SAFETY: the kernel reads one sigaction, which is no longer than this, and writes none; no handler is set. The
        // refusal for SIGKILL and SIGSTOP is expected.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, DEFAULT.as_ptr(), std::ptr::null_mut::<u64>(), 8)
        };
    }
}

/// Descriptors that one message can carry: the kernel's SCM_MAX_FD.
pub const MOST_DESCRIPTORS: usize = 253;

/// Owns a descriptor that another process or the service manager handed over by number.
pub fn adopt(fd: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: F_GETFD only looks whether the number is open.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_GETFD) })?;
    // SAFETY: it is open, and the protocol that named it gave it to this process alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A message, and what came beside it.
pub struct Received {
    /// Of the message, in the caller's buffer.
    pub length: usize,
    pub descriptors: Vec<OwnedFd>,
    /// More descriptors were sent than this process could take.
    pub cut: bool,
}

/// Receives without waiting. Every descriptor that came is owned by the answer, also where others got lost on the way.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Received, Errno> {
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: integers only. Room for all that one message can carry, in words, as the kernel aligns it.
    let space = unsafe { libc::CMSG_SPACE((MOST_DESCRIPTORS * size_of::<RawFd>()) as u32) } as usize;
    let mut control = vec![0_u64; space.div_ceil(8)];
    // SAFETY: msghdr is integers and pointers, for which zero is valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = space as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the header points at `buffer` and `control` with their lengths, and both outlive the call.
    let length = Errno::result(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) })?;
    let mut descriptors = Vec::new();
    // SAFETY: the kernel has filled `control` up to msg_controllen, and the macros stay within it; a descriptor in an
    // SCM_RIGHTS is new, and nobody else knows of it.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while !header.is_null() {
            if ((*header).cmsg_level, (*header).cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                let bytes = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let first = libc::CMSG_DATA(header).cast::<RawFd>();
                for at in 0..bytes / size_of::<RawFd>() {
                    descriptors.push(OwnedFd::from_raw_fd(first.add(at).read_unaligned()));
                }
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    }
    let cut = message.msg_flags & libc::MSG_CTRUNC != 0;
    Ok(Received { length: length as usize, descriptors, cut })
}

const MARK: &std::ffi::CStr = c"trusted.provost.left";

/// Sets an attribute on a file that only the node's root can set or see.
pub fn set_trusted_mark(file: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: the name is a C string, the value one byte of a static.
    let done = unsafe { libc::fsetxattr(file.as_raw_fd(), MARK.as_ptr(), b"1".as_ptr().cast(), 1, 0) };
    Errno::result(done).map(drop)
}

pub fn has_trusted_mark(file: BorrowedFd<'_>) -> bool {
    // SAFETY: a null buffer of size zero asks for the length alone.
    unsafe { libc::fgetxattr(file.as_raw_fd(), MARK.as_ptr(), std::ptr::null_mut(), 0) >= 0 }
}

/// Reads a small file of /proc or /sys whole, at most `limit` bytes.
pub fn read_small(mut file: File, limit: u64) -> std::io::Result<String> {
    let mut text = String::new();
    file.by_ref().take(limit).read_to_string(&mut text)?;
    Ok(text)
}
