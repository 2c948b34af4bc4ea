//! What was replaced comes back, as long as nobody has touched what took its place.

use serde_json::{Value, json};

use crate::common::{Client, Node};
use crate::guest::Guest;
use crate::{call, kind, put};

fn restore(client: &mut Client, guest: &Guest, receipt: &Value) -> Result<Value, Value> {
    call(client, "file_put", json!({ "guest": guest.id, "restore": receipt }))
}

#[test]
fn a_put_is_taken_back_by_its_receipt_and_that_is_taken_back_too() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    guest.run("printf old > /srv/t; chown 33:4 /srv/t; chmod 4751 /srv/t");
    let more = json!({ "overwrite": "always", "mode": "0600", "owner": "0:0" });
    let done = put(&mut client, &guest, "/srv/t", "new", more).expect("replaced");
    assert_eq!(done["undo"], format!("file_put with restore: {}", done["receipt"]));
    let plan = call(&mut client, "plan", json!({ "undo": done["receipt"] })).expect_err("not by a plan");
    assert!(plan["message"].as_str().unwrap().contains("restore"), "{plan}");
    let undone = restore(&mut client, &guest, &done["receipt"]).expect("undone");
    assert_eq!(guest.run("stat -c '%u:%g %a' /srv/t; cat /srv/t").trim(), "33:4 4751\nold");
    restore(&mut client, &guest, &undone["receipt"]).expect("redone");
    assert_eq!(guest.run("stat -c '%u:%g %a' /srv/t; cat /srv/t").trim(), "0:0 600\nnew");
    let error = restore(&mut client, &guest, &undone["receipt"]).expect_err("twice");
    assert_eq!(kind(&error), "changed", "{error}");
}

#[test]
fn a_file_that_was_made_goes_again_and_comes_back() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let made = put(&mut client, &guest, "/srv/t", "new", json!({ "mode": "0640" })).expect("made");
    let gone = restore(&mut client, &guest, &made["receipt"]).expect("taken away");
    assert_eq!((&gone["sha256"], guest.run("ls -A /srv").trim()), (&json!(null), ""));
    restore(&mut client, &guest, &gone["receipt"]).expect("back");
    assert_eq!(guest.run("stat -c %a /srv/t; cat /srv/t").trim(), "640\nnew");
}

#[test]
fn what_was_touched_since_or_is_not_kept_does_not_come_back() {
    let node = Node::with(
        "v2",
        "containers = [\"1-999999\"]\nkeep_replaced = 10",
        crate::common::node::ROOT_MAY_ALL,
    );
    let (guest, other) = (Guest::idle(), Guest::idle());
    let mut client = node.client();
    guest.run("printf old > /srv/t; printf 'longer than is kept' > /srv/u");
    let done = put(&mut client, &guest, "/srv/t", "new", json!({ "overwrite": "always" })).expect("replaced");
    assert_eq!(
        kind(&restore(&mut client, &other, &done["receipt"]).expect_err("another guest")),
        "no_way_back"
    );
    guest.run("printf theirs > /srv/t");
    assert_eq!(kind(&restore(&mut client, &guest, &done["receipt"]).expect_err("touched")), "changed");
    assert_eq!(guest.read("/srv/t"), "theirs");
    let lost = put(&mut client, &guest, "/srv/u", "new", json!({ "overwrite": "always" })).expect("replaced");
    assert!(lost["undo"].as_str().unwrap().starts_with("none: "), "{lost}");
    assert_eq!(kind(&restore(&mut client, &guest, &lost["receipt"]).expect_err("not kept")), "no_way_back");
    for wrong in [json!(0), json!(999_999)] {
        assert_eq!(kind(&restore(&mut client, &guest, &wrong).expect_err("no put")), "no_way_back");
    }
    let both = json!({ "guest": guest.id, "restore": done["receipt"], "path": "/srv/t" });
    assert_eq!(kind(&call(&mut client, "file_put", both).expect_err("both")), "arguments");
}
