//! The kernel itself: clock, names, modules, keys, tracing.

use libc::*;

use super::newer::*;
use crate::enter::inspect::rule::Rule::{Only, Refuse};
use crate::enter::inspect::rule::Test::In;
use crate::enter::inspect::rule::{ALL, Row, Rule};

/// SYSLOG_ACTION_READ_ALL, _SIZE_UNREAD and _SIZE_BUFFER. _READ takes what it reads.
const SYSLOG: Rule = Only(&[&[In(0, ALL, &[3, 9, 10])]]);

// One row a line or few, to be read as a table.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row(SYSLOG, &[SYS_syslog], "dmesg, without clearing, taking or muting"),
    Row(Refuse, &[
        SYS_clock_settime, SYS_settimeofday, SYS_adjtimex, SYS_clock_adjtime,
    ], "clock; whether adjtimex sets lies in memory"),
    Row(Refuse, &[SYS_sethostname, SYS_setdomainname], "names"),
    Row(Refuse, &[SYS_init_module, SYS_finit_module, SYS_delete_module], "modules"),
    Row(Refuse, &[SYS_kexec_load, SYS_kexec_file_load, SYS_reboot], "the running kernel"),
    Row(Refuse, &[SYS_swapon, SYS_swapoff, SYS_acct, SYS_vhangup], "swap, accounting, others' terminals"),
    Row(Refuse, &[SYS_add_key, SYS_request_key, SYS_keyctl], "keyrings are shared with others of the same user"),
    Row(Refuse, &[SYS_bpf, SYS_perf_event_open, SYS_userfaultfd], "kernel programs and tracing"),
    Row(Refuse, &[SYS_iopl, SYS_ioperm, SYS_modify_ldt], "ports and segments: no diagnostic needs them"),
    Row(Refuse, &[
        SYS_uselib, SYS_lookup_dcookie, SYS_create_module, SYS_get_kernel_syms, SYS_query_module,
        SYS_nfsservctl, SYS_getpmsg, SYS_putpmsg, SYS_afs_syscall, SYS_tuxcall, SYS_security, SYS__sysctl, SYS_vserver,
        SYS_epoll_ctl_old, SYS_epoll_wait_old, SYS_set_thread_area, SYS_get_thread_area,
    ], "gone from kernels, or never there on x86_64"),
];
