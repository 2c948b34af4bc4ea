"""`apt install` of a newer version, with sessions that are connected and clients that connect meanwhile."""

import hashlib
import os
import subprocess
import threading

from node import CONFIG, LEDGER, ROLE, SEALED, Client, configure, doctor, holds, ledger, read, run, sh, show, start, until, verified


def operators():
    """What is not the package's to change."""
    return [hashlib.sha256(read(path).encode()).hexdigest() for path in (CONFIG, SEALED, f"{LEDGER}/ledger.pub")]


def version():
    return sh("dpkg-query -W -f '${Version}' provost")


configure(ROLE)
start("provost-execd.socket")
client = Client().begin()
planned = client.call("plan", method="PUT", path="/nodes/pve1/lxc/101/config", args={"description": "planned before"})
bridge = subprocess.Popen(["provost", "bridge"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
bridge.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
bridge.stdin.flush()
holds("a bridge is connected", b"result" in bridge.stdout.readline())
client.begin_call("exec", guest=101, argv=["sleep", "7700"], mode="change")
until("a command runs in a container", lambda: sh("pgrep -x -f 'sleep 7700'", check=False))
before = (operators(), len(ledger("session")), show("MainPID"), version())
socket = os.stat("/run/provost/mcp.sock").st_ino
since = {unit: show("ActiveEnterTimestampMonotonic", unit) for unit in ("provost.socket", "provost-control.socket", "provost-execd.socket")}

over, refusals, served = threading.Event(), [], []


def meanwhile():
    """A client after the other: each is let in, or waits."""
    while not over.is_set():
        try:
            one = Client().begin()
            served.append(one.call("status")["version"])
            one.socket.close()
        except (ConnectionRefusedError, FileNotFoundError) as error:
            refusals.append(error)
        except OSError:
            pass  # It was connected to the one that ended.
        over.wait(1)


others = threading.Thread(target=meanwhile)
others.start()
apt = run("apt-get", "install", "--yes", "-q", "/root/next.deb", env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
over.set()
others.join()
holds("apt installs the newer version", apt.returncode == 0 and version() == before[3] + "+next", apt)
holds("the daemon is another", show("MainPID") not in (before[2], "0"), show("MainPID"))
holds(f"{len(served)} clients connected meanwhile, and none found the door gone", not refusals and served, refusals)
for unit, at in since.items():
    holds(f"{unit} stayed open", show("ActiveEnterTimestampMonotonic", unit) == at)
holds("and the socket is the same", os.stat("/run/provost/mcp.sock").st_ino == socket)
while client.hear():
    pass
holds("the session that was connected has ended", True)
holds("and its bridge with it", bridge.wait(60) is not None)
until("its command is gone", lambda: not sh("pgrep -x -f 'sleep 7700'", check=False))
holds("configuration, token and key are what they were", operators() == before[0])
client = Client().begin()
refused = client.call("apply", plan_id=planned["plan_id"])
holds("a plan from before is void", refused.get("error", {}).get("kind") == "no_such_plan", refused)
holds("commands are on, by the new provost-execd", client.exec(101, "id", "-u", mode="change").get("stdout") == "0\n")
holds("the ledger goes on", len(ledger("session")) > before[1])
verified()
code, checks = doctor()
holds("doctor finds nothing bad", code == 0, [check for check in checks if check["state"] == "bad"])
