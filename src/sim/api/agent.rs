//! What runs inside a VM and answers for it: there where it is configured, the VM runs, and an agent in it does.
//!
//! A command that is the agent's own gives its error as an answer; of `exec` and the files an error is PVE's, in the agent's
//! words.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::guest::Run;
use super::super::machine::{AgentError, Machine};
use super::super::route::Row;
use super::latin;
use crate::catalog::Method::{Get, Post};

pub const TABLE: &[Row] = &[
    (Get, "/nodes/{node}/qemu/{vmid}/agent/info", own),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/get-fsinfo", own),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/get-host-name", own),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/get-memory-block-info", own),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/get-memory-blocks", own),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/get-osinfo", own),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/get-time", own),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/get-timezone", own),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/get-users", own),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/get-vcpus", own),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/network-get-interfaces", own),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/exec-status", exec_status),
    (Get, "/nodes/{node}/qemu/{vmid}/agent/file-read", file_read),
    (Post, "/nodes/{node}/qemu/{vmid}/agent/exec", exec),
    (Post, "/nodes/{node}/qemu/{vmid}/agent/file-write", file_write),
    (Post, "/nodes/{node}/qemu/{vmid}/agent/ping", own),
    (Post, "/nodes/{node}/qemu/{vmid}/agent/shutdown", own),
    (Post, "/nodes/{node}/qemu/{vmid}/agent/fstrim", own),
    (Post, "/nodes/{node}/qemu/{vmid}/agent/set-user-password", own),
    (Post, "/nodes/{node}/qemu/{vmid}/agent", own),
];

/// Bytes of a file that PVE reads in one go, and in one call.
const GO: usize = 1 << 20;
const MOST_READ: usize = 16 << 20;

/// The machine, if its agent would answer.
fn machine<'a>(call: &'a mut Call<'_>) -> Result<&'a mut Machine, Refusal> {
    let guest = call.guest()?;
    let vmid = guest.vmid;
    // Any value will do here; one that says no leaves the VM without the agent's device.
    let Some(agent) = guest.get("agent") else { return Err(Refusal::die("No QEMU guest agent configured")) };
    let is_on = agent.starts_with('1') || agent.contains("enabled=1");
    if !guest.is_running() {
        return Err(Refusal::die(format!("VM {vmid} is not running")));
    }
    let is_paused = matches!(guest.run, Run::Paused { .. });
    let machine = call.estate.machines.entry(vmid).or_default();
    if !is_on || is_paused || !machine.answers {
        return Err(Refusal::die("QEMU guest agent is not running"));
    }
    Ok(machine)
}

fn died(error: AgentError) -> Refusal {
    Refusal::die(format!("Agent error: {}", latin::characters(error.desc.as_bytes())))
}

/// A text for the agent: what PVE puts into JSON for it is a character a byte, and has to be UTF-8 there.
fn for_agent(vmid: u32, command: &str, text: &str) -> Result<String, Refusal> {
    let wide =
        || Refusal::die(format!("VM {vmid} qga command '{command}' failed - Wide character in syswrite"));
    let bytes = latin::bytes(text).ok_or_else(wide)?;
    String::from_utf8(bytes)
        .map_err(|_| Refusal::die("Agent error: JSON parse error, invalid UTF-8 sequence in string"))
}

/// What PVE encodes itself.
fn encodable(text: &str) -> Result<Vec<u8>, Refusal> {
    let wide =
        || Refusal::die("Wide character in subroutine entry at /usr/share/perl5/PVE/QemuServer/Agent.pm");
    latin::bytes(text).ok_or_else(wide)
}

fn exec(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let vmid = call.vmid();
    let words = call.need("command");
    let input = call.get("input-data").map(encodable).transpose()?;
    let machine = machine(call)?;
    let command = words.split('\0').map(|word| for_agent(vmid, "guest-exec", word));
    let command = command.collect::<Result<Vec<_>, _>>()?;
    machine.allows("guest-exec").map_err(died)?;
    let pid = machine.exec(&command, input).map_err(died)?;
    Ok(json!({ "pid": pid }).into())
}

fn exec_status(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (vmid, pid) = (call.vmid(), call.number("pid").unwrap_or_default());
    let machine = machine(call)?;
    if machine.lost_looks > 0 {
        machine.lost_looks -= 1;
        return Err(Refusal::die(format!("VM {vmid} qga command 'guest-exec-status' failed - got timeout")));
    }
    machine.allows("guest-exec-status").map_err(died)?;
    Ok(machine.status(pid).map_err(died)?.into())
}

fn file_read(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let vmid = call.vmid();
    let file = call.need("file");
    let count = call.number("count").unwrap_or(MOST_READ);
    let offset: usize = call.number("offset").unwrap_or_default();
    let decode = call.get("decode") != Some("0");
    let machine = machine(call)?;
    let file = for_agent(vmid, "guest-file-open", &file)?;
    machine.allows("guest-file-open").map_err(died)?;
    let all = machine.read(&file).map_err(died)?;
    let rest = &all[offset.min(all.len())..];
    let part = &rest[..count.min(rest.len())];
    let content = match decode {
        true => latin::characters(part),
        // Each go is encoded by itself.
        false => part.chunks(GO).map(|go| BASE64.encode(go)).collect(),
    };
    let mut answer = json!({ "content": content, "bytes-read": part.len() });
    // The end is noticed by a read that comes short.
    if part.len() == count && (rest.len() > count || count.is_multiple_of(GO)) {
        answer["truncated"] = 1.into();
    }
    Ok(answer.into())
}

fn file_write(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let vmid = call.vmid();
    let (file, content) = (call.need("file"), call.need("content"));
    let content = match call.get("encode") == Some("0") {
        false => encodable(&content)?,
        true => BASE64.decode(&content).map_err(|_| Refusal::die("Agent error: failed to decode base64"))?,
    };
    let machine = machine(call)?;
    let file = for_agent(vmid, "guest-file-open", &file)?;
    machine.allows("guest-file-open").map_err(died)?;
    machine.write(&file, content).map_err(died)?;
    Ok(Reply::NULL)
}

/// The agent's own commands, which take no parameters.
fn own(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let path = call.endpoint.path.clone();
    let name = match path.rsplit('/').next() {
        Some("agent") => call.need("command"),
        name => name.unwrap_or_default().to_owned(),
    };
    let host_name = call.guest()?.name();
    let machine = machine(call)?;
    let result = match machine.allows(&format!("guest-{name}")) {
        Err(AgentError { class, desc }) => {
            json!({ "error": { "class": class, "desc": latin::characters(desc.as_bytes()) } })
        }
        Ok(()) => told(&name, machine, &host_name),
    };
    Ok(json!({ "result": result }).into())
}

fn told(name: &str, machine: &Machine, host_name: &str) -> Value {
    match name {
        "get-host-name" => json!({ "host-name": host_name }),
        "get-osinfo" => machine.os.clone(),
        "network-get-interfaces" => json!([{
            "name": "eth0", "hardware-address": "bc:24:11:00:00:01",
            "ip-addresses": [{ "ip-address": "10.0.0.2", "ip-address-type": "ipv4", "prefix": 24 }] }]),
        name if name.starts_with("get-") || name == "info" => json!([]),
        _ => json!({}),
    }
}
