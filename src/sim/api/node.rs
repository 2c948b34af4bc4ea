//! `/nodes/{node}`: what a node is and does, apart from its guests.

use serde_json::{Map, Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::node::Node;
use super::super::estate::{digest, now};
use super::super::route::Row;
use super::super::task::Work;
use super::status;
use crate::catalog::Method::{Get, Post, Put};

pub const TABLE: &[Row] = &[
    (Get, "/nodes/{node}/status", node_status),
    (Post, "/nodes/{node}/status", power),
    (Get, "/nodes/{node}/config", config),
    (Put, "/nodes/{node}/config", set_config),
    (Get, "/nodes/{node}/dns", dns),
    (Put, "/nodes/{node}/dns", set_dns),
    (Get, "/nodes/{node}/time", time),
    (Put, "/nodes/{node}/time", set_time),
    (Get, "/nodes/{node}/hosts", hosts),
    (Post, "/nodes/{node}/hosts", set_hosts),
    (Get, "/nodes/{node}/services", services),
    (Get, "/nodes/{node}/services/{service}/state", service),
    (Post, "/nodes/{node}/services/{service}/start", |call| control(call, "start", true)),
    (Post, "/nodes/{node}/services/{service}/stop", |call| control(call, "stop", false)),
    (Post, "/nodes/{node}/services/{service}/restart", |call| control(call, "restart", true)),
    (Post, "/nodes/{node}/services/{service}/reload", |call| control(call, "reload", true)),
    (Get, "/nodes/{node}/certificates/info", certificates),
    (Get, "/nodes/{node}/syslog", syslog),
    (Get, "/nodes/{node}/rrddata", rrd),
    (Get, "/nodes/{node}/qemu/{vmid}/rrddata", rrd),
    (Get, "/nodes/{node}/lxc/{vmid}/rrddata", rrd),
    (Get, "/nodes/{node}/storage/{storage}/rrddata", rrd),
    (Get, "/nodes/{node}/apt/update", updates),
    (Get, "/nodes/{node}/apt/versions", versions),
    (Post, "/nodes/{node}/wakeonlan", |call| Ok(format!("{:02x}:00", call.need("node").len()).into())),
];

fn node<'a>(call: &'a Call<'_>) -> Result<&'a Node, Refusal> {
    let name = call.node();
    call.estate.node(&name).ok_or_else(|| Refusal::die(format!("no such node '{name}'")))
}

fn node_mut(call: &mut Call<'_>, change: impl FnOnce(&mut Node)) -> Result<Reply, Refusal> {
    let name = call.node();
    if let Some(node) = call.estate.node_mut(&name) {
        change(node);
    }
    Ok(Reply::NULL)
}

fn node_status(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let node = node(call)?;
    let used = status::node_use(call.estate, node);
    let kernel = json!({
        "sysname": "Linux", "release": "6.17.2-1-pve", "machine": "x86_64", "version": "#1 SMP PREEMPT_DYNAMIC",
    });
    Ok(json!({
        "pveversion": "pve-manager/9.2.11/14a22df35955d97d", "kversion": "Linux 6.17.2-1-pve",
        "uptime": now().saturating_sub(node.since), "cpu": used.cpu, "wait": 0, "idle": 0,
        "loadavg": ["0.42", "0.35", "0.30"],
        "cpuinfo": {
            "cpus": node.cpus, "cores": node.cpus, "sockets": 1, "model": "Simulated CPU", "mhz": "3000.000", "hvm": "1",
            "flags": "fpu vme", "user_hz": 100,
        },
        "memory": {
            "total": node.memory, "used": used.memory, "free": node.memory - used.memory,
            "available": node.memory - used.memory,
        },
        "swap": { "total": 8u64 << 30, "used": 0, "free": 8u64 << 30 },
        "rootfs": {
            "total": node.disk, "used": node.disk / 4, "free": node.disk / 4 * 3, "avail": node.disk / 4 * 3,
        },
        "ksm": { "shared": 0 },
        "boot-info": { "mode": "efi", "secureboot": 0 },
        "current-kernel": kernel,
    })
    .into())
}

/// A reboot or a shutdown: its guests stop, and it is gone, or new.
fn power(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = call.node();
    let reboot = call.get("command") == Some("reboot");
    let guests: Vec<u32> =
        call.estate.guests().filter(|guest| guest.node == name).map(|guest| guest.vmid).collect();
    guests.into_iter().for_each(|vmid| super::lifecycle::set_stopped(call.estate, vmid));
    node_mut(call, |node| {
        if reboot {
            node.since = now();
        } else {
            node.online = false;
        }
    })
}

fn config(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let node = node(call)?;
    let mut row: Map<String, Value> = Map::new();
    for (key, value) in &node.config {
        row.insert(key.clone(), json!(value));
    }
    if !row.is_empty() {
        row.insert("digest".to_owned(), json!(digest(format!("{:?}", node.config).as_bytes())));
    }
    match call.get("property") {
        Some(property) => Ok(json!({ property: row.get(property) }).into()),
        None => Ok(Value::Object(row).into()),
    }
}

fn set_config(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    call.fresh(&digest(format!("{:?}", node(call)?.config).as_bytes()))?;
    let gone = call.list("delete");
    let given: Vec<(String, String)> = call
        .parameters
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "node" | "delete" | "digest"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    node_mut(call, |node| {
        node.config.retain(|key, _| !gone.contains(key));
        node.config.extend(given);
    })
}

fn dns(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(json!(node(call)?.dns).into())
}

fn set_dns(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let given = call.parameters.clone().into_iter().filter(|(key, _)| key != "node").collect();
    node_mut(call, |node| node.dns = given)
}

fn time(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(json!({ "timezone": node(call)?.timezone, "time": now(), "localtime": now() }).into())
}

fn set_time(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let zone = call.need("timezone");
    if zone != "UTC" && !zone.contains('/') {
        return Err(Refusal::die(format!("no such timezone: '{zone}'")));
    }
    node_mut(call, |node| node.timezone = zone)
}

fn hosts(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let hosts = &node(call)?.hosts;
    Ok(json!({ "data": hosts, "digest": digest(hosts.as_bytes()) }).into())
}

fn set_hosts(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    call.fresh(&digest(node(call)?.hosts.as_bytes()))?;
    let data = call.need("data");
    node_mut(call, |node| node.hosts = data)
}

fn service_row(name: &str, running: bool) -> Value {
    json!({
        "service": name, "name": name, "desc": format!("The {name} service"),
        "state": if running { "running" } else { "dead" }, "active-state": if running { "active" } else { "inactive" },
        "unit-state": if name == "syslog" { "not-found" } else { "enabled" },
    })
}

fn services(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let services = node(call)?.services.iter();
    Ok(services.map(|(name, running)| service_row(name, *running)).collect::<Value>().into())
}

fn service(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = call.need("service");
    let running = node(call)?.services.get(name.as_str()).copied();
    let running = running.ok_or_else(|| Refusal::die(format!("unknown service '{name}'")))?;
    Ok(service_row(&name, running).into())
}

fn control(call: &mut Call<'_>, verb: &str, running: bool) -> Result<Reply, Refusal> {
    let (name, place) = (call.need("service"), call.node());
    if matches!(name.as_str(), "pvedaemon" | "pve-cluster" | "pveproxy") && verb == "stop" {
        return Err(Refusal::die(format!(
            "invalid service cmd 'service {name} stop': ERROR: can not stop this service"
        )));
    }
    let unit = name.clone();
    let work = Work::new().step(0.5, format!("{verb} of {name}")).end(move |estate, _| {
        if let Some(state) = estate.node_mut(&place).and_then(|node| node.services.get_mut(unit.as_str())) {
            *state = running;
        }
        Ok(())
    });
    call.task(&format!("srv{verb}"), name, work)
}

fn certificates(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let node = node(call)?;
    let name = format!("{}.example.org", node.name);
    Ok(json!([{
        "filename": "pve-ssl.pem", "fingerprint": node.fingerprint, "subject": format!("/CN={name}"),
        "issuer": format!("/CN={name}"), "notbefore": node.since, "notafter": node.since + 63_072_000,
        "public-key-type": "id-ecPublicKey", "public-key-bits": 256, "san": [node.name, "localhost", "127.0.0.1"],
    }])
    .into())
}

fn syslog(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let node = call.node();
    let tasks = call.estate.tasks.all().filter(|task| task.upid.node == node);
    let lines: Vec<Value> = tasks
        .enumerate()
        .map(|(number, task)| {
            json!({ "n": number + 1, "t": format!("{node} pvedaemon[{}]: starting task {}", task.upid.pid, task.upid) })
        })
        .collect();
    let (start, limit) = (call.number("start").unwrap_or(0), call.number("limit").unwrap_or(50));
    let total = lines.len();
    Ok(Reply::Lines { lines: lines.into_iter().skip(start).take(limit).collect(), total })
}

/// A series that rises and falls, one point in each of 70 periods.
fn rrd(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    if call.endpoint.path.contains("{vmid}") {
        call.guest()?;
    }
    if !call.estate.statistics {
        return Ok(json!([]).into());
    }
    let period: u64 = match call.get("timeframe").unwrap_or("hour") {
        "hour" => 60,
        "day" => 1800,
        "week" => 10_800,
        "month" => 43_200,
        _ => 604_800,
    };
    let end = now() / period * period;
    let rows = (0..70u64).map(|number| {
        let wave = (number % 20) as f64 / 20.0;
        json!({
            "time": end - (69 - number) * period, "cpu": 0.05 + wave / 10.0, "maxcpu": 4, "mem": 1e9 * (1.0 + wave),
            "maxmem": 4e9, "netin": 1000.0 * wave, "netout": 500.0 * wave, "diskread": 0, "diskwrite": 4096.0 * wave,
            "disk": 0, "maxdisk": 8e9,
        })
    });
    Ok(rows.collect::<Value>().into())
}

const PACKAGES: &[(&str, &str)] = &[
    ("proxmox-ve", "9.2.0"),
    ("pve-manager", "9.2.11"),
    ("pve-container", "6.1.2"),
    ("qemu-server", "9.1.4"),
    ("pve-qemu-kvm", "10.1.2-4"),
    ("libpve-storage-perl", "9.1.0"),
    ("pve-docs", "9.2.3"),
];

fn updates(_: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(json!([{
        "Package": "pve-docs", "Title": "Documentation", "Description": "Documentation", "Version": "9.2.4",
        "OldVersion": "9.2.3", "Arch": "all", "Section": "admin", "Priority": "optional", "Origin": "Proxmox",
    }])
    .into())
}

fn versions(_: &mut Call<'_>) -> Result<Reply, Refusal> {
    let rows = PACKAGES.iter().map(|(name, version)| {
        json!({
            "Package": name, "Title": name, "Description": name, "Version": version, "OldVersion": version, "Arch": "all",
            "Section": "admin", "Priority": "optional", "Origin": "Proxmox", "CurrentState": "Installed",
        })
    });
    Ok(rows.collect::<Value>().into())
}
