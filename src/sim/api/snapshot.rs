//! Snapshots of guests, with their chain of parents.

use serde_json::{Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::guest::{Guest, Kind, Values, is_disk, volume};
use super::super::estate::{Estate, now};
use super::super::route::Row;
use super::super::task::Work;
use super::config::shown_values;
use super::lifecycle;
use crate::catalog::Method::{Delete, Get, Post, Put};

pub const TABLE: &[Row] = &[
    (Get, "/nodes/{node}/qemu/{vmid}/snapshot", list),
    (Get, "/nodes/{node}/lxc/{vmid}/snapshot", list),
    (Post, "/nodes/{node}/qemu/{vmid}/snapshot", create),
    (Post, "/nodes/{node}/lxc/{vmid}/snapshot", create),
    (Get, "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config", config),
    (Get, "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}/config", config),
    (Put, "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config", describe),
    (Put, "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}/config", describe),
    (Post, "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback", rollback),
    (Post, "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}/rollback", rollback),
    (Delete, "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}", remove),
    (Delete, "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}", remove),
    (Get, "/nodes/{node}/qemu/{vmid}/feature", feature),
    (Get, "/nodes/{node}/lxc/{vmid}/feature", feature),
];

/// Keys of a configuration that a snapshot does not hold.
const NOT_KEPT: &[&str] = &["lock", "digest", "parent", "snaptime", "template"];

fn list(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest()?;
    let mut rows: Vec<Value> = guest
        .snapshots
        .iter()
        .map(|(name, values)| {
            let description = values.get("description").map(String::as_str).unwrap_or_default();
            let time: u64 = values.get("snaptime").and_then(|time| time.parse().ok()).unwrap_or_default();
            let mut row = json!({ "name": name, "snaptime": time, "description": description });
            if guest.kind == Kind::Qemu {
                row["vmstate"] = json!(u8::from(values.contains_key("vmstate")));
            }
            if let Some(parent) = values.get("parent") {
                row["parent"] = json!(parent);
            }
            row
        })
        .collect();
    let mut current = json!({
        "name": "current", "description": "You are here!", "digest": guest.digest(),
        "running": u8::from(guest.is_running()),
    });
    if let Some(parent) = guest.get("parent") {
        current["parent"] = json!(parent);
    }
    rows.push(current);
    Ok(Value::Array(rows).into())
}

fn missing(name: &str) -> String {
    format!("snapshot '{name}' does not exist")
}

fn config(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest()?;
    let name = call.need("snapname");
    let values = guest.snapshots.get(&name).ok_or_else(|| missing(&name))?;
    Ok(Value::Object(shown_values(call, guest.kind, values)).into())
}

fn describe(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest()?;
    let (vmid, name) = (guest.vmid, call.need("snapname"));
    call.estate.unlocked(vmid)?;
    let description = call.get("description").map(str::to_owned);
    let guest = call.estate.guest_mut(vmid).ok_or_else(|| missing(&name))?;
    let values = guest.snapshots.get_mut(&name).ok_or_else(|| missing(&name))?;
    if let Some(description) = description {
        values.insert("description".to_owned(), description);
    }
    Ok(Reply::NULL)
}

/// Whether every disk of the guest lies where snapshots can be made.
pub fn possible(estate: &Estate, guest: &Guest) -> bool {
    let disks = guest.config.iter().filter(|(key, _)| is_disk(guest.kind, key));
    disks.filter_map(|(_, value)| volume(value)).filter(|id| !id.contains("cloudinit")).all(|id| {
        let Some((storage, name)) = id.split_once(':') else { return true };
        match estate.storage(storage).map(|storage| storage.kind.as_str()) {
            Ok("lvmthin" | "zfspool" | "rbd" | "btrfs" | "cephfs" | "zfs") => true,
            Ok("dir" | "nfs" | "cifs") => name.ends_with(".qcow2"),
            _ => false,
        }
    })
}

fn feature(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest()?;
    let has = match call.get("feature") {
        Some("snapshot") => possible(call.estate, guest),
        Some("clone") => guest.is_template(),
        _ => true,
    };
    let mut row = json!({ "hasFeature": u8::from(has) });
    if guest.kind == Kind::Qemu {
        row["nodes"] = call.estate.nodes.iter().map(|node| json!(node.name)).collect();
    }
    Ok(row.into())
}

fn kind(call: &Call<'_>, verb: &str) -> String {
    format!("{}{verb}", if call.kind() == Kind::Qemu { "qm" } else { "vz" })
}

/// Accepted for whatever guest; that it is there is found out by the worker.
fn create(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (node, kind_of, vmid, name) = (call.node(), call.kind(), call.vmid(), call.need("snapname"));
    if name == "current" || name == "pending" {
        return Err(Refusal::die(format!("unable to use snapshot name '{name}' (reserved name)")));
    }
    if kind_of == Kind::Lxc && name == "vzdump" {
        return Err(Refusal::die("unable to use snapshot name 'vzdump' (reserved name)"));
    }
    let description = call.get("description").map(str::to_owned);
    let with_state = call.flag("vmstate");
    let new = name.clone();
    let work = Work::new()
        .lock(vmid, "snapshot")
        .begin(move |estate, _| {
            let guest = estate.guest_on(&node, kind_of, vmid)?;
            if guest.is_template() {
                let word = if kind_of == Kind::Qemu { "VM" } else { "CT" };
                return Err(format!("you can't take a snapshot if it's a template ({word} {vmid})"));
            }
            if guest.snapshots.contains_key(&new) {
                return Err(format!("snapshot name '{new}' already used"));
            }
            if !possible(estate, guest) {
                return Err("snapshot feature is not available".to_owned());
            }
            Ok(())
        })
        .step(1.0, format!("snapshotting guest {vmid}"))
        .end(move |estate, _| {
            let Some(guest) = estate.guest_mut(vmid) else { return Err(missing(&name)) };
            let mut values: Values = guest.config.clone();
            values.retain(|key, _| !NOT_KEPT.contains(&key.as_str()) && !key.starts_with("unused"));
            values.insert("snaptime".to_owned(), now().to_string());
            if let Some(parent) = guest.get("parent") {
                values.insert("parent".to_owned(), parent.to_owned());
            }
            values.remove("description");
            if let Some(description) = description.filter(|text| !text.is_empty()) {
                values.insert("description".to_owned(), description);
            }
            if with_state && guest.is_running() {
                values.insert("vmstate".to_owned(), format!("local:{vmid}/vm-{vmid}-state-{name}.raw"));
            }
            guest.config.insert("parent".to_owned(), name.clone());
            guest.snapshots.insert(name, values);
            Ok(())
        });
    call.task(&kind(call, "snapshot"), vmid, work)
}

fn rollback(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (node, kind_of, vmid, name) = (call.node(), call.kind(), call.vmid(), call.need("snapname"));
    let start = call.flag("start");
    let wanted = name.clone();
    let work = Work::new()
        .lock(vmid, "rollback")
        .begin(move |estate, _| {
            let guest = estate.guest_on(&node, kind_of, vmid)?;
            if guest.is_template() {
                return Err("you can't rollback if it's a template".to_owned());
            }
            guest.snapshots.get(&wanted).map(|_| ()).ok_or_else(|| missing(&wanted))
        })
        .step(2.0, format!("rolling back guest {vmid} to {name}"))
        .end(move |estate, _| {
            let genid = estate.uuid();
            let Some(guest) = estate.guest_mut(vmid) else { return Err(missing(&name)) };
            let mut values = guest.snapshots.get(&name).cloned().unwrap_or_default();
            let with_state = values.remove("vmstate").is_some();
            values.retain(|key, _| !matches!(key.as_str(), "snaptime" | "parent" | "description"));
            let unused =
                guest.config.iter().filter(|(key, _)| key.starts_with("unused") || *key == "description");
            values.extend(unused.map(|(key, value)| (key.clone(), value.clone())).collect::<Values>());
            values.insert("parent".to_owned(), name);
            if kind_of == Kind::Qemu && guest.config.contains_key("vmgenid") {
                values.insert("vmgenid".to_owned(), genid);
            }
            guest.config = values;
            guest.pending.clear();
            lifecycle::set_stopped(estate, vmid);
            if start || with_state {
                lifecycle::set_running(estate, vmid);
            }
            Ok(())
        });
    call.task(&kind(call, "rollback"), vmid, work)
}

fn remove(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (node, kind_of, vmid, name) = (call.node(), call.kind(), call.vmid(), call.need("snapname"));
    let wanted = name.clone();
    let work = Work::new()
        .lock(vmid, "snapshot-delete")
        .begin(move |estate, _| {
            let guest = estate.guest_on(&node, kind_of, vmid)?;
            guest.snapshots.get(&wanted).map(|_| ()).ok_or_else(|| missing(&wanted))
        })
        .step(1.0, format!("deleting snapshot {name}"))
        .end(move |estate, _| {
            let Some(guest) = estate.guest_mut(vmid) else { return Err(missing(&name)) };
            let parent = guest.snapshots.remove(&name).and_then(|values| values.get("parent").cloned());
            // Its children are its parent's from here on.
            let children = guest.snapshots.values_mut().chain(std::iter::once(&mut guest.config));
            for child in children.filter(|child| child.get("parent") == Some(&name)) {
                match &parent {
                    Some(parent) => child.insert("parent".to_owned(), parent.clone()),
                    None => child.remove("parent"),
                };
            }
            Ok(())
        });
    call.task(&kind(call, "delsnapshot"), vmid, work)
}
