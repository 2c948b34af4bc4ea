//! `provost setup`, `provost token rotate`, `provost uninstall`: Provost's user, roles and tokens in PVE, and the
//! configuration that they are for.
//!
//! In: flags, answers, `provost.toml`, and what `pveum` lists. Out: calls of `pveum`, each shown before it is made. It can be
//! run again at any time and goes on where it was broken off. A token's secret goes to its file and is shown nowhere.

mod ask;
mod carry;
mod grants;
mod names;
mod pveum;
mod rotate;
mod sealed;
mod secret;
mod settings;
mod sibling;
mod steps;
mod uninstall;
mod units;
mod wanted;
mod work;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::operator;
use crate::config::{self, Config, ConfigError};
use secret::Store;
use settings::Change;

pub const CODES: &str = "Exit codes: 0 done, 1 it stopped half-way (run it again), 2 nothing was changed.";

/// Something was changed, and not all.
const HALF: u8 = 1;
/// Nothing was changed.
const WRONG: u8 = 2;

/// What is asked of the node, and by what.
#[derive(Debug, Clone, Args)]
pub struct Node {
    /// The configuration [default: /etc/provost/provost.toml]
    #[arg(long, env = "PROVOST_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Provost's user in PVE [default: the one that this node's setup made, else provost-NODE@pve]
    #[arg(long, value_name = "NAME@REALM")]
    user: Option<String>,
    /// Show what would be done, and do nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Ask nothing: do what is shown
    #[arg(long, short)]
    yes: bool,
    #[arg(long, hide = true, value_name = "PROGRAM", default_value = "/usr/sbin/pveum")]
    pveum: PathBuf,
    #[arg(long, hide = true, value_name = "PROGRAM", default_value = "/usr/bin/systemctl")]
    systemctl: PathBuf,
    #[arg(long, hide = true, value_name = "PROGRAM", default_value = "/usr/bin/systemd-creds")]
    systemd_creds: PathBuf,
    #[arg(long, hide = true, value_name = "DIR", default_value = "/etc/credstore.encrypted")]
    credstore: PathBuf,
    #[arg(long, hide = true, value_name = "DIR", default_value = "/etc/credstore")]
    plain_credstore: PathBuf,
    #[arg(long, hide = true, value_name = "DIR", default_value = "/etc/systemd/system/provost.service.d")]
    drop_ins: PathBuf,
}

#[derive(Debug, Args)]
pub struct Setup {
    /// What the role may do
    #[arg(long, value_parser = ["observe", "operate", "provision", "full"])]
    profile: Option<String>,
    /// Who is in it: user:NAME, group:NAME; may be repeated
    #[arg(long = "member", value_name = "WHO")]
    members: Vec<String>,
    /// Its guests: ids, ranges, pool:NAME, tag:NAME, with commas between them [default: all]
    #[arg(long, value_delimiter = ',', value_name = "GUESTS")]
    guests: Vec<String>,
    /// The role's name [default: operator]
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// How far its commands may go
    #[arg(long, value_parser = ["none", "inspect", "change"])]
    exec: Option<String>,
    /// Give the role a token of its own, so that PVE itself holds it to its guests and its profile
    #[arg(long)]
    own_token: bool,
    /// Containers in which commands may run: ids and ranges, with commas between them; turns commands on
    #[arg(long, value_delimiter = ',', value_name = "GUESTS", conflicts_with = "no_exec")]
    containers: Option<Vec<String>>,
    /// Turn commands in containers off
    #[arg(long)]
    no_exec: bool,
    /// A Unix user who may connect: adds it to group provost; may be repeated
    #[arg(long = "operator", value_name = "USER")]
    operators: Vec<String>,
    /// Days until a token that is made now expires [default: never]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    expire: Option<u32>,
    /// Where a new token is kept: a credential that systemd encrypts, root's alone, or a file of the daemon's account; auto
    /// takes the first where systemd runs
    #[arg(long, value_parser = ["auto", "file", "credential"], default_value = "auto")]
    store: String,
    /// Take over a user or a token file that setup did not make
    #[arg(long)]
    adopt: bool,
    /// Give each token a new secret, as `provost token rotate`
    #[arg(long)]
    rotate: bool,
    /// As JSON: the steps of --dry-run
    #[arg(long, requires = "dry_run")]
    json: bool,
    #[command(flatten)]
    node: Node,
}

#[derive(Debug, Subcommand)]
pub enum TokenVerb {
    #[command(flatten)]
    Clients(operator::TokenVerb),
    /// Provost's own token in PVE: make a second, see that the daemon uses it, and remove the first: at no time is there none
    #[command(after_help = CODES)]
    Rotate(rotate::Rotate),
}

#[derive(Debug, Args)]
pub struct Uninstall {
    /// Leave the files that hold the tokens
    #[arg(long)]
    keep_files: bool,
    #[command(flatten)]
    node: Node,
}

#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{call}: {said}")]
    Pveum { call: String, said: String },
    /// Whether PVE did it nobody knows.
    #[error("{call}: {said}")]
    Unknown { call: String, said: String },
    #[error("cannot {verb} the token's secret at {place}: {said}", place = place.display())]
    Secret { verb: &'static str, place: PathBuf, said: String },
    #[error("{0}")]
    Wrong(String),
    #[error("{failed}; what was done before it stands: run the same again, and it goes on from there")]
    Half { failed: Box<Failed> },
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

pub fn run(verb: &Setup) -> ExitCode {
    end("setup", setup(verb))
}

pub fn token(verb: &TokenVerb) -> ExitCode {
    match verb {
        TokenVerb::Clients(verb) => operator::token(verb),
        TokenVerb::Rotate(rotate) => end("token rotate", rotate::run(rotate)),
    }
}

pub fn uninstall(verb: &Uninstall) -> ExitCode {
    end("uninstall", uninstall::run(verb))
}

fn end(verb: &str, done: Result<(), Failed>) -> ExitCode {
    let error = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(error) => error,
    };
    let _ = writeln!(io::stderr(), "provost {verb}: {}", crate::text::clean(error.to_string().as_bytes()));
    ExitCode::from(if matches!(error, Failed::Half { .. }) { HALF } else { WRONG })
}

/// An end of which the exit code says whether anything was changed before it.
fn half(made: usize, failed: Failed) -> Failed {
    match made {
        0 => failed,
        _ => Failed::Half { failed: Box::new(failed) },
    }
}

fn setup(verb: &Setup) -> Result<(), Failed> {
    let path = config::path(verb.node.config.clone());
    let before = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(ConfigError::Read { path, source }.into()),
    };
    let _alone = verb.node.alone(&path)?;
    let now = config::parse(&path, &before)?;
    if !now.pve.product().has_guests() {
        let words = sibling::words(now.pve.product(), &now.pve.token, &now.pve.certificate);
        return Err(Failed::Wrong(words));
    }
    let store = verb.node.store(&path);
    let mut change = ask::told(verb, &now, verb.place(&path, &now, &store));
    if now.roles.is_empty() && change.role.as_ref().is_none_or(|role| role.members.is_empty()) {
        match io::stdin().is_terminal() && !verb.node.yes {
            true => ask::asked(&mut change)?,
            false => {
                return Err(Failed::Wrong(format!(
                    "{} has no role, so nobody could do anything, and nobody can be asked here; say who may do what:  \
                     provost setup --profile provision --member user:NAME --yes",
                    path.display()
                )));
            }
        }
    }
    let beginning = if before.is_empty() { settings::BEGINNING } else { &before };
    let after = match change == Change::default() {
        true => before.clone(),
        false => settings::edit(&path, beginning, &change)?,
    };
    let config = config::parse(&path, &after)?;
    let work = verb.node.work(&store, &config, Some(&now))?;
    let held = work.held(&store, &config);
    let steps = steps::steps(&work.wanted, &work.present, &held, verb.expires(), verb.adopt)?;
    let restart = change.token.is_some() || now.pve.token != config.pve.token;
    // Only what held a token of setup's own, which the steps remove; or nothing that this host could read.
    let was = work.kept(&now.pve.token);
    let ours =
        was.broken.is_some() || was.id.is_some_and(|id| id.starts_with(&work.wanted.names.before_token()));
    let left = (now.pve.token != config.pve.token && ours).then_some(now.pve.token.as_path());
    let mut notes = work.wanted.notes.clone();
    notes.extend(work.broken(&store));
    let plan = carry::Plan {
        node: &verb.node,
        store: &store,
        pveum: &work.pveum,
        steps,
        config: (after != before).then_some((path.as_path(), before.as_str(), after.as_str())),
        left,
        operators: carry::lacking(&verb.operators)?,
        credentials: units::credentials(&config),
        restart,
        notes,
    };
    if verb.json {
        return plan.json();
    }
    plan.show()?;
    let mut out = anstream::stdout();
    if verb.node.dry_run {
        writeln!(out, "Nothing was done: --dry-run.")?;
        return Ok(());
    }
    let mut made = 0;
    if !plan.is_empty() {
        verb.node.agree("Do this?")?;
        plan.carry_out(&mut made).map_err(|failed| half(made, failed))?;
    }
    if verb.rotate {
        rotate::all(&verb.node, verb.expires(), &mut made).map_err(|failed| half(made, failed))?;
    }
    let host =
        nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or("NODE".into());
    writeln!(
        out,
        "\nWhat now?\n  provost doctor                                  whether all is as it should be\n  provost client-config \
         claude-code --host {host}   what an MCP client needs"
    )?;
    Ok(())
}

impl Setup {
    /// Where a token goes, if that is to be another place than the configuration has: what was asked for, and a first one
    /// into a credential where systemd runs.
    fn place(&self, path: &Path, now: &Config, store: &Store) -> Option<String> {
        const NAME: &str = "pve-token";
        let is_credential = config::is_credential(&now.pve.token);
        let fresh = now.pve.token == config::Pve::default().token && !store.place(&now.pve.token).exists();
        match self.store.as_str() {
            "credential" => (!is_credential).then(|| NAME.to_owned()),
            "file" => is_credential.then(|| path.with_file_name(NAME).display().to_string()),
            _ => (fresh && self.node.creds().are_there()).then(|| NAME.to_owned()),
        }
    }

    /// Seconds since the epoch; 0: never.
    fn expires(&self) -> u64 {
        self.expire.map_or(0, expires)
    }
}

fn expires(days: u32) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.as_secs() + u64::from(days) * 86_400
}

impl Node {
    /// Nobody else sets up meanwhile.
    fn alone(&self, config: &Path) -> Result<Option<nix::fcntl::Flock<std::fs::File>>, Failed> {
        let dir = config.parent().filter(|dir| dir.is_dir()).unwrap_or(Path::new("/"));
        let Ok(dir) = std::fs::File::open(dir) else { return Ok(None) };
        match nix::fcntl::Flock::lock(dir, nix::fcntl::FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(lock)),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => {
                Err(Failed::Wrong("another setup runs on this node; let it end first".into()))
            }
            Err(_) => Ok(None),
        }
    }

    fn agree(&self, question: &str) -> Result<(), Failed> {
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            return Err(Failed::Wrong(
                "standard input is no terminal, so nobody can be asked; --yes does what was shown above"
                    .into(),
            ));
        }
        match ask::agreed(question)? {
            true => Ok(()),
            false => Err(Failed::Wrong("nothing was changed".into())),
        }
    }
}
