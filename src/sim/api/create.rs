//! Guests come to be: new, or restored from a backup.

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::Estate;
use super::super::estate::guest::{Guest, Kind, Run, Values, bytes, is_disk, property, volume};
use super::super::estate::now;
use super::super::route::Row;
use super::super::task::Work;
use super::{config, destroy, lifecycle, value};
use crate::catalog::Method::Post;

pub const TABLE: &[Row] = &[(Post, "/nodes/{node}/qemu", create), (Post, "/nodes/{node}/lxc", create)];

pub fn kind(call: &Call<'_>, verb: &str) -> String {
    format!("{}{verb}", if call.kind() == Kind::Qemu { "qm" } else { "vz" })
}

pub fn taken(estate: &Estate, vmid: u32) -> Option<String> {
    let guest = estate.guest(vmid)?;
    Some(format!("{} {vmid} already exists on node '{}'", guest.kind.word(), guest.node))
}

/// What PVE writes into a new VM's configuration by itself.
fn born(estate: &mut Estate, given: &mut Values) {
    given.insert("smbios1".to_owned(), format!("uuid={}", estate.uuid()));
    given.insert("vmgenid".to_owned(), estate.uuid());
    given.insert("meta".to_owned(), format!("creation-qemu=10.1.2,ctime={}", now()));
    if !given.contains_key("boot") {
        let mut order: Vec<&str> =
            given.keys().map(String::as_str).filter(|key| is_disk(Kind::Qemu, key)).collect();
        order.extend(given.keys().map(String::as_str).filter(|key| key.starts_with("net")));
        let boot = if order.is_empty() { String::new() } else { format!("order={}", order.join(";")) };
        given.insert("boot".to_owned(), boot);
    }
    given.retain(|key, value| key != "boot" || !value.is_empty());
}

fn create(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (kind_of, node, vmid) = (call.kind(), call.node(), call.vmid());
    let restore = call.get("archive").is_some() || call.flag("restore");
    let vm_path = format!("/vms/{vmid}");
    let pool = call.get("pool").map(str::to_owned);
    let may = call.caller().may(&vm_path, "VM.Allocate")
        || pool.as_ref().is_some_and(|pool| call.caller().may(&format!("/pool/{pool}"), "VM.Allocate"));
    let existing = call.estate.guest(vmid).is_some();
    let over = restore && existing && call.flag("force");
    let may = may || (over && call.caller().may(&vm_path, "VM.Backup"));
    if !may {
        return Err(Refusal::forbidden(&format!("{vm_path}, VM.Allocate")));
    }
    if let Some(pool) = &pool
        && !call.estate.access().pools.contains_key(pool)
    {
        return Err(Refusal::die(format!("no such pool '{pool}'")));
    }
    let word = kind_of.word();
    let verb = if restore { "restore" } else { "create" };
    if let Some(problem) = taken(call.estate, vmid).filter(|_| !over) {
        return Err(Refusal::die(format!("unable to {verb} {word} {vmid} - {problem}")));
    }
    if over && call.estate.guest(vmid).is_some_and(Guest::is_running) {
        return Err(Refusal::die(format!("unable to restore {word} {vmid} - {word} is running")));
    }
    if restore {
        return restored(call, pool);
    }
    let mut given = config::settings(call);
    if kind_of == Kind::Lxc {
        as_container(call, &mut given)?;
    }
    config::may_set(call, kind_of, (vmid, pool.as_deref()), &given, &[])?;
    let start = call.flag("start");
    let place = node.clone();
    let work = Work::new()
        .begin(move |estate, _| match taken(estate, vmid) {
            Some(problem) => Err(format!("unable to create {word} {vmid} - {problem}")),
            None => Ok(()),
        })
        .step(if kind_of == Kind::Lxc { 6.0 } else { 1.5 }, format!("creating {word} {vmid}"))
        .end(move |estate, lines| {
            let mut config = Values::new();
            for (key, value) in given {
                let value = value::prepared(estate, (kind_of, vmid, &place), &key, &value)?;
                if let Some(id) = volume(&value).filter(|_| is_disk(kind_of, &key)) {
                    lines.push(format!("{key}: successfully created disk '{id}'"));
                }
                config.insert(key, value);
            }
            if kind_of == Kind::Qemu {
                born(estate, &mut config);
            }
            let mut guest = Guest::new(vmid, kind_of, &place, &[]);
            guest.config = config;
            estate.add_guest(guest);
            join_pool(estate, vmid, pool.as_deref());
            if start {
                lifecycle::set_running(estate, vmid);
            }
            Ok(())
        });
    call.task_on(&node, &kind(call, "create"), vmid, work)
}

fn as_container(call: &Call<'_>, given: &mut Values) -> Result<(), Refusal> {
    let template = call.need("ostemplate");
    if call.estate.volume(&template, &call.node()).is_none() {
        return Err(Refusal::die(format!("volume '{template}' does not exist")));
    }
    let storage = call.get("storage").unwrap_or("local");
    given.entry("rootfs".to_owned()).or_insert_with(|| format!("{storage}:4"));
    for (key, value) in [("arch", "amd64"), ("memory", "512"), ("swap", "512")] {
        given.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
    let os = ["debian", "ubuntu", "alpine", "fedora", "centos", "archlinux"];
    let os = os.iter().find(|os| template.contains(*os)).copied().unwrap_or("unmanaged");
    given.entry("ostype".to_owned()).or_insert_with(|| os.to_owned());
    given.entry("hostname".to_owned()).or_insert_with(|| format!("CT{}", call.vmid()));
    // Since 9 a new container has no privileges but by asking.
    given.entry("unprivileged".to_owned()).or_insert_with(|| "1".to_owned());
    Ok(())
}

pub fn join_pool(estate: &mut Estate, vmid: u32, pool: Option<&str>) {
    if let Some(pool) = pool.and_then(|pool| estate.access_mut().pools.get_mut(pool)) {
        pool.vms.insert(vmid);
    }
}

fn restored(call: &mut Call<'_>, pool: Option<String>) -> Result<Reply, Refusal> {
    let (kind_of, node, vmid) = (call.kind(), call.node(), call.vmid());
    let archive = call.get("archive").or(call.get("ostemplate")).unwrap_or_default().to_owned();
    let found = call.estate.volume(&archive, &node);
    let found = found.ok_or_else(|| Refusal::die(format!("volume '{archive}' does not exist")))?;
    let Some(saved) = found.archive.as_deref().filter(|saved| saved.kind == kind_of).cloned() else {
        return Err(Refusal::die(format!(
            "unable to restore {vmid} - '{archive}' is no backup of a {}",
            kind_of.word()
        )));
    };
    let storage_of = archive.split(':').next().unwrap_or_default().to_owned();
    call.caller()
        .need_any(&format!("/storage/{storage_of}"), &["Datastore.AllocateSpace", "Datastore.Audit"])?;
    let target = call.get("storage").map(str::to_owned);
    let (start, unique) = (call.flag("start"), call.flag("unique"));
    let size = config::total_size(&saved);
    let place = node.clone();
    let work = Work::new().copy(size).end(move |estate, _| {
        let old = estate.remove_guest(vmid);
        if let Some(old) = &old {
            destroy::remove_disks(estate, old);
        }
        let mut guest = saved;
        guest.vmid = vmid;
        place.clone_into(&mut guest.node);
        guest.run = Run::Stopped;
        let disks: Vec<(String, String)> = guest
            .config
            .iter()
            .filter(|(key, value)| {
                is_disk(kind_of, key)
                    && (property(value, "media") != Some("cdrom") || value.contains("cloudinit"))
            })
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        for (key, value) in disks {
            let Some(id) = volume(&value) else { continue };
            let storage =
                target.clone().unwrap_or_else(|| id.split(':').next().unwrap_or("local").to_owned());
            if id.contains("cloudinit") {
                let drive = format!("{storage}:cloudinit,media=cdrom");
                let drive = value::prepared(estate, (kind_of, vmid, &place), &key, &drive)?;
                guest.config.insert(key, drive);
                continue;
            }
            let size = property(&value, "size").and_then(bytes).unwrap_or_default();
            let new = estate.allocate(&storage, (kind_of, vmid, &place), false, None, size)?;
            guest.config.insert(key, value.replacen(id, &new, 1));
        }
        // No two states of a machine have the same one, whatever else is kept.
        if guest.config.contains_key("vmgenid") {
            guest.config.insert("vmgenid".to_owned(), estate.uuid());
        }
        if unique {
            if let Some(board) = guest.config.get("smbios1") {
                let uuid = format!("uuid={}", estate.uuid());
                let parts =
                    board.split(',').map(|part| if part.starts_with("uuid=") { &*uuid } else { part });
                let board = parts.collect::<Vec<_>>().join(",");
                guest.config.insert("smbios1".to_owned(), board);
            }
            let cards: Vec<String> =
                guest.config.keys().filter(|key| key.starts_with("net")).cloned().collect();
            for key in cards {
                fresh_card(estate, &mut guest, &key);
            }
        }
        estate.add_guest(guest);
        join_pool(estate, vmid, pool.as_deref());
        if start {
            lifecycle::set_running(estate, vmid);
        }
        Ok(())
    });
    call.task_on(&node, &kind(call, "restore"), vmid, work)
}

/// A network card of a copy has an address of its own.
pub fn fresh_card(estate: &mut Estate, guest: &mut Guest, key: &str) {
    let address = estate.mac();
    let Some(value) = guest.config.get_mut(key) else { return };
    let parts: Vec<String> = value
        .split(',')
        .enumerate()
        .map(|(number, part)| match part.split_once('=') {
            Some((model, _)) if number == 0 && guest.kind == Kind::Qemu => format!("{model}={address}"),
            Some(("hwaddr", _)) => format!("hwaddr={address}"),
            _ => part.to_owned(),
        })
        .collect();
    *value = parts.join(",");
}
