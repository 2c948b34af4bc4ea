//! A container that stops, is frozen, is killed or is another one by the next command.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::common::{Client, Node, eventually};
use crate::ground::{self, Ground};
use crate::guest::{Guest, Recipe};

type GoDown = fn(&Guest);

/// Ways in which a container goes down, with the commands in it.
const ENDS: [(&str, GoDown); 3] = [
    ("lxc-stop", |guest| guest.stop()),
    ("its init is killed", |guest| end(guest.init())),
    ("its monitor is killed", |guest| end(monitor(guest))),
];

#[test]
fn a_container_that_goes_down_ends_its_commands_and_their_calls() {
    for (how, go_down) in ENDS {
        let (node, guest) = (Node::start(), Guest::idle());
        let mut client = node.client();
        let ground = Ground::of(&node, &guest, &mut client);
        for _ in 0..3 {
            client.start("exec", command(&guest, "setsid sleep 4201 & exec sleep 4202"));
        }
        eventually("the commands run", || ground::leaves(&node).len() == 3);
        let started = Instant::now();
        go_down(&guest);
        for _ in 0..3 {
            let answer = client.next().expect("an answer");
            let answer = &answer["result"]["structuredContent"];
            assert_eq!(
                (&answer["signal"], &answer["container_stopped"]),
                (&json!(9), &json!(true)),
                "{how}: {answer}"
            );
        }
        assert!(started.elapsed() < Duration::from_secs(5), "{how}: {:?}", started.elapsed());
        eventually("it is down", || guest.is_down());
        eventually(how, || client.refused(command(&guest, "true"))["kind"] == "stopped");
        eventually("no leaf is left", || ground::leaves(&node).is_empty());
        if how == "its monitor is killed" {
            // The monitor's own cgroup stays, and keeps lxc from starting the container again.
            continue;
        }
        guest.restart();
        client.change(guest.id, &["/bin/true"]);
        ground.is_as_before_the_restart(&node, &guest);
    }
}

#[test]
fn a_container_that_starts_anew_is_entered_anew() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let mut former = String::new();
    for round in 0..4 {
        let (namespaces, started) = seen_inside(&mut client, &guest);
        assert_eq!(namespaces, namespaces_of(guest.init()), "round {round}");
        assert_ne!(started, former, "round {round}: the init of before");
        former = started;
        guest.stop();
        // With or without a question while it is down.
        if round % 2 == 0 {
            assert_eq!(client.refused(command(&guest, "true"))["kind"], "stopped");
        }
        guest.restart();
    }
    client.change(guest.id, &["/bin/true"]);
    ground.is_as_before_the_restart(&node, &guest);
}

/// The pid of the init that was entered, given to a process of the host.
#[test]
fn a_pid_that_means_another_process_by_now_is_not_entered() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let init = guest.init();
    assert_eq!(client.change(guest.id, &["/bin/echo", "on"])["stdout"], "on\n");
    guest.stop();
    let mut heir = None;
    for _ in 0..200 {
        fs::write("/proc/sys/kernel/ns_last_pid", (init - 1).to_string()).expect("ns_last_pid");
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        if child.id() as i32 == init {
            heir = Some(child);
            break;
        }
        let _ = (child.kill(), child.wait());
    }
    let mut heir = heir.expect("the pid, in 200 attempts");
    let error = client.refused(command(&guest, "touch /entered"));
    let _ = (heir.kill(), heir.wait());
    assert_eq!(error["kind"], "stopped", "{error}");
    assert!(!std::path::Path::new("/entered").exists());
}

#[test]
fn a_frozen_container_holds_no_call_past_its_time() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    // Frozen under a command: it is ended at its time limit, or when its caller goes.
    let id = client.start("exec", command(&guest, "setsid sleep 4211 & exec sleep 4212"));
    let mut other = node.client();
    other.start("exec", command(&guest, "exec sleep 4213"));
    eventually("the commands run", || ground::leaves(&node).len() == 2);
    guest.lxc("lxc-freeze", &[]);
    drop(other);
    let started = Instant::now();
    let answer = client.answer(id);
    assert_eq!(answer["result"]["structuredContent"]["timed_out"], true, "{answer}");
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    // Frozen before a command: said at once.
    let started = Instant::now();
    let error = client.refused(command(&guest, "true"));
    assert_eq!(error["kind"], "frozen", "{error}");
    assert!(
        error["next"].as_str().unwrap().contains("lxc-unfreeze")
            && started.elapsed() < Duration::from_secs(1)
    );
    guest.lxc("lxc-unfreeze", &[]);
    assert_eq!(client.change(guest.id, &["/bin/echo", "on"])["stdout"], "on\n");
    ground.is_as_before(&node, &guest);
}

/// Stopped and started over and over under streams of commands: each is answered, with a result or a reason.
#[test]
fn a_container_that_comes_and_goes_gets_every_call_an_answer() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let kinds: BTreeSet<String> = std::thread::scope(|scope| {
        let busy = [0; 3].map(|_| scope.spawn(|| call_for(Duration::from_secs(4), &node, &guest)));
        while busy.iter().any(|caller| !caller.is_finished()) {
            guest.stop();
            guest.restart();
        }
        busy.into_iter().flat_map(|caller| caller.join().expect("a stream of commands")).collect()
    });
    let known = ["none", "stopped", "gone", "monitor", "spawn", "entry"];
    assert!(kinds.contains("none") && kinds.iter().all(|kind| known.contains(&kind.as_str())), "{kinds:?}");
    client.change(guest.id, &["/bin/true"]);
    ground.is_as_before_the_restart(&node, &guest);
}

/// Its monitor waits for events of its cgroups while it stops it: what is removed under it then lets it spin for ever, and
/// whoever stops the container wait as long.
#[test]
fn nothing_of_a_stopped_container_is_cleared_away_before_its_monitor_has_ended() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    client.start("exec", command(&guest, "exec sleep 4231"));
    eventually("the command runs", || ground::leaves(&node).len() == 1);
    let (monitor, init) = (monitor(&guest), guest.init());
    let in_it = ground::leaves(&node)[0].parent().expect("a directory").to_owned();
    kill(Pid::from_raw(monitor), Signal::SIGSTOP).expect("stop");
    end(init);
    assert_eq!(client.next().expect("an answer")["result"]["structuredContent"]["signal"], 9);
    eventually("no leaf is left", || ground::leaves(&node).is_empty());
    // What provost-execd looks at again soon, it has looked at by the time that a second of its own has passed.
    let other = Guest::idle();
    let late = json!({ "guest": other.id, "argv": ["/bin/sleep", "4232"], "mode": "change", "timeout_s": 1 });
    assert_eq!(client.exec(late)["timed_out"], true);
    assert_eq!(client.refused(command(&guest, "true"))["kind"], "gone");
    assert!(in_it.is_dir(), "{in_it:?} was removed under the monitor");
    kill(Pid::from_raw(monitor), Signal::SIGCONT).expect("cont");
    eventually("its directories are gone", || !in_it.exists());
    guest.restart();
    client.change(guest.id, &["/bin/true"]);
}

/// A systemd that is told to shut down by a command does so, and ends the command.
#[test]
fn a_command_does_not_hold_up_the_containers_own_shutdown() {
    let (node, guest) = (Node::start(), Recipe::new().booted().start());
    let mut client = node.client();
    let call = json!({ "guest": guest.id, "argv": ["/bin/sh", "-c", "systemctl poweroff; sleep 4221 & sleep 4222"], "mode": "change", "timeout_s": 60 });
    let started = Instant::now();
    let answer = client.exec(call);
    assert_eq!((&answer["timed_out"], &answer["exit_code"]), (&json!(false), &json!(null)), "{answer}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    eventually("it is down", || guest.is_down());
    eventually("its leaves are gone", || ground::leaves(&node).is_empty());
}

/// Commands one after the other: the kinds of refusals that they met, and `none` where there was none.
fn call_for(time: Duration, node: &Node, guest: &Guest) -> BTreeSet<String> {
    let (mut client, mut kinds) = (node.client(), BTreeSet::new());
    let until = Instant::now() + time;
    while Instant::now() < until {
        let started = Instant::now();
        let result = client.call("exec", command(guest, "true"));
        assert!(started.elapsed() < Duration::from_secs(5), "{result}");
        kinds.insert(result["structuredContent"]["error"]["kind"].as_str().unwrap_or("none").to_owned());
    }
    kinds
}

fn command(guest: &Guest, script: &str) -> Value {
    json!({ "guest": guest.id, "argv": ["/bin/sh", "-c", script], "mode": "change", "timeout_s": 2 })
}

fn end(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("kill");
}

/// The host's pid of the container's monitor: the parent of its init.
fn monitor(guest: &Guest) -> i32 {
    let status = fs::read_to_string(format!("/proc/{}/status", guest.init())).expect("status");
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).expect("a parent");
    parent.trim().parse().expect("a pid")
}

const NAMESPACES: [&str; 7] = ["user", "mnt", "pid", "net", "uts", "ipc", "cgroup"];

fn namespaces_of(pid: i32) -> Vec<u64> {
    let inode = |name| fs::metadata(format!("/proc/{pid}/ns/{name}")).expect("a namespace").ino();
    NAMESPACES.map(inode).to_vec()
}

/// The namespaces that a command finds itself in, and when the init of its pid namespace was started.
fn seen_inside(client: &mut Client, guest: &Guest) -> (Vec<u64>, String) {
    let look =
        format!("cd /proc/self/ns; stat -L -c %i {}; cut -d ' ' -f 22 /proc/1/stat", NAMESPACES.join(" "));
    let answer = client.change(guest.id, &["/bin/sh", "-c", &look]);
    let mut lines: Vec<&str> = answer["stdout"].as_str().expect("text").lines().collect();
    let started = lines.pop().expect("a start").to_owned();
    (lines.iter().map(|inode| inode.parse().expect("a number")).collect(), started)
}
