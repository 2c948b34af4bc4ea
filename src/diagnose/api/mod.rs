//! What answers of PVE's API tell: of a guest, a node, the cluster. Numbers come as PVE gives them, which may be as texts.

mod backups;
mod cluster;
mod guest;
mod journal;
mod network;
mod node;
mod packages;
mod servers;
mod storages;
mod tasks;

use serde_json::Value;

use super::{Gathered, Page, Reader};

pub const READERS: &[(&str, Reader)] = &[
    ("status", guest::status),
    ("vm_status", guest::vm_status),
    ("vm_config", guest::config),
    ("agent_os", guest::agent_os),
    ("agent", guest::agent),
    ("agent_disks", guest::agent_disks),
    ("agent_network", guest::agent_network),
    ("vm_load", guest::load),
    ("snapshots", guest::snapshots),
    ("guest_tasks", tasks::of_guest),
    ("pending", guest::pending),
    ("agent_time", guest::agent_time),
    ("inside_vm", guest::inside),
    ("members", cluster::members),
    ("node_journal", journal::node),
    ("node_dns", network::dns),
    ("node_network", network::interfaces),
    ("coverage", backups::coverage),
    ("backups", backups::backups),
    ("backup_storages", nothing),
    ("backup_servers", servers::backup),
    ("backup_server_storages", nothing),
    ("backup_server_errors", nothing),
    ("guests", nothing),
    ("nodes", nothing),
    ("cluster_status", cluster::status),
    ("ha", cluster::ha),
    ("cluster_tasks", tasks::failed),
    ("version_skew", cluster::versions),
    ("storages", storages::of_node),
    ("cluster_storages", storages::of_cluster),
    ("zfs", storages::zfs),
    ("lvmthin", storages::lvmthin),
    ("smart", storages::smart),
    ("services", node::services),
    ("node_tasks", tasks::failed),
    ("node_status", node::status),
    ("node_load", node::load),
    ("replication", node::replication),
    ("node_time", node::time),
    ("node_certificates", node::certificates),
    ("subscription", packages::subscription),
    ("repositories", packages::repositories),
    ("node_updates", packages::updates),
    ("versions", packages::kernel),
];

/// Read for others.
fn nothing(_: &Gathered, _: &mut Page<'_>) -> Result<(), String> {
    Ok(())
}

/// The rows of a list.
fn rows(value: &Value) -> Result<&Vec<Value>, String> {
    value.as_array().ok_or_else(|| "PVE gave no list".to_owned())
}

/// The nodes that are off: what is on one is no fault of its own.
fn off(gathered: &Gathered) -> Result<Vec<&str>, String> {
    let Ok(nodes) = gathered.answer("nodes") else { return Ok(Vec::new()) };
    let off = rows(nodes)?.iter().filter(|row| row.text("status") != "online");
    Ok(off.map(|row| row.text("node")).collect())
}

/// The fields of an object, or of a row.
trait Fields {
    fn text(&self, key: &str) -> &str;
    fn number(&self, key: &str) -> Option<f64>;
    fn bytes(&self, key: &str) -> u64;
    fn flag(&self, key: &str) -> Option<bool>;
}

impl Fields for Value {
    /// Empty where it is none.
    fn text(&self, key: &str) -> &str {
        self[key].as_str().unwrap_or_default()
    }

    fn number(&self, key: &str) -> Option<f64> {
        let value = &self[key];
        value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|number| number.is_finite())
    }

    /// Nothing where it is none.
    fn bytes(&self, key: &str) -> u64 {
        self.number(key).unwrap_or_default() as u64
    }

    fn flag(&self, key: &str) -> Option<bool> {
        match &self[key] {
            Value::Bool(yes) => Some(*yes),
            value => value.as_i64().or_else(|| value.as_str()?.parse().ok()).map(|number| number != 0),
        }
    }
}

fn vmid(row: &Value) -> Option<u32> {
    row.number("vmid").map(|vmid| vmid as u32)
}
