//! The same verdict by every door, and the same kind of receipt.

use provost::sim::estate::guest::Run;
use provost::sim::estate::recorded;
use provost::sim::machine::Machine;
use serde_json::{Value, json};

use crate::a2a::{Agent, answer};
use crate::common::{Client, eventually};
use crate::web::{Web, roles};

/// What is asked and why it is refused, about a VM that the role has and one that it has not; the booted node asks the same by
/// vsock (tests/vm/scenario/verdicts.py). Where there is a fourth, that is planned first, by the same door: `{plan}` is its number.
const TABLE: &str = include_str!("verdicts.json");

/// The same for a role that may change what is in a VM, whose agent answers.
const ACTS: &str = include_str!("acts.json");

/// A tool and its arguments, and why it is refused; null: it is done; empty: refused somehow.
type Row = (String, Value, Option<String>, Option<Value>);

fn table(table: &str, door: &str, dir: &str) -> Vec<Row> {
    let mut table = table.replace("{door}", door).replace("{dir}", dir);
    for (name, vmid) in [("{mine}", "104"), ("{other}", "105")] {
        table = table.replace(&format!("\"{name}\""), vmid).replace(name, vmid);
    }
    let rows: Vec<Vec<Value>> = serde_json::from_str(&table).expect("the table");
    rows.into_iter()
        .map(|mut row| {
            row.resize(4, Value::Null);
            let [tool, arguments, refused, planned] = row.try_into().expect("a row");
            let text = |value: Value| value.as_str().map(str::to_owned);
            (text(tool).expect("a tool"), arguments, text(refused), Some(planned).filter(Value::is_object))
        })
        .collect()
}

const ROLE: &str =
    "profile = \"provision\"\nguests = [\"100-104\"]\ndeny = [\"GET /access/users\"]\nexec = \"inspect\"";
const ACTING: &str =
    "profile = \"provision\"\nguests = [\"100-104\"]\napproval = [\"disruptive\"]\nexec = \"change\"";

const DOORS: [&str; 6] = ["unix", "http", "modern", "openapi", "a2a", "a2a of 0.3"];

#[derive(Debug, PartialEq)]
struct Verdict {
    /// Empty: done.
    kind: String,
    /// What each of its receipts says, but for who asked.
    receipts: Vec<Value>,
}

/// What each receipt of a call says that is fresh: what was asked of what, what was decided, and what came of it.
fn receipts(web: &Web, door: &str, before: usize) -> Vec<Value> {
    let kinds = ["read", "plan", "refusal", "exec", "file", "intent", "outcome"];
    let mut fresh = Vec::new();
    eventually(&format!("a receipt by {door}"), || {
        fresh = web.receipts().split_off(before);
        fresh.retain(|it| kinds.contains(&it["kind"].as_str().unwrap_or_default()));
        // An intent is followed by what became of it.
        fresh.last().is_some_and(|last| last["kind"] != "intent")
    });
    let told = |receipt: &Value| {
        let who = &receipt["principal"];
        let by_token = (who["token"].is_string(), who["uid"].is_u64(), &who["role"]);
        assert_eq!(by_token, (door != "unix", door == "unix", &json!("own")), "by {door}: {receipt}");
        let body = &receipt["body"];
        json!({
            "kind": receipt["kind"], "tool": receipt["tool"], "decision": receipt["decision"], "guest": receipt["guest"],
            "endpoint": receipt["endpoint"], "act": body["act"], "code": body["code"], "result": body["result"],
            "exit_code": body["exit_code"],
        })
    };
    fresh.iter().map(told).collect()
}

/// A task that did not do what was asked has the error for its artifact; one that waits for a person's yes has not ended.
fn of_task(task: &Value) -> (String, Value) {
    let content = answer(task).clone();
    let mut kind = content["error"]["kind"].as_str().unwrap_or_default().to_owned();
    let state = task["status"]["state"].as_str().unwrap();
    if ["TASK_STATE_INPUT_REQUIRED", "input-required"].contains(&state) {
        // Of a plan it is the answer that it waits; of an apply, why nothing was done.
        if content["plan_id"].is_null() {
            kind = "needs_approval".to_owned();
        }
    } else {
        let done = ["TASK_STATE_COMPLETED", "completed"].contains(&state);
        assert_eq!(done, kind.is_empty(), "{task}");
    }
    (kind, content)
}

fn of_message(message: &Value) -> (String, Value) {
    let content = message["result"]["structuredContent"].clone();
    let kind = match message.get("error") {
        Some(error) => error["data"]["kind"].as_str().unwrap_or("protocol"),
        None => content["error"]["kind"].as_str().unwrap_or_default(),
    };
    (kind.to_owned(), content)
}

/// One who asks by every door.
struct Asker<'a> {
    web: &'a Web,
    token: String,
    session: String,
    client: Client,
    asked: u64,
}

impl<'a> Asker<'a> {
    fn new(web: &'a Web) -> Self {
        let token = web.token(&["--as", "own", "--ttl", "1h"]);
        Self { web, session: web.session(&token), client: web.site.client(), token, asked: 10 }
    }

    /// Why it was refused, and the answer.
    fn ask(&mut self, door: &str, tool: &str, arguments: &Value) -> (String, Value) {
        let (web, token) = (self.web, &self.token);
        let params = json!({ "name": tool, "arguments": arguments });
        self.asked += 1;
        match door {
            "unix" => of_message(&self.client.request("tools/call", params)),
            "http" => {
                let message =
                    json!({ "jsonrpc": "2.0", "id": self.asked, "method": "tools/call", "params": params });
                of_message(&web.mcp(token, Some(&self.session), &message).message())
            }
            "modern" => of_message(&modern(web, token, &params)),
            "a2a" => of_task(&Agent::new(web, token).call(tool, arguments)),
            "a2a of 0.3" => of_task(&Agent::old(web, token).call(tool, arguments)),
            _ => {
                let answer = web.tool(token, tool, arguments);
                let kind = answer.json()["error"]["kind"].as_str().unwrap_or_default().to_owned();
                assert_eq!(answer.status == 200, kind.is_empty(), "{tool}: {}", answer.body);
                (kind, answer.json())
            }
        }
    }

    fn verdict(&mut self, door: &str, (tool, arguments, _, planned): &Row) -> Verdict {
        let mut arguments = arguments.clone();
        if let Some(planned) = planned {
            let before = self.web.receipts().len();
            let (kind, plan) = self.ask(door, "plan", planned);
            assert_eq!(kind, "", "{planned} by {door}: {plan}");
            receipts(self.web, door, before);
            arguments["plan_id"] = plan["plan_id"].clone();
        }
        let before = self.web.receipts().len();
        let (kind, _) = self.ask(door, tool, &arguments);
        Verdict { kind, receipts: receipts(self.web, door, before) }
    }
}

/// Every row by every door: the verdict that the table says, and the same receipts.
fn all_alike(web: &Web, rows: &str) {
    let dir = web.site.dir.path().display().to_string();
    let tables = DOORS.map(|door| table(rows, &door.replace([' ', '.'], "-"), &dir));
    let mut asker = Asker::new(web);
    for at in 0..tables[0].len() {
        let verdicts: Vec<(&str, Verdict)> = DOORS
            .into_iter()
            .zip(&tables)
            .map(|(door, rows)| (door, asker.verdict(door, &rows[at])))
            .collect();
        let ((_, first), (tool, arguments, refused, _)) = (&verdicts[0], &tables[0][at]);
        match refused.as_deref() {
            None => assert_eq!(first.kind, "", "{tool} {arguments}"),
            Some("") => assert_ne!(first.kind, "", "{tool} {arguments}"),
            Some(kind) => assert_eq!(first.kind, kind, "{tool} {arguments}"),
        }
        for (door, verdict) in &verdicts[1..] {
            assert_eq!(verdict, first, "{tool} {arguments} by {door}");
        }
    }
}

#[test]
fn a_call_gets_the_same_verdict_and_kind_of_receipt_over_the_socket_http_openapi_and_a2a() {
    all_alike(&Web::start(ROLE), TABLE);
}

#[test]
fn what_changes_something_gets_the_same_verdict_and_receipts_by_every_door_too() {
    // The VM's commands and files are this machine's.
    let mut estate = recorded();
    let guest = estate.guest_mut(104).expect("the VM");
    guest.config.insert("agent".to_owned(), "1".to_owned());
    guest.run = Run::Running { since: 1, pid: 1 };
    estate.machines.insert(104, Machine::bound());
    let web = Web::of(estate, &format!("[exec]\nenabled = true\n{}", roles(ACTING)));
    all_alike(&web, ACTS);
    // It was done, by each of them.
    let mut put: Vec<String> = std::fs::read_dir(web.site.dir.path())
        .unwrap()
        .filter_map(|file| {
            file.ok()?.file_name().into_string().ok()?.strip_prefix("put-by-").map(str::to_owned)
        })
        .collect();
    put.sort();
    assert_eq!(put, ["a2a", "a2a-of-0-3", "http", "modern", "openapi", "unix"]);
}

/// By the revision that has no handshake and no session.
fn modern(web: &Web, token: &str, params: &Value) -> Value {
    let mut params = params.clone();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let name = params["name"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", name.as_str()),
    ];
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    web.ask("POST", "/mcp", &headers, &message.to_string()).message()
}

#[test]
fn what_a_person_has_to_approve_waits_by_http_too_and_whom_the_token_acts_as_cannot_approve_it() {
    let web = Web::start("profile = \"full\"");
    let token = web.token(&["--as", "own"]);
    let wish = json!({ "method": "DELETE", "path": "/nodes/pve1/qemu/104", "args": {} });
    let plan = web.tool(&token, "plan", &wish);
    if plan.status != 200 {
        // Whatever else is in the way of it, it is not done.
        assert!(!plan.kind().is_empty(), "{}", plan.body);
        return;
    }
    let id = plan.json()["plan_id"].as_str().unwrap().to_owned();
    let held = web.tool(&token, "apply", &json!({ "plan_id": id }));
    assert_eq!((held.status, held.kind()), (403, "needs_approval".into()), "{}", held.body);
    let yes = web.provost(&["approve", "--yes", &id]);
    if nix::unistd::Uid::effective().is_root() {
        // Root is nobody's token: it hands one to somebody else.
        assert!(yes.status.success(), "{}", String::from_utf8_lossy(&yes.stderr));
        let applied = web.tool(&token, "apply", &json!({ "plan_id": id }));
        assert_eq!(applied.status, 200, "{}", applied.body);
    } else {
        assert_eq!(yes.status.code(), Some(1));
    }
}

#[test]
fn what_one_request_read_of_a_guest_marks_the_tokens_next() {
    let mut web = Web::start("profile = \"full\"");
    let token = web.token(&["--as", "own"]);
    let tainted = |web: &Web| web.tool(&token, "status", &json!({})).json()["tainted"].clone();
    assert_eq!(tainted(&web), json!(false));
    let read = web.tool(&token, "read", &json!({ "path": "/cluster/log" }));
    assert_eq!(read.status, 200, "{}", read.body);
    let marked = tainted(&web);
    let over_mcp = web.session(&token);
    let status = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": { "name": "status", "arguments": {} } });
    let seen =
        web.mcp(&token, Some(&over_mcp), &status).message()["result"]["structuredContent"]["tainted"].clone();
    assert_eq!(seen, marked, "one token, one history");
    assert_eq!(marked, json!(true));
    let kept = web.site.dir.path().join("tokens/tokens.json");
    eventually("it is on the disk", || std::fs::read_to_string(&kept).unwrap().contains("\"tainted\":true"));
    web.restart();
    assert_eq!(tainted(&web), json!(true), "and a restart takes it off no token");
}
