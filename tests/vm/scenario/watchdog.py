"""A daemon that hangs in the middle of a change is killed by systemd's watchdog and started again, and finds out what became
of it; and a reboot in the place of the watchdog comes to the same."""

import glob
import os

from node import CLUSTER, Client, configure, holds, receipts, restart, sh, until

configure('[[role]]\nname = "root"\nmembers = ["user:root"]\nprofile = "full"\napproval = []\n')
restart()
vmid = sorted(os.path.basename(path).split(".")[0] for path in glob.glob(f"{CLUSTER}/etc-pve/nodes/pve1/lxc/*.conf"))[0]


def show(what):
    return sh(f"systemctl show -P {what} provost.service").strip()


client = Client().begin()
plan = client.call("plan", method="POST", path=f"/nodes/pve1/lxc/{vmid}/snapshot", args={"snapname": "hangs"})
before = {receipt["seq"] for receipt in receipts("--kind", "intent")}
client.begin_call("apply", plan_id=plan["plan_id"])
until("the intent is on the disk", lambda: {receipt["seq"] for receipt in receipts("--kind", "intent")} - before)
intent = max(receipt["seq"] for receipt in receipts("--kind", "intent"))
hung = show("MainPID")
sh(f"kill -STOP {hung}")
until("the watchdog has ended the daemon that hung", lambda: show("MainPID") not in (hung, "0"), patience=180)
holds("the watchdog starts another in its place", until("it serves", lambda: show("ActiveState") == "active"))
holds("the client is hung up on, not left waiting", client.hear() is None or client.hear() is None)
outcome = until("what became of the change is found", lambda: [
    receipt for receipt in receipts("--kind", "outcome") if receipt["body"].get("intent") == intent])
holds("the change that was under way is closed by what the node says of it", outcome[0]["body"]["result"] in ("done", "unknown"), outcome)
holds("and no intent is open", Client().begin().call("status")["ledger"]["open_intents"] == 0)
