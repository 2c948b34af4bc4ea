//! Many calls at once, to all hosts, of which some are no more.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::machines::five;

#[test]
fn two_hundred_calls_at_once_are_each_answered_by_their_own_host() {
    let fleet = five();
    let mut connected = fleet.connect();
    // What is where is known before one of them hangs.
    connected.call("read", json!({ "path": "/nodes" }));
    fleet.machine("four").signal(Signal::SIGSTOP);
    let wanted: Vec<(&str, Value)> = (0..200)
        .map(|turn| match turn % 5 {
            0 => ("one", json!({ "path": "/nodes/pve1/version" })),
            1 => ("two", json!({ "path": "/nodes/pve2/version" })),
            2 => ("three", json!({ "path": "/nodes/shed/lxc/501/config" })),
            3 => ("five", json!({ "path": "/version", "host": "five" })),
            _ => ("four", json!({ "path": "/version", "host": "four" })),
        })
        .collect();
    let began = Instant::now();
    let ids: Vec<u64> = wanted.iter().map(|(_, args)| connected.client.start("read", args.clone())).collect();
    let mut answers: std::collections::HashMap<u64, Value> = Default::default();
    let mut well = None;
    while answers.len() < ids.len() {
        let message = connected.client.next().expect("an answer");
        let id = message["id"].as_u64().expect("an answer");
        assert!(answers.insert(id, message["result"]["structuredContent"].clone()).is_none(), "one each");
        if answers.len() == 160 {
            well = Some(began.elapsed());
            fleet.machine("four").signal(Signal::SIGCONT);
        }
    }
    for ((host, args), id) in wanted.iter().zip(&ids) {
        let answer = &answers[id];
        assert_eq!(answer["host"], *host, "{args}: {answer}");
        assert!(answer["error"].is_null(), "{args}: {answer}");
    }
    let well = well.expect("the four that do not hang");
    println!("160 calls of the four that answer: {well:?}");
    assert!(well < Duration::from_secs(10), "{well:?}");
}
