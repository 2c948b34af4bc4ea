"""Commands and files in containers under SELinux: a command has the label of the container's init, and never that of what made
it."""

import contextlib
import os

from node import Client, configure, holds, label_of, role, sh, show, start, stop, until

CONFIG = role("full")
ROOTFS = "/var/lib/lxc/101/rootfs"
CONFINED = "system_u:system_r:container_t:s0:c101,c202"


def init():
    return label_of(sh("lxc-info -n 101 -pH").strip())


def as_its_init(client, label):
    """What runs in both lanes, as the node sees it."""
    for mode in ("inspect", "change"):
        mark = f"sleep 73{len(mode)}{len(label)}"
        number = client.begin_call("exec", guest=101, argv=mark.split(), mode=mode)
        pid = until("the command", lambda: sh(f"pgrep -x -f '{mark}'", check=False).strip())
        holds(f"a command ({mode}) has its init's label, {label}", label_of(pid) == label, label_of(pid))
        client.cancel(number)
        until("it is ended", lambda: not sh(f"pgrep -x -f '{mark}'", check=False))
    said = client.exec(101, "sh", "-c", "id -u; ulimit -Sn; cat /proc/self/attr/current", mode="change")
    holds("it is root there, and says the same of itself", said.get("stdout", "").strip("\0").endswith(label) and said["stdout"][:2] == "0\n", said)
    said = client.exec(101, "id", "-un", mode="change", user="nobody")
    holds("another account is had as well", said.get("stdout") == "nobody\n", said)
    alive = [label_of(pid) for pid in os.listdir("/proc") if pid.isdigit() and pid != str(os.getpid())
             and os.path.exists(f"/proc/{pid}/exe") and "provost_execd_t" in label_of(pid)]
    holds("no process but the daemon is left in provost-execd's domain", len(alive) == 1, alive)


def files(client):
    for path in ("/root/put", "/run/put", "/tmp/put"):
        answer = client.call("file_put", guest=101, path=path, content="x", overwrite="always")
        holds(f"{path} is put in", answer.get("sha256"), answer)
        answer = client.call("file_get", guest=101, path=path)
        holds("and got out", answer.get("content") == "x", answer)


@contextlib.contextmanager
def container_t():
    """101 once more, as a container that the policy holds in, with categories of its own. Its programs have the label that
    such containers may run; systemd is none that container_t lets mount what it wants to, so something else is its init."""
    sh(f"systemctl stop guest@101.service; chcon -R -t container_file_t {ROOTFS}")
    # By the service manager, as from a shell the engine has the shell's label.
    sh("systemd-run --quiet --unit=confined -p Delegate=yes -p KillMode=mixed -p StandardOutput=null "
       f"lxc-start -F -n 101 -s lxc.selinux.context={CONFINED} -s 'lxc.init.cmd=/usr/bin/sleep 100000'")
    try:
        until("101 runs", lambda: sh("lxc-info -n 101 -sH").strip() == "RUNNING")
        yield
    finally:
        sh("lxc-stop -n 101 -k; systemctl stop confined.service", check=False)
        sh(f"restorecon -RF {ROOTFS}; systemctl start guest@101.service", check=False)


def main():
    until("101 is up", lambda: sh("lxc-info -n 101 -sH").strip() == "RUNNING")
    holds("a container whose engine has a label has one too", init() == "system_u:system_r:spc_t:s0", init())
    configure(CONFIG)
    stop()
    sh("systemctl daemon-reload; systemctl start provost.socket provost-execd.socket")
    client = Client().begin()
    answer = client.exec(101, "id", "-u", mode="change")
    holds("both daemons start by their sockets, and a command runs", answer.get("stdout") == "0\n", answer)
    as_its_init(client, init())
    answer = client.exec(101, "sh", "-c", "echo x > /etc/motd")
    holds("the inspect lane refuses a write", answer["exit_code"] != 0 and answer["refused"]["what"] == "write", answer)
    answer = client.exec(101, "sleep", "1000", mode="change", timeout_s=2)
    holds("what takes too long is ended", answer["timed_out"] and answer.get("signal") == 9, answer)
    answer = client.exec(101, "systemctl", "show", "-P", "Version", mode="change")
    holds("a command talks to the container's own systemd", answer.get("exit_code") == 0, answer)
    files(client)
    # The command is in the container and the daemon gone: its end goes with it, over the change of label.
    client.begin_call("exec", guest=101, argv=["sleep", "7400"], mode="change")
    until("the command runs", lambda: sh("pgrep -x -f 'sleep 7400'", check=False))
    sh("systemctl kill --signal=KILL provost-execd.service")
    until("a killed provost-execd's commands end with it", lambda: not sh("pgrep -x -f 'sleep 7400'", check=False))
    start("provost-execd.socket")
    with container_t():
        client = Client().begin()
        holds("a container that the policy holds in", init() == CONFINED, init())
        as_its_init(client, CONFINED)
        files(client)
    holds("provost-execd ended in order", show("Result", "provost-execd.service") == "success")


if __name__ == "__main__":
    main()
