//! `provost doctor`: whether things are as they should be, each with its evidence and what mends it.
//!
//! It changes nothing, needs no root to say something, and goes on where a check fails or hangs: the next may say why.

mod confined;
mod credential;
mod daemon;
mod files;
mod host;
mod http;
#[cfg(feature = "agent")]
mod node;
mod package;
mod product;
#[cfg(feature = "agent")]
mod rights;
mod sockets;
mod systemd;
mod vsock;

use std::io::{self, Write};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::client::Client;
use super::{Done, Failed, Where, show};
use crate::config::{self, Config, ConfigError};
use crate::control::{Examined, Walls};

/// For all checks together, which are made at the same time.
const PATIENCE: Duration = Duration::from_secs(45);

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
    /// It cannot be told here, or does not matter.
    Skipped,
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

    fn skipped(check: &'static str, evidence: impl Into<String>) -> Self {
        Self { state: State::Skipped, ..Self::good(check, evidence) }
    }

    fn not(check: &'static str, state: State, evidence: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { state, mend: Some(mend.into()), ..Self::good(check, evidence) }
    }
}

/// What a group of checks looks at.
struct Ground {
    at: Where,
    config: Option<Config>,
    /// What the daemon says of itself, where it says anything to this user.
    examined: Option<Examined>,
    /// What holds it, by its own word.
    walls: Option<Walls>,
}

type Group = (&'static str, fn(&Ground) -> Vec<Check>);

const GROUPS: &[Group] = &[
    ("package", package::checks),
    ("product", product::checks),
    ("files", files::checks),
    ("sockets", sockets::checks),
    #[cfg(feature = "agent")]
    ("node", node::checks),
    #[cfg(feature = "agent")]
    ("rights", rights::checks),
    ("host", host::checks),
    ("vsock", vsock::checks),
    ("http", http::checks),
    ("confined", confined::checks),
    ("units", systemd::checks),
];

/// True when nothing is bad.
pub fn run(verb: &Doctor) -> Result<bool, Failed> {
    let (config, mut checks) = configuration(&verb.at);
    let at = verb.at.clone();
    let product = config.as_ref().map(|config| config.pve.product()).unwrap_or_default();
    let asked = within(Duration::from_secs(20), move || daemon::checks(&at, product));
    let daemon::Said { checks: said, examined, walls } =
        asked.unwrap_or_else(|| daemon::Said::only(hung("daemon")));
    let ground = Arc::new(Ground { at: verb.at.clone(), config, examined, walls });
    let until = Instant::now() + PATIENCE;
    let groups: Vec<_> = GROUPS
        .iter()
        .map(|(name, group)| {
            let (tell, told) = mpsc::channel();
            let ground = ground.clone();
            thread::spawn(move || tell.send(group(&ground)));
            (name, told)
        })
        .collect();
    for (name, told) in groups {
        let left = until.saturating_duration_since(Instant::now());
        checks.extend(told.recv_timeout(left).unwrap_or_else(|_| vec![hung(name)]));
    }
    checks.extend(said);
    let well = checks.iter().all(|check| check.state < State::Bad);
    match verb.json {
        true => show::json(&checks)?,
        false => shown(&mut anstream::stdout().lock(), &checks)?,
    }
    Ok(well)
}

fn hung(name: &'static str) -> Check {
    Check::not(
        name,
        State::Bad,
        "it cannot be told: what was looked at does not answer",
        "if /etc/pve hangs: systemctl status pve-cluster",
    )
}

fn within<T: Send + 'static>(patience: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(work()));
    told.recv_timeout(patience).ok()
}

/// The file, as the daemon would read it.
fn configuration(at: &Where) -> (Option<Config>, Vec<Check>) {
    const NAME: &str = "configuration";
    let path = config::path(at.config.clone());
    let error = match config::load(&path) {
        Ok(config) => {
            let check = match config::load_trusted(&path) {
                // Its owner is the daemon's account's concern; who may write it is everybody's.
                Err(error @ ConfigError::Writable { .. }) => Check::not(
                    NAME,
                    State::Bad,
                    error.to_string(),
                    format!("chown root {0} && chmod go-w {0}", path.display()),
                ),
                _ if config.roles.is_empty() => Check::not(
                    NAME,
                    State::Look,
                    format!("{} is right, and has no role: nobody may do anything", path.display()),
                    "provost setup",
                ),
                _ => Check::good(NAME, format!("{} is right", path.display())),
            };
            let mut checks = vec![check];
            let not_yet: Vec<String> =
                config.not_yet().into_iter().map(|not| format!("{}: {}", not.key, not.meaning)).collect();
            if !not_yet.is_empty() {
                let said = format!("{} keys are set that this version does not act on", not_yet.len());
                checks.push(Check {
                    items: not_yet,
                    ..Check::not("not yet", State::Look, said, "take them out, or wait")
                });
            }
            return (Some(config), checks);
        }
        Err(error) => error,
    };
    let mend = match &error {
        ConfigError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            "provost setup writes one".into()
        }
        ConfigError::Read { .. } => "try as root".to_owned(),
        _ => format!(
            "correct it there; until then a daemon that runs keeps to what the file said before, and none starts. \
             provostd --check --config {} says when it is right",
            path.display()
        ),
    };
    (None, vec![Check::not(NAME, State::Bad, error.to_string(), mend)])
}

fn shown(out: &mut impl Write, checks: &[Check]) -> Done {
    for check in checks {
        let (style, word) = match check.state {
            State::Good => (show::YES, "good"),
            State::Look => (show::WAITS, "look"),
            State::Bad => (show::NO, "BAD "),
            State::Skipped => (show::FAINT, "  - "),
        };
        writeln!(out, "{style}{word}{style:#}  {:<13}  {}", check.check, show::one_line(&check.evidence))?;
        for item in &check.items {
            writeln!(out, "                       {}", show::one_line(item))?;
        }
        if let Some(mend) = &check.mend {
            writeln!(out, "                     → {}", show::one_line(mend))?;
        }
    }
    let count = |state| checks.iter().filter(|check| check.state == state).count();
    let (bad, look) = (count(State::Bad), count(State::Look));
    match (bad, look) {
        (0, 0) => writeln!(out, "\nAll is well.")?,
        (0, look) => writeln!(out, "\nNothing is bad; {look} to look at.")?,
        (bad, look) => writeln!(out, "\n{bad} bad, {look} to look at: begin with the first →.")?,
    }
    Ok(io::Write::flush(out)?)
}
