//! What is left on record of commands in a real container.

use std::path::Path;

use provost::ledger::tree::sha256_hex;
use provost::ledger::verify::{Against, verify};
use provost::ledger::{Kind, Receipt, Segments};
use serde_json::{Value, json};

use crate::common::node::ROOT_MAY_ALL;
use crate::common::{Client, Node, eventually};

fn receipts(node: &Node) -> Vec<Receipt> {
    read(&node.ledger())
}

fn read(dir: &Path) -> Vec<Receipt> {
    let mut all = Vec::new();
    let Ok(segments) = Segments::open(&provost::ledger::Place::new(dir)) else { return all };
    let _ = segments.walk(segments.first(), |found| {
        all.push(Receipt::parse(found.line).expect("a receipt"));
        std::ops::ControlFlow::Continue(())
    });
    all
}

fn of_exec(node: &Node) -> Vec<Receipt> {
    receipts(node).into_iter().filter(|receipt| receipt.tool.as_deref() == Some("exec")).collect()
}

fn holds(node: &Node) {
    let verdict = verify(&provost::ledger::Place::new(node.ledger()), &Against::default()).expect("readable");
    assert!(verdict.holds(), "{:?}", verdict.damage);
}

#[test]
fn a_change_has_an_intent_before_it_and_its_end_behind_and_the_answer_has_its_number() {
    let node = Node::start();
    let mut client = node.client();
    let arguments = json!({
        "guest": 101, "argv": ["sh", "-c", "cat; echo OUTPUT-MARK; echo ERROR-MARK >&2; exit 3"], "mode": "change",
        "stdin": "STDIN-MARK\n", "env": { "NAME": "ENV-MARK" }, "cwd": "/tmp", "user": "nobody",
    });
    let answer = client.exec(arguments);
    let mine = of_exec(&node);
    let [intent, exec] = &mine[..] else { panic!("{mine:#?}") };
    assert_eq!((intent.kind, exec.kind), (Kind::Intent, Kind::Exec));
    assert_eq!(answer["receipt"], exec.seq);
    assert_eq!((exec.closes(), exec.guest), (Some(intent.seq), Some(101)));
    let body = &exec.body;
    assert_eq!(
        (&body["exit_code"], &body["mode"], &body["timed_out"]),
        (&json!(3), &json!("change"), &json!(false))
    );
    assert_eq!(body["argv"][2], "cat; echo OUTPUT-MARK; echo ERROR-MARK >&2; exit 3");
    assert_eq!(
        (&body["cwd"], &body["env"], &body["user"]),
        (&json!("/tmp"), &json!(["NAME"]), &json!("nobody"))
    );
    let size = |text: &str| json!({ "bytes": text.len(), "sha256": sha256_hex(text.as_bytes()) });
    assert_eq!(body["stdin"], size("STDIN-MARK\n"));
    assert_eq!(body["stdout"], size("STDIN-MARK\nOUTPUT-MARK\n"));
    assert_eq!(body["stderr"], size("ERROR-MARK\n"));
    assert_eq!(intent.body["args"]["stdin"], size("STDIN-MARK\n"));
    // What was said and heard is nowhere but in the command itself.
    let lines: String = mine.iter().map(|receipt| serde_json::to_string(receipt).unwrap()).collect();
    assert!(!lines.contains("STDIN-MARK") && !lines.contains("ENV-MARK"), "{lines}");
    holds(&node);
}

/// Lane, arguments, and kinds of the receipts that they leave.
#[test]
fn each_command_leaves_these_receipts() {
    let node = Node::with("v2", "containers = [101]", ROOT_MAY_ALL);
    let mut client = node.client();
    let calls = [
        (json!({ "guest": 101, "argv": ["true"] }), "exec allowed"),
        (json!({ "guest": 101, "script": "exit 7" }), "exec allowed"),
        (json!({ "guest": 101, "argv": ["true"], "mode": "change" }), "intent allowed, exec allowed"),
        (json!({ "guest": 101, "argv": ["/no/such"] }), "refusal refused no_such_program"),
        (
            json!({ "guest": 101, "argv": ["/no/such"], "mode": "change" }),
            "intent allowed, outcome refused failed",
        ),
        (json!({ "guest": 104, "argv": ["true"] }), "refusal refused"),
        (
            json!({ "guest": 104, "argv": ["true"], "mode": "change" }),
            "intent allowed, outcome refused failed",
        ),
        (json!({ "guest": 101, "argv": ["sleep", "9"], "timeout_s": 1 }), "exec allowed"),
        (
            json!({ "guest": 101, "argv": ["a\0b"], "mode": "change" }),
            "intent allowed, outcome refused failed",
        ),
        (json!({ "guest": 101, "argv": [] }), "refusal refused arguments"),
    ];
    for (arguments, expected) in calls {
        let before = of_exec(&node).len();
        let shown = arguments.to_string();
        let answer = client.call("exec", arguments)["structuredContent"].clone();
        let count = expected.split(", ").count();
        eventually("the receipts are there", || of_exec(&node).len() >= before + count);
        let left = of_exec(&node).split_off(before);
        let lines: Vec<String> = left.iter().map(line).collect();
        assert!(
            lines.iter().zip(expected.split(", ")).all(|(line, expected)| line.starts_with(expected))
                && lines.len() == count,
            "{shown}: {lines:?}, not {expected}"
        );
        if answer["error"].is_null() {
            assert_eq!(answer["receipt"], left.last().unwrap().seq, "{shown}");
        }
    }
    eventually("none is open", || {
        client.call("status", json!({}))["structuredContent"]["ledger"]["open_intents"] == 0
    });
    holds(&node);
}

fn line(receipt: &Receipt) -> String {
    let word = |name: &str| receipt.body[name].as_str().map_or(String::new(), |word| format!(" {word}"));
    let decision = receipt.decision.map_or("-", |decision| decision.name());
    format!("{} {decision}{}{}", receipt.kind.name(), word("code"), word("result"))
}

#[test]
fn a_command_that_is_cancelled_or_whose_client_is_gone_is_recorded_as_killed() {
    let node = Node::start();
    for mode in ["inspect", "change"] {
        for goes in ["cancels", "hangs up"] {
            let before = of_exec(&node).len();
            let mut client = node.client();
            let script = "echo begun; sleep 4720";
            let arguments = json!({ "guest": 101, "argv": ["sh", "-c", script], "mode": mode });
            let id = client.start("exec", arguments);
            eventually("the command runs", || node.leaves("v2", 101).len() == 1);
            match goes {
                "cancels" => client.cancel(id),
                _ => drop(client),
            }
            let ended = |receipt: &Receipt| receipt.kind == Kind::Exec;
            eventually("it is recorded", || of_exec(&node).iter().skip(before).any(ended));
            let left = of_exec(&node).split_off(before);
            let exec = left.last().unwrap();
            assert_eq!(left.len(), if mode == "change" { 2 } else { 1 }, "{left:?}");
            assert_eq!(exec.body["killed"], true, "{exec:?}");
            assert!(exec.body["stdout"]["sha256"].is_null() && exec.why.is_some());
            eventually("nothing of it runs", || node.leaves("v2", 101).is_empty());
        }
    }
    holds(&node);
}

/// Whenever the cancellation comes: before the command's turn, while its intent is written, as it runs, as it ends.
#[test]
fn a_call_that_is_cancelled_at_any_moment_is_on_record_once() {
    let node = Node::start();
    let mut client = node.client();
    let calls: u64 = 120;
    for call in 0..calls {
        let mode = if call % 2 == 0 { "change" } else { "inspect" };
        let id = client.start("exec", json!({ "guest": 101, "argv": ["true"], "mode": mode }));
        std::thread::sleep(std::time::Duration::from_micros(call * 100));
        client.cancel(id);
    }
    let first = |receipt: &Receipt| {
        matches!(receipt.kind, Kind::Intent | Kind::Refusal) || receipt.closes().is_none()
    };
    eventually("each is on record", || of_exec(&node).iter().filter(|it| first(it)).count() as u64 == calls);
    eventually("each change has its end", || {
        client.call("status", json!({}))["structuredContent"]["ledger"]["open_intents"] == 0
    });
    let all = of_exec(&node);
    assert_eq!(all.iter().filter(|it| first(it)).count() as u64, calls);
    let of = |kind| all.iter().filter(|receipt| receipt.kind == kind).count();
    let closed = all.iter().filter(|receipt| receipt.closes().is_some()).count();
    assert_eq!(of(Kind::Intent), closed);
    eventually("nothing of it runs", || node.leaves("v2", 101).is_empty());
    holds(&node);
}

#[test]
fn a_huge_command_leaves_a_small_receipt() {
    let node = Node::start();
    let mut client = node.client();
    let mut argv = vec!["true".to_owned()];
    argv.extend((0..4000).map(|_| "x".repeat(1000)));
    for (argv, mode) in [(&argv[..], "inspect"), (&argv[..], "change"), (&argv[..130], "change")] {
        client.call("exec", json!({ "guest": 101, "argv": argv, "mode": mode }));
    }
    eventually("all are on record", || of_exec(&node).len() >= 5);
    for receipt in of_exec(&node) {
        assert!(serde_json::to_string(&receipt).unwrap().len() < 2048, "{receipt:?}");
        let argv = &receipt.body["argv"];
        assert!(argv.is_null() || argv["sha256"].is_string(), "{argv}");
    }
    holds(&node);
}

/// Killed in the middle of a change: the intent is there, and the next start says that nobody knows.
#[test]
fn a_daemon_killed_between_intent_and_end_says_so_when_it_starts_again() {
    let mut node = Node::start();
    let mut client = node.client();
    client.start("exec", json!({ "guest": 101, "argv": ["sleep", "4721"], "mode": "change" }));
    eventually("the command runs", || node.leaves("v2", 101).len() == 1);
    node.provostd.kill().unwrap();
    node.provostd.wait().unwrap();
    let intent = of_exec(&node).pop().unwrap();
    assert_eq!(intent.kind, Kind::Intent);
    node.restart_provostd();
    let all = receipts(&node);
    let start = all.iter().rev().find(|receipt| receipt.kind == Kind::Start).unwrap();
    assert_eq!(start.body["open_intents"], json!([intent.seq]));
    let outcome = all.iter().find(|receipt| receipt.kind == Kind::Outcome).expect("an outcome");
    assert_eq!((outcome.closes(), &outcome.body["result"]), (Some(intent.seq), &json!("unknown")));
    assert_eq!((outcome.guest, outcome.tool.as_deref()), (Some(101), Some("exec")));
    let status = node.client().call("status", json!({}))["structuredContent"]["ledger"].clone();
    assert_eq!(status["open_intents"], 0, "{status}");
    eventually("nothing of it runs", || node.leaves("v2", 101).is_empty());
    holds(&node);
}

/// A stop is not a crash: what runs is killed, and its end is on record before the log is closed.
#[test]
fn a_daemon_that_is_stopped_records_the_end_of_what_it_killed() {
    let mut node = Node::start();
    let mut client = node.client();
    client.start("exec", json!({ "guest": 101, "argv": ["sleep", "4722"], "mode": "change" }));
    eventually("the command runs", || node.leaves("v2", 101).len() == 1);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(node.provostd.id() as i32), nix::sys::signal::SIGTERM)
        .unwrap();
    assert!(node.provostd.wait().unwrap().success());
    let exec = of_exec(&node).pop().unwrap();
    assert_eq!((exec.kind, &exec.body["killed"]), (Kind::Exec, &json!(true)), "{exec:?}");
    holds(&node);
}

/// Killed at random moments under load: each number that a client was given is that of its own command's receipt.
#[test]
fn no_receipt_that_a_client_was_told_of_is_lost_when_the_daemon_is_killed() {
    let runs: u64 = std::env::var("PROVOST_CRASH_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(6);
    let mut node = Node::start();
    let mut told: Vec<(u64, String)> = Vec::new();
    for run in 0..runs {
        let clients: Vec<_> = (0..3)
            .map(|client| {
                let session = node.client();
                std::thread::spawn(move || commands(session, run, client))
            })
            .collect();
        std::thread::sleep(std::time::Duration::from_millis(30 + run.wrapping_mul(2_654_435_761) % 400));
        node.provostd.kill().unwrap();
        node.provostd.wait().unwrap();
        for client in clients {
            told.extend(client.join().unwrap());
        }
        node.restart_provostd();
        let all = receipts(&node);
        assert!(all.iter().enumerate().all(|(at, receipt)| receipt.seq == at as u64));
        for (seq, mark) in &told {
            assert_eq!(all[*seq as usize].body["argv"], json!(["echo", mark]));
            assert_eq!(all[*seq as usize].kind, Kind::Exec);
        }
        let mut open: std::collections::BTreeSet<u64> =
            all.iter().filter(|it| it.kind == Kind::Intent).map(|it| it.seq).collect();
        all.iter()
            .filter_map(Receipt::closes)
            .for_each(|seq| assert!(open.remove(&seq), "closed twice: {seq}"));
        assert!(open.is_empty(), "{open:?}");
    }
    assert!(!told.is_empty());
    holds(&node);
}

/// Commands until the daemon is gone: the numbers that were told, and what was run.
fn commands(mut session: Client, run: u64, client: u64) -> Vec<(u64, String)> {
    let mut told = Vec::new();
    for count in 0.. {
        let mark = format!("{run}-{client}-{count}");
        let mode = if count % 2 == 0 { "change" } else { "inspect" };
        let arguments = json!({ "guest": 101, "argv": ["echo", mark], "mode": mode });
        let Some(answer) = session.try_call("exec", arguments) else { break };
        let answer: Value = answer["result"]["structuredContent"].clone();
        if let Some(seq) = answer["receipt"].as_u64().filter(|_| answer["error"].is_null()) {
            told.push((seq, mark));
        }
    }
    told
}
