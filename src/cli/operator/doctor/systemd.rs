//! What systemd says of Provost's units. Where it does not run there is nothing to say.

use std::path::Path;
use std::time::Duration;

use super::{Check, Ground, State};
use crate::cli::program;
use crate::config::Config;

const PATIENCE: Duration = Duration::from_secs(5);

pub fn checks(ground: &Ground) -> Vec<Check> {
    units(ground.config.as_ref())
}

fn units(config: Option<&Config>) -> Vec<Check> {
    if !runs() {
        return vec![Check::skipped("units", "systemd does not run here")];
    }
    let mut wanted = vec![
        ("provost.socket", "systemctl enable --now provost.socket"),
        ("provost-control.socket", "systemctl enable --now provost-control.socket"),
        (
            "provost-witness.timer",
            "systemctl enable --now provost-witness.timer: the ledger's heads are kept nowhere else",
        ),
    ];
    if config.is_some_and(|config| config.exec.enabled) {
        wanted.push(("provost-execd.socket", "systemctl enable --now provost-execd.socket"));
    }
    let mut checks: Vec<Check> = wanted.into_iter().map(|(unit, mend)| is_active(unit, mend)).collect();
    let failed = systemctl(&["list-units", "--plain", "--no-legend", "--state=failed", "provost*"])
        .unwrap_or_default();
    if !failed.trim().is_empty() {
        let items = failed.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
        let bad = Check::not(
            "units",
            State::Bad,
            "units of Provost's have failed",
            "systemctl status UNIT; journalctl -u UNIT",
        );
        checks.push(Check { items, ..bad });
    }
    checks
}

fn is_active(unit: &'static str, mend: &'static str) -> Check {
    match systemctl(&["is-active", unit]).as_deref().map(str::trim) {
        Some("active") => Check::good("units", format!("{unit} is active")),
        Some(state) => Check::not("units", State::Look, format!("{unit} is {state}"), mend),
        None => Check::skipped("units", format!("{unit}: systemctl does not answer")),
    }
}

/// Whether it is what runs this machine.
pub fn runs() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// A property of a unit; none where it has none, or systemd does not answer.
pub fn property(unit: &str, name: &str) -> Option<String> {
    let value = systemctl(&["show", "--property", name, "--value", unit])?;
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// The process of a service that runs.
pub fn main_pid(unit: &str) -> Option<i32> {
    property(unit, "MainPID")?.parse().ok().filter(|pid| *pid > 0)
}

fn systemctl(words: &[&str]) -> Option<String> {
    let ran = program::run(Path::new("/usr/bin/systemctl"), words, b"", PATIENCE).ok()?;
    Some(crate::text::clean(&ran.stdout))
}
