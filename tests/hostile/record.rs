//! The record of a command: there is one before the command is, or there is no command.

use std::path::Path;

use serde_json::json;

use crate::common::Node;
use crate::guest::Guest;

#[test]
fn a_command_is_on_record_with_all_but_its_secrets() {
    let node = Node::start();
    let mut client = node.client();
    let call = json!({ "guest": 101, "script": "echo a secret", "env": { "TOKEN": "another secret" }, "cwd": "/tmp",
        "user": "daemon", "timeout_s": 7, "mode": "change" });
    assert_eq!(client.exec(call)["stdout"], "a secret\n");
    let log = node.execd_log();
    let record = log.lines().find(|line| line.contains("change in container 101")).expect("a record");
    // printf 'echo a secret' | sha256sum
    let script = "PROVOST_SCRIPT_SHA256=63997885157b202c9f0ac28d1e4f9ed78b0daaf6ac31df05aec33cd72f485e59";
    for field in ["PROVOST_ENV=[\"TOKEN\"]", "PROVOST_CWD=\"/tmp\"", "PROVOST_USER=daemon", script] {
        assert!(record.contains(field), "{field}: {record}");
    }
    for field in
        ["PROVOST_SCRIPT_BYTES=13", "PROVOST_TIMEOUT_MS=7000", "[\"/bin/sh\"]", "ASKED_BY=\"user:root"]
    {
        assert!(record.contains(field), "{field}: {record}");
    }
    assert!(!log.contains("secret"), "{log}");
}

/// The service manager says that the journal is there, and it is not.
#[test]
fn what_the_journal_does_not_take_is_not_run() {
    assert!(!Path::new("/run/systemd/journal/socket").exists(), "this machine has a journal: try another");
    let (mut node, guest) = (Node::start(), Guest::idle());
    node.execd_instead(&[env!("CARGO_BIN_EXE_provost-execd")], &[("JOURNAL_STREAM", "8:1")]);
    for mode in ["inspect", "change"] {
        let call = json!({ "guest": guest.id, "argv": ["/bin/touch", "/ran"], "mode": mode });
        let error = node.client().refused(call);
        assert_eq!(error["kind"], "journal", "{error}");
        assert!(error["message"].as_str().expect("text").contains("/run/systemd/journal/socket"), "{error}");
    }
    assert!(!guest.path("/ran").exists());
}
