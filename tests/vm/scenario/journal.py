"""Review: each query that the documents name finds what it is for, and the journal says what the receipts say.

The commands are taken from docs/operations.md, so that a document that is changed is what is tested."""

import json
import os
import re
import shlex

from node import Client, configure, holds, read, receipts, run, sh, start, verified

HERE = os.path.dirname(os.path.abspath(__file__))
DOCUMENT = read(f"{HERE}/operations.md")


def queries():
    """Every journalctl of the document, in its blocks and in its lines."""
    blocks = re.findall(r"^[$#] (journalctl .*?)\s*(?:  #.*)?$", DOCUMENT, re.M)
    return blocks + re.findall(r"`(journalctl [^`]*?)`", DOCUMENT)


def entries(query, *more):
    found = run("sh", "-c", f"{query} -o json --no-pager " + " ".join(more))
    return [json.loads(line) for line in found.stdout.splitlines() if line.startswith("{")]


configure("")
start("provost-execd.socket")
refused = Client().begin().call("read", path="/nodes")
holds("something is refused", "error" in refused, refused)

found = queries()
holds(f"the document has {len(found)} queries", len(found) >= 3, found)
for query in found:
    fields = dict(word.split("=", 1) for word in shlex.split(query) if re.match(r"PROVOST_[A-Z]+=", word))
    if "-k" in shlex.split(query):
        refusals = entries(query)
        holds(f"{query}: nothing, as of a node as installed", not refusals, refusals)
        continue
    if query == "journalctl -x":
        continue
    seen = entries(query)
    holds(f"{query}: {len(seen)} entries, each what was asked for", fields and seen and all(
        entry.get(name, "").strip('"') == value for entry in seen for name, value in fields.items()), (fields, seen[-2:]))

intents = entries("journalctl -t provost PROVOST_KIND=intent PROVOST_PRINCIPAL=user:alice")
for entry in intents:
    number = entry["PROVOST_SEQ"].strip('"')
    shown = run("provost", "audit", "show", number)
    holds(f"receipt {number} is the entry's, with its proof", shown.returncode == 0 and "alice" in shown.stdout, shown)
recorded = {str(receipt["seq"]) for receipt in receipts("--kind", "intent", "--principal", "user:alice")}
holds("the journal has each intent of alice's that the log has", recorded == {entry["PROVOST_SEQ"].strip('"') for entry in intents} and recorded, (recorded, intents))
explained = sh("journalctl -x -t provost PROVOST_KIND=intent -n 1 --no-pager")
holds("journalctl -x explains an entry", "is about to change something" in explained, explained)

for words in (["audit", "tail", "-n", "3"], ["audit", "query", "--since", "1d"], ["plans"], ["audit", "checkpoint"]):
    done = run("provost", *words)
    holds("provost " + " ".join(words), done.returncode == 0 and (done.stdout.strip() or words == ["plans"]), done)
sh("systemctl start provost-witness.service")
verified("--journal")
report = run("provost", "audit", "report")
holds("provost audit report is a page", report.returncode == 0 and "<html" in report.stdout and "alice" in report.stdout, report.stderr)
