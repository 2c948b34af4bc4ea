//! The configuration changes under a running `provost-execd`: what it learned by the old one no longer counts.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use serde_json::json;

use crate::common::Node;
use crate::common::node::AGENT;

fn change(node: &Node, from: &str, to: &str) {
    let text = fs::read_to_string(node.config()).expect("configuration");
    assert!(text.contains(from), "{text}");
    // Put into place whole, as an editor does.
    let aside = node.dir().join("provost.toml.new");
    fs::write(&aside, text.replacen(from, to, 1)).expect("write");
    fs::rename(aside, node.config()).expect("rename");
}

#[test]
fn another_lxcpath_is_another_container_of_that_number() {
    let node = Node::start();
    let mut client = node.client();
    assert_eq!(client.change(101, &["/bin/echo", "on"])["stdout"], "on\n");
    change(&node, "lxcpath = \"", "lxcpath = \"/nowhere");
    let error = client.refused(json!({ "guest": 101, "argv": ["/bin/true"], "mode": "change" }));
    assert_eq!(error["kind"], "no_such_container", "{error}");
    change(&node, "lxcpath = \"/nowhere", "lxcpath = \"");
    assert_eq!(client.change(101, &["/bin/echo", "on"])["stdout"], "on\n");
    change(&node, "privileged = true", "privileged = false");
    assert_eq!(
        client.refused(json!({ "guest": 106, "argv": ["/bin/true"], "mode": "change" }))["kind"],
        "privileged"
    );
}

/// At its very next connection.
#[test]
fn an_account_that_is_no_longer_the_agents_is_not_served() {
    let node = Node::start();
    let mut client = node.client();
    assert_eq!(client.change(101, &["/bin/echo", "on"])["stdout"], "on\n");
    change(&node, &format!("user = \"{AGENT}\""), "user = \"64991\"");
    let error = client.refused(json!({ "guest": 101, "argv": ["/bin/true"], "mode": "change" }));
    assert_eq!(error["kind"], "peer", "{error}");
}

#[test]
fn a_configuration_that_others_may_write_closes_the_gate() {
    let node = Node::start();
    let mut client = node.client();
    let call = json!({ "guest": 101, "argv": ["/bin/true"], "mode": "change" });
    client.exec(call.clone());
    fs::set_permissions(node.config(), PermissionsExt::from_mode(0o666)).expect("mode");
    assert_eq!(client.refused(call.clone())["kind"], "configuration");
    fs::set_permissions(node.config(), PermissionsExt::from_mode(0o644)).expect("mode");
    client.exec(call.clone());
    chown(node.config(), Some(AGENT), None).expect("owner");
    assert_eq!(client.refused(call.clone())["kind"], "configuration");
    chown(node.config(), Some(0), None).expect("owner");
    client.exec(call.clone());
    fs::write(node.config(), "[exec]\nenabled = maybe\n").expect("write");
    let error = client.refused(call);
    assert!(error["kind"] == "configuration" && error["message"].to_string().contains("maybe"), "{error}");
}
