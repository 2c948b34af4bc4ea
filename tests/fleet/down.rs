//! Hosts that are killed, hang, refuse or come back: each says why, and holds no other.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::common::eventually;
use crate::machines::{Connected, five};

fn unanswered<'a>(answer: &'a Value, host: &str) -> &'a Value {
    let list = answer["unanswered"].as_array().unwrap_or_else(|| panic!("somebody is missing: {answer}"));
    let of = list.iter().find(|one| one["host"] == host);
    &of.unwrap_or_else(|| panic!("{host} is missing: {answer}"))["error"]
}

fn versions(connected: &mut Connected) -> Value {
    connected.call("read", json!({ "path": "/version" }))
}

fn hosts(answer: &Value) -> Vec<&str> {
    answer["data"].as_array().expect("rows").iter().filter_map(|row| row["host"].as_str()).collect()
}

#[test]
fn one_killed_one_hanging_and_one_refusing_hold_nobody_and_say_why() {
    let fleet = five();
    fleet.machine("five").refuse();
    let mut connected = fleet.connect();
    let first = versions(&mut connected);
    assert_eq!(hosts(&first), ["one", "three", "four"]);
    let refused = unanswered(&first, "five");
    assert_eq!(refused["kind"], "ssh", "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("Permission denied (publickey)"), "{refused}");
    assert!(refused["next"].as_str().unwrap().contains("ssh -T -o BatchMode=yes -- five"), "{refused}");

    fleet.machine("four").signal(Signal::SIGSTOP);
    fleet.machine("three").signal(Signal::SIGKILL);
    let began = Instant::now();
    let answer = versions(&mut connected);
    let took = began.elapsed();
    assert_eq!(hosts(&answer), ["one"], "{answer}");
    for host in ["three", "four", "five"] {
        let error = unanswered(&answer, host);
        assert!(
            !error["message"].as_str().unwrap().is_empty() && error["next"].is_string(),
            "{host}: {error}"
        );
    }
    assert!(took < Duration::from_secs(8), "{took:?}");
    // A call to a host that is well takes no longer for it.
    for _ in 0..3 {
        let began = Instant::now();
        let answer = connected.call("read", json!({ "path": "/nodes/pve2/version" }));
        assert_eq!(answer["host"], "two");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
    // The one that hangs is given up, with a word, though its call has no limit of its own.
    let began = Instant::now();
    let error = connected.refused("read", json!({ "path": "/version", "host": "four" }));
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
    assert!(
        ["lost", "hung_up", "no_answer", "closed", "ssh"].contains(&error["kind"].as_str().unwrap()),
        "{error}"
    );
    // And so every host's state is to be seen.
    let status = connected.call("status", json!({}));
    let state = |host: &str| -> Value {
        let fleet = status["fleet"].as_array().unwrap();
        fleet.iter().find(|one| one["host"] == host).unwrap()["state"].clone()
    };
    assert_eq!((state("one"), state("five")), (json!("up"), json!("down")), "{status}");
    fleet.machine("four").signal(Signal::SIGCONT);
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
