"""Runs on the node, as root: what enter promises there. Prints a line a promise, and fails at the first that does not hold."""

import json
import os
import re
import socket
import subprocess
import sys
import time

CONFIG = """
[exec]
enabled = true
containers = [101, 102]
privileged = true

[[role]]
name = "root"
members = ["user:root"]
profile = "full"
"""


def sh(command):
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout


def holds(promise, met, seen=None):
    print(("ok   " if met else "FAIL ") + promise, flush=True)
    if not met:
        sys.exit(f"     seen: {seen!r}")


def until(what, look, patience=60):
    """Looks until there is something to see: nothing on the node tells when, and it is emulated."""
    end = time.monotonic() + patience
    while not (seen := look()):
        if time.monotonic() > end:
            sys.exit(f"FAIL never: {what}")
        time.sleep(0.05)
    return seen


class Client:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect("/run/provost/mcp.sock")
        self.lines = self.socket.makefile("rb")
        self.last = 0
        self.request("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "vm", "version": "1"})
        self.socket.sendall(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')

    def start(self, method, **params):
        self.last += 1
        message = {"jsonrpc": "2.0", "id": self.last, "method": method, "params": params}
        self.socket.sendall(json.dumps(message).encode() + b"\n")
        return self.last

    def request(self, method, **params):
        number = self.start(method, **params)
        while True:
            message = json.loads(self.lines.readline())
            if message.get("id") == number:
                return message["result"]

    def exec(self, guest, *argv, **more):
        arguments = {"guest": guest, "argv": argv, **more}
        return self.request("tools/call", name="exec", arguments=arguments)["structuredContent"]


def denials(profile="provost"):
    """What AppArmor refused the daemons, or one of them, since dmesg was cleared."""
    return [line for line in sh("dmesg").splitlines() if re.search(rf'apparmor="DENIED".* profile="{profile}', line)]


def host_view(mark):
    """What the node sees of the one process whose arguments hold the mark."""
    pids = [pid for pid in sh(f"pgrep -x -f {mark!r} || true").split()]
    if len(pids) != 1:
        return None
    def read(name):
        with open(f"/proc/{pids[0]}/{name}") as file:
            return file.read().strip()
    status = dict(line.split(":\t", 1) for line in read("status").splitlines() if ":\t" in line)
    keep = ("Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters")
    return {
        "label": read("attr/apparmor/current"),
        "namespaces": {name: os.readlink(f"/proc/{pids[0]}/ns/{name}") for name in sorted(os.listdir(f"/proc/{pids[0]}/ns"))},
        "status": {name: status[name] for name in keep},
        "personality": read("personality"),
        "oom": read("oom_score_adj"),
    }, read("cgroup")


def main():
    sh("getent passwd provost >/dev/null || useradd --system --user-group --home-dir /var/lib/provost --shell /usr/sbin/nologin provost")
    with open("/etc/provost/provost.toml", "w") as file:
        file.write(CONFIG)
    sh("systemctl daemon-reload && systemctl stop provost.service provost-execd.service; systemctl start provost.socket provost-execd.socket")
    # From here on, each refusal on its own line.
    sh("sysctl -q -w kernel.printk_ratelimit=0 && dmesg -C")
    client = Client()
    answer = client.exec(101, "id", "-u", mode="change")
    holds("both daemons start by their sockets, and a command runs", answer.get("stdout") == "0\n", answer)
    for unit in ("provost", "provost-execd"):
        state = sh(f"systemctl show -P ActiveState {unit}.service").strip()
        holds(f"{unit}.service has said that it is ready", state == "active", state)
    for unit in ("provost", "provost-execd"):
        profile = unit if unit == "provost-execd" else "provostd"
        pids = sh(f"cat /sys/fs/cgroup/system.slice/{unit}.service/cgroup.procs").split()
        labels = [open(f"/proc/{pid}/attr/apparmor/current").read().strip() for pid in pids]
        # provostd and its reader.
        holds(f"{unit}.service runs in its AppArmor profile", labels == [f"{profile} (enforce)"] * (2 if unit == "provost" else 1), labels)

    refused = client.exec(102, "id", "-u", mode="change").get("error", {})
    holds("a privileged container is refused by the unit's own bounds", refused.get("kind") == "capabilities" and
          "CapabilityBoundingSet=~" in refused["next"], refused)
    widen = "/etc/systemd/system/provost-execd.service.d"
    os.makedirs(widen, exist_ok=True)

    for guest in (101, 102):
        if guest == 102:
            with open(f"{widen}/privileged.conf", "w") as file:
                file.write("[Service]\nCapabilityBoundingSet=~\n")
            sh("systemctl daemon-reload && systemctl restart provost-execd.service")
        theirs = subprocess.Popen(["lxc-attach", "-n", str(guest), "--clear-env", "--", "sleep", f"71{guest}"])
        lxc, lxc_cgroup = until("lxc-attach's command", lambda: host_view(f"sleep 71{guest}"))
        sh(f"pkill -x -f 'sleep 71{guest}'")
        theirs.wait()
        number = client.start("tools/call", name="exec", arguments={"guest": guest, "argv": ["sleep", f"72{guest}"], "mode": "change"})
        ours, our_cgroup = until("Provost's command", lambda: host_view(f"sleep 72{guest}"))
        holds(f"{guest}: label {ours['label']}", "lxc-" in ours["label"] and ours["label"] == lxc["label"], (ours["label"], lxc["label"]))
        # systemd's own setting for its services, and the shell's that lxc-attach was started from, are the caller's.
        holds(f"{guest}: the node sees it as it sees lxc-attach's", ours == lxc, (ours, lxc))
        holds(f"{guest}: in a leaf beside lxc's", re.fullmatch(rf"0::/lxc/{guest}/ns/\.provost-[0-9-]+", our_cgroup) and
              lxc_cgroup == f"0::/lxc/{guest}/ns/.lxc", (our_cgroup, lxc_cgroup))
        client.socket.sendall(json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}}).encode() + b"\n")
        until("a cancelled call kills its command", lambda: not sh(f"pgrep -x -f 'sleep 72{guest}' || true"))

    answer = client.exec(101, "sh", "-c", "head -c 30000000 /dev/zero | tail -c 30000000 | wc -c", mode="change")
    holds("memory is the cgroup's own peak", answer["memory_peak_of"] == "cgroup" and answer["memory_peak"] > 30_000_000, answer)
    answer = client.exec(101, "cat", "/proc/self/attr/current")
    holds("the inspect lane runs under AppArmor", answer["exit_code"] == 0 and answer["stdout"].startswith("unconfined"), answer)
    holds(f"with Landlock ABI {answer['landlock_abi']}", answer["landlock_abi"] >= 6 and answer["seccomp"], answer)
    number = client.start("tools/call", name="exec", arguments={"guest": 101, "argv": ["sleep", "7300"]})
    inspected, _ = until("a command in the inspect lane", lambda: host_view("sleep 7300"))
    holds(f"its label is the container's: {inspected['label']}", inspected["label"].startswith("lxc-101_"), inspected)
    client.socket.sendall(json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}}).encode() + b"\n")
    answer = client.exec(101, "sh", "-c", "echo x > /etc/motd")
    holds("and refuses a write", answer["exit_code"] != 0 and answer["refused"]["what"] == "write", answer)

    file = {"guest": 101, "path": "/root/put", "content": "x"}
    answer = client.request("tools/call", name="file_put", arguments=file)["structuredContent"]
    holds("a file is put in", answer.get("sha256"), answer)
    answer = client.request("tools/call", name="file_get", arguments={"guest": 101, "path": "/root/put"})["structuredContent"]
    holds("and got out", answer.get("content") == "x", answer)

    entries = [json.loads(line) for line in sh("journalctl -t provost-execd -o json --no-pager PROVOST_DECISION=allowed").splitlines()]
    mine = [entry for entry in entries if "echo x > /etc/motd" in entry.get("PROVOST_ARGV", "")]
    holds("one journal entry a command", len(mine) == 1, entries[-3:])
    holds("with its fields", mine[0]["PROVOST_GUEST"] == "101" and mine[0]["PROVOST_MODE"] == "inspect" and
          mine[0]["ASKED_BY"].strip('"') == "user:root (uid 0)", mine)
    client.request("tools/call", name="exec", arguments={"guest": 103, "argv": ["id"]})
    refused = until("a refusal in the journal", lambda: sh("journalctl -t provost-execd --no-pager PROVOST_DECISION=refused || true"))
    holds("and one a refusal", "103" in refused, refused)

    started = client.start("tools/call", name="exec", arguments={"guest": 101, "script": "setsid sleep 7400 & sleep 7400", "mode": "change"})
    until("the command runs", lambda: len(sh("pgrep -x -f 'sleep 7400' || true").split()) == 2)
    sh("systemctl kill --signal=KILL provost-execd.service")
    until("a killed provost-execd's commands are swept by the next", lambda: client.exec(101, "true").get("exit_code") == 0
          and not sh("pgrep -x -f 'sleep 7400' || true"))
    holds("a killed provost-execd is started again by its socket", True)
    sh("systemctl stop provost.service provost.socket provost-control.socket provost-execd.service provost-execd.socket")
    holds("AppArmor refused neither daemon anything", not denials(), denials())
    failed = sh("systemctl --failed --no-legend 'provost*' || true")
    holds("both units stop cleanly", not failed.strip(), failed)
    del started


if __name__ == "__main__":
    main()
