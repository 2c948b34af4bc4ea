//! Files out of containers and into them, as an operator's assistant, as an attacker in the container, and as daemons that
//! are killed in the middle.
//!
//! Needs root and the lab in layout v2: `tests/lab/lab up && tests/lab/lab wait`.

#[path = "../common/mod.rs"]
mod common;
#[path = "../hostile/guest.rs"]
#[allow(dead_code, reason = "for the hostile tests as well")]
mod guest;
#[path = "../scenario/record.rs"]
#[allow(dead_code, reason = "for the scenarios as well")]
mod record;

mod door;
mod get;
mod killed;
mod policy;
mod put;
mod races;
mod refused;
mod undo;

use base64::Engine;
use serde_json::{Value, json};

use common::Client;
use guest::Guest;

/// A call's structured answer, or its error.
fn call(client: &mut Client, tool: &str, arguments: Value) -> Result<Value, Value> {
    let result = client.call(tool, arguments);
    let answer = result["structuredContent"].clone();
    if result["isError"] == true { Err(answer["error"].clone()) } else { Ok(answer) }
}

fn get(client: &mut Client, guest: &Guest, path: &str) -> Result<Value, Value> {
    call(client, "file_get", json!({ "guest": guest.id, "path": path }))
}

/// With further arguments.
fn get_with(client: &mut Client, guest: &Guest, path: &str, mut more: Value) -> Result<Value, Value> {
    (more["guest"], more["path"]) = (guest.id.into(), path.into());
    call(client, "file_get", more)
}

fn put(
    client: &mut Client,
    guest: &Guest,
    path: &str,
    content: &str,
    mut more: Value,
) -> Result<Value, Value> {
    (more["guest"], more["path"], more["content"]) = (guest.id.into(), path.into(), content.into());
    call(client, "file_put", more)
}

fn kind(error: &Value) -> &str {
    error["kind"].as_str().expect("a kind")
}

fn base64(text: &Value) -> Vec<u8> {
    let engine = base64::engine::general_purpose::STANDARD;
    engine.decode(text.as_str().expect("text")).expect("base64")
}

fn sha256(bytes: &[u8]) -> String {
    provost::ledger::tree::sha256_hex(bytes)
}

/// Names in a directory of the container that an errand may have made and not taken away.
fn left_aside(guest: &Guest, directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(guest.path(directory)).expect("a directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains("provost")).collect()
}
