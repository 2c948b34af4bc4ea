"""What an operator can get wrong and a node can lack: each is told by `provost doctor` as a state, with what was seen and what
mends it; what worked before goes on, and mended it is good again."""

import contextlib
import ctypes
import fcntl
import os
import shutil
import socket
import struct
import sys
import time

from node import CONFIG, ROLE, Client, configure, doctor, floored, holds, read, run, sh, show, start, stop, until, write

TOKEN = "/etc/provost/pve-token"
CERTIFICATE = "/etc/pve/local/pve-ssl.pem"
SOCKET = "/run/provost/mcp.sock"


def told(what, name, *words, state="bad", code=1):
    """That a check is in that state, and says these words in its evidence or its mend."""
    seen, checks = doctor()
    found = [check for check in checks if check["check"] == name and check["state"] == state]
    said = " | ".join(" ".join([check["evidence"], check.get("mend", ""), *check.get("items", [])]) for check in found)
    met = seen == code and found and all(word in said for word in words) and all(check.get("mend") for check in found)
    holds(f"{what}: {name} is {state}", met, (seen, said or checks))
    print(f"     {found[0]['evidence']}\n     -> {found[0]['mend']}")
    return checks


def well(after):
    code, checks = doctor()
    holds(f"{after}: nothing is bad", code == 0, [check for check in checks if check["state"] == "bad"])
    return checks


@contextlib.contextmanager
def moved(path):
    os.rename(path, path + ".away")
    try:
        yield
    finally:
        if os.path.isdir(path):
            os.rmdir(path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        os.rename(path + ".away", path)


def configuration():
    """Each error with its line, its key and what would be right; what was in force stays so."""
    client, pid, lines = Client().begin(), show("MainPID"), floored(ROLE).count("\n")
    for text, line, *words in (
        ("[exec", 1, "expected `]`"),
        ("[lisen]\nunix = '/x'", 1, "lisen", '"listen"'),
        ("[[role]]\nname = 'b'\nmembers = ['alice']", 3, "user:alice"),
        ("[[role]]\nname = 'b'\nmembers = []\nprofil = 'full'", 4, "profil", '"profile"'),
        ("[[role]]\nname = 'b'\nmembers = []\nprofile = 'rooot'", 4, "rooot", "observe"),
        ("[[role]]\nname = 'b'\nmembers = []\nguests = ['1-']", 4, "200-299"),
        ("[listen]\nmax_sessions = 0", 2, "[listen] max_sessions is 0", "1 to 7000"),
        ("[[role]]\nname = 'root'\nmembers = []", 2, 'role "root" stands there twice'),
    ):
        configure(ROLE + text + "\n")
        sh("systemctl reload provost")
        status = until("the error is seen", lambda: (lambda seen: seen if seen["configuration"]["error"] else None)(client.call("status")))
        holds(f"status says line {lines + line} of {text.splitlines()[-1]!r}, and what was in force is",
              f"line {lines + line}" in status["configuration"]["error"] and status["role"] == "root", status["configuration"])
        told(f"{text.splitlines()[-1]!r}", "configuration", f"line {lines + line}", *words, "provostd --check")
        configure(ROLE)
        sh("systemctl reload provost")
        until("the right one is in force again", lambda: not client.call("status")["configuration"].get("error"))
    holds("the daemon has not ended meanwhile", show("MainPID") == pid)
    configure("[exec\n")
    sh("systemctl restart provost", check=False)
    told("a daemon that is started with a wrong one", "daemon", "systemctl status provost")
    configure("[pve]\nurl = 'ftp://x'\n" + ROLE)
    sh("systemctl restart provost", check=False)
    told("an address that is none", "pveproxy", "[pve] url")
    configure(ROLE)
    os.chmod(CONFIG, 0o666)
    told("a configuration that everybody may write", "configuration", "chmod go-w")
    os.chmod(CONFIG, 0o644)
    start("provost-execd.socket")
    well("the right configuration")


def token():
    """As a file, which more can happen to; of credentials, see credentials.py."""
    done = run("provost", "setup", "--yes", "--store", "file")
    holds("setup puts the token into a file", done.returncode == 0, done)
    line = read(TOKEN)
    os.chmod(TOKEN, 0o444)
    checks = told("a token that everybody may read", "token", "mode 444", "provost setup")
    told("the daemon does not use it", "token works", "chmod")
    os.chmod(TOKEN, 0o400)
    secret = line.strip().split("=", 1)[1]
    for text in (f"PVEAPIToken={line}", line.replace("=", " = "), "", f"{line}{line}"):
        write(TOKEN, text)
        checks += told(f"a token in another form ({text[:12]!r}…)", "token", "USER@REALM!ID=SECRET")
    holds("and no check shows it", secret not in str(checks))
    write(TOKEN, line)
    with moved(TOKEN):
        told("no token", "token", "there is no", "provost setup")
    told_by_setup = run("provost", "setup", "--yes")
    holds("setup finds it in order again", told_by_setup.returncode == 0, told_by_setup)
    well("the token is as it was")
    done = run("provost", "setup", "--yes", "--store", "credential")
    holds("and sealed again", done.returncode == 0 and not os.path.exists(TOKEN), done)


def certificate():
    with moved(CERTIFICATE):
        told("no certificate", "certificate", CERTIFICATE, "pvecm updatecerts")
        write(CERTIFICATE, "-----BEGIN\n")
        told("one that is none", "certificate", "holds no certificate")
    well("the certificate is there")


def sockets():
    """Something stands where a socket should; somebody else listens there; the exec socket is everybody's, and gone."""
    stop()
    os.unlink(SOCKET)
    os.makedirs(SOCKET)
    sh("systemctl start provost.socket provost", check=False)
    checks = told("a directory in the socket's place", "socket", "is no socket", "systemctl start")
    holds("and its unit has failed", any(check["check"] == "units" and "provost.socket" in check.get("items", []) for check in checks), checks)
    os.rmdir(SOCKET)
    other = socket.socket(socket.AF_UNIX)
    other.bind(SOCKET)
    other.listen()
    told("somebody else listens", "socket", f"pid {os.getpid()}", "and not provostd")
    other.close()
    told("a socket that nobody serves", "socket", "nobody listens")
    os.unlink(SOCKET)
    start("provost-execd.socket")
    os.chmod("/run/provost/exec.sock", 0o666)
    told("an exec socket that is everybody's", "exec", "others than its owner", state="look", code=0)
    stop()
    sh("systemctl start provost.socket provost-control.socket provost")
    told("an exec socket that nobody serves", "exec", "nobody listens", "provost-execd.socket")
    os.unlink("/run/provost/exec.sock")
    told("no exec socket", "exec", "there is no", "provost-execd.socket")
    start("provost-execd.socket")
    well("the sockets are theirs")


def container():
    configure(ROLE.replace("[101]", "[101, 998]"))
    start("provost-execd.socket")
    told("a container that is listed and not there", "containers", "998", state="look", code=0)
    client = Client().begin()
    for guest, says in ((998, "there is no container 998 on this node"), (999, "container 999 is not in [exec] containers")):
        refused = client.exec(guest, "true")
        holds(f"a command there is refused: {says}", says in refused["error"]["message"] and refused["error"]["next"], refused)
        print(f"     {refused['error']['message']}\n     -> {refused['error']['next']}")
    configure(ROLE)
    start("provost-execd.socket")


def pve():
    """Stopped; and while it is upgraded, by what dpkg says."""
    client = Client().begin()
    sh("systemctl stop provost-sim")
    told("PVE is stopped", "pveproxy", "systemctl status pveproxy", "goes on by itself")
    told("PVE is stopped", "pvedaemon", "systemctl status pvedaemon")
    refused = client.call("read", path="/nodes/pve1/lxc")
    holds("a read says so, and does not hang", refused["error"]["next"], refused)
    shutil.rmtree("/root/torn", ignore_errors=True)
    os.makedirs("/root/torn/DEBIAN")
    write("/root/torn/DEBIAN/control", "Package: pve-manager\nVersion: 9.9\nArchitecture: all\nMaintainer: x <x@x.example>\nDescription: x\n")
    write("/root/torn/DEBIAN/postinst", "#!/bin/sh\nexit 1\n")
    os.chmod("/root/torn/DEBIAN/postinst", 0o755)
    sh("dpkg-deb -Znone -b /root/torn /root/torn.deb; dpkg -i /root/torn.deb", check=False)
    told("an upgrade of PVE that broke off", "upgrade", "pve-manager 9.9: half-configured", "dpkg --configure")
    with open("/var/lib/dpkg/lock-frontend", "w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        told("an upgrade that goes on", "upgrade", f"pid {os.getpid()}", "wait", state="look")
    sh("dpkg --purge --force-all pve-manager; systemctl start provost-sim")
    until("PVE is back, and Provost has gone on by itself", lambda: "data" in client.call("read", path="/nodes/pve1/lxc"))
    well("PVE is back")


QUOTA = "/mnt/quota"
LIBC = ctypes.CDLL(None, use_errno=True)


def libc(function, *words):
    done = getattr(LIBC, function)(*words)
    if done < 0:
        sys.exit(f"FAIL {function}: {os.strerror(ctypes.get_errno())}")
    return done


@contextlib.contextmanager
def quota_of(uid, kib):
    """A file system with a directory of that account, which may use so much of it."""
    os.makedirs(QUOTA, exist_ok=True)
    sh(f"cp /root/quota.img /root/quota; mount -o loop,usrquota /root/quota {QUOTA}")
    device = sh(f"findmnt -n -o SOURCE {QUOTA}").strip()
    try:
        os.makedirs(f"{QUOTA}/own")
        os.chown(f"{QUOTA}/own", uid, uid)
        # As quotactl(2) has it: Q_SETQUOTA of a user, the hard limit of blocks alone.
        limit = struct.pack("=8QI4x", kib, kib, 0, 0, 0, 0, 0, 0, 1)
        libc("quotactl", ctypes.c_int(0x80000800 - (1 << 32)), device.encode(), uid, limit)
        yield f"{QUOTA}/own"
    finally:
        sh(f"umount -l {QUOTA}; rm /root/quota")


def lend(place, init):
    """Mounts it on the container's /mnt, from outside: who is inside may mount no disk."""
    child = os.fork()
    if not child:
        # open_tree(2) with OPEN_TREE_CLONE and _CLOEXEC, and move_mount(2) from the descriptor alone.
        tree = libc("syscall", 428, -100, place.encode(), 1 | os.O_CLOEXEC)
        # Debian 12's Python has it by no name of its own. CLONE_NEWNS.
        libc("setns", os.open(f"/proc/{init}/ns/mnt", os.O_RDONLY), 0x20000)
        libc("syscall", 429, tree, b"", -100, b"/mnt", 4)
        os._exit(0)
    holds("the container has it", os.waitpid(child, 0)[1] == 0)


def file_put(client):
    """A file for a container, where there is no room for it, or its owner has used up what is its own."""

    def tried(what, said):
        put = client.call("file_put", guest=101, path="/mnt/big", content="x" * 200_000)
        holds(f"{what}: the file is refused, and nothing was changed", put["error"]["kind"] == "full" and
              said in put["error"]["message"] and "nothing was changed" in put["error"]["next"], put)
        print(f"     {put['error']['message']}\n     -> {put['error']['next']}")
        holds("nothing of it is left", sh("lxc-attach -n 101 -- ls -A /mnt").strip() == "")
        fits = client.call("file_put", guest=101, path="/mnt/small", content="x" * 2000)
        holds("one that fits goes in", "sha256" in fits, fits)

    sh("lxc-attach -n 101 -- mount -t tmpfs -o size=64k small /mnt")
    tried("a full file system", "ENOSPC")
    sh("lxc-attach -n 101 -- umount /mnt")
    with quota_of(100000, 64) as place:
        lend(place, sh("lxc-info -n 101 -p -H").strip())
        tried("a quota that is used up", "EDQUOT")
        sh("lxc-attach -n 101 -- umount /mnt")


def change(client):
    """A change that needs a receipt, or why there was none."""
    vmid = client.call("read", path="/nodes/pve1/lxc", limit=1)["data"][0]["vmid"]
    planned = client.call("plan", method="PUT", path=f"/nodes/pve1/lxc/{vmid}/config", args={"description": str(time.monotonic())})
    return planned if "error" in planned else client.call("apply", plan_id=planned["plan_id"])


def refused(what, words, stays=True):
    """`stays`: it is still so when the doctor looks. Of changes, the first that found no room: what the log's last block still takes goes first."""
    client = Client().begin()
    answers = (change(client) for _ in range(40))
    error = next((answer["error"] for answer in answers if "error" in answer), None)
    holds(f"{what}: no change without its receipt", error and any(word in str(error) for word in words), error)
    print(f"     {error['message']}\n     -> {error['next']}")
    holds("reads go on", "data" in client.call("read", path="/nodes/pve1/lxc"))
    if stays:
        told(what, "ledger", "nothing can be run or changed")


def quota():
    """The receipts, where their account may use no more."""
    with quota_of(int(sh("id -u provost")), 256) as place:
        ledger = "/var/lib/provost/quota"
        os.makedirs(ledger, exist_ok=True)
        sh(f"mount --bind {place} {ledger}")
        configure(f"[ledger]\ndir = '{ledger}/ledger'\n{ROLE}")
        start("provost-execd.socket")
        sh(f"setpriv --reuid=provost --regid=provost --clear-groups sh -c 'cat /dev/zero >{ledger}/full'", check=False)
        refused("a quota that is used up", ["quota"])
        configure(ROLE)
        stop()
        sh(f"umount {ledger}; rmdir {ledger}")
    start("provost-execd.socket")


def full():
    """The disk is full: under the receipts, and under an install."""
    file_put(Client().begin())
    quota()
    version = sh("dpkg-query -W -f '${Version}' provost")
    fill = "/var/lib/provost/full"
    # All that is free, at once; then what this did not find.
    free = os.statvfs("/var/lib/provost")
    with open(fill, "wb") as file, contextlib.suppress(OSError):
        os.posix_fallocate(file.fileno(), 0, max(free.f_bfree * free.f_frsize - (64 << 20), 4096))
    sh(f"cat /dev/zero >{fill}2; sync", check=False)
    try:
        told("a full disk", "room", "without room nothing is changed", "audit archive")
        # A root disk has others who free some of it meanwhile, as journald does.
        refused("a full disk", ["No space left"], stays=False)
        done = run("dpkg", "-i", "/root/provost.deb")
        holds("dpkg finds no room for an install, and says so", done.returncode != 0 and "No space left" in done.stdout + done.stderr, done)
    finally:
        os.unlink(fill)
        os.unlink(f"{fill}2")
    state = sh("dpkg-query -W -f '${db:Status-Status}' provost").strip()
    print(f"     dpkg has it as {state}")
    if state != "installed":
        told("an install that found the disk full", "package", "did not come to its end", "dpkg --configure")
    answer = until("with room changes go on by themselves", lambda: (lambda done: "error" not in done and done)(change(Client().begin())))
    print(f"     receipt {answer['receipt']}")
    done = run("dpkg", "--force-confold", "-i", "/root/provost.deb")
    holds("the install goes in", done.returncode == 0 and sh("dpkg-query -W -f '${Version}' provost") == version, done)
    start("provost-execd.socket")
    checks = well("there is room")
    holds("all of the package is installed", any(check["check"] == "package" and check["state"] == "good" for check in checks), checks)


configure(ROLE)
start("provost-execd.socket")
well("as it is set up")
parts = (configuration, token, certificate, sockets, container, pve, full)
# By name, where one alone is tried again.
for part in [part for part in parts if part.__name__ in sys.argv[1:]] or parts:
    began = time.monotonic()
    part()
    print(f"     {part.__name__}: {time.monotonic() - began:.0f} s")
