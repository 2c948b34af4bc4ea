//! What both daemons hold while nothing is under way.

use crate::daemons::Node;
use crate::memory::{mib, resident};
use crate::report::{Promise, table};

/// KiB that the daemons hold at one moment, when nothing is under way.
pub struct Rest {
    when: &'static str,
    provostd: u64,
    execd: u64,
}

impl Rest {
    pub fn now(when: &'static str, node: &Node) -> Self {
        Self { when, provostd: resident(node.provostd()), execd: resident(node.execd()) }
    }
}

pub fn report([start, calls, sessions]: [Rest; 3]) -> Vec<Promise> {
    let row = |name: &str, of: fn(&Rest) -> u64| {
        [name.to_owned(), mib(of(&start)), mib(of(&calls)), mib(of(&sessions))]
    };
    let rows = vec![row("provostd", |rest| rest.provostd), row("provost-execd", |rest| rest.execd)];
    table("Memory at rest", ["resident MiB", start.when, calls.when, sessions.when], rows);

    let most = |of: &[u64]| of.iter().max().map(|kib| *kib as f64 / 1024.0);
    let provostd = most(&[start.provostd, calls.provostd]);
    let execd = most(&[start.execd, calls.execd, sessions.execd]);
    vec![
        Promise::at_most("provostd at rest", 10.0, provostd).in_unit("MiB"),
        Promise::at_most("provostd, once 100 sessions have come and gone", 16.0, most(&[sessions.provostd]))
            .in_unit("MiB"),
        Promise::at_most("provost-execd at rest", 2.0, execd).in_unit("MiB"),
    ]
}
