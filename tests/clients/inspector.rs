//! The MCP Inspector's command line over `ssh node provost bridge`: a client that nobody configured for us.

use std::process::Command;

use serde_json::{Value, json};

use crate::script::{packages, path};
use crate::sdk;
use crate::workstation::{Missing, USER, Workstation, or_say_why};

#[test]
fn the_inspector_lists_calls_and_reads_through_the_bridge() {
    or_say_why(inspect());
}

fn inspect() -> Result<(), Missing> {
    let packages = packages()?;
    let node = sdk::node();
    let workstation = Workstation::of(&node)?;
    let run = |options: &[&str]| -> Value {
        let output = Command::new(packages.join("node_modules/.bin/mcp-inspector"))
            .env("PATH", path(&packages))
            .arg("--cli")
            .args(options)
            .arg("--")
            .args(workstation.bridge())
            // It keeps a catalogue of servers there.
            .env("HOME", node.dir())
            .output()
            .expect("the inspector");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{options:?}: {said}");
        // It says there when a tool's schema is one that some clients cannot use.
        assert!(!said.contains("schema"), "{options:?}: {said}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let tools = run(&["--method", "tools/list", "--strict"]);
    assert!(tools["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "exec"), "{tools}");

    let status = run(&["--method", "tools/call", "--tool-name", "status"]);
    assert_eq!(status["structuredContent"]["principal"]["user"], USER, "{status}");
    let call = [
        "--method",
        "tools/call",
        "--tool-name",
        "exec",
        "--tool-arg",
        "guest=101",
        "argv=[\"echo\",\"hello\"]",
    ];
    assert_eq!(run(&call)["structuredContent"]["stdout"], "hello\n");

    let resources = run(&["--method", "resources/list"]);
    let uris: Vec<&Value> =
        resources["resources"].as_array().unwrap().iter().map(|each| &each["uri"]).collect();
    assert!(uris.contains(&&json!("provost://schema/exec")), "{resources}");
    let read = run(&["--method", "resources/read", "--uri", "provost://schema/exec"]);
    assert!(read["contents"][0]["text"].as_str().unwrap().contains("exit_code"), "{read}");
    Ok(())
}
