//! The tools on the API, resources, prompts, completions and tasks, as each real client gets them: against a simulated
//! cluster, over `provost bridge`. Needs no container.
//!
//! Every client does the same and says what it saw, step by step; what must have been seen is here, once.

mod inspector;
mod rust_sdk;
mod wire;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::script::{Script, packages};
use crate::sdk::{done, failed};
use crate::site::Site;
use crate::workstation::{Missing, or_say_why};

/// A client under way.
trait Steps {
    /// What it saw next, which must be of that step.
    fn step(&mut self, step: &str) -> Value;
    /// Gives it the line that it waits for.
    fn tell(&mut self, line: &str);
}

impl Steps for Script {
    fn step(&mut self, step: &str) -> Value {
        Script::step(self, step)
    }

    fn tell(&mut self, line: &str) {
        Script::tell(self, line);
    }
}

const PYTHON: &str = "mcp";
const TYPESCRIPT: &str = "@modelcontextprotocol/client";
const TYPESCRIPT_1: &str = "@modelcontextprotocol/sdk";

#[test]
fn the_python_sdk_reads_completes_follows_and_cancels_by_handshake() {
    or_say_why(whole_product(PYTHON, Some("legacy"), "2025-11-25"));
}

#[test]
fn the_python_sdk_reads_completes_follows_and_cancels_by_discovery() {
    or_say_why(whole_product(PYTHON, Some("auto"), "2026-07-28"));
}

#[test]
fn the_typescript_sdk_reads_completes_follows_and_cancels_by_handshake() {
    or_say_why(whole_product(TYPESCRIPT, Some("legacy"), "2025-11-25"));
}

#[test]
fn the_typescript_sdk_reads_completes_follows_and_cancels_by_discovery() {
    or_say_why(whole_product(TYPESCRIPT, Some("auto"), "2026-07-28"));
}

#[test]
fn the_first_typescript_sdk_reads_completes_follows_and_cancels() {
    or_say_why(whole_product(TYPESCRIPT_1, None, "2025-11-25"));
}

#[test]
fn the_python_sdk_follows_and_cancels_by_a_handle() {
    or_say_why(with_tasks(PYTHON));
}

#[test]
fn the_typescript_sdk_follows_and_cancels_by_a_handle() {
    or_say_why(with_tasks(TYPESCRIPT));
}

fn start(site: &Site, package: &str, mode: Option<&str>, tasks: bool) -> Result<Script, Missing> {
    let packages = packages()?;
    let mut task = json!({ "package": package, "command": wire::bridge(site), "tasks": tasks });
    if let Some(mode) = mode {
        task["mode"] = json!(mode);
    }
    let script = if package == PYTHON { "api.py" } else { "api.mjs" };
    Ok(Script::start(&packages, site.dir.path(), script, &task))
}

fn whole_product(package: &str, mode: Option<&str>, protocol: &str) -> Result<(), Missing> {
    let site = Site::paced();
    let mut script = start(&site, package, mode, false)?;
    judge(&mut script, &site, protocol);
    script.end();
    Ok(())
}

fn with_tasks(package: &str) -> Result<(), Missing> {
    let site = Site::paced();
    let mut script = start(&site, package, Some("auto"), true)?;
    judge_tasks(&mut script, &site);
    script.end();
    Ok(())
}

/// Starts a task of the cluster's own, as root would, for a client that waits for its UPID.
fn begin(client: &mut impl Steps, site: &Site) -> String {
    client.step("begin");
    let upid = backup(site);
    client.tell(&upid);
    upid
}

/// A task that takes some seconds.
fn backup(site: &Site) -> String {
    let upid = site.post("/nodes/pve1/vzdump", &[("vmid", "104"), ("storage", "backup")]);
    upid.as_str().expect("a UPID").to_owned()
}

/// Holds every step against what the product promises.
fn judge(client: &mut impl Steps, site: &Site, protocol: &str) {
    let connected = client.step("connected");
    assert_eq!(connected["protocol"], protocol);
    for capability in ["tools", "resources", "prompts", "completions"] {
        assert!(connected["capabilities"][capability].is_object(), "{capability}: {connected}");
    }
    let tools = client.step("tools")["tools"].clone();
    for name in ["find", "read"] {
        let tool = tools.as_array().unwrap().iter().find(|tool| tool["name"] == name).expect(name);
        assert_eq!(tool["annotations"]["readOnlyHint"], true, "{tool}");
    }
    read(client);
    resources(client);

    let upid = begin(client, site);
    let cancelled = client.step("cancelled");
    assert_eq!(cancelled["by_the_sdk"], true, "{cancelled}");
    let now = done(&cancelled);
    assert_eq!((&now["data"]["upid"], &now["data"]["status"]), (&json!(upid), &json!("running")), "{now}");
    let followed = client.step("followed");
    assert_eq!(done(&followed)["data"]["exitstatus"], "OK", "{followed}");
    let notices = followed["notices"].as_array().unwrap();
    let at: Vec<f64> = notices.iter().map(|notice| notice["progress"].as_f64().unwrap()).collect();
    assert!(!at.is_empty() && at.is_sorted() && at.iter().all(|at| *at <= 100.0), "{followed}");
    assert!(notices.iter().any(|notice| notice["message"].as_str().unwrap().contains("INFO")), "{followed}");
    over(client, site, 1);
}

fn read(client: &mut impl Steps) {
    let found = done(&client.step("find"));
    let first = &found["matches"][0];
    assert_eq!(
        (&first["method"], &first["path"]),
        (&json!("PUT"), &json!("/nodes/{node}/qemu/104/resize")),
        "{found}"
    );
    let list = done(&client.step("list"));
    let ids: Vec<&Value> = list["data"].as_array().unwrap().iter().map(|row| &row["vmid"]).collect();
    assert_eq!((ids, &list["total"]), (vec![&json!(9000), &json!(111)], &json!(4)), "{list}");
    assert!(list["next_cursor"].is_string(), "{list}");
    let blanks = done(&client.step("blanks"));
    assert_eq!(blanks["path"], "/nodes/pve1/qemu/104/config", "{blanks}");
    assert_eq!(blanks["data"]["name"], "web", "{blanks}");
    let refused = failed(&client.step("refused"), "not_a_read");
    assert!(refused["error"]["next"].as_str().unwrap().contains("plan"), "{refused}");
}

fn resources(client: &mut impl Steps) {
    let seen = client.step("resources");
    assert!(seen["uris"].as_array().unwrap().contains(&json!("provost://guests")), "{seen}");
    assert!(seen["templates"].as_array().unwrap().contains(&json!("provost://guest/{vmid}")), "{seen}");
    assert!(seen["guests"]["data"].as_array().unwrap().iter().any(|guest| guest["vmid"] == 104), "{seen}");
    assert_eq!(seen["guest"]["config"]["data"]["name"], "web", "{seen}");
    let prompts = client.step("prompts");
    assert_eq!(prompts["names"].as_array().unwrap().len(), 5, "{prompts}");
    assert!(prompts["text"].as_str().unwrap().contains("\"104\""), "{prompts}");
    let completed = client.step("completed");
    let guests = completed["guests"].as_array().unwrap();
    assert!(guests.contains(&json!("104")), "{completed}");
    assert!(guests.iter().all(|value| value.as_str().unwrap().contains('1')), "{completed}");
    assert_eq!(completed["kinds"], json!(["vm"]));
}

/// A client that knows tasks waits by a handle, and who cancels that stops nothing but their own waiting.
fn judge_tasks(client: &mut impl Steps, site: &Site) {
    begin(client, site);
    assert_eq!(client.step("handle")["status"], "working");
    let followed = client.step("followed");
    assert_eq!(done(&followed)["data"]["exitstatus"], "OK", "{followed}");
    let upid = begin(client, site);
    let cancelled = client.step("cancelled");
    assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
    let now = done(&cancelled);
    assert_eq!((&now["data"]["upid"], &now["data"]["status"]), (&json!(upid), &json!("running")), "{now}");
    // By their handle, not by their request.
    over(client, site, 0);
}

/// The client has heard nothing that it did not understand, and the daemon has seen it go.
fn over(client: &mut impl Steps, site: &Site, cancels: usize) {
    let closed = client.step("closed");
    assert!(closed["troubles"].as_array().is_none_or(Vec::is_empty), "{closed}");
    let deadline = Instant::now() + Duration::from_secs(10);
    while site.log().matches(": connected").count() > site.log().matches(": disconnected").count() {
        assert!(Instant::now() < deadline, "the session is over on the node too");
        std::thread::sleep(Duration::from_millis(5));
    }
    wire::judge(site, cancels);
}
