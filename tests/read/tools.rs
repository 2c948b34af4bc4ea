//! The list of tools, as every conversation pays for it: byte by byte what crosses the wire, and room kept for those to
//! come.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::site::Site;

/// What the whole list may cost, frame included.
const BUDGET: usize = 6_000;
/// All that the design has.
const ALL: [&str; 10] =
    ["apply", "audit", "diagnose", "exec", "file_get", "file_put", "find", "plan", "read", "status"];
/// What each that is not registered yet can count on.
const ROOM: usize = 530;

/// What a client asks with whose ids are UUIDs, which the answer repeats.
const LONG_ID: &str = "0191d3a8-7c2e-7f00-8a55-3b6f2e9d4c10";

/// The answer to `tools/list` as it came, without its newline.
fn on_the_wire(site: &Site, revision: &str) -> String {
    let stream = UnixStream::connect(site.socket()).expect("connect");
    let mut lines = BufReader::new(stream.try_clone().expect("clone")).lines();
    let say = |message: Value| {
        (&stream).write_all(format!("{message}\n").as_bytes()).expect("write");
    };
    let (client, mut params) = (json!({ "name": "t", "version": "1" }), json!({}));
    if revision == "2026-07-28" {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": revision,
            "io.modelcontextprotocol/clientInfo": client,
            "io.modelcontextprotocol/clientCapabilities": {},
        });
    } else {
        let hello = json!({ "protocolVersion": revision, "capabilities": {}, "clientInfo": client });
        say(json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello }));
        lines.next().expect("an answer").expect("text");
        say(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    }
    say(json!({ "jsonrpc": "2.0", "id": LONG_ID, "method": "tools/list", "params": params }));
    lines.next().expect("an answer").expect("text")
}

fn tools(line: &str) -> Value {
    serde_json::from_str::<Value>(line).expect("JSON")["result"]["tools"].clone()
}

#[test]
fn the_list_of_tools_is_what_was_reviewed() {
    let site = Site::start();
    let list = tools(&on_the_wire(&site, "2025-06-18"));
    insta::assert_json_snapshot!("tools", list);
}

#[test]
fn the_list_stays_within_its_bytes_with_all_ten_tools() {
    let site = Site::start();
    for revision in ["2024-11-05", "2025-06-18", "2025-11-25", "2026-07-28"] {
        let line = on_the_wire(&site, revision);
        let list = tools(&line);
        let registered: Vec<&str> = list
            .as_array()
            .expect("tools")
            .iter()
            .map(|tool| tool["name"].as_str().expect("a name"))
            .collect();
        assert!(registered.iter().all(|name| ALL.contains(name)), "{registered:?}");
        let (cost, missing) = (line.len() + 1, ALL.len() - registered.len());
        let sizes: Vec<String> = list
            .as_array()
            .expect("tools")
            .iter()
            .map(|tool| format!("{} {}", tool["name"].as_str().unwrap_or_default(), tool.to_string().len()))
            .collect();
        println!("{revision}: {cost} bytes: {}; {missing} to come", sizes.join(", "));
        assert!(cost <= BUDGET, "{revision}: {cost} bytes of {BUDGET}: {sizes:?}");
        assert!(
            cost + missing * ROOM <= BUDGET,
            "{revision}: {cost} bytes, and {missing} tools to come that count on {ROOM} each: {sizes:?}"
        );
    }
}
