//! Hosts that are gone, refuse or come back; many calls meanwhile are in `storm`.

use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::common::eventually;
use crate::machines::{Connected, Fleet, alone, five, member};

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

/// A member that hangs is hung up on after this, and what waits for it ends then.
const HUNG_UP: Duration = Duration::from_secs(15);

#[test]
fn a_member_that_hangs_holds_nothing_that_another_of_its_cluster_can_answer() {
    let fleet =
        Fleet::of(vec![("one", member("pve1")), ("two", member("pve2")), ("three", alone("shed", &[501]))]);
    let mut connected = fleet.connect();
    let path = json!({ "path": "/cluster/resources", "args": { "type": "storage" } });
    assert_eq!(hosts(&connected.call("read", path.clone()))[0], "one");
    // Something may have changed there, so that what it has is asked for anew.
    connected.refused("apply", json!({ "plan_id": "0".repeat(32), "host": "two" }));
    fleet.machine("two").signal(Signal::SIGSTOP);
    let began = Instant::now();
    let answer = connected.call("read", path.clone());
    println!("while the second hangs: {:?}", began.elapsed());
    assert!(began.elapsed() < HUNG_UP / 2, "{:?}", began.elapsed());
    assert_eq!((hosts(&answer)[0], &answer["unanswered"]), ("one", &Value::Null), "{answer}");
    fleet.machine("two").signal(Signal::SIGCONT);
    connected.call("read", json!({ "path": "/version", "host": "two" }));

    fleet.machine("one").signal(Signal::SIGSTOP);
    let began = Instant::now();
    let answer = connected.call("read", path);
    println!("while the first hangs: {:?}", began.elapsed());
    assert_eq!((hosts(&answer)[0], &answer["unanswered"]), ("two", &Value::Null), "{answer}");
    let answer = connected.client.request("resources/read", json!({ "uri": "provost://node/pve1" }));
    let text = answer["result"]["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
    assert_eq!(serde_json::from_str::<Value>(text).expect("JSON")["host"], "two");
    let asked = json!({
        "ref": { "type": "ref/resource", "uri": "provost://guest/{vmid}" }, "argument": { "name": "vmid", "value": "10" },
    });
    let answer = connected.client.request("completion/complete", asked);
    assert!(answer["result"]["completion"]["values"].to_string().contains("102"), "{answer}");
    println!("and a resource and a completion: {:?}", began.elapsed());
    assert!(began.elapsed() < HUNG_UP * 2 / 3, "{:?}", began.elapsed());
    fleet.machine("one").signal(Signal::SIGCONT);
}

#[test]
fn a_host_that_never_begins_a_session_is_waited_for_once() {
    let fleet = Fleet::of(vec![("three", alone("shed", &[501]))]);
    let mute = fleet.dir().join("mute.sock");
    let _listener = UnixListener::bind(&mute).expect("bind");
    let socket = fleet.machine("three").site.socket();
    let mut connected =
        Connected::new(&[format!("three={}", socket.display()), format!("mute={}", mute.display())]);
    let began = Instant::now();
    let answer = versions(&mut connected);
    println!("the first read: {:?}", began.elapsed());
    assert_eq!((hosts(&answer), &unanswered(&answer, "mute")["kind"]), (vec!["three"], &json!("connecting")));
    // Three seconds after the other has answered, and not three more.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let began = Instant::now();
    versions(&mut connected);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}
