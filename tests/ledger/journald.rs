//! The journal's copy in a real journald, which runs in a mount namespace of its own.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use provost::ledger::{Ledger, Options, mirror};

use crate::common::*;

const JOURNALD: &str = "/lib/systemd/systemd-journald";

#[test]
fn a_real_journal_and_the_log_agree_until_one_is_changed() {
    if !nix::unistd::Uid::effective().is_root() || !Path::new(JOURNALD).exists() {
        eprintln!("NOT RUN: needs root and {JOURNALD}");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI that is a failure");
        return;
    }
    let own = std::env::current_exe().expect("this program");
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(own)
        .args(["--exact", "journald::inside", "--ignored", "--nocapture"])
        .env("PROVOST_TEST_INSIDE", "1")
        .output()
        .expect("start unshare");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

struct Journald(Child);

impl Drop for Journald {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "not a test: what the one above runs in a namespace"]
fn inside() {
    if std::env::var_os("PROVOST_TEST_INSIDE").is_none() {
        return;
    }
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), None::<&str>).expect("mount");
    fs::create_dir_all("/run/systemd/journal").expect("make");
    fs::create_dir_all("/run/log/journal").expect("make");
    let journald =
        Command::new(JOURNALD).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let _journald = Journald(journald.expect("start journald"));
    until("journald listens", || Path::new(mirror::SOCKET).exists());

    let dir = tempfile::tempdir().expect("directory");
    let [log, older, killed] = ["log", "older", "killed"].map(|name| dir.path().join(name));
    let with_journal = || Options { journal: Some(mirror::SOCKET.into()), ..options(&log) };
    let write = |count: u64| {
        let ledger = Ledger::open(with_journal()).expect("open");
        for mark in 0..count {
            let entry = if mark % 2 == 0 { refusal(mark) } else { read(mark) };
            ledger.append_durable_blocking(entry).expect("append");
        }
        ledger.close();
    };
    write(30);
    until("the journal has it", || journal(&["PROVOST_SEQ=30"]).lines().count() == 1);
    assert_eq!(verify(&log, "31 receipts are the same, from 0 on"), 0);
    // The operator's whole review.
    let refused = journal(&["PROVOST_DECISION=refused", "--since", "today"]);
    assert_eq!(refused.lines().count(), 15);
    assert!(
        refused
            .lines()
            .all(|line| line.contains(provost::ledger::copy::message_id(provost::ledger::Kind::Refusal)))
    );

    copy(&log, &older);
    write(5);
    until("the journal has it", || journal(&["PROVOST_SEQ=36"]).lines().count() == 1);
    assert_eq!(verify(&log, "37 receipts are the same"), 0);

    // Killed before the journal was given anything: without one, so that it is certain.
    let unheard = Ledger::open(options(&log)).expect("open");
    for mark in 0..5 {
        unheard.append_durable_blocking(read(mark)).expect("append");
    }
    copy(&log, &killed);
    unheard.close();
    assert_eq!(verify(&killed, "37 receipts are the same"), 0);
    let ledger = Ledger::open(Options { journal: Some(mirror::SOCKET.into()), ..options(&killed) });
    let ledger = ledger.expect("open");
    ledger.append_durable_blocking(read(9)).expect("append");
    ledger.close();
    until("the journal has it", || journal(&["PROVOST_SEQ=44"]).lines().count() == 1);
    assert_eq!(verify(&killed, "45 receipts are the same, from 0 on"), 0);

    copy(&older, &log);
    assert_eq!(verify(&log, "the journal has entry 44, and the log ends before it"), 1);
    // Begun anew, by whoever wants nobody to ask.
    fs::remove_dir_all(&log).expect("remove");
    write(3);
    let key = fs::read_to_string(log.join("ledger.pub")).expect("read");
    let ours = format!("PROVOST_KEY={}", key.split('+').nth(1).expect("a key's hash"));
    until("the journal has it", || journal(&["PROVOST_SEQ=3", &ours]).lines().count() == 1);
    assert_eq!(verify(&log, "the journal has entries 0 to 44 of another log of this name"), 1);
}

fn journal(matches: &[&str]) -> String {
    let output =
        Command::new("journalctl").args(["-t", "provost", "-o", "json", "-q"]).args(matches).output();
    String::from_utf8(output.expect("start journalctl").stdout).expect("text")
}

/// How `provost audit verify --journal` ends, once it said what it should.
fn verify(log: &Path, wanted: &str) -> i32 {
    let output = Command::new(env!("CARGO_BIN_EXE_provost"))
        .args(["audit", "verify", "--journal", "--dir"])
        .arg(log)
        .output()
        .expect("start provost");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(wanted), "{wanted}: {text}");
    output.status.code().expect("a code")
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// systemd's own compiler takes the catalogue.
#[test]
fn the_catalogue_is_one_that_journalctl_reads() {
    if Command::new("journalctl").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("NOT RUN: journalctl is not here");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI that is a failure");
        return;
    }
    let root = tempfile::tempdir().expect("directory");
    let dir = root.path().join("usr/lib/systemd/catalog");
    fs::create_dir_all(&dir).expect("make");
    fs::create_dir_all(root.path().join("var/lib/systemd/catalog")).expect("make");
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/provost.catalog");
    fs::copy(own, dir.join("provost.catalog")).expect("copy");
    let run = |verb: &str| {
        let output =
            Command::new("journalctl").arg("--root").arg(root.path()).arg(verb).output().expect("start");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    run("--update-catalog");
    let listed = run("--list-catalog");
    for kind in provost::ledger::Kind::ALL {
        assert!(listed.contains(provost::ledger::copy::message_id(kind)), "{}: {listed}", kind.name());
    }
}
