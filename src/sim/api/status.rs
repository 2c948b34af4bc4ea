//! How guests are: the lists of a node, and a guest's current status.

use serde::Serialize;
use serde_json::{Value, json};

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
    let rows: Vec<Usage<'_>> = seen.map(|guest| usage(call.estate, guest)).collect();
    Ok(json!(rows).into())
}

fn current(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest()?;
    let mut row = json!(usage(call.estate, guest));
    let ha = match super::ha::resource_of(call.estate, guest) {
        Some(resource) => json!({ "managed": 1, "state": resource.get("state").unwrap_or("started") }),
        None => json!({ "managed": 0 }),
    };
    row["ha"] = ha;
    if guest.kind == Kind::Qemu {
        let state = match guest.run {
            Run::Stopped => "stopped",
            Run::Running { .. } => "running",
            Run::Paused { .. } => "paused",
        };
        row["qmpstatus"] = json!(state);
        if guest.get("agent").is_some_and(|agent| agent.starts_with('1')) {
            row["agent"] = json!(1);
        }
    }
    Ok(row.into())
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

/// What `pvestatd` and the lists show of a guest. A list of ten thousand is made of these, so they are no maps.
#[derive(Debug, Default, Serialize)]
pub struct Usage<'a> {
    vmid: u32,
    name: String,
    status: &'static str,
    cpu: Value,
    mem: u64,
    maxmem: u64,
    disk: u64,
    maxdisk: u64,
    netin: u64,
    netout: u64,
    uptime: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpus: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maxcpu: Option<u64>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    swap: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maxswap: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memhost: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diskread: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diskwrite: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<&'a str>,
}

impl Usage<'_> {
    /// As `/cluster/resources` shows it: with other names for some, and without what only the node itself tells.
    pub fn shared(mut self, guest: &Guest) -> Self {
        self.maxcpu = self.cpus.take();
        self.template = Some(u8::from(guest.is_template()));
        self.diskread.get_or_insert(0);
        self.diskwrite.get_or_insert(0);
        Self { kind: Some(guest.kind.name()), swap: None, maxswap: None, pid: None, ..self }
    }
}

pub fn usage<'a>(estate: &Estate, guest: &'a Guest) -> Usage<'a> {
    let (since, pid) = match guest.run {
        Run::Stopped => (now(), None),
        Run::Running { since, pid } | Run::Paused { since, pid } => (since, Some(pid)),
    };
    let running = pid.is_some();
    let uptime = now().saturating_sub(since);
    let busy = |salt| if running { share(guest.vmid, salt) } else { 0.0 };
    let traffic = |salt| (busy(salt) * 40_000.0 * uptime as f64) as u64;
    let lxc = guest.kind == Kind::Lxc;
    let maxmem = memory(guest);
    let cpu = busy(1) * 0.4;
    Usage {
        vmid: guest.vmid,
        name: guest.name(),
        status: guest.status(),
        // Nothing is a whole number, as it is there.
        cpu: if cpu == 0.0 { json!(0) } else { json!(cpu) },
        mem: (busy(2) * 0.8 * maxmem as f64) as u64,
        maxmem,
        disk: if lxc && running { disk(guest) / 3 } else { 0 },
        maxdisk: disk(guest),
        netin: traffic(3),
        netout: traffic(4),
        uptime,
        cpus: Some(cpus(estate, guest)),
        maxcpu: None,
        kind: lxc.then_some("lxc"),
        swap: lxc.then_some(0),
        maxswap: lxc.then(|| guest.number("swap").unwrap_or_default() << 20),
        memhost: (!lxc).then(|| (busy(2) * 0.85 * maxmem as f64) as u64),
        diskread: (lxc || running).then(|| traffic(5)),
        diskwrite: (lxc || running).then(|| traffic(6)),
        pid,
        template: guest.is_template().then_some(1),
        tags: guest.get("tags"),
        lock: guest.get("lock"),
    }
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
