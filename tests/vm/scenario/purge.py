"""The package goes: removed it keeps what is the operator's, installed again it goes on with that, purged it leaves nothing but
what belongs to the machine and to the cluster."""

import glob
import os

from node import CONFIG, LEDGER, SEALED, Client, configure, holds, read, run, sh, show, start, verified

# What setup tells systemd.
TOLD = "/etc/systemd/system/provost.service.d/provost-setup.conf"
UNITS = ("provost.service", "provost.socket", "provost-control.socket", "provost-execd.socket", "provost-execd.service", "provost-witness.timer")


def apt(*words):
    done = run("apt-get", *words, "--yes", "-q", env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    holds("apt-get " + " ".join(words), done.returncode == 0, done)


def entries():
    return sum(1 for path in glob.glob(f"{LEDGER}/entries-*.jsonl") for _ in open(path))


def gone(after):
    for unit in UNITS:
        holds(f"after {after} {unit} does not run", show("ActiveState", unit) in ("inactive", ""), show("ActiveState", unit))
    holds(f"after {after} nothing of it runs, and nothing has failed", not sh("pgrep -x 'provostd|provost-execd'", check=False) and
          not sh("systemctl list-units --failed --no-legend 'provost*'"))


configure('[[role]]\nname = "root"\nmembers = ["user:root"]\nprofile = "observe"\n')
start("provost-execd.socket")
holds("a head is kept by the cluster", not run("systemctl", "start", "provost-witness.service").returncode and
      glob.glob("/etc/pve/provost/witness/pve1/*"), sh("ls -R /etc/pve/provost", check=False))
kept, key, count = (read(CONFIG), read(SEALED)), read(f"{LEDGER}/ledger.pub"), entries()

apt("remove", "provost")
gone("removal")
holds("the receipts, the configuration and the token are there", (read(CONFIG), read(SEALED)) == kept and
      read(f"{LEDGER}/ledger.pub") == key and entries() >= count)

apt("install", "/root/provost.deb")
holds("installed again it serves, as it was configured", Client().begin().call("status")["role"] == "root")
holds("and its ledger goes on", read(f"{LEDGER}/ledger.pub") == key and entries() > count)
verified()

done = run("provost", "uninstall", "--yes")
users = sh("pveum user list --output-format json")
holds("provost uninstall takes its user, its roles and its token back from PVE", done.returncode == 0 and "provost-pve1@pve" not in users and
      "Provost" not in sh("pveum role list --output-format json") and not os.path.exists(SEALED), (done, users))

# Set up once more, and not taken back before the purge.
done = run("provost", "setup", "--yes", "--role", "root", "--own-token")
holds("set up with credentials, which the unit is told of", done.returncode == 0 and os.path.exists(SEALED) and os.path.exists(TOLD), done)
sh("echo mine | systemd-creds encrypt --name=mine - /etc/credstore.encrypted/mine")

apt("purge", "provost")
gone("the purge")
left = [path for path in (
    "/etc/provost", "/var/lib/provost", "/var/lib/provost-announce", "/var/lib/provost-witness", "/run/provost", "/etc/apparmor.d/provostd",
    "/etc/apparmor.d/provost-execd", "/usr/lib/systemd/system/provost.service", *glob.glob("/etc/systemd/system/*.wants/provost*.socket"),
    "/etc/systemd/system/provost.service.d", SEALED, f"{SEALED}-root", "/usr/lib/sysusers.d/provost.conf") if os.path.lexists(path)]
holds("nothing of it is left", not left, left)
holds("but what somebody else sealed", os.path.exists("/etc/credstore.encrypted/mine"))
holds("and the account, whose number the next one would get", sh("getent passwd provost") and sh("getent group provost-approvers"))
heads = glob.glob("/etc/pve/provost/witness/*")
holds("and the heads that the cluster keeps, moved aside", [head for head in heads if "/pve1.purged-" in head] and
      "/etc/pve/provost/witness/pve1" not in heads, heads)
holds("and PVE, which never noticed", sh("pveum user list --output-format json"))
