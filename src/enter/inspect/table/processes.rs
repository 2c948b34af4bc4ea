//! Processes: its own, its children, and everyone else's.

use libc::*;

use super::newer::*;
use crate::enter::inspect::rule::Rule::{Absent, Allow, Below, Only, Refuse};
use crate::enter::inspect::rule::Test::{In, Null};
use crate::enter::inspect::rule::{ALL, Row, Rule};

/// CLONE_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET (_NEWTIME cannot be asked of clone), and
/// CLONE_PARENT, which would leave the child to whoever started the command.
const CLONE: Rule = Only(&[&[In(0, 0x7E02_8000, &[0])]]);

/// Where Landlock does not scope signals: to the own process group, which lies in the command's own session, and the
/// question whether a process is there.
const KILL: Rule = Below(6, &Only(&[&[In(0, ALL, &[0])], &[In(1, ALL, &[0])]]));
const TKILL: Rule = Below(6, &Only(&[&[In(1, ALL, &[0])]]));
const TGKILL: Rule = Below(6, &Only(&[&[In(2, ALL, &[0])]]));

/// The first argument is a process: only 0, the caller.
const SELF: Rule = Only(&[&[In(0, ALL, &[0])]]);
/// PRIO_PROCESS of the caller (nice).
const SELF_PRIORITY: Rule = Only(&[&[In(0, ALL, &[0]), In(1, ALL, &[0])]]);
/// IOPRIO_WHO_PROCESS of the caller (ionice).
const SELF_IOPRIO: Rule = Only(&[&[In(0, ALL, &[1]), In(1, ALL, &[0])]]);
/// Of the caller, or without a new limit.
const PRLIMIT: Rule = Only(&[&[In(0, ALL, &[0])], &[Null(2)]]);

// One row a line or few, to be read as a table.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row(Allow, &[
        SYS_fork, SYS_vfork, SYS_execve, SYS_execveat, SYS_exit, SYS_exit_group, SYS_wait4, SYS_waitid,
    ], "running programs"),
    Row(CLONE, &[SYS_clone], "processes and threads, but in no new namespace and as no one else's child"),
    Row(Absent, &[SYS_clone3], "its flags lie in memory, where a filter cannot look; libraries fall back to clone"),
    Row(Refuse, &[SYS_unshare, SYS_setns], "a user namespace would give every capability in it"),
    Row(KILL, &[SYS_kill], "Landlock scopes signals from ABI 6"),
    Row(TKILL, &[SYS_tkill], "as kill"),
    Row(TGKILL, &[SYS_tgkill], "as kill"),
    Row(Below(6, &Refuse), &[SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_pidfd_send_signal], "as kill"),
    Row(Refuse, &[
        SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_process_madvise, SYS_process_mrelease,
        SYS_pidfd_getfd, SYS_kcmp,
    ], "another's memory and descriptors; Landlock's too, for all outside of the command"),
    Row(SELF_PRIORITY, &[SYS_setpriority], "root may renice any process of root's without a capability"),
    Row(SELF_IOPRIO, &[SYS_ioprio_set], "as setpriority"),
    Row(SELF, &[SYS_sched_setparam, SYS_sched_setscheduler, SYS_sched_setaffinity, SYS_sched_setattr], "as setpriority"),
    Row(SELF, &[SYS_move_pages], "asking where the own pages are (numastat); another's would move"),
    Row(Refuse, &[SYS_migrate_pages], "moves another's memory"),
    Row(PRLIMIT, &[SYS_prlimit64], "as setpriority; asking about others stays (prlimit -p)"),
    Row(Allow, &[
        SYS_setrlimit, SYS_getrlimit, SYS_getrusage, SYS_times, SYS_getpriority, SYS_ioprio_get,
    ], "own limits; asking"),
    Row(Allow, &[
        SYS_sched_getparam, SYS_sched_getscheduler, SYS_sched_getaffinity, SYS_sched_getattr, SYS_sched_yield,
        SYS_sched_get_priority_max, SYS_sched_get_priority_min, SYS_sched_rr_get_interval, SYS_getcpu,
    ], "asking about scheduling"),
    Row(Allow, &[
        SYS_getpid, SYS_getppid, SYS_gettid, SYS_getpgid, SYS_getpgrp, SYS_getsid, SYS_setpgid, SYS_setsid, SYS_getuid,
        SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getresuid, SYS_getresgid, SYS_getgroups, SYS_pidfd_open,
    ], "who it is; groups within its own session"),
    Row(Allow, &[
        SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid, SYS_setfsuid, SYS_setfsgid,
        SYS_setgroups, SYS_capget, SYS_capset,
    ], "without capabilities and with no_new_privs there is only less to be had"),
    Row(Allow, &[
        SYS_prctl, SYS_arch_prctl, SYS_personality, SYS_seccomp, SYS_landlock_create_ruleset, SYS_landlock_add_rule,
        SYS_landlock_restrict_self, SYS_lsm_get_self_attr, SYS_lsm_list_modules,
    ], "the process's own settings; filters and domains only add to these"),
    Row(Refuse, &[SYS_lsm_set_self_attr], "the label of the next exec"),
];
