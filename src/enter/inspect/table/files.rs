//! Files, directories, mounts and what can be asked of an open descriptor.

use libc::*;

use super::newer::*;
use crate::enter::inspect::rule::Rule::{Absent, Allow, Only, Refuse, Unwritable};
use crate::enter::inspect::rule::Test::In;
use crate::enter::inspect::rule::{ALL, Row, Rule};

/// An access mode to read, write or both, and truncation only with one that writes, which Landlock then judges. It is
/// not asked about mode 3 (neither, for ioctl) at all, and before ABI 3 not about a read-only open that truncates.
const OPEN_FLAGS: &[u32] = &[0o0, 0o1, 0o2, 0o1001, 0o1002];
const OPEN_MASK: u32 = 0o1003;
const OPEN: Rule = Only(&[&[In(1, OPEN_MASK, OPEN_FLAGS)]]);
const OPENAT: Rule = Only(&[&[In(2, OPEN_MASK, OPEN_FLAGS)]]);

/// Not here: F_SETOWN, F_SETSIG (signals to others), leases and delegations (they hold up others' opens), F_SETPIPE_SZ
/// and write hints (they change the caller's pipe, the file's inode). Of record locks a descriptor that only reads can
/// take the shared kind; sqlite needs it to read.
#[rustfmt::skip]
const FCNTL: Rule = Only(&[&[In(1, ALL, &[
    0, 1, 2, 3, 4, // F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL
    5, 6, 7, 36, 37, 38, // F_GETLK, F_SETLK, F_SETLKW and their F_OFD_ kind
    9, 11, 16, 17, 1025, // F_GETOWN, F_GETSIG, F_GETOWN_EX, F_GETOWNER_UIDS, F_GETLEASE
    1032, 1035, 1037, // F_GETPIPE_SZ, F_GET_RW_HINT, F_GET_FILE_RW_HINT
    1027, 1028, 1030, // F_DUPFD_QUERY, F_CREATED_QUERY, F_DUPFD_CLOEXEC
    1033, 1034, // F_ADD_SEALS, F_GET_SEALS: memory files
])]]);

/// Requests that ask. A list of those to refuse could not be complete: many set something on a descriptor that only
/// reads (FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR, FITRIM, FIFREEZE, TIOCSTI, TIOCLINUX, FIOSETOWN …).
#[rustfmt::skip]
const IOCTL: Rule = Only(&[&[In(1, ALL, &[
    0x5401, 0x802C_542A, 0x540F, 0x5413, 0x5429, // TCGETS, TCGETS2, TIOCGPGRP, TIOCGWINSZ, TIOCGSID
    0x5411, 0x541B, 0x5460, // TIOCOUTQ, FIONREAD, FIOQSIZE
    0x5421, 0x5450, 0x5451, // FIONBIO, FIONCLEX, FIOCLEX: of the own descriptor
    0x0002, 0xC020_660B, // FIGETBSZ, FS_IOC_FIEMAP
    0x8008_6601, 0x8008_7601, 0x801C_581F, 0x8100_9431, // FS_IOC_GETFLAGS, _GETVERSION, _FSGETXATTR, _GETFSLABEL
    0xB701, 0xB702, 0xB703, 0xB704, // NS_GET_USERNS, _PARENT, _NSTYPE, _OWNER_UID
    0x8910, 0x8912, 0x8913, 0x8915, 0x8917, 0x8919, 0x891B, // SIOCGIFNAME, CONF, FLAGS, ADDR, DSTADDR, BRDADDR, NETMASK
    0x891D, 0x8921, 0x8927, 0x8933, 0x8942, 0x8970, // SIOCGIFMETRIC, MTU, HWADDR, INDEX, TXQLEN, MAP
])]]);

/// flock with LOCK_UN, LOCK_NB or not.
const UNLOCK: Rule = Only(&[&[In(1, !4, &[8])]]);

/// W_OK: whoever asks is told that nothing can be written, before they try (apt then keeps its cache in memory).
const ACCESS: Rule = Unwritable(&[&[In(1, 2, &[0])]]);
const ACCESSAT: Rule = Unwritable(&[&[In(2, 2, &[0])]]);

// One row a line or few, to be read as a table.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row(ACCESS, &[SYS_access], "asking whether a file may be read or run; to write, it may not"),
    Row(ACCESSAT, &[SYS_faccessat, SYS_faccessat2], "the same"),
    Row(OPEN, &[SYS_open], "Landlock judges reading and writing; see OPEN_FLAGS for what it would not be asked"),
    Row(OPENAT, &[SYS_openat], "as open"),
    Row(Absent, &[SYS_openat2], "its flags lie in memory, where a filter cannot look; libraries fall back to openat"),
    Row(Allow, &[SYS_creat, SYS_mkdir, SYS_mkdirat], "Landlock; mkdir must answer EEXIST for what is there (mkdir -p)"),
    Row(Allow, &[
        SYS_read, SYS_readv, SYS_pread64, SYS_preadv, SYS_preadv2, SYS_write, SYS_writev, SYS_pwrite64, SYS_pwritev,
        SYS_pwritev2, SYS_lseek, SYS_sendfile, SYS_splice, SYS_tee, SYS_vmsplice, SYS_copy_file_range, SYS_ftruncate,
        SYS_fallocate,
    ], "on an open descriptor; Landlock gives out none that writes to a file"),
    Row(Allow, &[
        SYS_close, SYS_close_range, SYS_dup, SYS_dup2, SYS_dup3, SYS_pipe, SYS_pipe2, SYS_memfd_create,
        SYS_memfd_secret, SYS_umask, SYS_chdir, SYS_fchdir, SYS_getcwd,
    ], "descriptors, pipes, memory and directory of its own"),
    Row(Allow, &[
        SYS_stat, SYS_fstat, SYS_lstat, SYS_newfstatat, SYS_statx, SYS_readlink, SYS_readlinkat, SYS_getdents,
        SYS_getdents64, SYS_statfs, SYS_fstatfs, SYS_ustat, SYS_sysfs,
        SYS_getxattr, SYS_lgetxattr, SYS_fgetxattr, SYS_getxattrat, SYS_listxattr, SYS_llistxattr, SYS_flistxattr,
        SYS_listxattrat, SYS_file_getattr, SYS_statmount, SYS_listmount, SYS_listns, SYS_name_to_handle_at,
        SYS_cachestat,
    ], "asking about files, mounts and namespaces"),
    Row(Allow, &[SYS_readahead, SYS_fadvise64], "moves pages in or out of the cache; coreutils does for every file"),
    Row(Allow, &[SYS_inotify_init, SYS_inotify_init1, SYS_inotify_add_watch, SYS_inotify_rm_watch], "tail -f"),
    Row(Allow, &[SYS_fsync, SYS_fdatasync, SYS_sync_file_range], "writes out one file that it can open; changes nothing"),
    Row(FCNTL, &[SYS_fcntl], "only what asks or acts on the own descriptor"),
    Row(IOCTL, &[SYS_ioctl], "only what asks: an allowlist"),
    Row(UNLOCK, &[SYS_flock], "a read-only descriptor can take even the exclusive lock, and hold up a service"),
    Row(Refuse, &[SYS_sync, SYS_syncfs], "makes the host write out all that it holds for everyone"),
    Row(Refuse, &[SYS_chmod, SYS_fchmod, SYS_fchmodat, SYS_fchmodat2], "mode; Landlock does not know it"),
    Row(Refuse, &[SYS_chown, SYS_fchown, SYS_lchown, SYS_fchownat], "owner; Landlock does not know it"),
    Row(Refuse, &[
        SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, SYS_setxattrat, SYS_removexattr, SYS_lremovexattr,
        SYS_fremovexattr, SYS_removexattrat,
    ], "attributes, ACLs and file capabilities; Landlock does not know them"),
    Row(Refuse, &[SYS_utime, SYS_utimes, SYS_futimesat, SYS_utimensat], "times; Landlock does not know them"),
    Row(Refuse, &[SYS_file_setattr], "inode flags (immutable, append-only) and project ids"),
    Row(Refuse, &[SYS_truncate], "Landlock's from ABI 3; here for the kernels before, and twice since"),
    Row(Refuse, &[
        SYS_link, SYS_linkat, SYS_symlink, SYS_symlinkat, SYS_rename, SYS_renameat, SYS_renameat2, SYS_unlink,
        SYS_unlinkat, SYS_rmdir, SYS_mknod, SYS_mknodat,
    ], "names; Landlock's too, and no diagnostic misses the second lock"),
    Row(Refuse, &[
        SYS_mount, SYS_umount2, SYS_move_mount, SYS_open_tree, SYS_open_tree_attr, SYS_fsopen, SYS_fsconfig,
        SYS_fsmount, SYS_fspick, SYS_mount_setattr, SYS_pivot_root, SYS_chroot,
    ], "what is mounted where, in both APIs"),
    Row(Refuse, &[SYS_open_by_handle_at], "with CAP_DAC_READ_SEARCH it opens what no path leads to: out of a privileged container"),
    Row(Refuse, &[SYS_fanotify_init, SYS_fanotify_mark], "can hold up others' opens"),
    Row(Refuse, &[SYS_quotactl, SYS_quotactl_fd], "quotas"),
    Row(Refuse, &[
        SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register, SYS_io_setup, SYS_io_destroy, SYS_io_getevents,
        SYS_io_pgetevents, SYS_io_submit, SYS_io_cancel,
    ], "io_uring carries out calls that no filter sees; no diagnostic needs either"),
];
