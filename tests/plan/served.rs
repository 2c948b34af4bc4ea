//! The tools as a client has them, through the daemon's socket.

use provost::sim::estate::recorded;
use serde_json::{Value, json};

use crate::common::Client;
use crate::daemon::{Site, everybody};

fn call(client: &mut Client, tool: &str, arguments: Value) -> Value {
    let shown = arguments.to_string();
    let result = client.call(tool, arguments);
    assert_ne!(result["isError"], true, "{tool} {shown}: {result}");
    result["structuredContent"].clone()
}

fn error(client: &mut Client, tool: &str, arguments: Value) -> Value {
    let result = client.call(tool, arguments);
    assert_eq!(result["isError"], true, "{tool}: {result}");
    result["structuredContent"].clone()
}

fn full() -> String {
    everybody("approval = []").replace("observe", "full")
}

#[test]
fn a_change_is_planned_applied_and_taken_back_over_the_socket() {
    let site = Site::with(recorded(), &full());
    let mut client = site.client();
    let ask =
        json!({ "method": "PUT", "path": "/nodes/{node}/lxc/101/config", "args": "{\"memory\": 1024}" });
    let plan = call(&mut client, "plan", ask);
    assert_eq!(plan["effects"], json!([{ "field": "memory", "before": 768, "after": 1024 }]), "{plan:#}");
    let applied = call(&mut client, "apply", json!({ "plan_id": plan["plan_id"], "expect": "success" }));
    assert_eq!(applied["result"], "done");
    let again = error(&mut client, "apply", json!({ "plan_id": plan["plan_id"] }));
    assert_eq!(again["error"]["kind"], "already_applied");
    let memory = |site: &Site| {
        site.sim.with_estate(|estate| estate.guest(101).unwrap().get("memory").map(str::to_owned))
    };
    assert_eq!(memory(&site).as_deref(), Some("1024"));
    let back = call(&mut client, "plan", json!({ "undo": applied["receipt"] }));
    call(&mut client, "apply", json!({ "plan_id": back["plan_id"] }));
    assert_eq!(memory(&site).as_deref(), Some("768"));
    // Each call left one receipt of its own kind, and no second.
    let audit = call(&mut client, "audit", json!({ "limit": 50 }));
    let kinds: Vec<&str> =
        audit["receipts"].as_array().unwrap().iter().rev().map(|row| row["kind"].as_str().unwrap()).collect();
    let ours: Vec<&&str> = kinds.iter().filter(|kind| !["start", "session", "read"].contains(kind)).collect();
    assert_eq!(ours, [&"plan", &"intent", &"outcome", &"refusal", &"plan", &"intent", &"outcome"]);
}

#[test]
fn a_task_that_fails_is_an_error_with_what_is_known_beside() {
    let site = Site::with(recorded(), &full());
    let mut client = site.client();
    let plan = call(&mut client, "plan", json!({ "path": "start container 101" }));
    site.sim.fault_at(provost::sim::Fault::TaskFails("no space".into()), "vzstart", Some(1));
    let failed = error(&mut client, "apply", json!({ "plan_id": plan["plan_id"] }));
    assert_eq!((&failed["error"]["kind"], &failed["result"]), (&json!("failed"), &json!("failed")));
    assert!(failed["receipt"].is_u64() && failed["upid"].is_string(), "{failed:#}");
}

#[test]
fn an_observer_is_told_which_door_is_closed() {
    let site = Site::start();
    let mut client = site.client();
    let refused = error(&mut client, "plan", json!({ "method": "DELETE", "path": "/nodes/pve1/lxc/101" }));
    assert_eq!(refused["error"]["kind"], "tier_not_allowed");
    let refused = error(&mut client, "apply", json!({ "plan_id": "0".repeat(32) }));
    assert_eq!(refused["error"]["kind"], "no_such_plan");
    for wrong in [json!({}), json!({ "undo": 1, "path": "/x" }), json!({ "method": "PATCH", "path": "/x" })] {
        assert_eq!(error(&mut client, "plan", wrong)["error"]["kind"], "arguments");
    }
}
