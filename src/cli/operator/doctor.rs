//! `provost doctor`: whether things are as they should be, each with its evidence and what mends it.
//!
//! It changes nothing, and goes on where a check fails: the next may say why.

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::client::Client;
use super::{Done, Failed, Where, show};
use crate::config::{self, Config};
use crate::control::{Ask, Catalogue, Plans, Walls};

#[derive(Debug, Args)]
pub struct Doctor {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Good,
    /// It works, and somebody should look at it.
    Look,
    Bad,
}

#[derive(Debug, Serialize)]
pub struct Check {
    pub check: &'static str,
    pub state: State,
    pub evidence: String,
    /// What to do about it; nothing where it is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
    /// What it is about, one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
}

impl Check {
    fn good(check: &'static str, evidence: impl Into<String>) -> Self {
        Self { check, state: State::Good, evidence: evidence.into(), mend: None, items: Vec::new() }
    }

    fn not(check: &'static str, state: State, evidence: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { state, mend: Some(mend.into()), ..Self::good(check, evidence) }
    }
}

/// True when nothing is bad.
pub fn run(verb: &Doctor) -> Result<bool, Failed> {
    let mut checks = Vec::new();
    let path = config::path(verb.at.config.clone());
    let config = match config::load(&path) {
        Ok(config) => {
            checks.push(Check::good("configuration", format!("{} is right", path.display())));
            Some(config)
        }
        Err(error) => {
            let mend = "correct it; provostd --check says whether it is right";
            checks.push(Check::not("configuration", State::Bad, error.to_string(), mend));
            None
        }
    };
    if let Some(config) = &config {
        checks.extend(files(config));
    }
    checks.extend(daemon(&verb.at));
    let well = checks.iter().all(|check| check.state < State::Bad);
    match verb.json {
        true => show::json(&checks)?,
        false => shown(&mut anstream::stdout().lock(), &checks)?,
    }
    Ok(well)
}

/// What the daemon needs of the node.
fn files(config: &Config) -> Vec<Check> {
    let token = |path: &Path| match std::fs::metadata(path) {
        Ok(meta) if meta.mode() & 0o007 != 0 => Check::not(
            "token",
            State::Bad,
            format!("everybody may read {} (mode {:o})", path.display(), meta.mode() & 0o777),
            format!("chmod o= {}, and make another token: this one may be known", path.display()),
        ),
        Ok(_) => Check::good("token", format!("{} is there, and not everybody's to read", path.display())),
        Err(error) => Check::not(
            "token",
            State::Look,
            format!("{}: {error}", path.display()),
            "make a token (pveum user token add), or run as root: it may be there",
        ),
    };
    let mut checks = vec![token(&config.pve.token)];
    checks.extend(config.roles.iter().filter_map(|role| role.token.as_deref()).map(token));
    let certificate = &config.pve.certificate;
    checks.push(match std::fs::metadata(certificate) {
        Ok(_) => Check::good("certificate", format!("{} is there", certificate.display())),
        Err(error) => Check::not(
            "certificate",
            State::Bad,
            format!("{}: {error}", certificate.display()),
            "name the node's own as [pve] certificate: without it no connection is made",
        ),
    });
    checks
}

/// What the daemon says of itself.
fn daemon(at: &Where) -> Vec<Check> {
    let asked: Result<(Catalogue, Plans), Failed> = Client::at(at)
        .and_then(|client| Ok((client.ask(&Ask::Catalogue {})?, Client::at(at)?.ask(&Ask::Plans {})?)));
    let (catalogue, plans) = match asked {
        Ok(answers) => answers,
        Err(error) => {
            let mend = "systemctl status provost; journalctl -u provost";
            return vec![Check::not("daemon", State::Bad, error.to_string(), mend)];
        }
    };
    let mut checks = vec![Check::good("daemon", "it answers")];
    checks.push(match Client::at(at).and_then(|client| client.ask(&Ask::Walls {})) {
        Ok(walls) => sandbox(&walls),
        Err(error) => Check::not("sandbox", State::Look, error.to_string(), "systemctl restart provost"),
    });
    checks.push(match &catalogue.problem {
        None => {
            Check::good("catalogue", format!("{} endpoints, from {}", catalogue.endpoints, catalogue.origin))
        }
        Some(problem) => Check::not(
            "catalogue",
            State::Look,
            format!("{} endpoints, {}: {problem}", catalogue.endpoints, catalogue.origin),
            "install pve-docs, or name its apidoc.js as [pve] apidoc",
        ),
    });
    checks.push(match catalogue.unclassified.len() {
        0 => Check::good("tiers", "each call that changes something has one"),
        count => Check {
            items: catalogue.unclassified.clone(),
            ..Check::not(
                "tiers",
                State::Look,
                format!("{count} calls of this PVE are in no table, and count as destructive"),
                "a newer Provost may know them",
            )
        },
    });
    checks.push(match &plans.halted {
        None => Check::good("halt", "changes and commands go on"),
        Some(halted) => Check::not(
            "halt",
            State::Look,
            format!("everything is halted, by {}: {}", halted.by, halted.why),
            "provost resume",
        ),
    });
    checks.push(match plans.plans.iter().filter(|plan| plan.waits()).count() {
        0 => Check::good("approvals", "no plan waits"),
        count => Check::not(
            "approvals",
            State::Look,
            format!("{count} plans wait for somebody's yes"),
            "provost plans",
        ),
    });
    checks
}

/// What holds the daemon in.
fn sandbox(walls: &Walls) -> Check {
    let not = |state, evidence: String, mend: &str| Check {
        items: walls.missing.clone(),
        ..Check::not("sandbox", state, evidence, mend)
    };
    match walls.landlock_abi {
        None => not(
            State::Bad,
            "the kernel has no Landlock: which files and ports are the daemon's, the unit and permissions alone say".into(),
            "boot a kernel that has it (PVE's do), with landlock among lsm= if its command line has that",
        ),
        Some(abi) if walls.uid == 0 => not(
            State::Look,
            format!("Landlock ABI {abi}, and provostd runs as root: without a capability, and yet root's files are its own"),
            "start it by its unit, which runs it as provost: systemctl start provost",
        ),
        Some(abi) if walls.missing.is_empty() => Check::good("sandbox", format!("Landlock ABI {abi}, all of it")),
        Some(abi) => not(
            State::Look,
            format!("Landlock ABI {abi}, and not all of it"),
            "each line says what does not hold, and why; a newer kernel holds more",
        ),
    }
}

fn shown(out: &mut impl Write, checks: &[Check]) -> Done {
    for check in checks {
        let (style, word) = match check.state {
            State::Good => (show::YES, "good"),
            State::Look => (show::WAITS, "look"),
            State::Bad => (show::NO, "BAD "),
        };
        writeln!(out, "{style}{word}{style:#}  {:<13}  {}", check.check, show::one_line(&check.evidence))?;
        for item in &check.items {
            writeln!(out, "                       {}", show::one_line(item))?;
        }
        if let Some(mend) = &check.mend {
            writeln!(out, "                     → {}", show::one_line(mend))?;
        }
    }
    Ok(io::Write::flush(out)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walls_that_do_not_stand_are_said_one_by_one_with_what_mends_them() {
        let walls = |uid, landlock_abi, missing: &[&str]| {
            let missing = missing.iter().map(|line| (*line).to_owned()).collect();
            sandbox(&Walls { uid, landlock_abi, missing })
        };
        assert_eq!(walls(990, Some(7), &[]).state, State::Good);
        assert_eq!(walls(0, Some(7), &[]).state, State::Look);
        let none = walls(990, None, &["files: any", "TCP ports: any"]);
        assert_eq!((none.state, none.items.len()), (State::Bad, 2));
        let old = walls(990, Some(1), &["TCP ports: any"]);
        assert_eq!((old.state, old.items.len(), old.mend.is_some()), (State::Look, 1, true));
    }
}
