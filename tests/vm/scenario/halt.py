"""`provost halt` in mid-change: nothing more goes out, over a restart too; reads go on; PVE ends what it has, and that is on
record; then `provost resume`."""

from node import ROLE, Client, begin_backup, configure, doctor, holds, outcome_of, receipts, run, sh, start, until

WHY = "who backs this up?"
NOTES = {"method": "PUT", "path": "/nodes/pve1/lxc/101/config"}


def refused(answer):
    return answer.get("error", {}).get("kind")


configure(ROLE)
start("provost-execd.socket")
client = Client().begin()
planned = client.call("plan", **NOTES, args={"description": "before the halt"})
intent = begin_backup()

done = run("provost", "halt", "--why", WHY)
holds("provost halt halts", done.returncode == 0 and "halted" in done.stdout, done)
holds("the change that PVE has is not over", outcome_of(intent) is None)
holds("status says so", client.call("status")["halted"] is True)
holds("what was planned is not applied", refused(client.call("apply", plan_id=planned["plan_id"])) == "halted")
holds("no command runs", refused(client.exec(101, "true", mode="change")) == "halted")
holds("reads go on", client.call("read", path="/nodes")["total"] > 0)
check = [check for check in doctor()[1] if check["check"] == "halt"]
holds("doctor says by whom, and why", check and check[0]["state"] == "look" and "root" in check[0]["evidence"] and WHY in check[0]["evidence"], check)

sh("systemctl restart provost.service")
client = Client().begin()
holds("over a restart it stays", client.call("status")["halted"])
holds("and no command runs", refused(client.exec(101, "true")) == "halted")
holds("what was under way is found by its task, and waited for", client.call("status")["ledger"]["open_intents"] == 1)
outcome = until("the outcome of what PVE went on with", lambda: outcome_of(intent), patience=300)
holds("and its end is on record: done, with its UPID", outcome["body"]["result"] == "done" and ":vzdump:123:" in outcome["body"]["upid"], outcome)

done = run("provost", "resume")
holds("provost resume ends it", done.returncode == 0 and "go on" in done.stdout, done)
planned = client.call("plan", **NOTES, args={"description": "after the halt"})
applied = client.call("apply", plan_id=planned["plan_id"])
holds("changes go on", applied.get("result") == "done", applied)
holds("commands too", client.exec(101, "true").get("exit_code") == 0)
kinds = [receipt["body"]["halted"] for receipt in receipts("--kind", "halt", "-n", "2")]
holds("both are receipts", kinds == [False, True], kinds)
