//! Disks of guests: grown, moved, handed to another guest.

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::Estate;
use super::super::estate::guest::{Kind, bytes, is_disk, property, size, volume};
use super::super::route::Row;
use super::super::task::Work;
use super::config::keep_unused;
use crate::catalog::Method::{Post, Put};

pub const TABLE: &[Row] = &[
    (Put, "/nodes/{node}/qemu/{vmid}/resize", resize),
    (Put, "/nodes/{node}/lxc/{vmid}/resize", resize),
    (Post, "/nodes/{node}/qemu/{vmid}/move_disk", move_disk),
    (Post, "/nodes/{node}/lxc/{vmid}/move_volume", move_disk),
];

/// The value of a disk's key, or PVE's sentence.
fn disk(call: &Call<'_>, key: &str) -> Result<String, Refusal> {
    let guest = call.guest()?;
    match guest.get(key) {
        Some(value) if volume(value).is_some() => Ok(value.to_owned()),
        Some(_) => Err(Refusal::die(format!("disk '{key}' has no associated volume"))),
        None if guest.kind == Kind::Lxc => Err(Refusal::die(format!("volume '{key}' does not exist"))),
        None => Err(Refusal::die(format!("disk '{key}' does not exist"))),
    }
}

fn with_size(value: &str, bytes: u64) -> String {
    let parts = value.split(',').filter(|part| !part.starts_with("size="));
    let mut parts: Vec<String> = parts.map(str::to_owned).collect();
    parts.push(format!("size={}", size(bytes)));
    parts.join(",")
}

fn resize(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (vmid, node, key) = (call.vmid(), call.node(), call.need("disk"));
    call.fresh(&call.guest()?.digest())?;
    call.estate.unlocked(vmid)?;
    let value = disk(call, &key)?;
    if property(&value, "media") == Some("cdrom") {
        return Err(Refusal::die("you can't resize a cdrom"));
    }
    let storage = value.split(':').next().unwrap_or_default().to_owned();
    call.caller().need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    let wanted = call.need("size");
    let old = property(&value, "size").and_then(bytes).unwrap_or_default();
    let (add, amount) = match wanted.strip_prefix('+') {
        Some(amount) => (true, amount),
        None => (false, wanted.as_str()),
    };
    let amount =
        bytes(amount).ok_or_else(|| Refusal::parameter("size", "value does not match the regex pattern"))?;
    let new = if add { old + amount } else { amount };
    if new < old {
        return Err(Refusal::die("shrinking disks is not supported"));
    }
    let work = Work::new().step(1.0, "Image resized.").end(move |estate, _| {
        let id = volume(&value).unwrap_or_default();
        if let Some(volume) = estate.volume_mut(id, &node) {
            volume.size = new;
        }
        if let Some(guest) = estate.guest_mut(vmid) {
            guest.config.insert(key, with_size(&value, new));
        }
        Ok(())
    });
    call.task("resize", vmid, work)
}

fn move_disk(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let kind = call.kind();
    let (vmid, node) = (call.vmid(), call.node());
    let key = call.need(if kind == Kind::Qemu { "disk" } else { "volume" });
    call.fresh(&call.guest()?.digest())?;
    call.estate.unlocked(vmid)?;
    let value = disk(call, &key)?;
    if let Some(target) = call.number::<u32>("target-vmid") {
        return reassign(call, key, value, target);
    }
    let Some(storage) = call.get("storage").map(str::to_owned) else {
        let problem = "either target storage or target vmid needs to be specified";
        return Err(Refusal::parameter("storage", problem));
    };
    call.estate.storage(&storage)?;
    call.caller().need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    let old = value.split(':').next().unwrap_or_default();
    if old == storage && call.get("format").is_none() {
        return Err(Refusal::die("you can't move to the same storage with same format"));
    }
    let bytes = property(&value, "size").and_then(bytes).unwrap_or_default();
    let (format, delete) = (call.get("format").map(str::to_owned), call.flag("delete"));
    let (place, name) = (node, key.clone());
    let work = Work::new().lock(vmid, "disk").copy(bytes).end(move |estate, lines| {
        let new = estate.allocate(&storage, (kind, vmid, &place), false, format.as_deref(), bytes)?;
        let rest = value.split_once(',').map_or("", |(_, rest)| rest);
        if let Some(guest) = estate.guest_mut(vmid) {
            guest.config.insert(name, if rest.is_empty() { new } else { format!("{new},{rest}") });
        }
        if delete {
            let old = volume(&value).unwrap_or_default();
            estate.remove_volume(old, &place);
            lines.push(format!("removed {old}"));
        } else {
            keep_unused(estate, vmid, &value);
        }
        Ok(())
    });
    call.task(if kind == Kind::Qemu { "qmmove" } else { "move_volume" }, vmid, work)
}

fn reassign(call: &mut Call<'_>, key: String, value: String, target: u32) -> Result<Reply, Refusal> {
    let kind = call.kind();
    let (vmid, node) = (call.vmid(), call.node());
    call.caller().need(&format!("/vms/{target}"), &["VM.Config.Disk"])?;
    call.estate.guest_on(&node, kind, target)?;
    let name = call.get(if kind == Kind::Qemu { "target-disk" } else { "target-volume" });
    let name = name.unwrap_or(&key).to_owned();
    if !is_disk(kind, &name) && !name.starts_with("unused") {
        return Err(Refusal::die(format!("'{name}' is no disk")));
    }
    if call.estate.guest(target).is_some_and(|guest| guest.get(&name).is_some()) {
        return Err(Refusal::die(format!("Target disk key '{name}' is already in use for VM '{target}'!")));
    }
    let work = Work::new().lock(vmid, "").step(0.5, format!("reassigning {key} of {vmid} to {target}"));
    let work = work.end(move |estate, _| give(estate, (vmid, &key), (target, &name), &value, &node));
    call.task(if kind == Kind::Qemu { "qmmove" } else { "move_volume" }, vmid, work)
}

fn give(
    estate: &mut Estate,
    from: (u32, &str),
    to: (u32, &str),
    value: &str,
    node: &str,
) -> Result<(), String> {
    let id = volume(value).unwrap_or_default().to_owned();
    let renamed = id.replace(&from.0.to_string(), &to.0.to_string());
    let renamed =
        if estate.volume(&renamed, node).is_some() { renamed.replace("disk-0", "disk-1") } else { renamed };
    if let Some(volume) = estate.volume_mut(&id, node) {
        volume.vmid = Some(to.0);
        volume.name = renamed.split_once(':').map_or(renamed.clone(), |(_, name)| name.to_owned());
    }
    if let Some(guest) = estate.guest_mut(from.0) {
        guest.config.remove(from.1);
    }
    if let Some(guest) = estate.guest_mut(to.0) {
        guest.config.insert(to.1.to_owned(), value.replacen(&id, &renamed, 1));
    }
    Ok(())
}
