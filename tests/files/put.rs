//! What is put is there as a whole, as whose and in which place it should be, or not at all.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::common::{Node, eventually};
use crate::guest::Guest;
use crate::{call, kind, left_aside, put, sha256};

#[test]
fn a_file_is_made_replaced_only_as_it_was_said_and_keeps_its_owner_and_mode() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let made = put(&mut client, &guest, "/srv/t", "one\n", json!({})).expect("made");
    assert_eq!((&made["sha256"], &made["replaced"]), (&json!(sha256(b"one\n")), &json!(null)));
    assert_eq!((&made["mode"], &made["owner"]), (&json!("0644"), &json!("root:root")));
    let error = put(&mut client, &guest, "/srv/t", "two\n", json!({})).expect_err("exists");
    assert_eq!(kind(&error), "exists");
    guest.run("chown 33:4 /srv/t; chmod 4751 /srv/t");
    let always =
        put(&mut client, &guest, "/srv/t", "two\n", json!({ "overwrite": "always" })).expect("replaced");
    assert_eq!((&always["mode"], &always["owner"]), (&json!("4751"), &json!("www-data:adm")));
    let replaced = &always["replaced"];
    assert_eq!((&replaced["sha256"], &replaced["size"]), (&json!(sha256(b"one\n")), &json!(4)));
    assert_eq!(guest.run("stat -c '%u:%g %a' /srv/t; cat /srv/t").trim(), "33:4 4751\ntwo");
    for hash in [sha256(b"one\n"), sha256(b"two")] {
        let error =
            put(&mut client, &guest, "/srv/t", "three", json!({ "if_sha256": hash })).expect_err("changed");
        assert_eq!(kind(&error), "changed");
        assert!(error["message"].as_str().unwrap().contains(&sha256(b"two\n")), "{error}");
    }
    let more = json!({ "if_sha256": sha256(b"two\n"), "owner": "backup", "mode": "600" });
    let set = put(&mut client, &guest, "/srv/t", "three\n", more).expect("replaced");
    assert_eq!((&set["mode"], &set["owner"]), (&json!("0600"), &json!("backup:backup")));
    let more = json!({ "owner": "7:0", "encoding": "base64" });
    put(&mut client, &guest, "/srv/b", "AP8KAA==", more).expect("bytes");
    assert_eq!(std::fs::read(guest.path("/srv/b")).expect("bytes"), [0, 255, 10, 0]);
    put(&mut client, &guest, "/srv/empty", "", json!({})).expect("empty");
    assert_eq!(guest.run("stat -c '%u:%g %s' /srv/b /srv/empty").trim(), "7:0 4\n0:0 0");
    for (more, expected) in [
        (json!({ "owner": "nobody-here" }), "no_such_user"),
        (json!({ "owner": "root:nobody-here" }), "no_such_user"),
        (json!({ "owner": "4294967295" }), "no_such_user"),
        (json!({ "mode": "0999" }), "arguments"),
        (json!({ "mode": "17777" }), "arguments"),
        (json!({ "if_sha256": "abc" }), "arguments"),
        (json!({ "overwrite": "if_hash" }), "arguments"),
        (json!({ "overwrite": "always", "if_sha256": sha256(b"") }), "arguments"),
        (json!({ "encoding": "base64" }), "arguments"),
    ] {
        let error = put(&mut client, &guest, "/srv/new", "!", more.clone()).expect_err("wrong");
        assert_eq!(kind(&error), expected, "{more}: {error}");
    }
    for path in ["/srv", "/srv/", "/srv/.", "/srv/..", "/"] {
        let error = put(&mut client, &guest, path, "x", json!({ "overwrite": "always" })).expect_err(path);
        assert_eq!(kind(&error), "not_a_file", "{path}: {error}");
    }
    assert_eq!(
        kind(&put(&mut client, &guest, "/no/such", "x", json!({})).expect_err("nowhere")),
        "not_found"
    );
    assert_eq!(guest.run("ls -A /srv").split_whitespace().collect::<Vec<_>>(), ["b", "empty", "t"]);
}

/// As with every editor that does not write into the old file: the other name keeps what it had.
#[test]
fn a_hard_linked_file_is_replaced_under_the_one_name_alone() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    guest.run("printf old > /srv/a; ln /srv/a /srv/b");
    put(&mut client, &guest, "/srv/a", "new", json!({ "overwrite": "always" })).expect("replaced");
    assert_eq!((guest.read("/srv/a"), guest.read("/srv/b")), ("new".into(), "old".into()));
}

#[test]
fn a_full_file_system_keeps_the_old_file_and_nothing_besides() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    guest.run("mkdir /srv/small; mount -t tmpfs -o size=64k none /srv/small; printf old > /srv/small/t");
    let large = "x".repeat(1 << 20);
    for (path, more) in [("/srv/small/t", json!({ "overwrite": "always" })), ("/srv/small/new", json!({}))] {
        let error = put(&mut client, &guest, path, &large, more).expect_err("full");
        assert_eq!(kind(&error), "full", "{error}");
        assert!(error["next"].as_str().unwrap().contains("nothing was changed"));
    }
    assert_eq!(guest.run("cat /srv/small/t; ls -A /srv/small").trim(), "oldt");
    put(&mut client, &guest, "/srv/small/t", "fits", json!({ "overwrite": "always" })).expect("room again");
    // No inode left.
    guest.run("mkdir /srv/few; mount -t tmpfs -o nr_inodes=2 none /srv/few; printf old > /srv/few/t");
    let error =
        put(&mut client, &guest, "/srv/few/t", "new", json!({ "overwrite": "always" })).expect_err("full");
    assert_eq!(kind(&error), "full", "{error}");
    assert_eq!(guest.run("cat /srv/few/t; ls -A /srv/few").trim(), "oldt");
}

/// What is handed in is held until it is in place, and one account holds no more than its share of it.
#[test]
fn content_that_one_account_has_under_way_is_bounded() {
    let (node, guest) = (Node::start(), Guest::idle());
    let (mut one, mut other) = (node.client(), node.client());
    let large = "x".repeat(7 << 20);
    let signal = |signal| kill(Pid::from_raw(node.execd.id() as i32), signal).expect("a signal");
    signal(Signal::SIGSTOP);
    for path in ["/srv/a", "/srv/b"] {
        one.start("file_put", json!({ "guest": guest.id, "path": path, "content": large }));
    }
    // It is behind them in the same session, which have been read by then.
    one.call("status", json!({}));
    let error = put(&mut other, &guest, "/srv/c", &large, json!({})).expect_err("no room");
    signal(Signal::SIGCONT);
    assert_eq!(kind(&error), "busy", "{error}");
    eventually("both are there", || guest.run("cat /srv/a /srv/b 2>/dev/null | wc -c").trim() == "14680064");
    put(&mut other, &guest, "/srv/c", &large, json!({})).expect("room again");
}

#[test]
fn of_two_who_saw_the_same_file_one_replaces_it() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut clients = [node.client(), node.client()];
    for round in 0..20 {
        let path = format!("/srv/t{round}");
        guest.run(&format!("printf old > {path}"));
        let arguments = |content: &str| json!({ "guest": guest.id, "path": path, "content": content, "if_sha256": sha256(b"old") });
        let contents = ["a".repeat(100_000), "b".repeat(100_000)];
        let ids = [0, 1].map(|who: usize| clients[who].start("file_put", arguments(&contents[who])));
        let done = [0, 1].map(|who: usize| clients[who].answer(ids[who])["result"].clone());
        let failed: Vec<usize> = (0..2).filter(|who| done[*who]["isError"] == true).collect();
        let [loser] = failed[..] else { panic!("{done:?}") };
        assert_eq!(done[loser]["structuredContent"]["error"]["kind"], "changed");
        assert!(guest.read(&path) == contents[1 - loser]);
    }
    assert!(left_aside(&guest, "/srv").is_empty());
}

#[test]
fn what_is_too_large_is_refused() {
    let node = Node::with(
        "v2",
        "containers = [\"1-999999\"]\nmax_file = 1048576",
        crate::common::node::ROOT_MAY_ALL,
    );
    let guest = Guest::idle();
    let mut client = node.client();
    let error = put(&mut client, &guest, "/srv/t", &"x".repeat((1 << 20) + 1), json!({})).expect_err("large");
    assert_eq!(kind(&error), "too_large");
    put(&mut client, &guest, "/srv/t", &"x".repeat(1 << 20), json!({})).expect("as large as may be");
    let error = put(&mut client, &guest, "/srv/u", &"x".repeat(4 << 20), json!({})).expect_err("larger");
    assert_eq!(kind(&error), "too_large");
    assert_eq!(guest.run("ls -A /srv").trim(), "t");
}

#[test]
fn a_put_has_its_intent_and_its_end_on_record_and_neither_says_what_was_in_the_files() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    guest.run("printf OLD-MARK > /srv/t");
    let done =
        put(&mut client, &guest, "/srv/t", "NEW-MARK", json!({ "overwrite": "always" })).expect("done");
    let _ = put(&mut client, &guest, "/srv/t", "THIRD-MARK", json!({})).expect_err("exists");
    let _ = call(&mut client, "file_put", json!({ "guest": guest.id, "path": 1, "content": "FOURTH-MARK" }));
    let audit = call(&mut client, "audit", json!({ "guest": guest.id, "limit": 20 })).expect("receipts");
    let mine: Vec<_> =
        audit["receipts"].as_array().unwrap().iter().filter(|one| one["tool"] == "file_put").collect();
    let kinds: Vec<&str> = mine.iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert!(kinds.ends_with(&["refusal", "file", "intent"]), "{kinds:?}");
    let text = audit.to_string();
    assert!(text.contains(&sha256(b"NEW-MARK")) && text.contains(&sha256(b"OLD-MARK")), "{text}");
    assert_eq!(mine[kinds.len() - 2]["seq"], done["receipt"]);
    let everything = format!(
        "{text}{}{}{}",
        node.execd_log(),
        node.provostd_log(),
        std::fs::read_to_string(node.ledger().join("entries-000000.jsonl")).unwrap_or_default()
    );
    assert!(!everything.contains("-MARK"), "{everything}");
    let line = node.execd_log();
    assert!(line.contains("PROVOST_FILE=put") && line.contains(&sha256(b"NEW-MARK")), "{line}");
}
