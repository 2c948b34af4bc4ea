//! `provost bridge`, in all that can happen to it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::node::AGENT;
use crate::common::{Node, eventually, messages};

/// `provost bridge` with pipes on all sides, and with nothing in its environment that says where to go.
fn bridge(options: &[&str]) -> Command {
    bridge_at(Path::new(env!("CARGO_BIN_EXE_provost")), options)
}

fn bridge_at(program: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.arg("bridge").args(options).env_remove("PROVOST_SOCKET").env_remove("PROVOST_CONFIG");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn to(socket: &Path) -> Command {
    bridge(&["--socket", socket.to_str().expect("text")])
}

fn dir() -> TempDir {
    let dir = tempfile::Builder::new().prefix("provost-bridge-").tempdir().expect("a directory");
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("mode");
    dir
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit, not a signal")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// What begins a session, as lines.
fn hello() -> String {
    let client = json!({ "name": "test", "version": "1" });
    let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client });
    let begin = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
    format!("{begin}\n{}\n", json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
}

/// A call of `exec` in the change lane, as a line.
fn exec(argv: &[&str]) -> String {
    let arguments = json!({ "guest": 101, "argv": argv, "mode": "change" });
    let params = json!({ "name": "exec", "arguments": arguments });
    format!("{}\n", json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }))
}

/// A bridge to a node, with a command under way behind it.
fn under_way(node: &Node) -> Child {
    let mut child = to(&node.socket()).spawn().expect("start");
    let lines = hello() + &exec(&["sh", "-c", "setsid sleep 641 & sleep 642"]);
    child.stdin.as_mut().expect("stdin").write_all(lines.as_bytes()).expect("write");
    eventually("the command runs", || node.leaves("v2", 101).len() == 1);
    child
}

/// Waits for the end, which must come in time and by itself: input that is open stays so.
fn ends_within(mut child: Child, limit: Duration) -> Output {
    let started = Instant::now();
    let _input = child.stdin.take();
    let output = child.wait_with_output().expect("wait");
    assert!(started.elapsed() < limit, "took {:?}", started.elapsed());
    output
}

#[test]
fn input_that_has_ended_still_gets_its_answers() {
    let node = Node::start();
    let mut child = to(&node.socket()).spawn().expect("start");
    let mut stdin = child.stdin.take().expect("stdin");
    // Longer than the five seconds for which rmcp alone would wait.
    stdin.write_all((hello() + &exec(&["sh", "-c", "sleep 6; echo late"])).as_bytes()).expect("write");
    drop(stdin);
    let output = child.wait_with_output().expect("wait");
    let answers = messages(&output);
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert_eq!(answers[1]["result"]["structuredContent"]["stdout"], "late\n");
    assert_eq!((code(&output), stderr(&output).as_str()), (0, ""));
}

#[test]
fn a_session_that_is_over_ends_with_0() {
    let node = Node::start();
    for input in [String::new(), hello()] {
        let mut child = to(&node.socket()).spawn().expect("start");
        child.stdin.take().expect("stdin").write_all(input.as_bytes()).expect("write");
        let output = ends_within(child, Duration::from_secs(2));
        assert_eq!((code(&output), stderr(&output).as_str()), (0, ""), "{input:?}");
    }
}

#[test]
fn no_daemon_is_69_and_says_where_it_was_looked_for_and_what_to_do() {
    let dir = dir();
    let never = dir.path().join("never.sock");
    let dead = dir.path().join("dead.sock");
    drop(UnixListener::bind(&dead).expect("bind"));
    let not_a_socket = dir.path().join("file");
    fs::write(&not_a_socket, "").expect("write");
    for socket in [&never, &dead, &not_a_socket] {
        let output = to(socket).output().expect("run");
        let said = stderr(&output);
        assert_eq!((code(&output), output.stdout.len()), (69, 0), "{said}");
        assert!(
            said.contains(socket.to_str().unwrap()) && said.contains("systemctl status provost.socket"),
            "{said}"
        );
    }
}

#[test]
fn somebody_who_may_not_connect_is_told_which_group_may() {
    let dir = dir();
    let socket = dir.path().join("mcp.sock");
    let _listener = UnixListener::bind(&socket).expect("bind");
    fs::set_permissions(&socket, PermissionsExt::from_mode(0o660)).expect("mode");
    let output = as_nobody(dir.path(), &["--socket", socket.to_str().unwrap()]).output().expect("run");
    let said = stderr(&output);
    assert_eq!(code(&output), 69, "{said}");
    assert!(said.contains("Permission denied") && said.contains("group provost"), "{said}");
}

/// The bridge, started by an account that has no rights.
fn as_nobody(dir: &Path, options: &[&str]) -> Command {
    let program = dir.join("provost");
    fs::copy(env!("CARGO_BIN_EXE_provost"), &program).expect("copy");
    let mut command = bridge_at(&program, options);
    command.uid(AGENT).gid(AGENT);
    command
}

#[test]
fn a_daemon_that_dies_in_the_middle_of_a_call_is_69_within_a_second() {
    let mut node = Node::start();
    let child = under_way(&node);
    node.provostd.kill().expect("kill");
    let output = ends_within(child, Duration::from_secs(1));
    let said = stderr(&output);
    assert_eq!(code(&output), 69, "{said}");
    assert!(said.contains("journalctl -t provost"), "{said}");
    eventually("the command is gone with its daemon", || node.leaves("v2", 101).is_empty());
}

#[test]
fn a_daemon_that_is_stopped_is_69() {
    let node = Node::start();
    let child = under_way(&node);
    kill(Pid::from_raw(node.provostd.id() as i32), Signal::SIGTERM).expect("kill");
    let output = ends_within(child, Duration::from_secs(5));
    assert_eq!(code(&output), 69, "{}", stderr(&output));
    eventually("the command is gone with its daemon", || node.leaves("v2", 101).is_empty());
}

#[test]
fn a_client_that_stops_reading_for_good_ends_the_bridge_and_its_commands() {
    let node = Node::start();
    // With input still open, and with both closed, as sshd leaves them when a connection is lost.
    for input_too in [false, true] {
        let mut child = under_way(&node);
        let input = child.stdin.take().filter(|_| !input_too);
        drop(child.stdout.take());
        let output = ends_within(child, Duration::from_secs(1));
        assert_eq!((code(&output), stderr(&output).as_str()), (74, ""));
        eventually("the command is gone with its client", || node.leaves("v2", 101).is_empty());
        drop(input);
    }
}

#[test]
fn an_answer_that_nobody_reads_ends_the_bridge_quietly() {
    let (dir, listener) = fake();
    let mut child = to(&dir.path().join("mcp.sock")).spawn().expect("start");
    drop(child.stdout.take());
    let (mut daemon, _) = listener.accept().expect("accept");
    // The first lines may still fit between the two; by SIGPIPE it would end with a signal.
    while daemon.write_all(b"a line\n").is_ok() {}
    let output = ends_within(child, Duration::from_secs(1));
    assert_eq!((code(&output), stderr(&output).as_str()), (74, ""));
}

#[test]
fn a_message_that_cannot_be_shown_changes_no_exit_code() {
    let dir = dir();
    let mut child = to(&dir.path().join("never.sock")).stderr(Stdio::piped()).spawn().expect("start");
    drop(child.stderr.take());
    assert_eq!(child.wait().expect("wait").code(), Some(69));
}

/// A socket at `mcp.sock` in a directory, with nothing of ours behind it.
fn fake() -> (TempDir, UnixListener) {
    let dir = dir();
    let listener = UnixListener::bind(dir.path().join("mcp.sock")).expect("bind");
    (dir, listener)
}

#[test]
fn every_byte_passes_unchanged_in_both_directions_at_once() {
    const LENGTH: usize = 8 << 20;
    let (dir, listener) = fake();
    // Every byte value, no line ends to speak of, and no period that a buffer's size could hide.
    let bytes = |seed: u64| (0..LENGTH as u64).map(move |at| ((at * 2_654_435_761 + seed) >> 13) as u8);
    let mut child = to(&dir.path().join("mcp.sock")).spawn().expect("start");
    let mut stdin = child.stdin.take().expect("stdin");
    let (mut daemon, _) = listener.accept().expect("accept");
    let mut from_bridge = daemon.try_clone().expect("clone");
    let writing = std::thread::spawn(move || stdin.write_all(&bytes(1).collect::<Vec<u8>>()).expect("write"));
    let reading = std::thread::spawn(move || {
        let mut got = Vec::new();
        from_bridge.read_to_end(&mut got).expect("read");
        assert!(got.iter().copied().eq(bytes(1)), "what the client sent");
    });
    let answering = std::thread::spawn(move || {
        daemon.write_all(&bytes(2).collect::<Vec<u8>>()).expect("write");
        // With the daemon the bridge ends, so this comes when it has heard everything.
        reading.join().expect("all input");
        daemon.shutdown(std::net::Shutdown::Write).expect("shutdown");
    });
    let mut got = Vec::new();
    child.stdout.take().expect("stdout").read_to_end(&mut got).expect("read");
    assert!(got.iter().copied().eq(bytes(2)), "what the daemon sent");
    for thread in [writing, answering] {
        thread.join().expect("both ways");
    }
    child.wait().expect("wait");
}

#[test]
fn a_message_is_passed_on_before_the_next_and_without_its_line_end() {
    let (dir, listener) = fake();
    let mut child = to(&dir.path().join("mcp.sock")).spawn().expect("start");
    let (mut daemon, _) = listener.accept().expect("accept");
    let (mut stdin, mut stdout) = (child.stdin.take().expect("stdin"), child.stdout.take().expect("stdout"));
    let mut byte = [0];
    for value in 0..=255 {
        stdin.write_all(&[value]).expect("write");
        daemon.read_exact(&mut byte).expect("read");
        daemon.write_all(&byte).expect("write");
        stdout.read_exact(&mut byte).expect("read");
        assert_eq!(byte, [value]);
    }
    drop((daemon, stdin));
    child.wait().expect("wait");
}

#[test]
fn an_option_says_where_the_socket_is_before_the_environment_and_that_before_the_configuration() {
    let dir = dir();
    let place = |name: &str| -> (PathBuf, UnixListener) {
        let path = dir.path().join(name);
        let listener = UnixListener::bind(&path).expect("bind");
        listener.set_nonblocking(true).expect("nonblocking");
        (path, listener)
    };
    let (option, at_option) = place("option.sock");
    let (environment, at_environment) = place("environment.sock");
    let (configured, at_configured) = place("configured.sock");
    let config = dir.path().join("provost.toml");
    fs::write(&config, format!("[listen]\nunix = \"{}\"\n", configured.display())).expect("write");
    let reached = |mut command: Command| {
        let child = command.spawn().expect("start");
        let mut found = None;
        eventually("the bridge connects", || {
            let places =
                [("option", &at_option), ("environment", &at_environment), ("config", &at_configured)];
            found = places.into_iter().find_map(|(name, listener)| listener.accept().ok().map(|_| name));
            found.is_some()
        });
        assert_eq!(code(&ends_within(child, Duration::from_secs(1))), 69, "it was hung up on");
        found
    };
    let options = |names: &[&str]| -> Vec<String> {
        let all = [("--socket", &option), ("--config", &config)];
        let wanted = all.iter().filter(|(name, _)| names.contains(name));
        wanted.flat_map(|(name, path)| [(*name).to_owned(), path.display().to_string()]).collect()
    };
    let start = |names: &[&str], environment: &[(&str, &Path)]| {
        let options = options(names);
        let mut command = bridge(&options.iter().map(String::as_str).collect::<Vec<_>>());
        command.envs(environment.iter().copied());
        reached(command)
    };
    let (socket, config) = (("PROVOST_SOCKET", environment.as_path()), ("PROVOST_CONFIG", config.as_path()));
    assert_eq!(start(&["--socket", "--config"], &[socket, config]), Some("option"));
    assert_eq!(start(&["--config"], &[socket, config]), Some("environment"));
    assert_eq!(start(&["--config"], &[]), Some("config"));
    assert_eq!(start(&[], &[config]), Some("config"));
}

#[test]
fn a_configuration_that_was_named_must_be_readable_and_right() {
    let dir = dir();
    let config = dir.path().join("provost.toml");
    let named = ["--config", config.to_str().unwrap()];
    let run = |what: &str| {
        let output = as_nobody(dir.path(), &named).output().expect("run");
        let said = stderr(&output);
        assert_eq!(code(&output), 69, "{what}: {said}");
        assert!(said.contains(config.to_str().unwrap()), "{what}: {said}");
        said
    };
    assert!(run("missing").contains("No such file"));
    fs::write(&config, "[listen]\nunixx = \"/x\"\n").expect("write");
    let said = run("misspelt");
    assert!(said.contains("line 2") && said.contains("\"unix\""), "{said}");
    fs::set_permissions(&config, PermissionsExt::from_mode(0o600)).expect("mode");
    assert!(run("unreadable").contains("Permission denied"));
}

#[test]
fn the_bridge_is_there_at_once() {
    let (dir, listener) = fake();
    let mut took: Vec<Duration> = (0..20)
        .map(|_| {
            let started = Instant::now();
            let mut child = to(&dir.path().join("mcp.sock")).spawn().expect("start");
            child.stdin.as_mut().expect("stdin").write_all(b"ping\n").expect("write");
            let mut daemon = listener.accept().expect("accept").0;
            let mut line = String::new();
            BufReader::new(daemon.try_clone().expect("clone")).read_line(&mut line).expect("read");
            daemon.write_all(line.as_bytes()).expect("write");
            child.stdout.as_mut().expect("stdout").read_exact(&mut [0; 5]).expect("read");
            let took = started.elapsed();
            drop((daemon, child.stdin.take()));
            child.wait().expect("wait");
            took
        })
        .collect();
    took.sort();
    println!("from start to the first answer: {:?} in the middle, {:?} at most", took[10], took[19]);
    // Of a debug build, on a machine that has other things to do.
    assert!(took[10] < Duration::from_millis(50), "{took:?}");
}

#[test]
fn a_long_answer_and_a_long_request_pass() {
    let node =
        Node::with("v2", "containers = [101]\nmax_output = 4194304", crate::common::node::ROOT_MAY_ALL);
    let mut child = to(&node.socket()).spawn().expect("start");
    let mut stdin = child.stdin.take().expect("stdin");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let mut answer =
        || -> Value { serde_json::from_str(&lines.next().expect("a line").expect("read")).expect("JSON") };
    stdin.write_all(hello().as_bytes()).expect("write");
    answer();
    // 3 MiB to the command and back, which is more than any buffer on the way holds.
    let text = "0123456789abcde\n".repeat(3 << 16);
    let arguments = json!({ "guest": 101, "argv": ["cat"], "mode": "change", "stdin": text });
    let params = json!({ "name": "exec", "arguments": arguments });
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    stdin.write_all(format!("{call}\n").as_bytes()).expect("write");
    let answer = answer();
    assert!(answer["result"]["structuredContent"]["stdout"] == text, "{}", answer.to_string().len());
    drop(stdin);
    assert_eq!(code(&child.wait_with_output().expect("wait")), 0);
}

/// What a unix socket's own end looks like must not depend on who closes first.
#[test]
fn a_daemon_that_closes_first_is_told_from_one_that_was_asked_to() {
    let (dir, listener) = fake();
    let start = || to(&dir.path().join("mcp.sock")).spawn().expect("start");
    let accept = || -> UnixStream { listener.accept().expect("accept").0 };

    let (child, daemon) = (start(), accept());
    drop(daemon);
    let output = ends_within(child, Duration::from_secs(1));
    assert_eq!(code(&output), 69, "{}", stderr(&output));

    let (mut child, mut daemon) = (start(), accept());
    drop(child.stdin.take());
    assert_eq!(daemon.read(&mut [0]).expect("read"), 0, "the end of input is passed on");
    daemon.write_all(b"the last word").expect("write");
    drop(daemon);
    let output = ends_within(child, Duration::from_secs(1));
    assert_eq!((code(&output), output.stdout.as_slice()), (0, b"the last word".as_slice()));
}

/// `… | provost bridge`, and the daemon is killed before all of it is answered.
#[test]
fn a_call_that_is_left_unanswered_is_69_though_input_had_ended() {
    let mut node = Node::start();
    let mut child = under_way(&node);
    drop(child.stdin.take());
    // Until the daemon has seen the end of input: what comes later is its own doing.
    eventually("the end of input is passed on", || {
        let threads = fs::read_dir(format!("/proc/{}/task", child.id())).expect("threads");
        threads.count() == 2
    });
    node.provostd.kill().expect("kill");
    let output = ends_within(child, Duration::from_secs(1));
    let said = stderr(&output);
    assert_eq!(code(&output), 69, "{said}");
    assert!(said.contains("left 1 call unanswered"), "{said}");
    eventually("the command is gone with its daemon", || node.leaves("v2", 101).is_empty());
}

#[test]
fn what_is_no_message_passes_untouched_and_is_not_counted() {
    let (dir, listener) = fake();
    let mut child = to(&dir.path().join("mcp.sock")).spawn().expect("start");
    let (mut daemon, _) = listener.accept().expect("accept");
    let odd = b"{\"id\":1,\"method\":\n\xff\xfe\n[{\"id\":2,\"method\":\"ping\"}]\n{\"id\":{},\"method\":\"ping\"}\n\n";
    child.stdin.take().expect("stdin").write_all(odd).expect("write");
    let mut got = Vec::new();
    daemon.read_to_end(&mut got).expect("read");
    assert_eq!(got, odd);
    drop(daemon);
    let output = ends_within(child, Duration::from_secs(1));
    assert_eq!((code(&output), stderr(&output).as_str()), (0, ""));
}
