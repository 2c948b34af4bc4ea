//! What a guest hangs on, and its snapshots and volumes with it.

use super::{Edge, Object, Why};
use crate::estate::guest::{DeviceFrom, Guest, Role};
use crate::estate::index::Index;

fn why(role: Role) -> Why {
    match role {
        Role::Boot => Why::BootsFrom,
        Role::Data => Why::HasDataOn,
        Role::Firmware => Why::HasFirmwareOn,
        Role::CloudInit => Why::HasCloudInitOn,
        Role::Media => Why::HasMediaOn,
        Role::Snippet => Why::HasSnippetOn,
        Role::Unused => Why::KeepsUnusedOn,
        Role::State => Why::HasStateOn,
        Role::Leftover => Why::HasLeftoverOn,
    }
}

pub(super) fn edges<'a>(index: &'a Index, guest: &'a Guest, each: &mut dyn FnMut(Edge<'a>)) {
    let me = Object::Guest(guest.vmid);
    let mut hangs = |from, why, to| each(Edge { from, why, to });
    hangs(me, Why::RunsOn, Object::Node(&guest.node));
    for disk in &guest.disks {
        let Some(volume) = disk.volume() else { continue };
        hangs(me, why(disk.role), Object::Volume(volume));
        hangs(me, why(disk.role), Object::Storage(volume.storage()));
        hangs(Object::Volume(volume), Why::LiesOn, Object::Storage(volume.storage()));
    }
    for owner in guest.volumes().filter_map(|volume| volume.base()?.owner()) {
        hangs(me, Why::CloneOf, Object::Guest(owner));
    }
    if let Some(storage) = &guest.state_storage {
        hangs(me, Why::SuspendsTo, Object::Storage(storage));
    }
    for snapshot in &guest.snapshots {
        let this = Object::Snapshot(guest.vmid, &snapshot.name);
        hangs(this, Why::SnapshotOf, me);
        if let Some(parent) = &snapshot.parent {
            hangs(this, Why::SnapshotAfter, Object::Snapshot(guest.vmid, parent));
        }
        if let Some(state) = &snapshot.state {
            hangs(this, Why::SnapshotStateOn, Object::Volume(state));
            hangs(this, Why::SnapshotStateOn, Object::Storage(state.storage()));
        }
        snapshot.only_here.iter().for_each(|volume| hangs(this, Why::SnapshotOn, Object::Volume(volume)));
        snapshot.storages.iter().for_each(|storage| hangs(this, Why::SnapshotOn, Object::Storage(storage)));
    }
    if let Some(parent) = &guest.parent {
        hangs(me, Why::SnapshotAfter, Object::Snapshot(guest.vmid, parent));
    }
    for bridge in guest.nets.iter().filter_map(|net| net.bridge.as_deref()) {
        let to = if index.vnet(bridge).is_some() { Object::Vnet(bridge) } else { Object::Bridge(bridge) };
        hangs(me, Why::UsesBridge, to);
    }
    for device in &guest.devices {
        if let DeviceFrom::Mapping(kind, id) = &device.from {
            hangs(me, Why::UsesMapping, Object::Mapping(*kind, id));
        }
    }
    guest.tags.iter().for_each(|tag| hangs(me, Why::Tagged, Object::Tag(tag)));
    let access = &index.cluster().access;
    if let Some(pool) = access.pool_of(guest.vmid) {
        hangs(me, Why::MemberOfPool, Object::Pool(pool));
    }
    for job in index.cluster().jobs.iter() {
        if job.covers(guest, access.pool_of(guest.vmid).map(smol_str::SmolStr::as_str)) {
            hangs(Object::Job(&job.id), Why::BacksUp, me);
        }
    }
}
