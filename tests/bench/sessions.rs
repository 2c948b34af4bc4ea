//! As many sessions as there may be assistants: all open at once, each of which has read something.

use std::io;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;

use crate::memory::{mib, peak, resident};
use crate::report::{Promise, table};
use crate::session::{Call, Session, succeeded_read};
use crate::site::{Agent, Cluster};

pub struct Sessions {
    count: usize,
    /// KiB: before the first, when all are open, when each has its answer, and the most on the way.
    none: u64,
    open: u64,
    read: u64,
    peak: u64,
}

pub fn measure(provostd: &Path, cluster: &Cluster, apidoc: &Path, count: usize) -> io::Result<Sessions> {
    // Two descriptors each on either side; what is started inherits it.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let mut agent = Agent::start(provostd, cluster, apidoc)?;
    let call = Call::read(&json!({ "path": "/nodes/pve1/qemu/102/config" }));
    // So that the catalogue is kept; then as after any other start.
    succeeded_read(agent.session()?.call(&call)?)?;
    agent.restart()?;
    drop(agent.session()?);
    let none = resident(agent.pid());
    let mut sessions: Vec<Session> = (0..count).map(|_| agent.session()).collect::<io::Result<_>>()?;
    let open = resident(agent.pid());
    for session in &mut sessions {
        session.send(&call)?;
    }
    for session in &mut sessions {
        succeeded_read(session.receive()?)?;
    }
    Ok(Sessions { count, none, open, read: resident(agent.pid()), peak: peak(agent.pid()) })
}

impl Sessions {
    pub fn report(&self) -> Vec<Promise> {
        let each = format!("{:.1}", (self.read.saturating_sub(self.none)) as f64 / self.count as f64);
        let [none, open, read, most] = [self.none, self.open, self.read, self.peak].map(mib);
        let head = ["provostd, resident MiB", "none yet", "open", "each has read", "peak", "KiB each"];
        let row = [format!("{} sessions at once", self.count), none, open, read, most, each];
        table("Sessions", head, vec![row]);
        let measured = (self.count == 1000).then_some(self.peak as f64 / 1024.0);
        vec![
            Promise::at_most("1,000 sessions that read at once: provostd's peak", 64.0, measured)
                .in_unit("MiB"),
        ]
    }
}
