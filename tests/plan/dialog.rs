//! Approval in the client's own dialog: it shows the plan, counts where policy lets who asked approve, and no answer is a no.

use serde_json::{Value, json};

use crate::common::Client;
use crate::house::{House, Stateless, apply, call, error, plan};

const CONFIG: &str = "/nodes/pve1/lxc/101/config";
const SELF: &str = "profile = \"full\"\napproval = [\"change\"]\nself_approval = true";

/// A session that can show forms, by the revision with a handshake.
fn asked(house: &House) -> Client {
    let mut client = Client::raw(std::os::unix::net::UnixStream::connect(house.socket()).unwrap());
    let info = json!({ "name": "dialog", "version": "1" });
    let hello =
        json!({ "protocolVersion": "2025-11-25", "capabilities": { "elicitation": {} }, "clientInfo": info });
    client.request("initialize", hello);
    client.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    client
}

/// Applies, and answers the question that comes; the question, and the result.
fn answered(client: &mut Client, id: &Value, answer: Value) -> (Value, Value) {
    let call = client.start("apply", apply(id));
    let question = client.next().expect("a question");
    assert_eq!(question["method"], "elicitation/create", "{question}");
    client.write(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer }));
    (question["params"].clone(), client.answer(call)["result"]["structuredContent"].clone())
}

fn yes() -> Value {
    json!({ "action": "accept", "content": { "approve": true } })
}

#[test]
fn the_person_is_shown_the_plan_and_a_yes_is_recorded_and_applied() {
    let house = House::of(SELF);
    let mut client = asked(&house);
    let words = "\nApprove this.\nRisk: low\u{1b}[2J";
    let change = json!({ "method": "PUT", "path": CONFIG, "args": { "memory": 1024, "description": words } });
    let planned = call(&mut client, "plan", change);
    assert!(planned["needs"]["approval"]["by"].as_str().unwrap().contains("dialog"), "{planned}");
    let (question, applied) = answered(&mut client, &planned["plan_id"], yes());
    assert_eq!(applied["result"], "done", "{applied}");
    let text = question["message"].as_str().unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for shown in ["  PUT /nodes/pve1/lxc/101/config", "  memory: 768 -> 1024", "What changes:"] {
        assert!(lines.contains(&shown), "{shown}: {text}");
    }
    for part in ["Risk: ", "Way back: captured_config", "user:", "Plan "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // What the model wrote is a value in quotes on its own line, and begins none.
    assert!(!lines.contains(&"Approve this.") && !text.contains('\u{1b}'), "{text}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("Risk:")).count(), 1, "{text}");
    let approval = house.receipts().into_iter().find(|receipt| receipt.kind.name() == "approval").unwrap();
    assert_eq!(approval.body["how"], "elicitation");
    assert_eq!(approval.decision.map(|it| it.name()), Some("allowed"));
    assert_eq!(house.setting(101, "memory").as_deref(), Some("1024"));
    // It was announced once, whoever answered.
    let announced = house.log().matches("waits for approval until").count();
    assert_eq!(announced, 1);
}

#[test]
fn a_no_is_final_and_no_answer_leaves_the_plan_waiting() {
    let house = House::of(SELF);
    let mut client = asked(&house);
    for (answer, kind, final_) in [
        (json!({ "action": "decline" }), "denied_by_person", true),
        (json!({ "action": "accept", "content": { "approve": false } }), "denied_by_person", true),
        (json!({ "action": "accept", "content": {} }), "denied_by_person", true),
        (json!({ "action": "accept", "content": { "approve": "true" } }), "denied_by_person", true),
        (json!({ "action": "cancel" }), "needs_approval", false),
    ] {
        let id = plan(&mut client, "PUT", CONFIG, json!({ "memory": 1024 }));
        let (_, applied) = answered(&mut client, &id, answer.clone());
        assert_eq!(applied["error"]["kind"], kind, "{answer}: {applied}");
        house.refusal(kind);
        if final_ {
            // Nobody is asked a second time.
            assert_eq!(error(&mut client, "apply", apply(&id)), kind, "{answer}");
        } else {
            let (_, applied) = answered(&mut client, &id, yes());
            assert_eq!(applied["result"], "done", "{applied}");
        }
    }
}

#[test]
fn nobody_is_asked_where_the_role_does_not_let_who_asks_approve() {
    for keys in [
        "profile = \"full\"\napproval = [\"change\"]",
        "profile = \"full\"\napproval = [\"change\"]\nself_approval = true\napprove_by = [\"terminal\"]",
    ] {
        let house = House::of(keys);
        let mut client = asked(&house);
        let id = plan(&mut client, "PUT", CONFIG, json!({ "memory": 1024 }));
        assert_eq!(error(&mut client, "apply", apply(&id)), "needs_approval", "{keys}");
        house.refusal("needs_approval");
    }
    // Nor a client that cannot show a form.
    let house = House::of(SELF);
    let mut client = house.client();
    let id = plan(&mut client, "PUT", CONFIG, json!({ "memory": 1024 }));
    assert_eq!(error(&mut client, "apply", apply(&id)), "needs_approval");
    // A terminal counts for it, where the role says so; the dialog's absence is no obstacle.
    let (well, said) = house.provost(&["approve", id.as_str().unwrap(), "--yes"]);
    assert!(well, "{said}");
    call(&mut client, "apply", apply(&id));
}

#[test]
fn a_terminal_does_not_count_where_only_the_dialog_does() {
    let house = House::of(&format!("{SELF}\napprove_by = [\"elicitation\"]"));
    let mut client = asked(&house);
    let id = plan(&mut client, "PUT", CONFIG, json!({ "memory": 1024 }));
    let (well, said) = house.provost(&["approve", id.as_str().unwrap(), "--yes"]);
    assert!(!well && said.contains("no answer by terminal"), "{said}");
    house.refusal("another_way");
    assert_eq!(answered(&mut client, &id, yes()).1["result"], "done");
}

/// A session of the revision without a handshake, that shows forms and knows no tasks.
struct Asked(Stateless);

impl Asked {
    fn of(house: &House) -> Self {
        Self(Stateless::of(house, json!({ "elicitation": {} })))
    }

    fn request(&mut self, method: &str, params: Value) -> Value {
        self.0.request(method, params)
    }

    fn plan(&mut self, memory: u32) -> Value {
        let change = json!({ "method": "PUT", "path": CONFIG, "args": { "memory": memory } });
        let planned = self.request("tools/call", json!({ "name": "plan", "arguments": change }));
        planned["structuredContent"]["plan_id"].clone()
    }

    fn apply(&mut self, id: &Value, answer: Option<(Value, Value)>) -> Value {
        let mut params = json!({ "name": "apply", "arguments": apply(id) });
        if let Some((responses, state)) = answer {
            params["inputResponses"] = responses;
            params["requestState"] = state;
        }
        self.request("tools/call", params)
    }
}

#[test]
fn a_client_of_the_newest_revision_is_asked_by_input_required_with_a_state_that_nobody_can_make() {
    let house = House::of(SELF);
    let mut client = Asked::of(&house);
    let (id, other) = (client.plan(1024), client.plan(2048));
    let asked = client.apply(&id, None);
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let question = &asked["inputRequests"]["approve"];
    assert_eq!(question["method"], "elicitation/create", "{asked}");
    assert!(question["params"]["message"].as_str().unwrap().contains("memory: 768 -> 1024"), "{question}");
    let state = asked["requestState"].as_str().unwrap().to_owned();
    let of_other = client.apply(&other, None)["requestState"].clone();
    let answer = json!({ "approve": yes() });
    // The state decides: without it, with another plan's, or with one that was changed, an answer is none.
    let mut changed = state.clone().into_bytes();
    let last = changed.len() - 1;
    changed[last] = if changed[last] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    for forged in [Value::Null, json!(""), json!("rs1.x.y"), of_other, json!(changed)] {
        let refused = client.apply(&id, Some((answer.clone(), forged.clone())));
        assert_eq!(refused["structuredContent"]["error"]["kind"], "request_state", "{forged}: {refused}");
        house.refusal("request_state");
    }
    assert_eq!(house.setting(101, "memory").as_deref(), Some("768"));
    let applied = client.apply(&id, Some((answer.clone(), json!(state.clone()))));
    assert_eq!(applied["structuredContent"]["result"], "done", "{applied}");
    let again = client.apply(&id, Some((answer, json!(state))));
    assert_eq!(again["structuredContent"]["error"]["kind"], "already_applied", "{again}");
    // A no counts as well.
    let asked = client.apply(&other, None);
    let no = json!({ "approve": { "action": "decline" } });
    let refused = client.apply(&other, Some((no, asked["requestState"].clone())));
    assert_eq!(refused["structuredContent"]["error"]["kind"], "denied_by_person", "{refused}");
}

#[test]
fn a_state_of_a_daemon_before_this_one_counts_for_nothing() {
    let mut house = House::of(SELF);
    let mut client = Asked::of(&house);
    let id = client.plan(1024);
    let state = client.apply(&id, None)["requestState"].clone();
    house.kill();
    house.start();
    let mut client = Asked::of(&house);
    let refused = client.apply(&id, Some((json!({ "approve": yes() }), state)));
    assert_eq!(refused["structuredContent"]["error"]["kind"], "no_such_plan", "{refused}");
    assert_eq!(house.setting(101, "memory").as_deref(), Some("768"));
}

#[test]
fn somebody_elses_client_is_not_asked_about_a_plan_that_is_not_theirs() {
    let house = House::of(SELF);
    let mut client = house.client();
    let id = plan(&mut client, "PUT", CONFIG, json!({ "memory": 1024 }));
    let Some(mut other) = house.client_of_another() else {
        return eprintln!(
            "NOT RUN without root: somebody_elses_client_is_not_asked_about_a_plan_that_is_not_theirs"
        );
    };
    assert_eq!(error(&mut other, "apply", apply(&id)), "not_your_plan");
}
