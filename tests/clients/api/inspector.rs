//! The MCP Inspector's command line, as far as it goes: it has no way to complete, and none to cancel.

use std::process::Command;

use serde_json::{Value, json};

use super::backup;
use super::wire::bridge;
use crate::script::{packages, path};
use crate::site::Site;
use crate::workstation::{Missing, or_say_why};

/// It says that it knows tasks here too, where they are not yet part of the protocol.
#[test]
fn the_inspector_reads_and_follows_by_handshake() {
    or_say_why(inspect("legacy"));
}

#[test]
fn the_inspector_reads_and_follows_by_discovery() {
    or_say_why(inspect("modern"));
}

fn inspect(era: &str) -> Result<(), Missing> {
    let packages = packages()?;
    let site = Site::paced();
    let run = |options: &[&str]| -> (bool, Value) {
        let output = Command::new(packages.join("node_modules/.bin/mcp-inspector"))
            .env("PATH", path(&packages))
            .args(["--cli", "--protocol-era", era])
            .args(options)
            .arg("--")
            .args(bridge(&site))
            // It keeps a catalogue of servers there.
            .env("HOME", site.dir.path())
            .output()
            .expect("the inspector");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("schema"), "{options:?}: {said}");
        let seen = serde_json::from_slice(&output.stdout);
        (output.status.success(), seen.unwrap_or_else(|_| panic!("{era} {options:?}: {said}")))
    };
    let call = |tool: &str, arguments: Value| {
        let arguments = arguments.to_string();
        run(&["--method", "tools/call", "--tool-name", tool, "--tool-args-json", &arguments])
    };
    let get = |options: &[&str]| {
        let (success, seen) = run(options);
        assert!(success, "{era} {options:?}: {seen}");
        seen
    };
    let tools = get(&["--method", "tools/list", "--strict"]);
    assert!(tools["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "read"), "{tools}");
    let (_, found) = call("find", json!({ "query": "grow disk of vm 104" }));
    assert_eq!(found["structuredContent"]["matches"][0]["method"], "PUT", "{found}");
    let (_, guests) =
        call("read", json!({ "path": "/cluster/resources", "where": "vmid = 104", "limit": 1 }));
    assert_eq!(guests["structuredContent"]["data"][0]["id"], "qemu/104", "{guests}");
    let (success, refused) = call("read", json!({ "path": "POST /nodes/pve1/qemu/104/status/start" }));
    assert_eq!((success, &refused["isError"]), (false, &json!(true)), "{refused}");
    assert_eq!(refused["structuredContent"]["error"]["kind"], "not_a_read", "{refused}");
    let (_, followed) = call("read", json!({ "path": backup(&site), "wait": 60 }));
    assert_eq!(followed["structuredContent"]["data"]["exitstatus"], "OK", "{followed}");

    let resources = get(&["--method", "resources/list"]);
    assert!(resources.to_string().contains("provost://guests"), "{resources}");
    let templates = get(&["--method", "resources/templates/list"]);
    assert!(templates.to_string().contains("provost://guest/{vmid}"), "{templates}");
    for (uri, part) in [("provost://guests", "\"vmid\":104"), ("provost://guest/104", "\"name\":\"web\"")] {
        let read = get(&["--method", "resources/read", "--uri", uri]);
        assert!(read["contents"][0]["text"].as_str().unwrap().contains(part), "{read}");
    }
    let prompts = get(&["--method", "prompts/list"]);
    assert_eq!(prompts["prompts"].as_array().unwrap().len(), 5, "{prompts}");
    let prompt = get(&["--method", "prompts/get", "--prompt-name", "why-slow", "--prompt-args", "guest=104"]);
    assert!(prompt["messages"][0]["content"]["text"].as_str().unwrap().contains("\"104\""), "{prompt}");
    Ok(())
}
