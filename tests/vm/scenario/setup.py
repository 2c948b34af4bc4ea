"""`provost setup` as the README has it: shown, then done, then nothing to do."""

import os
import re
import stat

from node import CLUSTER, CONFIG, SEALED, Client, holds, read, run, sh, unsealed

SAID = []
# The README's own line, with who says yes beside it.
WORDS = ["setup", "--profile", "provision", "--member", "user:alice", "--operator", "alice", "--containers", "101"]


def setup(*more):
    done = run("provost", *WORDS, *more)
    SAID.append(done.stdout + done.stderr)
    return done


def calls():
    """What changes something, as pveum was asked for it."""
    try:
        return [line for line in read(f"{CLUSTER}/calls").splitlines() if " list" not in line]
    except FileNotFoundError:
        return []


def shown(text):
    """The calls of pveum in what setup prints, without their quotes."""
    return [re.sub(r"['\"]", "", found) for found in re.findall(r"^\s*pveum (.*?)\s*(?:#.*)?$", text, re.M) if " list" not in found]


of_root = Client().begin().call("status")["role"]
sh(f"rm -f {CLUSTER}/calls")
before = (read(CONFIG), sh("ls -la /etc/provost"), sh("pveum user list --output-format json"))
dry = setup("--dry-run")
holds("setup --dry-run shows what it would do", dry.returncode == 0 and "user add provost-pve1@pve" in dry.stdout and "user:alice" in dry.stdout, dry)
holds("and changes nothing", (read(CONFIG), sh("ls -la /etc/provost"), sh("pveum user list --output-format json")) == before and not calls(), calls())
asked = setup()
holds("with nobody to ask it does nothing either", asked.returncode == 2 and not calls(), asked)

done = setup("--yes")
holds("setup does it", done.returncode == 0, done)
made = calls()
holds(f"{len(made)} calls of pveum, each shown before by --dry-run", made and all(
    any(call.split("--")[0].strip() in line for line in dry.stdout.splitlines()) for call in made), (made, dry.stdout))
secret = unsealed().split("=", 1)[1]
held = os.stat(SEALED)
holds("the token is a credential, which root alone can read, and which lies encrypted",
      (stat.S_IMODE(held.st_mode), held.st_uid) == (0o400, 0) and secret not in read(SEALED), held)
holds("and no file has it in the clear", not os.path.exists("/etc/provost/pve-token"), os.listdir("/etc/provost"))
holds("and is shown nowhere, nor in the journal", len(secret) > 20 and not any(secret in text for text in SAID) and
      secret not in sh("journalctl --no-pager -b") and secret not in read(CONFIG))
holds("alice is in the group", "provost" in sh("id -nG alice").split())

again = setup("--yes")
holds("setup again finds nothing to do", again.returncode == 0 and "nothing to do" in again.stdout and calls() == made, again)
holds("the configuration is one that the daemon takes", run("provostd", "--check").returncode == 0)

alice = run("setpriv", "--reuid=alice", "--regid=alice", "--init-groups", "python3", "-c",
            "import sys; sys.path.insert(0, '/usr/local/share/provost')\n"
            "from node import Client; import json\nclient = Client().begin()\n"
            "print(json.dumps([client.call('status')['role'], client.call('read', path='/nodes/pve1/lxc')['total']]))")
holds("alice has her role, and reads the cluster by the new token", alice.returncode == 0 and '"operator"' in alice.stdout, alice)
sh("systemctl enable --now provost-execd.socket")
holds("root has the role that it had, and no other", Client().begin().call("status")["role"] == of_root, of_root)
