# The root of a container that looks into each new process as it is born, before it has become its command. Ends when its
# input does, and says what it got, a line each. The argument: what the entering process is called until its exec.
import os, select, sys, time

name = sys.argv[1].encode() + b"\n"
seen = {}


def count(what):
    seen[what] = seen.get(what, 0) + 1


def read(path):
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, 65536)
    finally:
        os.close(file)


def comm(pid):
    try:
        return read(f"/proc/{pid}/comm")
    except OSError:
        return None


def hold(path):
    return os.open(path, os.O_RDONLY)


def folder(path):
    return {number: os.readlink(f"{path}/{number}") for number in os.listdir(path)}


WAYS = {"mem": hold, "environ": hold, "maps": hold, "fd": folder, "map_files": folder,
        "exe": os.readlink, "cwd": os.readlink, "root": os.readlink, "ns/mnt": os.readlink}


# Whether what was got is the command's and not the entering program's. What is held of memory stays with the memory
# that it was opened on: that of a program that has been replaced reads as nothing for ever.
def is_the_commands(pid, way, got):
    if "provost" in os.readlink(f"/proc/{pid}/exe"):
        return False
    if way == "fd":
        # Beside its three, files that its loader opens; the entering process holds a pipe and a pidfd.
        return all(target.startswith("/") for number, target in got.items() if number not in ("0", "1", "2"))
    if way == "map_files":
        return "provost" not in str(got)
    if way in ("environ", "maps"):
        os.lseek(got, 0, os.SEEK_SET)
        text = os.read(got, 65536)
        return text != b"" and b"provost" not in text
    if way == "mem":
        # The first mapping of the command's own program begins with its ELF header.
        start = int(read(f"/proc/{pid}/maps").split(b"-")[0], 16)
        return os.pread(got, 4, start) == b"\x7fELF"
    return True


# Whether its exec has come to its end: what is in the kernel's hands in between may wait there for a disk.
def is_over(pid):
    try:
        text = read(f"/proc/{pid}/environ")
    except OSError:
        return False
    return text != b"" and b"provost" not in text


# As above; memory that has only just become the command's is empty until its exec is over.
def judge(pid, way, got):
    deadline = time.monotonic() + 5
    while True:
        over = is_over(pid)
        try:
            if is_the_commands(pid, way, got):
                return f"opened {way} of the command"
        except PermissionError:
            return f"got into {way}, and is shut out now"
        except OSError:
            pass
        if comm(pid) is None or b"State:\tZ" in read(f"/proc/{pid}/status"):
            return "ended too soon to tell"
        if over or time.monotonic() > deadline:
            return f"got into {way}: {got}"


def peep(pid):
    for way, look in WAYS.items():
        try:
            got = look(f"/proc/{pid}/{way}")
        except PermissionError:
            count(f"refused {way}")
            continue
        except OSError:
            continue
        try:
            count(judge(pid, way, got))
        except OSError:
            count("ended too soon to tell")
        if look is hold:
            os.close(got)


print("ready", flush=True)
known, turn = set(), 0
while turn % 64 or not select.select([0], [], [], 0)[0]:
    turn += 1
    pids = {int(entry) for entry in os.listdir("/proc") if entry.isdigit()}
    for pid in pids - known:
        if comm(pid) == name:
            count("met")
            while comm(pid) == name:
                peep(pid)
            # Once more as the command, which is open to the container's root.
            peep(pid)
    known = pids
for what, times in sorted(seen.items()):
    print(f"{what}: {times}")
