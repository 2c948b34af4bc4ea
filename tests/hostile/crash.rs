//! Either daemon killed, stopped or hung in the middle of a command.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::common::node::AGENT;
use crate::common::{Client, Node, eventually};
use crate::ground::{self, Ground};
use crate::guest::Guest;

#[test]
fn a_killed_provost_execd_is_said_at_once_and_its_commands_are_swept() {
    let (mut node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let inside = ground::processes(&ground::cgroup_of(guest.init()));
    let script = "trap '' TERM HUP; setsid sleep 4501 & (setsid sh -c 'trap \"\" TERM; sleep 4502; sleep 4503' &) ; sleep 4504";
    for _ in 0..3 {
        client.start("exec", command(&guest, script, 60));
    }
    eventually("they run", || ground::leaves(&node).len() == 3 && running(&guest) > inside.len() + 6);
    let started = Instant::now();
    let former = ground::leaves(&node);
    let _ = (node.execd.kill(), node.execd.wait());
    for _ in 0..3 {
        let error = client.next().expect("an answer")["result"]["structuredContent"]["error"].clone();
        assert_eq!(error["kind"], "execd_broken", "{error}");
    }
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(client.refused(command(&guest, "true", 5))["kind"], "execd_unreachable");
    node.restart_execd("v2");
    eventually("everything is swept", || {
        ground::processes(&ground::cgroup_of(guest.init())) == inside
            && !former.iter().any(|leaf| leaf.exists())
    });
    assert_eq!(client.change(guest.id, &["/bin/echo", "on"])["stdout"], "on\n");
}

/// As its unit does: what is not enough for a privileged container is said, and is enough for the others.
#[test]
fn a_privileged_container_is_not_entered_with_less_than_it_has() {
    let mut node = Node::start();
    let few =
        "-all,+sys_admin,+sys_chroot,+sys_ptrace,+sys_resource,+kill,+dac_override,+audit_control,+chown";
    node.execd_instead(&["setpriv", "--bounding-set", few, env!("CARGO_BIN_EXE_provost-execd")], &[]);
    let mut client = node.client();
    let call = json!({ "guest": 106, "argv": ["/bin/true"], "mode": "change" });
    assert_eq!(client.refused(call)["kind"], "capabilities");
    let status = client.change(101, &["grep", "CapEff", "/proc/self/status"]);
    let plain = Node::start().client().change(101, &["grep", "CapEff", "/proc/self/status"]);
    assert_eq!(status["stdout"], plain["stdout"]);
}

/// What a finished call left running on purpose is not swept with the rest.
#[test]
fn a_restart_of_provost_execd_ends_no_daemon_that_was_left_running() {
    let (mut node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let answer = client.change(guest.id, &["/bin/sh", "-c", "setsid sleep 4511 >/dev/null 2>&1 & exit 0"]);
    assert_eq!(answer["left_running"], 1);
    client.start("exec", command(&guest, "sleep 4512", 60));
    eventually("it runs", || ground::leaves(&node).len() == 2);
    let _ = (node.execd.kill(), node.execd.wait());
    node.restart_execd("v2");
    let alive =
        |client: &mut Client, what: &str| client.change(guest.id, &["pgrep", "-fxc", what])["stdout"].clone();
    eventually("the call's own is gone", || alive(&mut client, "sleep 4512") == "0\n");
    assert_eq!(alive(&mut client, "sleep 4511"), "1\n");
}

#[test]
fn a_killed_provostd_leaves_nothing_running() {
    let (mut node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    for mode in ["change", "inspect"] {
        let mut call = command(&guest, "setsid sleep 4521 & sleep 4522", 60);
        call["mode"] = json!(mode);
        client.start("exec", call);
    }
    eventually("they run", || ground::leaves(&node).len() == 2);
    let _ = (node.provostd.kill(), node.provostd.wait());
    assert!(client.next().is_none(), "the session ends");
    eventually("its leaves are gone", || ground::leaves(&node).is_empty());
    // Another takes the place of its socket.
    node.provostd = provostd(&node);
    eventually("it serves again", || std::os::unix::net::UnixStream::connect(node.socket()).is_ok());
    let mut client = node.client();
    assert_eq!(client.change(guest.id, &["/bin/echo", "on"])["stdout"], "on\n");
    ground.is_as_before_a_restart_of_provostd(&node, &guest);
}

/// Stopped, as under a debugger or on a machine that swaps: every call has an end.
#[test]
fn a_provost_execd_that_hangs_holds_no_call_for_ever() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let pid = Pid::from_raw(node.execd.id() as i32);
    kill(pid, Signal::SIGSTOP).expect("stop");
    let started = Instant::now();
    let error = client.refused(command(&guest, "sleep 4531", 1));
    assert_eq!(error["kind"], "execd_silent", "{error}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    // Nor does it run what nobody waits for any more.
    kill(pid, Signal::SIGCONT).expect("continue");
    assert_eq!(client.change(guest.id, &["/bin/echo", "on"])["stdout"], "on\n");
    ground.is_as_before(&node, &guest);
}

fn provostd(node: &Node) -> std::process::Child {
    Command::new(env!("CARGO_BIN_EXE_provostd"))
        .arg("--config")
        .arg(node.config())
        .env_remove("JOURNAL_STREAM")
        .uid(AGENT)
        .gid(AGENT)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("start provostd")
}

fn running(guest: &Guest) -> usize {
    ground::processes(&ground::cgroup_of(guest.init())).len()
}

fn command(guest: &Guest, script: &str, timeout_s: u32) -> Value {
    json!({ "guest": guest.id, "argv": ["/bin/sh", "-c", script], "mode": "change", "timeout_s": timeout_s })
}
