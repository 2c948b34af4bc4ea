//! What a process holds, as the kernel counts it.

use std::fs;

use crate::daemons::Node;
use crate::report::{Promise, table};

/// KiB of a field of `/proc/<pid>/status`.
fn kib(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.and_then(|value| value.trim().strip_suffix(" kB")?.parse().ok()).expect("a field in kB")
}

pub fn resident(pid: u32) -> u64 {
    kib(pid, "VmRSS")
}

/// The most that it held since [`forget_peak`].
pub fn peak(pid: u32) -> u64 {
    kib(pid, "VmHWM")
}

pub fn forget_peak(pid: u32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("reset the peak");
}

pub fn mib(kib: u64) -> String {
    format!("{:.2}", kib as f64 / 1024.0)
}

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
