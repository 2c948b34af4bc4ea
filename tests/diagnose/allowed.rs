//! Who may have what diagnosed, and what is on record of it.

use serde_json::json;

use crate::common::{Node, eventually};
use crate::diagnose;
use crate::site::{Site, everybody};

#[test]
fn a_guest_outside_the_roles_is_not_looked_at() {
    let site = Site::with(provost::sim::estate::demo(12, &[]), &everybody("guests = [\"100-103\"]"));
    let mut client = site.client();
    let result = client.call("diagnose", json!({ "subject": "lxc/110" }));
    assert_eq!(result["structuredContent"]["error"]["kind"], "guest_out_of_scope", "{result}");
    for wrong in ["lxc/", "lxc/99", "lxc/1e3", "qemu/x", "node/../x", "disk/sda", "", "lxc/105/x"] {
        let result = client.call("diagnose", json!({ "subject": wrong }));
        assert_eq!(result["structuredContent"]["error"]["kind"], "arguments", "{wrong}: {result}");
    }
    let of_other_kind = client.call("diagnose", json!({ "subject": "lxc/102" }));
    assert_eq!(of_other_kind["structuredContent"]["error"]["kind"], "no_such_guest", "{of_other_kind}");
}

#[test]
fn without_commands_what_is_inside_is_said_to_be_missing() {
    let roles = "[[role]]\nname = \"all\"\nmembers = [\"user:root\"]\nexec = \"none\"";
    let node = Node::with("v2", "containers = [101]", roles);
    let answer = diagnose(&mut node.client(), "lxc/101");
    let missing = answer["incomplete"].as_array().expect("a list");
    for probe in ["disks", "units", "certificates"] {
        let why = missing.iter().find(|missing| missing["probe"] == probe).expect(probe);
        assert!(why["why"].as_str().expect("text").contains("lane_not_allowed"), "{why}");
    }
    // The host's own figures need no command.
    assert!(answer["evidence"]["pressure"].is_string(), "{answer:#}");
}

#[test]
fn both_the_read_and_the_command_leave_their_receipts() {
    let node = Node::start();
    let mut client = node.client();
    let answer = diagnose(&mut client, "lxc/101");
    let mut receipts = Vec::new();
    // A read's is written once its answer is on its way, which waits for nobody.
    eventually("both receipts are there", || {
        let answer = client.call("audit", json!({ "guest": 101, "limit": 20 }));
        receipts = answer["structuredContent"]["receipts"].as_array().expect("receipts").clone();
        receipts.iter().any(|receipt| receipt["kind"] == "read" && receipt["tool"] == "diagnose")
    });
    let of =
        |kind: &str| receipts.iter().find(|receipt| receipt["kind"] == kind && receipt["tool"] == "diagnose");
    let command = of("exec").unwrap_or_else(|| panic!("{receipts:#?}"));
    assert_eq!(command["seq"], answer["receipt"], "{command}");
    let read = of("read").unwrap_or_else(|| panic!("{receipts:#?}"));
    assert!(read.to_string().contains("lxc/101"), "{read}");
}
