//! The node's description of its own API: where it is not to be had, what serves in its place is said.

use provost::catalog::{Catalog, Release};
use provost::sim::estate::recorded;
use serde_json::json;

use crate::common::{Client, eventually};
use crate::site::{Site, everybody, path, read, refused};

fn status(client: &mut Client) -> serde_json::Value {
    client.call("status", json!({}))["structuredContent"].clone()
}

fn with(apidoc: &[u8]) -> Site {
    Site::of_release(recorded(), &everybody(""), apidoc, Catalog::embedded(Release::V9_1))
}

fn whole() -> Vec<u8> {
    Catalog::embedded(Release::V9_1).to_script().into_bytes()
}

#[test]
fn a_file_that_was_cut_short_is_named_with_what_to_do_and_the_built_in_one_serves() {
    let text = whole();
    let site = with(&text[..text.len() / 2]);
    let mut client = site.client();
    let told = status(&mut client)["catalog"].clone();
    assert_eq!(told["serves"], "PVE 9.2, built in", "{told}");
    assert!(told["error"].as_str().unwrap().contains("apidoc.js"), "{told}");
    assert!(told["next"].as_str().unwrap().contains("pve-docs"), "{told}");
    // Once a session, with the first answer that stands on it.
    let first = read(&mut client, path("/nodes"));
    let note = first["note"].as_str().unwrap();
    assert!(note.contains("apidoc.js") && note.contains("PVE 9.2, built in") && note.len() < 400, "{note}");
    assert!(read(&mut client, path("/nodes")).get("note").is_none());
    let found = client.call("find", json!({ "query": "list nodes" }))["structuredContent"].clone();
    assert!(found.get("note").is_none(), "{found}");
    let found = site.client().call("find", json!({ "query": "list nodes" }))["structuredContent"].clone();
    assert!(found["note"].as_str().unwrap().contains("apidoc.js"), "{found}");
    assert_eq!(site.log().matches("the built-in catalogue of PVE 9.2 serves").count(), 1);

    // Mended while it runs.
    site.put_apidoc(&whole());
    eventually("the node's own catalogue serves", || {
        refused(&mut client, path("/cluster/sdn/prefix-lists"))["kind"] == "no_such_path"
    });
    assert!(status(&mut client).get("catalog").is_none());

    // Gone: what it said last goes on, and that is said.
    std::fs::remove_file(site.dir.path().join("apidoc.js")).unwrap();
    eventually("it is said", || {
        read(&mut client, path("/nodes"))["note"].as_str().is_some_and(|note| note.contains("is gone"))
    });
    assert_eq!(status(&mut client)["catalog"]["serves"], "as this node's file said last");
}

#[test]
fn a_file_that_is_not_there_or_not_root_s_is_said_before_anything_is_read() {
    let site = Site::start();
    let told = status(&mut site.client())["catalog"].clone();
    assert!(told["error"].as_str().unwrap().contains("is not there"), "{told}");
    let site = with(&whole());
    std::fs::set_permissions(
        site.dir.path().join("apidoc.js"),
        std::os::unix::fs::PermissionsExt::from_mode(0o666),
    )
    .unwrap();
    let told = status(&mut site.client())["catalog"].clone();
    assert!(told["next"].as_str().unwrap().contains("0644"), "{told}");
}

#[test]
fn a_good_file_needs_no_words() {
    let site = with(&whole());
    let mut client = site.client();
    assert!(status(&mut client).get("catalog").is_none());
    assert!(read(&mut client, path("/nodes")).get("note").is_none());
}
