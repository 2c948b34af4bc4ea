//! Two hundred calls under way at five hosts, of which one is killed, one hangs and one refuses.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use provost::sim::estate::Estate;
use serde_json::{Value, json};

use crate::common::eventually;
use crate::down::{hosts, unanswered, versions};
use crate::machines::{Fleet, alone, member};
use crate::site::{Site, everybody};

/// Of each host.
const CALLS: usize = 40;
/// A call to a host that has stopped answering, and one to a host that cannot be connected to, are over after this at the latest.
const DEADLINE: Duration = Duration::from_secs(30);

/// Whose tasks end when somebody ends them.
fn slow(estate: Estate) -> Site {
    Site::listening_at(estate, &everybody(""), "", Some(0.02))
}

#[test]
fn two_hundred_calls_under_way_as_one_is_killed_one_hangs_and_one_refuses_all_end() {
    let mut fleet = Fleet::around(vec![
        ("one", slow(member("pve1"))),
        ("two", slow(member("pve2"))),
        ("three", slow(alone("shed", &[501]))),
        ("four", slow(alone("attic", &[601]))),
        ("five", slow(alone("cellar", &[701]))),
    ]);
    let mut connected = fleet.connect();
    assert_eq!(hosts(&versions(&mut connected)), ["one", "three", "four", "five"]);

    // Each waits for a task, which goes on until it is ended here.
    let at = [
        ("one", "pve1", 102),
        ("two", "pve2", 103),
        ("three", "shed", 501),
        ("four", "attic", 601),
        ("five", "cellar", 701),
    ];
    let tasks: HashMap<&str, String> = at
        .into_iter()
        .map(|(host, node, vmid)| {
            let backup = [("vmid", &*vmid.to_string()), ("storage", "backup")];
            let upid = fleet.machine(host).site.post(&format!("/nodes/{node}/vzdump"), &backup);
            (host, upid.as_str().expect("a task").to_owned())
        })
        .collect();
    let mut under_way: HashMap<u64, &str> = HashMap::new();
    for turn in 0..5 * CALLS {
        let (host, ..) = at[turn % 5];
        let wait = json!({ "path": tasks[host], "wait": 600 });
        under_way.insert(connected.client.start("read", wait), host);
    }
    // A host reads what comes in its order: when it has answered this, it has all of the above.
    for (host, ..) in at {
        let answer = connected.call("read", json!({ "path": "/version", "host": host }));
        assert_eq!(answer["host"], host);
    }
    let early = connected.client.notifications.iter().find(|message| message["id"].is_number());
    assert!(early.is_none(), "all 200 are under way: {early:?}");

    fleet.machine("three").signal(Signal::SIGKILL);
    fleet.machine("four").signal(Signal::SIGSTOP);
    fleet.machine("five").turn_out();
    let began = Instant::now();

    // While those wait: a read of all says who is missing, and one of a host that is well is answered soon.
    let answer = versions(&mut connected);
    assert_eq!(hosts(&answer), ["one"], "{answer}");
    for host in ["three", "four", "five"] {
        let error = unanswered(&answer, host);
        assert!(says(error), "{host}: {error}");
    }
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let well = Instant::now();
    assert_eq!(connected.call("read", json!({ "path": "/nodes/pve2/version" }))["host"], "two");
    assert!(well.elapsed() < Duration::from_secs(5), "{:?}", well.elapsed());

    // And calls that are made now to those that are not well.
    for host in ["three", "four", "five"] {
        let asked = json!({ "path": "/version", "host": host });
        under_way.insert(connected.client.start("read", asked), host);
    }
    for (host, node) in [("one", "pve1"), ("two", "pve2")] {
        fleet.machine(host).site.delete(&format!("/nodes/{node}/tasks/{}", tasks[host]));
    }
    let mut turned_away = 0;
    let mut answered: HashMap<&str, usize> = HashMap::new();
    let mut last: HashMap<&str, Duration> = HashMap::new();
    let mut early = std::mem::take(&mut connected.client.notifications).into_iter();
    while !under_way.is_empty() {
        let message = early.next().unwrap_or_else(|| connected.client.next().expect("an answer"));
        let Some(id) = message["id"].as_u64() else { continue };
        let host = under_way.remove(&id).unwrap_or_else(|| panic!("one answer each: {message}"));
        *answered.entry(host).or_default() += 1;
        last.insert(host, began.elapsed());
        let (answer, failed) = (&message["result"]["structuredContent"], &message["result"]["isError"]);
        if ["one", "two"].contains(&host) {
            assert_eq!(
                (&answer["host"], &answer["data"]["status"]),
                (&json!(host), &json!("stopped")),
                "{message}"
            );
        } else {
            let error = &answer["error"];
            assert!(failed == true && says(error), "{host}: {message}");
            let (message, next) = (error["message"].as_str().unwrap(), error["next"].as_str().unwrap());
            assert!(message.contains(&format!("host {host}:")), "{error}");
            if host == "five" && message.contains("Permission denied (publickey)") {
                assert!(next.contains("ssh -T -o BatchMode=yes -- five"), "{error}");
                turned_away += 1;
            }
        }
    }
    println!("the last answers: {last:?}");
    assert!(last.values().all(|took| *took < DEADLINE), "{last:?}");
    let expected =
        [("one", CALLS), ("two", CALLS), ("three", CALLS + 1), ("four", CALLS + 1), ("five", CALLS + 1)];
    assert_eq!(answered, HashMap::from(expected));

    assert_eq!(turned_away, 1, "of the host that refuses, what ssh says of it");
    // And so every host's state is to be seen.
    let status = connected.call("status", json!({}));
    let state = |host: &str| {
        let one = status["fleet"].as_array().unwrap().iter().find(|one| one["host"] == host);
        one.unwrap()["state"].clone()
    };
    assert_eq!(
        (state("two"), state("three"), state("five")),
        (json!("up"), json!("down"), json!("down")),
        "{status}"
    );

    fleet.machine_mut("three").site.restart();
    fleet.machine("four").signal(Signal::SIGCONT);
    fleet.machine("five").admit(&fleet);
    // Who asks for a host by its name does not wait until its pause is over.
    for host in ["three", "four", "five"] {
        eventually(&format!("{host} is there again"), || {
            let asked = json!({ "path": "/version", "host": host });
            connected.client.call("read", asked)["isError"] != true
        });
    }
    let answer = versions(&mut connected);
    assert_eq!(hosts(&answer), ["one", "three", "four", "five"], "{answer}");
    assert!(answer["unanswered"].is_null(), "{answer}");
}

/// What is wrong, and what to do about it.
fn says(error: &Value) -> bool {
    ["message", "next"].iter().all(|part| error[part].as_str().is_some_and(|text| !text.is_empty()))
}
