//! `diagnose` against faults that were planted on purpose: each is named as the first or second flag, and what is healthy
//! gets none. Containers are real ones; nodes and clusters are simulated.

#[path = "../common/mod.rs"]
mod common;
#[path = "../hostile/group.rs"]
mod group;
#[path = "../hostile/guest.rs"]
#[allow(dead_code, reason = "each test program uses its own part")]
mod guest;
#[path = "../read/site.rs"]
#[allow(dead_code, reason = "each test program uses its own part")]
mod site;

mod allowed;
mod cluster;
mod container;
mod recipes;
mod servers;
mod unit;

use serde_json::{Value, json};

use common::Client;

/// What `diagnose` says of a subject.
pub fn diagnose(client: &mut Client, subject: &str) -> Value {
    client.answered("diagnose", json!({ "subject": subject }))
}

/// The flags, without the one that is this machine's: a container's `/` lies on its disk, which a build may have filled.
fn flags(answer: &Value) -> Vec<&Value> {
    answer["flags"].as_array().expect("flags").iter().filter(|flag| !is_machines(flag)).collect()
}

/// Whether it says of `/` what `df` says of the disk under the lab, give or take what was written in between.
fn is_machines(flag: &Value) -> bool {
    let said = flag["what"].as_str().and_then(|what| what.strip_prefix("/ is ")?.strip_suffix(" % full"));
    let Some(said) = said.and_then(|percent| percent.parse::<u64>().ok()) else { return false };
    let disk = nix::sys::statvfs::statvfs("/var/lib").expect("the lab's file system");
    let used = disk.blocks() - disk.blocks_free();
    let full = (used * 100).div_ceil(used + disk.blocks_available());
    said.abs_diff(full) <= 1
}

/// The flags' titles, each with its severity.
pub fn titles(answer: &Value) -> Vec<String> {
    let text = |flag: &Value, key: &str| flag[key].as_str().expect("text").to_owned();
    flags(answer)
        .into_iter()
        .map(|flag| format!("{}: {}", text(flag, "severity"), text(flag, "what")))
        .collect()
}

/// That the first or second flag says this, with its evidence and a next step: that flag.
pub fn names<'a>(answer: &'a Value, words: &[&str]) -> &'a Value {
    let titles = titles(answer);
    let at = titles.iter().take(2).position(|title| words.iter().all(|word| title.contains(word)));
    let at = at.unwrap_or_else(|| panic!("{words:?} is neither the first nor the second flag: {answer:#}"));
    let flag = flags(answer)[at];
    for key in ["why", "evidence", "next"] {
        assert!(!flag[key].as_str().expect("text").is_empty(), "{key}: {flag}");
    }
    flag
}
