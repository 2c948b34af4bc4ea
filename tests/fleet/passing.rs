//! What passes through both ways: progress, cancellation, questions to the person, tasks, and the end of input.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use provost::sim::estate::recorded;
use serde_json::{Value, json};

use crate::common::{Client, eventually, messages};
use crate::fake::{Fake, is_read};
use crate::machines::{Connected, Fleet, alone, start};
use crate::site::Site;

/// A node whose tasks take their time, and another.
fn paced() -> Fleet {
    let other = Site::with(alone("shed", &[501]), &crate::site::everybody(""));
    Fleet::around(vec![("slow", Site::paced()), ("other", other)])
}

/// Starts a task there, as root would.
fn begin(fleet: &Fleet) -> String {
    let upid =
        fleet.machine("slow").site.post("/nodes/pve1/vzdump", &[("vmid", "104"), ("storage", "backup")]);
    upid.as_str().expect("a UPID").to_owned()
}

#[test]
fn progress_reaches_the_client_in_order_and_before_the_answer() {
    let fleet = paced();
    let mut connected = fleet.connect();
    let params = json!({
        "name": "read", "arguments": { "path": begin(&fleet), "wait": 30 }, "_meta": { "progressToken": "p" },
    });
    let id = connected.client.send("tools/call", params);
    let answer = connected.client.answer(id);
    assert_eq!(answer["result"]["structuredContent"]["data"]["exitstatus"], "OK", "{answer}");
    let heard = std::mem::take(&mut connected.client.notifications);
    let heard: Vec<&Value> = heard.iter().filter(|said| said["method"] == "notifications/progress").collect();
    assert!(!heard.is_empty());
    assert!(heard.iter().all(|said| said["params"]["progressToken"] == "p"), "{heard:?}");
    let at: Vec<f64> = heard.iter().map(|said| said["params"]["progress"].as_f64().unwrap()).collect();
    assert!(at.is_sorted(), "{at:?}");
    // Nothing of it comes later.
    connected.call("status", json!({ "host": "other" }));
    assert!(connected.client.notifications.is_empty(), "{:?}", connected.client.notifications);
}

#[test]
fn a_call_that_is_cancelled_is_cancelled_at_its_host() {
    let dir = tempfile::tempdir().expect("a directory");
    let fake = Fake::start(
        dir.path(),
        "fake",
        // It never answers this one.
        Box::new(|_, message| is_read(message, "/version").then_some(Value::Null)),
    );
    let mut connected = Connected::new(&[format!("fake={}", fake.socket.display())]);
    let call = connected.client.start("read", json!({ "path": "/version" }));
    let heard = || fake.heard.recv_timeout(Duration::from_secs(10)).expect("a message");
    let asked = loop {
        let message = heard();
        if is_read(&message, "/version") {
            break message;
        }
    };
    connected.client.cancel(call);
    let cancelled = loop {
        let message = heard();
        if message["method"] == "notifications/cancelled" {
            break message;
        }
    };
    assert_eq!(cancelled["params"]["requestId"], asked["id"]);
    // The session goes on, and the call has no answer.
    connected.call("status", json!({}));
}

#[test]
fn a_client_that_is_gone_ends_what_it_asked_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let fake = Fake::start(
        dir.path(),
        "fake",
        Box::new(|_, message| is_read(message, "/version").then_some(Value::Null)),
    );
    let (mut process, ours) = start(&[format!("fake={}", fake.socket.display())]);
    let mut client = Client::raw(ours);
    let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    client.request("initialize", hello);
    client.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    client.start("read", json!({ "path": "/version" }));
    while !is_read(&fake.heard.recv_timeout(Duration::from_secs(10)).expect("a message"), "/version") {}
    drop(client);
    eventually("it has ended", || process.try_wait().expect("wait").is_some());
}

/// Whoever runs the test may do all, and approves it in the client's dialog.
fn dialog() -> Fleet {
    let me = nix::unistd::Uid::effective();
    let roles = format!(
        "[approval]\nmembers = [\"user:{me}\"]\n[[role]]\nname = \"test\"\nmembers = [\"user:{me}\"]\nprofile = \"full\"\n\
         approval = [\"change\"]\nself_approval = true"
    );
    Fleet::with(vec![("one", recorded()), ("other", alone("shed", &[501]))], &roles)
}

fn change(memory: u32) -> Value {
    json!({ "method": "PUT", "path": "/nodes/pve1/lxc/101/config", "args": { "memory": memory } })
}

#[test]
fn the_person_at_the_client_is_asked_by_the_host_that_made_the_plan() {
    let fleet = dialog();
    let mut connected = fleet.connect();
    let plan = connected.call("plan", change(1024));
    let call = connected.client.start("apply", json!({ "plan_id": plan["plan_id"] }));
    let question = connected.client.next().expect("a question");
    assert_eq!(question["method"], "elicitation/create", "{question}");
    let text = question["params"]["message"].as_str().unwrap();
    assert!(text.starts_with("[host one] ") && text.contains("memory: 768 -> 1024"), "{text}");
    let yes = json!({ "action": "accept", "content": { "approve": true } });
    connected.client.write(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": yes }));
    let applied = connected.client.answer(call)["result"]["structuredContent"].clone();
    assert_eq!((&applied["result"], &applied["host"]), (&json!("done"), &json!("one")), "{applied}");
}

/// A session of the revision without a handshake.
struct Stateless {
    connected: Connected,
    capabilities: Value,
}

impl Stateless {
    fn of(fleet: &Fleet, capabilities: Value) -> Self {
        let (process, ours) = start(&fleet.arguments(&fleet.names()));
        Self { connected: Connected { process, client: Client::raw(ours) }, capabilities }
    }

    fn request(&mut self, method: &str, mut params: Value) -> Value {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "t", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": self.capabilities,
        });
        self.connected.client.request(method, params)
    }

    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.request("tools/call", json!({ "name": tool, "arguments": arguments }));
        assert!(answer["error"].is_null(), "{answer}");
        answer["result"].clone()
    }
}

#[test]
fn a_client_of_the_newest_revision_is_asked_by_its_hosts_answer_and_the_state_goes_back_there() {
    let fleet = dialog();
    let mut client = Stateless::of(&fleet, json!({ "elicitation": {} }));
    let plan = client.call("plan", change(1024))["structuredContent"]["plan_id"].clone();
    let asked = client.call("apply", json!({ "plan_id": plan }));
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let text = asked["inputRequests"]["approve"]["params"]["message"].as_str().unwrap();
    assert!(text.starts_with("[host one] "), "{text}");
    let state = asked["requestState"].as_str().unwrap();
    let own = state.strip_prefix("one/").expect("the host's name");
    let yes = json!({ "approve": { "action": "accept", "content": { "approve": true } } });
    for (forged, kind) in [(format!("other/{own}"), "no_such_plan"), (own.to_owned(), "request_state")] {
        let params = json!({ "name": "apply", "arguments": { "plan_id": plan }, "inputResponses": yes, "requestState": forged });
        let refused = client.request("tools/call", params)["result"]["structuredContent"]["error"].clone();
        assert_eq!(refused["kind"], kind, "{forged}: {refused}");
    }
    let params = json!({ "name": "apply", "arguments": { "plan_id": plan }, "inputResponses": yes, "requestState": state });
    let applied = client.request("tools/call", params)["result"]["structuredContent"].clone();
    assert_eq!((&applied["result"], &applied["host"]), (&json!("done"), &json!("one")), "{applied}");
}

#[test]
fn a_task_is_asked_about_at_the_host_that_has_it() {
    let fleet = paced();
    let mut client = Stateless::of(&fleet, json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } }));
    let handle = client.call("read", json!({ "path": begin(&fleet), "wait": 60 }));
    assert_eq!(handle["resultType"], "task", "{handle}");
    let id = handle["taskId"].as_str().unwrap().to_owned();
    assert!(id.starts_with("slow/"), "{id}");
    let mut last = Value::Null;
    eventually("the task ends", || {
        last = client.request("tasks/get", json!({ "taskId": id }))["result"].clone();
        last["status"] == "completed"
    });
    assert_eq!(last["taskId"], id, "{last}");
    let told = &last["result"]["structuredContent"];
    assert_eq!((&told["data"]["exitstatus"], &told["host"]), (&json!("OK"), &json!("slow")), "{last}");
    let cancelled = client.call("read", json!({ "path": begin(&fleet), "wait": 60 }))["taskId"].clone();
    client.request("tasks/cancel", json!({ "taskId": cancelled }));
    eventually("the task is cancelled", || {
        client.request("tasks/get", json!({ "taskId": cancelled }))["result"]["status"] == "cancelled"
    });
    for unknown in [id.replace("slow/", "other/"), id.replace("slow/", ""), "nowhere/1".to_owned()] {
        assert!(client.request("tasks/get", json!({ "taskId": unknown }))["error"].is_object(), "{unknown}");
    }
}

#[test]
fn a_line_that_is_no_message_is_answered_and_the_session_goes_on() {
    let (mut process, ours) = start(&["gone=/nonexistent".to_owned()]);
    let mut client = Client::raw(ours);
    let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    client.request("initialize", hello);
    client.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    for (line, code) in [
        (&b"no JSON"[..], -32700),
        (b"{\"jsonrpc\":\"2.0\",\"id\":", -32700),
        (b"\xff\xfe", -32700),
        (b"{\"id\":5}", -32600),
        (b"[]", -32600),
    ] {
        client.stream().write_all(&[line, b"\n"].concat()).expect("write");
        let answer = client.next().expect("an answer");
        let shown = String::from_utf8_lossy(line);
        assert_eq!(
            (&answer["error"]["code"], &answer["id"]),
            (&json!(code), &Value::Null),
            "{shown}: {answer}"
        );
    }
    let answer = client.request("ping", json!({}));
    assert_eq!(answer["result"], json!({}), "{answer}");
    drop(client);
    eventually("it has ended", || process.try_wait().expect("wait").is_some());
}

#[test]
fn input_that_has_ended_still_gets_its_answers_and_nothing_is_left_running() {
    let fleet = paced();
    let mut child = Command::new(env!("CARGO_BIN_EXE_provost"))
        .arg("connect")
        .args(fleet.arguments(&fleet.names()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start");
    let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    let lines = [
        json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "read", "arguments": { "path": "/version" } } }),
    ];
    let mut input = child.stdin.take().expect("stdin");
    lines.iter().for_each(|line| writeln!(input, "{line}").expect("write"));
    drop(input);
    let output = child.wait_with_output().expect("wait");
    let answers = messages(&output);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert_eq!(
        answers[1]["result"]["structuredContent"]["data"].as_array().map(Vec::len),
        Some(2),
        "{answers:?}"
    );
    // Each ssh has this fleet's own configuration in its arguments.
    let config = fleet.ssh_config().display().to_string();
    eventually("every ssh has ended", || {
        let processes = std::fs::read_dir("/proc").expect("proc").flatten();
        !processes.into_iter().any(|process| {
            let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&command).starts_with("ssh\0")
                && String::from_utf8_lossy(&command).contains(&config)
        })
    });
}
