//! Guests cease to be, and what named them forgets them.

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::Estate;
use super::super::estate::guest::{Guest, Kind, is_disk, volume};
use super::super::route::Row;
use super::super::task::Work;
use super::create::kind;
use super::ha;
use crate::catalog::Method::Delete;

pub const TABLE: &[Row] =
    &[(Delete, "/nodes/{node}/qemu/{vmid}", destroy), (Delete, "/nodes/{node}/lxc/{vmid}", destroy)];

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

pub fn remove_disks(estate: &mut Estate, guest: &Guest) {
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
