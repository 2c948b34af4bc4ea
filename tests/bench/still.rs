//! What `provostd` holds while it waits: before anybody asked, and once the catalogue was used, read from the node's
//! file or from what was kept of it; and how soon after its start it has answered a first `read`.

use std::io;
use std::path::Path;
use std::time::Instant;

use serde_json::json;

use crate::memory::{mib, peak, resident};
use crate::report::{Promise, table};
use crate::samples::{Samples, ms};
use crate::session::{Call, succeeded_read};
use crate::site::{Agent, Cluster};

const STARTS: usize = 20;

/// KiB.
struct Held {
    before: u64,
    open: u64,
    read: u64,
    read_peak: u64,
    found: u64,
}

pub struct Still {
    from_node: Held,
    from_kept: Held,
    starts: Samples,
}

pub fn measure(provostd: &Path, cluster: &Cluster, apidoc: &Path) -> io::Result<Still> {
    let mut agent = Agent::start(provostd, cluster, apidoc)?;
    let from_node = held(&agent)?;
    agent.restart()?;
    let from_kept = held(&agent)?;
    let mut starts = Samples::default();
    let version = Call::read(&json!({ "path": "/version" }));
    for _ in 0..STARTS {
        let began = Instant::now();
        agent.restart()?;
        succeeded_read(agent.session()?.call(&version)?)?;
        starts.add(began.elapsed());
    }
    Ok(Still { from_node, from_kept, starts })
}

fn held(agent: &Agent) -> io::Result<Held> {
    agent.listens()?;
    let before = resident(agent.pid());
    let mut session = agent.session()?;
    let open = resident(agent.pid());
    succeeded_read(session.call(&Call::read(&json!({ "path": "/version" })))?)?;
    let (read, read_peak) = (resident(agent.pid()), peak(agent.pid()));
    succeeded_read(session.call(&Call::read(&json!({ "path": "list the nodes" })))?)?;
    Ok(Held { before, open, read, read_peak, found: resident(agent.pid()) })
}

impl Still {
    pub fn report(&self) -> Vec<Promise> {
        let row = |name: &str, held: &Held| {
            let all = [held.before, held.open, held.read, held.read_peak, held.found];
            let [before, open, read, most, found] = all.map(mib);
            [name.to_owned(), before, open, read, most, found]
        };
        let head =
            ["provostd, resident MiB", "at rest", "a session", "after a read", "its peak", "after words"];
        let rows = vec![
            row("catalogue from the node's file", &self.from_node),
            row("catalogue from what was kept", &self.from_kept),
        ];
        table("At rest", head, rows);
        let [p50, p95, min] = [self.starts.p50(), self.starts.p95(), self.starts.min()].map(ms);
        let row = ["provostd, to its first answer to a read".into(), p50, p95, min];
        table("Start", ["ms", "p50", "p95", "min"], vec![row]);
        let mib = |held: u64| Some(held as f64 / 1024.0);
        let start = Some(self.starts.p50().as_secs_f64() * 1000.0);
        vec![
            Promise::at_most("provostd at rest", 10.0, mib(self.from_node.before)).in_unit("MiB"),
            Promise::at_most("provostd, start to first read's answer: p50", 15.0, start).in_unit("ms"),
        ]
    }
}
