"""Runs on the node, as root, once enter.py has set it up: what provost.service and provostd hold in together. Prints a
line a promise, and fails at the first that does not hold.

`trespass` (tests/sandbox/trespass.rs) is put in provostd's place under the same unit, and tries each thing that must be
closed to it: with all layers, and with those of the unit alone."""

import errno
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time

TREE = pathlib.Path("/srv/provost-try")
# Where they are on a node, as AppArmor's profile goes by names.
ETC_PVE = pathlib.Path("/etc/pve")
CONFIG, TOKEN, TARGETS = (pathlib.Path("/etc/provost") / name for name in ("try.toml", "try-token", "try-targets"))
UNIT = pathlib.Path("/etc/systemd/system/provost.service")
TRESPASS = "/usr/local/sbin/provost-trespass"

# What the unit closes before the program has closed anything. (Of processes it hides those of other accounts; the one that
# trespass looks for is its own account's.)
BY_UNIT = [
    "list /root", "open /etc/shadow", "write the configuration", "make a file", "truncate another file", "bind a port",
    "mount", "make a user namespace", "make a network namespace", "enter a namespace",
    "load a module", "set the host's name", "gain a capability", "become somebody else",
]


def sh(command):
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout


def holds(promise, met, seen=None):
    print(("ok   " if met else "FAIL ") + promise, flush=True)
    if not met:
        sys.exit(f"     seen: {seen!r}")


def until(what, look, patience=120):
    """Looks until there is something to see: the node is emulated, and nothing tells when."""
    end = time.monotonic() + patience
    while not (seen := look()):
        if time.monotonic() > end:
            sys.exit(f"FAIL never: {what}")
        time.sleep(0.2)
    return seen


def call(tool, **arguments):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect("/run/provost/mcp.sock")
    lines = connection.makefile("rb")

    def request(number, method, params):
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        connection.sendall(json.dumps(message).encode() + b"\n")
        while True:
            line = lines.readline()
            if not line:
                raise ConnectionError("the daemon has gone")
            answer = json.loads(line)
            if answer.get("id") == number:
                return answer["result"]

    request(1, "initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "vm", "version": "1"}})
    connection.sendall(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
    return request(2, "tools/call", {"name": tool, "arguments": arguments})["structuredContent"]


def main_pid():
    return int(sh("systemctl show -P MainPID provost.service"))


def status_of(pid, field):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return re.search(rf"^{field}:\s*(.*)$", text, re.M).group(1)


def reader_of(pid):
    found = sh(f"pgrep -P {pid} -f -- --reader || true").split()
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
    return until("the daemon is started again", look)


def confined():
    sandbox = call("status")["sandbox"]
    holds(f"status: Landlock ABI {sandbox['abi']}, {sandbox['scopes']}, ports {sandbox['net']}", sandbox["abi"] >= 6, sandbox)
    holds("status: no capability, none to be had, no_new_privs, a filter, and nothing missing",
          (sandbox["capabilities"], sandbox["bounding"], sandbox["no_new_privs"], sandbox["seccomp"], sandbox["missing"])
          == ("none", "none", True, True, []), sandbox)
    daemon = main_pid()
    reader = until("the reader", lambda: reader_of(daemon))
    for name, pid in (("provostd", daemon), ("its reader", reader)):
        seen = {field: status_of(pid, field) for field in ("CapPrm", "CapBnd", "NoNewPrivs", "Seccomp")}
        empty = "0" * 16
        holds(f"the kernel says the same of {name}, which has {status_of(pid, 'VmRSS')} resident",
              seen == {"CapPrm": empty, "CapBnd": empty, "NoNewPrivs": "1", "Seccomp": "2"}, seen)
    doctor = json.loads(subprocess.run(["provost", "doctor", "--json"], capture_output=True, text=True).stdout)
    sandbox = [check for check in doctor if check["check"] == "sandbox"]
    holds("doctor says so too", len(sandbox) == 1 and sandbox[0]["state"] == "good", sandbox)
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
    for tree in (TREE, ETC_PVE):
        shutil.rmtree(tree, ignore_errors=True)
    for file in (CONFIG, TOKEN, TARGETS):
        file.unlink(missing_ok=True)


def place():
    """What an intruder would go for: all of it open to provostd's account, so that permissions are not what closes it."""
    if os.path.ismount(ETC_PVE):
        sys.exit(f"{ETC_PVE} is a cluster's: this is for a node of tests/vm alone")
    clear()
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


def unit_without(*directives):
    """provost.service to be run once, without its sockets."""
    left_out = ("Sockets=", "Requires=", "After=", "OnSuccess=", "OnFailure=", "Type=", "WatchdogSec=", "Restart=", "ExecReload=",
                "ExecStart=", "SyslogIdentifier=", *directives)
    return [line for line in UNIT.read_text().split("[Install]")[0].splitlines() if not line.startswith(left_out)]


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
    sh("systemctl reset-failed 'provost*'; systemctl start provost.socket provost-control.socket")
    started_again(*confined())
    kept = place()
    try:
        tried = trespass("all")
        for name, code in tried.items():
            if name.startswith("need:"):
                holds(name, code == 0, errno.errorcode.get(code, code))
            else:
                holds(f"closed: {name} ({errno.errorcode.get(code, code)})", code != 0, tried)
        alone = trespass("none", unit_without("AppArmorProfile="))
        for name in BY_UNIT:
            code = alone[name]
            holds(f"closed by the unit alone: {name} ({errno.errorcode.get(code, code)})", code != 0, alone)
        key = "open the key beside storage.cfg"
        holds("and what only the process itself closes, it closes: a key", alone[key] == 0 and tried[key] != 0, (alone[key], tried[key]))
    finally:
        kept[0].kill()
        clear()
    # As it is installed: enter.py has widened it for a privileged container.
    sh("rm -rf /etc/systemd/system/provost-execd.service.d && systemctl daemon-reload")
    for unit, most in (("provost", 1.2), ("provost-execd", 6.9)):
        said = sh(f"systemd-analyze security --no-pager {unit}.service | tail -1")
        exposure = float(re.search(r": ([0-9.]+)", said).group(1))
        holds(f"{unit}.service, as it runs: {exposure} of 10 open", exposure <= most, said)


if __name__ == "__main__":
    main()
