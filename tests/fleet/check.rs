//! `provost connect --check`, and what cannot be understood.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::machines::{five, run};

#[test]
fn every_host_is_shown_with_what_it_is_or_what_is_wrong_and_what_to_do() {
    let fleet = five();
    fleet.machine("five").refuse();
    fleet.machine("four").signal(Signal::SIGKILL);
    let output = run(&fleet.arguments(&["one", "two", "three", "four", "five", "--check"]));
    let said = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(1), "{said}");
    let line = |host: &str| {
        said.lines().find(|line| line.starts_with(host)).unwrap_or_else(|| panic!("{said}")).to_owned()
    };
    for (host, parts) in [
        ("one", &["well", "pve1", "demo", "all (observe)", "31"][..]),
        ("two", &["well", "pve2", "demo"]),
        ("three", &["well", "shed", "2"]),
        ("four", &["BAD"]),
        ("five", &["BAD"]),
    ] {
        let line = line(host);
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    }
    assert!(said.contains("five: ") && said.contains("Permission denied (publickey)"), "{said}");
    assert!(
        said.contains("what now: try by hand: ssh -T -o BatchMode=yes -- five provost --version"),
        "{said}"
    );
    assert!(said.contains("what now: on that node: provost doctor"), "{said}");

    let output = run(&fleet.arguments(&["one", "three", "--check", "--json"]));
    let checked: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(0), "{checked}");
    assert_eq!(
        (&checked[1]["node"], &checked[1]["ok"]),
        (&Value::from("shed"), &Value::from(true)),
        "{checked}"
    );
}

#[test]
fn what_is_no_host_is_refused_before_ssh_hears_of_it() {
    for (arguments, says) in [
        (&["--", "-oProxyCommand=touch /nowhere"][..], "no name of a host"),
        (&["x=-oProxyCommand=x"], "nothing that ssh is given"),
        (&["a", "a"], "named twice"),
        (&[], "no host is named"),
        (&["--config", "/nowhere/fleet.toml"], "cannot read /nowhere/fleet.toml"),
    ] {
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        let output = run(&arguments);
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}
