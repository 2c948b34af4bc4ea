//! SDN fabrics and the nodes in them: one file, whose sections' kinds say which of both they are and what routes there.

use serde_json::{Map, Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::sections::Section;
use super::super::route::Row;
use super::sections::as_kind;
use crate::catalog::Kind;
use crate::catalog::Method::{Delete, Get, Post, Put};

pub const TABLE: &[Row] = &[
    (Get, "/cluster/sdn/fabrics/all", all),
    (Get, "/cluster/sdn/fabrics/fabric", |call| Ok(Value::from(fabrics(call)).into())),
    (Post, "/cluster/sdn/fabrics/fabric", create),
    (Get, "/cluster/sdn/fabrics/fabric/{id}", read),
    (Put, "/cluster/sdn/fabrics/fabric/{id}", change),
    (Delete, "/cluster/sdn/fabrics/fabric/{id}", remove),
    (Get, "/cluster/sdn/fabrics/node", |call| Ok(Value::from(nodes(call, None)).into())),
    (Get, "/cluster/sdn/fabrics/node/{fabric_id}", nodes_of_fabric),
    (Post, "/cluster/sdn/fabrics/node/{fabric_id}", create),
    (Get, "/cluster/sdn/fabrics/node/{fabric_id}/{node_id}", read),
    (Put, "/cluster/sdn/fabrics/node/{fabric_id}/{node_id}", change),
    (Delete, "/cluster/sdn/fabrics/node/{fabric_id}/{node_id}", remove),
];

const FILE: &str = "sdn/fabrics.cfg";
const SEE: &[&str] = &["SDN.Audit", "SDN.Allocate"];
/// Said to the method, or part of a section's head.
const NOT_KEPT: &[&str] = &["id", "fabric_id", "node_id", "protocol", "digest", "delete", "lock-token"];
const LISTS: &[&str] = &["allowed_ips", "interfaces", "peers", "redistribute"];
const NUMBERS: &[&str] = &["csnp_interval", "hello_interval", "persistent_keepalive"];

/// A fabric's section, or one of a node in it: `f1`, `f1_pve1`.
fn id(call: &Call<'_>) -> String {
    match (call.get("fabric_id"), call.get("node_id")) {
        (Some(fabric), Some(node)) => format!("{fabric}_{node}"),
        _ => call.need("id"),
    }
}

fn missing(id: &str) -> Refusal {
    match id.split_once('_') {
        Some((fabric, node)) => Refusal::die(format!("node '{node}' does not exist in fabric '{fabric}'")),
        None => Refusal::die(format!("fabric '{id}' does not exist")),
    }
}

fn row(section: &Section, digest: &str) -> Value {
    let protocol = section.kind.split('_').next().unwrap_or_default();
    let mut row = Map::new();
    for (key, value) in &section.values {
        let kind = match key.as_str() {
            key if NUMBERS.contains(&key) => Some(Kind::Number),
            key if LISTS.contains(&key) => None,
            _ => Some(Kind::String),
        };
        let value = kind.map_or_else(|| value.split('\n').collect(), |kind| as_kind(Some(kind), value));
        row.insert(key.clone(), value);
    }
    match section.id.split_once('_') {
        Some((fabric, node)) => {
            row.insert("fabric_id".to_owned(), json!(fabric));
            row.insert("node_id".to_owned(), json!(node));
        }
        None => {
            row.insert("id".to_owned(), json!(section.id));
        }
    }
    row.insert("protocol".to_owned(), json!(protocol));
    row.insert("digest".to_owned(), json!(digest));
    Value::Object(row)
}

/// As they are configured, or as they hold.
fn rows(call: &Call<'_>, seen: impl Fn(&Section) -> bool) -> Vec<Value> {
    let file = call.estate.sections(FILE);
    let digest = file.digest();
    let running = call.estate.sdn_running.get(FILE);
    let shown = if call.flag("running") { running.map_or(&[][..], |file| &file.list) } else { &file.list };
    shown.iter().filter(|section| seen(section)).map(|section| row(section, &digest)).collect()
}

fn fabrics(call: &Call<'_>) -> Vec<Value> {
    let caller = call.caller();
    rows(call, |section| {
        !section.id.contains('_') && caller.may_any(&format!("/sdn/fabrics/{}", section.id), SEE)
    })
}

fn nodes(call: &Call<'_>, wanted: Option<&str>) -> Vec<Value> {
    let caller = call.caller();
    rows(call, |section| {
        section.id.split_once('_').is_some_and(|(fabric, node)| {
            wanted.is_none_or(|wanted| wanted == fabric)
                && caller.may_any(&format!("/sdn/fabrics/{fabric}"), SEE)
                && caller.may_any(&format!("/nodes/{node}"), &["Sys.Audit", "Sys.Modify"])
        })
    })
}

fn all(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(json!({ "fabrics": fabrics(call), "nodes": nodes(call, None) }).into())
}

fn nodes_of_fabric(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let fabric = call.need("fabric_id");
    if call.estate.sections(FILE).find(&fabric).is_none() {
        return Err(missing(&fabric));
    }
    Ok(Value::from(nodes(call, Some(&fabric))).into())
}

fn read(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let id = id(call);
    let file = call.estate.sections(FILE);
    let section = file.find(&id).ok_or_else(|| missing(&id))?;
    Ok(row(section, &file.digest()).into())
}

fn assign(call: &Call<'_>, section: &mut Section) {
    for (key, value) in call.parameters.iter().filter(|(key, _)| !NOT_KEPT.contains(&key.as_str())) {
        section.values.insert(key.clone(), value.replace('\0', "\n"));
    }
}

fn create(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    super::sdn::held_by(call)?;
    let (id, protocol) = (id(call), call.need("protocol"));
    let file = call.estate.sections(FILE);
    if file.find(&id).is_some() {
        return Err(Refusal::die(format!("section '{id}' already exists")));
    }
    let kind = match id.split_once('_') {
        Some((fabric, node)) => {
            let within = file.find(fabric).ok_or_else(|| missing(fabric))?;
            if within.kind != format!("{protocol}_fabric") {
                return Err(Refusal::die(format!("fabric '{fabric}' is not of protocol {protocol}")));
            }
            if call.estate.node(node).is_none() {
                return Err(Refusal::die(format!("node '{node}' does not exist")));
            }
            "node"
        }
        None => "fabric",
    };
    let mut section = Section::new(&format!("{protocol}_{kind}"), &id, &[]);
    assign(call, &mut section);
    call.estate.sections_mut(FILE).list.push(section);
    Ok(Reply::NULL)
}

fn change(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    super::sdn::held_by(call)?;
    let id = id(call);
    let file = call.estate.sections(FILE);
    call.fresh(&file.digest())?;
    let mut section = file.find(&id).cloned().ok_or_else(|| missing(&id))?;
    for key in call.list("delete") {
        section.values.shift_remove(&key);
    }
    assign(call, &mut section);
    if let Some(old) = call.estate.sections_mut(FILE).find_mut(&id) {
        *old = section;
    }
    Ok(Reply::NULL)
}

fn remove(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    super::sdn::held_by(call)?;
    let id = id(call);
    let file = call.estate.sections(FILE);
    if file.find(&id).is_none() {
        return Err(missing(&id));
    }
    let within = format!("{id}_");
    if file.list.iter().any(|section| section.id.starts_with(&within)) {
        return Err(Refusal::die(format!("cannot delete fabric '{id}': there are nodes in it")));
    }
    call.estate.sections_mut(FILE).remove(&id);
    Ok(Reply::NULL)
}
