//! What a person has to say yes to: the task waits for it, and nothing that a client says is that yes.

use serde_json::{Value, json};

use super::{Agent, answer, message, state};
use crate::common::eventually;
use crate::web::Web;

const HELD: &str = "profile = \"provision\"\napproval = [\"change\"]";

fn plan(agent: &Agent) -> Value {
    let args = json!({ "description": "x" });
    agent.call("plan", &json!({ "method": "PUT", "path": "/nodes/pve1/qemu/104/config", "args": args }))
}

/// Whether the one who runs the test may approve for a token: root, who is nobody's.
fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

fn decide(web: &Web, verb: &str, plan: &str) {
    let said = web.provost(&[verb, "--yes", plan]);
    let said = if said.status.success() { said } else { web.provost(&[verb, plan]) };
    assert!(said.status.success(), "{verb}: {}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn a_plan_that_needs_a_yes_is_a_task_that_waits_for_it_and_says_whose() {
    let web = Web::start(HELD);
    let token = web.token(&["--as", "own", "--ttl", "1h"]);
    let agent = Agent::new(&web, &token);
    let task = plan(&agent);
    assert_eq!(state(&task), "INPUT_REQUIRED", "{task}");
    let id = answer(&task)["plan_id"].as_str().unwrap();
    let about = &task["metadata"];
    assert_eq!((&about["plan_id"], about["because"].is_array()), (&json!(id), true), "{about}");
    let said = task["status"]["message"]["parts"][0]["text"].as_str().unwrap();
    assert!(said.contains(id) && said.contains("provost approve"), "{said}");
    // No word of the client's is a yes.
    for words in ["yes", "approved", "provost approve"] {
        let mut reply = message("", &json!({}));
        (reply["parts"], reply["taskId"]) = (json!([{ "text": words }]), task["id"].clone());
        assert_eq!(state(&agent.send(&json!({ "message": reply }))), "INPUT_REQUIRED");
    }
    if !is_root() {
        return;
    }
    let heard = agent.listen("SubscribeToTask", &json!({ "id": task["id"] }));
    decide(&web, "approve", id);
    let last = heard.join().unwrap().pop().unwrap();
    assert_eq!(state(last.get("statusUpdate").unwrap_or(&last["task"])), "COMPLETED", "{last}");
    let applied = agent.call("apply", &json!({ "plan_id": id }));
    assert_eq!((state(&applied), &answer(&applied)["result"]), ("COMPLETED", &json!("done")), "{applied}");
}

#[test]
fn an_apply_waits_for_its_yes_and_then_goes_on_by_itself() {
    let web = Web::start(HELD);
    let token = web.token(&["--as", "own", "--ttl", "1h"]);
    let agent = Agent::new(&web, &token);
    let id = answer(&plan(&agent))["plan_id"].as_str().unwrap().to_owned();
    let events = agent
        .events("SendStreamingMessage", &json!({ "message": message("apply", &json!({ "plan_id": id })) }));
    let last = events.last().unwrap();
    let task = events[0]["task"]["id"].as_str().unwrap().to_owned();
    assert_eq!(state(last.get("statusUpdate").unwrap_or(&last["task"])), "INPUT_REQUIRED", "{events:?}");
    let about = agent.get(&task)["metadata"].clone();
    for name in ["plan_id", "because", "by", "expires"] {
        assert!(!about[name].is_null(), "{name}: {about}");
    }
    // Nothing has been done.
    assert!(web.receipts().iter().all(|it| it["kind"] != "intent"));
    if !is_root() {
        return;
    }
    decide(&web, "approve", &id);
    eventually("it goes on by itself", || state(&agent.get(&task)) == "COMPLETED");
    let done = agent.get(&task);
    assert_eq!(answer(&done)["result"], "done", "{done}");
    let intent = web.receipts().into_iter().find(|it| it["kind"] == "intent").expect("an intent");
    assert!(intent["why"].as_str().unwrap().contains("approved by"), "{intent}");
}

#[test]
fn a_no_ends_both_the_plans_task_and_the_applys() {
    if !is_root() {
        return;
    }
    let web = Web::start(HELD);
    let token = web.token(&["--as", "own", "--ttl", "1h"]);
    let agent = Agent::new(&web, &token);
    let planned = plan(&agent);
    let id = answer(&planned)["plan_id"].as_str().unwrap();
    let apply = agent.begin("apply", &json!({ "plan_id": id }));
    eventually("it waits", || state(&agent.get(&apply)) == "INPUT_REQUIRED");
    decide(&web, "deny", id);
    eventually("both have ended", || {
        [planned["id"].as_str().unwrap(), &apply].iter().all(|task| state(&agent.get(task)) == "REJECTED")
    });
    assert_eq!(answer(&agent.get(&apply))["error"]["kind"], "denied_by_person");
}

#[test]
fn a_plan_whose_task_is_cancelled_is_withdrawn_on_record_and_nobody_can_approve_it_any_more() {
    let web = Web::start(HELD);
    let token = web.token(&["--as", "own", "--ttl", "1h"]);
    let agent = Agent::new(&web, &token);
    let planned = plan(&agent);
    let id = answer(&planned)["plan_id"].as_str().unwrap();
    let apply = agent.begin("apply", &json!({ "plan_id": id }));
    eventually("it waits", || state(&agent.get(&apply)) == "INPUT_REQUIRED");
    // Another's token takes nothing back.
    let other = web.token(&["--as", "own", "--ttl", "1h"]);
    assert_eq!(Agent::new(&web, &other).error("CancelTask", &json!({ "id": planned["id"] })).0, -32001);
    let canceled = agent.result("CancelTask", &json!({ "id": planned["id"] }));
    assert_eq!(state(&canceled), "CANCELED", "{canceled}");
    let said = canceled["status"]["message"]["parts"][0]["text"].as_str().unwrap();
    assert!(said.contains(id) && said.contains("withdrawn"), "{said}");
    let receipt = web.receipts().into_iter().find(|it| it["kind"] == "approval").expect("a receipt");
    assert_eq!(
        (&receipt["body"]["how"], &receipt["decision"], &receipt["plan"]),
        (&json!("withdrawn"), &json!("refused"), &json!(id)),
        "{receipt}"
    );
    assert!(receipt["principal"]["token"].is_string(), "{receipt}");
    // Whoever waits for the yes is told that there is none to wait for.
    eventually("the apply has ended", || state(&agent.get(&apply)) == "FAILED");
    assert_eq!(answer(&agent.get(&apply))["error"]["kind"], "plan_withdrawn");
    let again = agent.call("apply", &json!({ "plan_id": id }));
    assert_eq!(answer(&again)["error"]["kind"], "plan_withdrawn", "{again}");
    assert!(web.receipts().iter().all(|it| it["kind"] != "intent"));
    // And a person who is late hears why.
    let late = web.provost(&["approve", "--yes", id]);
    assert!(!late.status.success());
    let said = format!("{}{}", String::from_utf8_lossy(&late.stdout), String::from_utf8_lossy(&late.stderr));
    let expected = if is_root() { "withdrawn" } else { "" };
    assert!(said.contains(expected), "{said}");
    let plans = String::from_utf8(web.provost(&["plans"]).stdout).unwrap();
    assert!(!is_root() || plans.contains("withdrawn"), "{plans}");
    assert_eq!(web.receipts().iter().filter(|it| it["kind"] == "approval").count(), 1);
}

#[test]
fn a_task_that_is_cancelled_while_it_waits_does_nothing_once_the_yes_comes() {
    if !is_root() {
        return;
    }
    let web = Web::start(HELD);
    let token = web.token(&["--as", "own", "--ttl", "1h"]);
    let agent = Agent::new(&web, &token);
    let id = answer(&plan(&agent))["plan_id"].as_str().unwrap().to_owned();
    let apply = agent.call("apply", &json!({ "plan_id": id }));
    assert_eq!(state(&apply), "INPUT_REQUIRED");
    let canceled = agent.result("CancelTask", &json!({ "id": apply["id"] }));
    assert_eq!(state(&canceled), "CANCELED");
    decide(&web, "approve", &id);
    // Another that asks is let through by that yes: so it had come, and the first had not taken it.
    let other = agent.call("apply", &json!({ "plan_id": id }));
    assert_eq!(answer(&other)["result"], "done", "{other}");
    assert_eq!(state(&agent.get(apply["id"].as_str().unwrap())), "CANCELED");
    assert_eq!(web.receipts().iter().filter(|it| it["kind"] == "intent").count(), 1);
}
