#!/usr/bin/env python3
"""Tries every known way to change something in a container, and says what the kernel made of each.

    attempts.py prepare DIR          as root of the container, outside of the lane: makes what the attempts aim at
    attempts.py run DIR [NAME ...]   one JSON line an attempt (with --victim PID: the process to aim at)
    attempts.py state DIR            what DIR holds, line by line: to be the same before and after an inspect run

Each attempt runs in a child of its own and undoes what it managed to do, so that it can be run in the change lane too:
that is the control, which shows that an attempt would work were it not for the lane. Fields of a line:

    name, outcome, errno, detail
    outcome   refused (the kernel said no), done (it went through), absent (there is nothing here to try it on)
    expect    refused: must be so in the lane; possible: may go through there, because it is harmless, the command's own,
              or beyond what the kernel can tell apart
    control   true: must be done in the change lane by root of an unprivileged container that runs systemd

One file and the standard library only (Debian: python3-minimal and libpython3-stdlib, which has ctypes), because it is
copied into containers. For x86_64, whose call numbers it uses.
"""
import ctypes
import errno
import fcntl
import hashlib
import json
import mmap
import os
import resource
import signal
import socket
import stat
import struct
import subprocess
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
ATTEMPTS = []
DIR = victim = None


class Absent(Exception):
    """There is nothing here to try it on."""


def attempt(expect="refused", control=True):
    def add(function):
        ATTEMPTS.append((function.__name__, function, expect, control))
        return function
    return add


def call(number, *args):
    """A raw system call. Integers go through as 64 bits, bytes as a pointer."""
    ready = [ctypes.c_char_p(a) if isinstance(a, bytes) else a if isinstance(a, ctypes._SimpleCData) or
             isinstance(a, (ctypes.Array, ctypes.Structure)) else ctypes.c_long(a) for a in args]
    result = LIBC.syscall(ctypes.c_long(number), *ready)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def at(name):
    return os.path.join(DIR, name)


def reader(name="file"):
    return os.open(at(name), os.O_RDONLY)


def shell(command, undo=None):
    """A command that must fail in the lane. Done is exit 0."""
    tool = command.split()[0]
    if not any(os.access(os.path.join(d, tool), os.X_OK) for d in ("/bin", "/sbin", "/usr/bin", "/usr/sbin")):
        raise Absent(tool + " is not installed")
    ran = subprocess.run(["/bin/sh", "-c", command.replace("DIR", DIR).replace("VICTIM", str(victim))],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if undo and ran.returncode == 0:
        subprocess.run(["/bin/sh", "-c", undo.replace("DIR", DIR)], check=True)
    said = ran.stdout.decode(errors="replace").strip().split("\n")[-1]
    if ran.returncode != 0:
        raise OSError(0, "exit %d: %s" % (ran.returncode, said))
    return said


def write_back(path, flags=os.O_WRONLY, data=None):
    """Opens for writing and writes what is there already, so that nothing is lost."""
    if data is None:
        with open(path, "rb") as old:
            data = old.read(4096)
    fd = os.open(path, flags)
    os.write(fd, data)
    os.close(fd)


def exists(path):
    if not os.path.lexists(path):
        raise Absent(path + " does not exist")
    return path


# ---- what files hold

@attempt()
def write_a_file(): write_back(at("file"), os.O_RDWR)
@attempt()
def append_to_a_file():
    fd = os.open(at("file"), os.O_WRONLY | os.O_APPEND)
    os.write(fd, b"x")
    os.truncate(at("file"), os.fstat(fd).st_size - 1)
@attempt()
def truncate_by_path(): os.truncate(at("scrap"), 0)
@attempt()
def truncate_by_a_read_only_open(): os.open(at("scrap"), os.O_RDONLY | os.O_TRUNC)
@attempt()
def truncate_by_access_mode_3(): os.open(at("scrap"), 3 | os.O_TRUNC)
@attempt()
def open_with_access_mode_3(): os.open(at("file"), 3)
@attempt()
def truncate_by_openat2(): call(437, -100, at("scrap").encode(), struct.pack("QQQ", os.O_TRUNC, 0, 0), 24)
@attempt()
def write_by_creat(): call(85, at("scrap").encode(), 0o644)
@attempt()
def punch_a_hole():
    fd = os.open(at("scrap"), os.O_RDWR)
    call(285, fd, 3, 0, 4096)
@attempt(control=False)
def fallocate_on_a_read_only_descriptor(): call(285, reader(), 0, 0, 1 << 20)
@attempt()
def write_through_a_shared_mapping():
    fd = os.open(at("file"), os.O_RDWR)
    with mmap.mmap(fd, 4096) as memory:
        memory[0] = memory[0]
@attempt(control=False)
def make_a_read_only_mapping_writable():
    memory = mmap.mmap(reader(), 4096, mmap.MAP_SHARED, mmap.PROT_READ)
    LIBC.mmap.restype = ctypes.c_long
    address = LIBC.mmap(None, ctypes.c_long(4096), 1, 1, reader(), ctypes.c_long(0))
    memory.close()
    call(10, address, 4096, 3)
@attempt()
def reopen_a_descriptor_for_writing(): write_back("/proc/self/fd/%d" % reader(), os.O_WRONLY, b"#")
@attempt(control=False)
def splice_into_a_read_only_descriptor():
    r, w = os.pipe()
    os.write(w, b"x")
    call(275, r, 0, reader(), 0, 1, 0)
@attempt()
def write_to_a_fifo(): os.close(os.open(at("fifo"), os.O_RDWR | os.O_NONBLOCK))
@attempt("possible")
def read_from_a_fifo(): os.close(os.open(at("fifo"), os.O_RDONLY | os.O_NONBLOCK))
@attempt()
def write_to_shared_memory():
    fd = os.open("/dev/shm/attempt", os.O_RDWR | os.O_CREAT, 0o600)
    os.close(fd)
    os.unlink("/dev/shm/attempt")
@attempt()
def edit_with_sed(): shell("sed -i s/nothing/nothing/ DIR/scrap")
@attempt()
def redirect_in_a_shell(): shell("echo x >> DIR/scrap")
@attempt()
def make_a_core_dump_possible():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

# ---- names

@attempt()
def create_a_file():
    os.close(os.open(at("new"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
    os.unlink(at("new"))
@attempt()
def create_in_tmp():
    os.close(os.open("/tmp/attempt", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.unlink("/tmp/attempt")
@attempt()
def create_in_run():
    os.close(os.open("/run/attempt", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.unlink("/run/attempt")
@attempt()
def create_a_nameless_file(): os.close(os.open(DIR, os.O_RDWR | os.O_TMPFILE, 0o600))
@attempt()
def name_a_nameless_file():
    fd = os.open(DIR, os.O_RDWR | os.O_TMPFILE, 0o600)
    call(265, -100, b"/proc/self/fd/%d" % fd, -100, at("new").encode(), 0x400)
    os.unlink(at("new"))
@attempt()
def make_a_directory():
    os.mkdir(at("new"))
    os.rmdir(at("new"))
@attempt()
def remove_a_directory():
    os.rmdir(at("empty"))
    os.mkdir(at("empty"))
@attempt()
def remove_a_file():
    os.unlink(at("scrap"))
    open(at("scrap"), "w").close()
@attempt()
def rename_a_file():
    os.rename(at("scrap"), at("new"))
    os.rename(at("new"), at("scrap"))
@attempt()
def rename_across_directories():
    os.rename(at("scrap"), at("empty/new"))
    os.rename(at("empty/new"), at("scrap"))
@attempt()
def exchange_two_names():
    for _ in range(2):
        call(316, -100, at("scrap").encode(), -100, at("file").encode(), 2)
@attempt()
def link_a_file():
    os.link(at("file"), at("new"))
    os.unlink(at("new"))
@attempt()
def link_a_descriptor():
    call(265, -100, b"/proc/self/fd/%d" % reader(), -100, at("new").encode(), 0x400)
    os.unlink(at("new"))
@attempt()
def make_a_symlink():
    os.symlink("file", at("new"))
    os.unlink(at("new"))
@attempt()
def make_a_fifo():
    os.mkfifo(at("new"))
    os.unlink(at("new"))
@attempt(control=False)
def make_a_device():
    os.mknod(at("new"), stat.S_IFCHR | 0o600, os.makedev(1, 3))
    os.unlink(at("new"))
@attempt()
def make_a_socket_name():
    pair = socket.socketpair()
    pair[0].bind(at("new"))
    os.unlink(at("new"))

# ---- what is known of files

@attempt()
def chmod_a_file(): os.chmod(at("file"), 0o644)
@attempt()
def chmod_a_read_only_descriptor(): os.fchmod(reader(), 0o644)
@attempt()
def chmod_by_fchmodat2(): call(452, -100, at("file").encode(), 0o644, 0)
@attempt()
def make_a_setuid_program():
    os.chmod(at("scrap"), 0o4755)
    os.chmod(at("scrap"), 0o644)
@attempt()
def chown_a_file(): os.chown(at("file"), 0, 0)
@attempt()
def chown_a_read_only_descriptor(): os.fchown(reader(), 0, 0)
@attempt()
def chown_a_link(): os.lchown(at("link"), 0, 0)
@attempt()
def set_an_attribute():
    os.setxattr(at("scrap"), "user.attempt", b"1")
    os.removexattr(at("scrap"), "user.attempt")
@attempt()
def set_an_attribute_by_descriptor():
    fd = reader("scrap")
    os.setxattr(fd, "user.attempt", b"1")
    os.removexattr(fd, "user.attempt")
@attempt(control=False)
def set_an_attribute_by_setxattrat():
    value = ctypes.create_string_buffer(b"1")
    arguments = struct.pack("QII", ctypes.addressof(value), 1, 0)
    call(463, -100, at("scrap").encode(), 0, b"user.attempt", arguments, len(arguments))
    os.removexattr(at("scrap"), "user.attempt")
@attempt()
def remove_an_attribute():
    os.removexattr(at("file"), "user.kept")
    os.setxattr(at("file"), "user.kept", b"1")
@attempt()
def give_a_file_capabilities():
    os.setxattr(at("scrap"), "security.capability", struct.pack("<IIIIII", 0x03000001, 1 << 13, 0, 0, 0, 0)[:24])
    os.removexattr(at("scrap"), "security.capability")
@attempt()
def touch_a_file(): os.utime(at("scrap"), (0, 0))
@attempt()
def touch_a_read_only_descriptor(): os.utime(reader("scrap"), (0, 0))
@attempt()
def touch_by_utime(): call(132, at("scrap").encode(), 0)
@attempt()
def set_inode_flags_on_a_read_only_descriptor():
    fd, flags = reader("scrap"), bytearray(8)
    try:
        fcntl.ioctl(fd, 0x80086601, flags)
    except OSError as e:
        raise Absent("no inode flags on this file system") if e.errno in (errno.ENOTTY, errno.EOPNOTSUPP) else e
    fcntl.ioctl(fd, 0x40086602, bytes(flags))
@attempt(control=False)
def set_a_project_on_a_read_only_descriptor():
    fd, old = reader("scrap"), bytearray(28)
    fcntl.ioctl(fd, 0x801C581F, old)
    fcntl.ioctl(fd, 0x401C5820, bytes(old))
@attempt(control=False)
def set_attributes_by_file_setattr():
    old = ctypes.create_string_buffer(24)
    call(468, -100, at("scrap").encode(), old, 24, 0)
    call(469, -100, at("scrap").encode(), old, 24, 0)
@attempt(control=False)
def trim_a_file_system(): fcntl.ioctl(os.open(DIR, os.O_RDONLY), 0xC0185879, struct.pack("QQQ", 0, 1 << 40, 0))
@attempt(control=False)
def open_by_handle():
    handle, mount_id = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128)), ctypes.c_int()
    call(303, -100, at("file").encode(), handle, ctypes.addressof(mount_id), 0)
    call(304, os.open(DIR, os.O_RDONLY), handle, os.O_RDONLY)

# ---- holding others up

@attempt()
def lock_a_read_only_descriptor(): fcntl.flock(reader(), fcntl.LOCK_EX | fcntl.LOCK_NB)
@attempt()
def take_a_lease(): fcntl.fcntl(reader(), 1024, fcntl.F_RDLCK)
@attempt("possible")
def take_a_shared_record_lock(): fcntl.fcntl(reader(), fcntl.F_SETLK, struct.pack("hhqqi", fcntl.F_RDLCK, 0, 0, 0, 0))
@attempt(control=False)
def take_an_exclusive_record_lock():
    fcntl.fcntl(reader(), fcntl.F_SETLK, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0))
@attempt(control=False)
def hold_opens_up_by_fanotify(): call(300, 4, 0)
@attempt()
def write_out_all_file_systems(): call(162)

@attempt()
def move_a_waiter_of_a_shared_futex():
    """FUTEX_REQUEUE through a mapping that only reads: the waiter sleeps on where its waker does not look."""
    LIBC.mmap.restype = ctypes.c_long
    address = LIBC.mmap(None, ctypes.c_long(4096), 1, 1, reader("futex"), ctypes.c_long(0))
    waiter = os.fork()
    if waiter == 0:
        try:
            call(202, address, 0, 0, struct.pack("qq", 1, 0), 0, 0)
        finally:
            os._exit(0)
    time.sleep(0.3)
    if call(202, address, 3, 0, 1, address + 64, 0) != 1:
        raise RuntimeError("nobody waited")
@attempt()
def set_the_memory_policy_of_a_file():
    """mbind through a mapping that only reads; on tmpfs the policy is the file's."""
    LIBC.mmap.restype = ctypes.c_long
    address = LIBC.mmap(None, ctypes.c_long(4096), 1, 1, reader("futex"), ctypes.c_long(0))
    call(237, address, 4096, 0, 0, 0, 0)

# ---- the process files

@attempt()
def write_a_descriptor_of_the_victim():
    fds = os.listdir(exists("/proc/%d/fd" % victim))
    for fd in fds:
        if os.readlink("/proc/%d/fd/%s" % (victim, fd)).startswith("/"):
            return os.close(os.open("/proc/%d/fd/%s" % (victim, fd), os.O_WRONLY))
    raise Absent("it holds no file")
@attempt()
def write_the_memory_of_the_victim(): os.close(os.open("/proc/%d/mem" % victim, os.O_RDWR))
@attempt()
def write_through_the_root_of_the_victim(): write_back("/proc/%d/root%s" % (victim, at("file")), os.O_RDWR)
@attempt()
def write_through_the_root_of_init(): write_back("/proc/1/root" + at("file"), os.O_RDWR)
@attempt()
def write_the_own_memory(): os.close(os.open("/proc/self/mem", os.O_RDWR))
@attempt()
def write_the_oom_score_of_init(): write_back("/proc/1/oom_score_adj")
@attempt()
def write_the_own_oom_score(): write_back("/proc/self/oom_score_adj")
@attempt()
def write_the_own_name(): write_back("/proc/self/comm")
@attempt(control=False)
def write_sysrq(): write_back("/proc/sysrq-trigger", data=b"h")
@attempt(control=False)
def write_a_global_sysctl(): write_back("/proc/sys/kernel/panic")
@attempt()
def write_a_network_sysctl(): write_back(exists("/proc/sys/net/ipv4/ip_forward"))
@attempt()
def set_a_sysctl_by_tool(): shell("sysctl -w net.ipv4.ip_forward=0")
@attempt(control=False)
def write_to_sysfs(): write_back(exists("/sys/kernel/mm/transparent_hugepage/enabled"), data=b"madvise")
@attempt()
def make_a_cgroup():
    base = "/sys/fs/cgroup" if os.path.exists("/sys/fs/cgroup/cgroup.procs") else "/sys/fs/cgroup/unified"
    path = exists(base) + "/attempt"
    os.mkdir(path)
    os.rmdir(path)
@attempt()
def leave_the_cgroup():
    for base in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"):
        if os.path.exists(base + "/cgroup.procs"):
            return write_back(base + "/init.scope/cgroup.procs", data=b"0")
    raise Absent("no cgroup file system")

# ---- devices and terminals

@attempt()
def open_a_terminal_for_reading():
    for tty in ("/dev/console", "/dev/tty1", "/dev/pts/0", "/dev/pts/1"):
        if os.path.exists(tty):
            return os.close(os.open(tty, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK))
    raise Absent("no terminal")
@attempt()
def write_to_a_terminal():
    for tty in ("/dev/console", "/dev/tty1", "/dev/pts/0", "/dev/pts/1"):
        if os.path.exists(tty):
            return os.close(os.open(tty, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK))
    raise Absent("no terminal")
@attempt()
def make_a_terminal(): os.close(os.openpty()[0])
@attempt(control=False)
def type_into_a_terminal(): fcntl.ioctl(0, 0x5412, b"x")
@attempt(control=False)
def type_with_high_bits_set(): call(16, 0, 0x5412 | 1 << 32, b"x")
@attempt()
def mix_into_the_entropy_pool(): os.write(os.open("/dev/urandom", os.O_WRONLY), b"x") and None
@attempt("possible")
def write_to_null(): os.write(os.open("/dev/null", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), b"x")

# ---- mounts and namespaces

@attempt()
def mount_a_file_system():
    call(165, b"none", at("empty").encode(), b"tmpfs", 0, 0)
    call(166, at("empty").encode(), 0)
@attempt()
def bind_a_directory():
    call(165, b"/etc", at("empty").encode(), b"none", 4096, 0)
    call(166, at("empty").encode(), 0)
@attempt()
def change_a_mount():
    try:
        call(165, b"none", at("empty").encode(), b"tmpfs", 0, 0)
    except OSError:
        call(165, b"none", b"/", b"none", 1 << 18, 0)
        return
    call(165, b"none", at("empty").encode(), b"none", 1 << 18, 0)
    call(166, at("empty").encode(), 0)
@attempt(control=False)
def unmount(): call(166, exists("/dev/mqueue").encode(), 0) or call(165, b"mqueue", b"/dev/mqueue", b"mqueue", 0, 0)
@attempt()
def mount_by_the_new_calls():
    tree = call(428, -100, b"/etc", 1)
    call(429, tree, b"", -100, at("empty").encode(), 4)
    os.close(tree)
    call(166, at("empty").encode(), 0)
@attempt()
def prepare_a_file_system(): os.close(call(430, b"tmpfs", 0))
@attempt()
def set_mount_attributes(): call(442, -100, b"/", 0, bytes(32), 32)
@attempt()
def change_the_root(): os.chroot("/")
@attempt()
def make_a_user_namespace(): call(272, 0x10000000)
@attempt()
def make_a_mount_namespace(): call(272, 0x20000)
@attempt()
def clone_into_a_user_namespace():
    pid = call(56, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
@attempt()
def clone3_into_a_user_namespace():
    pid = call(435, struct.pack("8Q", 0x10000000, 0, 0, 0, signal.SIGCHLD, 0, 0, 0), 64)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
@attempt()
def leave_a_child_to_the_parent():
    """CLONE_PARENT: whoever started the command would have to reap it."""
    if call(56, 0x8000 | signal.SIGCHLD, 0, 0, 0, 0) == 0:
        os._exit(0)
@attempt()
def enter_the_namespace_of_init(): call(308, os.open("/proc/1/ns/uts", os.O_RDONLY), 0)
@attempt()
def enter_the_own_namespace(): call(308, os.open("/proc/self/ns/uts", os.O_RDONLY), 0)

# ---- other processes

@attempt()
def signal_the_victim(): os.kill(victim, signal.SIGURG)
@attempt()
def signal_a_thread_of_the_victim(): call(234, victim, victim, signal.SIGURG)
@attempt()
def queue_a_signal_to_the_victim(): call(129, victim, signal.SIGURG, struct.pack("iiii", signal.SIGURG, 0, -1, 0) + bytes(112))
@attempt()
def signal_the_victim_by_pidfd(): signal.pidfd_send_signal(os.pidfd_open(victim), signal.SIGURG)
@attempt()
def signal_the_victim_by_descriptor():
    r, w = os.pipe()
    fcntl.fcntl(r, fcntl.F_SETOWN, victim)
    fcntl.fcntl(r, 10, signal.SIGURG)
@attempt()
def signal_init(): os.kill(1, signal.SIGURG)
@attempt()
def trace_the_victim(): call(101, 0x4206, victim, 0, 0)
@attempt()
def write_into_the_victim(): vm(311)
@attempt()
def read_from_the_victim(): vm(310)
def vm(number):
    with open("/proc/%d/maps" % victim) as maps:
        start = next(int(line.split("-")[0], 16) for line in maps if " rw-p " in line)
    buffer = ctypes.create_string_buffer(1)
    ours, theirs = struct.pack("QQ", ctypes.addressof(buffer), 1), struct.pack("QQ", start, 1)
    call(310, victim, ours, 1, theirs, 1, 0)
    call(number, victim, ours, 1, theirs, 1, 0)
@attempt()
def take_a_descriptor_of_the_victim(): os.close(call(438, os.pidfd_open(victim), 0, 0))
@attempt(control=False)
def advise_about_the_victims_memory(): call(440, os.pidfd_open(victim), struct.pack("QQ", 0, 0), 1, 20, 0)
@attempt()
def renice_the_victim(): os.setpriority(os.PRIO_PROCESS, victim, os.getpriority(os.PRIO_PROCESS, victim))
@attempt()
def renice_all_of_root(): os.setpriority(os.PRIO_USER, os.getuid(), 0)
@attempt()
def reschedule_the_victim():
    os.sched_setscheduler(victim, os.sched_getscheduler(victim), os.sched_param(0))
@attempt()
def pin_the_victim(): os.sched_setaffinity(victim, os.sched_getaffinity(victim))
@attempt()
def set_the_io_priority_of_the_victim(): call(251, 1, victim, call(252, 1, victim))
@attempt()
def limit_the_victim():
    limits = ctypes.create_string_buffer(16)
    call(302, victim, 7, 0, limits)
    call(302, victim, 7, limits, 0)
@attempt()
def move_the_memory_of_the_victim(): call(256, victim, 64, struct.pack("Q", 1), struct.pack("Q", 1))
@attempt()
def kill_by_tool(): shell("kill -URG VICTIM")
@attempt("possible")
def renice_itself(): os.setpriority(os.PRIO_PROCESS, 0, 5)
@attempt("possible")
def signal_an_own_child():
    pid = os.fork()
    if pid == 0:
        time.sleep(1)
        os._exit(0)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

# ---- sockets

@attempt()
def connect_to_the_bus(): socket.socket(socket.AF_UNIX).connect(exists("/run/dbus/system_bus_socket"))
@attempt()
def send_to_the_log(): socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"<7>attempt", exists("/dev/log"))
@attempt()
def send_to_init():
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"X=1", exists("/run/systemd/notify"))
@attempt()
def send_from_a_datagram_pair(): socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"<7>attempt", exists("/dev/log"))
@attempt()
def send_from_a_raw_pair(): socket.socketpair(socket.AF_UNIX, socket.SOCK_RAW)[0].sendto(b"<7>attempt", exists("/dev/log"))
@attempt()
def aim_a_datagram_pair_anew(): socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].connect(exists("/dev/log"))
@attempt(control=False)
def send_from_a_stream_pair(): socket.socketpair()[0].sendto(b"<7>attempt", exists("/dev/log"))
@attempt("possible")
def take_a_short_abstract_name():
    pair = socket.socketpair()
    call(49, pair[0].fileno(), struct.pack("H10s", 1, b"\0attempt"), 12)
@attempt()
def take_an_abstract_name(): socket.socketpair()[0].bind("\0attempt-with-a-long-name")
@attempt()
def unix_socket_with_high_bits(): os.close(call(41, 1 | 1 << 32, 1, 0))
@attempt()
def connect_by_tcp():
    try:
        socket.socket().connect(("127.0.0.1", 1))
    except ConnectionRefusedError as e:
        return "got as far as %s" % e
@attempt()
def listen_by_tcp():
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
@attempt()
def send_by_udp(): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))
@attempt()
def send_by_udp6(): socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
@attempt()
def open_a_raw_socket(): socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()
@attempt()
def open_a_packet_socket(): socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
@attempt(control=False)
def open_a_vsock(): socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
@attempt(control=False)
def open_a_crypto_socket(): socket.socket(38, socket.SOCK_SEQPACKET).close()
@attempt()
def netlink_between_users(): socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 2).close()
@attempt()
def netlink_by_name(): socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16).close()
@attempt()
def netlink_firewall(): socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12).close()
def route(kind, body, flags=5):
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    netlink.send(struct.pack("IHHII", 16 + len(body), kind, flags, 1, 0) + body)
    code = struct.unpack_from("i", netlink.recv(4096), 16)[0]
    if code:
        raise OSError(-code, os.strerror(-code))
@attempt()
def set_a_link_by_netlink(): route(16, struct.pack("BBHiII", 0, 0, 0, 1, 1, 1))
@attempt()
def add_an_address_by_netlink():
    body = struct.pack("BBBBI", 2, 32, 0, 254, 1) + struct.pack("HH", 8, 2) + bytes([127, 9, 9, 9])
    route(20, body)
    route(21, body)
@attempt()
def set_a_link_by_ioctl():
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    request = bytearray(struct.pack("16s24x", b"lo"))
    fcntl.ioctl(netlink, 0x8913, request)
    fcntl.ioctl(netlink, 0x8914, bytes(request))
@attempt()
def set_a_link_by_tool(): shell("ip link set lo up")
@attempt()
def reload_the_service_manager(): shell("systemctl daemon-reload")
@attempt()
def set_a_host_name_by_the_bus(): shell("hostnamectl set-hostname --transient $(hostname)")
@attempt()
def write_to_the_journal(): shell("logger attempt")
@attempt()
def rotate_the_journal(): shell("journalctl --rotate")
@attempt()
def write_a_journal_file():
    for base in ("/var/log/journal", "/run/log/journal"):
        for folder, _, files in os.walk(base):
            for name in files:
                return os.close(os.open(os.path.join(folder, name), os.O_RDWR))
    raise Absent("no journal")
@attempt()
def start_a_unit(): shell("systemd-run --wait true")

# ---- System V and POSIX objects

@attempt()
def make_a_segment(): call(31, call(29, 0, 4096, 0o1600), 0, 0)
@attempt()
def attach_a_segment(): call(30, sysv("shm"), 0, 0)
@attempt()
def lock_a_segment():
    call(31, sysv("shm"), 11, 0)
    call(31, sysv("shm"), 12, 0)
@attempt()
def make_a_semaphore(): call(66, call(64, 0, 1, 0o1600), 0, 0, 0)
@attempt()
def use_a_semaphore(): call(65, sysv("sem"), struct.pack("hhh", 0, 1, 0x1000), 1)
@attempt()
def make_a_queue(): call(71, call(68, 0, 0o1600), 0, 0)
@attempt()
def send_to_a_queue(): call(69, sysv("msg"), struct.pack("q", 1) + b"x", 1, 0)
@attempt()
def make_a_posix_queue():
    os.close(call(240, b"attempt", os.O_RDWR | os.O_CREAT, 0o600, 0))
    call(241, b"attempt")
@attempt()
def take_from_a_posix_queue():
    fd = os.open(exists("/dev/mqueue/provost-attempt"), os.O_RDONLY)
    try:
        call(243, fd, ctypes.create_string_buffer(8192), 8192, 0, struct.pack("qq", 1, 0))
    except TimeoutError:
        pass
def sysv(kind):
    with open(at(kind)) as number:
        return int(number.read())

# ---- the kernel

@attempt(control=False)
def set_the_clock(): time.clock_settime(time.CLOCK_REALTIME, time.time())
@attempt(control=False)
def set_the_time_of_day(): call(164, struct.pack("qq", int(time.time()), 0), 0)
@attempt(control=False)
def tune_the_clock(): call(159, struct.pack("I", 0x4000) + bytes(204))
@attempt()
def set_the_host_name(): socket.sethostname(socket.gethostname())
@attempt()
def set_the_domain_name(): call(171, b"(none)", 6)
@attempt(control=False)
def load_a_module(): call(313, os.open("/proc/self/exe", os.O_RDONLY), b"", 0)
@attempt(control=False)
def remove_a_module(): call(176, b"attempt", 0o4000)
@attempt()
def add_a_key(): call(248, b"user", b"attempt", b"x", 1, -3)
@attempt()
def join_a_keyring(): call(250, 1, b"attempt")
@attempt(control=False)
def make_a_bpf_map(): os.close(call(321, 0, struct.pack("IIII", 2, 4, 4, 1) + bytes(104), 120))
@attempt(control=False)
def open_a_perf_event(): call(298, struct.pack("II", 1, 128) + bytes(120), 0, -1, -1, 0)
@attempt()
def make_a_userfault_descriptor(): os.close(call(323, 1))
@attempt(control=False)
def make_a_uring(): os.close(call(425, 4, ctypes.create_string_buffer(120)))
@attempt()
def make_an_aio_context(): call(206, 4, ctypes.create_string_buffer(8))
@attempt(control=False)
def clear_the_kernel_log(): call(103, 5, 0, 0)
@attempt(control=False)
def take_from_the_kernel_log(): call(103, 2, ctypes.create_string_buffer(16), 0)
@attempt(control=False)
def set_a_quota(): call(179, 0x800002 << 8, b"/dev/attempt", 0, 0)
@attempt(control=False)
def account_processes(): call(163, at("scrap").encode())
@attempt(control=False)
def add_swap(): call(167, at("scrap").encode(), 0)
@attempt(control=False)
def reboot_with_an_unknown_command(): call(169, 0xFEE1DEAD, 672274793, 0x7FFFFFFF, 0)
@attempt(control=False)
def load_a_kernel(): call(246, 0, 0, 0, 0)
@attempt(control=False)
def hang_up_terminals(): call(153)
@attempt(control=False)
def open_the_ports(): call(172, 3)
@attempt()
def make_a_segment_descriptor(): call(154, 0, ctypes.create_string_buffer(16), 16)

# ---- getting out of the lane

@attempt()
def take_capabilities_back():
    header = struct.pack("II", 0x20080522, 0)
    call(126, header, struct.pack("IIIIII", 1 << 21 | 4, 1 << 21 | 4, 0, 0, 0, 0))
@attempt()
def take_capabilities_back_by_exec():
    """Only CAP_DAC_READ_SEARCH (bit 2) may be there after an exec."""
    status = subprocess.run(["/bin/cat", "/proc/self/status"], stdout=subprocess.PIPE).stdout.decode()
    effective = int(next(line.split()[1] for line in status.split("\n") if line.startswith("CapEff")), 16)
    if effective & ~4 == 0:
        raise OSError(errno.EPERM, "CapEff %x" % effective)
@attempt()
def become_another_user(): os.setresuid(*[os.getuid() + 1] * 3)
@attempt(control=False)
def enter_by_the_32_bit_door():
    """chmod by int 0x80, whose numbers are i386's."""
    path = ctypes.create_string_buffer(at("file").encode())
    LIBC.mmap.restype = ctypes.c_long
    low = LIBC.mmap(None, ctypes.c_long(8192), 7, 0x62, -1, ctypes.c_long(0))
    ctypes.memmove(low + 4096, path, len(path))
    code = b"\x53\xb8\x0f\x00\x00\x00\xbb" + struct.pack("<I", low + 4096) + b"\xb9\xa4\x01\x00\x00\xcd\x80\x5b\xc3"
    ctypes.memmove(low, code, len(code))
    result = ctypes.CFUNCTYPE(ctypes.c_int)(low)()
    if result < 0:
        raise OSError(-result, os.strerror(-result))
@attempt(control=False)
def enter_by_x32(): call(90 | 0x40000000, at("file").encode(), 0o644)
@attempt(control=False)
def call_what_does_not_exist_yet(): call(500, 0, 0)
@attempt()
def change_by_a_program_in_memory():
    fd = os.memfd_create("attempt")
    with open(exists("/bin/chmod"), "rb") as program:
        os.write(fd, program.read())
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
        os.execve(fd, ["chmod", "644", at("file")], {})
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise OSError(errno.EPERM, "the program exited %d" % code)
@attempt()
def change_from_a_thread():
    failed = []
    import threading
    def change():
        try:
            os.chmod(at("file"), 0o644)
        except OSError as e:
            failed.append(e)
    thread = threading.Thread(target=change)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
@attempt()
def change_from_an_orphan():
    r, w = os.pipe()
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
            try:
                os.chmod(at("file"), 0o644)
                os.write(w, b"\0")
            except OSError as e:
                os.write(w, bytes([e.errno]))
        os._exit(0)
    code = os.read(r, 1)[0]
    if code:
        raise OSError(code, os.strerror(code))
@attempt()
def become_another_user_by_tool(): shell("su -s /bin/sh -c true nobody")


# ---- the program around them

def prepare():
    os.makedirs(at("empty"), exist_ok=True)
    for name, text in (("file", "kept\n" * 2000), ("scrap", "scrap\n" * 2000)):
        with open(at(name), "w") as file:
            file.write(text)
    with open(at("futex"), "wb") as file:
        file.write(bytes(4096))
    os.setxattr(at("file"), "user.kept", b"1")
    if not os.path.lexists(at("fifo")):
        os.mkfifo(at("fifo"))
        os.symlink("file", at("link"))
    key = int.from_bytes(hashlib.sha256(DIR.encode()).digest()[:3], "big")
    for kind, number in (("shm", call(29, key, 4096, 0o1600)), ("sem", call(64, key, 1, 0o1600)), ("msg", call(68, key, 0o1600))):
        with open(at(kind), "w") as file:
            file.write(str(number))
    try:
        queue = call(240, b"provost-attempt", os.O_RDWR | os.O_CREAT, 0o600, 0)
        call(242, queue, b"x", 1, 0, 0)
    except OSError as e:
        print("no POSIX queue: %s" % e, file=sys.stderr)


def state():
    for folder, folders, files in os.walk(DIR):
        for path in sorted([folder] + [os.path.join(folder, f) for f in files]):
            s = os.lstat(path)
            line = [path, oct(s.st_mode), s.st_uid, s.st_gid, s.st_nlink, s.st_size, s.st_mtime_ns, s.st_ctime_ns]
            if stat.S_ISREG(s.st_mode):
                with open(path, "rb") as file:
                    line.append(hashlib.sha256(file.read()).hexdigest())
                line.append({n: os.getxattr(path, n).hex() for n in os.listxattr(path)})
            print(json.dumps(line))


def find_victim():
    """A process of our user outside of our session; a sleep, if there is one."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid) as file:
                fields = file.read().rsplit(")", 1)
            same = os.stat("/proc/" + pid).st_uid == os.getuid()
        except OSError:
            continue
        if same and int(pid) > 1 and int(fields[1].split()[3]) != os.getsid(0):
            found.append((fields[0].endswith("(sleep"), int(pid)))
    if not found:
        sys.exit("attempts: no process to aim at; start `setsid sleep 600 &` outside, or say --victim PID")
    return max(found)[1]


def try_one(function, out):
    # In the lane on older kernels a process can be signalled by none but the kernel, so the alarm is its own.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(20)
    try:
        detail = function()
        result = {"outcome": "done", "errno": None, "detail": None if detail is None else str(detail)}
    except Absent as e:
        result = {"outcome": "absent", "errno": None, "detail": str(e)}
    except (OSError, ValueError) as e:
        code = getattr(e, "errno", None)
        result = {"outcome": "refused", "errno": errno.errorcode.get(code), "detail": str(e)}
    except Exception as e:
        result = {"outcome": "broken", "errno": None, "detail": repr(e)}
    os.write(out, json.dumps(result).encode())
    os._exit(0)


def run(names):
    broken = 0
    for name, function, expect, control in ATTEMPTS:
        if names and name not in names:
            continue
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(r)
            try_one(function, w)
        os.close(w)
        with open(r, "rb") as pipe:
            said = pipe.read()
        ended = os.waitpid(pid, 0)[1]
        if said:
            result = json.loads(said)
        elif os.WIFSIGNALED(ended) and os.WTERMSIG(ended) == signal.SIGSYS:
            result = {"outcome": "refused", "errno": None, "detail": "killed by SIGSYS"}
        else:
            result = {"outcome": "broken", "errno": None, "detail": "ended with status %#x" % ended}
        broken += result["outcome"] == "broken"
        print(json.dumps({"name": name, **result, "expect": expect, "control": control}), flush=True)
    return broken


def main():
    global DIR, victim
    words = sys.argv[1:]
    if "--victim" in words:
        place = words.index("--victim")
        victim = int(words[place + 1])
        del words[place:place + 2]
    if len(words) < 2 or words[0] not in ("prepare", "run", "state"):
        sys.exit(__doc__)
    DIR = words[1]
    if words[0] == "run":
        victim = victim or find_victim()
        sys.exit(1 if run(set(words[2:])) else 0)
    {"prepare": prepare, "state": state}[words[0]]()


main()
