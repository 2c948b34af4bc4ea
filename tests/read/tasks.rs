//! Waiting for PVE's tasks: by progress, as an MCP task, and not at all.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::Client;
use crate::site::{Site, path, read, refused};

/// Starts a task of the cluster's own, as root would, and returns its UPID.
pub fn begin(site: &Site) -> String {
    let upid = site.post("/nodes/pve1/vzdump", &[("vmid", "104"), ("storage", "backup")]);
    upid.as_str().expect("a UPID").to_owned()
}

#[test]
fn a_task_that_has_ended_is_told_with_its_log() {
    let site = Site::start();
    let mut client = site.client();
    let upid = read(&mut client, path("/nodes/pve1/tasks"))["data"][0]["upid"].clone();
    let told = read(&mut client, json!({ "path": upid, "wait": 10 }));
    assert_eq!(told["data"]["status"], "stopped", "{told}");
    assert!(told["data"]["log"].to_string().contains("TASK OK"), "{told}");
    let plain = read(&mut client, json!({ "path": upid }));
    assert_eq!(plain["data"]["exitstatus"], "OK", "{plain}");
}

#[test]
fn a_running_task_is_followed_with_progress() {
    let site = Site::paced();
    let mut client = site.client();
    let upid = begin(&site);
    let arguments = json!({ "path": upid, "wait": 30 });
    let id = client.send(
        "tools/call",
        json!({ "name": "read", "arguments": arguments, "_meta": { "progressToken": "p" } }),
    );
    let answer = client.answer(id);
    let data = &answer["result"]["structuredContent"]["data"];
    assert_eq!(data["exitstatus"], "OK", "{answer}");
    let heard: Vec<&Value> =
        client.notifications.iter().filter(|said| said["method"] == "notifications/progress").collect();
    assert!(!heard.is_empty());
    let at: Vec<f64> = heard.iter().map(|said| said["params"]["progress"].as_f64().unwrap()).collect();
    assert!(at.is_sorted() && at.iter().all(|at| *at <= 100.0), "{at:?}");
}

#[test]
fn who_cancels_stops_waiting_and_the_task_goes_on() {
    let site = Site::paced();
    let mut client = site.client();
    let upid = begin(&site);
    let id = client.start("read", json!({ "path": upid, "wait": 60 }));
    let began = Instant::now();
    client.cancel(id);
    // The session still serves, and the task is PVE's.
    let now = read(&mut client, json!({ "path": upid }));
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(now["data"]["status"], "running", "{now}");
    assert_eq!(read(&mut client, json!({ "path": upid, "wait": 30 }))["data"]["exitstatus"], "OK");
}

#[test]
fn a_wait_that_ends_before_the_task_says_so() {
    let site = Site::paced();
    let mut client = site.client();
    let told = read(&mut client, json!({ "path": begin(&site), "wait": 1 }));
    assert_eq!(told["data"]["status"], "running", "{told}");
    assert!(told["data"]["next"].as_str().unwrap().contains("again"), "{told}");
    let unknown = "UPID:pve1:0000FFFF:0007AAAA:6B01AAAA:vzdump:104:root@pam:";
    let error = refused(&mut client, json!({ "path": unknown, "wait": 5 }));
    assert!(error["message"].as_str().unwrap().contains("task"), "{error}");
}

#[test]
fn a_client_that_knows_tasks_gets_a_handle_and_others_do_not_see_it() {
    let site = Site::paced();
    let mut client = WithTasks::of(&site);
    let upid = begin(&site);
    let handle = client.wait(&upid);
    assert_eq!(handle["resultType"], "task", "{handle}");
    let id = handle["taskId"].clone();
    let mut other = WithTasks::of(&site);
    let seen = other.request("tasks/get", json!({ "taskId": id }));
    assert_eq!(
        seen["result"]["status"], "working",
        "one user's handle, over any of their connections: {seen}"
    );
    let deadline = Instant::now() + Duration::from_secs(30);
    let done = loop {
        let now = client.request("tasks/get", json!({ "taskId": id }));
        if now["result"]["status"] != "working" {
            break now;
        }
        assert!(Instant::now() < deadline, "{now}");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(done["result"]["status"], "completed", "{done}");
    assert_eq!(done["result"]["result"]["structuredContent"]["data"]["exitstatus"], "OK", "{done}");

    let cancelled = client.wait(&begin(&site))["taskId"].clone();
    client.request("tasks/cancel", json!({ "taskId": cancelled }));
    crate::common::eventually("the task is cancelled", || {
        client.request("tasks/get", json!({ "taskId": cancelled }))["result"]["status"] == "cancelled"
    });
    let nonsense = client.request("tasks/get", json!({ "taskId": "nonsense" }));
    assert!(nonsense["error"].is_object(), "{nonsense}");
}

#[test]
fn a_revision_from_before_tasks_gets_the_answer_itself_whatever_its_client_declares() {
    let site = Site::paced();
    let mut client = connected(&site);
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": knows_tasks(), "clientInfo": client_info() });
    client.request("initialize", hello);
    client.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    let told = read(&mut client, json!({ "path": begin(&site), "wait": 60 }));
    assert_eq!(told["data"]["exitstatus"], "OK", "{told}");
}

/// A session of the revision that has tasks; it says with each request that it knows them.
pub struct WithTasks(Client);

impl WithTasks {
    pub fn of(site: &Site) -> Self {
        Self(connected(site))
    }

    pub fn request(&mut self, method: &str, mut params: Value) -> Value {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": client_info(),
            "io.modelcontextprotocol/clientCapabilities": knows_tasks(),
        });
        self.0.request(method, params)
    }

    /// `read` of a task, with patience: its result.
    pub fn wait(&mut self, upid: &str) -> Value {
        let arguments = json!({ "path": upid, "wait": 60 });
        self.request("tools/call", json!({ "name": "read", "arguments": arguments }))["result"].clone()
    }
}

fn connected(site: &Site) -> Client {
    Client::raw(std::os::unix::net::UnixStream::connect(site.socket()).expect("connect"))
}

fn knows_tasks() -> Value {
    json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } })
}

fn client_info() -> Value {
    json!({ "name": "t", "version": "1" })
}
