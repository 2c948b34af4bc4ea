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
mod unit;

use serde_json::{Value, json};

use common::Client;

/// What `diagnose` says of a subject.
pub fn diagnose(client: &mut Client, subject: &str) -> Value {
    let result = client.call("diagnose", json!({ "subject": subject }));
    assert_ne!(result["isError"], true, "{result}");
    result["structuredContent"].clone()
}

/// The flags' titles, each with its severity.
pub fn titles(answer: &Value) -> Vec<String> {
    let flags = answer["flags"].as_array().expect("flags");
    let text = |flag: &Value, key: &str| flag[key].as_str().expect("text").to_owned();
    flags.iter().map(|flag| format!("{}: {}", text(flag, "severity"), text(flag, "what"))).collect()
}

/// That the first or second flag says this, with its evidence and a next step.
pub fn names(answer: &Value, words: &[&str]) {
    let titles = titles(answer);
    let at = titles.iter().take(2).position(|title| words.iter().all(|word| title.contains(word)));
    let at = at.unwrap_or_else(|| panic!("{words:?} is neither the first nor the second flag: {answer:#}"));
    let flag = &answer["flags"][at];
    for key in ["why", "evidence", "next"] {
        assert!(!flag[key].as_str().expect("text").is_empty(), "{key}: {flag}");
    }
}
