//! Roles: who is in none reads nothing, and a role reads of no guest outside its own.

use serde_json::json;

use crate::site::{Site, everybody, path, read, refused};
use provost::sim::estate::recorded;

#[test]
fn who_is_in_no_role_reads_nothing() {
    let site = Site::with(recorded(), "");
    let mut client = site.client();
    assert_eq!(refused(&mut client, path("/version"))["kind"], "no_role");
    let answer = client.request("resources/read", json!({ "uri": "provost://guests" }));
    assert!(answer["error"]["message"].as_str().unwrap().contains("no role"), "{answer}");
    let blank = json!({ "ref": { "type": "ref/resource", "uri": "provost://guest/{vmid}" }, "argument": { "name": "vmid", "value": "" } });
    let values = client.request("completion/complete", blank)["result"]["completion"]["values"].clone();
    assert_eq!(values, json!([]));
}

#[test]
fn a_role_reads_of_its_own_guests_only() {
    let site = Site::with(recorded(), &everybody("guests = [104]"));
    let mut client = site.client();
    read(&mut client, path("/nodes/pve1/qemu/104/config"));
    assert_eq!(refused(&mut client, path("/nodes/pve1/qemu/105/config"))["kind"], "guest_out_of_scope");
    let rows =
        read(&mut client, json!({ "path": "/cluster/resources", "where": "vmid > 0", "fields": ["vmid"] }));
    assert_eq!(rows["data"], json!([{ "vmid": 104 }]), "{rows}");
}
