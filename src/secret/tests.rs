use std::collections::BTreeSet;

use serde_json::json;

use super::names::{HARMLESS, SECRET, SECRET_AT};
use super::*;
use crate::catalog::{Catalog, Format, Parameter, Release, Schema};

#[test]
fn secrets_are_withheld_by_name_wherever_they_stand() {
    let mut given = json!({
        "cipassword": "hunter2", "name": "web", "nested": [{ "Password": "a", "user": "b" }],
        "tokens": ["mcp"], "token": "abc", "password": null, "sshkeys": "ssh-ed25519 AAAA",
    });
    assert_eq!(withhold("/nodes/{node}/qemu/{vmid}/config", &mut given), 3);
    assert_eq!(
        given,
        json!({
            "cipassword": WITHHELD, "name": "web", "nested": [{ "Password": WITHHELD, "user": "b" }],
            "tokens": ["mcp"], "token": WITHHELD, "password": null, "sshkeys": "ssh-ed25519 AAAA",
        })
    );
}

#[test]
fn a_setting_that_is_named_beside_its_value_is_withheld() {
    let mut rows = json!([
        { "key": "cipassword", "value": "old", "pending": "new" },
        { "key": "memory", "value": "2048" },
    ]);
    withhold("/nodes/{node}/qemu/{vmid}/pending", &mut rows);
    assert_eq!(rows[0], json!({ "key": "cipassword", "value": WITHHELD, "pending": WITHHELD }));
    assert_eq!(rows[1]["value"], "2048");
}

#[test]
fn some_names_are_secret_only_in_their_place() {
    assert!(is_secret("/nodes/{node}/subscription", "key"));
    assert!(!is_secret("/nodes/{node}/qemu/{vmid}/pending", "key"));
    assert!(is_secret("/cluster/acme/plugins/{id}", "data"));
    assert!(!is_secret("/nodes/{node}/rrddata", "data"));
}

#[test]
fn what_looks_like_a_secret_is_cut_out_of_text() {
    for (text, left) in [
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\nend",
            "[withheld]\nend",
        ),
        ("-----BEGIN RSA PRIVATE KEY-----\ncut off", "[withheld]"),
        (
            "Authorization: PVEAPIToken=root@pam!t1=01234567-89ab-cdef-0123-456789abcdef",
            "Authorization: PVEAPIToken=root@pam!t1[withheld]",
        ),
        ("root@pam!t1=01234567-89ab-cdef-0123-456789abcdef", "root@pam!t1=[withheld]"),
        ("passwd: $6$rounds=5000$salt$abcdefghijk", "passwd: [withheld]"),
        ("root:$y$j9T$abcdefgh$ijklmnop:19000:0", "root:[withheld]:19000:0"),
        ("user: ops\npassword: hunter2\nshell: sh", "user: ops\npassword: [withheld]\nshell: sh"),
        ("http://ci:s3cret@mirror/x", "http://ci:[withheld]mirror/x"),
        ("authorization: Bearer abc.def", "authorization: Bearer [withheld]"),
    ] {
        assert_eq!(cut(text).map(|(clean, _)| clean).as_deref(), Some(left), "{text}");
    }
}

#[test]
fn ordinary_text_stays_as_it_is() {
    for text in [
        "UPID:pve1:00002660:00075A57:6B012EB1:resize:110:root@pam!t1:",
        "password changed for user ops",
        "virtio=BC:24:11:71:7A:AF,bridge=vmbr0",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI root@pve1",
        "costs $5 and $6 each",
        "https://example.org/a:b@c",
    ] {
        assert_eq!(cut(text), None, "{text}");
    }
}

#[test]
fn the_tables_are_in_order_and_say_each_thing_once() {
    let mut names: Vec<&str> = SECRET.iter().map(|(name, _)| *name).collect();
    assert!(names.is_sorted(), "the search needs the order");
    names.extend(HARMLESS.iter().map(|(name, _)| *name));
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(
        SECRET_AT
            .iter()
            .all(|(path, name, why)| path.starts_with('/') && !name.is_empty() && !why.is_empty())
    );
    assert!(HARMLESS.iter().all(|(name, _)| *name == "key" || !is_secret("/", name)));
}

/// Names that make a reader think of a secret.
const SMELLS: &[&str] = &[
    "auth", "cert", "cookie", "cred", "csrf", "hash", "key", "otp", "pass", "priv", "secret", "ticket",
    "token",
];

#[test]
fn every_name_of_the_api_that_smells_of_a_secret_was_looked_at() {
    let mut names = BTreeSet::new();
    for release in Release::ALL {
        for endpoint in Catalog::embedded(release).endpoints() {
            endpoint.parameters.iter().for_each(|parameter| collect(parameter, &mut names));
            collect_schema(&endpoint.returns, &mut names);
        }
    }
    assert!(names.len() > 500, "the walk found {} names only", names.len());
    let known: BTreeSet<&str> = SECRET
        .iter()
        .chain(HARMLESS)
        .map(|(name, _)| *name)
        .chain(SECRET_AT.iter().map(|(_, name, _)| *name))
        .collect();
    let smelling = names.iter().filter(|name| SMELLS.iter().any(|smell| name.contains(smell)));
    let unknown: Vec<&String> = smelling.filter(|name| !known.contains(name.as_str())).collect();
    assert!(unknown.is_empty(), "in neither table: {unknown:?}");
}

fn collect(parameter: &Parameter, names: &mut BTreeSet<String>) {
    names.insert(parameter.name.to_ascii_lowercase());
    collect_schema(&parameter.schema, names);
}

fn collect_schema(schema: &Schema, names: &mut BTreeSet<String>) {
    schema.properties.iter().for_each(|property| collect(property, names));
    if let Some(items) = &schema.items {
        collect_schema(items, names);
    }
    if let Some(Format::Properties(keys)) = &schema.format {
        keys.iter().for_each(|key| collect(&key.parameter, names));
    }
}
