"""What every piece of the scenario that runs on the node uses."""

import contextlib
import datetime
import glob
import json
import os
import re
import socket
import subprocess
import sys
import time

CONFIG = "/etc/provost/provost.toml"
# The token as setup keeps it on a node: encrypted, for systemd to open for the daemon.
SEALED = "/etc/credstore.encrypted/pve-token"
# The simulated cluster's own directory; its /etc/pve is at its place.
CLUSTER = "/var/lib/provost-sim"
LEDGER = "/var/lib/provost/ledger"
# What the operator gives root: commands in containers, and a profile.
GIVEN = """
[exec]
enabled = true
containers = {containers}
{more}
[[role]]
name = "root"
members = ["user:root"]
profile = "{profile}"
"""


def role(profile, containers=(101,), more=""):
    return GIVEN.format(profile=profile, containers=list(containers), more=more)


# What makes and changes things, commands in a container with it, and it waits for nobody.
ROLE = role("provision") + 'exec = "change"\napproval = []\n'
# Landlock came to Debian's kernels by and by: bookworm's says nothing of ports and abstract sockets.
BOOKWORM = 'VERSION_CODENAME=bookworm' in open("/etc/os-release").read()
# Booted under SELinux (run --selinux): AppArmor is off then.
SELINUX = os.path.exists("/sys/fs/selinux/enforce")
# As the kernel labels what pmxcfs mounts: one file system, one label.
PMXCFS = "context=system_u:object_r:fusefs_t:s0," if SELINUX else ""
UNITS = "provost.service provost.socket provost-control.socket provost-vsock.socket provost-execd.service provost-execd.socket"


def run(*words, **more):
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)


def sh(command, check=True):
    """What it prints; where it fails, what it said of it."""
    done = subprocess.run(command, shell=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if check and done.returncode:
        sys.exit(f"FAIL {command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def holds(promise, met, seen=None):
    print(("ok   " if met else "FAIL ") + promise, flush=True)
    if not met:
        sys.exit(f"     seen: {seen!r:.6000}")


def until(what, look, patience=120):
    """Looks until there is something to see: nothing on the node tells when, and it is emulated."""
    end = time.monotonic() + patience
    while not (seen := look()):
        if time.monotonic() > end:
            sys.exit(f"FAIL never: {what}")
        time.sleep(0.1)
    return seen


def read(path):
    with open(path) as file:
        return file.read()


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def configure(text):
    """Over what setup wrote, but for where the token is: at the end, as each line keeps its number."""
    if os.path.exists(SEALED) and "[pve]" not in text:
        text += '\n[pve]\ntoken = "pve-token"\n'
    write(CONFIG, floored(text))


def floored(text):
    """Where the kernel's Landlock is older than what the inspect lane asks for, with what the operator would have to say."""
    return re.sub(r"^(\[exec\]\n)", r"\1inspect_floor = 2\n", text, flags=re.M) if BOOKWORM else text


def stop():
    """Each that is there."""
    sh(f"systemctl stop {UNITS} 2>/dev/null", check=False)


def start(*more):
    """From nothing: both daemons' sockets as the package enables them, and what else is named."""
    stop()
    sh("systemctl daemon-reload; systemctl reset-failed 'provost*'", check=False)
    sh(f"systemctl start provost.socket provost-control.socket {' '.join(more)} && systemctl start provost.service")


def unsealed():
    """The token's line, as root can have it."""
    return sh(f"systemd-creds decrypt --name=pve-token {SEALED} -").strip()


def show(what, unit="provost.service"):
    return sh(f"systemctl show -P {what} {unit}").strip()


@contextlib.contextmanager
def drop_in(unit, text, section="Service"):
    """What `systemctl edit` would write, for as long as it takes."""
    path = f"/etc/systemd/system/{unit}.d/scenario.conf"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write(path, f"[{section}]\n{text}\n")
    sh("systemctl daemon-reload")
    try:
        yield
    finally:
        os.unlink(path)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(path))
        sh("systemctl daemon-reload")


class Client:
    """A client over a unix socket, by hand: what libraries make of it is the SDKs' part."""

    def __init__(self, path="/run/provost/mcp.sock"):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        self.over(connection)

    def over(self, connection):
        self.socket, self.last = connection, 0
        connection.settimeout(180)
        self.lines = connection.makefile("rb")
        return self

    def begin(self):
        self.request("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "vm", "version": "1"})
        self.send({"method": "notifications/initialized"})
        return self

    def send(self, message):
        self.socket.sendall(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def hear(self):
        """The next message; None when the daemon has closed."""
        try:
            line = self.lines.readline()
        except ConnectionError:
            return None
        return json.loads(line) if line else None

    def start(self, method, **params):
        self.last += 1
        self.send({"id": self.last, "method": method, "params": params})
        return self.last

    def answer(self, number):
        while message := self.hear():
            if message.get("id") == number:
                return message["result"]
        raise ConnectionError("the daemon has hung up")

    def request(self, method, **params):
        return self.answer(self.start(method, **params))

    def call(self, tool, **arguments):
        return self.request("tools/call", name=tool, arguments=arguments)["structuredContent"]

    def begin_call(self, tool, **arguments):
        return self.start("tools/call", name=tool, arguments=arguments)

    def cancel(self, number):
        self.send({"method": "notifications/cancelled", "params": {"requestId": number}})

    def exec(self, guest, *argv, **more):
        return self.call("exec", guest=guest, argv=list(argv), **more)


def receipts(*filters):
    """The receipts that `provost audit query` finds, the latest first."""
    found = run("provost", "audit", "query", "--json", *filters, check=True)
    return [json.loads(line) for line in found.stdout.splitlines()]


def ledger(*kinds):
    """Receipts by the log itself, as it grows: a program that reads it takes longer to start here than a change does."""
    lines = (line for path in sorted(glob.glob(f"{LEDGER}/entries-*.jsonl")) for line in open(path) if line.endswith("\n"))
    return [receipt for receipt in map(json.loads, lines) if receipt["kind"] in kinds]


def outcome_of(intent):
    found = [receipt for receipt in ledger("outcome") if receipt["body"]["of"] == intent["seq"]]
    return found[0] if found else None


def begin_change(client, method, path, **args):
    """Plans a change and begins to apply it: its intent, once that is on the disk, and the number of the call."""
    before = len(ledger("intent"))
    planned = client.call("plan", method=method, path=path, args=args)
    holds(f"{method} {path} is planned, and waits for nobody", "plan_id" in planned and planned["needs"] == "nothing", planned)
    number = client.begin_call("apply", plan_id=planned["plan_id"])
    until("the intent is on the disk", lambda: len(ledger("intent")) > before)
    return ledger("intent")[-1], number


def begin_backup():
    """The longest that the simulated cluster can do: a minute. Its intent, once PVE has begun it."""
    intent, _ = begin_change(Client().begin(), "POST", "/nodes/pve1/vzdump", vmid="123", storage="local")
    look = Client().begin()

    def begun():
        rows = look.call("read", path="/nodes/pve1/tasks", args={"source": "all"})["data"]
        return [row for row in rows if row["type"] == "vzdump" and row["starttime"] >= at and "endtime" not in row]

    at = int(datetime.datetime.fromisoformat(intent["time"]).timestamp()) - 1
    until("PVE has begun the backup", begun)
    return intent


def verified(*more):
    """The log by the verifier, and what it says."""
    done = run("provost", "audit", "verify", *more)
    holds(" ".join(["provost audit verify", *more, "finds the log whole"]), done.returncode == 0, done)
    return done.stdout


def doctor():
    """Its exit code, and its checks."""
    done = run("provost", "doctor", "--json")
    return done.returncode, json.loads(done.stdout)


def denials(profile="provost"):
    """What AppArmor, or SELinux, refused the daemons, or one of them, since dmesg was cleared."""
    refused = rf"avc: +denied .* scontext=\S*:{profile}" if SELINUX else rf'apparmor="DENIED".* profile="{profile}'
    return [line for line in sh("dmesg").splitlines() if re.search(refused, line)]


def label_of(pid):
    """A process's, by SELinux."""
    return read(f"/proc/{pid}/attr/current").strip("\0\n")


def label_of_file(path):
    return os.getxattr(path, "security.selinux", follow_symlinks=False).decode().strip("\0")
