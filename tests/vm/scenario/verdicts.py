"""The table of allowed and forbidden calls by vsock: the verdicts of the unix socket, and the same kinds of receipts.

The other doors answer it in tests/http/doors.rs, which has the same table."""

import json
import os

from node import Client, holds, ledger, until

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "verdicts.json")
# What a call leaves, and not a session or a change of its marks.
KINDS = ("read", "plan", "refusal", "exec", "intent")
ROLE = '''
[[role]]
name = "asked"
members = ["vm:{mine}", "user:root"]
profile = "provision"
guests = [{mine}]
deny = ["GET /access/users"]
exec = "inspect"
'''


def table(mine, other, door):
    with open(TABLE) as file:
        text = file.read().replace("{door}", door)
    for name, vmid in (("{mine}", mine), ("{other}", other)):
        text = text.replace(f'"{name}"', str(vmid)).replace(name, str(vmid))
    return [(*row, None)[:4] for row in json.loads(text)]


def verdict(client, tool, arguments, refused, planned):
    """Why it was refused, empty where it was not; and the kind and the decision of its receipt."""
    if planned:
        plans = len(ledger("plan"))
        arguments = {"plan_id": client.call("plan", **planned)["plan_id"]}
        until("the plan's receipt", lambda: len(ledger("plan")) > plans)
    before = len(ledger(*KINDS))
    number = client.start("tools/call", name=tool, arguments=arguments)
    while (message := client.hear()) and message.get("id") != number:
        pass
    if "error" in message:
        kind = message["error"]["data"]["kind"]
    else:
        kind = message["result"]["structuredContent"].get("error", {}).get("kind", "")
    fresh = until(f"a receipt of {tool}", lambda: ledger(*KINDS)[before:])[-1]
    return kind, fresh["kind"], fresh.get("decision")


def same_as_by_the_socket(by_vsock, mine, other):
    by_socket = Client().begin()
    for row, again in zip(table(mine, other, "socket"), table(mine, other, "vsock")):
        tool, arguments, refused, _ = row
        first, then = verdict(by_socket, *row), verdict(by_vsock, *again)
        expected = first[0] != "" if refused == "" else first[0] == (refused or "")
        holds(f"by vsock as by the socket: {tool} {json.dumps(arguments)}: {first[0] or 'done'}, {first[1]}", expected and first == then, (first, then))
