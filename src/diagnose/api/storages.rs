//! Storages, pools and disks.

use serde_json::Value;

use super::super::host::{percent, size};
use super::super::{Gathered, Page};
use super::{Fields, off, rows};

/// Those of Backup Servers are another probe's: [`super::servers`].
const OF_SERVERS: &str = "pbs";

pub fn of_node(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    for row in rows(gathered.answer("storages")?)? {
        if row.flag("enabled") == Some(false) || row.text("type") == OF_SERVERS {
            continue;
        }
        let name = row.text("storage");
        if row.flag("active") == Some(false) {
            inactive(page, "", name, row.text("type"), "enabled, and not active");
            continue;
        }
        filled(page, "", name, row.bytes("used"), row.bytes("total"));
    }
    Ok(())
}

pub fn of_cluster(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let mut shared = std::collections::BTreeSet::new();
    let off = off(gathered)?;
    for row in rows(gathered.answer("cluster_storages")?)? {
        let (name, node, status) = (row.text("storage"), row.text("node"), row.text("status"));
        if off.contains(&node) || row.text("plugintype") == OF_SERVERS {
            continue;
        }
        if status != "available" && !status.is_empty() {
            inactive(
                page,
                node,
                &format!("{name} on {node}"),
                row.text("plugintype"),
                &format!("status \"{status}\""),
            );
            continue;
        }
        // The same on each node.
        if row.flag("shared") == Some(true) && !shared.insert(name) {
            continue;
        }
        filled(page, node, &format!("{name} on {node}"), row.bytes("disk"), row.bytes("maxdisk"));
    }
    Ok(())
}

fn inactive(page: &mut Page<'_>, node: &str, name: &str, kind: &str, evidence: &str) {
    page.flag_on(node, "storage_inactive", format!("storage {name} ({kind}) is not active"), evidence);
}

fn filled(page: &mut Page<'_>, node: &str, name: &str, used: u64, total: u64) {
    let share = percent(used, total);
    page.fact(format!("{name} {share:.0} %"));
    let sign = match share {
        share if share >= page.limit("storage_full") => "storage_full",
        share if share >= page.limit("storage_filling") => "storage_filling",
        _ => return,
    };
    page.flag_on(
        node,
        sign,
        format!("storage {name} is {share:.0} % full"),
        format!("{} of {}", size(used), size(total)),
    );
}

pub fn zfs(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    for pool in rows(gathered.answer("zfs")?)? {
        let (name, health) = (pool.text("name"), pool.text("health"));
        let (used, total) = (pool.bytes("alloc"), pool.bytes("size"));
        let share = percent(used, total);
        page.fact(format!("{name} {health} {share:.0} %"));
        if !health.is_empty() && health != "ONLINE" {
            page.flag("zfs_degraded", format!("ZFS pool {name} is {health}"), format!("health {health}"));
        }
        if share >= page.limit("zfs_full") {
            page.flag(
                "zfs_full",
                format!("ZFS pool {name} is {share:.0} % full"),
                format!("{} of {}", size(used), size(total)),
            );
        }
    }
    Ok(())
}

pub fn lvmthin(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    for pool in rows(gathered.answer("lvmthin")?)? {
        let name = format!("{}/{}", pool.text("vg"), pool.text("lv"));
        let kinds = [
            ("thin_full", "used", "lv_size", "data"),
            ("thin_metadata_full", "metadata_used", "metadata_size", "metadata"),
        ];
        for (sign, used, total, what) in kinds {
            let (used, total) = (pool.bytes(used), pool.bytes(total));
            let share = percent(used, total);
            page.fact(format!("{name} {what} {share:.0} %"));
            if share >= page.limit(sign) {
                let evidence = format!("{} of {}", size(used), size(total));
                page.flag(sign, format!("the {what} of thin pool {name} is {share:.0} % full"), evidence);
            }
        }
    }
    Ok(())
}

pub fn smart(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let disks = rows(gathered.answer("smart")?)?;
    page.fact(format!("{} disks", disks.len()));
    let mut unknown = Vec::new();
    for disk in disks {
        let (device, health) = (disk.text("devpath"), disk.text("health"));
        match health {
            "PASSED" | "OK" => {}
            "" | "UNKNOWN" => unknown.push(device),
            _ => page.flag(
                "smart_failing",
                format!("disk {device} fails: SMART says {health}"),
                described(disk),
            ),
        }
        // What is left, in percent; a text where it is not known.
        if let Some(left) = disk["wearout"].as_f64().filter(|left| *left <= page.limit("disk_worn")) {
            page.flag("disk_worn", format!("disk {device} has {left} % of its writes left"), described(disk));
        }
    }
    if !unknown.is_empty() {
        page.cannot_tell(format!("no SMART health is known of {}", unknown.join(", ")));
    }
    Ok(())
}

fn described(disk: &Value) -> String {
    format!("{} {}, serial {}", disk.text("vendor"), disk.text("model"), disk.text("serial"))
}
