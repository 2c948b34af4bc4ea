//! The cluster: members, HA, tasks, versions.

use std::collections::BTreeMap;

use super::super::{Gathered, Page};
use super::{Fields, rows};

pub fn status(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    for row in rows(gathered.answer("cluster_status")?)? {
        match row.text("type") {
            "cluster" if row.flag("quorate") == Some(false) => {
                page.flag(
                    "no_quorum",
                    "the cluster has no quorum",
                    format!("{} nodes configured, quorate 0", row.bytes("nodes")),
                );
            }
            "node" if row.flag("online") == Some(false) => {
                let name = row.text("name");
                page.flag(
                    "node_offline",
                    format!("node {name} is offline"),
                    format!("online 0, address {}", row.text("ip")),
                );
            }
            "node" => page.fact(format!("{} online", row.text("name"))),
            _ => {}
        }
    }
    Ok(())
}

/// States of a service that HA has brought to where it should be, or is bringing there.
const WELL: &[&str] = &[
    "started",
    "stopped",
    "disabled",
    "ignored",
    "queued",
    "starting",
    "request_start",
    "request_start_balance",
    "request_stop",
    "migrate",
    "relocate",
    "freeze",
];

pub fn ha(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let mut services = 0;
    for row in rows(gathered.answer("ha")?)? {
        let (state, status) = (row.text("state"), row.text("status"));
        match row.text("type") {
            "service" => {
                services += 1;
                let sid = row.text("sid");
                if !WELL.contains(&state) {
                    page.flag("ha_error", format!("HA service {sid} is in state {state}"), status);
                } else if state == "stopped" && row.text("request_state") == "started" {
                    page.flag("ha_error", format!("HA service {sid} should run and is stopped"), status);
                }
            }
            "lrm" | "master" if status.contains("old timestamp") || status.contains("dead") => {
                page.flag("ha_manager", format!("the HA manager of {} is silent", row.text("node")), status);
            }
            _ => {}
        }
    }
    page.fact(format!("{services} services under HA"));
    Ok(())
}

const DAY: i64 = 86_400;

/// Tasks that failed within a day, of a node or of all.
pub fn tasks(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let list = gathered.answer("node_tasks").or_else(|_| gathered.answer("cluster_tasks"))?;
    let mut failed: BTreeMap<(&str, &str, &str), (usize, &str)> = BTreeMap::new();
    for task in rows(list)? {
        // In lists the outcome is in `status`; one that runs has none.
        let (status, ended) = (task.text("status"), task.number("endtime"));
        let old = ended.is_none_or(|ended| page.now - ended as i64 > DAY);
        if old || status == "OK" || status.is_empty() || status.starts_with("WARNINGS") {
            continue;
        }
        failed.entry((task.text("node"), task.text("type"), task.text("id"))).or_insert((0, status)).0 += 1;
    }
    page.fact(format!("{} failed in a day", failed.values().map(|(count, _)| count).sum::<usize>()));
    for ((node, kind, id), (count, status)) in failed {
        let sign = if kind == "vzdump" { "backup_failed" } else { "task_failed" };
        let of = if id.is_empty() { String::new() } else { format!(" of {id}") };
        page.flag_on(node, sign, format!("{kind}{of} on {node} failed {count} times in a day"), status);
    }
    Ok(())
}

pub fn versions(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let mut by_version: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (node, version) in gathered.answers("version_skew") {
        by_version.entry(version.text("version")).or_default().push(node);
    }
    let listed: Vec<String> =
        by_version.iter().map(|(version, nodes)| format!("{version}: {}", nodes.join(", "))).collect();
    page.fact(listed.join("; "));
    if by_version.len() > 1 {
        page.flag(
            "versions_differ",
            format!("nodes run {} versions of Proxmox VE", by_version.len()),
            listed.join("; "),
        );
    }
    Ok(())
}
