use super::samples;
use super::*;
use crate::config::ArgvRecord;
use crate::ledger::canonical::is_canonical;
use crate::ledger::log::{Stamp, line};

fn line_of(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    let stamp = Stamp { mono_us: 1_000_001, start: "0011223344556677", time: &jiff::Timestamp::UNIX_EPOCH };
    line(entry, 7, &stamp, &mut bytes);
    bytes
}

#[test]
fn every_kind_is_written_in_canonical_form_and_reads_back() {
    let mut kinds = Vec::new();
    for entry in samples::all() {
        let bytes = line_of(&entry);
        let text = String::from_utf8_lossy(&bytes);
        assert!(is_canonical(&bytes), "{text}");
        let receipt = Receipt::parse(&bytes).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!((receipt.seq, receipt.guest), (7, Some(101)));
        assert_eq!(receipt.kind, entry.body.kind());
        assert_eq!(receipt.closes(), entry.body.closes());
        assert_eq!(serde_json::to_string(&receipt.time).unwrap(), "\"1970-01-01T00:00:00Z\"");
        kinds.push(receipt.kind);

        let bare = line_of(&Entry::of(entry.body));
        assert!(is_canonical(&bare), "{}", String::from_utf8_lossy(&bare));
    }
    assert_eq!(kinds, Kind::ALL);
}

#[test]
fn no_line_break_or_control_character_gets_out_of_its_string() {
    let entry =
        Entry { why: Some("a\n{\"seq\":9}\r\u{1b}[2J\0\u{85}\u{2028}".into()), ..samples::all().remove(1) };
    let bytes = line_of(&entry);
    assert!(!bytes.iter().any(|byte| *byte < b' '));
    assert!(is_canonical(&bytes));
}

#[test]
fn a_command_is_recorded_without_the_secrets_that_it_names() {
    let recorded = |argv: &[&str]| serde_json::to_value(Argv::of(argv, ArgvRecord::Full)).unwrap();
    assert_eq!(
        recorded(&[
            "pveum",
            "passwd",
            "--password",
            "hunter2",
            "--PASSWORD=hunter2",
            "PGPASSWORD=hunter2",
            "password"
        ]),
        serde_json::json!([
            "pveum",
            "passwd",
            "--password",
            "[withheld]",
            "--PASSWORD=[withheld]",
            "PGPASSWORD=[withheld]",
            "password"
        ])
    );
    let hashed = serde_json::to_string(&Argv::of(&["printf", "hunter2"], ArgvRecord::Hash)).unwrap();
    assert!(!hashed.contains("hunter2") && hashed.contains("\"count\":2"), "{hashed}");
}

#[test]
fn a_secret_that_a_cut_would_break_is_taken_out_first() {
    let text = format!("{}\n-----BEGIN RSA PRIVATE KEY-----\nAAAAhunter2AAAA", "x".repeat(4080));
    let clean = Clean::of(&text);
    assert!(!clean.as_str().contains("PRIVATE KEY"), "{clean:?}");
}

#[test]
fn a_principal_is_found_by_each_of_its_names() {
    let who = Who { uid: Some(1000), user: Some("alice".into()), ..Who::default() };
    assert_eq!(who.name(), "user:alice");
    for name in ["user:alice", "alice", "uid:1000", "1000"] {
        assert!(who.is(name), "{name}");
    }
    assert!(!who.is("user:bob") && !who.is("ali"));
    let machine = Who { cid: Some(7), vmid: Some(120), ..Who::default() };
    assert_eq!(machine.name(), "vsock:7");
    for name in ["vsock:7", "vm:120"] {
        assert!(machine.is(name), "{name}");
    }
    assert!(!machine.is("120") && !machine.is("uid:120") && !machine.is("vm:7"));
}
