//! A whole `provostd` on a Backup Server: what an assistant and an operator have there.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use provost::sim::backup::{Group, Server};
use serde_json::{Value, json};

use crate::house::{House, apply, call, plan, read, refused};

const FULL: &str = "profile = \"full\"\napproval = []";

fn group<'a>(server: &'a Server, ns: &str, kind: &str, id: &str) -> Option<&'a Group> {
    server.stores["tank"].namespaces.get(ns)?.get(&(kind.to_owned(), id.to_owned()))
}

#[test]
fn an_assistant_is_told_where_it_is_and_what_there_is() {
    let house = House::of(FULL);
    let mut client = house.client();
    assert_eq!(call(&mut client, "status", json!({}))["product"], "Proxmox Backup Server");
    let info = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    let hello = house.client().request("initialize", info);
    let said = hello["result"]["instructions"].as_str().unwrap_or_default().to_owned();
    assert!(
        said.contains("Proxmox Backup Server") && !said.contains("runs a command in a container"),
        "{said}"
    );
    let found = call(&mut client, "find", json!({ "query": "prune old backups" }));
    let first = &found["matches"][0];
    assert_eq!(
        (&first["tier"], found["recipes"][0]["title"].is_string()),
        (&json!("destructive"), true),
        "{found:#}"
    );
    assert!(first["path"].as_str().unwrap().contains("prune"), "{found:#}");
    // Nothing is offered that only a node has.
    let found = call(&mut client, "find", json!({ "query": "start container 101" }));
    for row in found["matches"].as_array().unwrap() {
        assert!(!row["path"].as_str().unwrap().contains("/lxc"), "{row}");
    }
    let listed = client.request("resources/list", json!({}));
    let uris: Vec<&str> = listed["result"]["resources"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["uri"].as_str())
        .collect();
    assert!(uris.contains(&"provost://nodes") && !uris.contains(&"provost://guests"), "{uris:?}");
    let nodes = client.request("resources/read", json!({ "uri": "provost://nodes" }));
    assert!(nodes["result"]["contents"][0]["text"].as_str().unwrap().contains("pbs1"), "{nodes}");
    let guests = client.request("resources/read", json!({ "uri": "provost://guests" }));
    assert!(guests["error"]["message"].as_str().unwrap().contains("there is no resource"), "{guests}");
    assert_eq!(client.request("prompts/list", json!({}))["result"]["prompts"], json!([]));
}

#[test]
fn what_there_is_is_read_in_rows_that_say_what_they_are() {
    let house = House::of(FULL);
    let mut client = house.client();
    let stores = read(&mut client, "/admin/datastore");
    assert_eq!(stores.as_array().map(Vec::len), Some(2), "{stores}");
    let newest = call(
        &mut client,
        "read",
        json!({ "path": "/admin/datastore/tank/snapshots", "where": "backup-id = 104", "sort": "-backup-time", "limit": 3 }),
    );
    assert_eq!((&newest["total"], newest["data"].as_array().unwrap().len()), (&json!(14), 3), "{newest:#}");
    assert!(newest["data"][0]["backup-time"].as_i64() > newest["data"][1]["backup-time"].as_i64());
    let team = call(
        &mut client,
        "read",
        json!({ "path": "/admin/datastore/tank/groups", "args": { "ns": "team" } }),
    );
    assert_eq!(team["data"][0]["owner"], "bob@pbs!team", "{team:#}");
    // As models write paths.
    for written in
        ["GET /api2/json/admin/datastore", "https://pbs1:8007/api2/json/admin/datastore/", "admin/datastore"]
    {
        assert_eq!(read(&mut client, written), stores, "{written}");
    }
    // A task by its kind and what it is about, under this product's names for them.
    let gc = plan(&mut client, "POST", "/admin/datastore/tank/gc", json!({}));
    let applied = apply(&mut client, &gc);
    let tasks = read(&mut client, "/nodes/pbs1/tasks");
    assert_eq!(tasks[0]["worker_type"], "garbage_collection", "{tasks}");
    assert_eq!((&tasks[0]["worker_id"], &tasks[0]["upid"]), (&json!("tank"), &applied["upid"]), "{tasks}");
    let followed = call(&mut client, "read", json!({ "path": applied["upid"], "wait": 5 }));
    assert!(followed.to_string().contains("starting garbage collection on store tank"), "{followed:#}");
    // What is not there is the server's own refusal, with a next step.
    let error = refused(&mut client, "read", json!({ "path": "/admin/datastore/nowhere/groups" }));
    assert!(error["message"].as_str().unwrap().contains("no such datastore"), "{error}");
    let error = refused(&mut client, "read", json!({ "path": "/cluster/resources" }));
    assert_eq!(error["kind"], "no_such_path", "{error}");
}

#[test]
fn a_change_is_planned_applied_and_taken_back_and_all_of_it_is_on_record() {
    let house = House::of(FULL);
    let mut client = house.client();
    let path = "/config/verify/weekly";
    let planned = plan(&mut client, "PUT", path, json!({ "schedule": "daily" }));
    assert_eq!(
        planned["effects"],
        json!([{ "field": "schedule", "before": "weekly", "after": "daily" }]),
        "{planned:#}"
    );
    let applied = apply(&mut client, &planned);
    assert_eq!(applied["result"], "done", "{applied:#}");
    assert_eq!(read(&mut client, path)["schedule"], "daily");
    let again = refused(&mut client, "apply", json!({ "plan_id": planned["plan_id"] }));
    assert_eq!(again["kind"], "already_applied");
    let back = call(&mut client, "plan", json!({ "undo": applied["receipt"] }));
    apply(&mut client, &back);
    assert_eq!(read(&mut client, path)["schedule"], "weekly");
    let audit = call(&mut client, "audit", json!({ "limit": 50, "verify": true }));
    assert_eq!(audit["verified"]["holds"], true, "{:#}", audit["verified"]);
    let kinds: Vec<&str> =
        audit["receipts"].as_array().unwrap().iter().rev().filter_map(|row| row["kind"].as_str()).collect();
    let changes: Vec<&&str> =
        kinds.iter().filter(|kind| !["start", "session", "read"].contains(kind)).collect();
    assert_eq!(changes, [&"plan", &"intent", &"outcome", &"refusal", &"plan", &"intent", &"outcome"]);
}

/// What destroys waits for a person at a terminal, and the default profile never does it.
#[test]
fn what_takes_backups_away_waits_for_a_person() {
    let house = House::of("profile = \"full\"");
    let mut client = house.client();
    let prune = json!({ "backup-type": "vm", "backup-id": "104", "keep-last": 3 });
    let planned = plan(&mut client, "POST", "/admin/datastore/tank/prune", prune.clone());
    assert_eq!(planned["tier"], "destructive", "{planned:#}");
    assert!(
        planned["blast_radius"][0]["why"].as_str().unwrap().contains("by the server's own dry run"),
        "{planned:#}"
    );
    assert!(planned["needs"]["approval"].is_object(), "{planned:#}");
    let waiting = refused(&mut client, "apply", json!({ "plan_id": planned["plan_id"] }));
    assert_eq!(waiting["kind"], "needs_approval");
    let left = house.server(|server| group(server, "", "vm", "104").unwrap().backups.len());
    assert_eq!(left, 14, "nothing has gone");
    let (_, plans) = house.provost(&["plans"]);
    assert!(plans.contains("/admin/datastore/tank/prune"), "{plans}");
    let careful = House::of("");
    let refused = refused(
        &mut careful.client(),
        "plan",
        json!({ "method": "POST", "path": "/admin/datastore/tank/prune", "args": prune }),
    );
    assert_eq!(refused["kind"], "tier_not_allowed", "{refused}");
}

/// A tool that is a node's says so, whatever it is asked for, and asks nothing.
#[test]
fn the_tools_of_a_node_say_that_they_are() {
    let house = House::of(FULL);
    let mut client = house.client();
    for subject in ["cluster", "node/pbs1", "lxc/101", "qemu/104"] {
        let error = refused(&mut client, "diagnose", json!({ "subject": subject }));
        assert_eq!(error["kind"], "not_here", "{error}");
        assert!(error["message"].as_str().unwrap().contains("Proxmox Backup Server"), "{error}");
    }
    for (tool, arguments) in [
        ("exec", json!({ "guest": 101, "argv": ["true"] })),
        ("file_get", json!({ "guest": 101, "path": "/etc/hostname" })),
        ("file_put", json!({ "guest": 101, "path": "/tmp/x", "content": "x" })),
    ] {
        let error = refused(&mut client, tool, arguments);
        assert!(!["internal", "pve_not_json"].contains(&error["kind"].as_str().unwrap()), "{tool}: {error}");
        assert!(!error["next"].as_str().unwrap_or_default().is_empty(), "{tool}: {error}");
    }
}

#[test]
fn a_doctor_there_knows_the_product() {
    let house = House::of(FULL);
    let (_, said) = house.provost(&["doctor", "--json"]);
    let checks: Vec<Value> = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    let check = |name: &str| {
        let found = checks.iter().find(|check| check["check"] == name);
        found.unwrap_or_else(|| panic!("{name}: {checks:#?}"))
    };
    for name in ["proxmox-backup-proxy", "daemon", "token", "token works", "certificate", "tiers", "halt"] {
        assert_eq!(check(name)["state"], "good", "{}", check(name));
    }
    assert!(
        check("token works")["evidence"]
            .as_str()
            .unwrap()
            .contains("Proxmox Backup Server takes root@pam!t1"),
        "{}",
        check("token works")
    );
    let look = check("catalogue");
    assert!(
        look["state"] == "look" && look["mend"].as_str().unwrap().contains("proxmox-backup-docs"),
        "{look}"
    );
    for of_a_node in ["pveproxy", "pvedaemon", "rights"] {
        assert!(checks.iter().all(|check| check["check"] != of_a_node), "{of_a_node}: {checks:#?}");
    }
    assert!(!said.contains("pve-docs") && !said.contains("pvecm"), "{said}");
    // A token that the server no longer knows.
    house.server(|server| server.tokens.clear());
    let (code, said) = house.provost(&["doctor"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("Proxmox Backup Server does not know the API token"), "{said}");
}

/// What `provost demo --product backup` prints is all that a daemon needs.
#[test]
fn a_demo_of_a_backup_server_is_one_that_a_daemon_manages() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("demo");
    let mut demo = Demo(
        Command::new(env!("CARGO_BIN_EXE_provost"))
            .args(["demo", "--product", "backup", "--dir"])
            .arg(&place)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut told = String::new();
    let mut lines = BufReader::new(demo.0.stdout.take().unwrap());
    while !told.contains("\napidoc") {
        assert_ne!(lines.read_line(&mut told).unwrap(), 0, "{told}");
    }
    let house = House::beside(&told, FULL);
    let mut client = house.client();
    assert_eq!(read(&mut client, "/admin/datastore").as_array().map(Vec::len), Some(2));
    let status = call(&mut client, "status", json!({}));
    assert_eq!(
        (&status["product"], &status["catalog"]),
        (&json!("Proxmox Backup Server"), &Value::Null),
        "{status}"
    );
}

/// What `provost demo` prints is a node, one of whose storages names a Backup Server.
#[test]
fn a_demo_of_a_cluster_has_a_backup_server_that_read_and_diagnose_see() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = Demo(
        Command::new(env!("CARGO_BIN_EXE_provost"))
            .args(["demo", "--guests", "10", "--dir"])
            .arg(dir.path().join("demo"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut told = String::new();
    let mut lines = BufReader::new(demo.0.stdout.take().unwrap());
    while !told.contains("\n# Faults") {
        assert_ne!(lines.read_line(&mut told).unwrap(), 0, "{told}");
    }
    let house = House::beside(&told, FULL);
    let mut client = house.client();
    let storages = call(&mut client, "read", json!({ "path": "/storage", "where": "type = pbs" }));
    let named = &storages["data"][0];
    assert_eq!((&named["storage"], &named["datastore"]), (&json!("vault"), &json!("tank")), "{storages}");
    assert!(
        told.contains(&format!("https://{}:{}", named["server"].as_str().unwrap(), named["port"])),
        "{told} {named}"
    );
    let reached = format!(
        "storage vault (datastore tank of Backup Server {}:{}): reached",
        named["server"].as_str().unwrap(),
        named["port"]
    );
    let saved =
        call(&mut client, "read", json!({ "path": "/nodes/pve1/storage/vault/content", "limit": 100 }));
    assert_eq!(saved["total"], 21, "fourteen of one guest, seven of another: {saved}");
    for subject in ["node/pve1", "cluster"] {
        let looked = call(&mut client, "diagnose", json!({ "subject": subject }));
        let said = looked["evidence"]["backup_servers"].as_str().unwrap_or_else(|| panic!("{looked:#}"));
        for words in [&*reached, "known by a fingerprint"] {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert!(!looked["flags"].to_string().contains("vault"), "it is well: {looked:#}");
    }
}

struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
