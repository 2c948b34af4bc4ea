//! A command that writes too much, what nobody should see, or to the wrong end; and one that will not read.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::Node;
use crate::ground::Ground;
use crate::guest::Guest;
use crate::memory::{peak, peak_from_now};

/// How much larger `provostd` may have become, whatever a command writes.
const SOME_MEMORY: u64 = 24 << 20;

fn grew_little(node: &Node, before: u64) {
    let more = peak(node.provostd.id()) - before;
    assert!(more < SOME_MEMORY, "{more} more bytes");
}

#[test]
fn output_without_end_costs_no_memory() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let before = peak_from_now(node.provostd.id());
    let script = "yes 'without end' & cat /dev/zero >&2 & cat /dev/urandom & exec yes >&2";
    let answer = client.exec(shell(&guest, script, 2));
    assert_eq!(answer["timed_out"], true);
    let written = ["stdout_bytes", "stderr_bytes"].map(|stream| answer[stream].as_u64().unwrap());
    assert!(written.iter().all(|bytes| *bytes > 16 << 20), "{written:?}");
    assert!(answer.to_string().len() < 100_000);
    grew_little(&node, before);
    ground.is_as_before(&node, &guest);
}

#[test]
fn a_line_of_a_hundred_megabytes_is_cut_and_counted() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let before = peak_from_now(node.provostd.id());
    let answer = client.exec(shell(&guest, "head -c 100000000 /dev/zero | tr '\\0' x", 60));
    assert_eq!((&answer["exit_code"], &answer["stdout_bytes"]), (&json!(0), &json!(100_000_000)));
    let shown = answer["stdout"].as_str().unwrap();
    assert!(shown.len() <= 65 * 1024 && shown.starts_with("xxx") && shown.ends_with("xxx"));
    let counted = format!("[{} bytes cut here]", answer["stdout_cut"]);
    assert!(shown.contains(&counted), "{counted}");
    grew_little(&node, before);
    ground.is_as_before(&node, &guest);
}

/// Terminal control, hidden and reordering characters, and bytes that are no text: what a terminal, a log or a reader
/// would obey or not see.
#[test]
fn nothing_that_acts_or_hides_reaches_the_client() {
    const NASTY: &str = r"a\033[31mb\033]0;title\007c\033]52;c;ZXZpbA==\033\\d\r\bE\0F\x9b2Jg\xff\xfe\xc3(\xed\xa0\x80h\u200b\u202e\u2066i\ufeff\U000e0041\u2028j\x7fk\u00ad\n";
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let argv = json!(["/usr/bin/env", "LC_ALL=C.UTF-8", "/usr/bin/printf", NASTY]);
    let both = json!([
        "/bin/sh",
        "-c",
        "LC_ALL=C.UTF-8 /usr/bin/printf \"$1\"; LC_ALL=C.UTF-8 /usr/bin/printf \"$1\" >&2",
        "sh",
        NASTY
    ]);
    for argv in [argv, both] {
        let id = client.send(
            "tools/call",
            json!({ "name": "exec", "arguments": { "guest": guest.id, "argv": argv, "mode": "change" }, "_meta": { "progressToken": "p" } }),
        );
        let answer = client.answer(id);
        let shown = answer["result"]["structuredContent"]["stdout"].as_str().unwrap();
        assert!(shown.starts_with("abcdEF") && shown.ends_with("jk\n"), "{shown:?}");
        for message in client.notifications.iter().chain([&answer]) {
            strings(message, &mut |text| assert!(!text.chars().any(acts_or_hides), "{text:?}"));
        }
    }
    // Nor by the way of an error, which says what was asked for.
    let error =
        client.refused(json!({ "guest": guest.id, "argv": ["/no\u{1b}[2J/such\u{202e}"], "mode": "change" }));
    strings(&error, &mut |text| assert!(!text.chars().any(acts_or_hides), "{text:?}"));
    // Nor into the journal, where a line of its own would be taken for an entry of ours (CVE-2023-28486).
    client.change(guest.id, &["/bin/true", "x\n2026-01-01 INFO forged\x1b[2J\u{202e}"]);
    let log = node.execd_log() + &node.provostd_log();
    assert!(!log.lines().any(|line| line.starts_with("2026-01-01 INFO forged")), "{log}");
    assert!(!log.chars().any(|character| character != '\n' && acts_or_hides(character)), "{log:?}");
}

#[test]
fn stdin_that_is_never_read_holds_nobody_up() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let text = "y".repeat(6 << 20);
    for (script, code) in [
        ("exit 3", 3),
        ("exec <&-; sleep 0.3; exit 4", 4),
        ("sleep 0.3; exit 5", 5),
        ("head -c 1; exit 6", 6),
    ] {
        let started = Instant::now();
        let mut call = shell(&guest, script, 20);
        call["stdin"] = json!(text);
        assert_eq!(client.exec(call)["exit_code"], code, "{script}");
        assert!(started.elapsed() < Duration::from_secs(5), "{script}: {:?}", started.elapsed());
    }
    ground.is_as_before(&node, &guest);
}

#[test]
fn a_command_that_closes_its_output_is_still_waited_for() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let answer = client.exec(shell(&guest, "echo last; exec >&- 2>&-; sleep 1; exit 7", 20));
    assert_eq!((&answer["stdout"], &answer["exit_code"]), (&json!("last\n"), &json!(7)));
    assert!(answer["duration_ms"].as_f64().unwrap() > 1000.0);
    ground.is_as_before(&node, &guest);
}

#[test]
fn a_daemon_that_keeps_the_pipe_and_floods_it_does_not_hold_the_call() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let started = Instant::now();
    // It ends by the pipe that breaks once nobody reads.
    let answer = client.exec(shell(&guest, "setsid yes & setsid cat /dev/zero >&2 & sleep 0.2; exit 0", 20));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(answer["exit_code"], 0);
    ground.is_as_before(&node, &guest);
}

fn shell(guest: &Guest, script: &str, timeout_s: u32) -> Value {
    json!({ "guest": guest.id, "argv": ["/bin/sh", "-c", script], "mode": "change", "timeout_s": timeout_s })
}

fn acts_or_hides(character: char) -> bool {
    (character.is_control() && character != '\n' && character != '\t')
        || matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(character, '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Every text in an answer. The one that is JSON is looked at as what it stands for.
fn strings(value: &Value, seen: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(inner @ Value::Object(_)) => strings(&inner, seen),
            _ => seen(text),
        },
        Value::Array(items) => items.iter().for_each(|item| strings(item, seen)),
        Value::Object(fields) => fields.values().for_each(|field| strings(field, seen)),
        _ => {}
    }
}
