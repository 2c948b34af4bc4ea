//! The system calls that an errand takes; every other answers ENOSYS.

use libc::*;

use crate::enter::inspect::{self, ALL, Row, Rule, Test};

const NOT_EXECUTABLE: &[&[Test]] = &[&[Test::In(2, PROT_EXEC as u32, &[0])]];
/// `openat` with its flags in a register: to read, without making anything.
const READS: &[&[Test]] = &[&[Test::In(2, (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND) as u32, &[0])]];
/// Questions only: none of the flags and locks that outlive a descriptor.
const ASKS: &[&[Test]] =
    &[&[Test::In(1, ALL, &[F_GETFL as u32, F_GETFD as u32, F_SETFD as u32, F_DUPFD_CLOEXEC as u32])]];

#[rustfmt::skip]
const BOTH: &[Row] = &[
    Row(Rule::Allow, &[SYS_openat2, SYS_readlinkat, SYS_fstat, SYS_newfstatat, SYS_statx, SYS_fstatfs, SYS_getdents64],
        "what is there; its flags lie in memory, and Landlock sees what they come to"),
    Row(Rule::Allow, &[SYS_read, SYS_write, SYS_writev, SYS_lseek, SYS_splice, SYS_close], "the bytes, on descriptors"),
    Row(Rule::Only(ASKS), &[SYS_fcntl], "what a descriptor is; one more for the same"),
    Row(Rule::Only(NOT_EXECUTABLE), &[SYS_mmap, SYS_mprotect], "memory, none of it code"),
    Row(Rule::Allow, &[SYS_munmap, SYS_mremap, SYS_brk, SYS_madvise], "memory"),
    Row(Rule::Allow, &[SYS_getrandom, SYS_futex, SYS_clock_gettime, SYS_restart_syscall, SYS_rt_sigreturn],
        "what the libraries ask for"),
    Row(Rule::Allow, &[SYS_exit_group, SYS_exit], "its end"),
];

#[rustfmt::skip]
const READING: &[Row] = &[
    Row(Rule::Only(READS), &[SYS_openat], "a file that was found, to read"),
];

#[rustfmt::skip]
const WRITING: &[Row] = &[
    Row(Rule::Allow, &[SYS_openat], "a file that was found, or a new one"),
    Row(Rule::Allow, &[SYS_fchown, SYS_fchmod, SYS_fsync], "the new file, on its descriptor"),
    Row(Rule::Allow, &[SYS_linkat, SYS_renameat, SYS_renameat2, SYS_unlinkat],
        "its way into place; where it takes no flags the C library makes the older call of the newer"),
];

pub fn filter(changes: bool) -> Vec<sock_filter> {
    inspect::filter(BOTH.iter().chain(if changes { WRITING } else { READING }))
}
