//! Sockets, queues, semaphores and shared segments: ways to have somebody else change something.

use libc::*;

use crate::enter::inspect::rule::Rule::{Allow, Only, Refuse};
use crate::enter::inspect::rule::Test::In;
use crate::enter::inspect::rule::{ALL, Row, Rule};

/// AF_NETLINK with NETLINK_ROUTE or NETLINK_SOCK_DIAG: without CAP_NET_ADMIN both only answer. Others let users write to
/// each other (USERSOCK), or load kernel modules by name (GENERIC).
const SOCKET: Rule = Only(&[&[In(0, ALL, &[16]), In(2, ALL, &[0, 4])]]);

/// AF_UNIX, SOCK_STREAM or SOCK_SEQPACKET. A pair of datagram sockets (SOCK_DGRAM, and SOCK_RAW, which is the same) stays
/// free to send to any address: that would be socket(AF_UNIX) by another name.
const SOCKETPAIR: Rule = Only(&[&[In(0, ALL, &[1]), In(1, 0xF, &[1, 5])]]);

/// The size of a netlink address; for a paired unix socket it would leave a name of nine characters.
const BIND: Rule = Only(&[&[In(2, ALL, &[12])]]);
/// The same, or no address.
const SENDTO: Rule = Only(&[&[In(5, ALL, &[0, 12])]]);

/// IPC_STAT, IPC_INFO, SHM_STAT, SHM_INFO, SHM_STAT_ANY
const SHM_ASK: Rule = Only(&[&[In(1, ALL, &[2, 3, 13, 14, 15])]]);
/// IPC_STAT, IPC_INFO, GETPID, GETVAL, GETALL, GETNCNT, GETZCNT, SEM_STAT, SEM_INFO, SEM_STAT_ANY
const SEM_ASK: Rule = Only(&[&[In(2, ALL, &[2, 3, 11, 12, 13, 14, 15, 18, 19, 20])]]);
/// IPC_STAT, IPC_INFO, MSG_STAT, MSG_INFO, MSG_STAT_ANY
const MSG_ASK: Rule = Only(&[&[In(1, ALL, &[2, 3, 11, 12, 13])]]);

// One row a line or few, to be read as a table.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row(SOCKET, &[SYS_socket], "netlink to ask (ss, ip); nothing that reaches a service, the bus, a log or the network"),
    Row(SOCKETPAIR, &[SYS_socketpair], "between the command's own processes"),
    Row(BIND, &[SYS_bind], "netlink needs it"),
    Row(SENDTO, &[SYS_sendto], "netlink needs it"),
    Row(Refuse, &[SYS_connect, SYS_listen, SYS_accept, SYS_accept4], "what the sockets that are left have no use for"),
    Row(Allow, &[
        SYS_sendmsg, SYS_sendmmsg, SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg, SYS_getsockname, SYS_getpeername,
        SYS_setsockopt, SYS_getsockopt, SYS_shutdown,
    ], "on the sockets above"),
    Row(Refuse, &[
        SYS_shmget, SYS_shmat, SYS_shmdt, SYS_semget, SYS_semop, SYS_semtimedop, SYS_msgget, SYS_msgsnd, SYS_msgrcv,
    ], "making and using System V objects; shmat would write to others' segments, msgrcv take their messages"),
    Row(SHM_ASK, &[SYS_shmctl], "asking (ipcs), not IPC_SET and IPC_RMID"),
    Row(SEM_ASK, &[SYS_semctl], "asking (ipcs), not IPC_SET, IPC_RMID, SETVAL and SETALL"),
    Row(MSG_ASK, &[SYS_msgctl], "asking (ipcs), not IPC_SET and IPC_RMID"),
    Row(Refuse, &[
        SYS_mq_open, SYS_mq_unlink, SYS_mq_timedsend, SYS_mq_timedreceive, SYS_mq_notify, SYS_mq_getsetattr,
    ], "POSIX queues: their file system is the kernel's own, where Landlock does not look"),
];
