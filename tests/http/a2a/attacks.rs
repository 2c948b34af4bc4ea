//! Who has no business here: without a token, with another's, with too much.

use serde_json::{Value, json};

use super::{Agent, answer, message, state};
use crate::common::eventually;
use crate::web::Web;

#[test]
fn without_a_good_token_nothing_is_answered_but_the_card() {
    let web = Web::start("");
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": { "message": message("status", &json!({})) } });
    for (method, path) in [
        ("POST", "/a2a"),
        ("POST", "/a2a/message:send"),
        ("POST", "/a2a/message:stream"),
        ("GET", "/a2a/tasks"),
        ("GET", "/a2a/tasks/x"),
        ("POST", "/a2a/tasks/x:cancel"),
        ("GET", "/a2a/extendedAgentCard"),
    ] {
        for headers in [vec![], vec![("authorization", "Bearer x")], vec![("cookie", "token=x")]] {
            let headers = [&[("content-type", "application/json")][..], &headers].concat();
            let answer = web.ask(method, path, &headers, &body.to_string());
            assert_eq!(answer.status, 401, "{path}");
            assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"), "{path}");
        }
    }
    assert_eq!(web.receipts().iter().filter(|it| it["tool"] == "status").count(), 0);
}

#[test]
fn a_token_that_is_taken_back_ends_its_streams_and_its_tasks_are_gone() {
    let web = Web::paced("profile = \"provision\"", 0.02);
    let issued = web.issued(&["--as", "own", "--ttl", "1h"]);
    let (token, id) = (issued["token"].as_str().unwrap(), issued["about"]["id"].as_str().unwrap());
    let agent = Agent::new(&web, token);
    let upid = web.site.post("/nodes/pve1/vzdump", &[("vmid", "104"), ("storage", "backup")]);
    let wait = json!({ "path": upid, "wait": 600 });
    let heard = agent.listen("SendStreamingMessage", &json!({ "message": message("read", &wait) }));
    eventually("it is under way", || agent.result("ListTasks", &json!({}))["totalSize"] == 1);
    let revoked = web.provost(&["token", "revoke", id, "--why", "it was in a log"]);
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
    let events = heard.join().unwrap();
    assert!(events.iter().all(|event| event["artifactUpdate"].is_null()), "{events:?}");
    assert_eq!(agent.ask("ListTasks", &json!({})).status, 401);
}

#[test]
fn a_task_is_its_tokens_alone_and_to_others_it_is_not_there() {
    let web = Web::start("profile = \"provision\"\napproval = [\"change\"]");
    let (mine, theirs) = (web.token(&["--ttl", "1h"]), web.token(&["--ttl", "1h"]));
    let (mine, theirs) = (Agent::new(&web, &mine), Agent::new(&web, &theirs));
    let args = json!({ "description": "x" });
    let task =
        mine.call("plan", &json!({ "method": "PUT", "path": "/nodes/pve1/qemu/104/config", "args": args }));
    assert_eq!(state(&task), "INPUT_REQUIRED");
    let id = json!({ "id": task["id"] });
    for method in ["GetTask", "CancelTask", "SubscribeToTask"] {
        // In the very words that are said of what never was.
        let told = theirs.ask(method, &id).json()["error"]["message"].clone();
        assert_eq!(told, theirs.ask(method, &json!({ "id": "never" })).json()["error"]["message"]);
        assert_eq!(theirs.error(method, &id), (-32001, "no_such_task".into()), "{method}");
    }
    let mut reply = message("status", &json!({}));
    reply["taskId"] = task["id"].clone();
    assert_eq!(theirs.error("SendMessage", &json!({ "message": reply })).0, -32001);
    assert_eq!(theirs.result("ListTasks", &json!({}))["totalSize"], 0);
    let context = json!({ "contextId": task["contextId"] });
    assert_eq!(theirs.result("ListTasks", &context)["totalSize"], 0);
    // Nor is its plan, or its context.
    let stolen = theirs.call("apply", &json!({ "plan_id": answer(&task)["plan_id"] }));
    assert_eq!(answer(&stolen)["error"]["kind"], "not_your_plan", "{stolen}");
    let mut joined = message("status", &json!({}));
    joined["contextId"] = task["contextId"].clone();
    assert_eq!(theirs.error("SendMessage", &json!({ "message": joined })).0, -32602);
    assert_eq!(state(&mine.get(task["id"].as_str().unwrap())), "INPUT_REQUIRED");
}

#[test]
fn a_context_that_nobody_began_is_none_and_a_new_one_washes_nothing_off() {
    let web = Web::start("profile = \"full\"");
    let token = web.token(&["--ttl", "1h"]);
    let agent = Agent::new(&web, &token);
    let tainted = |task: &Value| answer(task)["tainted"].clone();
    let clean = agent.call("status", &json!({}));
    assert_eq!(tainted(&clean), false);
    let inside = |context: &Value, tool: &str, arguments: &Value| {
        let mut message = message(tool, arguments);
        message["contextId"] = context.clone();
        agent.send(&json!({ "message": message }))
    };
    let read = inside(&clean["contextId"], "read", &json!({ "path": "/cluster/log" }));
    assert_eq!((state(&read), &read["contextId"]), ("COMPLETED", &clean["contextId"]));
    assert_eq!(tainted(&inside(&clean["contextId"], "status", &json!({}))), true, "in the context");
    assert_eq!(tainted(&agent.call("status", &json!({}))), true, "in another of the same token");
    for made_up in [json!("mine"), json!("00000000-0000-0000-0000-000000000000")] {
        let mut message = message("status", &json!({}));
        message["contextId"] = made_up;
        assert_eq!(agent.error("SendMessage", &json!({ "message": message })).0, -32602);
    }
    // Nor is a task taken into another context.
    let mut message = message("status", &json!({}));
    (message["taskId"], message["contextId"]) = (read["id"].clone(), json!("mine"));
    assert_eq!(agent.error("SendMessage", &json!({ "message": message })).0, -32602);
    // A restart forgets contexts and tasks: who comes with one begins anew, and is told so.
    let mut web = web;
    web.restart();
    let agent = Agent::new(&web, &token);
    let mut message = super::message("status", &json!({}));
    message["contextId"] = clean["contextId"].clone();
    assert_eq!(agent.error("SendMessage", &json!({ "message": message })).0, -32602);
    assert_eq!(agent.error("GetTask", &json!({ "id": clean["id"] })).0, -32001);
}

#[test]
fn what_a_task_came_to_is_withheld_from_a_role_that_is_another_by_now() {
    let web = Web::start("profile = \"full\"");
    let token = web.token(&["--as", "own", "--ttl", "1h"]);
    let agent = Agent::new(&web, &token);
    let task = agent.call("read", &json!({ "path": "/nodes/pve1/qemu/105/config" }));
    assert_eq!(state(&task), "COMPLETED", "{task}");
    web.set_roles("profile = \"full\"\nguests = [\"100-104\"]");
    eventually("the new rules are in force", || {
        answer(&agent.call("read", &json!({ "path": "/nodes/pve1/qemu/105/config" })))["error"]["kind"]
            == "guest_out_of_scope"
    });
    let withheld = agent.get(task["id"].as_str().unwrap());
    assert!(withheld["artifacts"].is_null(), "{withheld}");
    assert!(
        withheld["status"]["message"]["parts"][0]["text"].as_str().unwrap().contains("role"),
        "{withheld}"
    );
    let listed = agent.result("ListTasks", &json!({ "includeArtifacts": true }));
    let same = listed["tasks"].as_array().unwrap().iter().find(|other| other["id"] == task["id"]).unwrap();
    assert!(same["artifacts"].is_null(), "{same}");
    eventually("it is on record", || {
        web.receipts().iter().any(|it| it["kind"] == "refusal" && it["body"]["code"] == "role_changed")
    });
}

#[test]
fn a_message_that_is_too_long_or_too_deep_is_refused_and_the_next_is_served() {
    let web = Web::start("");
    let token = web.token(&["--ttl", "1h"]);
    let agent = Agent::new(&web, &token);
    let long = json!({ "message": message("find", &json!({ "query": "x".repeat(9 << 20) })) });
    assert_eq!(agent.ask("SendMessage", &long).status, 413);
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let answer = web.ask("POST", "/a2a", &headers, &deep).json();
    assert_eq!(answer["error"]["code"], -32700, "{answer}");
    let mut many = message("status", &json!({}));
    many["parts"] = (0..1000).map(|at| json!({ "text": at.to_string() })).collect();
    assert_eq!(agent.error("SendMessage", &json!({ "message": many })).0, -32602);
    many["messageId"] = json!("m".repeat(1000));
    assert_eq!(agent.error("SendMessage", &json!({ "message": many })).0, -32602);
    assert_eq!(state(&agent.call("status", &json!({}))), "COMPLETED");
}

fn resident_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_thousand_tasks_keep_the_latest_and_take_nobody_elses_place() {
    let web = Web::start("");
    let (many, other) = (web.token(&["--ttl", "1h"]), web.token(&["--ttl", "1h"]));
    let (agent, other) = (Agent::new(&web, &many), Agent::new(&web, &other));
    let kept = other.call("status", &json!({}));
    let first = agent.call("read", &json!({ "path": "/cluster/resources" }));
    for _ in 0..200 {
        agent.call("read", &json!({ "path": "/cluster/resources" }));
    }
    let before = resident_kb(web.site.pid());
    for _ in 0..800 {
        agent.call("read", &json!({ "path": "/cluster/resources" }));
    }
    let after = resident_kb(web.site.pid());
    assert!(after < before + (8 << 10), "{before} kB, then {after} kB");
    assert!(agent.result("ListTasks", &json!({}))["totalSize"].as_u64().unwrap() <= 128);
    assert_eq!(agent.error("GetTask", &json!({ "id": first["id"] })).0, -32001, "the oldest gives way");
    assert_eq!(other.get(kept["id"].as_str().unwrap()), kept, "nobody else's does");
}

#[test]
fn streams_of_one_token_are_bounded_and_leave_connections_to_others() {
    let web = Web::paced("profile = \"provision\"", 0.02);
    let token = web.token(&["--ttl", "1h"]);
    let agent = Agent::new(&web, &token);
    let upid = web.site.post("/nodes/pve1/vzdump", &[("vmid", "104"), ("storage", "backup")]);
    let id = agent.begin("read", &json!({ "path": upid, "wait": 600 }));
    let subscribe = json!({ "id": id });
    let listening: Vec<_> = (0..128).map(|_| agent.listening("SubscribeToTask", &subscribe)).collect();
    assert_eq!(agent.error("SubscribeToTask", &subscribe), (-32000, "busy".into()));
    // Nothing is begun of which nobody could hear.
    let before = agent.result("ListTasks", &json!({}))["totalSize"].clone();
    let asked = json!({ "message": message("status", &json!({})) });
    assert_eq!(agent.error("SendStreamingMessage", &asked), (-32000, "busy".into()));
    assert_eq!(agent.result("ListTasks", &json!({}))["totalSize"], before);
    let session = web.session(&token);
    let bearer = format!("Bearer {token}");
    let headers =
        [("authorization", bearer.as_str()), ("accept", "text/event-stream"), ("mcp-session-id", &session)];
    assert_eq!(web.ask("GET", "/mcp", &headers, "").status, 503);
    // Others listen, and a call takes none.
    let other = web.token(&["--ttl", "1h"]);
    let other = Agent::new(&web, &other);
    assert_eq!(state(&other.events("SendStreamingMessage", &asked)[0]["task"]), "WORKING");
    assert_eq!(web.tool(&token, "status", &json!({})).status, 200);
    agent.result("CancelTask", &subscribe);
    drop(listening);
    eventually("there is room again", || {
        agent
            .ask("SendStreamingMessage", &json!({ "message": message("status", &json!({})) }))
            .body
            .contains("COMPLETED")
    });
}

#[test]
fn tasks_under_way_are_bounded_and_one_more_is_told_to_come_again() {
    let web = Web::paced("profile = \"provision\"", 0.02);
    let token = web.token(&["--ttl", "1h"]);
    let agent = Agent::new(&web, &token);
    let upid = web.site.post("/nodes/pve1/vzdump", &[("vmid", "104"), ("storage", "backup")]);
    let wait = json!({ "path": upid, "wait": 600 });
    let params = || {
        let message = message("read", &wait);
        json!({ "message": message, "configuration": { "returnImmediately": true } })
    };
    let mut busy = None;
    for _ in 0..80 {
        let told = agent.ask("SendMessage", &params()).json();
        if told["error"].is_object() {
            busy = Some(super::fault(&told["error"]));
            break;
        }
    }
    assert_eq!(busy, Some((-32000, "busy".into())));
    // By every other door, and for others here, there is room.
    assert_eq!(web.tool(&token, "status", &json!({})).status, 200);
    let other = web.token(&[]);
    assert_eq!(state(&Agent::new(&web, &other).call("status", &json!({}))), "COMPLETED");
    for task in agent.result("ListTasks", &json!({ "pageSize": 100 }))["tasks"].as_array().unwrap() {
        agent.ask("CancelTask", &json!({ "id": task["id"] }));
    }
    assert_eq!(state(&agent.call("status", &json!({}))), "COMPLETED");
}
