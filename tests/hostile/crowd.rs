//! Too many connections to `provost-execd`.

use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, recv};
use provost::exec::wire::Reply;

use crate::common::{Node, eventually};
use crate::ground;
use crate::wire::{Wire, at_rest};

#[test]
fn a_connection_that_asks_nothing_is_dropped() {
    let node = Node::start();
    let before = at_rest(&node);
    let silent: Vec<Wire> = (0..50).map(|_| Wire::to(&node)).collect();
    let started = Instant::now();
    // Others are served meanwhile.
    assert_eq!(node.client().change(101, &["/bin/echo", "on"])["stdout"], "on\n");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    for wire in &silent {
        assert_eq!(wire.refusal().kind, "silent");
        assert_eq!(recv(wire.0.as_raw_fd(), &mut [0], MsgFlags::empty()), Ok(0));
    }
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    eventually("its descriptors are as before", || ground::descriptors(node.execd.id()) == before);
}

#[test]
fn a_flood_of_connections_is_survived() {
    let node = Node::start();
    let before = at_rest(&node);
    let cpu_before = cpu_ms(node.execd.id());
    let flood: Vec<Wire> = (0..2000).map(|_| Wire::to(&node)).collect();
    let refused = flood
        .iter()
        .filter(|wire| wire.reply().is_some_and(|reply| matches!(reply, Reply::Refused(_))))
        .count();
    assert_eq!(refused, 2000);
    drop(flood);
    eventually("its descriptors are as before", || ground::descriptors(node.execd.id()) == before);
    assert!(cpu_ms(node.execd.id()) - cpu_before < 3000, "{} ms", cpu_ms(node.execd.id()) - cpu_before);
    assert_eq!(node.client().change(101, &["/bin/echo", "on"])["stdout"], "on\n");
}

/// With fewer descriptors than connections, it neither ends nor spins.
#[test]
fn running_out_of_descriptors_is_survived() {
    let node = Node::start();
    let mut client = node.client();
    client.change(101, &["/bin/true"]);
    let limit = Command::new("prlimit").args(["--nofile=64", "--pid", &node.execd.id().to_string()]).status();
    assert!(limit.expect("prlimit").success());
    let cpu_before = cpu_ms(node.execd.id());
    let held: Vec<Wire> = (0..100).map(|_| Wire::to(&node)).collect();
    let log_before = node.execd_log().len();
    // Those that got in are dropped after five seconds, and the others' turn comes.
    for wire in &held {
        assert!(wire.reply().is_some());
    }
    assert!(cpu_ms(node.execd.id()) - cpu_before < 2000, "{} ms", cpu_ms(node.execd.id()) - cpu_before);
    assert!(
        node.execd_log().len() - log_before < 64 * 1024,
        "{} bytes of log",
        node.execd_log().len() - log_before
    );
    drop(held);
    eventually("it serves again", || {
        client.call("exec", serde_json::json!({ "guest": 101, "argv": ["/bin/true"], "mode": "change" }))["isError"]
            != true
    });
}

fn cpu_ms(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_ascii_whitespace().collect();
    // User and system time, in hundredths of a second.
    [fields[11], fields[12]].iter().map(|ticks| ticks.parse::<u64>().expect("a number") * 10).sum()
}
