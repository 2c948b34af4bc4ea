//! What a role loses while something that it began goes on.

use std::time::{Duration, Instant};
use std::{fs, thread};

use serde_json::{Value, json};

use crate::site::{Site, everybody, read};
use crate::tasks::{WithTasks, begin};

/// Puts these roles in place of those that there are; the daemon looks before each call.
fn roles(site: &Site, roles: &str) {
    let file = site.dir.path().join("provost.toml");
    let text = fs::read_to_string(&file).expect("configuration");
    let rest = text.split("[[role]]").next().expect("a beginning");
    let new = site.dir.path().join("new.toml");
    fs::write(&new, format!("{rest}{roles}\n")).expect("write");
    fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("mode");
    fs::rename(new, file).expect("rename");
}

/// Each is less than the role had when the wait began: another guest, a denial, nothing at all.
fn less() -> [(String, &'static str); 3] {
    [
        (everybody("guests = [105]"), "guest_out_of_scope"),
        (everybody("deny = [\"GET /nodes/{node}/tasks/{upid}/log\"]"), "denied_to_role"),
        (String::new(), "no_role"),
    ]
}

#[test]
fn who_follows_a_task_is_stopped_when_the_role_no_longer_has_it() {
    for (less, kind) in less() {
        let site = Site::paced();
        let mut client = site.client();
        let upid = begin(&site);
        let began = Instant::now();
        let id = client.start("read", json!({ "path": upid, "wait": 60 }));
        thread::sleep(Duration::from_millis(200));
        roles(&site, &less);
        let answer = client.answer(id);
        assert_eq!(answer["result"]["structuredContent"]["error"]["kind"], kind, "{answer}");
        assert!(answer["result"]["structuredContent"]["data"].is_null(), "{answer}");
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn a_handle_outlives_no_role() {
    for (less, kind) in less() {
        let site = Site::paced();
        let mut client = WithTasks::of(&site);
        let running = client.wait(&begin(&site))["taskId"].clone();
        roles(&site, &less);
        let told = ended(&mut client, &running);
        assert!(told.contains(kind) || told.contains("role_changed"), "{kind}: {told}");
        assert!(!told.contains("TASK OK") && !told.contains("statusMessage"), "{told}");
    }
}

#[test]
fn a_kept_result_is_withheld_from_a_role_that_has_changed() {
    for (less, kind) in less() {
        let site = Site::paced();
        let mut client = WithTasks::of(&site);
        let id = client.wait(&begin(&site))["taskId"].clone();
        assert!(ended(&mut client, &id).contains("TASK OK"));
        roles(&site, &less);
        let told = ended(&mut client, &id);
        assert!(!told.contains("TASK OK"), "{told}");
        let said = if kind == "no_role" { "no_role" } else { "role_changed" };
        assert!(told.contains(said), "{kind}: {told}");
        // By what the role was again, it is there again.
        roles(&site, &everybody(""));
        assert!(ended(&mut client, &id).contains("TASK OK"));
    }
}

/// What the handle says once it no longer says that work goes on.
fn ended(client: &mut WithTasks, id: &Value) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let now = client.request("tasks/get", json!({ "taskId": id }));
        if now["result"]["status"] != "working" {
            return now.to_string();
        }
        assert!(Instant::now() < deadline, "{now}");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn what_is_read_by_a_role_that_has_changed_since_is_not_shown_by_the_old_one() {
    let site = Site::paced();
    let mut client = site.client();
    read(&mut client, json!({ "path": "/nodes/pve1/qemu/105/config" }));
    roles(&site, &everybody("guests = [104]"));
    let result = client.call("read", json!({ "path": "/nodes/pve1/qemu/105/config" }));
    assert_eq!(result["structuredContent"]["error"]["kind"], "guest_out_of_scope", "{result}");
}
