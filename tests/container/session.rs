//! One command after another over a session, as a client has it.

use serde_json::json;

use crate::common::{Node, eventually, lxc_attach};

#[test]
fn a_command_runs_and_says_how_it_went() {
    let node = Node::start();
    let mut client = node.client();
    let answer = client.change(101, &["sh", "-c", "echo out; echo err >&2; exit 3"]);
    assert_eq!((&answer["stdout"], &answer["stderr"]), (&json!("out\n"), &json!("err\n")));
    assert_eq!((&answer["exit_code"], &answer["lane"]), (&json!(3), &json!("change")));
    assert!(answer["signal"].is_null() && answer["timed_out"] == false && answer["truncated"] == false);
    assert!(answer["duration_ms"].as_f64().unwrap() > 0.0 && answer["memory_peak"].as_u64().unwrap() > 0);
}

#[test]
fn a_signal_is_told_from_an_exit() {
    let node = Node::start();
    let answer = node.client().change(101, &["sh", "-c", "kill -TERM $$"]);
    assert!(answer["exit_code"].is_null());
    assert_eq!(answer["signal"], 15);
}

#[test]
fn a_timeout_kills_every_descendant() {
    let node = Node::start();
    let script = "setsid sleep 4711 & (trap '' TERM INT HUP; sleep 4712) & sleep 4713";
    let arguments = json!({ "guest": 101, "argv": ["sh", "-c", script], "mode": "change", "timeout_s": 1 });
    let answer = node.client().exec(arguments);
    assert_eq!((&answer["timed_out"], &answer["signal"]), (&json!(true), &json!(9)));
    eventually("the cgroup is gone", || node.leaves("v2", 101).is_empty());
}

#[test]
fn a_cancelled_call_kills_every_descendant() {
    let node = Node::start();
    let mut client = node.client();
    let script = "setsid sleep 4714 & sleep 4715";
    let id = client.start("exec", json!({ "guest": 101, "argv": ["sh", "-c", script], "mode": "change" }));
    eventually("the command runs", || node.leaves("v2", 101).len() == 1);
    client.cancel(id);
    eventually("the cgroup is gone", || node.leaves("v2", 101).is_empty());
    assert_eq!(client.change(101, &["echo", "on"])["stdout"], "on\n");
}

#[test]
fn a_client_that_is_gone_leaves_nothing_running() {
    let node = Node::start();
    let mut client = node.client();
    client.start("exec", json!({ "guest": 101, "argv": ["sleep", "4716"], "mode": "change" }));
    eventually("the command runs", || node.leaves("v2", 101).len() == 1);
    drop(client);
    eventually("the cgroup is gone", || node.leaves("v2", 101).is_empty());
}

#[test]
fn a_daemonised_child_that_keeps_the_pipe_does_not_hold_the_call() {
    let node = Node::start();
    let started = std::time::Instant::now();
    let answer = node.client().change(101, &["sh", "-c", "echo first; setsid sleep 5 & exit 0"]);
    assert!(started.elapsed().as_secs() < 4);
    assert_eq!((&answer["stdout"], &answer["left_running"]), (&json!("first\n"), &json!(1)));
    // It was left running on purpose, and its cgroup goes when it ends.
    assert_eq!(node.leaves("v2", 101).len(), 1);
    eventually("the cgroup is gone", || node.leaves("v2", 101).is_empty());
}

#[test]
fn a_timeout_kills_what_moved_itself_to_another_cgroup() {
    let node = Node::start();
    let mut client = node.client();
    let hide = "mkdir -p /sys/fs/cgroup/hide && (echo 0 > /sys/fs/cgroup/hide/cgroup.procs; exec setsid sleep 4717) & sleep 4718";
    let arguments = json!({ "guest": 101, "argv": ["sh", "-c", hide], "mode": "change", "timeout_s": 1 });
    assert_eq!(client.exec(arguments)["timed_out"], true);
    eventually("nothing of it is left", || {
        client.inspect(101, &["sh", "-c", "ps -eo args | grep -c '[s]leep 471[78]'"])["stdout"] == "0\n"
    });
    client.change(101, &["rmdir", "/sys/fs/cgroup/hide"]);
}

#[test]
fn a_child_that_a_command_gives_to_provost_execd_is_reaped() {
    let node = Node::start();
    // clone(CLONE_PARENT | SIGCHLD), twenty times, each ending at once.
    let script = "import ctypes, os\nlibc = ctypes.CDLL(None)\nfor _ in range(20):\n    if libc.syscall(56, 0x8000 | 17, 0, 0, 0, 0) == 0:\n        os._exit(0)\n";
    let answer = node.client().change(101, &["python3", "-c", script]);
    assert_eq!(answer["exit_code"], 0, "{answer}");
    let pid = node.execd.id();
    eventually("no child is left", || {
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap().is_empty()
    });
}

#[test]
fn stopping_provost_execd_ends_its_commands_and_all_that_they_started() {
    let mut node = Node::start();
    let mut client = node.client();
    let id = client.start(
        "exec",
        json!({ "guest": 101, "argv": ["sh", "-c", "setsid sleep 4719 & sleep 4719"], "mode": "change" }),
    );
    eventually("the command runs", || node.leaves("v2", 101).len() == 1);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(node.execd.id() as i32), nix::sys::signal::SIGTERM)
        .unwrap();
    let answer = client.answer(id);
    assert_eq!(answer["result"]["structuredContent"]["error"]["kind"], "execd_broken", "{answer}");
    assert!(node.execd.wait().unwrap().success());
    let left = "ps -eo args | grep -c '[s]leep 4719' || true";
    eventually("nothing of it is left", || lxc_attach("v2", 101, &["sh", "-c", left]) == "0\n");
}

#[test]
fn a_message_that_is_too_long_ends_the_session_with_an_error_and_no_other_one() {
    let node = Node::start();
    let (mut client, mut other) = (node.client(), node.client());
    let writer = client.stream().try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        let line = vec![b' '; 64 * 1024];
        // Until the daemon has closed: 8 MiB are allowed, this would be 64.
        (0..1024).all(|_| std::io::Write::write_all(&mut &writer, &line).is_ok())
    });
    let error = client.next().expect("an error before the end");
    assert!(error["error"]["message"].as_str().unwrap().contains("longer than"), "{error}");
    assert!(client.next().is_none() && !sender.join().unwrap());
    assert_eq!(other.change(101, &["echo", "on"])["stdout"], "on\n");
}
