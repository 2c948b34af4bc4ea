"""The package, by apt from a file: what it depends on is there, what it brings runs, and nobody may do anything."""

import json
import os

from node import SELINUX, Client, holds, run, sh, show, verified

apt = run("apt-get", "install", "--yes", "-q", "/root/provost.deb", env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
holds("apt installs it from the file", apt.returncode == 0, apt)
for unit, enabled, active in (
    ("provost.service", "enabled", "active"), ("provost.socket", "enabled", "active"), ("provost-control.socket", "enabled", "active"),
    ("provost-witness.timer", "enabled", "active"), ("provost-execd.socket", "disabled", "inactive"),
    ("provost-vsock.socket", "disabled", "inactive"), ("provost-announce.path", "disabled", "inactive"),
):
    seen = (show("UnitFileState", unit), show("ActiveState", unit))
    holds(f"{unit} is {enabled} and {active}", seen == (enabled, active), seen)
if not SELINUX:
    profiles = sh("cat /sys/kernel/security/apparmor/profiles")
    holds("both AppArmor profiles are loaded, and enforced", all(f"{name} (enforce)" in profiles for name in ("provostd", "provost-execd")), profiles)
    label = sh(f"cat /proc/{show('MainPID')}/attr/apparmor/current").strip()
    holds("the daemon that apt started is in its profile", label == "provostd (enforce)", label)
holds("what is shipped has no simulated cluster in it", run("provost", "demo", "--help").returncode == 2)

client = Client().begin()
status = client.call("status")
holds("as installed root is known, and has no role", status["principal"]["user"] == "root" and status["role"] is None, status)
refused = client.call("read", path="/nodes")
holds("and reads nothing", "error" in refused, refused)
asked = run("setpriv", "--reuid=alice", "--regid=alice", "--clear-groups", "provost", "bridge")
holds("who is not in the group does not connect", asked.returncode != 0 and "Permission denied" in asked.stderr + asked.stdout, asked)
verified()
print(json.dumps({"version": sh("dpkg-query -W -f '${Version}' provost"), "landlock": status["sandbox"]["abi"]}))
