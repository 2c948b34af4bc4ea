//! What lies on a storage: listed, allocated, copied, protected and removed.

use serde_json::{Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::Estate;
use super::super::estate::guest::{bytes, volume};
use super::super::estate::now;
use super::super::estate::volume::Volume;
use super::super::route::Row;
use super::super::task::Work;
use crate::catalog::Method::{Delete, Get, Post, Put};

pub const TABLE: &[Row] = &[
    (Get, "/nodes/{node}/storage/{storage}/content", list),
    (Post, "/nodes/{node}/storage/{storage}/content", allocate),
    (Get, "/nodes/{node}/storage/{storage}/content/{volume}", read),
    (Put, "/nodes/{node}/storage/{storage}/content/{volume}", change),
    (Delete, "/nodes/{node}/storage/{storage}/content/{volume}", remove),
];

fn row(volume: &Volume) -> Value {
    let mut row = json!({
        "volid": volume.id(), "content": volume.content, "format": volume.format, "size": volume.size,
        "ctime": volume.created,
    });
    if let Some(vmid) = volume.vmid {
        row["vmid"] = json!(vmid);
    }
    if matches!(volume.content, "images" | "rootdir") {
        row["parent"] = json!(volume.parent);
        row["used"] = json!(volume.used);
    }
    if volume.content == "backup" {
        row["subtype"] = json!(volume.archive.as_ref().map_or("qemu", |guest| guest.kind.name()));
        if let Some(notes) = &volume.notes {
            row["notes"] = json!(notes);
        }
        if volume.protected {
            row["protected"] = json!(1);
        }
    }
    row
}

/// Whether the caller sees a volume: a guest's needs a right on the guest, or over the whole storage.
fn may_see(call: &Call<'_>, volume: &Volume) -> bool {
    let caller = call.caller();
    let storage = format!("/storage/{}", volume.storage);
    if caller.may(&storage, "Datastore.Allocate") {
        return true;
    }
    match volume.vmid {
        None => caller.may_any(&storage, &["Datastore.Audit", "Datastore.AllocateSpace"]),
        Some(vmid) if volume.content == "backup" => {
            caller.may(&storage, "Datastore.AllocateSpace")
                && caller.may(&format!("/vms/{vmid}"), "VM.Backup")
        }
        Some(vmid) => caller.may(&format!("/vms/{vmid}"), "VM.Config.Disk"),
    }
}

fn list(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (id, node) = (call.need("storage"), call.node());
    let section = call.estate.storage(&id)?;
    if section.is_set("disable") {
        return Err(Refusal::die(format!("storage '{id}' is disabled")));
    }
    if let Some(why) = call.estate.unreachable(&id, &node) {
        return Err(Refusal::die(format!("{id}: {why}")));
    }
    let vmid = call.number::<u32>("vmid");
    let volumes = call.estate.volumes_on(&id, &node).filter(|volume| {
        vmid.is_none_or(|vmid| volume.vmid == Some(vmid))
            && call.get("content").is_none_or(|content| volume.content == content)
            && may_see(call, volume)
    });
    let mut rows: Vec<&Volume> = volumes.collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(rows.into_iter().map(row).collect::<Value>().into())
}

/// The path's volume with its storage before it.
fn id(call: &Call<'_>) -> String {
    let given = call.need("volume");
    if given.contains(':') { given } else { format!("{}:{given}", call.need("storage")) }
}

fn found<'a>(call: &'a Call<'_>) -> Result<&'a Volume, Refusal> {
    let id = id(call);
    let storage = id.split(':').next().unwrap_or_default();
    call.estate.storage(storage)?;
    let volume = call.estate.volume(&id, &call.node());
    let volume = volume.ok_or_else(|| Refusal::die(format!("volume '{id}' does not exist")))?;
    if !may_see(call, volume) {
        return Err(Refusal::forbidden(""));
    }
    Ok(volume)
}

fn path(estate: &Estate, volume: &Volume) -> String {
    let Ok(section) = estate.storage(&volume.storage) else { return String::new() };
    let folder = match volume.content {
        "iso" => "template/iso",
        "vztmpl" => "template/cache",
        "backup" => "dump",
        "snippets" => "snippets",
        "rootdir" => "private",
        _ => "images",
    };
    let name = volume.name.rsplit_once('/').map_or(volume.name.as_str(), |_| {
        let last_two: Vec<&str> = volume.name.rsplitn(3, '/').collect();
        let skipped = if last_two.len() == 3 { last_two[2].len() + 1 } else { 0 };
        &volume.name[skipped..]
    });
    match section.get("path") {
        Some(root) => {
            let name = if matches!(volume.content, "images" | "rootdir") {
                name
            } else {
                name.rsplit('/').next().unwrap_or(name)
            };
            format!("{root}/{folder}/{name}")
        }
        None => format!("/dev/{}/{}", section.get("vgname").unwrap_or(&section.id), volume.name),
    }
}

fn read(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let volume = found(call)?;
    let mut row = json!({
        "path": path(call.estate, volume), "size": volume.size, "used": volume.used, "format": volume.format,
    });
    if let Some(notes) = &volume.notes {
        row["notes"] = json!(notes);
    }
    if volume.protected {
        row["protected"] = json!(1);
    }
    Ok(row.into())
}

fn allocate(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (storage, node) = (call.need("storage"), call.node());
    let vmid: u32 = call.number("vmid").unwrap_or_default();
    let section = call.estate.storage(&storage)?.clone();
    let size = call.need("size");
    // Without a unit it is KiB.
    let size = size.parse::<u64>().map(|kib| kib << 10).ok().or_else(|| bytes(&size)).unwrap_or_default();
    let name = call.need("filename");
    let directory = section.get("path").is_some();
    let full = if directory { format!("{vmid}/{name}") } else { name };
    let id = format!("{storage}:{full}");
    if call.estate.volume(&id, &node).is_some() {
        return Err(Refusal::die(format!("disk image '{id}' already exists")));
    }
    let format = call.get("format").unwrap_or("raw").to_owned();
    call.estate.add_volume(Volume {
        node: if Estate::is_shared(&section) { String::new() } else { node },
        storage,
        name: full,
        content: "images",
        format,
        size,
        used: 0,
        created: now(),
        vmid: Some(vmid),
        ..Volume::default()
    });
    Ok(id.into())
}

fn change(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let volume = found(call)?;
    if volume.content != "backup" {
        return Err(Refusal::die("only backups can have notes or be protected"));
    }
    let (notes, protected) =
        (call.get("notes").map(str::to_owned), call.get("protected").map(|flag| flag == "1"));
    let (id, node) = (id(call), call.node());
    if let Some(volume) = call.estate.volume_mut(&id, &node) {
        volume.notes = notes.or(volume.notes.take());
        volume.protected = protected.unwrap_or(volume.protected);
    }
    Ok(Reply::NULL)
}

fn remove(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let volume = found(call)?;
    let id = volume.id();
    let node = call.node();
    if volume.protected {
        return Err(Refusal::die(format!("cannot remove protected volume '{id}' on '{}'", volume.storage)));
    }
    let storage = format!("/storage/{}", volume.storage);
    if !call.caller().may(&storage, "Datastore.Allocate") {
        match volume.vmid {
            Some(vmid) if volume.content == "backup" => {
                call.caller().need(&storage, &["Datastore.AllocateSpace"])?;
                call.caller().need(&format!("/vms/{vmid}"), &["VM.Backup"])?;
            }
            _ => call.caller().need(&storage, &["Datastore.Allocate"])?,
        }
    }
    if let Some(vmid) = volume.vmid.filter(|_| matches!(volume.content, "images" | "rootdir"))
        && call.estate.guest(vmid).is_some()
    {
        return Err(Refusal::die(format!("Cannot remove image, a guest with VMID '{vmid}' exists!")));
    }
    let used = call
        .estate
        .guests()
        .find(|guest| guest.config.values().any(|value| self::volume(value) == Some(&id)));
    let used = used.map(|guest| guest.vmid);
    if let Some(vmid) = used.filter(|_| volume.content == "images") {
        return Err(Refusal::die(format!("volume '{id}' is still used by guest {vmid}")));
    }
    let work = Work::new().step(0.5, format!("Removed volume '{id}'")).end({
        let id = id.clone();
        move |estate, _| {
            estate.remove_volume(&id, &node);
            Ok(())
        }
    });
    call.task("imgdel", format!("{}@{}", call.need("volume").replace(':', "_"), call.need("storage")), work)
}
