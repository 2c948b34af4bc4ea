//! A container or VM.

use serde_json::Value;

use super::super::host::{percent, size};
use super::super::{Gathered, Page};
use super::{Fields, rows};

const DAY: i64 = 86_400;

pub fn status(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    state(gathered.answer("status")?, page);
    Ok(())
}

fn state(status: &Value, page: &mut Page<'_>) {
    page.fact(format!("{}, up {} s", status.text("status"), status.bytes("uptime")));
    if status.text("status") == "stopped" {
        page.flag("stopped", "it is stopped", "status \"stopped\", by the API");
    }
    if !status.text("lock").is_empty() {
        page.flag("locked", format!("it is locked: {}", status.text("lock")), "by the API's status");
    }
}

pub fn vm_status(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let status = gathered.answer("vm_status")?;
    state(status, page);
    let qemu = status.text("qmpstatus");
    if !matches!(qemu, "" | "running" | "stopped") {
        page.flag("paused", format!("it does not run: QEMU says {qemu}"), format!("qmpstatus \"{qemu}\""));
    }
    for (key, what) in
        [("pressureiosome", "disks"), ("pressurememorysome", "memory"), ("pressurecpusome", "a CPU")]
    {
        if let Some(share) = status.number(key).filter(|share| *share >= page.limit("vm_pressure")) {
            page.flag(
                "vm_pressure",
                format!("it waits for {what} {share:.0} % of the time"),
                format!("{key} {share}"),
            );
        }
    }
    Ok(())
}

pub fn config(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    if !has_agent(gathered)? {
        page.flag("no_agent", "no guest agent is configured", "its configuration has no agent=1");
    }
    Ok(())
}

fn has_agent(gathered: &Gathered) -> Result<bool, String> {
    let config = gathered.answer("vm_config")?;
    let agent = config.text("agent");
    let agent = if agent.is_empty() { config["agent"].to_string() } else { agent.to_owned() };
    Ok(agent.starts_with('1') || agent.contains("enabled=1"))
}

pub fn agent_os(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    page.fact(gathered.answer("agent_os")?["result"].text("pretty-name"));
    Ok(())
}

/// One that is configured, in a machine that runs, should answer.
pub fn agent(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let runs = gathered.answer("vm_status")?.text("status") == "running";
    let failed =
        gathered.api.get("agent_os").into_iter().flatten().find_map(|answered| answered.said.as_ref().err());
    if let Some(why) = failed.filter(|_| runs && has_agent(gathered).unwrap_or(false)) {
        page.flag("agent_silent", "its guest agent does not answer", why);
    }
    Ok(())
}

pub fn agent_disks(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    for disk in rows(&gathered.answer("agent_disks")?["result"])? {
        let (used, total) = (disk.bytes("used-bytes"), disk.bytes("total-bytes"));
        // Images are full by their nature.
        if total == 0 || matches!(disk.text("type"), "squashfs" | "iso9660" | "udf" | "CDFS" | "UDF") {
            continue;
        }
        let (share, at) = (percent(used, total), disk.text("mountpoint"));
        page.fact(format!("{at} {share:.0} %"));
        let sign = match share {
            share if share >= page.limit("disk_full") => "disk_full",
            share if share >= page.limit("disk_filling") => "disk_filling",
            _ => continue,
        };
        let evidence = format!("{} of {} used, by its agent", size(used), size(total));
        page.flag(sign, format!("{at} is {share:.0} % full"), evidence);
    }
    Ok(())
}

pub fn agent_network(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let interfaces = rows(&gathered.answer("agent_network")?["result"])?;
    let addresses: Vec<&str> = interfaces
        .iter()
        .flat_map(|interface| interface["ip-addresses"].as_array().into_iter().flatten())
        .map(|address| address.text("ip-address"))
        .filter(|address| !address.starts_with("127.") && !address.starts_with("fe80:") && *address != "::1")
        .collect();
    page.fact(addresses.join(", "));
    if addresses.is_empty() && !interfaces.is_empty() {
        page.flag("no_address", "it has no address but its own loopback", "by its agent");
    }
    Ok(())
}

/// Changes that wait for a stop and a start.
pub fn pending(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let rows = rows(gathered.answer("pending")?)?;
    let waits = |row: &&Value| !row["pending"].is_null() || row.flag("delete").unwrap_or(false);
    // Names only: values may be secrets.
    let names: Vec<&str> = rows.iter().filter(waits).map(|row| row.text("key")).collect();
    page.fact(format!("{} settings wait for a restart", names.len()));
    if !names.is_empty() && gathered.answers("pending").count() > 0 {
        page.flag(
            "not_applied",
            format!("{} settings wait until it is stopped and started", names.len()),
            names.join(", "),
        );
    }
    Ok(())
}

/// Its own clock, in nanoseconds since 1970.
pub fn agent_time(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let said = gathered.answer("agent_time")?.number("result").ok_or("its agent gave no time")?;
    let off = (said / 1e9) as i64 - page.now;
    page.fact(format!("{off} s from the node's"));
    if off.unsigned_abs() as f64 >= page.limit("clock_off") {
        let evidence = format!("its agent says {:.0} s, the node {} (since 1970)", said / 1e9, page.now);
        page.flag("clock_off", format!("its clock is {off} s off"), evidence);
    }
    Ok(())
}

/// What no probe here can see.
pub fn inside(_: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    page.cannot_tell(
        "failed units, logs, inodes, ports, certificates, updates, DNS and gateway inside the VM: nothing there can be \
         held to reading; `exec` in mode \"change\" runs what you ask of its agent",
    );
    Ok(())
}

pub fn load(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let rows = rows(gathered.answer("vm_load")?)?;
    let shares: Vec<f64> = rows.iter().filter_map(|row| row.number("cpu")).collect();
    if shares.is_empty() {
        return Err("PVE has no figures of the last hour".into());
    }
    let mean = shares.iter().sum::<f64>() / shares.len() as f64 * 100.0;
    page.fact(format!("CPU {mean:.0} % of the last hour"));
    if mean >= page.limit("cpu_busy") {
        page.flag(
            "cpu_busy",
            format!("its CPUs were {mean:.0} % busy for an hour"),
            format!("mean of {} points", shares.len()),
        );
    }
    Ok(())
}

pub fn snapshots(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let rows = rows(gathered.answer("snapshots")?)?;
    let made = rows.iter().filter_map(|row| Some((row.text("name"), row.number("snaptime")? as i64)));
    let mut count = 0;
    for (name, at) in made {
        count += 1;
        let days = (page.now - at) / DAY;
        if days as f64 >= page.limit("old_snapshot") {
            page.flag(
                "old_snapshot",
                format!("snapshot {name} is {days} days old"),
                super::super::page::date(at),
            );
        }
    }
    page.fact(format!("{count} snapshots"));
    Ok(())
}
