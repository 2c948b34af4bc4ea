//! `provost token rotate`: a second token is made and written, the daemon is seen to use it, and only then the first is
//! removed. Wherever it is broken off, a token that works is in the file, and the next run goes on.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;

use super::pveum;
use super::secret::Store;
use super::steps::{self, Step};
use super::wanted::Token;
use super::work::{Work, files};
use super::{Failed, Node, carry, half};
use crate::cli::operator::{Client, Where};
use crate::config::{Config, is_credential};
use crate::control::{Ask, Examined, Token as Used};

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
    let (expire, mut made) = (verb.expire.map_or(0, super::expires), 0);
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
    let at = At { only: given.as_deref(), offline: verb.offline, socket: verb.at.socket.clone() };
    rotate(&verb.node, &path, &config, expire, at, &mut made).map_err(|failed| half(made, failed))
}

/// Each token, as `provost setup --rotate` has it.
pub fn all(node: &Node, expire: u64, made: &mut usize) -> Result<(), Failed> {
    let (path, config) = carry::load(node)?;
    rotate(node, &path, &config, expire, At::default(), made)
}

/// Which token, and where its use is seen.
#[derive(Default)]
struct At<'a> {
    only: Option<&'a Path>,
    offline: bool,
    socket: Option<PathBuf>,
}

fn rotate(
    node: &Node,
    path: &Path,
    config: &Config,
    expire: u64,
    at: At<'_>,
    made: &mut usize,
) -> Result<(), Failed> {
    let store = node.store(path);
    let given: Vec<PathBuf> = files(config).into_iter().map(Path::to_owned).collect();
    let daemon = Client::at(&Where::of(at.socket, node.config.clone()))
        .map_err(|error| Failed::Wrong(error.to_string()))?;
    let mut out = anstream::stdout();
    let (mut agreed, mut shown) = (false, Vec::new());
    for given in given.iter().filter(|given| at.only.is_none_or(|only| only == given.as_path())) {
        // What there is by now: the turn of the one before has changed it.
        let work = node.work(&store, config, None)?;
        let Some(token) = work.wanted.tokens.iter().find(|token| token.given == *given) else { continue };
        let held = work.rotated(&store, token)?;
        let turn = work.turn(token, &held, expire);
        writeln!(out, "{}:", token.given.display())?;
        for step in turn.before.iter().chain(&turn.make).chain(&turn.after) {
            // Roles and the user's rights are for all tokens, and made with the first.
            if !shown.contains(step) {
                writeln!(out, "  {}", work.pveum.typed(&step.words()))?;
                shown.push(step.clone());
            }
        }
        if let Some((line, why)) = node.restart().filter(|_| is_credential(&token.given)) {
            writeln!(out, "  {line}     # {why}")?;
        }
        if node.dry_run {
            continue;
        }
        if !agreed {
            node.agree("Do this?")?;
            agreed = true;
        }
        carry::make(&work.pveum, &store, &turn.before, made)?;
        carry::make(&work.pveum, &store, &turn.make, made)?;
        if is_credential(&token.given) || !turn.make.is_empty() {
            node.tell_daemon(is_credential(&token.given))?;
        }
        let id = format!("{}{}", work.wanted.names.before_token(), turn.id);
        if at.offline {
            if carry::is_refused(config, &store, &token.given) {
                return Err(Failed::Wrong(format!("PVE refuses the new token {id}; the one before stays")));
            }
        } else {
            seen(&daemon, &token.given, &id)?;
        }
        carry::make(&work.pveum, &store, &turn.after, made)?;
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
    /// Makes what its rights are made of, and removes what a run that broke off made and never wrote.
    before: Vec<Step>,
    /// Empty where that is all that was left to do.
    make: Vec<Step>,
    /// Removes the tokens that were in use before.
    after: Vec<Step>,
}

impl Work {
    /// The id, without its user, of the token that is to be another.
    fn rotated(&self, store: &Store, token: &Token) -> Result<String, Failed> {
        let kept = self.kept(&token.given);
        let (given, place) = (token.given.display(), store.place(&token.given));
        if let Some(why) = &kept.broken {
            return Err(Failed::Wrong(format!(
                "{} cannot be decrypted on this host ({why}), so its token is lost; provost setup makes another",
                place.display()
            )));
        }
        let ours = |id: &String| {
            id.starts_with(&self.wanted.names.before_token()) && self.present.token(id).is_some()
        };
        let held = kept.id.filter(ours).and_then(|id| Some(id.split_once('!')?.1.to_owned()));
        held.ok_or_else(|| {
            Failed::Wrong(format!(
                "{given} holds no token of setup's, so there is none to rotate; provost setup makes one"
            ))
        })
    }

    fn turn(&self, token: &Token, held: &str, expire: u64) -> Turn {
        let user = self.wanted.names.user.as_str();
        let tokens: Vec<&pveum::Token> =
            self.present.user(user).into_iter().flat_map(|user| &user.tokens).collect();
        let marked =
            tokens.iter().filter(|one| one.comment.as_deref() == Some(&token.mark) && one.tokenid != held);
        // Of one base, the one with the higher number is the later.
        let (later, earlier): (Vec<_>, Vec<_>) =
            marked.map(|one| one.tokenid.as_str()).partition(|id| number(id) > number(held));
        let remove = |id: &str, why| steps::remove_token(user, id, &self.present, why);
        let full = format!("{user}!{held}");
        let mut before = steps::lacking(&self.wanted, token, &full, &self.present);
        before.extend(later.iter().flat_map(|id| remove(id, "its secret was never written")));
        let mut after: Vec<Step> = earlier.iter().flat_map(|id| remove(id, "the one before")).collect();
        if !earlier.is_empty() && later.is_empty() {
            return Turn { id: held.to_owned(), before, make: Vec::new(), after };
        }
        // One that is removed before has it for what PVE listed, and another node's where they share the user.
        let taken = |id: &String| tokens.iter().any(|one| one.tokenid == *id);
        let numbered = (number(held).max(1) + 1..).map(|number| format!("{}-{number}", token.base));
        let id = numbered.into_iter().find(|id| !taken(id)).unwrap_or_default();
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
                    Some(token) if token.id.as_deref() != Some(id) => {
                        token.problem.unwrap_or("it still uses the one before".into())
                    }
                    Some(Used { problem: Some(problem), .. }) => problem,
                    Some(token) if token.permissions.values().all(std::collections::BTreeSet::is_empty) => {
                        "PVE gives it no right at all; provost setup mends that".to_owned()
                    }
                    Some(_) => {
                        std::thread::sleep(LAST_USES);
                        return Ok(());
                    }
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
