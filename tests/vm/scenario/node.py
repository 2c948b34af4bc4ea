"""What every piece of the scenario that runs on the node uses."""

import json
import socket
import subprocess
import sys
import time

CONFIG = "/etc/provost/provost.toml"
CLUSTER = "/var/lib/provost-sim"


def sh(command, check=True):
    return subprocess.run(command, shell=True, check=check, stdout=subprocess.PIPE, text=True).stdout


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


def configure(text):
    """The configuration with this beside what every piece of the scenario has."""
    with open(f"{CLUSTER}/pve.toml") as pve, open(CONFIG, "w") as config:
        config.write(pve.read() + text)


def restart():
    sh("systemctl daemon-reload; systemctl stop provost.service 2>/dev/null; systemctl start provost.socket provost-control.socket provost.service")


class Client:
    """A client over a unix socket, by hand: what libraries make of it is the SDKs' part."""

    def __init__(self, path="/run/provost/mcp.sock"):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(120)
        self.socket.connect(path)
        self.lines = self.socket.makefile("rb")
        self.last = 0

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
        while (message := self.hear()) and message.get("id") != number:
            pass
        return message and message["result"]

    def request(self, method, **params):
        return self.answer(self.start(method, **params))

    def call(self, tool, **arguments):
        return self.request("tools/call", name=tool, arguments=arguments)["structuredContent"]

    def begin_call(self, tool, **arguments):
        return self.start("tools/call", name=tool, arguments=arguments)


def receipts(*filters):
    """The receipts that `provost audit query` finds, the latest first."""
    found = subprocess.run(["provost", "audit", "query", "--json", *filters], check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in found.stdout.splitlines()]
