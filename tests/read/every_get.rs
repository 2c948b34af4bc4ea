//! Every GET of the catalogue, through `read`, against the simulated cluster.

use std::collections::BTreeMap;

use provost::catalog::tier::{self, Tier};
use provost::catalog::{Catalog, Endpoint, Kind, Method, Release};
use provost::sim::estate::recorded;
use serde_json::{Map, Value, json};

use crate::site::{Site, everybody, path, read};

/// What stands in the estate, by the names of the path's parameters.
const THERE: &[(&str, &str)] = &[
    ("node", "pve1"),
    ("storage", "fast"),
    ("poolid", "dev"),
    ("userid", "agent@pve"),
    ("tokenid", "mcp"),
    ("groupid", "ops"),
    ("roleid", "AgentRole"),
    ("realm", "pam"),
    ("snapname", "before"),
    ("zone", "lab"),
    ("vnet", "labnet"),
    ("subnet", "lab-10.99.0.0-24"),
    ("sid", "vm:105"),
    ("rule", "keep"),
    ("group", "webgrp"),
    ("pos", "0"),
    ("cidr", "198.51.100.7"),
    ("iface", "vmbr0"),
];

#[test]
fn every_get_of_the_catalogue_answers_or_says_why_not() {
    let site = Site::with(recorded(), &everybody(""));
    let mut client = site.client();
    let upid = read(&mut client, path("/nodes/pve1/tasks"))["data"][0]["upid"].as_str().unwrap().to_owned();
    let catalog = Catalog::embedded(Release::V9_2);
    let gets = catalog.endpoints().iter().filter(|endpoint| endpoint.method == Method::Get);
    let (mut answered, mut refused) = (0, BTreeMap::<String, Vec<String>>::new());
    for endpoint in gets {
        let args = arguments(endpoint, &upid);
        let result = client.call("read", json!({ "path": endpoint.path, "args": args }));
        let content = &result["structuredContent"];
        assert!(result.to_string().len() < 80_000, "{}: {} bytes", endpoint.path, result.to_string().len());
        if result["isError"] != true {
            assert!(content.get("data").is_some(), "{}: {content}", endpoint.path);
            answered += 1;
            continue;
        }
        let kind = content["error"]["kind"].as_str().unwrap().to_owned();
        let held = tier::of(Method::Get, &endpoint.path).0 != Tier::Read;
        assert_eq!(kind == "not_a_read", held, "{}: {content}", endpoint.path);
        // What the estate does not have, PVE says; what a token may not, too. Nothing else is an excuse.
        let excuses = [
            "not_a_read",
            "not_found",
            "no_such_thing",
            "no_such_guest",
            "no_such_storage",
            "forbidden",
            "no_guest_agent",
            "not_implemented",
            "parameters",
            "pve",
            "node_unreachable",
            "no_such_node",
        ];
        assert!(excuses.contains(&kind.as_str()), "{}: {content}", endpoint.path);
        refused.entry(kind).or_default().push(format!("{}: {}", endpoint.path, content["error"]["message"]));
    }
    println!("{answered} answered; {refused:#?}");
    assert!(answered > 200, "{answered}");
}

/// What the endpoint must be given.
fn arguments(endpoint: &Endpoint, upid: &str) -> Map<String, Value> {
    let kind_of_guest = if endpoint.path.contains("/lxc/") { "101" } else { "104" };
    let needed = endpoint.parameters.iter().filter(|parameter| !parameter.optional && !parameter.family);
    needed
        .map(|parameter| {
            let name = parameter.name.as_str();
            let known = match name {
                "vmid" => Some(kind_of_guest),
                "upid" => Some(upid),
                _ => THERE.iter().find(|(there, _)| *there == name).map(|(_, value)| *value),
            };
            let schema = &parameter.schema;
            let value = match (known, schema.kind) {
                (Some(value), _) => json!(value),
                (None, Kind::Integer | Kind::Number) => json!(schema.minimum.unwrap_or(1.0) as i64),
                (None, Kind::Boolean) => json!(1),
                (None, _) if !schema.choices.is_empty() => json!(schema.choices[0]),
                (None, _) => json!("backup-weekly"),
            };
            (name.to_owned(), value)
        })
        .collect()
}
