//! `/storage`, and what a node says of a storage.

use serde_json::{Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::Estate;
use super::super::estate::sections::Section;
use super::super::route::Row;
use super::sections;
use crate::catalog::Method::{Delete, Get, Post};

pub const TABLE: &[Row] = &[
    (Post, "/storage", create),
    (Delete, "/storage/{storage}", remove),
    (Get, "/nodes/{node}/storage", list),
    (Get, "/nodes/{node}/storage/{storage}/status", status),
];

/// What a type cannot be added without.
const REQUIRED: &[(&str, &[&str])] = &[
    ("dir", &["path"]),
    ("nfs", &["server", "export"]),
    ("cifs", &["server", "share"]),
    ("lvm", &["vgname"]),
    ("lvmthin", &["vgname", "thinpool"]),
    ("zfspool", &["pool"]),
    ("pbs", &["server", "datastore"]),
    ("iscsi", &["portal", "target"]),
    ("btrfs", &["path"]),
];

fn create(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let kind = call.need("type");
    let required = REQUIRED.iter().find(|(name, _)| *name == kind).map_or(&[][..], |(_, keys)| keys);
    let missing = required.iter().filter(|key| call.get(key).is_none());
    let errors: std::collections::BTreeMap<String, String> = missing
        .map(|key| ((*key).to_owned(), "property is missing and it is not optional".to_owned()))
        .collect();
    if !errors.is_empty() {
        return Err(Refusal::parameters(errors));
    }
    if !call.parameters.contains_key("content") {
        let content = match &*kind {
            "lvm" | "lvmthin" | "zfspool" | "rbd" => "images,rootdir",
            "pbs" | "cephfs" => "backup",
            "iscsi" => "images",
            _ => "images,rootdir,vztmpl,iso,backup,snippets",
        };
        call.parameters.insert("content".to_owned(), content.to_owned());
    }
    sections::create(call)
}

fn remove(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let id = call.need("storage");
    call.estate.storage(&id)?;
    let base = call
        .estate
        .sections("storage.cfg")
        .list
        .iter()
        .find(|section| section.get("base").is_some_and(|base| base.split(':').next() == Some(&id)));
    if let Some(other) = base {
        return Err(Refusal::die(format!(
            "can't remove storage - storage is used as base of another storage ('{}')",
            other.id
        )));
    }
    call.estate.sections_mut("storage.cfg").remove(&id);
    // What lay there is out of sight, and comes back with the storage.
    Ok(Reply::NULL)
}

fn seen(call: &Call<'_>, id: &str) -> bool {
    call.caller().may_any(&format!("/storage/{id}"), &["Datastore.Audit", "Datastore.AllocateSpace"])
}

fn list(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let node = call.get("target").map_or_else(|| call.node(), str::to_owned);
    let storages = call.estate.sections("storage.cfg").list.iter().filter(|section| {
        let content = section.get("content").unwrap_or_default();
        let holds = |wanted: &str| {
            wanted.split([',', '\0']).any(|wanted| content.split(',').any(|word| word == wanted))
        };
        seen(call, &section.id)
            && call.estate.storage_on(section, &node)
            && call.get("storage").is_none_or(|wanted| section.id == wanted)
            && call.get("content").is_none_or(holds)
            && !(call.flag("enabled") && section.is_set("disable"))
    });
    let rows = storages.map(|section| {
        let mut row = facts(call.estate, section, &node);
        row["storage"] = json!(section.id);
        if let (Some(used), Some(total)) =
            (row["used"].as_f64(), row["total"].as_f64().filter(|total| *total > 0.0))
        {
            row["used_fraction"] = json!(used / total);
        }
        row
    });
    Ok(rows.collect::<Value>().into())
}

fn facts(estate: &Estate, section: &Section, node: &str) -> Value {
    let enabled = !section.is_set("disable");
    let active = enabled && estate.unreachable(&section.id, node).is_none();
    let mut row = json!({
        "type": section.kind, "content": section.get("content").unwrap_or_default(),
        "shared": u8::from(Estate::is_shared(section)), "enabled": u8::from(enabled), "active": u8::from(active),
    });
    if enabled && !active {
        (row["total"], row["used"], row["avail"]) = (json!(0), json!(0), json!(0));
    }
    if active {
        let (total, used, free) = estate.storage_use(section, node);
        (row["total"], row["used"], row["avail"]) = (json!(total), json!(used), json!(free));
    }
    row
}

fn status(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let id = call.need("storage");
    let section = call.estate.storage(&id)?;
    if section.is_set("disable") {
        return Err(Refusal::die(format!("storage '{id}' is disabled")));
    }
    if !call.estate.storage_on(section, &call.node()) {
        return Err(Refusal::die(format!("storage '{id}' is not available on node '{}'", call.node())));
    }
    Ok(facts(call.estate, section, &call.node()).into())
}
