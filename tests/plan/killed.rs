//! `provostd` killed in the middle of an apply, at each point where it can be: what was begun is found out about at the next
//! start, and nothing is sent twice.

use provost::ledger::Receipt;
use provost::sim::Fault;
use serde_json::{Value, json};

use crate::common::eventually;
use crate::house::{House, apply, error, plan};

const CONFIG: &str = "/nodes/pve1/lxc/101/config";
const PUT: &str = "PUT /api2/json/nodes/pve1/lxc/101/config";
const GET: &str = "GET /api2/json/nodes/pve1/lxc/101/config";
const FULL: &str = "profile = \"full\"\napproval = []";

fn has(house: &House, kind: &str) -> bool {
    house.receipts().iter().any(|receipt| receipt.kind.name() == kind)
}

/// The outcome that a start leaves, once it has.
fn outcome(house: &House) -> Receipt {
    let find = || house.receipts().into_iter().find(|receipt| receipt.kind.name() == "outcome");
    eventually("the intent is resolved", || find().is_some());
    find().unwrap()
}

/// The same, of a start beside a node that answers.
fn resolved(house: &mut House) -> Receipt {
    house.sim.heal();
    house.start();
    outcome(house)
}

/// Killed once its change was done and before its answer.
fn killed_unanswered() -> House {
    let mut house = House::of(FULL);
    house.sim.fault_at(Fault::Mute, PUT, None);
    begun(&house);
    eventually("it is done", || house.setting(101, "memory").as_deref() == Some("1024"));
    house.kill();
    house.sim.heal();
    house
}

/// Started again beside a node that cuts off what is asked at this path, and says so by these words; then it answers.
fn done_behind(path: &str, said: &str) {
    let mut house = killed_unanswered();
    house.sim.fault_at(Fault::Cut, path, None);
    house.start();
    eventually("it says so", || house.log().contains(said));
    assert!(!has(&house, "outcome"));
    house.sim.heal();
    let outcome = outcome(&house);
    assert_eq!(outcome.body["result"], "done", "{outcome:?}");
}

/// Plans `memory` of container 101, and begins to apply it.
fn begun(house: &House) -> Value {
    let mut client = house.client();
    let id = plan(&mut client, "PUT", CONFIG, json!({ "memory": 1024 }));
    client.start("apply", apply(&id));
    // The change goes on without it.
    std::mem::forget(client);
    id
}

#[test]
fn before_the_intent_nothing_was_done_and_the_plan_is_gone() {
    let mut house = House::of(FULL);
    let mut client = house.client();
    let id = plan(&mut client, "PUT", CONFIG, json!({ "memory": 1024 }));
    house.sim.fault_at(Fault::Hang, GET, None);
    client.start("apply", apply(&id));
    let mut other = house.client();
    eventually("it is being looked at", || error(&mut other, "apply", apply(&id)) == "already_applied");
    house.kill();
    house.sim.heal();
    house.start();
    assert!(!has(&house, "intent"));
    assert_eq!(error(&mut house.client(), "apply", apply(&id)), "no_such_plan");
    assert_eq!(house.setting(101, "memory").as_deref(), Some("768"));
}

#[test]
fn after_the_intent_and_before_the_call_it_is_found_not_to_have_been_done() {
    let mut house = House::of(FULL);
    house.sim.fault_at(Fault::Hang, PUT, None);
    let id = begun(&house);
    eventually("the intent is on the disk", || has(&house, "intent"));
    house.kill();
    let outcome = resolved(&mut house);
    assert_eq!(outcome.body["result"], "failed", "{outcome:?}");
    assert!(outcome.why.unwrap().contains("the configuration is as it was"));
    assert_eq!(house.setting(101, "memory").as_deref(), Some("768"), "it was not sent again");
    assert_eq!(error(&mut house.client(), "apply", apply(&id)), "no_such_plan");
}

#[test]
fn after_the_call_and_before_its_answer_it_is_found_to_have_been_done() {
    let mut house = killed_unanswered();
    let outcome = resolved(&mut house);
    assert_eq!(outcome.body["result"], "done", "{outcome:?}");
    assert!(outcome.why.as_ref().unwrap().contains("as was meant"));
    // Its undo is the receipt's still.
    let intent = outcome.closes().unwrap();
    let mut client = house.client();
    let back = crate::house::call(&mut client, "plan", json!({ "undo": intent }));
    crate::house::call(&mut client, "apply", apply(&back["plan_id"]));
    assert_eq!(house.setting(101, "memory").as_deref(), Some("768"));
}

#[test]
fn during_its_task_it_is_resolved_from_the_task_list() {
    for fails in [false, true] {
        let mut house = House::paced(FULL, 1.0);
        if fails {
            house.sim.fault_at(Fault::TaskFails("no space".into()), "vzstart", Some(1));
        }
        let mut client = house.client();
        let id = plan(&mut client, "POST", "/nodes/pve1/lxc/101/status/start", json!({}));
        client.start("apply", apply(&id));
        let tasks = |house: &House| {
            house.sim.with_estate(|estate| {
                estate.tasks.all().filter(|task| task.upid.kind == "vzstart" && task.upid.id == "101").count()
            })
        };
        let before = tasks(&house);
        eventually("the task runs", || has(&house, "intent") && tasks(&house) > before);
        house.kill();
        // The trap is the task's, not the daemon's.
        house.start();
        let outcome = outcome(&house);
        assert_eq!(outcome.body["result"], if fails { "failed" } else { "done" }, "{outcome:?}");
        assert!(outcome.body["upid"].as_str().unwrap().contains(":vzstart:101:"), "{outcome:?}");
        assert_eq!(outcome.why.unwrap().contains("no space"), fails);
        assert_eq!(house.is_running(101), !fails);
        assert_eq!(tasks(&house), before + 1, "it was begun once");
    }
}

/// It was not sent: who did the same by hand meanwhile did it.
#[test]
fn what_a_person_did_meanwhile_is_not_taken_for_what_was_under_way() {
    for (user, is_ours) in [("root@pam", false), ("root@pam!t1", true)] {
        let mut house = House::of(FULL);
        house.sim.fault_at(Fault::Hang, "POST /api2/json/nodes/pve1/lxc/101/status/start", None);
        let mut client = house.client();
        let id = plan(&mut client, "POST", "/nodes/pve1/lxc/101/status/start", json!({}));
        client.start("apply", apply(&id));
        eventually("the intent is on the disk", || has(&house, "intent"));
        house.kill();
        house.sim.with_estate(|estate| {
            let upid = estate.new_task("pve1", "vzstart", "101", user);
            let task = estate.tasks.get_mut(&upid.to_string()).unwrap();
            task.end = Some((upid.start, "OK".into()));
        });
        let outcome = resolved(&mut house);
        assert_eq!(outcome.body["result"] == "done", is_ours, "{outcome:?}");
        assert_eq!(outcome.body["upid"].is_string(), is_ours, "{outcome:?}");
    }
}

#[test]
fn a_node_whose_api_comes_after_the_daemon_is_waited_for() {
    done_behind("", "found out once PVE answers");
}

#[test]
fn a_node_that_answers_one_question_and_not_the_next_is_asked_again() {
    done_behind("GET /api2/json/nodes/pve1/tasks", "is asked again");
}

#[test]
fn between_two_calls_of_one_plan_what_was_done_is_known_and_the_rest_was_not_begun() {
    let mut house = House::of(FULL);
    let mut client = house.client();
    let sets = "/cluster/firewall/ipset";
    for (path, args) in [
        (sets.to_owned(), json!({ "name": "lan" })),
        (format!("{sets}/lan"), json!({ "cidr": "192.0.2.0/24" })),
        (format!("{sets}/lan"), json!({ "cidr": "198.51.100.0/24" })),
    ] {
        let id = plan(&mut client, "POST", &path, args);
        crate::house::call(&mut client, "apply", apply(&id));
    }
    let gone = plan(&mut client, "DELETE", &format!("{sets}/lan"), json!({ "force": 1 }));
    let gone = crate::house::call(&mut client, "apply", apply(&gone));
    let back = crate::house::call(&mut client, "plan", json!({ "undo": gone["receipt"] }));
    assert_eq!(back["then"].as_array().map(Vec::len), Some(2), "{back}");
    let outcomes = house.receipts().iter().filter(|receipt| receipt.kind.name() == "outcome").count();
    house.sim.fault_at(Fault::Hang, "POST /api2/json/cluster/firewall/ipset/lan", None);
    client.start("apply", apply(&back["plan_id"]));
    eventually("the second call hangs", || {
        let plan = back["plan_id"].as_str();
        house.receipts().iter().filter(|r| r.kind.name() == "intent" && r.plan.as_deref() == plan).count()
            == 2
    });
    house.kill();
    house.sim.heal();
    house.start();
    let count = |house: &House| house.receipts().iter().filter(|r| r.kind.name() == "outcome").count();
    eventually("both are resolved", || count(&house) == outcomes + 2);
    let mut results: Vec<String> = house
        .receipts()
        .iter()
        .filter(|r| r.kind.name() == "outcome")
        .take(2)
        .map(|r| r.body["result"].as_str().unwrap_or_default().to_owned())
        .collect();
    results.sort();
    assert_eq!(results, ["done", "failed"]);
    let mut client = house.client();
    let set = crate::house::call(&mut client, "read", json!({ "path": format!("{sets}/lan") }));
    assert_eq!(set["data"], json!([]));
}
