"""A daemon that hangs in the middle of a change is killed by systemd's watchdog and started again, and finds out what became
of it."""

import glob
import json
import os

from node import CLUSTER, Client, configure, holds, receipts, restart, sh, until

configure('[[role]]\nname = "root"\nmembers = ["user:root"]\nprofile = "full"\napproval = []\n')
restart()
vmid = sorted(os.path.basename(path).split(".")[0] for path in glob.glob(f"{CLUSTER}/etc-pve/nodes/pve1/lxc/*.conf"))[0]


def show(what):
    return sh(f"systemctl show -P {what} provost.service").strip()


client = Client().begin()
plan = client.call("plan", method="POST", path=f"/nodes/pve1/lxc/{vmid}/snapshot", args={"snapname": f"hangs{os.getpid()}"})
hung = show("MainPID")


def intents():
    """By the log itself, as it grows: a program that reads it takes longer to start here than the change does."""
    lines = (line for path in sorted(glob.glob("/var/lib/provost/ledger/entries-*.jsonl")) for line in open(path))
    return [receipt for receipt in map(json.loads, lines) if receipt["kind"] == "intent"]


before = len(intents())
client.begin_call("apply", plan_id=plan["plan_id"])
until("the intent is on the disk", lambda: len(intents()) > before)
sh(f"kill -STOP {hung}")
intent = intents()[-1]
until("the watchdog has ended the daemon that hung", lambda: show("MainPID") not in (hung, "0"), patience=180)
holds("the watchdog starts another in its place", until("it serves", lambda: show("ActiveState") == "active"))
holds("the client is hung up on, not left waiting", client.hear() is None or client.hear() is None)
outcome = until("what became of the change is found", lambda: [
    receipt for receipt in receipts("--kind", "outcome") if receipt["body"]["of"] == intent["seq"]])
holds("the change that was under way is closed by what the node says of it", outcome[0]["body"]["result"] in ("done", "unknown"), outcome)
holds("by the daemon that came after", outcome[0]["start"] != intent["start"], outcome)
holds("and no intent is open", Client().begin().call("status")["ledger"]["open_intents"] == 0)
