"""What provost.service and provostd hold in together, tried from inside.

`trespass` (tests/sandbox/trespass.rs) is put in provostd's place under the packaged unit, and tries each thing that must be
closed to it: with all layers, and with those of the unit alone."""

import errno
import json
import os
import pathlib
import re
import socket
import subprocess

from node import BOOKWORM, PMXCFS, Client, configure, doctor, holds, sh, show, start, until

TREE = pathlib.Path("/srv/provost-try")
# Where they are on a node, as AppArmor's profile goes by names.
ETC_PVE = pathlib.Path("/etc/pve")
CONFIG, TOKEN, TARGETS = (pathlib.Path("/etc/provost") / name for name in ("try.toml", "try-token", "try-targets"))
TRESPASS = "/usr/local/sbin/provost-trespass"

# What the unit closes before the program has closed anything, of files that its account could have by their permissions. (Of
# processes it hides those of other accounts; the one that trespass looks for is its own account's.)
BY_UNIT = [
    "list /root", "write the configuration", "make a file", "truncate another file", "bind a port", "make a user namespace",
    "gain a capability", "become somebody else",
]
# And what it does even if every capability were left to it.
THOUGH_CAPABLE = [
    "mount", "make a network namespace", "enter a namespace", "load a module", "set the host's name",
]
# The account with all that there is, and no layer. (To have a capability is no call that AppArmor sees; to use it is.)
BARE = ["[Service]", "User=provost", "AmbientCapabilities=~"]
REFUSED = (errno.EPERM, errno.EACCES, errno.EROFS)
# Root's own, and for once anybody's to read: so that no permission is what closes it.
ROOTS = {"/root": (0o755, 0o700), "/etc/shadow": (0o644, 0o640)}
# What systemd closes by a program in the kernel, for which Debian 12 does not build it.
BY_BPF = ["bind a port"]

# What only Landlock closes, and from which ABI on; a kernel that has less says so in `status`.
FROM_ABI = {"connect elsewhere": 4, "connect to an abstract socket": 6}


def call(tool, **arguments):
    return Client().begin().call(tool, **arguments)


def main_pid():
    return int(show("MainPID"))


def status_of(pid, field):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return re.search(rf"^{field}:\s*(.*)$", text, re.M).group(1)


def reader_of(pid):
    found = sh(f"pgrep -P {pid} -f -- --reader", check=False).split()
    return int(found[0]) if found else None


def anew(old):
    """The daemon's number, once it is another and answers."""
    def look():
        pid = main_pid()
        if pid in (0, old):
            return None
        try:
            return pid if call("status")["principal"]["uid"] == 0 else None
        except OSError:
            return None
    return until("the daemon is started again", look, patience=180)


def confined():
    sandbox = call("status")["sandbox"]
    holds(f"status: Landlock ABI {sandbox['abi']}, {sandbox['scopes']}, ports {sandbox['net']}", sandbox["abi"] >= (2 if BOOKWORM else 6), sandbox)
    holds("status: no capability, none to be had, no_new_privs, a filter",
          (sandbox["capabilities"], sandbox["bounding"], sandbox["no_new_privs"], sandbox["seccomp"]) == ("none", "none", True, True), sandbox)
    holds(f"and what this kernel does not have is said: {sandbox['missing'] or 'nothing'}", bool(sandbox["missing"]) == BOOKWORM, sandbox)
    daemon = main_pid()
    reader = until("the reader", lambda: reader_of(daemon))
    for name, pid in (("provostd", daemon), ("its reader", reader)):
        seen = {field: status_of(pid, field) for field in ("CapPrm", "CapBnd", "NoNewPrivs", "Seccomp")}
        empty = "0" * 16
        holds(f"the kernel says the same of {name}, which has {status_of(pid, 'VmRSS')} resident",
              seen == {"CapPrm": empty, "CapBnd": empty, "NoNewPrivs": "1", "Seccomp": "2"}, seen)
    sandbox = [check for check in doctor()[1] if check["check"] == "sandbox"]
    holds("doctor says so too", len(sandbox) == 1 and sandbox[0]["state"] == ("look" if BOOKWORM else "good"), sandbox)
    return daemon, reader


def started_again(daemon, reader):
    os.kill(reader, 9)
    again = anew(daemon)
    holds("a reader that has ended ends the daemon, and systemd starts both again", reader_of(again) not in (None, reader))
    os.kill(again, 19)
    third = anew(again)
    holds("a daemon that hangs is killed by its watchdog, and started again",
          "watchdog" in sh("journalctl -u provost.service -o cat --no-pager | grep -i watchdog | tail -1").lower(), third)


def clear():
    """The cluster's own /etc/pve comes to light again."""
    sh(f"while grep -q '^try {ETC_PVE} ' /proc/mounts; do umount -l {ETC_PVE}; done; rm -rf {TREE} /var/lib/provost/try")
    for file in (CONFIG, TOKEN, TARGETS):
        file.unlink(missing_ok=True)


def place():
    """What an intruder would go for: all of it open to provostd's account, so that permissions are not what closes it."""
    clear()
    sh(f"mount -t tmpfs -o {PMXCFS}mode=755 try {ETC_PVE}")
    for folder in (TREE / "outside", ETC_PVE / "priv", ETC_PVE / "nodes/pve1/lxc", ETC_PVE / "nodes/pve9/lxc"):
        folder.mkdir(parents=True)
    for file in (TREE / "outside/file", TREE / "outside/truncated", TOKEN):
        file.write_text("content")
    for file in ("storage.cfg", "pve-www.key", "priv/authkey.pem", "nodes/pve1/pve-ssl.pem", "nodes/pve1/pve-ssl.key",
                 "nodes/pve1/lxc/101.conf", "nodes/pve9/lxc/109.conf"):
        (ETC_PVE / file).write_text("content")
    (ETC_PVE / "local").symlink_to("nodes/pve1")
    ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    port, other_port = (listener.getsockname()[1] for listener in ports)
    hidden = socket.socket(socket.AF_UNIX)
    hidden.bind("\0provost-try")
    hidden.listen()
    state = "/var/lib/provost/try"
    CONFIG.write_text(
        f"[listen]\nunix = '{state}/mcp.sock'\n[ledger]\ndir = '{state}/ledger'\n[pve]\nurl = 'https://127.0.0.1:{port}'\n"
        f"daemon = ''\netc_pve = '{ETC_PVE}'\ntoken = '{TOKEN}'\ncertificate = '{ETC_PVE}/local/pve-ssl.pem'\n")
    other = subprocess.Popen(["setpriv", "--reuid=provost", "--regid=provost", "--clear-groups", "sleep", "3600"])
    TARGETS.write_text(json.dumps({
        "pid": other.pid, "port": port, "other_port": other_port, "abstract_name": "provost-try",
        "outside": f"{TREE}/outside", "etc_pve": f"{ETC_PVE}", "token": f"{TOKEN}", "ledger": f"{state}/ledger",
    }))
    sh(f"install -d -o provost -g provost -m 700 {state} && chown -R provost:provost {TREE} {ETC_PVE} {TOKEN}")
    return other, ports, hidden


def let_in(may):
    """Whether what is root's is anybody's to read."""
    for path, (opened, closed) in ROOTS.items():
        os.chmod(path, opened if may else closed)


def unit_without(*directives):
    """provost.service to be run once, without its sockets."""
    left_out = ("Sockets=", "Requires=", "After=", "OnSuccess=", "OnFailure=", "Type=", "WatchdogSec=", "Restart=", "ExecReload=",
                "ExecStart=", "SyslogIdentifier=", *directives)
    unit = pathlib.Path(show("FragmentPath"))
    return [line for line in unit.read_text().split("[Install]")[0].splitlines() if not line.startswith(left_out)]


def trespass(layer, unit=None):
    """`trespass` under a unit, by the daemon's own name: AppArmor's profile goes by it."""
    text = [*(unit or unit_without()), "Type=oneshot", f"ExecStart=/usr/sbin/provostd {CONFIG} {layer} {TARGETS}",
            f"BindReadOnlyPaths={TRESPASS}:/usr/sbin/provostd", "SyslogIdentifier=provost-try"]
    pathlib.Path("/run/systemd/system/provost-try.service").write_text("\n".join(text) + "\n")
    sh("systemctl daemon-reload")
    cursor = sh("journalctl -n 0 --show-cursor -o cat").rsplit("cursor: ", 1)[1].strip()
    done = subprocess.run(["systemctl", "start", "provost-try.service"])
    said = sh(f"journalctl -t provost-try -o cat --no-pager --after-cursor '{cursor}'")
    holds(f"trespass runs to its end ({layer})", done.returncode == 0, said)
    answer = next(json.loads(line) for line in said.splitlines() if line.startswith('{"report"') or line.startswith('{"tried"'))
    return answer["tried"]


def main():
    configure("")
    start("provost-execd.socket")
    abi = call("status")["sandbox"]["abi"]
    started_again(*confined())
    kept = place()
    try:
        tried = trespass("all")
        for name, code in tried.items():
            if name.startswith("need:"):
                holds(name, code == 0, errno.errorcode.get(code, code))
            elif abi < FROM_ABI.get(name, 0):
                print(f"     not closed with Landlock ABI {abi}: {name} ({errno.errorcode.get(code, 'open')})")
            else:
                # Another account's processes are not there at all.
                hidden = (errno.ENOENT,) if name == "read another process's arguments" else ()
                holds(f"closed: {name} ({errno.errorcode.get(code, code)})", code in (*REFUSED, *hidden), tried)
        let_in(True)
        sh(f"chown provost {CONFIG}")
        alone = trespass("none", unit_without("AppArmorProfile="))
        capable = trespass("none", [*unit_without("AppArmorProfile=", "CapabilityBoundingSet=", "AmbientCapabilities="), "AmbientCapabilities=~"])
        open_to_all = trespass("none", BARE)
        has_bpf = "+BPF_FRAMEWORK" in sh("systemctl --version")
        for name in [*BY_UNIT, *THOUGH_CAPABLE]:
            code, without = (alone if name in BY_UNIT else capable)[name], open_to_all[name]
            if name in BY_BPF and not has_bpf:
                print(f"     not closed by the unit, whose systemd is built without: {name}")
                continue
            holds(f"closed by the unit alone: {name} ({errno.errorcode.get(code, code)})", code in REFUSED and without not in REFUSED,
                  (code, without))
        key = "open the key beside storage.cfg"
        holds("and what only the process itself closes, it closes: a key", alone[key] == 0 and tried[key] != 0, (alone[key], tried[key]))
    finally:
        let_in(False)
        kept[0].kill()
        clear()
    for unit, most in (("provost", 1.2), ("provost-execd", 6.9)):
        said = sh(f"systemd-analyze security --no-pager {unit}.service | tail -1")
        exposure = float(re.search(r": ([0-9.]+)", said).group(1))
        holds(f"{unit}.service, as it runs: {exposure} of 10 open", exposure <= most, said)


if __name__ == "__main__":
    main()
