//! What is read is what is there.

use serde_json::json;

use crate::common::Node;
use crate::guest::Guest;
use crate::{base64, call, get, get_with, sha256};

#[test]
fn a_file_comes_as_it_is_whole_or_in_part_with_its_hash() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    guest.run(
        "printf 'one\\ntwo\\nthree\\n' > /srv/t; chown 33:33 /srv/t; chmod 640 /srv/t; ln /srv/t /srv/u",
    );
    let whole = get(&mut client, &guest, "/srv/t").expect("a file");
    assert_eq!(
        (&whole["content"], &whole["encoding"], &whole["kind"]),
        (&json!("one\ntwo\nthree\n"), &json!("text"), &json!("file"))
    );
    assert_eq!((&whole["size"], &whole["length"], &whole["links"]), (&json!(14), &json!(14), &json!(2)));
    assert_eq!((&whole["mode"], &whole["owner"]), (&json!("0640"), &json!("www-data:www-data")));
    assert_eq!((&whole["uid"], &whole["gid"]), (&json!(33), &json!(33)));
    assert_eq!(
        (&whole["sha256"], &whole["sha256_of"]),
        (&json!(sha256(b"one\ntwo\nthree\n")), &json!("file"))
    );
    for (more, content, offset) in [
        (json!({ "offset": 4, "length": 3 }), "two", 4),
        (json!({ "tail": 6 }), "three\n", 8),
        (json!({ "lines": 2 }), "two\nthree\n", 4),
        (json!({ "tail": 9, "lines": 9 }), "wo\nthree\n", 5),
        (json!({ "offset": 99 }), "", 14),
        (json!({ "length": 0 }), "", 0),
    ] {
        let part = get_with(&mut client, &guest, "/srv/t", more.clone()).expect("a part");
        assert_eq!((&part["content"], &part["offset"]), (&json!(content), &json!(offset)), "{more}");
        assert_eq!(
            (&part["sha256"], &part["sha256_of"]),
            (&json!(sha256(content.as_bytes())), &json!("part"))
        );
        let end = offset + content.len();
        assert_eq!(part["next_offset"], if end < 14 { json!(end) } else { json!(null) }, "{more}");
    }
    for more in
        [json!({ "offset": 1, "tail": 1 }), json!({ "offset": 1, "lines": 1 }), json!({ "length": 1 << 30 })]
    {
        let error = get_with(&mut client, &guest, "/srv/t", more).expect_err("no sense");
        assert_eq!(error["kind"], "arguments");
    }
}

#[test]
fn bytes_that_are_no_text_come_in_base64_and_text_is_cleaned_and_says_so() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    guest.run("head -c 300000 /dev/urandom > /srv/b; printf 'a\\033[2Jb\\342\\200\\256c' > /srv/e");
    let bytes = std::fs::read(guest.path("/srv/b")).expect("bytes");
    let answer = get_with(&mut client, &guest, "/srv/b", json!({ "length": 1 << 20 })).expect("a file");
    assert_eq!(answer["encoding"], "base64");
    assert!(base64(&answer["content"]) == bytes && answer["sha256"] == sha256(&bytes));
    let answer = get(&mut client, &guest, "/srv/b").expect("a file");
    assert_eq!((&answer["length"], &answer["next_offset"]), (&json!(65536), &json!(65536)));
    let escaped = get(&mut client, &guest, "/srv/e").expect("a file");
    assert_eq!((&escaped["content"], &escaped["cleaned"]), (&json!("abc"), &json!(true)));
    assert_eq!(escaped["sha256"], sha256(b"a\x1b[2Jb\xe2\x80\xaec"));
    let raw = get_with(&mut client, &guest, "/srv/e", json!({ "encoding": "base64" })).expect("a file");
    assert_eq!(base64(&raw["content"]), b"a\x1b[2Jb\xe2\x80\xaec");
}

#[test]
fn a_directory_is_listed_in_order_with_names_that_cannot_mislead() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let script = r#"mkdir /srv/d; cd /srv/d; printf 12345 > b; mkdir a; ln -s /etc/passwd l; mkfifo p
        chown 33 b; chmod 4711 b; : > "$(printf 'x\n\033[31my')"; : > "$(printf 'z\377')""#;
    guest.run(script);
    let listing = get(&mut client, &guest, "/srv/d").expect("a directory");
    assert_eq!((&listing["kind"], &listing["size"]), (&json!("directory"), &json!(6)));
    let entries = listing["entries"].as_array().expect("entries");
    let names: Vec<&str> = entries.iter().map(|entry| entry["name"].as_str().expect("name")).collect();
    assert_eq!(names, ["a", "b", "l", "p", "x\\ny", "z\u{fffd}"]);
    let kinds: String = entries.iter().map(|entry| entry["kind"].as_str().expect("kind")).collect();
    assert_eq!(kinds, "dflpff");
    let b = &entries[1];
    assert_eq!((&b["size"], &b["mode"], &b["owner"]), (&json!(5), &json!("4711"), &json!("www-data:root")));
    assert_eq!(entries[2]["to"], "/etc/passwd");
    assert_eq!(base64(&entries[4]["name_base64"]), b"x\n\x1b[31my");
    assert_eq!(base64(&entries[5]["name_base64"]), b"z\xff");
    let part = get_with(&mut client, &guest, "/srv/d", json!({ "offset": 1, "length": 2 })).expect("a part");
    let names: Vec<&str> =
        part["entries"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!((names, &part["next_offset"]), (vec!["b", "l"], &json!(3)));
}

#[test]
fn a_directory_of_many_is_counted_and_shown_in_part() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    guest.run("mkdir /srv/m; cd /srv/m; seq 5000 | xargs touch");
    let listing = get(&mut client, &guest, "/srv/m").expect("a directory");
    assert_eq!((&listing["size"], &listing["next_offset"]), (&json!(5000), &json!(200)));
    assert_eq!(listing["entries"].as_array().map(Vec::len), Some(200));
    let most = get_with(&mut client, &guest, "/srv/m", json!({ "length": 4000 })).expect("a directory");
    assert_eq!(most["entries"].as_array().map(Vec::len), Some(1000));
}

/// What is asked for decides what is read, however large the file is or says that it is.
#[test]
fn a_huge_and_sparse_file_is_read_where_it_is_asked_for() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    guest.run("truncate -s 8T /srv/huge 2>/dev/null || truncate -s 200G /srv/huge; printf END >> /srv/huge");
    let size = std::fs::metadata(guest.path("/srv/huge")).expect("a file").len();
    let tail = get_with(&mut client, &guest, "/srv/huge", json!({ "tail": 3 })).expect("its end");
    assert_eq!(
        (&tail["content"], &tail["size"], &tail["offset"]),
        (&json!("END"), &json!(size), &json!(size - 3))
    );
    let head =
        get_with(&mut client, &guest, "/srv/huge", json!({ "encoding": "base64" })).expect("its beginning");
    assert!(base64(&head["content"]) == vec![0; 65536]);
}

#[test]
fn every_get_is_on_record_without_what_was_in_the_file() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    guest.run("printf CONTENT-MARK > /srv/t");
    let answer = get(&mut client, &guest, "/srv/t").expect("a file");
    let audit = call(&mut client, "audit", json!({ "guest": guest.id, "kind": "file" })).expect("receipts");
    let receipt = &audit["receipts"][0];
    assert_eq!(receipt["seq"], answer["receipt"], "{audit}");
    let text = audit.to_string();
    assert!(text.contains("/srv/t") && text.contains(&sha256(b"CONTENT-MARK")), "{text}");
    let line = node.execd_log();
    assert!(line.contains("PROVOST_FILE=get") && line.contains("PROVOST_PATH=\"/srv/t\""), "{line}");
    let logs = format!("{text}{line}{}", node.provostd_log());
    assert!(!logs.contains("CONTENT-MARK"), "{logs}");
}
