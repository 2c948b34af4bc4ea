//! The same verdict by every door, and the same kind of receipt.

use serde_json::{Value, json};

use crate::a2a::{Agent, answer};
use crate::common::eventually;
use crate::web::Web;

/// What is asked and why it is refused, about a VM that the role has and one that it has not; the booted node asks the same by
/// vsock (tests/vm/scenario/verdicts.py).
const TABLE: &str = include_str!("verdicts.json");

/// A tool and its arguments, and why it is refused; null: it is done; empty: refused somehow.
fn table() -> Vec<(String, Value, Option<String>)> {
    let mut table = TABLE.to_owned();
    for (name, vmid) in [("{mine}", "104"), ("{other}", "105")] {
        table = table.replace(&format!("\"{name}\""), vmid).replace(name, vmid);
    }
    serde_json::from_str(&table).expect("the table")
}

const ROLE: &str =
    "profile = \"provision\"\nguests = [\"100-104\"]\ndeny = [\"GET /access/users\"]\nexec = \"inspect\"";

#[derive(Debug, PartialEq)]
struct Verdict {
    /// Empty: done.
    kind: String,
    /// Kind and decision of the receipt.
    receipt: (Value, Value),
}

/// What the last receipt is of a call of this tool.
fn receipt(web: &Web, tool: &str, before: usize) -> (Value, Value) {
    let mut found = (Value::Null, Value::Null);
    let kinds = ["read", "plan", "refusal", "exec", "intent"];
    eventually(&format!("a receipt of {tool}"), || {
        let receipts = web.receipts();
        let mut fresh = receipts.iter().skip(before);
        let of_call = |it: &&Value| kinds.contains(&it["kind"].as_str().unwrap_or_default());
        let last = fresh.rfind(of_call);
        if let Some(last) = last {
            found = (last["kind"].clone(), last["decision"].clone());
        }
        last.is_some()
    });
    found
}

/// A task that did not do what was asked has the error for its artifact.
fn of_task(task: &Value) -> String {
    let kind = answer(task)["error"]["kind"].as_str().unwrap_or_default().to_owned();
    let state = task["status"]["state"].as_str().unwrap();
    let done = ["TASK_STATE_COMPLETED", "completed"].contains(&state);
    assert_eq!(done, kind.is_empty(), "{task}");
    kind
}

#[test]
fn a_call_gets_the_same_verdict_and_kind_of_receipt_over_the_socket_http_openapi_and_a2a() {
    let web = Web::start(ROLE);
    let token = web.token(&["--as", "own", "--ttl", "1h"]);
    let session = web.session(&token);
    let mut client = web.site.client();
    for (at, (tool, arguments, refused)) in table().into_iter().enumerate() {
        let mut verdicts: Vec<(&str, Verdict)> = Vec::new();
        let tool = tool.as_str();
        let params = json!({ "name": tool, "arguments": arguments });
        let of_message = |message: &Value| -> String {
            match message.get("error") {
                Some(error) => error["data"]["kind"].as_str().unwrap_or("protocol").to_owned(),
                None => message["result"]["structuredContent"]["error"]["kind"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            }
        };
        for door in ["unix", "http", "modern", "openapi", "a2a", "a2a of 0.3"] {
            let before = web.receipts().len();
            let kind = match door {
                "unix" => of_message(&client.request("tools/call", params.clone())),
                "http" => {
                    let message =
                        json!({ "jsonrpc": "2.0", "id": 10 + at, "method": "tools/call", "params": params });
                    of_message(&web.mcp(&token, Some(&session), &message).message())
                }
                "modern" => of_message(&modern(&web, &token, &params)),
                "a2a" => of_task(&Agent::new(&web, &token).call(tool, &arguments)),
                "a2a of 0.3" => of_task(&Agent::old(&web, &token).call(tool, &arguments)),
                _ => {
                    let answer = web.tool(&token, tool, &arguments);
                    let kind = answer.json()["error"]["kind"].as_str().unwrap_or_default().to_owned();
                    assert_eq!(
                        answer.status == 200,
                        kind.is_empty(),
                        "{tool}: {} {}",
                        answer.status,
                        answer.body
                    );
                    kind
                }
            };
            verdicts.push((door, Verdict { kind, receipt: receipt(&web, tool, before) }));
        }
        let (_, first) = &verdicts[0];
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
