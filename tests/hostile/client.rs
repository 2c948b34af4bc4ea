//! A client that sends what no client should, too much of it, or goes away in the middle.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Client, Node, eventually};
use crate::ground::{self, Ground};
use crate::guest::Guest;

/// Lines that are no requests, and whether they must be answered.
const FRAMES: [(&str, bool); 19] = [
    ("", false),
    ("\u{0}\u{1b}[2J\u{202e} no JSON at all", true),
    ("{\"jsonrpc\":\"2.0\",\"id\":5,", true),
    ("GET / HTTP/1.1", true),
    ("5", true),
    ("null", true),
    ("\"tools/call\"", true),
    ("[]", true),
    ("[{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"ping\"}]", true),
    ("{}", true),
    ("{\"id\":5,\"method\":\"ping\"}", true),
    ("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", true),
    ("{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}", true),
    ("{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"\\u001b[2Jno/such\"}", true),
    (
        "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"tools/call\",\"params\":{\"name\":\"exec\",\"arguments\":[]}}",
        true,
    ),
    (
        "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"tools/call\",\"params\":{\"name\":\"\\u001b[2J\\u202erm\"}}",
        true,
    ),
    (
        "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"resources/read\",\"params\":{\"uri\":\"file:///etc/shadow\"}}",
        true,
    ),
    ("{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{}}", false),
    (
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":\"none\"}}",
        false,
    ),
];

#[test]
fn a_frame_that_is_none_harms_no_session() {
    let node = Node::start();
    let deep = ["[".repeat(200_000), "{\"a\":".repeat(200_000)];
    let frames = FRAMES.iter().copied().chain(deep.iter().map(|frame| (frame.as_str(), true)));
    for (frame, answered) in frames {
        let shown: String = frame.chars().take(60).collect();
        let mut client = node.client();
        client.stream().write_all(format!("{frame}\n").as_bytes()).expect("write");
        let id = client.send("ping", json!({}));
        assert!(client.answer(id)["result"].is_object(), "{shown}");
        let errors: Vec<&Value> =
            client.notifications.iter().filter(|message| !message["error"].is_null()).collect();
        assert_eq!(errors.len(), usize::from(answered), "{shown}: {:?}", client.notifications);
        assert!(!format!("{errors:?}").contains(['\u{1b}', '\u{202e}']), "{errors:?}");
        // Before the handshake too.
        let mut early = UnixStream::connect(node.socket()).expect("connect");
        early.write_all(format!("{frame}\n").as_bytes()).expect("write");
    }
    assert_eq!(node.client().change(101, &["/bin/echo", "on"])["stdout"], "on\n");
}

/// The same id again, while it is under way.
#[test]
fn an_id_that_is_used_twice_leaves_nothing_running() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let call = |client: &mut Client| {
        let params = json!({ "name": "exec", "arguments": sleep(&guest) });
        client.write(&json!({ "jsonrpc": "2.0", "id": "twice", "method": "tools/call", "params": params }));
    };
    let mut other = node.client();
    call(&mut other);
    call(&mut other);
    call(&mut other);
    eventually("they run", || !ground::leaves(&node).is_empty());
    other.write(
        &json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": "twice" } }),
    );
    other.stream().shutdown(std::net::Shutdown::Write).expect("shutdown");
    drop(other);
    ground.is_as_before(&node, &guest);
}

/// `printf … | provost bridge`: all has been asked, and the answers are still wanted.
#[test]
fn answers_come_after_the_end_of_input() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let call =
        json!({ "guest": guest.id, "argv": ["/bin/sh", "-c", "sleep 8; echo late"], "mode": "change" });
    let (code, answers) = bridge(&node, &["provost"], call);
    assert_eq!(code, Some(0));
    let late = answers.iter().find(|answer| answer["id"] == 2).expect("its answer");
    assert_eq!(late["result"]["structuredContent"]["stdout"], "late\n");
    ground.is_as_before(&node, &guest);
}

/// The same client, killed meanwhile.
#[test]
fn a_client_that_ends_its_input_and_then_goes_leaves_nothing_running() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    for half_closed in [true, false] {
        let mut other = node.client();
        other.start("exec", sleep(&guest));
        eventually("it runs", || ground::leaves(&node).len() == 1);
        if half_closed {
            other.stream().shutdown(std::net::Shutdown::Write).expect("shutdown");
        }
        drop(other);
        let started = Instant::now();
        ground.is_as_before(&node, &guest);
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    }
}

#[test]
fn whoever_is_in_no_role_may_ask_for_status_alone() {
    let node = Node::start();
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "provost"];
    let call = json!({ "guest": 101, "argv": ["/bin/true"] });
    let (code, answers) = bridge(&node, &nobody, call);
    assert_eq!(code, Some(0));
    let answer = |id: u64| answers.iter().find(|answer| answer["id"] == id).expect("an answer");
    assert_eq!(answer(2)["result"]["structuredContent"]["error"]["kind"], "no_role", "{answers:?}");
    let status = &answer(1)["result"]["structuredContent"];
    assert_eq!((&status["role"], &status["exec"]), (&Value::Null, &json!({ "lane": "none" })), "{status}");
    assert_eq!(status["principal"]["uid"], 65534, "{status}");
    // What it may not do it is not told about either.
    assert!(!status.to_string().contains("exec.sock") && status["guests"].is_null(), "{status}");
}

/// The handshake, `status` as 1 and `exec` as 2, by pipe through `provost bridge`; its exit code and its output.
pub fn bridge(node: &Node, program: &[&str], call: Value) -> (Option<i32>, Vec<Value>) {
    // Where any user may run it from.
    let bridge = node.dir().join("provost");
    std::fs::copy(env!("CARGO_BIN_EXE_provost"), &bridge).expect("copy");
    let words =
        program.iter().map(|word| if *word == "provost" { bridge.as_path() } else { Path::new(word) });
    let words: Vec<&Path> = words.collect();
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .args(["bridge", "--socket"])
        .arg(node.socket())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("provost bridge");
    let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "pipe", "version": "1" } });
    let mut input = child.stdin.take().expect("its input");
    for message in [
        json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "status", "arguments": {} } }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": "exec", "arguments": call } }),
    ] {
        input.write_all(format!("{message}\n").as_bytes()).expect("write");
    }
    drop(input);
    let output = child.wait_with_output().expect("its end");
    let text = String::from_utf8(output.stdout).expect("text");
    (output.status.code(), text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
}

fn sleep(guest: &Guest) -> Value {
    json!({ "guest": guest.id, "argv": ["/bin/sleep", "4301"], "mode": "change" })
}
