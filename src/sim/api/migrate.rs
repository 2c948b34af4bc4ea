//! Guests to another node.

use serde_json::{Map, Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::Estate;
use super::super::estate::guest::{Guest, Kind, is_disk, volume};
use super::super::route::Row;
use super::super::task::Work;
use super::{config, lifecycle};
use crate::catalog::Method::{Get, Post};

pub const TABLE: &[Row] = &[
    (Get, "/nodes/{node}/qemu/{vmid}/migrate", before_qemu),
    (Get, "/nodes/{node}/lxc/{vmid}/migrate", before_lxc),
    (Post, "/nodes/{node}/qemu/{vmid}/migrate", migrate),
    (Post, "/nodes/{node}/lxc/{vmid}/migrate", migrate),
    (Post, "/nodes/{node}/migrateall", migrate_all),
    (Post, "/cluster/bulk-action/guest/migrate", migrate_all),
];

/// The guest's volumes that lie on its node alone: key and id.
fn local<'a>(estate: &'a Estate, guest: &'a Guest) -> impl Iterator<Item = (&'a str, &'a str)> {
    let disks = guest.config.iter().filter(|(key, _)| is_disk(guest.kind, key) || key.starts_with("unused"));
    disks.filter_map(|(key, value)| Some((key.as_str(), volume(value)?))).filter(|(_, id)| {
        let storage = id.split(':').next().unwrap_or_default();
        estate.storage(storage).is_ok_and(|storage| !Estate::is_shared(storage))
    })
}

/// The nodes that it could go to, and those that lack a storage of it.
fn targets(estate: &Estate, guest: &Guest) -> (Vec<String>, Map<String, Value>) {
    let mut allowed = Vec::new();
    let mut refused = Map::new();
    for node in estate.nodes.iter().filter(|node| node.name != guest.node && node.online) {
        let storages = guest.config.values().filter_map(|value| volume(value)?.split(':').next());
        let missing: Vec<&str> = storages
            .filter(|name| estate.storage(name).is_ok_and(|storage| !estate.storage_on(storage, &node.name)))
            .collect();
        if missing.is_empty() {
            allowed.push(node.name.clone());
        } else {
            refused.insert(node.name.clone(), json!({ "unavailable_storages": missing }));
        }
    }
    (allowed, refused)
}

fn before_qemu(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest()?;
    let (allowed, refused) = targets(call.estate, guest);
    let disks: Vec<Value> = local(call.estate, guest)
        .map(|(key, id)| {
            let unused = key.starts_with("unused");
            json!({
                "volid": id, "cdrom": 0, "shared": 0, "replicate": 1, "is_unused": u8::from(unused),
                "is_attached": u8::from(!unused), "is_cloudinit": u8::from(id.contains("cloudinit")),
                "is_tpmstate": u8::from(key.starts_with("tpmstate")), "is_vmstate": 0,
            })
        })
        .collect();
    Ok(json!({
        "running": u8::from(guest.is_running()), "allowed_nodes": allowed, "not_allowed_nodes": refused,
        "local_disks": disks, "local_resources": [], "mapped-resources": [], "mapped-resource-info": {},
        "has-dbus-vmstate": 1,
    })
    .into())
}

fn before_lxc(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest()?;
    let (allowed, refused) = targets(call.estate, guest);
    Ok(json!({
        "running": u8::from(guest.is_running()), "allowed-nodes": allowed, "not-allowed-nodes": refused,
    })
    .into())
}

fn migrate(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest()?.clone();
    let target = call.need("target");
    if target == guest.node {
        return Err(Refusal::parameter("target", "target is local node."));
    }
    if call.estate.node(&target).is_none() {
        return Err(Refusal::die(format!("no such cluster node '{target}'")));
    }
    if call.estate.node(&target).is_some_and(|node| !node.online) {
        return Err(Refusal::die(format!("target node '{target}' is offline")));
    }
    let (online, restart) = (call.flag("online"), call.flag("restart"));
    let lxc = guest.kind == Kind::Lxc;
    if guest.is_running() && !online && !restart {
        let words = if lxc {
            "can't migrate running container without --online or --restart"
        } else {
            "can't migrate running VM without --online"
        };
        return Err(Refusal::die(words));
    }
    let attached = local(call.estate, &guest).any(|(key, _)| !key.starts_with("unused"));
    let with_disks = call.flag("with-local-disks");
    let vmid = guest.vmid;
    let refused = (!lxc && guest.is_running() && attached && !with_disks).then(|| {
        "Problem found while scanning volumes - can't live migrate attached local disks without \
                  with-local-disks option"
            .to_owned()
    });
    let from = guest.node.clone();
    let bytes = if attached { config::total_size(&guest) } else { 0 };
    let to = target.clone();
    let mut work = Work::new()
        .lock(vmid, "migrate")
        .begin(move |_, lines| {
            lines.push(format!(
                "starting migration of {} {vmid} to node '{target}'",
                if lxc { "CT" } else { "VM" }
            ));
            refused.map_or(Ok(()), Err)
        })
        .step(1.0, format!("found {} local volume(s)", local(call.estate, &guest).count()));
    if bytes > 0 {
        work = work.copy(bytes);
    }
    let work = work.end(move |estate, lines| {
        relocate(estate, vmid, &from, &to);
        if lxc && restart {
            lifecycle::set_running(estate, vmid);
        }
        lines.push("migration finished successfully (duration 00:00:04)".to_owned());
        Ok(())
    });
    call.task(if lxc { "vzmigrate" } else { "qmigrate" }, vmid, work)
}

fn relocate(estate: &mut Estate, vmid: u32, from: &str, to: &str) {
    for volume in
        estate.volumes.iter_mut().filter(|volume| volume.vmid == Some(vmid) && volume.content != "backup")
    {
        if volume.node == from {
            to.clone_into(&mut volume.node);
        }
    }
    estate.move_guest(vmid, to);
}

fn migrate_all(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let target = call.need("target");
    if call.estate.node(&target).is_none() {
        return Err(Refusal::die(format!("no such cluster node '{target}'")));
    }
    let from = call.get("node").map(str::to_owned);
    let named: Vec<u32> = call.list("vms").iter().filter_map(|vmid| vmid.parse().ok()).collect();
    let caller = call.caller();
    let guests = call.estate.guests().filter(|guest| {
        guest.node != target
            && from.as_ref().is_none_or(|from| guest.node == *from)
            && (named.is_empty() || named.contains(&guest.vmid))
            && caller.may(&format!("/vms/{}", guest.vmid), "VM.Migrate")
    });
    let moves: Vec<(u32, String)> = guests.map(|guest| (guest.vmid, guest.node.clone())).collect();
    let mut work = Work::new();
    for (vmid, _) in &moves {
        work = work.step(1.0, format!("migrating guest {vmid}"));
    }
    let work = work.end(move |estate, _| {
        for (vmid, from) in moves {
            if estate.unlocked(vmid).is_ok() {
                relocate(estate, vmid, &from, &target);
            }
        }
        Ok(())
    });
    call.task("migrateall", "", work)
}
