//! Out of PVE's answers, and back from what a client itself says.

use provost::sim::Fault;
use provost::sim::estate::{demo, now};
use serde_json::json;

use crate::site::Site;
use crate::{SAMPLE, shows, survives, tool};

const ROLE: &str = "[[role]]\nname = \"all\"\nmembers = [\"user:root\"]\nprofile = \"full\"\nexec = \"none\"";

#[test]
fn every_way_from_pve_to_the_client_shows_it_as_text() {
    let mut estate = demo(12, &[]);
    let id = 110;
    let guest = estate.guest_mut(id).expect("a container");
    let node = guest.node.clone();
    for key in ["hostname", "description"] {
        guest.config.insert(key.to_owned(), SAMPLE.to_owned());
    }
    let failed = json!([{ "node": node, "type": "vzdump", "id": "110", "user": "root@pam", "upid": "x", "status": SAMPLE, "starttime": now() - 60, "endtime": now() - 50 }]);
    estate.planted.insert("/cluster/tasks".to_owned(), failed);
    let site = Site::with(estate, ROLE);
    let mut client = site.client();
    let config = format!("/nodes/{node}/lxc/{id}/config");
    tool(&mut client, "read", json!({ "path": "/cluster/resources", "where": "vmid = 110" }));
    tool(&mut client, "read", json!({ "path": config }));
    tool(&mut client, "read", json!({ "path": "/cluster/tasks" }));
    tool(&mut client, "read", json!({ "path": "/cluster/resources", "where": format!("{SAMPLE} = 1") }));
    tool(&mut client, "diagnose", json!({ "subject": "cluster" }));
    let plan = tool(
        &mut client,
        "plan",
        json!({ "method": "PUT", "path": config, "args": { "description": "other" } }),
    );
    let plan = &plan["result"]["structuredContent"];
    assert!(plan["effects"].to_string().contains("Pwned"), "{plan:#}");
    let stop =
        json!({ "method": "DELETE", "path": format!("/nodes/{node}/lxc/{id}"), "args": { "force": 1 } });
    tool(&mut client, "plan", stop);
    survives(&mut client, "apply", json!({ "plan_id": plan["plan_id"] }));
    tool(&mut client, "plan", json!({ "method": "PUT", "path": config, "args": { SAMPLE: "1" } }));
    shows(&mut client, "a resource", "resources/read", json!({ "uri": "provost://guests" }));
    shows(
        &mut client,
        "a resource that is none",
        "resources/read",
        json!({ "uri": format!("provost://{SAMPLE}") }),
    );
    let guest = json!({ "type": "ref/resource", "uri": "provost://guest/{vmid}" });
    let blank = json!({ "ref": guest, "argument": { "name": "vmid", "value": "pwned" } });
    // No name of PVE's is like that, and nobody is to fill it in.
    let offered = client.request("completion/complete", blank);
    assert_eq!(offered["result"]["completion"]["values"], json!([]), "{offered:#}");
    let prompt = json!({ "name": "why-slow", "arguments": { "guest": "110", "symptom": SAMPLE } });
    shows(&mut client, "a prompt", "prompts/get", prompt);
    shows(
        &mut client,
        "no prompt's argument",
        "prompts/get",
        json!({ "name": "why-slow", "arguments": { SAMPLE: "1" } }),
    );
    shows(&mut client, "no tool", "tools/call", json!({ "name": SAMPLE, "arguments": {} }));
    survives(&mut client, "find", json!({ "query": SAMPLE }));
    survives(&mut client, "status", json!({}));
    survives(&mut client, "apply", json!({ "plan_id": SAMPLE }));
    tool(&mut client, "audit", json!({ "limit": 100 }));
    // A status line has no room for controls.
    let reason = SAMPLE.replace(char::is_control, "");
    site.sim.fault_at(Fault::Status(500, reason), "/version", None);
    survives(&mut client, "read", json!({ "path": "/version" }));
    // Nor into the log, where a terminal would read it.
    let log = site.log();
    assert!(!log.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "the log");
}
