//! SSH connections that are lost, with a command under way behind them.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::common::{Client, eventually};
use crate::revisions::initialize;
use crate::sdk;
use crate::workstation::{Missing, Workstation, or_say_why};

#[test]
fn a_lost_tunnel_leaves_nothing_running() {
    or_say_why(lose_tunnel());
}

#[test]
fn a_lost_bridge_leaves_nothing_running() {
    or_say_why(lose_bridge());
}

#[test]
fn a_daemon_that_is_not_there_is_69_at_the_workstation_too() {
    or_say_why(no_daemon());
}

fn no_daemon() -> Result<(), Missing> {
    let mut node = sdk::node();
    let workstation = Workstation::of(&node)?;
    node.provostd.kill().expect("kill");
    node.provostd.wait().expect("wait");
    let command = workstation.bridge();
    let output = Command::new(&command[0]).args(&command[1..]).output().expect("ssh");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(69), 0), "{said}");
    assert!(said.contains("provost bridge: cannot connect to") && said.contains("systemctl"), "{said}");
    Ok(())
}

fn lose_tunnel() -> Result<(), Missing> {
    let node = sdk::node();
    let workstation = Workstation::of(&node)?;
    let mut tunnel = workstation.tunnel(&node);
    let mut client = Client::connect(&tunnel.socket);
    client.start("exec", json!({ "guest": 101, "argv": ["sleep", "651"], "mode": "change" }));
    eventually("the command runs", || node.leaves("v2", 101).len() == 1);
    tunnel.child.kill().expect("kill");
    eventually("the command is gone with the tunnel", || node.leaves("v2", 101).is_empty());
    Ok(())
}

fn lose_bridge() -> Result<(), Missing> {
    let node = sdk::node();
    let workstation = Workstation::of(&node)?;
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let (input, output) = (OwnedFd::from(theirs.try_clone().expect("clone")), OwnedFd::from(theirs));
    let command = workstation.bridge();
    let mut ssh = Command::new(&command[0])
        .args(&command[1..])
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(output))
        .spawn()
        .expect("ssh");
    let mut client = Client::raw(ours);
    initialize(&mut client, "2025-11-25");
    client.start("exec", json!({ "guest": 101, "argv": ["sleep", "652"], "mode": "change" }));
    eventually("the command runs", || node.leaves("v2", 101).len() == 1);
    ssh.kill().expect("kill");
    ssh.wait().expect("wait");
    eventually("the command is gone with the connection", || node.leaves("v2", 101).is_empty());
    Ok(())
}
