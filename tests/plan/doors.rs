//! One plan, one change, over the daemon's socket: each door that is closed leaves a receipt of its own.

use std::time::Duration;

use provost::sim::Fault;
use serde_json::{Value, json};

use crate::common::eventually;
use crate::house::{House, OTHER, Stateless, apply, call, error, plan};

const CONFIG: &str = "/nodes/pve1/lxc/101/config";
const START: &str = "/nodes/pve1/lxc/101/status/start";
const FULL: &str = "profile = \"full\"\napproval = []";
const ASKS: &str = "profile = \"full\"\napproval = [\"change\"]";

#[test]
fn of_two_sessions_that_apply_one_plan_at_once_one_wins() {
    let house = House::of(FULL);
    let (mut one, mut two) = (house.client(), house.client());
    for memory in 600..606 {
        let id = plan(&mut one, "PUT", CONFIG, json!({ "memory": memory }));
        let (first, second) = (one.start("apply", apply(&id)), two.start("apply", apply(&id)));
        let answers = [one.answer(first), two.answer(second)];
        let kinds: Vec<&Value> =
            answers.iter().map(|answer| &answer["result"]["structuredContent"]["error"]["kind"]).collect();
        let lost = kinds.iter().filter(|kind| **kind == "already_applied").count();
        assert_eq!((lost, kinds.iter().filter(|kind| kind.is_null()).count()), (1, 1), "{answers:?}");
        let id = id.as_str().unwrap();
        let of = |kind: &str| {
            let is = |receipt: &&provost::ledger::Receipt| {
                receipt.kind.name() == kind && receipt.plan.as_deref() == Some(id)
            };
            house.receipts().iter().filter(is).count()
        };
        assert_eq!((of("intent"), of("outcome"), of("refusal")), (1, 1, 1));
    }
}

#[test]
fn what_drifted_between_plan_and_apply_is_refused() {
    let house = House::of(FULL);
    let mut client = house.client();
    let id = plan(&mut client, "PUT", CONFIG, json!({ "memory": 1024 }));
    house.sim.with_estate(|estate| {
        estate.guest_mut(101).unwrap().config.insert("cores".into(), "2".into());
    });
    assert_eq!(error(&mut client, "apply", apply(&id)), "drifted");
    house.refusal("drifted");
    assert_eq!(error(&mut client, "apply", apply(&id)), "already_applied");
    assert_eq!(house.setting(101, "memory").as_deref(), Some("768"));
}

#[test]
fn what_nobody_sees_is_written_out_in_a_plan_and_a_nul_gets_into_none() {
    let house = House::of(FULL);
    let mut client = house.client();
    let wish = |text: &str| json!({ "method": "PUT", "path": CONFIG, "args": { "description": text } });
    let plan = call(&mut client, "plan", wish("root\u{200b}\r\n\t\u{202e}\u{1b}[2Jpam"));
    let shown = "root\\u{200b}\\u{d}\n\t\\u{202e}\\u{1b}[2Jpam";
    assert_eq!(plan["request"]["args"]["description"], shown, "{plan:#}");
    let effects = plan["effects"].as_array().unwrap();
    assert!(effects.iter().any(|effect| effect["after"] == shown), "{effects:#?}");
    assert_eq!(error(&mut client, "plan", wish("a\0b")), "parameters");
}

#[test]
fn a_guessed_id_and_another_accounts_plan_are_refused_by_name() {
    let house = House::of(FULL);
    let mut client = house.client();
    assert_eq!(error(&mut client, "apply", apply(&json!("f".repeat(32)))), "no_such_plan");
    house.refusal("no_such_plan");
    let id = plan(&mut client, "PUT", CONFIG, json!({ "memory": 1024 }));
    let Some(mut other) = house.client_of_another() else {
        return eprintln!("NOT RUN without root: a_guessed_id_and_another_accounts_plan_are_refused_by_name");
    };
    assert_eq!(error(&mut other, "apply", apply(&id)), "not_your_plan");
    let receipt = house.refusal("not_your_plan");
    assert_eq!(receipt.principal.as_ref().unwrap().uid, Some(OTHER));
    assert_eq!(receipt.plan.as_deref(), id.as_str());
    // It is still its maker's.
    call(&mut client, "apply", apply(&id));
}

#[test]
fn who_asks_does_not_approve_and_an_approver_does() {
    let house = House::of(ASKS);
    let mut client = house.client();
    let id = plan(&mut client, "PUT", CONFIG, json!({ "memory": 1024 }));
    assert_eq!(error(&mut client, "apply", apply(&id)), "needs_approval");
    let (well, said) = house.provost(&["approve", id.as_str().unwrap(), "--yes"]);
    assert!(!well && said.contains("asked for this plan yourself"), "{said}");
    // Left without waiting for the disk.
    assert_eq!(house.refusal("self_approval").plan.as_deref(), id.as_str());
    assert_eq!(error(&mut client, "apply", apply(&id)), "needs_approval");
    assert_eq!(house.setting(101, "memory").as_deref(), Some("768"));
}

#[test]
fn a_halt_between_plan_and_apply_and_while_a_task_runs() {
    let house = House::paced(FULL, 2.0);
    let mut client = house.client();
    let config = plan(&mut client, "PUT", CONFIG, json!({ "memory": 1024 }));
    let start = plan(&mut client, "POST", START, json!({}));
    let running = client.start("apply", apply(&start));
    // Not its intent alone: a halt stops what has not been sent.
    eventually("the task runs", || {
        house.sim.with_estate(|estate| estate.tasks.all().any(|task| task.upid.kind == "vzstart"))
    });
    let (well, said) = house.provost(&["halt", "--why", "the test"]);
    assert!(well, "{said}");
    let mut other = house.client();
    assert_eq!(error(&mut other, "apply", apply(&config)), "halted");
    house.refusal("halted");
    assert_eq!(
        error(&mut other, "plan", json!({ "method": "PUT", "path": CONFIG, "args": { "memory": 600 } })),
        "halted"
    );
    // What had begun goes on to its end, on record.
    let ended = client.answer(running);
    let applied = &ended["result"]["structuredContent"];
    assert_eq!(applied["result"], "done", "{ended}");
    assert!(house.is_running(101) && applied["outcome"].is_u64());
    assert_eq!(house.setting(101, "memory").as_deref(), Some("768"));
    assert!(house.provost(&["resume"]).0);
}

#[test]
fn a_task_that_warned_is_not_clean_for_who_expects_success() {
    let house = House::of(FULL);
    let mut client = house.client();
    for (strict, failed) in [(json!({ "expect": "success" }), true), (json!({}), false)] {
        let id = plan(&mut client, "POST", START, json!({}));
        house.sim.fault_at(Fault::TaskWarns("the mount point is slow".into()), "vzstart", Some(1));
        let mut arguments = apply(&id);
        arguments.as_object_mut().unwrap().extend(strict.as_object().unwrap().clone());
        let result = client.call("apply", arguments);
        assert_eq!(result["isError"] == true, failed, "{result}");
        let told = &result["structuredContent"];
        assert_eq!(told["result"], "warnings", "{told}");
        assert!(told["log"].to_string().contains("WARN: the mount point is slow"), "{told}");
        if failed {
            assert_eq!(told["error"]["kind"], "warnings");
        }
        let outcome = house.receipts().into_iter().find(|receipt| receipt.kind.name() == "outcome").unwrap();
        assert!(outcome.why.unwrap().contains("1 warnings"));
        let stop = plan(&mut client, "POST", "/nodes/pve1/lxc/101/status/stop", json!({}));
        call(&mut client, "apply", apply(&stop));
    }
}

#[test]
fn who_gives_up_before_anything_was_begun_has_changed_nothing() {
    let house = House::of(FULL);
    let (mut client, mut other) = (house.client(), house.client());
    let id = plan(&mut client, "PUT", CONFIG, json!({ "memory": 1024 }));
    house.sim.fault_at(
        Fault::Slow(Duration::from_millis(800)),
        "GET /api2/json/nodes/pve1/lxc/101/config",
        Some(1),
    );
    let given_up = client.start("apply", apply(&id));
    eventually("it is being looked at", || {
        let tried = other.call("apply", apply(&id));
        tried["structuredContent"]["error"]["kind"] == "already_applied"
    });
    client.cancel(given_up);
    house.refusal("cancelled");
    assert_eq!(house.setting(101, "memory").as_deref(), Some("768"));
    call(&mut other, "apply", apply(&id));
}

/// A session of the revision that has tasks.
struct WithTasks(Stateless);

impl WithTasks {
    fn of(house: &House) -> Self {
        let tasks = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
        Self(Stateless::of(house, tasks))
    }

    fn request(&mut self, method: &str, params: Value) -> Value {
        self.0.request(method, params)
    }

    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", json!({ "name": tool, "arguments": arguments }))
    }
}

#[test]
fn a_client_that_knows_tasks_follows_a_change_by_its_handle_with_how_far_it_is() {
    let house = House::paced(FULL, 4.0);
    let mut client = WithTasks::of(&house);
    let copy = json!({ "method": "POST", "path": "/nodes/pve1/qemu/104/clone", "args": { "newid": 900, "full": 1 } });
    let planned = client.call("plan", copy);
    let id = planned["structuredContent"]["plan_id"].clone();
    let handle = client.call("apply", apply(&id));
    assert_eq!(handle["resultType"], "task", "{handle}");
    let task = json!({ "taskId": handle["taskId"] });
    let mut said = Vec::new();
    let mut end = Value::Null;
    eventually("the change has ended", || {
        let seen = client.request("tasks/get", task.clone());
        said.extend(seen["statusMessage"].as_str().map(str::to_owned));
        end = seen.clone();
        seen["status"] != "working"
    });
    assert_eq!(end["status"], "completed", "{end}");
    let told = &end["result"]["structuredContent"];
    assert_eq!(told["result"], "done", "{end}");
    assert!(told["outcome"].is_u64() && told["upid"].is_string(), "{told}");
    assert!(said.iter().any(|text| text.contains(" %: ")), "{said:?}");
    assert!(house.sim.with_estate(|estate| estate.guest(900).is_some()));
    // What is refused is no handle.
    let again = client.call("apply", apply(&id));
    assert_eq!(again["structuredContent"]["error"]["kind"], "already_applied", "{again}");
}

#[test]
fn a_handle_that_is_cancelled_ends_the_listening_and_not_the_change() {
    let house = House::paced(FULL, 2.0);
    let mut client = WithTasks::of(&house);
    let planned = client.call("plan", json!({ "method": "POST", "path": START }));
    let handle = client.call("apply", apply(&planned["structuredContent"]["plan_id"]));
    client.request("tasks/cancel", json!({ "taskId": handle["taskId"] }));
    eventually("the change has ended, on record", || {
        house
            .receipts()
            .iter()
            .any(|receipt| receipt.kind.name() == "outcome" && receipt.body["result"] == "done")
    });
    assert!(house.is_running(101));
}
