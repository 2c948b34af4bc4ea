//! The units, as systemd's own review of them counts what they leave open.

use std::path::Path;
use std::process::Command;

use crate::place::cannot;

/// Of ten; less is better. What is left is explained beside the directives.
const PROVOST: f64 = 1.2;
/// What a command in a container would inherit has no place in it (systemd/provost-execd.service).
const EXECD: f64 = 6.8;

fn exposure(unit: &str) -> Option<f64> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(unit);
    let Ok(output) = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(&file)
        .output()
    else {
        cannot("systemd-analyze is not here: how much the units leave open is not counted");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().find(|line| line.contains("Overall exposure level"));
    let Some(line) = line else {
        panic!("{unit}: {said}{}", String::from_utf8_lossy(&output.stderr));
    };
    let number = line.split(": ").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a number");
    Some(number.parse().expect("a number"))
}

#[test]
fn the_units_leave_no_more_open_than_is_promised() {
    for (unit, most) in [("provost.service", PROVOST), ("provost-execd.service", EXECD)] {
        let Some(open) = exposure(unit) else { return };
        eprintln!("{unit}: {open}");
        assert!(
            open <= most,
            "{unit} leaves {open} of 10 open, and {most} is promised: systemd-analyze security --offline=true systemd/{unit}"
        );
    }
}

/// A directive of `provost-execd.service` that systemd keeps by seccomp or no_new_privs would hold the commands in
/// containers too.
#[test]
fn nothing_stands_on_execd_that_a_command_would_inherit() {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/provost-execd.service"))
            .expect("the unit");
    let set = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    for (name, value) in set {
        let inherited = [
            "SystemCallFilter",
            "SystemCallArchitectures",
            "SystemCallLog",
            "RestrictNamespaces",
            "RestrictAddressFamilies",
            "RestrictFileSystems",
            "MemoryDenyWriteExecute",
            "LockPersonality",
            "RestrictRealtime",
            "RestrictSUIDSGID",
            "NoNewPrivileges",
            "PrivateDevices",
            "ProtectClock",
            "ProtectHostname",
            "ProtectKernelLogs",
            "ProtectKernelModules",
            "ProtectKernelTunables",
            "PrivateNetwork",
            "DynamicUser",
            "Nice",
            "CPUAffinity",
            "OOMScoreAdjust",
            "SecureBits",
            "IgnoreSIGPIPE",
            "KeyringMode",
            "Personality",
        ];
        // systemd's default for a unit of its own; what is set back to nothing is not inherited.
        assert!(!inherited.contains(&name), "{name}={value}");
    }
}
