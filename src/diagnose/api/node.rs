//! A node itself.

use serde_json::Value;

use super::super::host::{percent, size};
use super::super::page::date;
use super::super::{Gathered, Page};
use super::{Fields, rows};

const DAY: i64 = 86_400;

pub fn status(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let status = gathered.answer("node_status")?;
    for (sign, key, what) in [
        ("node_memory_full", "memory", "memory"),
        ("node_swap_full", "swap", "swap"),
        ("root_full", "rootfs", "its root file system"),
    ] {
        let (used, total) = (status[key].bytes("used"), status[key].bytes("total"));
        let share = percent(used, total);
        page.fact(format!("{what} {share:.0} %"));
        if share >= page.limit(sign) {
            page.flag(
                sign,
                format!("{what} is {share:.0} % full"),
                format!("{} of {}", size(used), size(total)),
            );
        }
    }
    let cpus = status["cpuinfo"].number("cpus").unwrap_or(1.0).max(1.0);
    let load: Vec<f64> = (0..3).filter_map(|at| loaded(&status["loadavg"][at])).collect();
    // Of five minutes: one is a moment.
    if let Some(five) = load.get(1).filter(|five| **five / cpus >= page.limit("overloaded")) {
        page.flag("overloaded", format!("its load is {five} on {cpus} CPUs"), format!("load {load:?}"));
    }
    page.fact(format!("load {load:?} on {cpus} CPUs"));
    if let Some(up) = status.number("uptime").filter(|up| *up > 0.0) {
        page.fact(format!("up {up} s"));
        if up < page.limit("restarted") {
            page.flag("restarted", format!("it was started {up} s ago"), "uptime, by its status");
        }
    }
    Ok(())
}

fn loaded(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

pub fn load(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let rows = rows(gathered.answer("node_load")?)?;
    let mut known = false;
    for (key, what) in [("pressureiosome", "disks"), ("pressurememorysome", "memory")] {
        let figures: Vec<f64> = rows.iter().rev().filter_map(|row| row.number(key)).take(10).collect();
        if figures.is_empty() {
            continue;
        }
        known = true;
        let mean = figures.iter().sum::<f64>() / figures.len() as f64;
        page.fact(format!("waiting for {what} {mean:.0} %"));
        if mean >= page.limit("node_pressure") {
            page.flag(
                "node_pressure",
                format!("its work waits for {what} {mean:.0} % of the time"),
                format!("{key}, mean of the last {} points", figures.len()),
            );
        }
    }
    if known {
        Ok(())
    } else {
        Err("PVE has no pressure figures of the last hour; before release 9 it keeps none".into())
    }
}

/// Enabled on every node, and only running in a cluster.
const IN_CLUSTERS: &[&str] = &["corosync"];

pub fn services(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let services = rows(gathered.answer("services")?)?;
    let in_cluster = gathered
        .answer("cluster_status")
        .is_ok_and(|status| status.as_array().into_iter().flatten().any(|row| row.text("type") == "cluster"));
    let mut run = 0;
    for service in services {
        let (name, state, unit) =
            (service.text("service"), service.text("active-state"), service.text("unit-state"));
        let evidence = format!("{state} ({}), {unit}", service.text("state"));
        run += usize::from(state == "active");
        match state {
            "failed" => page.flag("service_failed", format!("service {name} failed"), evidence),
            "inactive" if unit == "enabled" && (in_cluster || !IN_CLUSTERS.contains(&name)) => {
                page.flag("service_down", format!("service {name} does not run"), evidence);
            }
            _ => {}
        }
    }
    page.fact(format!("{run} of {} run", services.len()));
    Ok(())
}

pub fn replication(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    for (node, list) in gathered.answers("replication") {
        for job in rows(list)? {
            let (failures, error) = (job.number("fail_count").unwrap_or_default(), job.text("error"));
            if failures > 0.0 || !error.is_empty() {
                let last = job.number("last_sync").map_or("never".to_owned(), |at| date(at as i64));
                let what = format!(
                    "replication {} to {} failed {failures} times",
                    job.text("id"),
                    job.text("target")
                );
                page.flag_on(node, "replication_failed", what, format!("{error}; last good {last}"));
            }
        }
    }
    Ok(())
}

pub fn time(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    for (node, time) in gathered.answers("node_time") {
        let said = time.number("time").ok_or("PVE gave no time")? as i64;
        let off = said - page.now;
        page.fact(format!("{node} {off} s from this node's"));
        if off.unsigned_abs() as f64 >= page.limit("time_skew") {
            let whose = if node.is_empty() { "its clock".to_owned() } else { format!("the clock of {node}") };
            let evidence = format!("{said} there, {} here", page.now);
            page.flag_on(node, "time_skew", format!("{whose} is {off} s off"), evidence);
        }
    }
    Ok(())
}

pub fn certificates(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    for certificate in rows(gathered.answer("node_certificates")?)? {
        let Some(until) = certificate.number("notafter").map(|until| until as i64) else { continue };
        let (name, days) = (certificate.text("filename"), (until - page.now).div_euclid(DAY));
        page.fact(format!("{name} {days} days"));
        let evidence = format!("subject {}; valid until {}", certificate.text("subject"), date(until));
        if until <= page.now {
            page.flag(
                "certificate_expired",
                format!("certificate {name} expired {} days ago", -days),
                evidence,
            );
        } else if (days as f64) < page.limit("certificate_expires") {
            page.flag("certificate_expires", format!("certificate {name} expires in {days} days"), evidence);
        }
    }
    Ok(())
}
