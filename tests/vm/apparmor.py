"""Runs on the node, as root, after enter.py and sandbox.py: what AppArmor does, as the one layer that stands. Prints a line
a promise, and fails at the first that does not hold.

`trespass` has every capability here, the account that all it goes for belongs to, and nothing of provost.service but the
profile; and then not even that, so that it is seen to be the profile that closed what was closed."""

import errno
import os
import sys

import sandbox
from sandbox import ETC_PVE, holds, place, sh, trespass

CLOSED = [
    "list /root", "open /etc/shadow", "open priv", "open a key", "open the key beside storage.cfg", "open another file",
    "make a file", "write a sysctl", "write the configuration", "truncate another file", "read another process's arguments",
    "ptrace", "signal", "run a program", "mount", "make a network namespace", "enter a namespace", "load a module",
    "set the host's name", "become somebody else",
]
REFUSED = (errno.EPERM, errno.EACCES)

# All that there is. (To have a capability is no call that AppArmor sees; to use it is.)
BARE = ["[Service]", "User=provost", "AmbientCapabilities=~"]


def denials(profile):
    return [line for line in sh("dmesg").splitlines() if 'apparmor="DENIED"' in line and f'profile="{profile}' in line]


def replace_keys():
    """As PVE renews them: another file under the name."""
    for file in ("pve-www.key", "nodes/pve1/pve-ssl.key", "priv/authkey.pem"):
        new = ETC_PVE / "new"
        new.write_text("another")
        sh(f"chown provost:provost {new}")
        os.rename(new, ETC_PVE / file)


def main():
    kept = place()
    try:
        replace_keys()
        sh("dmesg -C")
        alone = trespass("none", [*BARE, "AppArmorProfile=provostd"])
        said = denials("provostd")
        open_to_all = trespass("none", BARE)
        for name in CLOSED:
            code, without = alone[name], open_to_all[name]
            holds(f"closed by AppArmor alone: {name} ({errno.errorcode.get(code, code)})",
                  code in REFUSED and without not in REFUSED, (code, without))
        for name in (name for name in alone if name.startswith("need:")):
            holds(f"left open by it: {name}", alone[name] == 0, alone[name])
        for what in ("pve-www.key", "pve-ssl.key", '"/root/"', "/etc/shadow", 'operation="ptrace"', 'operation="signal"',
                     'capname="sys_admin"', 'capname="sys_module"', 'capname="setgid"'):
            holds(f"the audit log says who refused: {what}", any(what in line for line in said), said)
    finally:
        kept[0].kill()
        sandbox.clear()
    # What is off must not be in the way: the unit starts where no profile is loaded.
    sh("apparmor_parser -R /etc/apparmor.d/provostd && systemctl start provost.socket provost-control.socket")
    sh("systemctl restart provost.service")
    holds("without its profile the daemon starts all the same", sandbox.call("status")["principal"]["uid"] == 0)
    sh("apparmor_parser -r /etc/apparmor.d/provostd && systemctl stop provost.service provost.socket provost-control.socket")


if __name__ == "__main__":
    sys.exit(main())
