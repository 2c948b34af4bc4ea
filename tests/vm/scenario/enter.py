"""Commands in the containers, by the packaged provost-execd: what enter promises there, beside the same by lxc-attach."""

import json
import os
import re
import subprocess

from node import BOOKWORM, Client, configure, denials, drop_in, holds, role, sh, show, start, stop, until

CONFIG = role("full", (101, 102), "privileged = true")


def host_view(mark):
    """What the node sees of the one process whose arguments hold the mark."""
    pids = pids_of(mark)
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


def pids_of(mark):
    return sh(f"pgrep -x -f {mark!r}", check=False).split()


def beside_lxc(client, guest):
    """The same command by both, as the node sees it."""
    theirs = subprocess.Popen(["lxc-attach", "-n", str(guest), "--clear-env", "--", "sleep", f"71{guest}"])
    lxc, lxc_cgroup = until("lxc-attach's command", lambda: host_view(f"sleep 71{guest}"))
    sh(f"pkill -x -f 'sleep 71{guest}'")
    theirs.wait()
    number = client.begin_call("exec", guest=guest, argv=["sleep", f"72{guest}"], mode="change")
    ours, our_cgroup = until("Provost's command", lambda: host_view(f"sleep 72{guest}"))
    holds(f"{guest}: label {ours['label']}", "lxc-" in ours["label"] and ours["label"] == lxc["label"], (ours["label"], lxc["label"]))
    # systemd's own setting for its services, and the shell's that lxc-attach was started from, are the caller's.
    holds(f"{guest}: the node sees it as it sees lxc-attach's", ours == lxc, (ours, lxc))
    holds(f"{guest}: in a leaf beside lxc's", re.fullmatch(rf"0::/lxc/{guest}/ns/\.provost-[0-9-]+", our_cgroup) and
          lxc_cgroup == f"0::/lxc/{guest}/ns/.lxc", (our_cgroup, lxc_cgroup))
    client.cancel(number)
    until("a cancelled call kills its command", lambda: not pids_of(f"sleep 72{guest}"))


def main():
    configure(CONFIG)
    stop()
    sh("systemctl daemon-reload; systemctl start provost.socket provost-execd.socket")
    # From here on, each refusal on its own line.
    sh("sysctl -q -w kernel.printk_ratelimit=0 && dmesg -C")
    client = Client().begin()
    answer = client.exec(101, "id", "-u", mode="change")
    holds("both daemons start by their sockets, and a command runs", answer.get("stdout") == "0\n", answer)
    for unit in ("provost", "provost-execd"):
        state = show("ActiveState", f"{unit}.service")
        holds(f"{unit}.service has said that it is ready", state == "active", state)
        profile = unit if unit == "provost-execd" else "provostd"
        pids = sh(f"cat /sys/fs/cgroup/system.slice/{unit}.service/cgroup.procs").split()
        labels = [open(f"/proc/{pid}/attr/apparmor/current").read().strip() for pid in pids]
        # provostd and its reader.
        holds(f"{unit}.service runs in its AppArmor profile", labels == [f"{profile} (enforce)"] * (2 if unit == "provost" else 1), labels)

    refused = client.exec(102, "id", "-u", mode="change").get("error", {})
    holds("a privileged container is refused by the unit's own bounds", refused.get("kind") == "capabilities" and
          "CapabilityBoundingSet=~" in refused["next"], refused)
    beside_lxc(client, 101)
    with drop_in("provost-execd.service", "CapabilityBoundingSet=~"):
        sh("systemctl restart provost-execd.service")
        beside_lxc(client, 102)
    sh("systemctl restart provost-execd.service")

    answer = client.exec(101, "sh", "-c", "head -c 30000000 /dev/zero | tail -c 30000000 | wc -c", mode="change")
    holds("memory is the cgroup's own peak", answer["memory_peak_of"] == "cgroup" and answer["memory_peak"] > 30_000_000, answer)
    answer = client.exec(101, "cat", "/proc/self/attr/current")
    holds("the inspect lane runs under AppArmor", answer["exit_code"] == 0 and answer["stdout"].startswith("unconfined"), answer)
    holds(f"with Landlock ABI {answer['landlock_abi']}", answer["landlock_abi"] >= (2 if BOOKWORM else 6) and answer["seccomp"], answer)
    number = client.begin_call("exec", guest=101, argv=["sleep", "7300"])
    inspected, _ = until("a command in the inspect lane", lambda: host_view("sleep 7300"))
    holds(f"its label is the container's: {inspected['label']}", inspected["label"].startswith("lxc-101_"), inspected)
    client.cancel(number)
    answer = client.exec(101, "sh", "-c", "echo x > /etc/motd")
    holds("and refuses a write", answer["exit_code"] != 0 and answer["refused"]["what"] == "write", answer)

    answer = client.call("file_put", guest=101, path="/root/put", content="x")
    holds("a file is put in", answer.get("sha256"), answer)
    answer = client.call("file_get", guest=101, path="/root/put")
    holds("and got out", answer.get("content") == "x", answer)

    entries = [json.loads(line) for line in sh("journalctl -t provost-execd -o json --no-pager PROVOST_DECISION=allowed").splitlines()]
    mine = [entry for entry in entries if "echo x > /etc/motd" in entry.get("PROVOST_ARGV", "")]
    holds("one journal entry a command", len(mine) == 1, entries[-3:])
    holds("with its fields", mine[0]["PROVOST_GUEST"] == "101" and mine[0]["PROVOST_MODE"] == "inspect" and
          mine[0]["ASKED_BY"].strip('"') == "user:root (uid 0)", mine)
    client.exec(103, "id")
    refused = until("a refusal in the journal", lambda: sh("journalctl -t provost-execd --no-pager PROVOST_DECISION=refused", check=False))
    holds("and one a refusal", "103" in refused, refused)

    client.begin_call("exec", guest=101, script="setsid sleep 7400 & sleep 7400", mode="change")
    until("the command runs", lambda: len(pids_of("sleep 7400")) == 2)
    sh("systemctl kill --signal=KILL provost-execd.service")
    until("a killed provost-execd's commands are swept by the next", lambda: client.exec(101, "true").get("exit_code") == 0
          and not pids_of("sleep 7400"))
    holds("a killed provost-execd is started again by its socket", True)
    stop()
    holds("AppArmor refused neither daemon anything", not denials(), denials())
    failed = sh("systemctl list-units --failed --no-legend 'provost*'")
    holds("both units stop cleanly", not failed.strip(), failed)
    start("provost-execd.socket")


if __name__ == "__main__":
    main()
