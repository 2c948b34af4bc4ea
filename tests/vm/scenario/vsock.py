"""An assistant inside a VM reaches the agent with no network, as the VM that the kernel says; nobody else does.

The VM is machine.py: to the kernel a guest with a CID. What only this machine's loopback gives, a peer of CID 1, is refused.
"""

import atexit
import glob
import json
import os
import re
import socket
import subprocess

import verdicts
from node import SELINUX, Client, configure, doctor, drop_in, holds, read, receipts, sh, start, stop, until

HERE = os.path.dirname(os.path.abspath(__file__))
CID, PORT, RELAY = 1101, 7100, "/run/machine.sock"
DEVICE = f"-device vhost-vsock-pci,guest-cid={CID}"


def conf(vmid):
    return f"/etc/pve/nodes/pve1/qemu-server/{vmid}.conf"


vmid, other = sorted(int(os.path.basename(path).split(".")[0]) for path in glob.glob(conf("*")))[:2]


def write(vmid, args):
    """What root does with qm set, as pmxcfs shows it: a new file, and the counters by which it says what moved."""
    with open(conf(vmid)) as file:
        kept = [line for line in file if not line.startswith("args:")]
    put(conf(vmid), (f"args: {args}\n" if args else "") + "".join(kept))
    with open("/etc/pve/.vmlist") as file:
        vmlist = json.load(file)
    with open("/etc/pve/.version") as file:
        version = json.load(file)
    vmlist["version"] += 1
    vmlist["ids"][str(vmid)]["version"] = version["vmlist"] = vmlist["version"]
    put("/etc/pve/.vmlist", json.dumps(vmlist))
    put("/etc/pve/.version", json.dumps(version))


def put(path, text):
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)


def refusal(client):
    """Why the daemon hung up, as a client hears it."""
    said = client.hear()
    return (said or {}).get("error", {}).get("message", ""), client.hear()


def loopback(cid):
    connection = socket.socket(socket.AF_VSOCK)
    connection.connect((cid, PORT))
    return Client.__new__(Client).over(connection)


class Machine:
    """It runs as PVE runs it: in the VM's scope, as root."""

    def __init__(self, vmid):
        sh(f"systemctl stop {vmid}.scope 2>/dev/null; rm -f {RELAY}")
        words = ["-id", str(vmid), *DEVICE.split(), "-relay", RELAY, str(PORT)]
        scope = ["systemd-run", "--quiet", "--scope", "--slice=qemu.slice", f"--unit={vmid}"]
        self.process = subprocess.Popen([*scope, "python3", f"{HERE}/machine.py", *words], stdout=subprocess.DEVNULL)
        atexit.register(self.process.kill)
        until("the machine's device", lambda: os.path.exists(RELAY))

    def connect(self):
        return Client(RELAY)

    def kill(self):
        self.process.kill()
        self.process.wait()


DOOR = f"[listen]\nvsock = {PORT}\n"
ROLE = f'{DOOR}[[role]]\nname = "inner"\nmembers = ["vm:{vmid}"]\nprofile = "operate"\ntainted_approval = ["disruptive"]\n'


def served():
    for cid in (1, 2):
        said, then = refusal(loopback(cid))
        holds(f"the node itself, over loopback to CID {cid}, is no virtual machine", "is no virtual machine's" in said and then is None, said)
    tried = subprocess.run(["provost", "bridge", "--vsock", f"1:{PORT}"], input='{"jsonrpc":"2.0","id":1,"method":"ping"}\n', capture_output=True, text=True)
    holds("provost bridge --vsock passes on why", "is no virtual machine's" in tried.stdout, tried)

    machine = Machine(vmid)
    said, _ = refusal(machine.connect())
    holds("a VM that runs with a CID its configuration does not give is refused", f"VM {vmid} runs with vsock CID {CID}, and its configuration" in said, said)

    write(vmid, DEVICE)
    client = machine.connect().begin()
    status = client.call("status")
    holds("the VM is served as itself", status["principal"] == {"via": "vsock", "cid": CID, "vmid": vmid}, status["principal"])
    holds("by its role, and tainted from the first word on", status["role"] == "inner" and status["tainted"], status)
    found = client.call("find", query="stop a vm")
    holds("more than a packet comes whole", len(str(found)) > 200 and found["matches"], found)

    planned = client.call("plan", method="POST", path=f"/nodes/pve1/qemu/{vmid}/status/reboot")
    if "error" in planned:  # it does not run there
        planned = client.call("plan", method="POST", path=f"/nodes/pve1/qemu/{vmid}/status/start")
    holds("a plan about itself says so", any("the machine that you speak from" in line for line in planned["warnings"]), planned)

    half = machine.connect().begin()
    number = half.begin_call("status")
    half.socket.shutdown(socket.SHUT_WR)
    holds("one that has said all it will still gets its answer", half.answer(number) is not None)
    holds("and is hung up on then", half.hear() is None)

    sessions = [machine.connect() for _ in range(20)]
    holds("twenty more at once", all(session.begin() for session in sessions))

    mine = receipts("--principal", f"vm:{vmid}")
    kinds = {receipt["kind"] for receipt in mine}
    holds("its receipts name CID and VM", {"session", "plan"} <= kinds and all(
        (receipt["principal"]["cid"], receipt["principal"]["vmid"]) == (CID, vmid) and "uid" not in receipt["principal"] for receipt in mine), mine[:2])
    turned = receipts("--principal", "vsock:1", "--kind", "session")
    holds("who was turned away left a receipt with the reason", any("no virtual machine" in receipt.get("why", "") for receipt in turned), turned)
    entries = sh(f"journalctl -t provost --no-pager PROVOST_PRINCIPAL=vsock:{CID}")
    holds("and the journal has them by PROVOST_PRINCIPAL", f"vsock:{CID}" in entries, entries[-300:])

    write(vmid, DEVICE.replace(str(CID), "1102"))
    said, _ = refusal(machine.connect())
    holds("a configuration edited under it lets no further session in", "its configuration does not give it" in said, said)
    write(vmid, DEVICE)
    write(other, DEVICE)
    said, _ = refusal(machine.connect())
    holds("nor does another VM that claims the same CID", f"of VM {other} claims the same" in said, said)
    write(other, "")

    machine.kill()
    until("the session of a VM that was killed ends", lambda: [
        receipt for receipt in receipts("--principal", f"vm:{vmid}", "--kind", "session", "-n", "100") if receipt["body"]["event"] == "closed"][21:])
    holds("the sessions of a VM that was killed end", True)

    words = ["-id", str(vmid), *DEVICE.split(), "-relay", f"{RELAY}2", str(PORT)]
    scope = ["systemd-run", "--quiet", "--scope", "--slice=other.slice"]
    impostor = subprocess.Popen([*scope, "python3", f"{HERE}/machine.py", *words], stdout=subprocess.DEVNULL)
    atexit.register(impostor.kill)
    until("the impostor's device", lambda: os.path.exists(RELAY + "2"))
    said, _ = refusal(Client(RELAY + "2"))
    holds("who takes the CID of a VM that does not run is nobody", f"no virtual machine that runs on this node was started with vsock CID {CID}" in said, said)
    impostor.kill()
    impostor.wait()
    os.unlink(RELAY + "2")


def the_same_verdicts():
    configure(DOOR + verdicts.ROLE.replace("{mine}", str(vmid)))
    start("provost-vsock.socket")
    write(vmid, DEVICE)
    machine = Machine(vmid)
    verdicts.same_as_by_the_socket(machine.connect().begin(), vmid, other)
    machine.kill()


def by_itself():
    """The same without the unit: then provostd asks for the socket itself, and its own unit has to let it."""
    stop()
    configure(ROLE)
    tried = sh("systemctl start provost.service 2>&1; journalctl -u provost.service -n 20 --no-pager -o cat", check=False)
    holds("without provost-vsock.socket the unit does not allow it, and says what to do", "systemctl enable provost-vsock.socket && systemctl restart provost" in tried, tried)
    with drop_in("provost.service", "ProtectProc=default\nRestrictAddressFamilies=AF_VSOCK"):
        start()
        machine = Machine(vmid)
        holds("with AF_VSOCK in a drop-in it listens by itself", machine.connect().begin().call("status")["role"] == "inner")
        machine.kill()


LOCAL = "/etc/apparmor.d/local/provostd"
# As the README beside SELinux's module has it.
SWITCH = "setsebool provost_serve_machines"
# As docs/guests.md has it.
ALLOW, ENABLE = (re.search(rf"^# ({words}.*?)(?:  +#.*)?$", read(f"{HERE}/guests.md"), re.M)[1] for words in (
    f"echo '.*' >>{LOCAL}", "systemctl enable .*provost-vsock"))


def as_installed():
    """Neither the unit nor AppArmor's profile, or SELinux's module, lets the daemon see how another process was started, until an
    operator says so; doctor says which it is."""
    machine = Machine(vmid)
    for mode, mend in (("invisible", "ProtectProc=default"), ("default", "serve_machines" if SELINUX else LOCAL)):
        with drop_in("provost.service", f"ProtectProc={mode}"):
            start("provost-vsock.socket")
            said, _ = refusal(machine.connect())
            checks = [check for check in doctor()[1] if check["check"] == "vsock"]
        holds(f"ProtectProc={mode}, and nothing said to {'SELinux' if SELINUX else 'AppArmor'}: whose the CID is cannot be seen", "cannot be seen" in said, said)
        holds(f"and doctor says what mends it: {mend}", any(check["state"] == "bad" and mend in check["mend"] for check in checks), checks)
    machine.kill()


def main():
    sh("modprobe vsock_loopback; modprobe vhost_vsock")
    configure(ROLE)
    as_installed()
    # What was refused there was to be.
    sh(f"{SWITCH} on; dmesg -C" if SELINUX else ALLOW)
    configure("")
    start()
    with drop_in("provost.service", "ProtectProc=default"):
        configure(ROLE)
        sh(ENABLE)
        try:
            served()
            the_same_verdicts()
        finally:
            sh("systemctl disable --now provost-vsock.socket")
            write(vmid, "")
            write(other, "")
    write(vmid, DEVICE)
    by_itself()
    write(vmid, "")
    sh(f"{SWITCH} off" if SELINUX else f": >{LOCAL}; apparmor_parser -r /etc/apparmor.d/provostd")
    configure("")
    start("provost-execd.socket")


if __name__ == "__main__":
    main()
