//! A VM's files as `file_get` gives them: with what a command tells, and where the role may have none.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use base64::Engine;
use serde_json::{Value, json};

use crate::house::{House, call};
use crate::{FULL, VM, commands, failure, house, kind, machine, receipt, with};

const LOOKS: &str = "profile = \"full\"\napproval = []\nexec = \"inspect\"";

fn get(house: &House, path: &str, more: Value) -> Value {
    call(&mut house.client(), "file_get", with(json!({ "guest": VM, "path": path }), more))
}

/// A directory with a file of these bytes, and the file's path.
fn file(content: &[u8]) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("größe");
    fs::write(&path, content).expect("a file");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).expect("mode");
    let path = path.to_str().expect("text").to_owned();
    (dir, path)
}

#[test]
fn a_file_comes_with_all_that_a_containers_has() {
    let house = house(FULL);
    let (_dir, path) = file("zwölf ✓\n".as_bytes());
    let answer = get(&house, &path, json!({}));
    assert_eq!((&answer["content"], &answer["encoding"]), (&json!("zwölf ✓\n"), &json!("text")), "{answer}");
    assert_eq!((&answer["size"], &answer["mode"]), (&json!(11), &json!("0640")), "{answer}");
    assert_eq!(answer["sha256"], provost::ledger::tree::sha256_hex("zwölf ✓\n".as_bytes()));
    assert_eq!((&answer["sha256_of"], answer.get("untold")), (&json!("file"), None), "{answer}");
    for key in ["owner", "uid", "gid", "mtime", "links"] {
        assert!(!answer[key].is_null(), "{key}: {answer}");
    }
    let read = receipt(&house, &answer["receipt"]);
    assert_eq!(
        (read.kind.name(), &read.body["act"], read.guest),
        ("file", &json!("get"), Some(VM)),
        "{read:?}"
    );
    // What was run for it is on record as what it is: a change, with its intent.
    let receipts = house.receipts();
    let ran = receipts.iter().find(|receipt| receipt.kind.name() == "exec").expect("a command");
    assert_eq!(ran.body["mode"], "change", "{ran:?}");
    assert!(receipts.iter().any(|receipt| receipt.kind.name() == "intent"), "{receipts:?}");
}

#[test]
fn a_role_that_may_only_look_gets_the_bytes_and_no_command_runs_for_it() {
    let house = house(LOOKS);
    let (dir, path) = file(b"0123456789");
    let answer = get(&house, &path, json!({}));
    assert_eq!((&answer["content"], &answer["size"]), (&json!("0123456789"), &json!(10)), "{answer}");
    assert!(answer.get("mode").is_none() && answer.get("owner").is_none(), "{answer}");
    assert!(answer["untold"].as_str().expect("why").contains("\"change\""), "{answer}");
    assert_eq!(get(&house, &path, json!({ "tail": 3 }))["content"], "789");
    assert_eq!(get(&house, &path, json!({ "offset": 4, "length": 2 }))["content"], "45");
    let directory = dir.path().to_str().expect("text");
    let refused = failure(&mut house.client(), "file_get", json!({ "guest": VM, "path": directory }));
    assert_eq!(kind(&refused), "is_a_directory", "{refused}");
    assert!(refused["error"]["next"].as_str().expect("what to do").contains("change"), "{refused}");
    assert!(commands(&house).is_empty(), "nothing ran");
}

#[test]
fn a_halt_stops_the_commands_and_not_the_reading() {
    let house = house(FULL);
    let (_dir, path) = file(b"bytes");
    let (well, said) = house.provost(&["halt", "--why", "the test"]);
    assert!(well, "{said}");
    // As in a container: a halt closes the tools of guests altogether.
    let refused = failure(&mut house.client(), "file_get", json!({ "guest": VM, "path": path }));
    assert_eq!((kind(&refused), commands(&house).len()), ("halted", 0), "{refused}");
}

#[test]
fn parts_ends_and_lines_are_the_files_own_in_each_release_and_by_each_role() {
    let all: Vec<u8> = (0..300_000u32).flat_map(|number| format!("{number}\n").into_bytes()).collect();
    let (_dir, path) = file(&all);
    let old = |options: &mut provost::sim::Options| {
        options.catalog = provost::catalog::Catalog::embedded(provost::catalog::Release::V8_4);
    };
    let houses =
        [house(FULL), house(LOOKS), House::with(crate::estate(), &crate::roles(LOOKS, ""), None, old)];
    for house in &houses {
        let part = get(house, &path, json!({ "offset": 1_200_000, "length": 1000, "encoding": "base64" }));
        let engine = base64::engine::general_purpose::STANDARD;
        let bytes = engine.decode(part["content"].as_str().expect("text")).expect("base64");
        assert_eq!(bytes, all[1_200_000..1_201_000]);
        assert_eq!((&part["offset"], &part["sha256_of"]), (&json!(1_200_000), &json!("part")), "{part}");
        let tail = get(house, &path, json!({ "lines": 2 }));
        assert_eq!(tail["content"], "299998\n299999\n");
        assert_eq!(tail["size"], all.len(), "{}", tail["size"]);
        let whole = get(house, &path, json!({ "length": 4 << 20 }));
        assert_eq!(whole["sha256"], provost::ledger::tree::sha256_hex(&all));
        assert_eq!((&whole["sha256_of"], whole.get("next_offset")), (&json!("file"), None));
        let beyond = get(house, &path, json!({ "offset": all.len() + 10 }));
        assert_eq!(beyond["content"], "", "{beyond}");
    }
}

#[test]
fn every_byte_comes_as_it_is() {
    let all: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
    let (_dir, path) = file(&all);
    let house = house(LOOKS);
    let answer = get(&house, &path, json!({ "length": 3 << 20, "encoding": "base64" }));
    assert_eq!(answer["sha256"], provost::ledger::tree::sha256_hex(&all));
}

#[test]
fn a_directory_is_listed_with_its_kinds_and_its_pages() {
    let house = house(FULL);
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    fs::write(at("a\nb"), "x").expect("a file");
    fs::write(at("-n"), "xy").expect("a file");
    fs::write(at(".hidden"), "").expect("a file");
    fs::write(at("ü"), "").expect("a file");
    fs::create_dir(at("sub")).expect("a directory");
    symlink("/somewhere else", at("link")).expect("a link");
    let path = dir.path().to_str().expect("text");
    let answer = get(&house, path, json!({}));
    assert_eq!((&answer["kind"], &answer["size"]), (&json!("directory"), &json!(6)), "{answer}");
    let entries = answer["entries"].as_array().expect("entries");
    let entry = |name: &str| {
        let found = entries.iter().find(|entry| entry["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {answer}")).clone()
    };
    assert_eq!((&entry("-n")["size"], &entry("-n")["kind"]), (&json!(2), &json!("f")));
    assert_eq!((&entry("sub")["kind"], &entry("link")["kind"]), (&json!("d"), &json!("l")));
    assert_eq!(entry("link")["to"], "/somewhere else");
    assert_eq!(entry("a\\nb")["name_base64"], "YQpi");
    entry(".hidden");
    entry("ü");
    let mut paged = Vec::new();
    for offset in [0, 4] {
        let page = get(&house, path, json!({ "offset": offset, "length": 4 }));
        assert_eq!(page["next_offset"], if offset == 0 { json!(4) } else { json!(null) }, "{page}");
        paged.extend(page["entries"].as_array().expect("entries").clone());
    }
    assert_eq!(&paged, entries);
    let last = get(&house, path, json!({ "tail": 2 }));
    assert_eq!(last["entries"].as_array().expect("entries")[..], entries[4..]);
    fs::create_dir(at("sub/empty")).expect("a directory");
    assert_eq!(get(&house, &format!("{path}/sub/empty"), json!({}))["size"], 0);
}

#[test]
fn what_is_no_file_or_not_there_is_named() {
    let house = house(FULL);
    let dir = tempfile::tempdir().expect("a directory");
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let mut client = house.client();
    for (path, expected) in [
        (fifo.to_str().expect("text").to_owned(), "not_a_file"),
        (format!("{}/none", dir.path().display()), "not_found"),
        (format!("{}/none/none", dir.path().display()), "not_found"),
        ("relative".to_owned(), "arguments"),
    ] {
        let refused = failure(&mut client, "file_get", json!({ "guest": VM, "path": path }));
        assert_eq!(kind(&refused), expected, "{refused}");
    }
    machine(&house, |machine| machine.disabled = vec!["guest-exec", "guest-file-open"]);
    let refused = failure(&mut client, "file_get", json!({ "guest": VM, "path": "/etc/hostname" }));
    assert_eq!(kind(&refused), "agent_command_disabled", "{refused}");
}

#[test]
fn where_no_linux_runs_the_bytes_come_and_the_rest_is_said_to_be_untold() {
    let house = house(FULL);
    machine(&house, |machine| machine.os = json!({ "id": "mswindows", "pretty-name": "Windows 11" }));
    let (_dir, path) = file(b"bytes");
    let answer = get(&house, &path, json!({}));
    assert_eq!(answer["content"], "bytes");
    assert!(answer["untold"].as_str().expect("why").contains("Windows 11"), "{answer}");
    assert!(commands(&house).is_empty());
}
