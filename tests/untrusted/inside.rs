//! Out of a real container.

use serde_json::json;

use crate::common::Node;
use crate::guest::Recipe;
use crate::{SAMPLE, SEEN, survives, tool};

#[test]
fn every_tool_that_looks_into_a_container_shows_it_as_text() {
    let unit = format!(
        "[Unit]\nDescription={}\n[Service]\nSyslogIdentifier=Pwned\nExecStart=/bin/sh -c 'cat /srv/sample; echo address already in use; exit 3'\n",
        // A unit's file is text of lines; the rest of the sample comes by its output.
        SAMPLE.replace(['\u{8}', '\u{7f}'], "")
    );
    let guest = Recipe::new()
        .booted()
        .file("/srv/sample", 0o644, format!("{SAMPLE}\n"))
        .file("/srv/server.pem", 0o644, "no certificate")
        .file("/etc/systemd/system/evil.service", 0o644, unit)
        .start();
    guest.run("cp /srv/sample \"/srv/$(printf 'Pwned\\033[31m\\342\\200\\256\\nname')\"; ln -s \"$(printf 'Pwned\\033[2J')\" /srv/link");
    guest.run("systemctl start --no-block evil; until journalctl -q --unit=evil.service | grep -q 'in use'; do sleep 0.1; done");
    let node = Node::start();
    let mut client = node.client();
    let id = guest.id;
    let both = "cat /srv/sample; cat /srv/sample >&2";
    for mode in ["inspect", "change"] {
        tool(&mut client, "exec", json!({ "guest": id, "script": both, "mode": mode }));
    }
    survives(&mut client, "exec", json!({ "guest": id, "argv": [format!("/no/{SAMPLE}")] }));
    tool(&mut client, "file_get", json!({ "guest": id, "path": "/srv/sample" }));
    tool(&mut client, "file_get", json!({ "guest": id, "path": "/srv/sample", "lines": 1 }));
    tool(&mut client, "file_get", json!({ "guest": id, "path": "/srv" }));
    survives(&mut client, "file_get", json!({ "guest": id, "path": format!("/no/{SAMPLE}") }));
    survives(
        &mut client,
        "file_put",
        json!({ "guest": id, "path": format!("/no/{SAMPLE}"), "content": "x" }),
    );
    tool(&mut client, "diagnose", json!({ "subject": format!("lxc/{id}") }));
    let unit = tool(&mut client, "diagnose", json!({ "subject": format!("lxc/{id}/unit/evil.service") }));
    assert!(unit["result"]["structuredContent"]["unit"]["log"].to_string().contains(SEEN), "{unit:#}");
    survives(&mut client, "diagnose", json!({ "subject": SAMPLE }));
    // What was asked for is on record, and shown from there.
    tool(&mut client, "audit", json!({ "guest": id, "limit": 50 }));
}
