"""What AppArmor does, as the one layer that stands.

`trespass` has every capability here, the account that all it goes for belongs to, and nothing of provost.service but the
profile; and then not even that, so that it is seen to be the profile that closed what was closed."""

import errno
import os
import pathlib
import shutil
import subprocess

import enter
import sandbox
from node import Client, configure, denials, holds, sh, start, until
from sandbox import BARE, ETC_PVE, REFUSED, let_in, place, trespass

CLOSED = [
    "list /root", "open /etc/shadow", "open priv", "open a key", "open the key beside storage.cfg", "open another file",
    "make a file", "write a sysctl", "write the configuration", "truncate another file", "read another process's arguments",
    "ptrace", "signal", "run a program", "mount", "make a network namespace", "enter a namespace", "load a module",
    "set the host's name", "become somebody else",
]


def replace_keys():
    """As PVE renews them: another file under the name."""
    for file in ("pve-www.key", "nodes/pve1/pve-ssl.key", "priv/authkey.pem"):
        new = ETC_PVE / "new"
        new.write_text("another")
        sh(f"chown provost:provost {new}")
        os.rename(new, ETC_PVE / file)


def execd_reads():
    """provost-execd's profile, by `cat` in its place: root, with every capability."""
    for path, may in ((sandbox.CONFIG, True), (sandbox.TOKEN, False), (ETC_PVE / "storage.cfg", False),
                      (ETC_PVE / "pve-www.key", False), ("/etc/shadow", False), ("/root/.ssh/authorized_keys", False),
                      ("/var/lib/provost/ledger/ledger.key", False)):
        run = subprocess.run(["systemd-run", "--quiet", "--wait", "--pipe", "-p", "AppArmorProfile=provost-execd",
                              "-p", "BindReadOnlyPaths=/usr/bin/cat:/usr/sbin/provost-execd", "/usr/sbin/provost-execd", str(path)],
                             stdin=subprocess.DEVNULL, capture_output=True, text=True)
        holds(f"provost-execd {'reads' if may else 'cannot read'} {path}",
              (run.returncode == 0) == may and ("Permission denied" in run.stderr) != may, run)


def unconfined_container():
    """A container whose processes have no label: the daemon's own must not follow a command in."""
    sh("dmesg -C && systemctl stop guest@101.service")
    container = subprocess.Popen(["lxc-start", "-F", "-n", "101", "-s", "lxc.apparmor.profile=unconfined",
                                  "-s", "lxc.apparmor.allow_nesting=0"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        until("101 runs", lambda: sh("lxc-info -n 101 -sH").strip() == "RUNNING")
        start("provost-execd.socket")
        init = sh("lxc-info -n 101 -pH").strip()
        label = pathlib.Path(f"/proc/{init}/attr/apparmor/current").read_text().strip()
        client = Client().begin()
        for mode in ("inspect", "change"):
            mark = f"sleep 75{len(mode)}"
            client.begin_call("exec", guest=101, argv=mark.split(), mode=mode)
            seen, _ = until(f"a command ({mode})", lambda: enter.host_view(mark))
            holds(f"in a container without a label, {mode}: a command's is its init's ({label})", seen["label"] == label, seen)
        holds("and AppArmor refused provost-execd nothing", not denials("provost-execd"), denials("provost-execd"))
    finally:
        subprocess.run(["lxc-stop", "-n", "101", "-k"])
        container.wait()
        sh("systemctl start guest@101.service")


NODE = """
[exec]
enabled = true
host = true
host_roots = ["/srv/host"]

[approval]
members = ["user:provost-try"]

[[role]]
name = "root"
members = ["user:root"]
profile = "full"
"""


def the_node_itself():
    """A command and a file of the node: neither is held in by provost-execd's profile, and both take a yes."""
    sh("dmesg -C; getent passwd provost-try >/dev/null || useradd --system provost-try; mkdir -p /srv/host; echo here > /srv/host/file")
    configure(NODE)
    start("provost-execd.socket")
    client = Client().begin()

    def done(tool, **arguments):
        asked = client.call(tool, guest="host", **arguments)
        holds(f"{tool} on the node waits for a yes", "plan_id" in asked, asked)
        sh(f"setpriv --reuid=provost-try --regid=provost-try --clear-groups provost approve {asked['plan_id']} --yes")
        return client.call("apply", plan_id=asked["plan_id"])

    try:
        seen = done("exec", argv=["/usr/bin/cat", "/proc/self/attr/current"], mode="change")
        holds("a command on the node has the label of any of its services", seen.get("host", {}).get("stdout", "").strip() == "unconfined", seen)
        seen = done("file_get", path="/srv/host/file")
        holds("a file of the node is read", seen.get("host", {}).get("content") == "here\n", seen)
        holds("and AppArmor refused neither daemon anything", not denials(), denials())
    finally:
        shutil.rmtree("/srv/host", ignore_errors=True)


def main():
    kept = place()
    try:
        replace_keys()
        let_in(True)
        # The kernel's log takes ten lines in five seconds, where nobody reads the audit's own.
        sh("echo 0 >/proc/sys/kernel/printk_ratelimit; dmesg -C")
        execd_reads()
        alone = trespass("none", [*BARE, "AppArmorProfile=provostd"])
        said = denials("provostd")
        open_to_all = trespass("none", BARE)
        for name in CLOSED:
            code, without = alone[name], open_to_all[name]
            holds(f"closed by AppArmor alone: {name} ({errno.errorcode.get(code, code)})",
                  code in REFUSED and without not in REFUSED, (code, without))
        for name in (name for name in alone if name.startswith("need:")):
            holds(f"left open by it: {name}", alone[name] == 0, alone[name])
        for what in ("pve-www.key", "pve-ssl.key", "authkey.pem", 'name="/root/"', 'name="/etc/shadow"', 'operation="ptrace"',
                     'operation="signal"', 'operation="mount"', 'capname="sys_admin"', 'capname="sys_module"'):
            holds(f"the audit log says who refused: {what}", any(what in line for line in said), said)
    finally:
        let_in(False)
        kept[0].kill()
        sandbox.clear()
    configure(enter.CONFIG)
    unconfined_container()
    the_node_itself()
    # What is off must not be in the way: the unit starts where no profile is loaded.
    sh("apparmor_parser -R /etc/apparmor.d/provostd")
    start()
    holds("without its profile the daemon starts all the same", Client().begin().call("status")["principal"]["uid"] == 0)
    sh("apparmor_parser -r /etc/apparmor.d/provostd")
    start("provost-execd.socket")


if __name__ == "__main__":
    main()
