"""The HTTP door as docs/http.md has it: systemd opens it, a token is given out and taken back, and what comes in by it is held to
the same role, plan and receipt. Then on loopback; any other address stays shut."""

import http.client
import json
import os
import re
import socket

from node import SELINUX, configure, doctor, drop_in, holds, read, receipts, role, run, sh, start, stop, verified

HERE = os.path.dirname(os.path.abspath(__file__))
PATH, PORT = "/run/provost/http.sock", 7180
ASSISTANTS = "/run/provost/mcp.sock"
ENABLE, ISSUE = re.search(r"^# (systemctl enable .*?) +# with.*\n# TOKEN=\$\((.*)\)$", read(f"{HERE}/http.md"), re.M).groups()
LEND = re.search(r"`(systemctl stop provost-http.socket .*?)`", read(f"{HERE}/http.md")).group(1)
# As the README beside SELinux's module has it.
SWITCH = "setsebool -P provost_serve_loopback on"
ROLE = role("provision").replace('name = "root"', 'name = "operator"') + 'approval = ["reversible", "change"]\n'


class Door(http.client.HTTPConnection):
    """The unix path, or where `at` says."""

    def __init__(self, at=None):
        super().__init__("localhost", PORT, timeout=180)
        self.at = at

    def connect(self):
        if self.at:
            self.sock = socket.create_connection(self.at, timeout=180)
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(180)
            self.sock.connect(PATH)


def ask(path, body=None, token=None, at=None):
    """The status, and what came: JSON where it is that."""
    door = Door(at)
    headers = {"Content-Type": "application/json", "A2A-Version": "1.0", **({"Authorization": f"Bearer {token}"} if token else {})}
    door.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body), headers)
    answer = door.getresponse()
    text = answer.read().decode()
    return answer.status, json.loads(text) if answer.headers.get_content_type() == "application/json" else text


def tool(token, name, **arguments):
    return ask(f"/v1/tools/{name}", arguments, token)


def issue():
    done = run(*ISSUE.split(), check=True)
    return done.stdout.strip()


def number_of(token):
    listed = json.loads(sh("provost token list --json"))["tokens"]
    holds("the one token is listed, and not what it is", len(listed) == 1 and token not in json.dumps(listed), listed)
    return listed[0]["id"]


def a_token():
    token = issue()
    status, answer = tool(token, "read", path="/version")
    holds("a tool answers who has a token", status == 200 and answer["data"]["version"], answer)
    status, answer = tool(None, "read", path="/version")
    holds("and nobody else", status == 401 and answer["error"]["kind"], answer)
    status, answer = tool(token, "exec", guest=101, argv=["cat", "/proc/self/attr/current"])
    holds("a command runs in the container, by provost-execd", status == 200 and answer["exit_code"] == 0, answer)
    return token


def a_change(token):
    status, plan = tool(token, "plan", method="PUT", path="/nodes/pve1/lxc/101/config", args={"description": "by http"})
    holds("a change is planned, and waits for a person", status == 200 and plan["needs"] != "nothing", plan)
    status, answer = tool(token, "apply", plan_id=plan["plan_id"])
    holds("without whom it is not done", status == 403 and answer["error"]["kind"] == "needs_approval", answer)
    holds("a person approves it on the node", run("provost", "approve", "--yes", plan["plan_id"]).returncode == 0)
    status, answer = tool(token, "apply", plan_id=plan["plan_id"])
    holds("and it is done", status == 200, answer)


def an_agent(token):
    card = ask("/.well-known/agent-card.json")[1]
    holds("another agent finds the card, signed", card.get("signatures"), card)
    message = {"messageId": "1", "role": "ROLE_USER", "parts": [{"data": {"tool": "read", "arguments": {"path": "/version"}}}]}
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}
    status, answer = ask("/a2a", body, token)
    holds("and gets its answer as a task", status == 200 and answer["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED", answer)


def watched():
    """Without a token, as a monitor asks."""
    status, health = ask("/health")
    holds("it is ready: PVE, the ledger and provost-execd are there", status == 200, health)
    status, metrics = ask("/metrics")
    counted = re.findall(r'^provost_calls_total\{.*tool="(\w+)"', metrics, re.M)
    holds("and has counted the calls", status == 200 and {"read", "exec", "apply"} <= set(counted) and "\n# TYPE provost_calls_total counter\n" in metrics, metrics)


def taken_back(token):
    number = number_of(token)
    mine = receipts("--principal", f"token:{number}")
    holds("its receipts name it", {"read", "plan", "intent", "exec"} <= {receipt["kind"] for receipt in mine}, mine[:2])
    holds("it is taken back", run("provost", "token", "revoke", number).returncode == 0)
    holds("and opens nothing from then on", tool(token, "status")[0] == 401)
    start("provost-http.socket", "provost-execd.socket")
    holds("nor after a restart", tool(token, "status")[0] == 401)
    journal = sh("journalctl --no-pager -b")
    holds("no token is in the journal, whole or in part", token not in journal and token.split(".")[2] not in journal)


def a_proxy():
    """A reverse proxy's account reaches this door as the document has it, and not the one that asks for no token."""
    reaches = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"

    def proxy(path):
        return run("setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups", "python3", "-c", reaches, path)

    holds("a reverse proxy's account has no door", proxy(PATH).returncode and proxy(ASSISTANTS).returncode)
    with drop_in("provost-http.socket", "SocketGroup=www-data", "Socket"):
        sh(LEND)
        reached = proxy(PATH)
        holds("until the socket is its group's", reached.returncode == 0, reached)
        holds("and then that one alone", proxy(ASSISTANTS).returncode and ask("/health")[0] == 200)
    sh(LEND)


def on_loopback():
    address = f"127.0.0.1:{PORT}"
    configure(f'[listen]\nhttp = "{address}"\n' + ROLE)
    with drop_in("provost-http.socket", f"ListenStream=\nListenStream={address}", "Socket"):
        if SELINUX:
            sh("systemctl start provost-http.socket", check=False)
            mends = [check["mend"] for check in doctor()[1] if check["check"] == "http"]
            holds("until it is let have a port, it has none, and doctor says how", mends and SWITCH in mends[0], mends)
            sh(f"{SWITCH.replace(' -P', '')}; dmesg -C")
        start("provost-http.socket", "provost-execd.socket")
        status, answer = ask("/health", at=("127.0.0.1", PORT))
        holds("it is served on loopback by a drop-in of the socket's", status == 200, answer)
    stop()
    if SELINUX:
        sh(SWITCH.replace(" -P", "").replace(" on", " off"))
    configure(f'[listen]\nhttp = "0.0.0.0:{PORT}"\n' + ROLE)
    said = [check for check in doctor()[1] if check["state"] == "bad" and "0.0.0.0" in json.dumps(check)]
    holds("another address is refused, and doctor says why", said and "loopback" in json.dumps(said), said)


def main():
    configure(f'[listen]\nhttp = "{PATH}"\n' + ROLE)
    start("provost-execd.socket")
    sh(ENABLE)
    try:
        token = a_token()
        a_change(token)
        an_agent(token)
        watched()
        taken_back(token)
        a_proxy()
        checks = [check for check in doctor()[1] if check["check"].startswith("http")]
        holds("doctor finds the door as it should be", checks and all(check["state"] == "good" for check in checks), checks)
    finally:
        sh("systemctl disable --now provost-http.socket")
    on_loopback()
    configure("")
    verified()
    start("provost-execd.socket")


if __name__ == "__main__":
    main()
