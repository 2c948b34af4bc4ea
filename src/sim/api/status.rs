//! How guests are: the lists of a node, and a guest's current status.

use serde_json::{Map, Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::guest::{Guest, Kind, Run, bytes, is_disk, property, volume};
use super::super::estate::node::Node;
use super::super::estate::{Estate, now};
use super::super::route::Row;
use crate::catalog::Method::Get;

pub const TABLE: &[Row] = &[
    (Get, "/nodes/{node}/qemu", list),
    (Get, "/nodes/{node}/lxc", list),
    (Get, "/nodes/{node}/qemu/{vmid}/status/current", current),
    (Get, "/nodes/{node}/lxc/{vmid}/status/current", current),
    (Get, "/nodes/{node}/lxc/{vmid}/interfaces", interfaces),
];

fn list(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (node, kind) = (call.node(), call.kind());
    let caller = call.caller();
    let guests = call.estate.guests().filter(|guest| guest.node == node && guest.kind == kind);
    let seen = guests.filter(|guest| caller.may(&format!("/vms/{}", guest.vmid), "VM.Audit"));
    let rows = seen.map(|guest| {
        let mut row = usage(call.estate, guest);
        row.remove("qmpstatus");
        Value::Object(row)
    });
    Ok(rows.collect::<Value>().into())
}

fn current(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest()?;
    let mut row = usage(call.estate, guest);
    let ha = match super::ha::resource_of(call.estate, guest) {
        Some(resource) => json!({ "managed": 1, "state": resource.get("state").unwrap_or("started") }),
        None => json!({ "managed": 0 }),
    };
    row.insert("ha".to_owned(), ha);
    if guest.kind == Kind::Qemu && guest.get("agent").is_some_and(|agent| agent.starts_with('1')) {
        row.insert("agent".to_owned(), json!(1));
    }
    Ok(Value::Object(row).into())
}

pub fn cpus(estate: &Estate, guest: &Guest) -> u64 {
    match guest.kind {
        Kind::Qemu => {
            let (sockets, cores) = (guest.number("sockets").unwrap_or(1), guest.number("cores").unwrap_or(1));
            guest.number("vcpus").unwrap_or(sockets * cores)
        }
        Kind::Lxc => {
            let all = || estate.node(&guest.node).map_or(1, |node| node.cpus.into());
            guest.number("cores").unwrap_or_else(all)
        }
    }
}

pub fn memory(guest: &Guest) -> u64 {
    let value = guest.get("memory").unwrap_or("512");
    let mib = property(value, "current").unwrap_or(value).parse::<u64>().unwrap_or(512);
    mib << 20
}

/// Of the disk that it boots from.
fn disk(guest: &Guest) -> u64 {
    let size = |key: &str| guest.get(key).and_then(|value| property(value, "size")).and_then(bytes);
    match guest.kind {
        Kind::Lxc => size("rootfs").filter(|size| *size > 0).unwrap_or(4 << 30),
        Kind::Qemu => {
            let order = guest.get("boot").and_then(|boot| property(boot, "order")).unwrap_or_default();
            let named = order.split(';').chain(guest.get("bootdisk"));
            let is_there = |key: &&str| {
                is_disk(Kind::Qemu, key)
                    && guest.get(key).is_some_and(|value| {
                        property(value, "media") != Some("cdrom") && volume(value).is_some()
                    })
            };
            named.into_iter().find(is_there).and_then(size).unwrap_or_default()
        }
    }
}

/// A number between 0 and 1 that is always this guest's.
fn share(vmid: u32, salt: u32) -> f64 {
    let mixed = vmid.wrapping_mul(2_654_435_761).wrapping_add(salt.wrapping_mul(40_503)) >> 8;
    f64::from(mixed % 1000) / 1000.0
}

/// What `pvestatd` and the lists show of a guest.
pub fn usage(estate: &Estate, guest: &Guest) -> Map<String, Value> {
    let (since, running) = match guest.run {
        Run::Stopped => (now(), false),
        Run::Running { since, .. } | Run::Paused { since, .. } => (since, true),
    };
    let uptime = now().saturating_sub(since);
    let busy = |salt| if running { share(guest.vmid, salt) } else { 0.0 };
    let traffic = |salt| (busy(salt) * 40_000.0 * uptime as f64) as u64;
    let maximum = memory(guest);
    let cpu = busy(1) * 0.4;
    let mut row = Map::new();
    let mut put = |key: &str, value: Value| {
        row.insert(key.to_owned(), value);
    };
    put("vmid", json!(guest.vmid));
    put("name", json!(guest.name()));
    put("status", json!(guest.status()));
    put("cpus", json!(cpus(estate, guest)));
    put("cpu", if cpu == 0.0 { json!(0) } else { json!(cpu) });
    put("mem", json!((busy(2) * 0.8 * maximum as f64) as u64));
    put("maxmem", json!(maximum));
    put("maxdisk", json!(disk(guest)));
    put("disk", json!(if guest.kind == Kind::Lxc && running { disk(guest) / 3 } else { 0 }));
    put("netin", json!(traffic(3)));
    put("netout", json!(traffic(4)));
    put("uptime", json!(uptime));
    if guest.kind == Kind::Lxc {
        put("type", json!("lxc"));
        put("swap", json!(0));
        put("maxswap", json!(guest.number("swap").unwrap_or_default() << 20));
    } else {
        put("memhost", json!((busy(2) * 0.85 * maximum as f64) as u64));
        let state = match guest.run {
            Run::Stopped => "stopped",
            Run::Running { .. } => "running",
            Run::Paused { .. } => "paused",
        };
        put("qmpstatus", json!(state));
    }
    if guest.kind == Kind::Lxc || running {
        put("diskread", json!(traffic(5)));
        put("diskwrite", json!(traffic(6)));
    }
    if let Run::Running { pid, .. } | Run::Paused { pid, .. } = guest.run {
        put("pid", json!(pid));
    }
    if guest.is_template() {
        put("template", json!(1));
    }
    for key in ["tags", "lock"] {
        if let Some(value) = guest.get(key) {
            put(key, json!(value));
        }
    }
    row
}

pub struct Use {
    pub cpu: f64,
    pub memory: u64,
}

pub fn node_use(estate: &Estate, node: &Node) -> Use {
    let running = estate.guests().filter(|guest| guest.node == node.name && guest.is_running());
    let wanted: u64 = running.map(memory).sum();
    let base = node.memory / 16;
    let memory = (base + wanted / 2).min(node.memory / 100 * 97);
    Use { cpu: (memory as f64 / node.memory.max(1) as f64) * 0.6, memory }
}

/// What a running container has of network cards.
fn interfaces(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest()?;
    if !guest.is_running() {
        return Ok(Reply::NULL);
    }
    let mut rows = vec![json!({
        "name": "lo", "hwaddr": "00:00:00:00:00:00", "hardware-address": "00:00:00:00:00:00",
        "inet": "127.0.0.1/8", "ip-addresses": [
            { "ip-address": "127.0.0.1", "ip-address-type": "inet", "prefix": 8 },
        ],
    })];
    for (_, value) in guest.config.iter().filter(|(key, _)| key.starts_with("net")) {
        let mac = property(value, "hwaddr").unwrap_or_default().to_lowercase();
        let (high, low) = (guest.vmid >> 8 & 0xff, guest.vmid & 0xff);
        let address = format!("10.{high}.{low}.2");
        rows.push(json!({
            "name": property(value, "name").unwrap_or("eth0"), "hwaddr": mac, "hardware-address": mac,
            "inet": format!("{address}/24"), "ip-addresses": [
                { "ip-address": address, "ip-address-type": "inet", "prefix": 24 },
            ],
        }));
    }
    Ok(Value::Array(rows).into())
}
