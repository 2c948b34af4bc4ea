//! What an operator asks of the node itself, beside what [`crate::policy`] knows: tasks that run, and the catalogue.

use std::time::Duration;

use jiff::Timestamp;

use super::Provost;
use crate::catalog::{Origin, tier};
use crate::control::{Catalogue, Running};
use crate::pve::task::{Listed, State};
use crate::pve::{Methods, Path, Read};

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
                Origin::Embedded(release) => format!("built in, for PVE {}", release.name()),
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
