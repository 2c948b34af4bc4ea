//! What operators say to a daemon that runs: `provost halt`, `resume`, `plans`, `catalogue`, over its own socket.
//!
//! Needs neither root nor a container; as root, a second account is tried too.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A daemon on a configuration of its own, whose approver is this test's account.
struct Daemon {
    dir: TempDir,
    child: Option<Child>,
}

impl Daemon {
    fn start() -> Self {
        let mut daemon = Self::stopped();
        daemon.run();
        daemon
    }

    fn stopped() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let path = dir.path().display();
        let config = format!(
            "[listen]\nunix = \"{path}/mcp.sock\"\n[pve]\nurl = \"http://127.0.0.1:9\"\ndaemon = \"\"\n\
             apidoc = \"{path}/apidoc.js\"\ntoken = \"{path}/token\"\n[ledger]\ndir = \"{path}/state/ledger\"\n\
             [approval]\nmembers = [\"user:{}\"]\n",
            Uid::effective()
        );
        fs::create_dir(dir.path().join("state")).unwrap();
        fs::write(dir.path().join("provost.toml"), config).unwrap();
        fs::set_permissions(dir.path().join("provost.toml"), PermissionsExt::from_mode(0o644)).unwrap();
        Self { dir, child: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&mut self) {
        let child = Command::new(env!("CARGO_BIN_EXE_provostd"))
            .arg("--config")
            .arg(self.path("provost.toml"))
            .env_remove("LISTEN_FDS")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.provost(&["plans"]).status.code() == Some(69) {
            assert!(Instant::now() < deadline, "in thirty seconds provostd did not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn end(&mut self, signal: Signal) {
        if let Some(mut child) = self.child.take() {
            kill(Pid::from_raw(child.id() as i32), signal).unwrap();
            child.wait().unwrap();
        }
    }

    fn provost(&self, words: &[&str]) -> Output {
        self.command(Command::new(env!("CARGO_BIN_EXE_provost")), words)
    }

    fn command(&self, mut command: Command, words: &[&str]) -> Output {
        let config = self.path("provost.toml");
        command.args(words).env("PROVOST_CONFIG", config).stdin(Stdio::null()).output().unwrap()
    }

    fn json(&self, words: &[&str]) -> Value {
        let output = self.provost(&[words, &["--json"]].concat());
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn halted(&self) -> Value {
        self.json(&["plans"])["halted"]["why"].clone()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end(Signal::SIGKILL);
    }
}

#[test]
fn a_halt_survives_the_end_of_the_daemon_however_it_comes_and_its_end_does_too() {
    let mut daemon = Daemon::start();
    assert_eq!(daemon.halted(), Value::Null);
    let halted = daemon.json(&["halt", "--why", "the storage fails"]);
    assert_eq!(halted["halted"]["why"], json!("the storage fails"), "{halted}");
    assert!(halted["unseen"].is_string() && halted["note"].is_null(), "{halted}");
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        daemon.end(signal);
        daemon.run();
        assert_eq!(daemon.halted(), json!("the storage fails"));
    }
    assert_eq!(daemon.json(&["resume"])["lifted"]["why"], json!("the storage fails"));
    daemon.end(Signal::SIGKILL);
    daemon.run();
    assert_eq!(daemon.halted(), Value::Null);
}

#[test]
fn a_file_that_is_damaged_is_a_halt_that_says_so() {
    let mut daemon = Daemon::stopped();
    fs::write(daemon.path("state/halted"), "{").unwrap();
    daemon.run();
    let why = daemon.halted();
    assert!(why.as_str().unwrap().contains("is not what was written there"), "{why}");
    daemon.json(&["resume"]);
    assert_eq!(daemon.halted(), Value::Null);
    assert!(!daemon.path("state/halted").exists());
}

#[test]
fn each_switch_leaves_a_receipt() {
    let daemon = Daemon::start();
    daemon.json(&["halt", "--why", "look"]);
    daemon.json(&["resume", "--why", "looked"]);
    let ledger = daemon.path("state/ledger").display().to_string();
    let output = daemon.provost(&["audit", "--dir", &ledger, "query", "--kind", "halt", "--json"]);
    let said = String::from_utf8(output.stdout).unwrap();
    let receipts: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let halts: Vec<_> =
        receipts.iter().map(|receipt| (&receipt["body"]["halted"], &receipt["why"])).collect();
    assert_eq!(halts, [(&json!(false), &json!("looked")), (&json!(true), &json!("look"))]);
    let uid = json!(Uid::effective().as_raw());
    assert!(receipts.iter().all(|receipt| receipt["principal"]["uid"] == uid), "{said}");
}

#[test]
fn plans_that_are_not_there_are_refused_and_nobody_is_asked_without_a_terminal() {
    let daemon = Daemon::start();
    for (words, code, says) in [
        (&["approve", "00112233445566778899aabbccddeeff"][..], 1, "no plan with that id"),
        (&["deny", "00112233445566778899aabbccddeeff"], 1, "no plan with that id"),
        (&["approve", "0011"], 2, "begins with \"0011\""),
        (&["approve", "../x"], 2, "no plan's id"),
    ] {
        let output = daemon.provost(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.contains(says)), (Some(code), true), "{words:?}: {said}");
    }
}

#[test]
fn the_catalogue_says_what_it_is_and_what_of_it_has_no_tier() {
    let daemon = Daemon::start();
    let catalogue = daemon.json(&["catalogue", "unclassified"]);
    assert_eq!(catalogue["unclassified"], json!([]), "{catalogue}");
    assert!(catalogue["origin"].as_str().unwrap().starts_with("built in"), "{catalogue}");
    assert!(catalogue["problem"].as_str().unwrap().contains("apidoc.js"), "{catalogue}");
}

#[test]
fn the_doctor_says_what_is_wrong_and_what_mends_it() {
    let mut daemon = Daemon::start();
    let state = |checks: &Value, name: &str| {
        let found = checks.as_array().unwrap().iter().find(|check| check["check"] == name);
        found.unwrap_or_else(|| panic!("{name}: {checks}"))["state"].as_str().unwrap().to_owned()
    };
    let examined = |daemon: &Daemon| -> (Option<i32>, Value) {
        let output = daemon.provost(&["doctor", "--json"]);
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
    };
    let (_, checks) = examined(&daemon);
    for (name, expected) in
        [("configuration", "look"), ("daemon", "good"), ("tiers", "good"), ("halt", "good")]
    {
        assert_eq!(state(&checks, name), expected, "{checks}");
    }
    // The built-in catalogue is not the node's own.
    assert_eq!(state(&checks, "catalogue"), "look");
    assert!(daemon.provost(&["halt", "--why", "a look"]).status.success());
    assert_eq!(state(&examined(&daemon).1, "halt"), "look");
    daemon.end(Signal::SIGTERM);
    let (code, checks) = examined(&daemon);
    assert_eq!((code, state(&checks, "daemon").as_str()), (Some(1), "bad"), "{checks}");
    let said = String::from_utf8(daemon.provost(&["doctor"]).stdout).unwrap();
    assert!(said.contains("BAD") && said.contains("systemctl status provost"), "{said}");
}

/// As `systemctl kill` and a stop of the unit send it: to each of its processes.
#[test]
fn what_is_sent_to_the_reader_too_leaves_it_to_the_daemon_to_reload_or_end() {
    let mut daemon = Daemon::start();
    let child = daemon.child.as_ref().unwrap().id();
    let reader = fs::read_to_string(format!("/proc/{child}/task/{child}/children")).unwrap();
    let reader = Pid::from_raw(reader.trim().parse().expect("one child: the reader"));
    for signal in [Signal::SIGHUP, Signal::SIGTERM] {
        kill(reader, signal).unwrap();
        let stat = fs::read_to_string(format!("/proc/{reader}/status")).expect("it goes on");
        assert!(!stat.contains("(zombie)"), "{signal}: {stat}");
        assert_eq!(daemon.provost(&["plans"]).status.code(), Some(0), "{signal}");
    }
    let mut child = daemon.child.take().unwrap();
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_door_is_there_while_the_daemon_is() {
    let mut daemon = Daemon::start();
    let door = daemon.path("mcp.control.sock");
    assert_eq!(fs::metadata(&door).unwrap().mode() & 0o777, 0o666);
    daemon.end(Signal::SIGTERM);
    assert!(!door.exists());
    let output = daemon.provost(&["halt"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(69) && said.contains("is the daemon running?"), "{said}");
}

#[test]
fn another_account_may_look_and_not_switch() {
    if !Uid::effective().is_root() {
        eprintln!("NOT RUN without root: another_account_may_look_and_not_switch");
        return;
    }
    let daemon = Daemon::start();
    // Where the program lies, that account may not be able to go.
    let program = daemon.path("provost");
    fs::copy(env!("CARGO_BIN_EXE_provost"), &program).unwrap();
    let as_nobody = |words: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&program);
        daemon.command(command, words)
    };
    for verb in ["halt", "resume"] {
        let output = as_nobody(&[verb]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains("members of [approval]"), "{verb}: {said}");
    }
    assert_eq!(daemon.halted(), Value::Null);
    assert!(as_nobody(&["plans"]).status.success());
}
