//! The configuration changes while sessions are open.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::common::{Node, eventually};

#[test]
fn a_sighup_reads_the_configuration_and_the_log_says_what_came_of_it() {
    let node = Node::start();
    let mut client = node.client();
    client.inspect(101, &["true"]);
    let right = fs::read_to_string(node.config()).expect("read");
    let hangup = || kill(Pid::from_raw(node.provostd.id() as i32), Signal::SIGHUP).expect("kill");

    fs::write(node.config(), right.replace("profile = \"full\"", "profile = \"operate\"")).expect("write");
    hangup();
    eventually("it was read", || node.provostd_log().contains("read the configuration again"));
    let error = client.refused(json!({ "guest": 101, "argv": ["true"], "mode": "change" }));
    assert_eq!(error["kind"], "lane_not_allowed", "{error}");
    client.inspect(101, &["true"]);

    fs::write(node.config(), right.replace("profile", "profil")).expect("write");
    hangup();
    eventually("it was refused", || node.provostd_log().contains("the one before it stays in force"));
    let said = node.provostd_log();
    assert!(said.contains("The nearest valid name is \"profile\""), "{said}");
    let status = &client.call("status", json!({}))["structuredContent"];
    assert_eq!(
        (&status["profile"], &status["configuration"]["in_force"]),
        (&json!("operate"), &json!(false))
    );
}

#[test]
fn a_configuration_that_others_may_write_starts_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("provost.toml");
    fs::write(&file, "").expect("write");
    fs::set_permissions(&file, PermissionsExt::from_mode(0o666)).expect("mode");
    for more in [&["--check"][..], &[]] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_provostd"));
        let output = command.arg("--config").arg(&file).args(more).output().expect("run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("chmod go-w"), "{more:?}: {said}");
    }
}
