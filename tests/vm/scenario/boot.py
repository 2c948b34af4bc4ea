"""Both sides of the power cut of ./reboot: before it, and on the node that has booted again."""

import json
import sys

from node import CONFIG, LEDGER, ROLE, Client, begin_backup, configure, doctor, holds, ledger, outcome_of, read, sh, show, start, until, verified, write

KEPT = "/root/before.json"


def before():
    configure(ROLE)
    start("provost-execd.socket")
    intent = begin_backup()
    # What the configuration says is the operator's, who has saved it; the receipts have to be there by themselves.
    write(KEPT, json.dumps({"intent": intent, "boot": read("/proc/sys/kernel/random/boot_id"), "key": read(f"{LEDGER}/ledger.pub")}))
    sh(f"sync -f {KEPT}; sync {CONFIG}")
    holds("the change is under way as the power goes out", outcome_of(intent) is None)


def after():
    kept = json.loads(read(KEPT))
    intent = kept["intent"]
    holds("the node has booted again", read("/proc/sys/kernel/random/boot_id") != kept["boot"])
    for unit in ("provost.socket", "provost-control.socket", "provost-execd.socket", "provost.service", "provost-witness.timer"):
        holds(f"{unit} came with the boot", until(f"{unit} is active", lambda: show("ActiveState", unit) == "active"))
    holds("the intent is in the log, which goes on", intent in ledger("intent") and read(f"{LEDGER}/ledger.pub") == kept["key"])
    outcome = until("what became of the change", lambda: outcome_of(intent), patience=300)
    holds("the daemon closes the open intent by what is true: its task was cut off", outcome["body"]["result"] == "failed" and
          ":vzdump:123:" in outcome["body"]["upid"] and "unexpected status" in outcome["why"], outcome)
    said = sh(f"journalctl -t provost -b --no-pager -o json PROVOST_KIND=outcome PROVOST_SEQ={outcome['seq']}")
    holds("and says so in the journal", len(said.splitlines()) == 1, said)
    holds("no intent is open", Client().begin().call("status")["ledger"]["open_intents"] == 0)
    verified()
    sh("systemctl start provost-witness.service")
    verified("--journal")
    code, checks = doctor()
    holds("doctor finds nothing bad", code == 0, [check for check in checks if check["state"] == "bad"])
    holds("a command runs in a container that came with the boot", Client().begin().exec(101, "true").get("exit_code") == 0)


{"before": before, "after": after}[sys.argv[1]]()
