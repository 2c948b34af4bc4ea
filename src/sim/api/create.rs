//! Guests come to be (new, restored, cloned, turned into templates) and cease to be.

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::Estate;
use super::super::estate::guest::{Guest, Kind, Run, Values, bytes, is_disk, property, volume};
use super::super::estate::now;
use super::super::route::Row;
use super::super::task::Work;
use super::{config, ha, lifecycle};
use crate::catalog::Method::{Delete, Post};

pub const TABLE: &[Row] = &[
    (Post, "/nodes/{node}/qemu", create),
    (Post, "/nodes/{node}/lxc", create),
    (Post, "/nodes/{node}/qemu/{vmid}/clone", clone),
    (Post, "/nodes/{node}/lxc/{vmid}/clone", clone),
    (Post, "/nodes/{node}/qemu/{vmid}/template", template),
    (Post, "/nodes/{node}/lxc/{vmid}/template", template),
    (Delete, "/nodes/{node}/qemu/{vmid}", destroy),
    (Delete, "/nodes/{node}/lxc/{vmid}", destroy),
];

fn kind(call: &Call<'_>, verb: &str) -> String {
    format!("{}{verb}", if call.kind() == Kind::Qemu { "qm" } else { "vz" })
}

fn taken(estate: &Estate, vmid: u32) -> Option<String> {
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
    // A pool's right to allocate covers what is set in a new guest.
    if pool.is_none() || call.caller().may(&vm_path, "VM.Allocate") {
        new_settings_allowed(call, kind_of, vmid, &given)?;
    }
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
                let value = config::prepared(estate, (kind_of, vmid, &place), &key, &value)?;
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

/// In a guest that is to be, what needs `VM.Config.*` is covered by the right to allocate it, where no right of its own
/// stands against it: PVE asks for each all the same.
fn new_settings_allowed(call: &Call<'_>, kind: Kind, vmid: u32, given: &Values) -> Result<(), Refusal> {
    config::may_set(call, kind, vmid, given, &[])
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

fn join_pool(estate: &mut Estate, vmid: u32, pool: Option<&str>) {
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
            remove_disks(estate, old);
        }
        let mut guest = saved;
        guest.vmid = vmid;
        place.clone_into(&mut guest.node);
        guest.run = Run::Stopped;
        let disks: Vec<(String, String)> = guest
            .config
            .iter()
            .filter(|(key, value)| is_disk(kind_of, key) && property(value, "media") != Some("cdrom"))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        for (key, value) in disks {
            let Some(id) = volume(&value) else { continue };
            let storage =
                target.clone().unwrap_or_else(|| id.split(':').next().unwrap_or("local").to_owned());
            let size = property(&value, "size").and_then(bytes).unwrap_or_default();
            let new = estate.allocate(&storage, (kind_of, vmid, &place), false, None, size)?;
            guest.config.insert(key, value.replacen(id, &new, 1));
        }
        if unique {
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
fn fresh_card(estate: &mut Estate, guest: &mut Guest, key: &str) {
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
        return config::prepared(estate, guest, key, &format!("{storage}:cloudinit,media=cdrom"));
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

fn destroy(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest()?.clone();
    let (vmid, word, lxc) = (guest.vmid, guest.kind.word(), guest.kind == Kind::Lxc);
    if guest.get("protection") == Some("1") {
        return Err(Refusal::die(format!("can't remove {word} {vmid} - protection mode enabled")));
    }
    let purge = call.flag("purge");
    let managed = ha::resource_of(call.estate, &guest).map(|resource| resource.id.clone());
    if managed.is_some() && !purge {
        return Err(Refusal::die(format!(
            "unable to remove {word} {vmid} - used in HA resources and purge parameter not set."
        )));
    }
    let prefix = format!("{vmid}-");
    let replicated =
        call.estate.sections("replication.cfg").list.iter().any(|job| job.id.starts_with(&prefix));
    if replicated && !purge {
        return Err(Refusal::die(format!(
            "There is a replication job for {} '{vmid}' - Please remove that first.",
            if lxc { "container" } else { "virtual machine" }
        )));
    }
    if guest.is_running() && !(lxc && call.flag("force")) {
        return Err(Refusal::die(if lxc {
            format!("unable to destroy CT {vmid} - container is running")
        } else {
            format!("VM {vmid} is running - destroy failed")
        }));
    }
    if !call.flag("skiplock") {
        call.estate.unlocked(vmid)?;
    }
    let work = Work::new()
        .begin(move |estate, _| {
            let Some(guest) = estate.guest(vmid) else { return Ok(()) };
            for (_, value) in guest.config.iter().filter(|(key, _)| is_disk(guest.kind, key)) {
                let Some(id) = volume(value) else { continue };
                let name = id.split_once(':').map_or("", |(_, name)| name);
                let below = format!("{name}/");
                if estate.volumes.iter().any(|volume| volume.name.starts_with(&below)) {
                    return Err(format!("base volume '{id}' is still in use by linked clones"));
                }
            }
            Ok(())
        })
        .step(1.0, format!("destroying {word} {vmid}"))
        .end(move |estate, _| {
            let Some(guest) = estate.remove_guest(vmid) else { return Ok(()) };
            remove_disks(estate, &guest);
            estate.remove_firewall(&format!("firewall/{vmid}.fw"));
            forget(estate, vmid, managed.as_deref(), purge);
            Ok(())
        });
    call.task(&kind(call, "destroy"), vmid, work)
}

fn remove_disks(estate: &mut Estate, guest: &Guest) {
    let node = guest.node.clone();
    let used = guest.config.iter().filter(|(key, _)| is_disk(guest.kind, key) || key.starts_with("unused"));
    for id in used.filter_map(|(_, value)| volume(value)) {
        // An image that many may have in their drive is nobody's.
        if estate.volume(id, &node).is_some_and(|volume| volume.vmid == Some(guest.vmid)) {
            estate.remove_volume(id, &node);
        }
    }
}

/// Out of its pool and its ACLs always; out of jobs only if asked.
fn forget(estate: &mut Estate, vmid: u32, managed: Option<&str>, purge: bool) {
    let path = format!("/vms/{vmid}");
    let access = estate.access();
    if access.pool_of(vmid).is_some() || access.acl.contains_key(&path) {
        let access = estate.access_mut();
        access.acl.remove(&path);
        access.pools.values_mut().for_each(|pool| {
            pool.vms.remove(&vmid);
        });
    }
    if let Some(sid) = managed {
        ha::forget(estate, sid, true);
    }
    if !purge {
        return;
    }
    let id = vmid.to_string();
    let named = |list: &str| list.split(',').any(|other| other == id);
    if estate.sections("jobs.cfg").list.iter().any(|job| job.get("vmid").is_some_and(named)) {
        for job in &mut estate.sections_mut("jobs.cfg").list {
            if let Some(list) = job.values.get_mut("vmid") {
                *list = list.split(',').filter(|other| *other != id).collect::<Vec<_>>().join(",");
            }
        }
    }
    let prefix = format!("{vmid}-");
    if estate.sections("replication.cfg").list.iter().any(|job| job.id.starts_with(&prefix)) {
        estate.sections_mut("replication.cfg").list.retain(|job| !job.id.starts_with(&prefix));
    }
}
