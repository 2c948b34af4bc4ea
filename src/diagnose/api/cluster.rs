//! The cluster: members, HA, tasks, versions.

use std::collections::BTreeMap;

use super::super::host::percent;
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

/// What each node's memory, root and processors hold.
pub fn members(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    for row in rows(gathered.answer("members")?)? {
        let node = row.text("node");
        if row.text("status") != "online" {
            continue;
        }
        let share = |used: &str, most: &str| percent(row.bytes(used), row.bytes(most));
        let cpu = row.number("cpu").unwrap_or_default() * 100.0;
        let (memory, root) = (share("mem", "maxmem"), share("disk", "maxdisk"));
        page.fact(format!("{node} memory {memory:.0} %, root {root:.0} %, CPU {cpu:.0} %"));
        let kinds = [
            ("node_memory_full", "memory", memory),
            ("root_full", "the root file system", root),
            ("node_busy", "CPU", cpu),
        ];
        for (sign, what, share) in kinds {
            if share >= page.limit(sign) {
                let what = format!("{what} of {node} is {share:.0} % used");
                page.flag_on(node, sign, what, "by /cluster/resources, as of now");
            }
        }
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
