//! A node's network: interfaces, and changes that wait until they are applied or taken back.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::disorder;
use super::super::estate::node::{Interfaces, Node};
use super::super::route::Row;
use super::super::task::Work;
use super::sections::as_kind;
use crate::catalog::Kind;
use crate::catalog::Method::{self, Delete, Get, Post, Put};

pub const TABLE: &[Row] = &[
    (Get, "/nodes/{node}/network", list),
    (Post, "/nodes/{node}/network", create),
    (Put, "/nodes/{node}/network", apply),
    (Delete, "/nodes/{node}/network", revert),
    (Get, "/nodes/{node}/network/{iface}", read),
    (Put, "/nodes/{node}/network/{iface}", change),
    (Delete, "/nodes/{node}/network/{iface}", remove),
];

fn node<'a>(call: &'a Call<'_>) -> Result<&'a Node, Refusal> {
    let name = call.node();
    call.estate.node(&name).ok_or_else(|| Refusal::die(format!("no such node '{name}'")))
}

/// What is configured: what waits, if something waits.
fn configured(node: &Node) -> &Interfaces {
    node.network_pending.as_ref().unwrap_or(&node.network)
}

fn row(call: &Call<'_>, values: &BTreeMap<String, String>) -> Map<String, Value> {
    let setter = call.shared.endpoint(Method::Post, "/nodes/{node}/network");
    let shown = |key: &str, value: &str| match key {
        "active" | "exists" => as_kind(Some(Kind::Boolean), value),
        "families" => json!(value.split(',').collect::<Vec<_>>()),
        _ => {
            let parameter = setter.and_then(|endpoint| super::super::verify::declared(endpoint, key));
            as_kind(parameter.map(|parameter| parameter.schema.kind), value)
        }
    };
    values.iter().map(|(key, value)| (key.clone(), shown(key, value))).collect()
}

fn list(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let node = node(call)?;
    let wanted = |kind: &str| match call.get("type") {
        None => true,
        Some("any_bridge" | "any_local_bridge" | "include_sdn") => kind == "bridge" || kind == "OVSBridge",
        Some(wanted) => wanted == kind,
    };
    let kept = configured(node).iter();
    let rows = kept.filter(|(_, values)| wanted(values.get("type").map_or("", String::as_str)));
    let rows: Vec<Value> = rows
        .enumerate()
        .map(|(number, (name, values))| {
            let mut row = row(call, values);
            row.insert("iface".to_owned(), json!(name));
            row.insert("priority".to_owned(), json!(number + 3));
            Value::Object(row)
        })
        .collect();
    // What waits is told beside the list, as a difference to what holds.
    if let Some(waiting) = &node.network_pending {
        let difference = difference(&node.network, waiting);
        let body = json!({ "data": rows, "changes": difference });
        return Ok(Reply::Body(std::sync::Arc::new(disorder::body(&body))));
    }
    Ok(Value::Array(rows).into())
}

/// In the manner of `diff -u`, an interface a line.
fn difference(old: &Interfaces, new: &Interfaces) -> String {
    let lines = |from: &Interfaces, other: &Interfaces, sign: char| -> String {
        let changed = from.iter().filter(|(name, values)| other.get(*name) != Some(values));
        changed
            .map(|(name, values)| {
                let values: Vec<String> =
                    values.iter().map(|(key, value)| format!("{key} {value}")).collect();
                format!("{sign}iface {name}: {}\n", values.join(", "))
            })
            .collect()
    };
    let head = "--- /etc/network/interfaces\n+++ /etc/network/interfaces.new\n";
    format!("{head}{}{}", lines(old, new, '-'), lines(new, old, '+'))
}

fn read(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (name, node) = (call.need("iface"), node(call)?);
    let values = configured(node).get(&name);
    let values = values.ok_or_else(|| Refusal::parameter("iface", "interface does not exist"))?;
    Ok(Value::Object(row(call, values)).into())
}

fn given(call: &Call<'_>) -> BTreeMap<String, String> {
    const NOT: &[&str] = &["node", "iface", "delete"];
    let given = call.parameters.iter().filter(|(key, _)| !NOT.contains(&key.as_str()));
    let mut values: BTreeMap<String, String> =
        given.map(|(key, value)| (key.clone(), value.clone())).collect();
    if let Some((address, length)) = values.get("cidr").and_then(|cidr| cidr.split_once('/')) {
        let (address, length) = (address.to_owned(), length.to_owned());
        values.insert("address".to_owned(), address);
        values.insert("netmask".to_owned(), length);
        values.insert("method".to_owned(), "static".to_owned());
    }
    values.entry("method".to_owned()).or_insert_with(|| "manual".to_owned());
    values.entry("families".to_owned()).or_insert_with(|| "inet".to_owned());
    values
}

/// Works on what waits, which begins as what holds.
fn wait(call: &mut Call<'_>, work: impl FnOnce(&mut Interfaces)) -> Result<Reply, Refusal> {
    let name = call.node();
    if let Some(node) = call.estate.node_mut(&name) {
        let mut waiting = node.network_pending.take().unwrap_or_else(|| node.network.clone());
        work(&mut waiting);
        node.network_pending = Some(waiting);
    }
    Ok(Reply::NULL)
}

fn create(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = call.need("iface");
    if configured(node(call)?).contains_key(&name) {
        return Err(Refusal::parameter("iface", "interface already exists"));
    }
    if call.get("gateway").is_some()
        && let Some((other, _)) =
            configured(node(call)?).iter().find(|(_, values)| values.contains_key("gateway"))
    {
        return Err(Refusal::parameter(
            "gateway",
            format!("Default gateway already exists on interface '{other}'."),
        ));
    }
    let values = given(call);
    wait(call, |waiting| {
        waiting.insert(name, values);
    })
}

fn change(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = call.need("iface");
    let old = configured(node(call)?).get(&name).cloned();
    let mut values = old.ok_or_else(|| Refusal::parameter("iface", "interface does not exist"))?;
    for key in call.list("delete") {
        values.remove(&key);
    }
    values.extend(given(call));
    wait(call, |waiting| {
        waiting.insert(name, values);
    })
}

fn remove(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = call.need("iface");
    if !configured(node(call)?).contains_key(&name) {
        return Err(Refusal::parameter("iface", "interface does not exist"));
    }
    wait(call, |waiting| {
        waiting.remove(&name);
    })
}

fn apply(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = call.node();
    let work = Work::new().step(2.0, "reloading network config on node").end(move |estate, _| {
        if let Some(node) = estate.node_mut(&name)
            && let Some(waiting) = node.network_pending.take()
        {
            node.network = waiting;
            for values in node.network.values_mut() {
                values.insert("active".to_owned(), "1".to_owned());
            }
        }
        Ok(())
    });
    call.task("srvreload", "networking", work)
}

fn revert(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = call.node();
    if let Some(node) = call.estate.node_mut(&name) {
        node.network_pending = None;
    }
    Ok(Reply::NULL)
}
