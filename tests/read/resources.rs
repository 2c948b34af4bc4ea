//! MCP resources, completions and prompts.

use serde_json::{Value, json};

use crate::common::Client;
use crate::site::Site;

fn text(client: &mut Client, uri: &str) -> Value {
    let answer = client.request("resources/read", json!({ "uri": uri }));
    let contents = &answer["result"]["contents"][0];
    assert_eq!(contents["uri"], uri, "{answer}");
    serde_json::from_str(contents["text"].as_str().expect("text")).expect("JSON")
}

#[test]
fn every_listed_resource_can_be_read() {
    let site = Site::start();
    let mut client = site.client();
    let listed = client.request("resources/list", json!({}));
    let listed = listed["result"]["resources"].as_array().unwrap().clone();
    assert!(listed.len() > 5);
    for resource in listed {
        text(&mut client, resource["uri"].as_str().unwrap());
    }
}

#[test]
fn a_guest_is_read_by_its_id_or_its_name() {
    let site = Site::start();
    let mut client = site.client();
    let by_id = text(&mut client, "provost://guest/104");
    assert_eq!(by_id["config"]["data"]["name"], "web");
    assert_eq!(by_id["status"]["data"]["status"], "stopped");
    assert_eq!(text(&mut client, "provost://node/pve1")["path"], "/nodes/pve1/status");
    for wrong in [
        "provost://guest/999",
        "provost://guest/nobody",
        "provost://node/..%2f",
        "provost://nothing",
        "file:///etc/passwd",
    ] {
        let answer = client.request("resources/read", json!({ "uri": wrong }));
        assert!(answer["error"]["message"].is_string(), "{wrong}: {answer}");
    }
}

#[test]
fn blanks_are_completed_with_what_there_is() {
    let site = Site::start();
    let mut client = site.client();
    let mut complete = |reference: Value, name: &str, value: &str| {
        let asked = json!({ "ref": reference, "argument": { "name": name, "value": value } });
        client.request("completion/complete", asked)["result"]["completion"]["values"].clone()
    };
    let guest = json!({ "type": "ref/resource", "uri": "provost://guest/{vmid}" });
    assert_eq!(complete(guest.clone(), "vmid", "10"), json!(["101", "104", "105", "110"]));
    let node = json!({ "type": "ref/resource", "uri": "provost://node/{node}" });
    assert!(complete(node, "node", "pve").to_string().contains("pve1"));
    assert_eq!(complete(json!({ "type": "ref/prompt", "name": "new-guest" }), "kind", "v"), json!(["vm"]));
    assert_eq!(complete(json!({ "type": "ref/prompt", "name": "new-guest" }), "purpose", "v"), json!([]));
    assert_eq!(complete(json!({ "type": "ref/prompt", "name": "nonsense" }), "kind", "v"), json!([]));
}

#[test]
fn there_are_five_prompts() {
    let site = Site::start();
    let mut client = site.client();
    let listed = client.request("prompts/list", json!({}));
    assert_eq!(listed["result"]["prompts"].as_array().unwrap().len(), 5, "{listed}");
    let prompt =
        client.request("prompts/get", json!({ "name": "why-slow", "arguments": { "guest": "101" } }));
    assert!(
        prompt["result"]["messages"][0]["content"]["text"].as_str().unwrap().contains("\"101\""),
        "{prompt}"
    );
}

#[test]
fn a_name_stands_for_its_guest() {
    let site = Site::with(provost::sim::estate::demo(20, &[]), &crate::site::everybody(""));
    let (vmid, name) = site.sim.with_estate(|estate| {
        let guest = estate.guests().next().expect("a guest");
        (guest.vmid, guest.name())
    });
    let mut client = site.client();
    assert_eq!(text(&mut client, &format!("provost://guest/{name}"))["vmid"], vmid);
    let guest = json!({ "type": "ref/resource", "uri": "provost://guest/{vmid}" });
    let asked = json!({ "ref": guest, "argument": { "name": "vmid", "value": name.to_uppercase() } });
    let values = client.request("completion/complete", asked)["result"]["completion"]["values"].clone();
    assert!(values.as_array().unwrap().contains(&json!(name)), "{values}");
}
