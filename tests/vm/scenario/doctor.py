"""`provost doctor` on the node as it was set up: nothing bad, each check with its evidence."""

from node import BOOKWORM, CONFIG, doctor, floored, holds, read, run, sh, write

# What is worth a look here and would not be on a node of PVE's: bookworm's own kernel is older than any of those.
LOOKS = {"sandbox", "landlock", "kernel"} if BOOKWORM else set()

if BOOKWORM:
    inspect = [check for check in doctor()[1] if check["check"] == "inspect"]
    holds("a kernel that is too old for the inspect lane is bad, until the operator takes what it has", inspect and inspect[0]["state"] == "bad" and
          "inspect_floor" in inspect[0]["evidence"] + inspect[0]["mend"], inspect)
    write(CONFIG, floored(read(CONFIG)))
    sh("systemctl restart provost.service; systemctl try-restart provost-execd.service")
code, checks = doctor()
for check in checks:
    print(f"     {check['state']:8}{check['check']}: {check['evidence']}")
bad = [check for check in checks if check["state"] in ("bad", "look") and check["check"] not in LOOKS]
holds(f"{len(checks)} checks, and nothing to mend", code == 0 and len(checks) > 15 and not bad, bad)
holds("each has its evidence", all(check["evidence"] for check in checks), checks)
text = run("provost", "doctor")
holds("the same in words", text.returncode == 0, text)
