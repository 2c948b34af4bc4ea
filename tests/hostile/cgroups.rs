//! The container's root owns the cgroups below its own, and a command of it may move itself there, out of the leaf that
//! is to end it; and it may spoil the ground on which leaves are made.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Node, eventually};
use crate::ground::{self, Ground};
use crate::guest::{Guest, Recipe};

/// Ways out of the leaf, each ending in processes that sleep.
const WAYS_OUT: [(&str, &str); 8] = [
    ("the command itself", "move $$; exec sleep 4101"),
    ("a child", "sh -c 'move $$; exec sleep 4102' & exec sleep 4103"),
    (
        "an orphan in a session of its own",
        "(setsid sh -c 'move $$; sleep 4104 & exec sleep 4105' &) ; sleep 0.3; exec sleep 4106",
    ),
    (
        "all of them",
        "sleep 4107 & setsid sleep 4108 & move $$; move $!; (setsid sleep 4109 &); exec sleep 4110",
    ),
    (
        "into a cgroup that is frozen",
        "sleep 4111 & move $!; echo 1 >/sys/fs/cgroup/out/cgroup.freeze; move $$; sleep 4112",
    ),
    (
        "deep down, stopped, as somebody else",
        "mkdir -p /sys/fs/cgroup/out/a/b/c; sh -c 'echo $$ >/sys/fs/cgroup/out/a/b/c/cgroup.procs; \
        exec setpriv --reuid 7 --regid 7 --clear-groups --pdeathsig clear sh -c \"kill -STOP \\$\\$\"' & exec sleep 4113",
    ),
    (
        "a thread whose first thread has ended",
        "perl -e 'use threads; system \"/opt/move\", $$; \
        threads->create(sub { sleep 4118 })->detach; syscall 60, 0' & exec sleep 4119",
    ),
    (
        "inside namespaces of its own",
        "unshare --user --map-root-user --pid --fork --mount --cgroup sh -c 'sleep 4114 & move $$; sleep 4115' & \
        (unshare --pid --fork sleep 4116 & move $!) ; exec sleep 4117",
    ),
];

const MOVE: &str = "mkdir -p /sys/fs/cgroup/out; echo 0 >/sys/fs/cgroup/out/cgroup.freeze; \
    cat >/opt/move <<'MOVE'\n#!/bin/sh\necho $1 >/sys/fs/cgroup/out/cgroup.procs\nMOVE\nchmod 755 /opt/move\n";

#[test]
fn whatever_leaves_its_cgroup_is_still_ended() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    guest.run(MOVE);
    let ground = Ground::of(&node, &guest, &mut client);
    for (who, way) in WAYS_OUT {
        let started = Instant::now();
        let answer = client.exec(script(&guest, way, 1));
        assert_eq!(answer["timed_out"], true, "{who}");
        assert!(started.elapsed() < Duration::from_secs(4), "{who}: {:?}", started.elapsed());
        ground.is_as_before(&node, &guest);
    }
}

#[test]
fn whatever_leaves_its_cgroup_is_still_ended_when_its_caller_goes() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    guest.run(MOVE);
    let ground = Ground::of(&node, &guest, &mut client);
    let before = ground::processes(&ground::cgroup_of(guest.init())).len();
    for (who, way) in WAYS_OUT {
        let mut other = node.client();
        other.start("exec", script(&guest, way, 60));
        eventually(who, || {
            let out = ground::cgroup_of(guest.init()).join("ns/out");
            !ground::processes(&out).is_empty()
                && ground::processes(&ground::cgroup_of(guest.init())).len() > before
        });
        drop(other);
        ground.is_as_before(&node, &guest);
    }
}

/// The container's systemd moves what it is asked to: not a trick, and as much out of the leaf.
#[test]
fn a_scope_of_the_containers_systemd_is_still_ended() {
    let (node, guest) = (Node::start(), Recipe::new().booted().start());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let answer = client.exec(script(&guest, "systemd-run --scope --quiet sleep 4120 & systemd-run --scope --quiet setsid -f sleep 4121; sleep 4122", 2));
    assert_eq!(answer["timed_out"], true);
    ground.is_as_before(&node, &guest);
}

/// A fork bomb that the cgroup's own kill does not reach.
#[test]
fn a_fork_bomb_outside_its_cgroup_is_still_ended() {
    let guest = Recipe::new().setting("lxc.prlimit.nproc = 100").start();
    let node = Node::start();
    let mut client = node.client();
    guest.run(MOVE);
    let ground = Ground::of(&node, &guest, &mut client);
    let bomb = "move $$; exec perl -e 'setpriority 0, 0, 19; $SIG{$_} = \"IGNORE\" for qw(TERM CHLD); \
        for (;;) { defined fork or select undef, undef, undef, 0.01; }'";
    let started = Instant::now();
    assert_eq!(client.exec(script(&guest, bomb, 2))["timed_out"], true);
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    ground.is_as_before(&node, &guest);
}

#[test]
fn a_command_cannot_leave_its_audit_session() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let leave = "for id in 0 4294967295 -1 7; do echo $id; done | while read id; do echo $id >/proc/self/loginuid; \
        cat /proc/self/sessionid; echo; done 2>/dev/null
        unshare --user --map-root-user sh -c 'echo 4294967295 >/proc/self/loginuid; cat /proc/self/sessionid; echo'
        unshare --user --map-root-user --pid --fork sh -c 'echo 0 >/proc/self/loginuid; cat /proc/self/sessionid'";
    let sessions = |answer: Value| -> Vec<String> {
        answer["stdout"].as_str().unwrap().lines().map(str::to_owned).collect()
    };
    let first = sessions(client.exec(script(&guest, leave, 10)));
    assert!(first.len() == 6 && first.iter().all(|session| *session == first[0]), "{first:?}");
    // And it is the command's own.
    let second = sessions(client.exec(script(&guest, leave, 10)));
    assert!(first[0] != second[0] && first[0] != u32::MAX.to_string(), "{first:?} {second:?}");
    ground.is_as_before(&node, &guest);
}

pub fn script(guest: &Guest, script: &str, timeout_s: u32) -> Value {
    let argv = json!(["/bin/sh", "-c", script]);
    json!({ "guest": guest.id, "argv": argv, "mode": "change", "timeout_s": timeout_s, "env": { "PATH": "/opt:/usr/bin:/bin" } })
}
