//! The two ways to ask, the two forms, and the errors by the specification's codes.

use serde_json::{Value, json};

use super::{Agent, answer, events, fault, message, state};
use crate::web::{Answer, Web};

fn rest(web: &Web, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/a2a+json"),
        ("a2a-version", "1.0"),
    ];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    web.ask(method, &format!("/a2a/{path}"), &headers, &body)
}

#[test]
fn http_json_does_what_json_rpc_does() {
    let web = Web::start("");
    let token = web.token(&["--ttl", "1h"]);
    let ask = |method: &str, path: &str, body: &Value| rest(&web, &token, method, path, body);
    let sent = ask("POST", "message:send", &json!({ "message": message("status", &json!({})) }));
    assert_eq!(
        (sent.status, sent.header("content-type")),
        (200, Some("application/a2a+json")),
        "{}",
        sent.body
    );
    let task = sent.json()["task"].clone();
    let id = task["id"].as_str().unwrap();
    assert_eq!(state(&task), "COMPLETED");
    let got = ask("GET", &format!("tasks/{id}"), &Value::Null).json();
    assert_eq!(got, task);
    assert_eq!(got, Agent::new(&web, &token).get(id));
    // The message that asked, without those that may hold what nobody should keep.
    assert_eq!((&got["history"][0]["role"], &got["history"][0]["taskId"]), (&json!("ROLE_USER"), &json!(id)));
    assert!(ask("GET", &format!("tasks/{id}?historyLength=0"), &Value::Null).json().get("history").is_none());
    let args = json!({ "cipassword": "hunter2" });
    for (tool, secret) in [
        ("exec", json!({ "guest": 104, "argv": ["true"], "stdin": "hunter2", "mode": "change" })),
        ("plan", json!({ "method": "PUT", "path": "/nodes/pve1/qemu/104/config", "args": args })),
    ] {
        let ran = ask("POST", "message:send", &json!({ "message": message(tool, &secret) })).json();
        assert!(ran["task"]["id"].is_string() && !ran.to_string().contains("hunter2"), "{ran}");
    }
    let listed = ask("GET", "tasks?pageSize=1&includeArtifacts=true", &Value::Null).json();
    assert_eq!(listed["totalSize"], 3, "{listed}");
    let listed = ask("GET", "tasks?includeArtifacts=true", &Value::Null).json();
    assert!(listed["tasks"].as_array().unwrap().contains(&task), "{listed}");
    let stream = events(&ask("POST", "message:stream", &json!({ "message": message("status", &json!({})) })));
    assert!(
        stream[0]["task"].is_object() && state(&stream.last().unwrap()["statusUpdate"]) == "COMPLETED",
        "{stream:?}"
    );
    let card = ask("GET", "extendedAgentCard", &Value::Null).json();
    assert_eq!(card["capabilities"]["extensions"][0]["params"]["role"], "own");
    for (method, path, status, code) in [
        ("GET", "tasks/nobodys".to_owned(), 404, "NOT_FOUND"),
        ("POST", format!("tasks/{id}:cancel"), 400, "FAILED_PRECONDITION"),
        ("POST", format!("tasks/{id}:subscribe"), 400, "FAILED_PRECONDITION"),
        ("GET", format!("tasks/{id}:subscribe"), 400, "FAILED_PRECONDITION"),
        ("GET", format!("tasks/{id}/pushNotificationConfigs"), 400, "FAILED_PRECONDITION"),
        ("DELETE", format!("tasks/{id}/pushNotificationConfigs/x"), 400, "FAILED_PRECONDITION"),
        ("GET", "tasks?pageSize=1000".to_owned(), 400, "INVALID_ARGUMENT"),
        ("GET", "tasks?includeArtifacts=1".to_owned(), 400, "INVALID_ARGUMENT"),
        ("POST", "message:send".to_owned(), 400, "INVALID_ARGUMENT"),
    ] {
        let refused = ask(method, &path, &Value::Null);
        let error = &refused.json()["error"];
        assert_eq!((refused.status, error["status"].as_str()), (status, Some(code)), "{path}: {error}");
        assert_eq!(fault(error).0, i64::from(status));
    }
    let sent = json!({ "message": message("status", &json!({})) }).to_string();
    for path in ["message:send", "message:stream"] {
        let bearer = format!("Bearer {token}");
        for kind in [Some("text/plain"), Some("application/x-www-form-urlencoded"), None] {
            let kind = kind.map(|kind| ("content-type", kind));
            let headers: Vec<_> = [("authorization", bearer.as_str())].into_iter().chain(kind).collect();
            let typed = web.ask("POST", &format!("/a2a/{path}"), &headers, &sent);
            assert_eq!((typed.status, typed.kind()), (415, "content_type".into()), "{path} {kind:?}");
        }
    }
    assert_eq!(ask("DELETE", &format!("tasks/{id}"), &Value::Null).status, 405);
    assert_eq!(ask("GET", "nothing", &Value::Null).status, 404);
}

#[test]
fn a_client_of_0_3_has_the_same_by_its_own_names() {
    let web = Web::start("");
    let token = web.token(&["--ttl", "1h"]);
    let agent = Agent::old(&web, &token);
    let task = agent.call("read", &json!({ "path": "/version" }));
    assert_eq!(
        (task["status"]["state"].as_str(), &task["artifacts"][0]["parts"][0]["kind"]),
        (Some("completed"), &json!("data"))
    );
    assert_eq!(answer(&task), &web.tool(&token, "read", &json!({ "path": "/version" })).json());
    assert_eq!(agent.result("tasks/get", &json!({ "id": task["id"] })), task);
    let asked = &task["history"][0];
    assert_eq!(
        (&asked["kind"], &asked["role"], &asked["parts"][0]["kind"]),
        (&json!("message"), &json!("user"), &json!("data"))
    );
    let mut said = message("status", &json!({}));
    (said["kind"], said["role"], said["parts"][0]["kind"]) = (json!("message"), json!("user"), json!("data"));
    let told = agent.events("message/stream", &json!({ "message": said }));
    let kinds: Vec<&Value> = told.iter().map(|event| &event["kind"]).collect();
    assert_eq!(kinds, [&json!("task"), &json!("artifact-update"), &json!("status-update")], "{told:?}");
    assert_eq!((&told[2]["final"], &told[2]["status"]["state"]), (&json!(true), &json!("completed")));
    assert_eq!(agent.error("tasks/cancel", &json!({ "id": task["id"] })).0, -32002);
    assert_eq!(agent.error("tasks/resubscribe", &json!({ "id": task["id"] })).0, -32004);
    assert_eq!(agent.error("tasks/get", &json!({ "id": "nobodys" })), (-32001, "no_such_task".into()));
    assert_eq!(agent.error("tasks/pushNotificationConfig/set", &json!({})).0, -32003);
    let card = agent.result("agent/getAuthenticatedExtendedCard", &json!({}));
    assert_eq!(card["url"], "http://localhost/a2a");
    // Without a word of a version too, as its clients come.
    let bearer = format!("Bearer {token}");
    let request = json!({ "jsonrpc": "2.0", "id": 7, "method": "tasks/get", "params": { "id": task["id"] } });
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let got = web.ask("POST", "/a2a", &headers, &request.to_string()).json();
    assert_eq!((&got["id"], &got["result"]), (&json!(7), &task));
}

#[test]
fn what_is_no_request_is_refused_by_the_specifications_codes() {
    let web = Web::start("");
    let token = web.token(&["--ttl", "1h"]);
    let agent = Agent::new(&web, &token);
    let bearer = format!("Bearer {token}");
    let post = |version: &str, body: &str| {
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("a2a-version", version),
        ];
        let told = web.ask("POST", "/a2a", &headers, body).json();
        (told["error"]["code"].as_i64().unwrap_or_default(), told["id"].clone())
    };
    let get = json!({ "jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": { "id": "x" } });
    let with = |name: &str, value: Value| {
        let mut request = get.clone();
        request[name] = value;
        request.to_string()
    };
    for (version, body, code, id) in [
        ("1.0", "{".to_owned(), -32700, Value::Null),
        ("1.0", format!("[{get}]"), -32600, Value::Null),
        ("1.0", "7".to_owned(), -32600, Value::Null),
        ("1.0", with("jsonrpc", json!("1.0")), -32600, json!(1)),
        ("1.0", with("id", json!({})), -32600, Value::Null),
        ("1.0", with("id", json!(1.5)), -32600, Value::Null),
        ("1.0", json!({ "jsonrpc": "2.0", "method": "GetTask" }).to_string(), -32600, Value::Null),
        ("1.0", with("method", json!("tools/call")), -32601, json!(1)),
        ("1.0", with("method", json!("tasks/get")), -32601, json!(1)),
        ("1.0", with("params", json!([])), -32602, json!(1)),
        ("1.0", with("params", json!({})), -32602, json!(1)),
        ("0.3", get.to_string(), -32009, json!(1)),
        // Nothing said is what the method's name is of.
        ("", get.to_string(), -32001, json!(1)),
        ("0.2", get.to_string(), -32009, json!(1)),
        ("2.0", get.to_string(), -32009, json!(1)),
        ("1.0", get.to_string(), -32001, json!(1)),
    ] {
        assert_eq!(post(version, &body), (code, id), "{version} {body}");
    }
    let rest = web.ask("GET", "/a2a/tasks/x", &[("authorization", &bearer)], "");
    assert_eq!(rest.status, 404, "{}", rest.body);
    let old = [("authorization", bearer.as_str()), ("a2a-version", "0.3")];
    let rest = web.ask("GET", "/a2a/tasks/x", &old, "");
    let said = super::fault(&rest.json()["error"]).1;
    assert_eq!((rest.status, said), (400, "version".into()), "{}", rest.body);
    let typed = web.ask("POST", "/a2a", &[("authorization", &bearer), ("content-type", "text/plain")], "{}");
    assert_eq!((typed.status, typed.kind()), (415, "content_type".into()));
    assert_eq!(web.ask("GET", "/a2a", &[("authorization", &bearer)], "").status, 405);
    // Nobody is called back, however it is asked for.
    for method in ["Create", "Get", "Delete"] {
        let code = agent.error(&format!("{method}TaskPushNotificationConfig"), &json!({ "taskId": "x" })).0;
        assert_eq!(code, -32003, "{method}");
    }
    assert_eq!(agent.error("ListTaskPushNotificationConfigs", &json!({})).0, -32003);
    let push = json!({ "message": message("status", &json!({})), "configuration": { "taskPushNotificationConfig": { "url": "http://127.0.0.1:1" } } });
    assert_eq!(agent.error("SendMessage", &push).0, -32003);
    // And what a message must not be.
    let file = json!({ "messageId": "m", "role": "ROLE_USER", "parts": [{ "url": "file:///etc/shadow" }] });
    assert_eq!(agent.error("SendMessage", &json!({ "message": file })).0, -32005);
    assert_eq!(agent.error("SendMessage", &json!({})), (-32602, "arguments".into()));
}
