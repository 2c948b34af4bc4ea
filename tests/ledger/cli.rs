//! `provost audit`, as an operator runs it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use provost::ledger::{Entry, Place, Segments, tree};

use crate::common::*;

fn audit(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_provost"));
    command.arg("audit").arg("--dir").arg(dir).args(arguments).env("TZ", "UTC").env_remove("PROVOST_CONFIG");
    command
}

fn run(dir: &Path, arguments: &[&str]) -> Output {
    audit(dir, arguments).output().expect("start provost")
}

/// What it printed, if it ended with this code.
fn said(dir: &Path, arguments: &[&str], code: i32) -> String {
    let output = run(dir, arguments);
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    text
}

fn path(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[test]
fn verify_ends_with_0_1_or_2_and_says_why() {
    let dir = directory();
    let (log, head, witness) = (dir.path().join("log"), dir.path().join("head"), dir.path().join("none"));
    small_log(&log, 20);
    fs::write(&head, run(&log, &["checkpoint"]).stdout).expect("keep");
    let all = ["verify", "--against", path(&head), "--witness", path(&witness)];
    let text = said(&log, &all, 0);
    assert!(text.contains("verified") && text.contains("20 here") && text.contains("2 compared"), "{text}");
    let key = log.join("ledger.pub");
    said(&log, &["verify", "--key", path(&key)], 0);

    let segment = log.join("entries-000002.jsonl");
    let good = fs::read_to_string(&segment).expect("read");
    fs::write(&segment, good.replacen("none of yours", "one of yours!", 1)).expect("write");
    let text = said(&log, &all, 1);
    let seq = serde_json::from_str::<serde_json::Value>(good.lines().next().expect("a line")).expect("JSON")
        ["seq"]
        .clone();
    assert!(text.contains("DAMAGED") && text.contains(&format!("entry {seq} ")), "{text}");
    fs::write(&segment, good).expect("write");

    let other = dir.path().join("other");
    small_log(&other, 5);
    assert!(said(&other, &all, 1).contains("not signed by"));
    said(&dir.path().join("nowhere"), &["verify"], 2);
    said(&log, &["verify", "--against", "/nowhere/at/all"], 2);
    said(&log, &["verify", "--sideways"], 2);
}

#[test]
fn two_heads_are_shown_to_be_of_one_log_or_not() {
    let dir = directory();
    let (log, old, forged) = (dir.path().join("log"), dir.path().join("old"), dir.path().join("forged"));
    small_log(&log, 9);
    copy(&log, &forged);
    fs::write(&old, run(&log, &["checkpoint"]).stdout).expect("keep");
    small_log(&log, 20);
    assert!(said(&log, &["consistency", path(&old)], 0).contains("verified"));
    let new = dir.path().join("new");
    fs::write(&new, run(&log, &["checkpoint"]).stdout).expect("keep");
    assert!(said(&log, &["consistency", path(&new), path(&old)], 1).contains("DAMAGED"));
    // The same key goes on from the older state: another future.
    small_log(&forged, 25);
    let text = said(&forged, &["consistency", path(&new)], 1);
    assert!(text.contains("did not grow"), "{text}");
}

#[test]
fn receipts_are_shown_searched_and_exported() {
    let dir = directory();
    let log = dir.path().join("log");
    small_log(&log, 12);
    let ledger = open(&log);
    let entry = Entry {
        why: Some("=HYPERLINK(\"x\")\u{1b}[2J\u{202e}\n<script>alert(1)</script>".into()),
        ..refusal(1)
    };
    let seq = ledger.append_durable_blocking(entry).expect("append");
    ledger.close();

    let text = said(&log, &["show", "3"], 0);
    assert!(text.contains("\"seq\": 3") && text.contains("verified: it is in the signed tree"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&said(&log, &["show", "3", "--json"], 0)).expect("JSON");
    assert_eq!((&json["receipt"]["seq"], &json["proof"]["verified"]), (&3.into(), &true.into()));
    assert_eq!(said(&log, &["show", "3", "--raw"], 0).trim_end(), lines(&log)[3]);
    assert!(said(&log, &["show", "99"], 2).contains("not here"));

    let numbers = |arguments: &[&str]| -> Vec<u64> {
        let text = said(&log, arguments, 0);
        text.lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).expect("JSON")["seq"].as_u64().expect("seq")
            })
            .collect()
    };
    assert_eq!(numbers(&["query", "--json", "--kind", "start"]), [12, 0]);
    assert_eq!(numbers(&["query", "--json", "--guest", "103", "--limit", "1"]), [10]);
    assert_eq!(
        numbers(&["query", "--json", "--decision", "refused", "--principal", "alice", "--since", "1h"]).len(),
        12
    );
    assert!(numbers(&["query", "--json", "--until", "2020-01-01"]).is_empty());
    assert!(said(&log, &["query", "--kind", "reed"], 2).contains("refusal"));

    let shown = said(&log, &["query", "--limit", "1"], 0);
    assert!(
        !shown.contains('\u{1b}') && !shown.contains('\u{202e}') && shown.lines().count() == 1,
        "{shown:?}"
    );
    assert_eq!(said(&log, &["export"], 0).lines().collect::<Vec<_>>(), lines(&log));
    let csv = said(&log, &["export", "--format", "csv", "--decision", "refused"], 0);
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<csv::StringRecord> = rows.records().map(|row| row.expect("a row")).collect();
    assert_eq!((rows.len(), &rows[11][0]), (12, seq.to_string().as_str()));
    assert!(rows[11][12].starts_with("'="), "{:?}", &rows[11][12]);

    let page = said(&log, &["report"], 0);
    assert!(page.contains("The record is whole") && page.contains("alert(1)"), "{page}");
    assert!(
        !page.contains("<script")
            && !page.contains("http://")
            && !page.contains("https://")
            && !page.contains("src=")
    );
    fs::write(log.join("entries-000001.jsonl"), "").expect("write");
    assert!(said(&log, &["report"], 0).contains("The record is damaged"));
}

#[test]
fn tail_follows_what_is_recorded() {
    let dir = directory();
    let ledger = open(dir.path());
    let mut child =
        audit(dir.path(), &["tail", "-f", "--json"]).stdout(Stdio::piped()).spawn().expect("start");
    let mut lines = BufReader::new(child.stdout.take().expect("output")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    assert!(next().contains("\"kind\":\"start\""));
    // Over the end of a segment too.
    for mark in 0..12 {
        ledger.append_durable_blocking(refusal(mark)).expect("append");
        assert!(next().contains(&format!("guest {mark} is")), "{mark}");
    }
    child.kill().expect("kill");
    child.wait().expect("wait");
    ledger.close();
}

#[test]
fn archived_segments_are_proven_by_the_tree_and_missing_ones_are_damage() {
    let dir = directory();
    let (log, archive, head) = (dir.path().join("log"), dir.path().join("archive"), dir.path().join("head"));
    small_log(&log, 20);
    fs::write(&head, run(&log, &["checkpoint"]).stdout).expect("keep");
    let moved = said(&log, &["archive", path(&archive)], 0);
    assert!(moved.contains("receipts 0 to") && archive.join("entries-000001.jsonl").exists(), "{moved}");
    let text = said(&log, &["verify", "--against", path(&head)], 0);
    assert!(text.contains("archived  0 to"), "{text}");
    assert!(said(&log, &["show", "19"], 0).contains("verified"));
    assert!(said(&log, &["show", "0"], 2).contains("not here"));
    // The daemon goes on, and the next start says what is here.
    small_log(&log, 40);
    said(&log, &["verify", "--against", path(&head)], 0);
    // What nobody archived may not be missing.
    let mut left: Vec<_> = fs::read_dir(&log).expect("list").flatten().map(|entry| entry.path()).collect();
    left.retain(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
    left.sort();
    fs::remove_file(&left[0]).expect("remove");
    assert!(said(&log, &["verify"], 1).contains("archived only those before"));
}

#[test]
fn the_witness_keeps_heads_and_takes_no_smaller_or_other_one() {
    let dir = directory();
    let (log, older, kept) = (dir.path().join("log"), dir.path().join("older"), dir.path().join("kept"));
    let keep = ["witness", "--to", path(&kept), "--keep", "2"];
    small_log(&log, 5);
    copy(&log, &older);
    for size in [5, 8, 13, 21, 34, 55] {
        small_log(&log, size);
        said(&log, &keep, 0);
        said(&log, &keep, 0);
    }
    let mut names: Vec<_> = fs::read_dir(&kept)
        .expect("list")
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    let sizes: Vec<u64> = names.iter().filter_map(|name| name.parse().ok()).collect();
    assert!(sizes.ends_with(&[34, 55]) && sizes.len() < 6, "{sizes:?}");
    said(&log, &["verify", "--witness", path(&kept)], 0);
    // Set back, then gone on with the same key.
    copy(&older, &log);
    assert!(said(&log, &keep, 1).contains("set back"));
    assert!(said(&log, &["verify", "--witness", path(&kept)], 1).contains("set back"));
    // Another log, with another key.
    let other = dir.path().join("other");
    small_log(&other, 60);
    assert!(said(&other, &keep, 2).contains("not signed by"));
    // A link that the daemon laid is not followed.
    fs::remove_file(log.join("checkpoint")).expect("remove");
    std::os::unix::fs::symlink("/etc/shadow", log.join("checkpoint")).expect("link");
    said(&log, &keep, 2);
    assert_eq!(fs::read_dir(&kept).expect("list").count(), names.len());
}

/// The journal as `journalctl -o json` prints it, for a log that has it all.
fn journal(log: &Path) -> Vec<serde_json::Value> {
    let place = Place::new(log);
    let segments = Segments::open(&place).expect("open");
    let key = fs::read_to_string(place.public_key()).expect("read");
    let origin = key.split('+').next().expect("a name").to_owned();
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(log).expect("look"));
    (segments.first()..segments.end)
        .map(|seq| {
            let hash = tree::hex(&tree::leaf_hash(&segments.line(seq).expect("a line")).0);
            serde_json::json!({
                "PROVOST_LOG": origin, "PROVOST_SEQ": seq.to_string(), "PROVOST_HASH": hash, "_UID": owner.to_string(),
                "MESSAGE": "x", "__CURSOR": "y",
            })
        })
        .collect()
}

#[test]
fn the_journal_and_the_log_each_name_what_the_other_lacks() {
    let dir = directory();
    let (log, file) = (dir.path().join("log"), dir.path().join("journal"));
    small_log(&log, 20);
    let whole = journal(&log);
    let with = |entries: &[serde_json::Value], code: i32| {
        let text: String = entries.iter().map(|entry| format!("{entry}\n")).collect();
        fs::write(&file, text + "not JSON\n{}\n").expect("write");
        said(&log, &["verify", "--journal-file", path(&file)], code)
    };
    assert!(with(&whole, 0).contains("20 receipts are the same, from 0 on"));
    // Rotated away, and not yet there.
    assert!(with(&whole[7..], 0).contains("from 7 on"));
    with(&whole[7..15], 0);
    assert!(with(&[], 0).contains("has none"));
    // A hole is not.
    let hole = [&whole[..5], &whole[8..]].concat();
    assert!(with(&hole, 1).contains("5 to 7"));
    // Unless the daemon said so.
    let mut confessed = hole;
    confessed[8]["PROVOST_UNMIRRORED"] = "3 of 5-7".into();
    assert!(with(&confessed, 0).contains("3 it lacks"));
    let mut other = whole.clone();
    other[9]["PROVOST_HASH"] = "00".into();
    assert!(with(&other, 1).contains("entry 9 is another"));
    let mut forged = whole.clone();
    forged.push(whole[3].clone());
    forged[20]["_UID"] = "4242".into();
    assert!(with(&forged, 1).contains("user 4242"));
    // Of another log on the same node: not this one's matter.
    forged[20]["PROVOST_LOG"] = "provost/elsewhere".into();
    with(&forged, 0);

    // The log is set back to an older state, right in itself: the journal knows.
    let longer = dir.path().join("longer");
    copy(&log, &longer);
    small_log(&longer, 30);
    let text: String = journal(&longer).iter().map(|entry| format!("{entry}\n")).collect();
    fs::write(&file, text).expect("write");
    said(&log, &["verify"], 0);
    let text = said(&log, &["verify", "--journal-file", path(&file)], 1);
    assert!(text.contains("the journal has entry 20") && text.contains("entry 29"), "{text}");
}
