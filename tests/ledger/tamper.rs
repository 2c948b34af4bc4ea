//! Whatever is changed is found, by verification and by the daemon's next start, and where it is, is said.

use std::fs;
use std::path::Path;

use provost::ledger::verify::{Against, verify};
use provost::ledger::{Altered, Damage, Ledger, Place, Trouble, Unrecorded};

use crate::common::*;

const SIZE: u64 = 24;

/// A log, and a copy of it to work on, made anew for each attempt.
struct Bench {
    _dir: tempfile::TempDir,
    good: std::path::PathBuf,
    work: std::path::PathBuf,
}

impl Bench {
    fn new() -> Self {
        let dir = directory();
        let (good, work) = (dir.path().join("good"), dir.path().join("work"));
        small_log(&good, SIZE);
        assert!(verdict(&good).holds(), "{:?}", verdict(&good).damage);
        assert!(fs::read_dir(&good).expect("list").count() > 8, "several segments");
        Self { _dir: dir, good, work }
    }

    fn with(&self, change: impl FnOnce(&Path)) -> Vec<Damage> {
        copy(&self.good, &self.work);
        change(&self.work);
        verdict(&self.work).damage
    }
}

fn segments(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(dir).expect("list").map(|entry| entry.expect("entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
    paths.sort();
    paths
}

/// The entry that a byte of the log belongs to, counting its line's newline.
fn entry_at(text: &[u8], at: usize, first: u64) -> u64 {
    first + text[..at].iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Whether one of the findings is about this entry.
fn locates(damage: &[Damage], seq: u64) -> bool {
    damage.iter().any(|damage| match damage {
        Damage::Entry { seq: found, .. } | Damage::StoredHash { seq: found } => *found == seq,
        Damage::NotArchived { first, last, .. } => (*first..=*last).contains(&seq),
        // What hides an entry's number or end hides the entry: it is what is missing, or its segment does not join.
        Damage::CutOff { have, .. } => *have <= seq,
        Damage::Segment(error) => error.to_string().contains("entries-"),
        Damage::Torn { .. } => true,
        _ => false,
    })
}

#[test]
fn each_flipped_byte_of_each_line_is_found_in_its_entry() {
    let bench = Bench::new();
    let mut first = 0;
    for path in segments(&bench.good) {
        let good = fs::read(&path).expect("read");
        let name = path.file_name().expect("name");
        copy(&bench.good, &bench.work);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= [0x01, 0x80][at % 2];
            fs::write(bench.work.join(name), &bad).expect("write");
            let damage = verdict(&bench.work).damage;
            let seq = entry_at(&good, at, first);
            assert!(locates(&damage, seq), "{name:?} byte {at}, entry {seq}: {damage:?}");
        }
        first += good.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    assert_eq!(first, SIZE);
}

#[test]
fn each_flipped_byte_beside_the_lines_is_found() {
    let bench = Bench::new();
    for name in ["hashes", "checkpoint", "state", "ledger.pub"] {
        let good = fs::read(bench.good.join(name)).expect("read");
        copy(&bench.good, &bench.work);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(bench.work.join(name), &bad).expect("write");
            // The last newline of the key says nothing.
            let found = !verdict(&bench.work).holds();
            assert!(found || name == "ledger.pub" && at + 1 == good.len(), "{name} byte {at}");
        }
    }
}

#[test]
fn a_log_cut_off_at_any_length_is_found() {
    let bench = Bench::new();
    let last = segments(&bench.good).pop().expect("a segment");
    for path in segments(&bench.good) {
        let length = fs::metadata(&path).expect("look").len();
        let step = if path == last { 1 } else { 61 };
        for keep in (0..length).step_by(step) {
            let damage = bench.with(|dir| {
                let file = fs::OpenOptions::new().write(true).open(dir.join(path.file_name().expect("name")));
                file.and_then(|file| file.set_len(keep)).expect("cut");
            });
            assert!(!damage.is_empty(), "{path:?} cut to {keep}");
        }
    }
    for name in ["hashes", "checkpoint", "state", "ledger.pub"] {
        let length = fs::metadata(bench.good.join(name)).expect("look").len();
        for keep in 0..length {
            let damage = bench.with(|dir| {
                let file = fs::OpenOptions::new().write(true).open(dir.join(name));
                file.and_then(|file| file.set_len(keep)).expect("cut");
            });
            assert!(!damage.is_empty() || name == "ledger.pub" && keep + 1 == length, "{name} cut to {keep}");
        }
    }
}

#[test]
fn lines_taken_out_doubled_swapped_or_put_in_are_found_where_it_happened() {
    let bench = Bench::new();
    let mut first = 0;
    for path in segments(&bench.good) {
        let text = fs::read_to_string(&path).expect("read");
        let lines: Vec<&str> = text.lines().collect();
        for index in 0..lines.len() {
            let seq = first + index as u64;
            let edit = |what: &str, change: &dyn Fn(&mut Vec<&str>)| {
                let mut changed = lines.clone();
                change(&mut changed);
                let text: String = changed.iter().map(|line| format!("{line}\n")).collect();
                let damage = bench
                    .with(|dir| fs::write(dir.join(path.file_name().expect("name")), text).expect("write"));
                assert!(!damage.is_empty(), "{what} entry {seq}");
                // Within a segment the entry itself is named; at its edge the segments no longer join.
                let named = damage.iter().any(|damage| match damage {
                    Damage::Entry { seq: found, .. } => *found == seq || *found == seq + 1,
                    Damage::NotArchived { first, last, .. } => (*first..=*last).contains(&seq),
                    Damage::Segment(_) | Damage::CutOff { .. } => true,
                    _ => false,
                });
                assert!(named, "{what} entry {seq}: {damage:?}");
            };
            edit("took out", &|lines| {
                lines.remove(index);
            });
            edit("doubled", &|lines| lines.insert(index, lines[index]));
            edit("put one before", &|lines| lines.insert(index, r#"{"a":1}"#));
            if index + 1 < lines.len() {
                edit("swapped", &|lines| lines.swap(index, index + 1));
            }
        }
        first += lines.len() as u64;
    }
}

#[test]
fn a_line_put_behind_a_log_that_was_stopped_is_found() {
    let bench = Bench::new();
    let last = segments(&bench.good).pop().expect("a segment");
    let text = fs::read_to_string(&last).expect("read");
    let line = text.lines().last().expect("a line");
    let forged = line.replace(&format!("\"seq\":{}", SIZE - 1), &format!("\"seq\":{SIZE}"));
    let add = |dir: &Path| {
        fs::write(dir.join(last.file_name().expect("name")), format!("{text}{forged}\n")).expect("write")
    };
    let damage = bench.with(add);
    let added = |damage: &Damage| matches!(damage, Damage::Entry { seq: SIZE, what: Altered::Added, .. });
    assert!(damage.iter().any(added), "{damage:?}");
    assert!(refuses(&bench.work).contains("entry 24"));
}

#[test]
fn another_key_head_or_segment_is_found() {
    let bench = Bench::new();
    let other = bench.work.with_file_name("other");
    small_log(&other, SIZE);
    for name in ["ledger.pub", "ledger.key", "checkpoint", "state", "hashes", "entries-000002.jsonl"] {
        copy(&bench.good, &bench.work);
        fs::copy(other.join(name), bench.work.join(name))
            .or_else(|_| {
                fs::remove_file(bench.work.join(name))?;
                fs::copy(other.join(name), bench.work.join(name))
            })
            .expect("copy");
        // The private key is the daemon's alone; verification does without.
        if name != "ledger.key" {
            assert!(!verdict(&bench.work).holds(), "{name}");
        }
        if name != "entries-000002.jsonl" {
            refuses(&bench.work);
        }
    }
    for name in
        ["ledger.pub", "checkpoint", "state", "hashes", "entries-000001.jsonl", "entries-000002.jsonl"]
    {
        let damage = bench.with(|dir| fs::remove_file(dir.join(name)).expect("remove"));
        assert!(!damage.is_empty(), "{name} removed");
        refuses(&bench.work);
    }
}

/// Everything is replaced by a log that is right in itself: only what was kept elsewhere tells.
#[test]
fn an_older_or_another_copy_of_everything_is_found_by_any_later_head() {
    let dir = directory();
    let (log, older, witness) =
        (dir.path().join("log"), dir.path().join("older"), dir.path().join("witness"));
    small_log(&log, 10);
    copy(&log, &older);
    small_log(&log, 20);
    fs::create_dir(&witness).expect("make");
    let head = fs::read(log.join("checkpoint")).expect("read");
    fs::write(witness.join("20"), &head).expect("write");
    let against = |witnesses: bool| Against {
        heads: if witnesses { vec![] } else { vec![("kept".into(), head.clone())] },
        witnesses: if witnesses { vec![witness.clone()] } else { vec![] },
        key: None,
    };
    for kind in [true, false] {
        let held = verify(&Place::new(&log), &against(kind)).expect("readable");
        assert!(held.holds() && held.heads == 2, "{:?}", held.damage);
    }
    copy(&older, &log);
    assert!(verdict(&log).holds(), "right in itself");
    for kind in [true, false] {
        let damage = verify(&Place::new(&log), &against(kind)).expect("readable").damage;
        assert!(matches!(damage[..], [Damage::RolledBack { size: 20, have: 10, .. }]), "{damage:?}");
    }
    // The daemon sees it too, and so does whoever goes on from there.
    let watched = || provost::ledger::Options { witnesses: vec![witness.clone()], ..options(&log) };
    let ledger = Ledger::open(watched()).expect("open");
    assert_eq!(ledger.status().state, "damaged");
    ledger.close();
    small_log(&log, 25);
    let damage = verify(&Place::new(&log), &against(true)).expect("readable").damage;
    assert!(matches!(damage[..], [Damage::Root { size: 20, .. }]), "{damage:?}");

    // A log of another key: whoever kept the key, or a head, knows.
    let key = provost::ledger::PublicKey::parse(&fs::read_to_string(log.join("ledger.pub")).expect("read"));
    let other = dir.path().join("other");
    small_log(&other, 30);
    let kept = Against { key: Some(key.expect("a key")), ..Against::default() };
    assert!(!verify(&Place::new(&other), &kept).expect("readable").holds());
    assert!(!verify(&Place::new(&other), &against(false)).expect("readable").holds());
}

#[test]
fn a_damaged_log_refuses_changes_says_where_and_can_be_read() {
    let bench = Bench::new();
    copy(&bench.good, &bench.work);
    let path = segments(&bench.work).pop().expect("a segment");
    let mut bytes = fs::read(&path).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).expect("write");
    // It lies before the last head, so opening does not read it; verification does, and tells the daemon.
    let ledger = open(&bench.work);
    assert_eq!(ledger.status().state, "ready");
    let damage = verdict(&bench.work).damage.remove(0);
    ledger.damaged(damage);
    while ledger.status().state == "ready" {
        std::thread::yield_now();
    }
    let refused = ledger.append_durable_blocking(read(1)).expect_err("refused");
    assert!(matches!(refused, Unrecorded::Damaged(_)) && refused.to_string().contains("entry"), "{refused}");
    let mut seen = 0;
    provost::ledger::query::newest_first(ledger.place(), &Default::default(), |_| {
        seen += 1;
        std::ops::ControlFlow::Continue(())
    })
    .expect("read");
    assert!(seen > 20);
    ledger.close();
}

#[test]
fn two_daemons_never_write_one_log() {
    let dir = directory();
    let ledger = open(dir.path());
    assert!(matches!(Ledger::open(options(dir.path())), Err(Trouble::Locked { .. })));
    ledger.close();
    open(dir.path()).close();
}

/// That the daemon opens it, refuses changes, and why.
fn refuses(dir: &Path) -> String {
    let before: Vec<_> = lines(dir);
    let ledger = Ledger::open(options(dir)).expect("open");
    let status = ledger.status();
    assert_eq!(status.state, "damaged", "{status:?}");
    let refused = ledger.append_durable_blocking(read(1)).expect_err("refused").to_string();
    ledger.close();
    assert_eq!(lines(dir), before, "nothing was written");
    refused
}
