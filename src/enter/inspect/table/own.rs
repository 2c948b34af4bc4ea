//! What concerns the process alone: memory, time, waiting, signals that it takes.

use libc::*;

use super::newer::*;
use crate::enter::inspect::rule::Rule::{Absent, Allow, Only, Refuse};
use crate::enter::inspect::rule::Test::In;
use crate::enter::inspect::rule::{Row, Rule};

/// Any operation on futexes of its own (FUTEX_PRIVATE_FLAG); on shared ones, which lie in files that it may only read,
/// waiting, waking and the kinds that write and so need more than that. Not FUTEX_REQUEUE and FUTEX_CMP_REQUEUE: they
/// would move another process's waiter to where nobody wakes it.
const FUTEX: Rule = Only(&[&[In(1, 0x80, &[0x80])], &[In(1, 0x7F, &[0, 1, 5, 6, 7, 8, 9, 10, 11, 12, 13])]]);

// One row a line or few, to be read as a table.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row(Allow, &[
        SYS_mmap, SYS_mprotect, SYS_munmap, SYS_brk, SYS_mremap, SYS_msync, SYS_mincore, SYS_madvise, SYS_mlock,
        SYS_mlock2, SYS_munlock, SYS_mlockall, SYS_munlockall, SYS_remap_file_pages, SYS_mseal, SYS_map_shadow_stack,
        SYS_pkey_mprotect, SYS_pkey_alloc, SYS_pkey_free, SYS_set_mempolicy, SYS_get_mempolicy,
    ], "memory; a shared mapping that writes takes a descriptor that writes"),
    Row(Refuse, &[SYS_mbind, SYS_set_mempolicy_home_node], "of a mapped tmpfs file they set the file's own policy"),
    Row(Allow, &[
        SYS_futex_waitv, SYS_futex_wake, SYS_futex_wait, SYS_set_robust_list, SYS_get_robust_list,
        SYS_set_tid_address, SYS_rseq, SYS_membarrier,
    ], "threads"),
    Row(FUTEX, &[SYS_futex], "threads; not moving the waiters of others"),
    Row(Absent, &[SYS_futex_requeue], "its flags lie in memory, where a filter cannot look; no library uses it yet"),
    Row(Allow, &[
        SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending, SYS_rt_sigtimedwait,
        SYS_rt_sigsuspend, SYS_sigaltstack, SYS_pause, SYS_signalfd, SYS_signalfd4, SYS_restart_syscall,
    ], "signals that it takes"),
    Row(Allow, &[
        SYS_time, SYS_gettimeofday, SYS_clock_gettime, SYS_clock_getres, SYS_nanosleep, SYS_clock_nanosleep, SYS_alarm,
        SYS_getitimer, SYS_setitimer, SYS_timer_create, SYS_timer_settime, SYS_timer_gettime, SYS_timer_getoverrun,
        SYS_timer_delete, SYS_timerfd_create, SYS_timerfd_settime, SYS_timerfd_gettime,
    ], "time, and its own timers"),
    Row(Allow, &[
        SYS_poll, SYS_ppoll, SYS_select, SYS_pselect6, SYS_epoll_create, SYS_epoll_create1, SYS_epoll_ctl,
        SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_pwait2, SYS_eventfd, SYS_eventfd2,
    ], "waiting"),
    Row(Allow, &[SYS_uname, SYS_sysinfo, SYS_getrandom], "asking about the machine"),
    Row(Allow, &[SYS_uretprobe, SYS_uprobe], "the kernel itself enters these for a function that is being traced"),
];
