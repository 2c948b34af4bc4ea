"""What SELinux does, as the one layer that stands: as apparmor.py, for the other module of labels.

`trespass` has every capability here, the account that all it goes for belongs to, and nothing of provost.service but the
domain; and then not even that."""

import errno

import sandbox
from apparmor import replace_keys
from node import Client, configure, denials, holds, label_of, read, role, run, sh, start, until
from sandbox import BARE, ETC_PVE, REFUSED, TRESPASS, let_in, place, trespass

# What it closes, and the class that its log names; the permission too where the same class is refused for much else.
CLOSED = {
    "list /root": "dir",
    "open /etc/shadow": "file",
    "open priv": None,
    "open a key": None,
    "open the key beside storage.cfg": None,
    "open another file": "file",
    "make a file": "dir",
    "truncate another file": "file",
    "write the configuration": "file",
    "read another process's arguments": "dir",
    "ptrace": "process",
    "signal": "process",
    "run a program": "file execute",
    "bind a port": "tcp_socket",
    "bind a unix socket": "sock_file",
    "make a datagram socket": "udp_socket",
    "connect to an abstract socket": "unix_stream_socket",
    "mount": "dir",
    "make a network namespace": "capability",
    "load a module": "capability",
    "set the host's name": "capability",
    "become somebody else": "capability",
}
# What lies in /etc/pve.
TO_READER = {f"need: {what}" for what in ("a guest", "a node that came later", "storage.cfg", "the certificate", "the nodes")}


def execd_reads():
    """provost-execd's domain, by `cat` in its place: root, with every capability."""
    sh("install -m 755 /usr/bin/cat /usr/local/sbin/execd-cat; chcon -t provost_execd_exec_t /usr/local/sbin/execd-cat")
    for path, may in ((sandbox.CONFIG, True), (ETC_PVE / "storage.cfg", False), (ETC_PVE / "pve-www.key", False), ("/etc/shadow", False),
                      ("/root/.ssh/authorized_keys", False), ("/var/lib/provost/ledger/ledger.key", False)):
        sh("dmesg -C")
        done = run("systemd-run", "--quiet", "--wait", "-p", "StandardOutput=null", "-E", "LC_ALL=C", "/usr/local/sbin/execd-cat", str(path))
        said = denials("provost_execd_t")
        holds(f"provost-execd {'reads' if may else 'cannot read'} {path}", done.returncode == 0 if may else done.returncode and said, (done, said))


def is_of(denial, kind, permission=None):
    """Whether it is of this class, and of this permission among what it lists."""
    listed = denial[denial.index("{") + 1:denial.index("}")].split()
    return denial.split("tclass=")[1].split()[0] == kind and permission in (None, *listed)


def the_daemons_walls():
    sh(f"chcon -t provostd_exec_t {TRESPASS}")
    kept = place()
    # A door where the policy has doors.
    door = "/var/lib/provost/try/door"
    sh(f"install -d -o provost -g provost -m 700 {door}; chcon -t provost_runtime_t {door}")
    sandbox.CONFIG.write_text(sandbox.CONFIG.read_text().replace("/try/mcp.sock", "/try/door/mcp.sock"))
    try:
        replace_keys()
        let_in(True)
        execd_reads()
        sh("dmesg -C")
        alone = trespass("none", BARE)
        said = denials("provostd_t")
        holds("each refusal is one that was enforced", said and all(line.endswith("permissive=0") for line in said), said)
        sh(f"chcon -t bin_t {TRESPASS}")
        open_to_all = trespass("none", BARE)
        for name, kind in CLOSED.items():
            code, without = alone[name], open_to_all[name]
            holds(f"closed by SELinux alone: {name} ({errno.errorcode.get(code, code)})", code in REFUSED and without not in REFUSED, (code, without, said))
            holds(f"     and its log says so: {kind}", kind is None or any(is_of(line, *kind.split()) for line in said), said)
        for name in (name for name in alone if name.startswith("need:")):
            # What lies in /etc/pve the reader opens for it; here is none.
            may = name not in TO_READER
            holds(f"{'left open' if may else 'left to the reader'}: {name}", (alone[name] == 0) == may, alone[name])
    finally:
        let_in(False)
        kept[0].kill()
        sandbox.clear()


def unlabelled_container():
    """As Debian starts LXC: under the label of the node's services. The daemon does not become one of them."""
    sh("systemctl stop guest@101.service; chcon -t bin_t /usr/bin/lxc-start; systemctl start guest@101.service")
    try:
        until("101 runs", lambda: sh("lxc-info -n 101 -sH").strip() == "RUNNING")
        label = label_of(sh("lxc-info -n 101 -pH").strip())
        holds(f"its init has the label of a service: {label}", label.split(":")[2] == "initrc_t", label)
        sh("dmesg -C")
        refused = Client().begin().exec(101, "id", mode="change").get("error", {})
        holds("no command runs in it, and the answer says what was closed", "ermission denied" in refused.get("message", ""), refused)
        holds("and so does the log", any("provost_execd_t" in line and "initrc_t" in line for line in denials("provost_execd_t")), denials())
    finally:
        sh("systemctl stop guest@101.service; restorecon /usr/bin/lxc-start; systemctl start guest@101.service")


def main():
    configure(role("full"))
    start("provost-execd.socket")
    unlabelled_container()
    the_daemons_walls()
    holds("neither daemon is permissive to the end", read("/sys/fs/selinux/enforce") == "1")
    # What was refused here was to be.
    sh("dmesg -C")


if __name__ == "__main__":
    main()
