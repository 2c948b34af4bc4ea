//! What one caller's commands cost the others: `provost-execd` has one thread, and nothing in it may wait.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::cgroups::script;
use crate::common::node::ROOT_MAY_ALL;
use crate::common::{Node, eventually};
use crate::ground::{self, Ground};
use crate::guest::{Guest, Recipe};

/// As a container with a freezer of the node's may: each kept process is a command that does not end.
const FREEZE: &str = "mkdir -p /freezer; mountpoint -q /freezer || mount -t cgroup -o freezer freezer /freezer || exit 9; \
    mkdir -p /freezer/out";

#[test]
fn many_commands_that_cannot_end_hold_up_nobody_else() {
    let held = Recipe::new().in_layout("mixed").start();
    let other = Recipe::new().in_layout("mixed").start();
    let node = Node::with("mixed", "containers = [\"1-999999\"]", ROOT_MAY_ALL);
    let (mut client, mut another) = (node.client(), node.client());
    another.change(other.id, &["/bin/true"]);
    held.run(FREEZE);
    let command = "(setsid sleep 4301 & echo $! >/freezer/out/cgroup.procs); exec sleep 4302";
    for _ in 0..20 {
        client.start("exec", script(&held, command, 1));
    }
    let sleepers = || ground::processes(&ground::cgroup_of(held.init())).len();
    eventually("they run", || sleepers() > 40);
    held.run("echo FROZEN >/freezer/out/freezer.state");
    let (mut longest, until) = (Duration::ZERO, Instant::now() + Duration::from_secs(3));
    while Instant::now() < until {
        let started = Instant::now();
        assert_eq!(another.change(other.id, &["/bin/echo", "on"])["stdout"], "on\n");
        longest = longest.max(started.elapsed());
    }
    assert!(longest < Duration::from_millis(400), "{longest:?}");
    for _ in 0..20 {
        let answer = client.next().expect("an answer");
        assert_eq!(answer["result"]["structuredContent"]["timed_out"], true, "{answer}");
    }
    held.run("echo THAWED >/freezer/out/freezer.state");
    eventually("no leaf is left", || ground::leaves(&node).is_empty());
}

#[test]
fn a_daemon_that_was_left_running_costs_nothing() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let answer = client.exec(script(&guest, "setsid sleep 4311 >/dev/null 2>&1 & exit 0", 5));
    assert_eq!(answer["left_running"], 1, "{answer}");
    let before = cpu(node.execd.id());
    std::thread::sleep(Duration::from_secs(1));
    let spent = cpu(node.execd.id()) - before;
    assert!(spent <= 5, "{spent} hundredths of a second, in one");
    guest.run("pkill -fx 'sleep 4311'");
    ground.is_as_before(&node, &guest);
}

/// Each costs `provost-execd` descriptors, which are everybody's.
#[test]
fn a_container_can_have_so_many_daemons_left_running_and_no_more() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    client.change(101, &["/bin/true"]);
    let ground = Ground::of(&node, &guest, &mut client);
    let leave = || script(&guest, "setsid sleep 4341 >/dev/null 2>&1 & exit 0", 5);
    for _ in 0..64 {
        assert_eq!(client.exec(leave())["left_running"], 1);
    }
    let error = client.refused(leave());
    assert_eq!(error["kind"], "left_running", "{error}");
    // What can leave nothing is run, and so is what is asked for elsewhere.
    assert_eq!(client.inspect(guest.id, &["/bin/echo", "on"])["stdout"], "on\n");
    assert_eq!(client.change(101, &["/bin/echo", "on"])["stdout"], "on\n");
    guest.run("pkill -fx 'sleep 4341'");
    ground.is_as_before(&node, &guest);
    client.change(guest.id, &["/bin/true"]);
}

/// Where no leaf could be made, what goes on is found by its session: said in the change lane, ended in the other.
#[test]
fn what_a_command_leaves_running_is_counted_without_a_leaf_too() {
    let spoil = "#!/bin/sh\nmkdir /sys/fs/cgroup/threads\necho threaded >/sys/fs/cgroup/threads/cgroup.type\n\
        touch /ready\nwhile :; do sleep 1000; done";
    let guest = Recipe::new().init(spoil).start();
    eventually("its cgroups are spoilt", || guest.path("/ready").exists());
    let node = Node::start();
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let leave = "(setsid sleep 4321 >/dev/null 2>&1 &); sleep 4322 >/dev/null 2>&1 & exit 3";
    let mut call = script(&guest, leave, 10);
    let answer = client.exec(call.clone());
    let seen = (&answer["kill"], &answer["exit_code"], &answer["left_running"]);
    assert_eq!(seen, (&json!("pid_namespace_walk"), &json!(3), &json!(2)), "{answer}");
    guest.run("pkill -fx 'sleep 432[12]'");
    ground.is_as_before(&node, &guest);
    call["mode"] = json!("inspect");
    let answer = client.exec(call);
    assert_eq!((&answer["exit_code"], &answer["left_running"]), (&json!(3), &json!(null)), "{answer}");
    ground.is_as_before(&node, &guest);
}

/// All of its commands are ended at once, not one after the other.
#[test]
fn a_provost_execd_that_is_told_to_end_ends_every_command_soon() {
    let (mut node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let inside = ground::processes(&ground::cgroup_of(guest.init()));
    for _ in 0..60 {
        client.start("exec", script(&guest, "trap '' TERM; setsid sleep 4331 & sleep 4332", 60));
    }
    eventually("they run", || {
        ground::processes(&ground::cgroup_of(guest.init())).len() >= inside.len() + 180
    });
    let started = Instant::now();
    let execd = nix::unistd::Pid::from_raw(node.execd.id() as i32);
    nix::sys::signal::kill(execd, nix::sys::signal::Signal::SIGTERM).expect("kill");
    assert!(node.execd.wait().expect("its end").success());
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(ground::processes(&ground::cgroup_of(guest.init())), inside);
    assert!(ground::leaves(&node).is_empty(), "{:?}", ground::leaves(&node));
    for _ in 0..60 {
        let answer = client.next().expect("an answer");
        assert_eq!(answer["result"]["structuredContent"]["error"]["kind"], "execd_broken", "{answer}");
    }
}

/// Processor time of a process, in hundredths of a second.
fn cpu(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
    let fields = stat.rsplit_once(')').expect("a name").1.split_ascii_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("ticks")).sum()
}
