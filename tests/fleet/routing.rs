//! Calls go where their guest, node or host is, and answers say where they came from.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::machines::{CLUSTERED, Connected, Fleet, alone, five, member, run};

fn rows(answer: &Value) -> Vec<(String, u64)> {
    let rows = answer["data"].as_array().unwrap_or_else(|| panic!("rows: {answer}"));
    rows.iter()
        .map(|row| (row["host"].as_str().unwrap().to_owned(), row["vmid"].as_u64().unwrap_or(0)))
        .collect()
}

#[test]
fn a_call_goes_to_the_host_whose_guest_or_node_it_is_about() {
    let fleet = five();
    let mut connected = fleet.connect();
    for (tool, args, host) in [
        ("read", json!({ "path": "/nodes/shed/lxc/501/config" }), "three"),
        ("read", json!({ "path": "/nodes/pve2/status" }), "two"),
        ("read", json!({ "path": "config of 601" }), "four"),
        ("read", json!({ "path": "/nodes/pve1/version" }), "one"),
        ("read", json!({ "path": "/version", "host": "five" }), "five"),
        ("find", json!({ "query": "start 701" }), "five"),
        ("diagnose", json!({ "subject": "node/attic" }), "four"),
    ] {
        let answer = connected.call(tool, args.clone());
        assert_eq!(answer["host"], host, "{tool} {args}: {answer}");
    }
    // Commands are off on all of them: it is the refusal that says who was asked.
    let result = connected.client.call("exec", json!({ "guest": 502, "argv": ["true"] }));
    assert_eq!(result["structuredContent"]["host"], "three", "{result}");
    // A guest of the cluster's second node, which both know.
    let own = 100 + (0..3).find(|vmid| (100 + vmid) % 3 == 1).unwrap();
    let answer = connected.call("read", json!({ "path": format!("config of {own}") }));
    assert_eq!(answer["host"], "two", "{answer}");
}

#[test]
fn a_cluster_is_read_once_and_every_node_by_itself() {
    let fleet = five();
    let mut connected = fleet.connect();
    let guests =
        json!({ "path": "/cluster/resources", "args": { "type": "vm" }, "fields": ["vmid"], "limit": 1000 });
    let answer = connected.call("read", guests);
    let mut found: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for (host, vmid) in rows(&answer) {
        assert!(found.entry(host).or_default().insert(vmid), "{vmid} twice: {answer}");
    }
    let hosts: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(hosts.len(), 4, "one of the two members, and the other three: {hosts:?}");
    // With the template.
    let cluster = found.get("one").or(found.get("two")).expect("the cluster");
    assert_eq!(cluster.len(), CLUSTERED as usize + 1);
    assert_eq!(found["three"], BTreeSet::from([501, 502]));
    assert_eq!(answer["total"], CLUSTERED + 1 + 5);
    assert!(answer["unanswered"].is_null(), "{answer}");
    let status = connected.call("status", json!({}));
    let hosts: BTreeSet<&str> =
        status["hosts"].as_array().unwrap().iter().filter_map(|host| host["host"].as_str()).collect();
    assert_eq!(hosts, fleet.names().into_iter().collect(), "each has its own");
    assert_eq!(status["fleet"][1]["node"], "pve2", "{status}");
    assert_eq!(status["fleet"][1]["cluster"], "demo");
    assert_eq!(status["fleet"][2]["cluster"], Value::Null);
}

#[test]
fn pages_and_order_hold_over_all_hosts() {
    let fleet = five();
    let mut connected = fleet.connect();
    let mut asked =
        json!({ "path": "/cluster/resources", "args": { "type": "vm" }, "fields": ["vmid"], "limit": 7 });
    let (mut seen, mut pages) = (Vec::new(), 0);
    loop {
        let answer = connected.call("read", asked.clone());
        let page = rows(&answer);
        assert!(page.len() <= 7, "{answer}");
        seen.extend(page);
        pages += 1;
        match answer["next_cursor"].as_str() {
            Some(cursor) => asked["cursor"] = cursor.into(),
            None => break,
        }
        assert!(pages < 20, "{seen:?}");
    }
    let distinct: BTreeSet<&(String, u64)> = seen.iter().collect();
    assert_eq!((seen.len(), distinct.len()), (CLUSTERED as usize + 6, CLUSTERED as usize + 6));
    asked.as_object_mut().unwrap().remove("cursor");
    asked["sort"] = "-vmid".into();
    let sorted: Vec<u64> = rows(&connected.call("read", asked)).into_iter().map(|(_, vmid)| vmid).collect();
    assert_eq!(sorted[..4], [9000, 701, 601, 502]);
}

#[test]
fn a_guest_that_two_hosts_have_is_asked_for_by_host() {
    let fleet = five();
    let mut connected = fleet.connect();
    for (tool, args) in [
        ("exec", json!({ "guest": 101, "argv": ["true"], "mode": "change" })),
        ("file_get", json!({ "guest": 101, "path": "/etc/hostname" })),
        ("diagnose", json!({ "subject": "lxc/101" })),
        ("read", json!({ "path": "config of 101" })),
        ("plan", json!({ "path": "stop 101" })),
    ] {
        let error = connected.refused(tool, args.clone());
        assert_eq!(error["kind"], "ambiguous", "{tool} {args}: {error}");
        let said = format!("{} {}", error["message"], error["next"]);
        for part in ["five", "two", "cellar", "`host`"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    let answer = connected.call("read", json!({ "path": "config of 101", "host": "five" }));
    assert_eq!((&answer["host"], &answer["path"]), (&json!("five"), &json!("/nodes/cellar/lxc/101/config")));
    let error = connected.refused("read", json!({ "path": "/version", "host": "fife" }));
    assert_eq!(error["kind"], "no_such_host");
    assert!(error["message"].as_str().unwrap().contains("\"five\""), "{error}");
}

#[test]
fn what_is_nowhere_is_said_with_what_there_is() {
    let fleet = five();
    let mut connected = fleet.connect();
    let error = connected.refused("exec", json!({ "guest": 4711, "argv": ["true"] }));
    assert_eq!(error["kind"], "no_such_guest", "{error}");
    let error = connected.refused("read", json!({ "path": "/nodes/garage/status" }));
    assert_eq!(error["kind"], "no_such_node");
    assert!(error["message"].as_str().unwrap().contains("attic, cellar, pve1, pve2, pve3, shed"), "{error}");
    let error = connected.refused("plan", json!({ "method": "DELETE", "path": "/storage/local-lvm" }));
    assert_eq!(error["kind"], "which_host");
    let error = connected.refused("exec", json!({ "guest": "host", "argv": ["true"] }));
    assert_eq!(error["kind"], "which_host");
    // On a node of the cluster that is no host here.
    let third = (102..).find(|vmid| vmid % 3 == 2 && vmid % 5 < 2).unwrap();
    let error = connected.refused("exec", json!({ "guest": third, "argv": ["true"] }));
    assert_eq!(error["kind"], "node_not_in_fleet", "{error}");
    assert!(error["next"].as_str().unwrap().contains("pve3"), "{error}");
}

#[test]
fn a_plan_is_applied_by_the_host_that_made_it() {
    let me = nix::unistd::Uid::effective();
    let roles =
        format!("[[role]]\nname = \"all\"\nmembers = [\"user:{me}\"]\nprofile = \"full\"\napproval = []");
    let fleet = Fleet::with(vec![("one", member("pve1")), ("three", alone("shed", &[501]))], &roles);
    let mut connected = fleet.connect();
    let plan = connected.call(
        "plan",
        json!({ "method": "PUT", "path": "/nodes/shed/lxc/501/config", "args": { "memory": 1024 } }),
    );
    assert_eq!(plan["host"], "three", "{plan}");
    let error = connected.refused("apply", json!({ "plan_id": plan["plan_id"], "host": "one" }));
    assert_eq!(error["kind"], "wrong_host", "{error}");
    let applied = connected.call("apply", json!({ "plan_id": plan["plan_id"] }));
    assert_eq!((&applied["host"], &applied["result"]), (&json!("three"), &json!("done")), "{applied}");
    // The receipt of that change is taken back there, too.
    let undo = connected.call("plan", json!({ "undo": applied["receipt"] }));
    assert_eq!((&undo["host"], &undo["undoes"]), (&json!("three"), &applied["receipt"]), "{undo}");
    // And by the number of what came of it.
    assert!(applied["outcome"].is_u64() && applied["outcome"] != applied["receipt"], "{applied}");
    let undo = connected.call("plan", json!({ "undo": applied["outcome"] }));
    assert_eq!(undo["host"], "three", "{undo}");
    let error = connected.refused("plan", json!({ "undo": 4711 }));
    assert_eq!(error["kind"], "which_host", "{error}");
    let error = connected.refused("apply", json!({ "plan_id": "0".repeat(32) }));
    assert_eq!(error["kind"], "unknown_plan", "{error}");
    // Another session's, that nobody has shown to this one: the host's name says whose it is.
    let mut other = fleet.connect();
    let plan = connected.call(
        "plan",
        json!({ "path": "/nodes/shed/lxc/501/config", "method": "PUT", "args": { "memory": 2048 } }),
    );
    assert_eq!(other.refused("apply", json!({ "plan_id": plan["plan_id"] }))["kind"], "unknown_plan");
    let applied = other.call("apply", json!({ "plan_id": plan["plan_id"], "host": "three" }));
    assert_eq!(applied["result"], "done", "{applied}");
}

#[test]
fn a_file_names_hosts_and_groups_and_a_group_is_asked_alone() {
    let fleet = five();
    let file = fleet.dir().join("fleet.toml");
    let hosts: String = fleet.names().iter().map(|name| format!("[[host]]\nname = \"{name}\"\n")).collect();
    let text = format!("ssh_config = \"config\"\n{hosts}[groups]\nhouse = [\"three\", \"five\"]\n");
    std::fs::write(&file, text).expect("write");
    let config = ["--config".to_owned(), file.display().to_string()];
    let mut connected = Connected::new(&config);
    let answer = connected.call("read", json!({ "path": "/version", "host": "house" }));
    let hosts: Vec<String> = rows(&answer).into_iter().map(|(host, _)| host).collect();
    assert_eq!(hosts, ["three", "five"]);
    // Of the group, one alone has it.
    let answer = connected.call("read", json!({ "path": "config of 101", "host": "house" }));
    assert_eq!(answer["host"], "five");
    // A group alone: the others are not even connected to.
    let only = [&config[..], &["house".to_owned(), "--check".to_owned(), "--json".to_owned()]].concat();
    let output = run(&only);
    let checked: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let hosts: Vec<&str> =
        checked.as_array().unwrap().iter().filter_map(|host| host["host"].as_str()).collect();
    assert_eq!(hosts, ["three", "five"]);
}

#[test]
fn a_socket_is_as_good_as_ssh() {
    let fleet = Fleet::of(vec![("three", alone("shed", &[501])), ("four", alone("attic", &[601]))]);
    let socket = |name: &str| format!("{name}={}", fleet.machine(name).site.socket().display());
    let mut connected = Connected::new(&[socket("three"), socket("four")]);
    let answer = connected.call("read", json!({ "path": "config of 601" }));
    assert_eq!(answer["host"], "four");
}

#[test]
fn resources_and_completions_are_of_all_hosts() {
    let fleet = Fleet::of(vec![("three", alone("shed", &[501])), ("four", alone("attic", &[601]))]);
    let mut connected = fleet.connect();
    let client = &mut connected.client;
    let mut resource = |uri: &str| -> Value {
        let answer = client.request("resources/read", json!({ "uri": uri }));
        let text = answer["result"]["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
        serde_json::from_str(text).expect("JSON")
    };
    let guests = resource("provost://guests");
    assert_eq!(rows(&guests).len(), 2, "{guests}");
    assert_eq!(resource("provost://guest/601")["host"], "four");
    assert_eq!(resource("provost://node/shed")["host"], "three");
    assert_eq!(resource("provost://guests?host=three")["host"], "three");
    let standing = resource("provost://fleet");
    assert_eq!(standing[1]["state"], "up", "{standing}");
    let reference = json!({ "type": "ref/resource", "uri": "provost://guest/{vmid}" });
    let argument = json!({ "name": "vmid", "value": "" });
    let answer = client.request("completion/complete", json!({ "ref": reference, "argument": argument }));
    let values = answer["result"]["completion"]["values"].to_string();
    assert!(values.contains("501") && values.contains("601"), "{answer}");
    let tools = client.request("tools/list", json!({}));
    let tools = tools["result"]["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 10);
    assert!(tools.iter().all(|tool| tool["inputSchema"]["properties"]["host"]["type"] == "string"));
}
