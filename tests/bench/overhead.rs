//! `read` of small answers, each beside the same GET made directly.

use std::io;
use std::path::Path;
use std::time::Instant;

use serde_json::json;

use crate::bare::Bare;
use crate::report::{Promise, table};
use crate::samples::{Samples, ms};
use crate::session::{Call, succeeded_read};
use crate::site::{Agent, Cluster};

/// What is read, and its path.
const READ: [(&str, &str); 2] =
    [("/version", "/version"), ("a guest's configuration", "/nodes/pve1/qemu/102/config")];

#[derive(Default)]
pub struct Pair {
    bare: Samples,
    read: Samples,
}

impl Pair {
    /// Milliseconds that `read` takes more, at p50.
    fn added(&self) -> f64 {
        (self.read.p50().as_secs_f64() - self.bare.p50().as_secs_f64()) * 1000.0
    }
}

pub struct Overhead([Pair; READ.len()]);

pub fn measure(provostd: &Path, cluster: &Cluster, apidoc: &Path, rounds: usize) -> io::Result<Overhead> {
    let agent = Agent::start(provostd, cluster, apidoc)?;
    let mut session = agent.session()?;
    let mut bare = Bare::connect(cluster)?;
    let mut pairs: [Pair; READ.len()] = Default::default();
    let calls = READ.map(|(_, path)| Call::read(&json!({ "path": path })));
    for round in 0..=rounds {
        for ((pair, (_, path)), call) in pairs.iter_mut().zip(READ).zip(&calls) {
            let request = bare.request(path);
            bare.renew()?;
            let began = Instant::now();
            bare.ask(&request)?;
            let alone = began.elapsed();

            let began = Instant::now();
            let answer = session.call(call)?;
            let through = began.elapsed();
            succeeded_read(answer)?;
            // The first one finds the catalogue unread and no connection open.
            if round > 0 {
                pair.bare.add(alone);
                pair.read.add(through);
            }
        }
    }
    Ok(Overhead(pairs))
}

impl Overhead {
    pub fn report(&self) -> Vec<Promise> {
        let row = |way: &str, samples: &Samples, added: String| {
            let [p50, p95, p99] = [samples.p50(), samples.p95(), samples.p99()].map(ms);
            [way.to_owned(), p50, p95, p99, added]
        };
        let rows = self.0.iter().zip(READ).flat_map(|(pair, (what, _))| {
            let added = format!("{:.3}", pair.added());
            [
                row(&format!("{what}, directly"), &pair.bare, String::new()),
                row(&format!("{what}, by read"), &pair.read, added),
            ]
        });
        let title = format!("One read, of {}", self.0[0].read.len());
        table(&title, ["ms", "p50", "p95", "p99", "added at p50"], rows.collect());
        let [version, config] = self.0.each_ref().map(|pair| Some(pair.added()));
        vec![
            Promise::at_most("read of /version, added to the GET alone: p50", 0.15, version).in_unit("ms"),
            Promise::at_most("read of a guest's configuration, the same", 0.15, config).in_unit("ms"),
        ]
    }
}
