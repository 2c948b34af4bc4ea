//! `exec` with arguments that are none: each is refused with what would be right, before anything is asked of a container.

use serde_json::{Value, json};

use crate::common::node::ROOT_MAY_ALL;
use crate::common::{Node, eventually};
use crate::ground;

/// Whole calls, and what the refusal must speak of.
fn calls() -> Vec<(Value, &'static str)> {
    let argv = json!(["/bin/true"]);
    let with = |key: &str, value: Value| {
        let mut call = json!({ "guest": 101, "argv": argv, "mode": "change" });
        call[key] = value;
        call
    };
    let mut calls = vec![
        (json!({}), "guest"),
        (json!({ "guest": 101 }), "argv"),
        (json!({ "guest": 101, "argv": argv, "script": "true" }), "exclude"),
        (json!({ "guest": 101, "script": "true", "stdin": "x" }), "stdin"),
        (with("argv", json!([])), "argv"),
        (with("argv", json!([""])), "argv"),
        (with("argv", json!(["a\0b"])), "NUL"),
        (with("argv", json!(["a", "\0"])), "NUL"),
        (with("argv", json!("/bin/true")), "sequence"),
        (with("argv", json!([1])), "string"),
        (with("argv", json!(["x".repeat(5 << 20)])), "bytes"),
        (with("argv", json!(vec!["x"; 5000])), "argv"),
        (with("argv", json!(["\u{1}".repeat(100_000)])), "bytes"),
        (with("script", json!("true")), "exclude"),
        (with("mode", json!("root")), "root"),
        (with("mode", json!("CHANGE")), "CHANGE"),
        (with("mode", Value::Null).clone(), ""),
        (with("user", json!("")), "user"),
        (with("user", json!("a\0b")), "user"),
        (with("user", json!("root\nroot")), "user"),
        (with("user", json!("x".repeat(300))), "user"),
        (with("user", json!(0)), "string"),
        (with("cwd", json!("tmp")), "cwd"),
        (with("cwd", json!("")), "cwd"),
        (with("cwd", json!("/tmp\0/x")), "cwd"),
        (with("env", json!({ "A=B": "c" })), "env"),
        (with("env", json!({ "": "c" })), "env"),
        (with("env", json!({ "A\0": "c" })), "env"),
        (with("env", json!({ "A": "c\0d" })), "env"),
        (with("env", json!({ "A": 1 })), "string"),
        (with("env", json!(["A=B"])), "map"),
        (with("stdin", json!(5)), "string"),
        (with("timeout_s", json!(0)), "timeout_s"),
        (with("timeout_s", json!(-1)), "u32"),
        (with("timeout_s", json!(1.5)), "u32"),
        (with("timeout_s", json!(3601)), "timeout_s"),
        (with("timeout_s", json!(4_294_967_295_u32)), "timeout_s"),
        (with("timeout_s", json!(1e300)), "u32"),
        (with("Guest", json!(102)), "Guest"),
        (with("host", json!(true)), "host"),
        (with("asked_by", json!("user:root")), "asked_by"),
    ];
    for guest in [
        json!(-1),
        json!("101"),
        json!(101.0),
        json!(101.5),
        json!(1e9),
        json!(4_294_967_397_u64),
        json!([101]),
    ] {
        calls.push((with("guest", guest), ""));
    }
    let mut variables = serde_json::Map::new();
    (0..1100).for_each(|number| drop(variables.insert(format!("A{number}"), json!("x"))));
    calls.push((with("env", Value::Object(variables)), "env"));
    // Not an error: what is absent and what is null is the same.
    calls.retain(|(call, _)| call.get("mode") != Some(&Value::Null));
    calls
}

#[test]
fn arguments_that_are_none_are_refused_before_anything_is_asked() {
    let node = Node::start();
    let mut client = node.client();
    let now = || (ground::descriptors(node.execd.id()), ground::descriptors(node.provostd.id()));
    // Both have only just started.
    let mut before = now();
    eventually("nothing is under way", || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let earlier = std::mem::replace(&mut before, now());
        earlier == before
    });
    for (call, word) in calls() {
        let shown: String = call.to_string().chars().take(200).collect();
        let error = client.refused(call);
        let kind = error["kind"].as_str().expect("a kind");
        assert!(["arguments", "request"].contains(&kind), "{shown}: {error}");
        assert!(error["message"].as_str().expect("a message").contains(word), "{shown}: {error}");
        assert!(error.to_string().len() < 2000, "{shown}: {} bytes", error.to_string().len());
    }
    assert!(!node.execd_log().contains("provost_guest=101"), "{}", node.execd_log());
    eventually("the descriptors are as before", || now() == before);
}

#[test]
fn guests_that_are_none_are_refused_by_the_containers_list() {
    let node = Node::with("v2", "containers = [101]", ROOT_MAY_ALL);
    let mut client = node.client();
    for guest in [0, 1, 100, 102, 1_000_000_000, u32::MAX] {
        let error = client.refused(json!({ "guest": guest, "argv": ["/bin/true"] }));
        assert_eq!(error["kind"], "not_listed", "{error}");
    }
    assert_eq!(client.change(101, &["/bin/echo", "on"])["stdout"], "on\n");
}

/// An argument that begins with a dash, holds a line break or looks like a variable stays what it is.
#[test]
fn an_argument_is_never_an_option_or_a_line() {
    let node = Node::start();
    let mut client = node.client();
    let odd = ["--", "-n", "--user=root", "a\nb", "$HOME", "`id`", "A=B", "", " ", "\u{7f}", "-rf /"];
    let mut argv = vec!["/usr/bin/printf", "%s|"];
    argv.extend(odd);
    let answer = client.change(101, &argv);
    assert_eq!(answer["stdout"], odd.join("|").replace('\u{7f}', "") + "|");
    let error = client.refused(json!({ "guest": 101, "argv": ["--help"], "mode": "change" }));
    assert_eq!(error["kind"], "no_such_program", "{error}");
    let error =
        client.refused(json!({ "guest": 101, "argv": ["/bin/true"], "mode": "change", "user": "--root" }));
    assert_eq!(error["kind"], "no_such_user", "{error}");
}

/// As large as fits, and no larger.
#[test]
fn what_fits_the_wire_is_run_whole() {
    let node = Node::start();
    let mut client = node.client();
    let long = "x".repeat(100_000);
    assert_eq!(client.change(101, &["/bin/sh", "-c", "echo ${#1}", "sh", &long])["stdout"], "100000\n");
    let many: Vec<String> = (0..4000).map(|number| number.to_string()).collect();
    let argv: Vec<&str> =
        ["/bin/sh", "-c", "echo $#", "sh"].into_iter().chain(many.iter().map(String::as_str)).collect();
    assert_eq!(client.change(101, &argv)["stdout"], "4000\n");
    // One argument longer than the kernel takes is its refusal, said in time.
    let error =
        client.refused(json!({ "guest": 101, "argv": ["/bin/true", "x".repeat(140_000)], "mode": "change" }));
    assert!(error["message"].as_str().expect("text").contains("E2BIG"), "{error}");
    assert!(error["next"].as_str().expect("text").contains("stdin"), "{error}");
}

#[test]
fn a_directory_that_the_user_may_not_enter_is_not_said_to_be_missing() {
    let node = Node::start();
    let mut client = node.client();
    for (cwd, kind) in [("/root", "directory_refused"), ("/none", "no_such_directory")] {
        let call =
            json!({ "guest": 101, "argv": ["/bin/true"], "user": "daemon", "cwd": cwd, "mode": "change" });
        assert_eq!(client.refused(call)["kind"], kind);
    }
    // Nor does it reach a program by such a directory: on the way in, it has nothing left of root's rights.
    for mode in ["inspect", "change"] {
        let call = json!({ "guest": 101, "argv": ["/root/../bin/true"], "user": "daemon", "mode": mode });
        assert_eq!(client.refused(call)["kind"], "not_executable", "{mode}");
    }
}

/// What it had written by then is in the answer.
#[test]
fn a_command_that_is_lost_on_the_way_leaves_its_output() {
    let mut node = Node::start();
    let mut client = node.client();
    let call =
        json!({ "guest": 101, "argv": ["/bin/sh", "-c", "echo so far; exec sleep 4601"], "mode": "change" });
    client.start("exec", call);
    eventually("it runs", || ground::leaves(&node).len() == 1);
    let pid = || ground::children(node.execd.id() as i32).into_iter().next();
    let runs = |pid| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words.contains("4601"))
    };
    eventually("it has written", || pid().is_some_and(runs));
    let _ = (node.execd.kill(), node.execd.wait());
    let answer = client.next().expect("an answer")["result"]["structuredContent"].clone();
    assert_eq!(
        (&answer["error"]["kind"], &answer["stdout"]),
        (&json!("execd_broken"), &json!("so far\n")),
        "{answer}"
    );
}
