//! Daemons that die in the middle of a put: there is the old file, or the new one, and nothing besides.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use provost::door::{Errand, Over, Said};
use serde_json::json;

use crate::common::{Node, eventually};
use crate::door::{Door, a_put};
use crate::guest::Guest;
use crate::left_aside;

/// An errand with half of its content handed over.
fn half_way(node: &Node, guest: &Guest, path: &str, content: &[u8]) -> Door {
    let mut door = Door::open(node, guest, Errand::Put(a_put(path, content, Over::Always)));
    while !matches!(door.hear().expect("what was there"), Said::Was(_)) {}
    door.give(b"G");
    door.give(&content[..content.len() / 2]);
    door
}

fn doors(guest: &Guest) -> usize {
    let count = guest.run("grep -l provost-execd /proc/[0-9]*/comm 2>/dev/null | wc -l");
    count.trim().parse().expect("a number")
}

#[test]
fn a_killed_provostd_or_provost_execd_leaves_the_old_file_and_no_other() {
    let (mut node, guest) = (Node::start(), Guest::idle());
    let content = vec![b'n'; 3 << 20];
    for (round, path) in ["/srv/t", "/srv/new"].into_iter().cycle().take(4).enumerate() {
        guest.run("printf old > /srv/t");
        let door = half_way(&node, &guest, path, &content);
        if round < 2 {
            // As when provostd is killed: everything that it holds of the errand goes at once.
            drop(door);
        } else {
            kill(Pid::from_raw(node.execd.id() as i32), Signal::SIGKILL).expect("kill");
            let _ = node.execd.wait();
            assert!(door.reply().is_none());
            drop(door);
            node.restart_execd("v2");
        }
        eventually("the errand is over", || doors(&guest) == 0);
        assert_eq!(guest.run("cat /srv/t; ls -A /srv").trim(), "oldt", "{round}");
        assert!(left_aside(&guest, "/srv").is_empty());
    }
    let mut client = node.client();
    crate::put(&mut client, &guest, "/srv/t", "on", json!({ "overwrite": "always" })).expect("as before");
    assert_eq!(guest.read("/srv/t"), "on");
}

/// The whole product, killed at moments that nobody chose: what stands there is whole.
#[test]
fn a_provostd_killed_at_any_moment_leaves_a_whole_file() {
    let (mut node, guest) = (Node::start(), Guest::idle());
    let old = "o".repeat(1 << 20);
    let new = "n".repeat(1 << 20);
    let (mut olds, mut news) = (0, 0);
    for delay in [0, 5, 10, 15, 20, 30, 40, 60, 90] {
        std::fs::write(guest.path("/srv/t"), &old).expect("write");
        std::os::unix::fs::chown(guest.path("/srv/t"), Some(100_000), Some(100_000)).expect("chown");
        let mut client = node.client();
        client.start(
            "file_put",
            json!({ "guest": guest.id, "path": "/srv/t", "content": new, "overwrite": "always" }),
        );
        std::thread::sleep(Duration::from_millis(delay));
        let _ = (node.provostd.kill(), node.provostd.wait());
        eventually("the errand is over", || doors(&guest) == 0);
        let now = guest.read("/srv/t");
        assert!(now == old || now == new, "{} bytes", now.len());
        if now == old {
            olds += 1
        } else {
            news += 1
        }
        assert_eq!(guest.run("ls -A /srv").trim(), "t");
        node.restart_provostd();
    }
    println!("killed before the change: {olds}, after it: {news}");
}

/// What the next start says became of it is what became of it.
#[test]
fn a_put_whose_provostd_was_killed_is_closed_at_the_next_start_by_what_is_there() {
    let (mut node, guest) = (Node::start(), Guest::idle());
    let ended = |node: &Node| {
        let receipts = crate::record::all(&node.ledger()).into_iter();
        receipts.filter(|receipt| receipt.kind.name() == "outcome").collect::<Vec<_>>()
    };
    let intents = |node: &Node| {
        crate::record::all(&node.ledger()).iter().filter(|receipt| receipt.body["act"] == "file_put").count()
    };
    let mut told = Vec::new();
    // One that is likely to be over by then, and one that is not; over a file, and where none was.
    for (round, (path, size)) in
        [("/srv/a", 10), ("/srv/a", 7 << 20), ("/srv/b", 7 << 20)].into_iter().enumerate()
    {
        if path == "/srv/a" {
            guest.run("printf old > /srv/a");
        }
        let before = guest.read(path);
        let new = "n".repeat(size);
        let mut client = node.client();
        client.start(
            "file_put",
            json!({ "guest": guest.id, "path": path, "content": new, "overwrite": "always" }),
        );
        eventually("it is about to be done", || intents(&node) > round);
        let _ = (node.provostd.kill(), node.provostd.wait());
        let done: Vec<u64> =
            crate::record::all(&node.ledger()).iter().filter_map(|file| file.closes()).collect();
        node.restart_provostd();
        if done.len() > told.len() {
            told.push("recorded");
            continue;
        }
        eventually("it is closed", || {
            ended(&node).iter().any(|outcome| !done.contains(&outcome.closes().unwrap()))
        });
        let outcome = ended(&node).pop().expect("an outcome");
        let now = guest.read(path);
        let result = outcome.body["result"].as_str().unwrap_or_default().to_owned();
        let right = if now == new { "done" } else { "failed" };
        assert!(now == new || now == before, "{} bytes", now.len());
        assert_eq!(result, right, "{outcome:?}");
        assert_eq!((outcome.guest, outcome.tool.as_deref()), (Some(guest.id), Some("file_put")));
        told.push(right);
    }
    println!("told: {told:?}");
}

/// Where nobody can tell: not looked at, or changed since.
#[test]
fn what_cannot_be_told_of_a_killed_put_is_said_to_be_unknown() {
    let (mut node, guest) = (Node::start(), Guest::idle());
    guest.run("printf old > /srv/t");
    let new = "n".repeat(7 << 20);
    let arguments = json!({ "guest": guest.id, "path": "/srv/t", "content": new, "overwrite": "always" });
    let mut client = node.client();
    client.start("file_put", arguments);
    let receipts = |node: &Node| crate::record::all(&node.ledger());
    eventually("it is about to be done", || {
        receipts(&node).iter().any(|receipt| receipt.body["act"] == "file_put")
    });
    let _ = (node.provostd.kill(), node.provostd.wait());
    eventually("the errand is over", || doors(&guest) == 0);
    guest.run("printf other > /srv/t");
    node.restart_provostd();
    let outcome = || receipts(&node).into_iter().find(|receipt| receipt.closes().is_some());
    eventually("it is closed", || outcome().is_some());
    let outcome = outcome().expect("an outcome");
    if outcome.kind.name() == "outcome" {
        assert_eq!(outcome.body["result"], "unknown", "{outcome:?}");
        assert!(outcome.why.as_deref().unwrap_or_default().contains("neither"), "{outcome:?}");
    }
}

#[test]
fn a_put_whose_caller_gives_up_is_given_up() {
    let (node, guest) = (Node::start(), Guest::idle());
    guest.run("printf old > /srv/t");
    for _ in 0..5 {
        let mut client = node.client();
        let content = "n".repeat(3 << 20);
        let arguments =
            json!({ "guest": guest.id, "path": "/srv/t", "content": content, "overwrite": "always" });
        let id = client.start("file_put", arguments);
        client.cancel(id);
        drop(client);
        eventually("the errand is over", || doors(&guest) == 0);
        assert!(left_aside(&guest, "/srv").is_empty());
        let now = guest.read("/srv/t");
        assert!(now == "old" || now == content, "{} bytes", now.len());
    }
}
