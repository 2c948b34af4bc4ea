//! A list of ten thousand guests: read, filtered, put in order and cut to a page, beside its bare transfer. By pveproxy's
//! port, as every client has it, and by pvedaemon's. From a node that makes the list for each who asks, as PVE's do; and, with no
//! promise, from one that has it in memory, where nothing is left but the transfer and what is done with it.

use std::io;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::bare::Bare;
use crate::memory::{busy, forget_peak, mib, peak};
use crate::report::{Promise, table};
use crate::samples::{Samples, ms, ratio};
use crate::session::{Call, succeeded_read};
use crate::site::{Agent, Cluster, Door};

pub const GUESTS: u32 = 10_000;

/// What is asked, and how.
fn questions() -> [(&'static str, Value); 3] {
    let path = "/cluster/resources";
    [
        (
            "filtered, three fields, 50 rows",
            json!({
                "path": path, "where": "type = qemu and status = running", "fields": ["vmid", "name", "node"],
                "limit": 50,
            }),
        ),
        (
            "filtered, in order of memory, 20 rows",
            json!({
                "path": path, "where": "status = running", "sort": "-mem", "fields": ["vmid", "mem"],
                "limit": 20,
            }),
        ),
        ("as it comes, 100 rows", json!({ "path": path })),
    ]
}

pub struct Large {
    /// By each door.
    ways: [Way; 2],
}

/// By one door.
struct Way {
    bytes: usize,
    bare: Samples,
    reads: [Samples; 3],
    /// What provostd's main thread took of a processor meanwhile.
    busy: [Samples; 3],
    /// KiB that provostd held at most.
    most: u64,
}

pub fn measure(provostd: &Path, cluster: &Cluster, apidoc: &Path, rounds: usize) -> io::Result<Large> {
    let by = |door| by(door, provostd, cluster, apidoc, rounds);
    Ok(Large { ways: [by(Door::Proxy)?, by(Door::Daemon)?] })
}

fn by(door: Door, provostd: &Path, cluster: &Cluster, apidoc: &Path, rounds: usize) -> io::Result<Way> {
    let agent = Agent::start_by(door, provostd, cluster, apidoc)?;
    let mut session = agent.session()?;
    let mut bare = Bare::by(door, cluster)?;
    let calls = questions().map(|(_, arguments)| Call::read(&arguments));
    let request = bare.request("/cluster/resources");
    let mut large = Way {
        bytes: 0,
        bare: Samples::default(),
        reads: Default::default(),
        busy: Default::default(),
        most: 0,
    };
    // The cluster writes its list anew each ten seconds, and the one who asks then waits: that is no p50.
    for round in 0..=rounds {
        if round == 1 {
            forget_peak(agent.pid());
        }
        for ((samples, works), call) in large.reads.iter_mut().zip(&mut large.busy).zip(&calls) {
            bare.renew()?;
            let began = Instant::now();
            large.bytes = bare.ask(&request)?;
            let alone = began.elapsed();

            let (worked, began) = (busy(agent.pid()), Instant::now());
            let answer = session.call(call)?;
            let through = began.elapsed();
            succeeded_read(answer)?;
            let worked = busy(agent.pid()).saturating_sub(worked);
            if round > 0 {
                large.bare.add(alone);
                samples.add(through);
                works.add(worked);
            }
        }
    }
    large.most = peak(agent.pid());
    Ok(large)
}

impl Large {
    pub fn print(&self, from: &str) {
        let [proxy, daemon] = &self.ways;
        proxy.print(&format!("by pveproxy's port, over TLS{from}"));
        daemon.print(&format!("by pvedaemon's port{from}"));
    }

    pub fn report(&self) -> Vec<Promise> {
        self.print("");
        let [proxy, daemon] = &self.ways;
        let promise = |what, read: &Way, bare: &Way| {
            Promise::at_most(what, 1.3, Some(ratio(read.reads[0].p50(), bare.bare.p50())))
        };
        vec![
            promise("10,000 guests read, filtered and cut, of the bare transfer by pveproxy", daemon, proxy),
            promise("the same, where both go by pveproxy", proxy, proxy),
            promise("the same, where both go by pvedaemon", daemon, daemon),
        ]
    }
}

impl Way {
    fn print(&self, by: &str) {
        let bare = self.bare.p50();
        let row = |what: &str, samples: &Samples, busy: String| {
            let [p50, p95] = [samples.p50(), samples.p95()].map(ms);
            [what.to_owned(), p50, p95, format!("{:.2}", ratio(samples.p50(), bare)), busy]
        };
        let mut rows = vec![row("its bare transfer", &self.bare, String::new())];
        let reads = self.reads.iter().zip(&self.busy).zip(questions());
        rows.extend(reads.map(|((samples, busy), (what, _))| row(what, samples, ms(busy.p50()))));
        let title = format!("A list of {GUESTS} guests, {:.1} MB, {by}", self.bytes as f64 / 1e6);
        table(&title, ["ms", "p50", "p95", "of the transfer", "provostd busy, p50"], rows);
        println!("\nprovostd held {} MiB at most.", mib(self.most));
    }
}
