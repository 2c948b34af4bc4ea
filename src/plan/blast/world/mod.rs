//! Gathers what the rules of one call look at: the estate, which guests run, who is connected, answers of the API.
//!
//! In: a request and the eyes of its role. Out: a [`View`], in which each thing that could not be had is said. It must never
//! wait for longer than its deadlines: /etc/pve hangs when the cluster does, and just then somebody plans.

mod peers;
mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

pub use peers::{Connections, Door, Peer};
pub use source::Sources;

use super::rules::{self, Get, Need};
use super::{Found, backup};
use crate::estate::{Index, Keeper};
use crate::plan::eyes::{Eyes, Seen};
use crate::plan::{Request, fill};
use crate::product::Product;
use crate::pve::Client;

/// For the cluster's files.
const PATIENCE: Duration = Duration::from_secs(2);
/// For the answers of the API that rules look at.
const ANSWERS: Duration = Duration::from_secs(5);

/// Who knows what depends on what.
pub struct World {
    keeper: Arc<Keeper>,
    /// The daemon's own identity, which a change may cut off.
    own: Option<Client>,
    connections: Connections,
    patience: Duration,
}

/// What one change is looked at against.
#[derive(Default)]
pub struct View {
    /// Nothing: it could not be read, and `not_seen` says so.
    pub estate: Option<Arc<Index>>,
    /// "running", "stopped", by guest; nothing where it was not needed, or could not be had.
    pub status: Option<BTreeMap<u32, String>>,
    /// This node.
    pub node: Option<String>,
    /// The tokens of the agent: `provost@pve!agent`.
    pub tokens: Vec<String>,
    /// Connections to this node that people may hold.
    pub peers: Vec<Peer>,
    /// By [`Get::name`].
    pub answers: BTreeMap<&'static str, Seen>,
    pub not_seen: Vec<String>,
    /// What was looked at beside the rules: of a Backup Server, by its own lists.
    pub told: Option<Found>,
}

impl View {
    /// An answer of the API, and that it could not be had.
    pub fn put(&mut self, name: &'static str, answer: Seen) {
        if let Seen::Missing(why) | Seen::Hidden(why) = &answer {
            self.not_seen.push(format!("{name} was not seen: {why}"));
        }
        self.answers.insert(name, answer);
    }
}

impl World {
    pub fn new(keeper: Arc<Keeper>, own: Option<Client>) -> Self {
        Self { keeper, own, connections: Connections::default(), patience: PATIENCE }
    }

    /// With other lists of connections than the kernel's, and another patience.
    pub fn with(self, connections: Connections, patience: Duration) -> Self {
        Self { connections, patience, ..self }
    }

    pub fn keeper(&self) -> &Arc<Keeper> {
        &self.keeper
    }

    /// What the rules of this request need, side by side. Nothing is asked for a call without rules.
    pub async fn view(&self, eyes: &Eyes, request: &Request) -> View {
        match request.product() {
            Product::Pve => {}
            Product::Backup => {
                let told = backup::look(eyes, request, &self.tokens(eyes)).await;
                return View { told, ..View::default() };
            }
            Product::Mail | Product::Datacenter => return View::default(),
        }
        let endpoint = request.endpoint();
        let mut needs: Vec<Need> = Vec::new();
        let mut has_rules = false;
        for rule in rules::of(request.product(), &endpoint) {
            has_rules = true;
            needs.extend(rule.needs.iter().filter(|need| !needs.contains(need)).copied().collect::<Vec<_>>());
        }
        let mut view = View::default();
        if !has_rules {
            return view;
        }
        view.tokens = self.tokens(eyes);
        let until = Instant::now() + ANSWERS;
        // Some of what is asked is of "this node".
        view.node = timeout_at(until, eyes.client.node()).await.ok().and_then(Result::ok);
        let (estate, status, answers) = tokio::join!(
            timeout(self.patience, self.keeper.current()),
            async {
                match needs.contains(&Need::Status) {
                    true => Some(timeout_at(until, eyes.guests()).await),
                    false => None,
                }
            },
            answers(eyes, request, view.node.as_deref(), &needs, until),
        );
        let mut unseen = |what: String| view.not_seen.push(what);
        view.estate = match estate {
            Ok(Ok(index)) => Some(index),
            Ok(Err(lost)) => {
                unseen(format!("what depends on it was not looked at: {lost}"));
                None
            }
            Err(_) => {
                let late = format!("the cluster's configuration did not answer within {:?}", self.patience);
                match self.keeper.published() {
                    Some(index) => {
                        unseen(format!("{late}: what depends on it is told by how it was when last read"));
                        Some(index)
                    }
                    None => {
                        unseen(format!("what depends on it was not looked at: {late}"));
                        None
                    }
                }
            }
        };
        view.status = match status {
            None => None,
            Some(Ok(Ok(guests))) => Some(guests.into_iter().map(|one| (one.vmid, one.status)).collect()),
            Some(Ok(Err(error))) => {
                unseen(format!("which guests run could not be read: {error}"));
                None
            }
            Some(Err(_)) => {
                unseen(format!("which guests run was not answered within {ANSWERS:?}"));
                None
            }
        };
        if needs.contains(&Need::Peers) {
            match self.connections.peers() {
                Ok(peers) => view.peers = peers,
                Err(error) => unseen(format!("who is connected to this node could not be read: {error}")),
            }
        }
        answers.into_iter().for_each(|(name, answer)| view.put(name, answer));
        view
    }

    fn tokens(&self, eyes: &Eyes) -> Vec<String> {
        let all = self.own.iter().chain([&eyes.client]).filter_map(|client| client.token_id().ok());
        let mut tokens: Vec<String> = all.collect();
        tokens.sort();
        tokens.dedup();
        tokens
    }
}

async fn answers(
    eyes: &Eyes,
    request: &Request,
    node: Option<&str>,
    needs: &[Need],
    until: Instant,
) -> Vec<(&'static str, Seen)> {
    let mut asked: JoinSet<(&'static str, Seen)> = JoinSet::new();
    for need in needs {
        let Need::Get(get) = need else { continue };
        let (eyes, get) = (eyes.clone(), *get);
        let Some((named, query)) = filled(&get, request, node) else { continue };
        asked.spawn(async move {
            let query: Vec<(&str, &str)> =
                query.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = timeout_at(until, eyes.look(get.template, &named, &query)).await;
            let seen = match answer {
                Ok(Ok(seen)) => seen,
                Ok(Err(error)) => Seen::Hidden(error.to_string()),
                Err(_) => Seen::Hidden(format!("no answer within {ANSWERS:?}")),
            };
            (get.name, seen)
        });
    }
    let mut answers = Vec::new();
    while let Some(answer) = asked.join_next().await {
        answers.extend(answer);
    }
    answers
}

type Filled = (Map<String, Value>, Vec<(&'static str, String)>);

/// Whose name for itself every node understands.
const THIS_NODE: &str = "localhost";

/// The blanks and the query of a GET; nothing where the call says nothing for a blank, and so is not about it.
fn filled(get: &Get, request: &Request, node: Option<&str>) -> Option<Filled> {
    let mut named: Map<String, Value> = request.args.clone();
    named.extend(request.captured.clone());
    named.entry("node").or_insert_with(|| node.unwrap_or(THIS_NODE).into());
    let mut query = Vec::new();
    for (name, text) in get.with {
        let is_blank = get.template.contains(&format!("{{{name}}}"));
        match fill(text, request) {
            Some(value) if is_blank => {
                named.insert((*name).to_owned(), value.into());
            }
            Some(value) => query.push((*name, value)),
            None if is_blank => return None,
            None => {}
        }
    }
    Some((named, query))
}
