//! What an operator asks of the node itself, beside what [`crate::policy`] knows: tasks that run, the catalogue, how it stands.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::Provost;
use crate::catalog::{Origin, tier};
use crate::control::{self, Catalogue, Examined, Running, Token};
use crate::pve::task::{Listed, State};
use crate::pve::{Client, Methods, Path, Read};

/// An operator who halts everything does not wait for a node in trouble.
const PATIENCE: Duration = Duration::from_secs(3);

impl Provost {
    /// PVE's tasks that have not ended, on every node, or why they are not known.
    pub async fn running(&self) -> Result<Vec<Running>, String> {
        let read = Read::new(Path::of(["cluster", "tasks"]).map_err(|error| error.to_string())?);
        let client = self.client.limited_to(Methods::Reads);
        let answer = client.get(&read.within(PATIENCE)).await.map_err(|error| error.to_string())?;
        let tasks: Vec<Listed> = answer.data().map_err(|error| error.to_string())?;
        let running = tasks.into_iter().filter(|task| task.state() == State::Running);
        Ok(running.map(|task| shown(&task)).collect())
    }

    /// How the daemon stands, after a call with each of its tokens.
    pub async fn examined(&self) -> Examined {
        let config = self.policy.rules.now();
        let own = config.roles.iter().filter_map(|role| role.token.as_deref());
        let mut tokens = vec![self.tried(&config.pve.token, &self.client).await];
        for given in own {
            if !tokens.iter().any(|token| token.given == given) {
                tokens.push(self.tried(given, &self.client.for_token(given)).await);
            }
        }
        let ledger = &self.desk.ledger;
        let status = ledger.status();
        Examined {
            version: env!("CARGO_PKG_VERSION").into(),
            configuration: self.policy.rules.error(),
            tokens,
            aside: self.client.aside().into_iter().map(|(daemon, _, _)| daemon.to_owned()).collect(),
            ledger: control::Ledger {
                state: status.state.into(),
                why: status.why,
                next: ledger.ready().err().map(|unrecorded| unrecorded.next().into()),
                size: status.size,
                signed: status.signed,
                open_intents: status.open_intents.len(),
                mirror: status.mirror,
                unrecorded: status.unrecorded,
                unmirrored: status.unmirrored,
            },
        }
    }

    /// A token, and what PVE lets it do.
    async fn tried(&self, given: &std::path::Path, client: &Client) -> Token {
        let mut token = Token { given: given.to_owned(), ..Token::default() };
        let client = client.limited_to(Methods::Reads);
        let permissions = async {
            token.id = Some(client.token_id().map_err(|error| error.to_string())?);
            let path = Path::of(["access", "permissions"]).map_err(|error| error.to_string())?;
            let read = Read::new(path).within(PATIENCE);
            let answer = client.get(&read).await.map_err(|error| error.to_string())?;
            answer.data().map_err(|error| error.to_string())
        };
        let permissions: Result<BTreeMap<String, BTreeMap<String, serde_json::Value>>, String> =
            permissions.await;
        match permissions {
            Ok(held) => {
                token.permissions =
                    held.into_iter().map(|(path, held)| (path, held.into_keys().collect())).collect();
            }
            Err(problem) => token.problem = Some(problem),
        }
        token
    }

    /// What SIGHUP asks for: the configuration, and the node's description of its API, as they are by now.
    pub fn reload(&self) {
        self.policy.rules.reload();
        self.catalog.look();
    }

    /// Where the catalogue is from, and what of it has no tier of its own.
    pub fn catalogue(&self) -> Catalogue {
        let loaded = self.catalog.loaded();
        Catalogue {
            origin: match loaded.origin {
                Origin::Node => "the node's own file".into(),
                Origin::Cache => "what was kept of the node's own file".into(),
                Origin::Embedded(edition) => format!("built in, for {edition}"),
            },
            problem: loaded.problem.map(|problem| problem.to_string()),
            endpoints: loaded.catalog.endpoints().len(),
            unclassified: tier::unclassified(&loaded.catalog)
                .map(|endpoint| format!("{} {}", endpoint.method, endpoint.path))
                .collect(),
        }
    }
}

fn shown(task: &Listed) -> Running {
    let upid = &task.upid;
    Running {
        upid: upid.to_string(),
        node: upid.node.clone(),
        kind: upid.kind.clone(),
        id: upid.id.clone(),
        user: upid.user.clone(),
        since: i64::try_from(task.starttime)
            .ok()
            .and_then(|at| Timestamp::from_second(at).ok())
            .unwrap_or_default(),
    }
}
