//! Guests are copied, whole or leaning on a template, and turned into templates.

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::Estate;
use super::super::estate::guest::{Guest, Kind, is_disk, property, volume};
use super::super::route::Row;
use super::super::task::Work;
use super::create::{fresh_card, join_pool, kind, taken};
use super::{config, value};
use crate::catalog::Method::Post;

pub const TABLE: &[Row] = &[
    (Post, "/nodes/{node}/qemu/{vmid}/clone", clone),
    (Post, "/nodes/{node}/lxc/{vmid}/clone", clone),
    (Post, "/nodes/{node}/qemu/{vmid}/template", template),
    (Post, "/nodes/{node}/lxc/{vmid}/template", template),
];

fn clone(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest()?.clone();
    let (kind_of, vmid) = (guest.kind, guest.vmid);
    let new_id: u32 = call.number("newid").unwrap_or_default();
    let word = kind_of.word();
    let full = call.get("full").map_or(!guest.is_template(), |full| full == "1");
    if call.estate.guest(new_id).is_some() {
        return Err(Refusal::die(format!("unable to create {word} {new_id}: config file already exists")));
    }
    call.estate.unlocked(vmid)?;
    let snapshot = call.get("snapname").map(str::to_owned);
    let mut from = guest.config.clone();
    if let Some(name) = &snapshot {
        let values = guest.snapshots.get(name);
        from = values.cloned().ok_or_else(|| Refusal::die(format!("snapshot '{name}' does not exist")))?;
    }
    if !full && !guest.is_template() {
        return Err(Refusal::die(format!(
            "Linked clone feature is not available for {word} {vmid}: it is no template"
        )));
    }
    if kind_of == Kind::Lxc && full && guest.is_running() && snapshot.is_none() {
        return Err(Refusal::die("Full clone of a running container is only possible from a snapshot"));
    }
    let storage = call.get("storage").map(str::to_owned);
    if let Some(storage) = &storage {
        if !full {
            let problem = "this parameter is not allowed for linked clones";
            return Err(Refusal::parameter("storage", problem));
        }
        call.estate.storage(storage)?;
        call.caller().need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    }
    let target = call.get("target").unwrap_or(&guest.node).to_owned();
    if call.estate.node(&target).is_none() {
        return Err(Refusal::die(format!("no such cluster node '{target}'")));
    }
    let name = call.get(if kind_of == Kind::Qemu { "name" } else { "hostname" }).map(str::to_owned);
    let (description, pool) =
        (call.get("description").map(str::to_owned), call.get("pool").map(str::to_owned));
    from.retain(|key, _| {
        !matches!(key.as_str(), "template" | "parent" | "snaptime" | "lock") && !key.starts_with("unused")
    });
    let source = guest.node.clone();
    let mut work = Work::new().lock(vmid, "");
    if full {
        work = work.copy(config::total_size(&guest));
    }
    let work = work.step(
        0.5,
        format!("create {} clone of {word} {vmid} as {new_id}", if full { "full" } else { "linked" }),
    );
    let work = work.end(move |estate, _| {
        if let Some(problem) = taken(estate, new_id) {
            return Err(problem);
        }
        let mut new = Guest::new(new_id, kind_of, &target, &[]);
        for (key, value) in from {
            let value = copied_disk(
                estate,
                (kind_of, new_id, &target),
                &source,
                (&key, &value),
                full,
                storage.as_deref(),
            )?;
            new.config.insert(key, value);
        }
        let cards: Vec<String> = new.config.keys().filter(|key| key.starts_with("net")).cloned().collect();
        for key in cards {
            fresh_card(estate, &mut new, &key);
        }
        if kind_of == Kind::Qemu {
            new.config.insert("smbios1".to_owned(), format!("uuid={}", estate.uuid()));
            new.config.insert("vmgenid".to_owned(), estate.uuid());
        }
        let key = if kind_of == Kind::Qemu { "name" } else { "hostname" };
        let name = name.unwrap_or_else(|| format!("Copy-of-{word}-{}", new.name()));
        new.config.insert(key.to_owned(), name);
        if let Some(description) = description {
            new.config.insert("description".to_owned(), description);
        }
        estate.add_guest(new);
        join_pool(estate, new_id, pool.as_deref());
        Ok(())
    });
    call.task(&kind(call, "clone"), vmid, work)
}

/// A clone's disk: a whole copy, or one that leans on the template's.
fn copied_disk(
    estate: &mut Estate,
    guest: (Kind, u32, &str),
    from_node: &str,
    (key, value): (&str, &str),
    full: bool,
    storage: Option<&str>,
) -> Result<String, String> {
    let (kind, _, node) = guest;
    if !is_disk(kind, key) {
        return Ok(value.to_owned());
    }
    let Some(id) = volume(value) else { return Ok(value.to_owned()) };
    if id.contains("cloudinit") {
        let storage = storage.unwrap_or_else(|| id.split(':').next().unwrap_or("local")).to_owned();
        return value::prepared(estate, guest, key, &format!("{storage}:cloudinit,media=cdrom"));
    }
    if property(value, "media") == Some("cdrom") {
        return Ok(value.to_owned());
    }
    let Some(base) = estate.volume(id, from_node).cloned() else {
        return Err(format!("volume '{id}' does not exist"));
    };
    let target = storage.unwrap_or(&base.storage).to_owned();
    let format = (!full || base.format == "qcow2").then_some("qcow2");
    let new = estate.allocate(&target, guest, false, format, base.size)?;
    if full {
        return Ok(value.replacen(id, &new, 1));
    }
    // `fast:9000/base-9000-disk-0.qcow2/111/vm-111-disk-0.qcow2`
    let parent = base.name.clone();
    let name = new.split_once(':').map_or("", |(_, name)| name).to_owned();
    let linked = format!("{parent}/{name}");
    if let Some(volume) = estate.volume_mut(&new, node) {
        volume.name = linked.clone();
        volume.parent = Some(format!("../{parent}"));
    }
    Ok(value.replacen(id, &format!("{target}:{linked}"), 1))
}

fn template(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest()?;
    let (kind_of, vmid) = (guest.kind, guest.vmid);
    let word = kind_of.word();
    if guest.is_template() {
        return Err(Refusal::die(format!("you can't convert a template to a template ({word} {vmid})")));
    }
    if !guest.snapshots.is_empty() {
        return Err(Refusal::die(format!("unable to create template, because {word} contains snapshots")));
    }
    if guest.is_running() {
        return Err(Refusal::die(format!("you can't convert a {word} to template if {word} is running")));
    }
    call.estate.unlocked(vmid)?;
    let node = guest.node.clone();
    let work = Work::new().lock(vmid, "").step(1.0, format!("converting {word} {vmid} to a template")).end(
        move |estate, _| {
            let Some(guest) = estate.guest(vmid) else { return Ok(()) };
            let disks: Vec<(String, String)> = guest
                .config
                .iter()
                .filter(|(key, value)| is_disk(kind_of, key) && property(value, "media") != Some("cdrom"))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            for (key, value) in disks {
                let Some(id) = volume(&value).map(str::to_owned) else { continue };
                let base = id.replace("vm-", "base-").replace("subvol-", "basevol-");
                if let Some(volume) = estate.volume_mut(&id, &node) {
                    volume.name = base.split_once(':').map_or("", |(_, name)| name).to_owned();
                }
                if let Some(guest) = estate.guest_mut(vmid) {
                    guest.config.insert(key, value.replacen(&id, &base, 1));
                }
            }
            if let Some(guest) = estate.guest_mut(vmid) {
                guest.config.insert("template".to_owned(), "1".to_owned());
            }
            Ok(())
        },
    );
    let reply = call.task(&kind(call, "template"), vmid, work)?;
    Ok(if kind_of == Kind::Lxc { Reply::NULL } else { reply })
}
