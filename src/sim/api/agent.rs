//! What runs inside a VM and answers for it: there where it is configured and the VM runs.

use serde_json::json;

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::route::Row;
use crate::catalog::Method::{Get, Post};

pub const TABLE: &[Row] = &[
    (Get, "/nodes/{node}/qemu/{vmid}/agent/info", agent),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/get-fsinfo", agent),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/get-host-name", agent),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/get-memory-block-info", agent),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/get-memory-blocks", agent),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/get-osinfo", agent),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/get-time", agent),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/get-timezone", agent),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/get-users", agent),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/get-vcpus", agent),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/network-get-interfaces", agent),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/exec-status", agent),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/file-read", agent),
    (Post, "/nodes/{node}/qemu/{vmid}/agent/exec", agent),
    (Post, "/nodes/{node}/qemu/{vmid}/agent/file-write", agent),
    (Post, "/nodes/{node}/qemu/{vmid}/agent/ping", agent),
    (Post, "/nodes/{node}/qemu/{vmid}/agent/shutdown", agent),
    (Post, "/nodes/{node}/qemu/{vmid}/agent/fstrim", agent),
    (Post, "/nodes/{node}/qemu/{vmid}/agent/set-user-password", agent),
    (Post, "/nodes/{node}/qemu/{vmid}/agent", agent),
];

fn agent(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest()?;
    let configured =
        guest.get("agent").is_some_and(|agent| agent.starts_with('1') || agent.contains("enabled=1"));
    if !configured {
        return Err(Refusal::die("No QEMU guest agent configured"));
    }
    if !guest.is_running() {
        return Err(Refusal::die(format!("VM {} is not running", guest.vmid)));
    }
    let path = call.endpoint.path.as_str();
    Ok(match path.rsplit('/').next().unwrap_or_default() {
        "exec" => json!({ "pid": 4711 }).into(),
        "exec-status" => json!({ "exited": 1, "exitcode": 0, "out-data": "simulated\n" }).into(),
        "get-host-name" => json!({ "result": { "host-name": guest.name() } }).into(),
        "get-osinfo" => json!({ "result": {
            "id": "debian", "name": "Debian GNU/Linux", "version": "13 (trixie)", "machine": "x86_64",
            "kernel-release": "6.12.0", "pretty-name": "Debian GNU/Linux 13 (trixie)", "version-id": "13",
            "kernel-version": "#1 SMP" } })
        .into(),
        "file-read" => json!({ "content": "simulated\n", "bytes-read": 10 }).into(),
        "file-write" => Reply::NULL,
        "network-get-interfaces" => json!({ "result": [{
            "name": "eth0", "hardware-address": "bc:24:11:00:00:01",
            "ip-addresses": [{ "ip-address": "10.0.0.2", "ip-address-type": "ipv4", "prefix": 24 }] }] })
        .into(),
        name if name.starts_with("get-") || name == "info" => json!({ "result": [] }).into(),
        _ => json!({ "result": {} }).into(),
    })
}
