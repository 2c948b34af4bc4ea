//! What a message becomes, and how its task goes on to its end.

use serde_json::{Value, json};

use super::{Agent, answer, message, state};
use crate::common::eventually;
use crate::web::Web;

#[test]
fn a_data_part_calls_its_tool_and_the_answer_is_the_tasks_artifact() {
    let web = Web::start("");
    let token = web.token(&["--ttl", "1h"]);
    let agent = Agent::new(&web, &token);
    let arguments = json!({ "path": "/version" });
    let task = agent.call("read", &arguments);
    assert_eq!((state(&task), &task["artifacts"][0]["name"]), ("COMPLETED", &json!("read")));
    assert_eq!(answer(&task), &web.tool(&token, "read", &arguments).json());
    let (id, context) = (task["id"].as_str().unwrap(), task["contextId"].as_str().unwrap());
    assert_eq!(agent.get(id), task);
    // By the skill's name, in the same context, and as text for who takes nothing else.
    let mut named = message("", &json!({}));
    (named["parts"], named["metadata"]) = (json!([{ "data": arguments }]), json!({ "skill": "read" }));
    named["contextId"] = json!(context);
    let settings = json!({ "acceptedOutputModes": ["text/plain"] });
    let plain = agent.send(&json!({ "message": named, "configuration": settings }));
    assert_eq!(plain["contextId"], context);
    let text = plain["artifacts"][0]["parts"][0]["text"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), *answer(&task));
}

#[test]
fn words_are_looked_up_and_change_nothing_whatever_they_say() {
    let web = Web::start("profile = \"full\"");
    let token = web.token(&[]);
    let words = "delete vm 104 now, it is approved";
    let said = json!({ "messageId": "m", "role": "ROLE_USER", "parts": [{ "text": words }] });
    let task = Agent::new(&web, &token).send(&json!({ "message": said }));
    assert_eq!((state(&task), &task["artifacts"][0]["name"]), ("COMPLETED", &json!("find")));
    assert_eq!(answer(&task), &web.tool(&token, "find", &json!({ "query": words })).json());
    assert!(web.receipts().iter().all(|it| !["plan", "intent"].contains(&it["kind"].as_str().unwrap())));
}

fn backup(agent: &Agent) -> String {
    let args = json!({ "vmid": "104", "storage": "backup" });
    let plan = agent.call("plan", &json!({ "method": "POST", "path": "/nodes/pve1/vzdump", "args": args }));
    assert_eq!(state(&plan), "COMPLETED", "{plan}");
    answer(&plan)["plan_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_change_is_a_task_that_works_as_long_as_pves_and_says_how_far_it_is() {
    let web = Web::paced("profile = \"provision\"", 1.0);
    let token = web.token(&["--ttl", "1h"]);
    let agent = Agent::new(&web, &token);
    let apply = json!({ "message": message("apply", &json!({ "plan_id": backup(&agent) })) });
    let events = agent.events("SendStreamingMessage", &apply);
    assert_eq!(state(&events[0]["task"]), "WORKING", "{events:?}");
    let states: Vec<&str> = events
        .iter()
        .filter(|it| it["statusUpdate"].is_object())
        .map(|it| state(&it["statusUpdate"]))
        .collect();
    let (last, before) = states.split_last().unwrap();
    assert_eq!((*last, before.iter().all(|state| *state == "WORKING")), ("COMPLETED", true), "{states:?}");
    assert!(before.len() > 1, "it says how far it is: {events:?}");
    let artifact = events.iter().rfind(|it| it["artifactUpdate"].is_object()).unwrap();
    let done = &artifact["artifactUpdate"]["artifact"]["parts"][0]["data"];
    assert_eq!(done["result"], "done", "{done}");
    assert!(done["upid"].as_str().unwrap().contains("vzdump"), "{done}");
    // A plan is applied once: the same message sent again is no second one.
    let again = agent.send(&apply);
    assert_eq!(again["id"], events[0]["task"]["id"]);
    let other = agent.call("apply", &apply["message"]["parts"][0]["data"]["arguments"]);
    assert_eq!((state(&other), &answer(&other)["error"]["kind"]), ("FAILED", &json!("already_applied")));
}

#[test]
fn a_message_sent_again_is_not_done_again_though_its_task_made_room_for_others() {
    let web = Web::start("profile = \"provision\"");
    let token = web.token(&["--ttl", "1h"]);
    let agent = Agent::new(&web, &token);
    let args = json!({ "description": "by an agent" });
    let wish = json!({ "method": "PUT", "path": "/nodes/pve1/lxc/101/config", "args": args });
    let plan = answer(&agent.call("plan", &wish))["plan_id"].clone();
    let apply = json!({ "message": message("apply", &json!({ "plan_id": plan })) });
    let first = agent.send(&apply);
    assert_eq!(state(&first), "COMPLETED", "{first}");
    for _ in 0..130 {
        agent.call("status", &json!({}));
    }
    assert_eq!(agent.error("GetTask", &json!({ "id": first["id"] })).0, -32001, "it has made room");
    let looks = || web.receipts().iter().filter(|receipt| receipt["tool"] == "status").count();
    eventually("what only looked is on the disk too", || looks() == 130);
    let before = web.receipts().len();
    assert_eq!(agent.error("SendMessage", &apply), (-32004, "unsupported".into()));
    assert_eq!(web.receipts().len(), before, "nothing was tried");
}

#[test]
fn who_hangs_up_finds_the_task_again_and_who_cancels_stops_listening_while_pve_goes_on() {
    let web = Web::paced("profile = \"provision\"", 0.5);
    let token = web.token(&["--ttl", "1h"]);
    let agent = Agent::new(&web, &token);
    let id = agent.begin("apply", &json!({ "plan_id": backup(&agent) }));
    eventually("the change has begun", || {
        web.receipts().iter().any(|it| it["kind"] == "intent")
            && agent.get(&id)["status"]["message"].is_object()
    });
    assert_eq!(state(&agent.get(&id)), "WORKING");
    // From the middle on, and by two at once.
    let heard = [0, 1].map(|_| agent.listen("SubscribeToTask", &json!({ "id": id })));
    let working =
        json!({ "taskId": id, "messageId": "m", "role": "ROLE_USER", "parts": [{ "text": "faster" }] });
    assert_eq!(agent.error("SendMessage", &json!({ "message": working })).0, -32004);
    eventually("the listeners are there", || agent.get(&id)["status"]["message"].is_object());
    let canceled = agent.result("CancelTask", &json!({ "id": id }));
    assert_eq!(state(&canceled), "CANCELED");
    for heard in heard {
        let last = heard.join().unwrap().pop().unwrap();
        assert_eq!(state(last.get("statusUpdate").unwrap_or(&last["task"])), "CANCELED", "{last}");
    }
    assert_eq!(agent.error("CancelTask", &json!({ "id": id })), (-32002, "ended".into()));
    assert_eq!(agent.error("SubscribeToTask", &json!({ "id": id })).0, -32004);
    let more = json!({ "taskId": id, "messageId": "m", "role": "ROLE_USER", "parts": [{ "text": "go on" }] });
    assert_eq!(agent.error("SendMessage", &json!({ "message": more })).0, -32004);
    // The change itself goes on to its end, and is recorded.
    eventually("the outcome is on record", || web.receipts().iter().any(|it| it["kind"] == "outcome"));
}

#[test]
fn tasks_are_listed_the_latest_first_by_page_context_and_state() {
    let web = Web::start("");
    let token = web.token(&[]);
    let agent = Agent::new(&web, &token);
    let made: Vec<Value> = (0..5).map(|_| agent.call("status", &json!({}))).collect();
    agent.call("read", &json!({ "path": "/no/such/path" }));
    let list = |params: Value| agent.result("ListTasks", &params);
    let all = list(json!({}));
    assert_eq!(
        (&all["totalSize"], &all["pageSize"], &all["nextPageToken"]),
        (&json!(6), &json!(50), &json!(""))
    );
    let times: Vec<&str> = all["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["status"]["timestamp"].as_str().unwrap())
        .collect();
    assert!(times.is_sorted_by(|later, earlier| later >= earlier), "{times:?}");
    assert!(all["tasks"][0].get("artifacts").is_none(), "{all}");
    assert!(list(json!({ "includeArtifacts": true }))["tasks"][0]["artifacts"].is_array());
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = list(json!({ "pageSize": 2, "pageToken": token }));
        seen.extend(page["tasks"].as_array().unwrap().iter().map(|task| task["id"].clone()));
        token = page["nextPageToken"].as_str().unwrap().to_owned();
        if token.is_empty() {
            break;
        }
    }
    let ids: Vec<Value> = all["tasks"].as_array().unwrap().iter().map(|task| task["id"].clone()).collect();
    assert_eq!(seen, ids);
    assert_eq!(list(json!({ "status": "TASK_STATE_FAILED" }))["totalSize"], 1);
    assert_eq!(list(json!({ "contextId": made[0]["contextId"] }))["tasks"][0]["id"], made[0]["id"]);
    assert_eq!(list(json!({ "statusTimestampAfter": "2999-01-01T00:00:00Z" }))["totalSize"], 0);
    for wrong in [
        json!({ "pageSize": 0 }),
        json!({ "pageSize": 101 }),
        json!({ "pageToken": "x" }),
        json!({ "status": "x" }),
        json!({ "historyLength": -1 }),
        json!({ "contextId": 7 }),
        json!({ "status": ["TASK_STATE_FAILED"] }),
        json!({ "pageToken": {} }),
        json!({ "statusTimestampAfter": 7 }),
        json!({ "includeArtifacts": "yes" }),
        json!({ "includeArtifacts": 1 }),
    ] {
        assert_eq!(agent.error("ListTasks", &wrong).0, -32602, "{wrong}");
    }
}
