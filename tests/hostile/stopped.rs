//! What a container leaves behind in the cgroups when it stops under a command: nothing that keeps lxc from starting it
//! again, though lxc itself could not clear it away.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cgroups::script;
use crate::common::{Node, eventually};
use crate::ground;
use crate::guest::Guest;

/// lxc clears away once, when the init has ended. Here it never comes to it: its monitor is killed.
#[test]
fn what_stays_of_a_stopped_containers_cgroups_is_cleared_with_the_last_leaf() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    client.start("exec", script(&guest, "exec sleep 4241", 60));
    client.start("exec", script(&guest, "setsid sleep 4242 >/dev/null 2>&1 & exit 0", 60));
    eventually("the commands run", || ground::leaves(&node).len() == 2);
    client.next().expect("the second's answer");
    guest.run("mkdir -p /sys/fs/cgroup/own/deep/er");
    let (init, cgroup) = (guest.init(), ground::cgroup_of(guest.init()));
    let monitor = Pid::from_raw(monitor(init));
    kill(monitor, Signal::SIGSTOP).expect("hold the monitor");
    kill(Pid::from_raw(init), Signal::SIGKILL).expect("kill the init");
    let answer = client.next().expect("the first's answer");
    assert_eq!(answer["result"]["structuredContent"]["container_stopped"], true, "{answer}");
    kill(monitor, Signal::SIGKILL).expect("kill the monitor");
    eventually("its cgroups are gone", || !cgroup.exists());
    // What stands beside it is not touched.
    assert!(cgroup.parent().is_some_and(|above| above.exists()));
    // Nor is anything made anew in what has ended.
    let error = client.refused(script(&guest, "true", 2));
    assert!(["gone", "stopped"].contains(&error["kind"].as_str().expect("a kind")), "{error}");
}

#[test]
fn a_container_that_stops_by_itself_starts_again_under_commands() {
    let (node, guest) = (Node::start(), Guest::idle());
    for _ in 0..3 {
        let mut client = node.client();
        for _ in 0..4 {
            client.start("exec", script(&guest, "exec sleep 4243", 60));
        }
        eventually("the commands run", || ground::leaves(&node).len() == 4);
        guest.stop();
        guest.restart();
        eventually("no leaf is left", || ground::leaves(&node).is_empty());
    }
}

/// The parent of a container's init.
fn monitor(init: i32) -> i32 {
    let status = std::fs::read_to_string(format!("/proc/{init}/status")).expect("status");
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).expect("a parent");
    parent.trim().parse().expect("a pid")
}
