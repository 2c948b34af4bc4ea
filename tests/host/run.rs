//! What runs, once it may.

use serde_json::json;

use crate::node::{Node, apply, kind};

#[test]
fn a_command_runs_as_it_was_approved_in_a_context_of_its_own() {
    let node = Node::on();
    let mut client = node.client();
    let script = "id -u; env | sort; printf '%s\\n' \"$@\" '$HOME %n ${X}'; cat; exit 7";
    let argv = json!(["/bin/sh", "-c", script, "x", "$PATH", "${HOME}", "%t", "a b", "$$"]);
    let id = node.approved(&mut client, json!({ "argv": argv, "stdin": "fed\n", "cwd": "/srv" }));
    let ran = apply(&mut client, &id).expect("it ran");
    assert_eq!(ran["exit_code"], 7, "{ran}");
    let lines: Vec<&str> = ran["stdout"].as_str().unwrap().lines().collect();
    let expected = [
        "0", "HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PWD=/srv", "$PATH",
        "${HOME}", "%t", "a b", "$$", "$HOME %n ${X}", "fed",
    ];
    assert_eq!(lines, expected, "{ran}");
}
