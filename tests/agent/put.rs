//! A file put into a VM: whole and at once, kept for undo, and recorded before and after.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use base64::Engine;
use nix::unistd::Uid;
use serde_json::{Value, json};

use crate::house::{House, call};
use crate::{FULL, VM, commands, failure, house, house_with, intent_of, kind, machine, receipt, with};

fn put(house: &House, path: &Path, content: &str, more: Value) -> Value {
    let arguments = json!({ "guest": VM, "path": path, "content": content });
    call(&mut house.client(), "file_put", with(arguments, more))
}

fn refused(house: &House, path: &Path, content: &str, more: Value) -> Value {
    let arguments = json!({ "guest": VM, "path": path, "content": content });
    failure(&mut house.client(), "file_put", with(arguments, more))
}

fn sha256(bytes: &[u8]) -> String {
    provost::ledger::tree::sha256_hex(bytes)
}

/// Nothing but these names is in a directory.
fn holds(dir: &Path, names: &[&str]) {
    let entries = fs::read_dir(dir).expect("a directory");
    let mut found: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    found.sort();
    assert_eq!(found, names);
}

#[test]
fn a_new_file_is_there_whole_with_its_mode_and_both_receipts() {
    let house = house(FULL);
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("größe ✓");
    let answer = put(&house, &path, "zwölf\n", json!({ "mode": "0600" }));
    assert_eq!(fs::read(&path).expect("the file"), "zwölf\n".as_bytes());
    assert_eq!(
        (&answer["sha256"], &answer["replaced"]),
        (&json!(sha256("zwölf\n".as_bytes())), &json!(null))
    );
    assert_eq!((&answer["mode"], &answer["size"]), (&json!("0600"), &json!(7)), "{answer}");
    assert_eq!(fs::metadata(&path).expect("the file").permissions().mode() & 0o7777, 0o600);
    assert!(answer["note"].as_str().expect("a note").contains("rename"), "{answer}");
    let outcome = receipt(&house, &answer["receipt"]);
    assert_eq!((outcome.kind.name(), &outcome.body["act"]), ("file", &json!("put")), "{outcome:?}");
    let intent = intent_of(&house, &outcome);
    assert_eq!((&intent.body["act"], &intent.body["args"]["vm"]), (&json!("file_put"), &json!("pve1")));
    assert!(intent.body["before"].is_null() && intent.seq < outcome.seq, "{intent:?}");
    assert!(
        !house.receipts().iter().any(|receipt| format!("{receipt:?}").contains("zwölf")),
        "never the content"
    );
    holds(dir.path(), &["größe ✓"]);
}

#[test]
fn what_is_there_is_replaced_only_as_asked_and_keeps_mode_and_owner() {
    let house = house(FULL);
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    fs::write(&path, "old").expect("a file");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o4751)).expect("mode");
    if Uid::effective().is_root() {
        std::os::unix::fs::chown(&path, Some(1), Some(2)).expect("owner");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o4751)).expect("mode");
    }
    let before = fs::metadata(&path).expect("the file");
    assert_eq!(kind(&refused(&house, &path, "new", json!({}))), "exists");
    let wrong = json!({ "overwrite": "if_hash", "if_sha256": sha256(b"other") });
    let other = refused(&house, &path, "new", wrong);
    assert_eq!(kind(&other), "changed", "{other}");
    assert!(other["error"]["message"].as_str().expect("text").contains(&sha256(b"old")), "{other}");
    assert_eq!(fs::read(&path).expect("the file"), b"old");
    let answer = put(&house, &path, "new", json!({ "if_sha256": sha256(b"old") }));
    assert_eq!(answer["replaced"]["sha256"], sha256(b"old"), "{answer}");
    let after = fs::metadata(&path).expect("the file");
    assert_eq!(fs::read(&path).expect("the file"), b"new");
    assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
    assert_ne!(after.ino(), before.ino(), "a file of its own, renamed over the old one");
    let answer = put(&house, &path, "newer", json!({ "overwrite": "always", "mode": "644" }));
    assert_eq!((&answer["mode"], &answer["replaced"]["mode"]), (&json!("0644"), &json!("4751")), "{answer}");
    holds(dir.path(), &["file"]);
}

#[test]
fn an_undo_brings_back_what_was_there_or_takes_away_what_was_not() {
    let house = house(FULL);
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    let old: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    fs::write(&path, &old).expect("a file");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).expect("mode");
    let replaced = put(&house, &path, "new", json!({ "overwrite": "always", "mode": "0600" }));
    assert!(
        replaced["undo"].as_str().expect("a way").contains(&replaced["receipt"].to_string()),
        "{replaced}"
    );
    let mut client = house.client();
    let restore = |receipt: &Value| json!({ "guest": VM, "restore": receipt });
    let undone = call(&mut client, "file_put", restore(&replaced["receipt"]));
    assert_eq!(fs::read(&path).expect("the file"), old);
    assert_eq!(fs::metadata(&path).expect("the file").permissions().mode() & 0o7777, 0o640);
    let intent = intent_of(&house, &receipt(&house, &undone["receipt"]));
    assert!(intent.body["from"].is_u64(), "{intent:?}");
    // Not twice: what is there is not what was put.
    assert_eq!(kind(&failure(&mut client, "file_put", restore(&replaced["receipt"]))), "changed");
    let made = put(&house, &dir.path().join("made"), "x", json!({}));
    let gone = call(&mut client, "file_put", restore(&made["receipt"]));
    assert!(gone["sha256"].is_null(), "{gone}");
    holds(dir.path(), &["file"]);
    // And what was taken away comes back.
    call(&mut client, "file_put", restore(&gone["receipt"]));
    holds(dir.path(), &["file", "made"]);
}

#[test]
fn a_file_of_many_pieces_arrives_byte_by_byte() {
    let house = house(FULL);
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("large");
    let content: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let encoded = base64::engine::general_purpose::STANDARD.encode(&content);
    let answer = put(&house, &path, &encoded, json!({ "encoding": "base64" }));
    assert_eq!(answer["sha256"], sha256(&content));
    assert_eq!(fs::read(&path).expect("the file"), content);
    // An empty one too.
    put(&house, &dir.path().join("empty"), "", json!({}));
    assert_eq!(fs::read(dir.path().join("empty")).expect("the file"), b"");
}

#[test]
fn a_link_leads_to_the_file_that_is_replaced() {
    let house = house(FULL);
    let dir = tempfile::tempdir().expect("a directory");
    let (file, link) = (dir.path().join("file"), dir.path().join("link"));
    fs::write(&file, "old").expect("a file");
    symlink("file", &link).expect("a link");
    put(&house, &link, "new", json!({ "overwrite": "always" }));
    assert_eq!(fs::read(&file).expect("the file"), b"new");
    assert!(fs::symlink_metadata(&link).expect("the link").is_symlink());
}

#[test]
fn what_cannot_be_put_is_named_and_nothing_is_left_behind() {
    let house = house(FULL);
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    assert_eq!(kind(&refused(&house, &at("none/file"), "x", json!({}))), "not_found");
    assert_eq!(kind(&refused(&house, dir.path(), "x", json!({ "overwrite": "always" }))), "not_a_file");
    let owner = refused(&house, &at("file"), "x", json!({ "owner": "no-such-user:no-such-group" }));
    assert_eq!(kind(&owner), "no_such_user", "{owner}");
    let outcome = receipt(&house, &owner["receipt"]);
    assert_eq!(outcome.body["result"], "failed", "{outcome:?}");
    assert_eq!(kind(&refused(&house, Path::new("/proc/none"), "x", json!({}))), "file");
    holds(dir.path(), &[]);
}

#[test]
fn where_no_linux_runs_it_is_written_in_place_and_the_answer_says_so() {
    let house = house(FULL);
    machine(&house, |machine| machine.os = json!({ "id": "mswindows", "pretty-name": "Windows 11" }));
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("größe");
    let made = put(&house, &path, "✓ one", json!({}));
    assert_eq!(fs::read(&path).expect("the file"), "✓ one".as_bytes());
    assert!(made["note"].as_str().expect("a note").contains("in place"), "{made}");
    assert_eq!(kind(&refused(&house, &path, "two", json!({}))), "exists");
    let wrong = json!({ "if_sha256": sha256(b"other") });
    assert_eq!(kind(&refused(&house, &path, "two", wrong)), "changed");
    let replaced = put(&house, &path, "two", json!({ "if_sha256": sha256("✓ one".as_bytes()) }));
    assert_eq!((replaced["replaced"].get("mode"), replaced.get("mode")), (None, None), "{replaced}");
    let mut client = house.client();
    call(&mut client, "file_put", json!({ "guest": VM, "restore": replaced["receipt"] }));
    assert_eq!(fs::read(&path).expect("the file"), "✓ one".as_bytes());
    for more in [json!({ "mode": "0600" }), json!({ "owner": "root" })] {
        assert_eq!(kind(&refused(&house, &dir.path().join("x"), "x", more)), "not_in_this_vm");
    }
    let large = refused(&house, &dir.path().join("x"), &"x".repeat(50_000), json!({}));
    assert_eq!(kind(&large), "not_in_this_vm", "{large}");
    let away = failure(&mut client, "file_put", json!({ "guest": VM, "restore": made["receipt"] }));
    assert_eq!(kind(&away), "not_in_this_vm", "{away}");
    let nowhere = refused(&house, &dir.path().join("none/x"), "x", json!({}));
    assert_eq!(kind(&nowhere), "not_found", "{nowhere}");
    let outcome = receipt(&house, &nowhere["receipt"]);
    assert_eq!(outcome.body["result"], "failed", "{outcome:?}");
    assert!(commands(&house).is_empty(), "nothing ran");
    holds(dir.path(), &["größe"]);
}

#[test]
fn an_agent_that_goes_in_the_middle_leaves_the_old_file_and_an_open_end() {
    let house = house(FULL);
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    fs::write(&path, "old").expect("a file");
    let content = "x".repeat(8_000_000);
    let mut client = house.client();
    let arguments = json!({ "guest": VM, "path": path, "content": content, "overwrite": "always" });
    let id = client.start("file_put", arguments);
    crate::common::eventually("it has begun", || commands(&house).len() > 4);
    machine(&house, |machine| machine.answers = false);
    let answer = client.answer(id)["result"].clone();
    assert_eq!(answer["isError"], true, "{answer}");
    assert_eq!(fs::read(&path).expect("the file"), b"old");
    let outcome = receipt(&house, &answer["structuredContent"]["receipt"]);
    assert_eq!(outcome.body["result"], "failed", "{outcome:?}");
}

/// What is left of a put, the names of which nobody else gives.
fn left(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries
        .filter(|path| path.file_name().expect("a name").as_encoded_bytes().starts_with(b".provost-"))
        .collect()
}

/// As if it had been left there an hour ago.
fn age(path: &Path) {
    let hour = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    fs::File::open(path).and_then(|file| file.set_modified(hour)).expect("a time");
}

#[test]
fn a_daemon_killed_in_the_middle_says_where_the_rest_lies_and_the_next_put_takes_it_away() {
    let mut house = house(FULL);
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    fs::write(&path, "old").expect("a file");
    let arguments =
        json!({ "guest": VM, "path": path, "content": "x".repeat(8_000_000), "overwrite": "always" });
    // Who goes away takes a call back: this one stays until the daemon is dead.
    let mut client = house.client();
    client.start("file_put", arguments);
    let has_content =
        |aside: &std::path::PathBuf| fs::metadata(aside.join("new")).is_ok_and(|new| new.len() > 0);
    crate::common::eventually("it has begun", || left(dir.path()).first().is_some_and(has_content));
    house.kill();
    assert_eq!(fs::read(&path).expect("the file"), b"old");
    let aside = left(dir.path()).pop().expect("what was begun");
    house.start();
    let told = || house.receipts().into_iter().find(|receipt| receipt.kind.name() == "outcome");
    crate::common::eventually("the intent is closed", || told().is_some());
    let outcome = told().expect("an outcome");
    let why = outcome.why.clone().unwrap_or_default();
    assert_eq!((&outcome.body["result"], outcome.guest), (&json!("unknown"), Some(VM)), "{outcome:?}");
    assert!(why.contains("is as it was") && why.contains(aside.to_str().expect("text")), "{why}");
    assert_eq!(intent_of(&house, &outcome).body["args"]["aside"], json!(aside));
    // What is young may be another daemon's that is under way.
    put(&house, &path, "new", json!({ "overwrite": "always" }));
    assert_eq!(left(dir.path()), std::slice::from_ref(&aside));
    age(&aside.join("new"));
    age(&aside);
    put(&house, &path, "newer", json!({ "overwrite": "always" }));
    holds(dir.path(), &["file"]);
}

#[test]
fn what_only_looks_like_the_rest_of_a_put_is_left_alone() {
    let house = house(FULL);
    let (dir, outside) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let at = |name: &str| dir.path().join(format!(".provost-{name}"));
    let made = |name: &str, mode: u32, file: &str| {
        fs::create_dir(at(name)).expect("a directory");
        fs::write(at(name).join(file), "kept").expect("a file");
        fs::set_permissions(at(name), PermissionsExt::from_mode(mode)).expect("mode");
        age(&at(name).join(file));
        age(&at(name));
    };
    made("open", 0o777, "new");
    made("other", 0o700, "other");
    if Uid::effective().is_root() {
        made("theirs", 0o700, "new");
        std::os::unix::fs::chown(at("theirs"), Some(1), Some(1)).expect("owner");
    }
    fs::set_permissions(outside.path(), PermissionsExt::from_mode(0o700)).expect("mode");
    fs::write(outside.path().join("new"), "kept").expect("a file");
    age(&outside.path().join("new"));
    age(outside.path());
    symlink(outside.path(), at("link")).expect("a link");
    fs::write(at("file"), "kept").expect("a file");
    let before = left(dir.path()).len();
    made("ours", 0o700, "new");
    put(&house, &dir.path().join("file"), "x", json!({}));
    assert_eq!(left(dir.path()).len(), before);
    assert!(!at("ours").exists() && outside.path().join("new").exists());
}

#[test]
fn what_is_too_large_to_keep_has_no_undo_and_says_so() {
    let house = house_with(FULL, "keep_replaced = 10");
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    fs::write(&path, "more than ten bytes").expect("a file");
    let answer = put(&house, &path, "new", json!({ "overwrite": "always" }));
    assert!(answer["undo"].as_str().expect("why").starts_with("none:"), "{answer}");
}

#[test]
fn whoever_may_not_change_puts_nothing() {
    let house = house("profile = \"full\"\napproval = []\nexec = \"inspect\"");
    let dir = tempfile::tempdir().expect("a directory");
    let answer = refused(&house, &dir.path().join("file"), "x", json!({}));
    assert_eq!(kind(&answer), "lane_not_allowed", "{answer}");
    assert!(commands(&house).is_empty());
    holds(dir.path(), &[]);
}
