//! `/cluster`: what it is, its options, its log, and the next free id.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::{digest, now};
use super::super::route::Row;
use super::{sections, tasks};
use crate::catalog::Method::{Get, Put};

pub const TABLE: &[Row] = &[
    (Get, "/cluster/status", status),
    (Get, "/cluster/options", options),
    (Put, "/cluster/options", set_options),
    (Get, "/cluster/nextid", next_id),
    (Get, "/cluster/tasks", tasks::of_cluster),
    (Get, "/cluster/log", log),
    (Get, "/cluster/config/apiversion", |_| Ok(json!("1").into())),
    (Get, "/cluster/config/join", join),
    (Get, "/cluster/config/nodes", members),
    (Get, "/cluster/config/qdevice", |_| Ok(json!({}).into())),
    (Get, "/cluster/config/totem", totem),
    (Get, "/cluster/jobs/schedule-analyze", schedule),
    (Get, "/cluster/qemu/cpu-flags", cpu_flags),
    (Get, "/cluster/notifications/targets", targets),
    (Get, "/version", version),
    (Get, "/nodes/{node}/version", version),
];

fn version(_: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(json!({ "version": "9.2.11", "release": "9.2", "repoid": "14a22df35955d97d" }).into())
}

/// Where notifications can go: of the same file, all that is no matcher.
fn targets(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let ends =
        call.estate.sections("notifications.cfg").list.iter().filter(|section| section.kind != "matcher");
    let rows = ends.map(|section| {
        let mut row =
            json!({ "name": section.id, "type": section.kind, "origin": sections::origin(&section.id) });
        if let Some(comment) = section.get("comment") {
            row["comment"] = json!(comment);
        }
        if section.is_set("disable") {
            row["disable"] = json!(1);
        }
        row
    });
    Ok(rows.collect::<Value>().into())
}

fn status(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let estate = &*call.estate;
    let mut rows = Vec::new();
    if let Some(name) = &estate.cluster {
        rows.push(json!({
            "type": "cluster", "id": "cluster", "name": name, "version": 3, "nodes": estate.nodes.len(),
            "quorate": u8::from(estate.is_quorate()),
        }));
    }
    let local = &estate.local().name;
    rows.extend(estate.nodes.iter().map(|node| {
        json!({
            "type": "node", "id": format!("node/{}", node.name), "name": node.name, "nodeid": node.id,
            "ip": node.address, "online": u8::from(node.online), "local": u8::from(node.name == *local), "level": "",
        })
    }));
    Ok(Value::Array(rows).into())
}

fn options(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let mut row = json!({ "mac_prefix": "BC:24:11" });
    for (key, value) in call.estate.datacenter() {
        row[key] = if key == "description" { json!(format!("{}\n", value.trim_end())) } else { json!(value) };
    }
    let mut tags: Vec<&str> = call
        .estate
        .guests()
        .filter_map(|guest| guest.get("tags"))
        .flat_map(|tags| tags.split([';', ',']))
        .collect();
    tags.sort_unstable();
    tags.dedup();
    row["allowed-tags"] = json!(tags);
    Ok(row.into())
}

fn set_options(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let given: BTreeMap<String, String> = call
        .parameters
        .iter()
        .filter(|(key, _)| *key != "delete")
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    let gone = call.list("delete");
    let values = call.estate.datacenter_mut();
    values.retain(|key, _| !gone.contains(key));
    values.extend(given);
    Ok(Reply::NULL)
}

fn next_id(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let Some(wanted) = call.number::<u32>("vmid") else {
        return Ok(json!(call.estate.next_id().to_string()).into());
    };
    if call.estate.guest(wanted).is_some() {
        return Err(Refusal::parameter("vmid", format!("VM {wanted} already exists")));
    }
    Ok(json!(wanted.to_string()).into())
}

fn log(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let most = call.number("max").unwrap_or(50);
    let audit = call.caller().may("/", "Sys.Syslog");
    let tasks = call.estate.tasks.all().rev().filter(|task| audit || task.upid.user == call.who).take(most);
    let rows = tasks.enumerate().map(|(number, task)| {
        let upid = task.upid.to_string();
        json!({
            "uid": number + 1, "time": task.upid.start, "pri": 6, "tag": "pvedaemon", "pid": task.upid.pid,
            "node": task.upid.node, "user": task.upid.user, "id": format!("{}:{}", number + 1, task.upid.node),
            "msg": format!("starting task {upid}"),
        })
    });
    Ok(rows.collect::<Value>().into())
}

/// Nobody has asked QEMU for them where nothing gathers anything.
fn cpu_flags(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    if call.estate.statistics {
        return super::declared::answer(call);
    }
    let what = "Cannot query understood QEMU CPU flags for architecture: x86_64 (file not found)";
    Err(Refusal::die(what))
}

fn alone() -> Refusal {
    Refusal::status(424, "node is not in a cluster, no join info available!")
}

fn join(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let estate = &*call.estate;
    if estate.cluster.is_none() {
        return Err(alone());
    }
    let nodes = estate.nodes.iter().map(|node| {
        json!({
            "name": node.name, "nodeid": node.id.to_string(), "quorum_votes": "1", "ring0_addr": node.address,
            "pve_addr": node.address, "pve_fp": node.fingerprint,
        })
    });
    let nodes: Value = nodes.collect();
    Ok(json!({
        "nodelist": nodes, "preferred_node": estate.local().name, "totem": totem_values(call),
        "config_digest": digest(estate.cluster.as_deref().unwrap_or_default().as_bytes()),
    })
    .into())
}

fn members(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let estate = &*call.estate;
    if estate.cluster.is_none() {
        return Ok(json!([]).into());
    }
    let rows = estate.nodes.iter().map(|node| {
        json!({
            "node": node.name, "name": node.name, "nodeid": node.id.to_string(), "quorum_votes": "1",
            "ring0_addr": node.address,
        })
    });
    Ok(rows.collect::<Value>().into())
}

fn totem(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(totem_values(call).into())
}

fn totem_values(call: &Call<'_>) -> Value {
    let Some(name) = &call.estate.cluster else { return Value::Null };
    json!({
        "cluster_name": name, "config_version": "3", "version": "2", "ip_version": "ipv4-6", "secauth": "on",
        "link_mode": "passive", "interface": { "0": { "linknumber": "0" } },
    })
}

/// The next times of a schedule; each a day after the other, which is enough to look at.
fn schedule(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let count = call.number("iterations").unwrap_or(10);
    let start = call.number("starttime").unwrap_or_else(now);
    let rows = (1..=count).map(|number: u64| {
        let time = start + number * 86_400;
        json!({ "timestamp": time, "utc": format!("{time}") })
    });
    Ok(rows.collect::<Value>().into())
}
