//! Hosts that are gone, refuse or come back; many calls meanwhile are in `storm`.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::common::eventually;
use crate::machines::{Connected, five};

pub fn unanswered<'a>(answer: &'a Value, host: &str) -> &'a Value {
    let list = answer["unanswered"].as_array().unwrap_or_else(|| panic!("somebody is missing: {answer}"));
    let of = list.iter().find(|one| one["host"] == host);
    &of.unwrap_or_else(|| panic!("{host} is missing: {answer}"))["error"]
}

pub fn versions(connected: &mut Connected) -> Value {
    connected.call("read", json!({ "path": "/version" }))
}

pub fn hosts(answer: &Value) -> Vec<&str> {
    answer["data"].as_array().expect("rows").iter().filter_map(|row| row["host"].as_str()).collect()
}

#[test]
fn a_host_that_comes_back_is_there_again_by_itself() {
    let fleet = five();
    fleet.machine("five").refuse();
    let mut connected = fleet.connect();
    assert_eq!(hosts(&versions(&mut connected)), ["one", "three", "four"]);
    fleet.machine("five").admit(&fleet);
    eventually("the host is asked again", || {
        let answer = versions(&mut connected);
        hosts(&answer).contains(&"five")
    });
}

#[test]
fn where_the_first_member_of_a_cluster_is_gone_the_next_is_asked() {
    let fleet = five();
    let mut connected = fleet.connect();
    let path = json!({ "path": "/cluster/resources", "args": { "type": "storage" } });
    assert_eq!(hosts(&connected.call("read", path.clone()))[0], "one");
    fleet.machine("one").signal(Signal::SIGKILL);
    eventually("the other member answers", || {
        let answer = connected.call("read", path.clone());
        hosts(&answer).contains(&"two")
    });
    // Its own guests are read by way of the other, too; but nothing runs in them from there.
    let vmid = (100..).find(|vmid| vmid % 3 == 0 && vmid % 5 < 2).unwrap();
    let answer = connected.call("read", json!({ "path": format!("/nodes/pve1/lxc/{vmid}/config") }));
    assert_eq!(answer["host"], "two", "{answer}");
    let error = connected.refused("exec", json!({ "guest": vmid, "argv": ["true"] }));
    assert!(["no_daemon", "closed", "lost"].contains(&error["kind"].as_str().unwrap()), "{error}");
}

#[test]
fn a_call_that_was_under_way_is_not_made_again() {
    let fleet = five();
    let mut connected = fleet.connect();
    versions(&mut connected);
    fleet.machine("three").signal(Signal::SIGSTOP);
    let call = connected.client.start("exec", json!({ "guest": 501, "argv": ["true"], "host": "three" }));
    // Another, so that it is known to be on its way.
    connected.call("read", json!({ "path": "/version", "host": "four" }));
    fleet.machine("three").signal(Signal::SIGKILL);
    let answer = connected.client.answer(call);
    let error = &answer["result"]["structuredContent"]["error"];
    assert_eq!(error["kind"], "lost", "{answer}");
    assert!(error["next"].as_str().unwrap().contains("audit"), "{answer}");
}

/// What is done cannot be taken back by a word of warning that comes with the answer.
#[test]
fn while_a_host_is_not_known_no_guest_is_changed_that_it_might_have_too() {
    let fleet = five();
    fleet.machine("five").refuse();
    let mut connected = fleet.connect();
    for (tool, mut args) in [
        ("exec", json!({ "guest": 501, "argv": ["true"], "mode": "change" })),
        ("file_put", json!({ "guest": 501, "path": "/etc/motd", "content": "x" })),
    ] {
        let error = connected.refused(tool, args.clone());
        assert_eq!(error["kind"], "which_host", "{error}");
        let said = format!("{} {}", error["message"], error["next"]);
        assert!(said.contains("on five") && said.contains("`host` three"), "{said}");
        args["host"] = json!("three");
        assert_ne!(
            connected.refused(tool, args)["kind"],
            "which_host",
            "the host itself refuses: exec is off"
        );
    }
    let looked = connected.refused("exec", json!({ "guest": 501, "argv": ["true"] }));
    assert_ne!(looked["kind"], "which_host", "{looked}");
}
