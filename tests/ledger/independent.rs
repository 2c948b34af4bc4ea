//! A verifier that is not ours, and of another ecosystem: Go's `golang.org/x/mod/sumdb`, `note` and `tlog`, checks what is
//! made here, and what is made there is checked here.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::*;

/// Debian puts the packages' sources here; nothing is fetched.
const GOPATH: &str = "/usr/share/gocode";

fn has_go() -> bool {
    let go = Command::new("go").arg("version").stdout(Stdio::null()).status();
    let found = go.is_ok_and(|status| status.success())
        && Path::new(GOPATH).join("src/golang.org/x/mod/sumdb/tlog").is_dir();
    if !found {
        eprintln!(
            "NOT RUN: Go and its x/mod are not here (apt-get install golang-go golang-golang-x-mod-dev)"
        );
        assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI that is a failure");
    }
    found
}

fn go(cache: &Path, arguments: &[&Path]) -> std::process::Output {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ledger/verify.go");
    Command::new("go")
        .arg("run")
        .arg(program)
        .args(arguments)
        .env("GO111MODULE", "off")
        .env("GOPATH", GOPATH)
        .env("GOFLAGS", "")
        .env("GOPROXY", "off")
        .env("GOCACHE", cache)
        .output()
        .expect("start go")
}

#[test]
fn a_verifier_of_another_ecosystem_accepts_the_log_and_refuses_a_changed_one() {
    if !has_go() {
        return;
    }
    let dir = directory();
    let (cache, log, old) = (dir.path().join("cache"), dir.path().join("log"), dir.path().join("old"));
    small_log(&log, 23);
    std::fs::copy(log.join("checkpoint"), &old).expect("copy");
    small_log(&log, 150);
    let output = go(&cache, &[&log, &old]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    // What it checked, it counts.
    for wanted in
        ["signature", "root of 150", "inclusion of 150", "stored hashes of 150", "consistency with 23"]
    {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }

    // It does not accept everything.
    let path = log.join("entries-000003.jsonl");
    let changed = std::fs::read_to_string(&path).expect("read").replacen("none of yours", "one of yours!", 1);
    std::fs::write(&path, changed).expect("write");
    let output = go(&cache, &[&log, &old]);
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// A key that Go made, and a head that Go signed with it, are taken here.
#[test]
fn a_head_that_another_implementation_signed_is_accepted() {
    if !has_go() {
        return;
    }
    let dir = directory();
    let output = go(&dir.path().join("cache"), &[Path::new("--sign")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).expect("text");
    let (key, note) = said.split_once('\n').expect("a key and a note");
    let key = provost::ledger::PublicKey::parse(key).expect("a key");
    let head = key.head(note.as_bytes()).expect("a head");
    assert_eq!((head.size, head.root.0), (7, [9; 32]));
    assert!(key.head(note.replacen("\n7\n", "\n8\n", 1).as_bytes()).is_err());
}
