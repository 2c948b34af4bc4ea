//! Commands that multiply, hide among other processes, or refuse to die.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Node, eventually};
use crate::ground::{self, Ground};
use crate::guest::{Guest, Recipe};

/// Doubles until no more can be made, and then goes on trying, as fast as leaves other tests some of the machine.
const BOMB: &str = "setpriority 0, 0, 19; $SIG{$_} = 'IGNORE' for qw(TERM INT HUP QUIT CHLD); \
    for (;;) { defined fork or select undef, undef, undef, 0.02; }";
/// The same, and every generation leaves its session, its group and its parent.
const SCATTERING_BOMB: &str = "use POSIX; setpriority 0, 0, 19; \
    $SIG{$_} = 'IGNORE' for qw(TERM INT HUP QUIT CHLD); \
    for (;;) { my $child = fork; defined $child or select undef, undef, undef, 0.02; \
    if (defined $child && $child == 0) { POSIX::setsid(); exit 0 if fork; } }";

/// A container that may have so many processes.
const MOST: usize = 150;

fn bounded() -> Guest {
    Recipe::new().setting(&format!("lxc.prlimit.nproc = {MOST}")).start()
}

#[test]
fn a_fork_bomb_is_ended_by_its_time_limit() {
    let (node, guest) = (Node::start(), bounded());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    for bomb in [BOMB, SCATTERING_BOMB] {
        let started = Instant::now();
        let answer = client.exec(perl(&guest, bomb, 2));
        assert_eq!(answer["timed_out"], true);
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        ground.is_as_before(&node, &guest);
    }
    assert_eq!(client.change(guest.id, &["/bin/echo", "on"])["stdout"], "on\n");
}

#[test]
fn a_fork_bomb_is_ended_by_cancelling_and_by_hanging_up() {
    let (node, guest) = (Node::start(), bounded());
    let mut client = node.client();
    client.change(101, &["/bin/true"]);
    let ground = Ground::of(&node, &guest, &mut client);
    let grown = || ground::processes(&ground::cgroup_of(guest.init())).len() > MOST - 30;
    let id = client.start("exec", perl(&guest, SCATTERING_BOMB, 60));
    eventually("the bomb has grown", grown);
    // Meanwhile the node goes on serving others.
    // Meanwhile the node serves others.
    assert_eq!(node.client().change(101, &["/bin/echo", "elsewhere"])["stdout"], "elsewhere\n");
    client.cancel(id);
    ground.is_as_before(&node, &guest);
    let mut other = node.client();
    other.start("exec", perl(&guest, BOMB, 60));
    eventually("the bomb has grown", grown);
    drop(other);
    ground.is_as_before(&node, &guest);
}

#[test]
fn a_full_container_says_so() {
    let (node, guest) = (Node::start(), bounded());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let id = client.start("exec", perl(&guest, BOMB, 60));
    eventually("it is full", || ground::processes(&ground::cgroup_of(guest.init())).len() > MOST - 10);
    let started = Instant::now();
    let result = node
        .client()
        .call("exec", json!({ "guest": guest.id, "argv": ["/bin/true"], "mode": "change", "timeout_s": 5 }));
    assert!(started.elapsed() < Duration::from_secs(7), "{:?}", started.elapsed());
    // As root of the container it may still get in; if not, it must be told why.
    if result["isError"] == true {
        let error = &result["structuredContent"]["error"];
        assert!(error["message"].as_str().unwrap().contains("EAGAIN"), "{error}");
    }
    client.cancel(id);
    ground.is_as_before(&node, &guest);
}

#[test]
fn a_tree_that_hides_and_ignores_signals_dies_whole() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let script = "trap '' TERM INT HUP QUIT PIPE ALRM
        setsid sleep 4001 &
        (setsid sh -c 'setsid sleep 4002 & exit' &)
        setsid nohup sh -c 'trap \"\" TERM HUP; while :; do sleep 4003; done' >/dev/null 2>&1 &
        unshare --fork --pid --user --map-root-user sleep 4004 &
        unshare --fork --pid --cgroup --mount sh -c 'setsid sleep 4005 & sleep 4006' &
        perl -e 'kill STOP => $$' &
        setsid setpriv --reuid 33 --regid 33 --clear-groups sleep 4007 &
        chrt --idle 0 sleep 4008 &
        exec sleep 4009";
    for hang_up in [false, true] {
        let call =
            json!({ "guest": guest.id, "argv": ["/bin/sh", "-c", script], "mode": "change", "timeout_s": 2 });
        if hang_up {
            let mut other = node.client();
            other.start("exec", call);
            eventually("the tree has grown", || {
                ground::processes(&ground::cgroup_of(guest.init())).len() > 10
            });
        } else {
            assert_eq!(client.exec(call)["timed_out"], true);
        }
        ground.is_as_before(&node, &guest);
    }
}

fn perl(guest: &Guest, program: &str, timeout_s: u32) -> Value {
    json!({ "guest": guest.id, "argv": ["/usr/bin/perl", "-e", program], "mode": "change", "timeout_s": timeout_s })
}
