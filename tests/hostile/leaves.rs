//! The cgroups that commands are started in stand in the container's own, whose root may spoil the ground around them.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::cgroups::script;
use crate::common::node::ROOT_MAY_ALL;
use crate::common::{Node, eventually};
use crate::ground::{self, Ground};
use crate::guest::{Guest, Recipe};

/// A threaded cgroup takes no leaf that holds processes.
#[test]
fn a_container_that_allows_no_leaf_still_loses_its_commands() {
    let spoil = "#!/bin/sh\nmkdir /sys/fs/cgroup/threads\necho threaded >/sys/fs/cgroup/threads/cgroup.type || touch /failed\n\
        touch /ready\nwhile :; do sleep 1000; done";
    let guest = Recipe::new().init(spoil).start();
    eventually("its cgroups are spoilt", || guest.path("/ready").exists());
    assert!(!guest.path("/failed").exists());
    let node = Node::start();
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let answer = client.exec(script(&guest, "sleep 4130 & (setsid sleep 4131 &) ; exec sleep 4132", 1));
    assert_eq!((&answer["timed_out"], &answer["kill"]), (&json!(true), &json!("pid_namespace_walk")));
    ground.is_as_before(&node, &guest);
    // Nor does it get a command out of its limits that way.
    let id = client.start("exec", script(&guest, "exec sleep 4133", 60));
    let sleeps = |pid: &i32| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words == "sleep\x004133\0")
    };
    eventually("the command is in the container's cgroup", || {
        ground::processes(&ground::cgroup_of(guest.init())).iter().any(sleeps)
    });
    client.cancel(id);
    ground.is_as_before(&node, &guest);
}

#[test]
fn leaves_are_not_the_containers_to_touch() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let touch = "cd /sys/fs/cgroup/.provost-* || exit 9
        for file in cgroup.freeze cgroup.type cgroup.kill cgroup.procs cgroup.subtree_control cgroup.max.descendants; do
            { echo 1 >$file; } 2>/dev/null && echo wrote $file
        done
        for file in ../cgroup.freeze ../cgroup.kill ../cgroup.type ../cgroup.max.descendants; do
            { echo 1 >$file; } 2>/dev/null && echo wrote $file
        done
        mkdir inner 2>/dev/null && echo made
        cd /; rmdir /sys/fs/cgroup/.provost-* 2>/dev/null && echo removed
        mv /sys/fs/cgroup/.provost-* /sys/fs/cgroup/other 2>/dev/null && echo moved
        chmod 777 /sys/fs/cgroup/.provost-* 2>/dev/null && echo chmod
        setfattr -n trusted.provost.left -v 1 /sys/fs/cgroup/.provost-* 2>/dev/null && echo marked; true";
    let answer = client.exec(script(&guest, touch, 10));
    assert_eq!((&answer["stdout"], &answer["exit_code"]), (&json!(""), &json!(0)), "{answer}");
    ground.is_as_before(&node, &guest);
}

/// Leaves that a container makes itself, under names that would be next, and takes away as soon as they are made.
#[test]
fn a_container_that_makes_and_removes_leaves_hinders_no_command() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let prefix = format!(".provost-{}-{}-", node.execd.id(), start_time(node.execd.id()));
    guest.run(&format!("cd /sys/fs/cgroup && for n in $(seq 2 40); do mkdir {prefix}$n; done"));
    for _ in 0..20 {
        assert_eq!(client.change(guest.id, &["/bin/echo", "on"])["stdout"], "on\n");
    }
    guest.run(&format!("cd /sys/fs/cgroup && rmdir {prefix}*"));
    let mut vandal = node.client();
    let id = vandal.start(
        "exec",
        script(&guest, "cd /sys/fs/cgroup; while :; do rmdir .provost-*; done 2>/dev/null", 60),
    );
    eventually("the vandal runs", || ground::leaves(&node).len() == 1);
    for _ in 0..100 {
        assert_eq!(client.change(guest.id, &["/bin/echo", "on"])["stdout"], "on\n");
    }
    let answer = client.exec(script(&guest, "setsid sleep 4140 & exec sleep 4141", 1));
    assert_eq!(answer["timed_out"], true);
    vandal.cancel(id);
    drop(vandal);
    ground.is_as_before(&node, &guest);
}

/// Hundreds of false leaves, as of processes that never were, in which the container keeps its own.
#[test]
fn false_leaves_are_not_swept() {
    let (mut node, guest) = (Node::start(), Guest::idle());
    guest.run("cd /sys/fs/cgroup; seq -f .provost-1-1-%g 500 | xargs mkdir; sleep 4150 >/dev/null 2>&1 </dev/null & echo $! >.provost-1-1-7/cgroup.procs");
    let _ = (node.execd.kill(), node.execd.wait());
    let started = Instant::now();
    node.restart_execd("v2");
    let mut client = node.client();
    assert_eq!(client.change(guest.id, &["/bin/echo", "on"])["stdout"], "on\n");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(client.change(guest.id, &["pgrep", "-fxc", "sleep 4150"])["stdout"], "1\n");
}

/// The next names of a counter, taken before they are used.
#[test]
fn a_container_cannot_foresee_the_names_of_its_leaves() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let prefix = format!(".provost-{}-{}-", node.execd.id(), start_time(node.execd.id()));
    guest.run(&format!("cd /sys/fs/cgroup; for n in $(seq 0 200); do mkdir {prefix}$n; done"));
    for _ in 0..5 {
        assert_eq!(client.exec(script(&guest, "true", 5))["kill"], "cgroup");
    }
    guest.run(&format!("rmdir /sys/fs/cgroup/{prefix}*"));
    ground.is_as_before(&node, &guest);
}

/// Where there are v1 hierarchies, a process can be kept from dying. Its end is only put off, and holds nobody up.
#[test]
fn a_process_that_is_kept_from_dying_holds_up_neither_call_nor_node() {
    let guest = Recipe::new().in_layout("mixed").start();
    let node = Node::with("mixed", "containers = [\"1-999999\"]", ROOT_MAY_ALL);
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let freeze = "mkdir -p /freezer; mount -t cgroup -o freezer freezer /freezer || exit 9; mkdir /freezer/out; \
        (setsid sleep 4160 & echo $! >/freezer/out/cgroup.procs); echo FROZEN >/freezer/out/freezer.state; sleep 4161";
    let started = Instant::now();
    let answer = client.exec(script(&guest, freeze, 1));
    assert_eq!(answer["timed_out"], true, "{answer}");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(ground::leaves(&node).len(), 1);
    guest.run("echo THAWED >/freezer/out/freezer.state");
    ground.is_as_before(&node, &guest);
}

fn start_time(pid: u32) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
    stat.rsplit_once(')')
        .and_then(|(_, fields)| fields.split_ascii_whitespace().nth(19))
        .expect("a start")
        .to_owned()
}
