"""A daemon that hangs in the middle of a change is killed by systemd's watchdog and started again, and finds out what became
of it."""

import glob
import os

from node import Client, begin_change, configure, holds, outcome_of, sh, show, start, until

configure('[[role]]\nname = "root"\nmembers = ["user:root"]\nprofile = "provision"\napproval = []\n')
start()
vmid = sorted(os.path.basename(path).split(".")[0] for path in glob.glob("/etc/pve/nodes/pve1/lxc/*.conf"))[0]

client = Client().begin()
hung = show("MainPID")
intent, _ = begin_change(client, "POST", f"/nodes/pve1/lxc/{vmid}/snapshot", snapname=f"hangs{os.getpid()}")
sh(f"kill -STOP {hung}")
until("the watchdog has ended the daemon that hung", lambda: show("MainPID") not in (hung, "0"), patience=240)
holds("the watchdog starts another in its place", until("it serves", lambda: show("ActiveState") == "active"))
holds("the client is hung up on, not left waiting", client.hear() is None or client.hear() is None)
outcome = until("what became of the change is found", lambda: outcome_of(intent), patience=240)
holds("the change that was under way is closed by what the node says of it", outcome["body"]["result"] in ("done", "unknown"), outcome)
holds("by the daemon that came after", outcome["start"] != intent["start"], (intent, outcome))
holds("and no intent is open", Client().begin().call("status")["ledger"]["open_intents"] == 0)
