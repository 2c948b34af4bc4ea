//! `provost token rotate`: a second token is made and written, the daemon is seen to use it, and only then the first is
//! removed. Wherever it is broken off, a token that works is in the file, and the next run goes on.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;

use super::steps::{self, Step};
use super::wanted::Token;
use super::{Failed, Node, Work, carry, secret};
use crate::cli::operator::{Client, Where};
use crate::config::Config;
use crate::control::{Ask, Examined};

/// For the daemon to look at the file, and to start anew where it has to.
const PATIENCE: Duration = Duration::from_secs(60);
/// A call that began with the token before has it in its request; a look at the file is good for a second. When the last of
/// them is over nobody says: PVE keeps no count of a token's calls, and the daemon's other roles may share it.
const LAST_USES: Duration = Duration::from_secs(2);
/// Between two questions, each of which takes a call of the API's.
const BETWEEN: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub struct Rotate {
    /// The token of this role alone [default: every token]
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// Days until the new token expires [default: never]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    expire: Option<u32>,
    /// Do not wait for the daemon: it does not run
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    at: Operators,
    #[command(flatten)]
    node: Node,
}

/// Where the daemon is asked.
#[derive(Debug, Clone, Args)]
struct Operators {
    #[arg(long, hide = true, env = "PROVOST_CONTROL", value_name = "SOCKET")]
    socket: Option<PathBuf>,
}

pub fn run(verb: &Rotate) -> Result<(), Failed> {
    let (path, config) = carry::load(&verb.node)?;
    let _alone = verb.node.alone(&path)?;
    let expire = verb.expire.map_or(0, super::expires);
    let given = match &verb.role {
        None => None,
        Some(name) => {
            let role = config.roles.iter().find(|role| role.name == *name);
            let token = role.map(|role| role.token.as_ref());
            Some(token.flatten().cloned().ok_or_else(|| {
                let name = crate::text::brief(name, 80);
                Failed::Wrong(format!("there is no role \"{name}\" with a token of its own"))
            })?)
        }
    };
    rotate(&verb.node, &config, expire, given.as_deref(), verb.offline, verb.at.socket.clone())
}

/// Each token, as `provost setup --rotate` has it.
pub fn all(node: &Node, expire: u64, socket: Option<PathBuf>) -> Result<(), Failed> {
    let (_, config) = carry::load(node)?;
    rotate(node, &config, expire, None, false, socket)
}

fn rotate(
    node: &Node,
    config: &Config,
    expire: u64,
    only: Option<&Path>,
    offline: bool,
    socket: Option<PathBuf>,
) -> Result<(), Failed> {
    let store = node.store();
    let work = node.work(config)?;
    let daemon = Client::at(&Where::of(socket, node.config.clone()))
        .map_err(|error| Failed::Wrong(error.to_string()))?;
    let mut out = anstream::stdout();
    let mut agreed = false;
    for token in work.wanted.tokens.iter().filter(|token| only.is_none_or(|only| only == token.given)) {
        let held = store.id(&token.given)?.and_then(|id| Some(id.strip_prefix(&work.prefix())?.to_owned()));
        let Some(held) = held.filter(|held| work.has(held)) else {
            return Err(Failed::Wrong(format!(
                "{} holds no token of setup's, so there is none to rotate; provost setup makes one",
                token.given.display()
            )));
        };
        let turn = work.turn(token, &held, expire);
        writeln!(out, "{}:", token.given.display())?;
        for step in turn.before.iter().chain(&turn.make).chain(&turn.after) {
            writeln!(out, "  {}", work.pveum.typed(&step.words()))?;
        }
        if node.dry_run {
            continue;
        }
        if !agreed {
            node.agree("Do this?")?;
            agreed = true;
        }
        let half = |failed| Failed::Half { failed: Box::new(failed) };
        carry::make(&work.pveum, &store, &turn.before).map_err(half)?;
        carry::make(&work.pveum, &store, &turn.make).map_err(half)?;
        if secret::is_credential(&token.given) || !turn.make.is_empty() {
            node.tell_daemon(secret::is_credential(&token.given)).map_err(half)?;
        }
        let id = format!("{}{}", work.prefix(), turn.id);
        if offline {
            if carry::is_refused(config, &token.given) {
                return Err(half(Failed::Wrong(format!(
                    "PVE refuses the new token {id}; the one before stays"
                ))));
            }
        } else {
            seen(&daemon, &token.given, &id).map_err(half)?;
        }
        carry::make(&work.pveum, &store, &turn.after).map_err(half)?;
        writeln!(out, "{}: {id} is in use.", token.given.display())?;
    }
    if node.dry_run {
        writeln!(out, "Nothing was done: --dry-run.")?;
    }
    Ok(())
}

/// What a rotation takes.
struct Turn {
    /// The id that the file holds in the end.
    id: String,
    /// Removes what a run that broke off made and never wrote.
    before: Vec<Step>,
    /// Empty where that is all that was left to do.
    make: Vec<Step>,
    /// Removes the tokens that were in use before.
    after: Vec<Step>,
}

impl Work {
    fn prefix(&self) -> String {
        format!("{}!", self.wanted.user)
    }

    fn has(&self, id: &str) -> bool {
        self.present.user.iter().flat_map(|user| &user.tokens).any(|token| token.tokenid == id)
    }

    fn turn(&self, token: &Token, held: &str, expire: u64) -> Turn {
        let user = self.wanted.user.as_str();
        let tokens = self.present.user.iter().flat_map(|user| &user.tokens);
        let marked = tokens.filter(|one| one.comment.as_deref() == Some(&token.mark) && one.tokenid != held);
        // Of one base, the one with the higher number is the later.
        let (later, earlier): (Vec<_>, Vec<_>) =
            marked.map(|one| one.tokenid.as_str()).partition(|id| number(id) > number(held));
        let remove = |id: &str, why| steps::remove_token(user, id, &self.present, why);
        let before = later.iter().flat_map(|id| remove(id, "its secret was never written")).collect();
        let mut after: Vec<Step> = earlier.iter().flat_map(|id| remove(id, "the one before")).collect();
        if !earlier.is_empty() && later.is_empty() {
            return Turn { id: held.to_owned(), before, make: Vec::new(), after };
        }
        let id = format!("{}-{}", token.base, number(held).max(1) + 1);
        let make = steps::make(user, token, &id, expire, &self.present);
        // Its rights are on the list that was read before; the new one's are not.
        after.extend(remove(held, "the one before"));
        Turn { id, before, make, after }
    }
}

/// Of `provost-3`: 3; without one: 1.
fn number(id: &str) -> u64 {
    id.rsplit_once('-').and_then(|(_, number)| number.parse().ok()).unwrap_or(1)
}

/// Waits until the daemon has made a call with that token, by asking it to: each question is such a call. Nothing else would
/// tell, as a daemon that starts anew, where a unit has the token, is not there to say so.
fn seen(daemon: &Client, given: &Path, id: &str) -> Result<(), Failed> {
    let until = Instant::now() + PATIENCE;
    loop {
        let why = match daemon.ask::<Examined>(&Ask::Examine {}) {
            Ok(examined) => {
                let used = examined.tokens.into_iter().find(|token| token.given == given);
                match used {
                    Some(token) if token.id.as_deref() == Some(id) && token.problem.is_none() => {
                        std::thread::sleep(LAST_USES);
                        return Ok(());
                    }
                    Some(token) => token.problem.unwrap_or("it still uses the one before".into()),
                    None => "its configuration names another".to_owned(),
                }
            }
            Err(error) => error.to_string(),
        };
        if Instant::now() > until {
            return Err(Failed::Wrong(format!(
                "the daemon was not seen to use {id}: {why}; the token before it stays, and both work. When the daemon runs, \
                 run the same again; where it is not to run, with --offline"
            )));
        }
        std::thread::sleep(BETWEEN);
    }
}
