//! What the tests that need real containers share: a node (both daemons on a configuration of their own) and a client.
//!
//! The containers are those of tests/lab. Each test has its own daemons, sockets and directory, so tests run side by
//! side, even in one container.
#![allow(dead_code, unused_imports, reason = "each test program uses its own part")]

pub mod client;
pub mod node;

pub use client::Client;
pub use node::Node;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The lab's control script.
pub fn lab() -> PathBuf {
    root().join("tests/lab/lab")
}

/// Where the lab's containers of a cgroup layout (`v2` or `mixed`) live.
pub fn lxcpath(layout: &str) -> PathBuf {
    let lab = std::env::var_os("PROVOST_LAB").map_or_else(|| "/var/lib/provost-lab".into(), PathBuf::from);
    lab.join(layout)
}

/// Runs a command where the containers of a layout were started, and returns what it wrote to standard output.
pub fn in_lab(layout: &str, command: &[&str]) -> String {
    let output = Command::new(lab())
        .args(["run", "--cgroup", layout, "--"])
        .args(command)
        .output()
        .expect("run the lab");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Runs a command in a container by lxc's own way.
pub fn lxc_attach(layout: &str, guest: u32, command: &[&str]) -> String {
    let (path, guest) = (lxcpath(layout), guest.to_string());
    let mut words = vec!["lxc-attach", "-P", path.to_str().expect("path"), "-n", &guest, "--clear-env", "--"];
    words.extend(command);
    in_lab(layout, &words)
}

/// The host's pid of a container's init.
pub fn init_of(layout: &str, guest: u32) -> i32 {
    let (path, guest) = (lxcpath(layout), guest.to_string());
    let pid = in_lab(layout, &["lxc-info", "-P", path.to_str().expect("path"), "-n", &guest, "-pH"]);
    pid.trim().parse().expect("a running container")
}

/// Waits until `met` says yes, looking often; fails with `what` after a minute, which is for what never comes and no
/// measure. For states that no descriptor reports.
pub fn eventually(what: &str, mut met: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !met() {
        assert!(std::time::Instant::now() < deadline, "in a minute never: {what}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// `provostd` by the `provost.toml` of a directory, its log beside it: to be started.
pub fn provostd(dir: &Path) -> Command {
    let log = dir.join("provostd.log");
    let log = std::fs::File::options().create(true).append(true).open(log).expect("log");
    let mut command = Command::new(env!("CARGO_BIN_EXE_provostd"));
    command
        .arg("--config")
        .arg(dir.join("provost.toml"))
        .env_remove("JOURNAL_STREAM")
        .stdin(Stdio::null())
        .stderr(log);
    command
}

/// `provost …` as the operator of that daemon types it: its exit status and what it said.
pub fn provost(dir: &Path, words: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_provost"))
        .args(words)
        .env("PROVOST_CONFIG", dir.join("provost.toml"))
        .stdin(Stdio::null())
        .output()
        .expect("provost");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

/// What `provostd` logged last, where a test is failing.
pub fn end_of_log(log: impl FnOnce() -> String) {
    if std::thread::panicking() {
        let log = log();
        let lines: Vec<&str> = log.lines().collect();
        eprintln!("--- the end of provostd.log\n{}", lines[lines.len().saturating_sub(20)..].join("\n"));
    }
}

/// The messages that a program wrote, a line each.
pub fn messages(output: &std::process::Output) -> Vec<serde_json::Value> {
    let lines = output.stdout.split(|byte| *byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
}
