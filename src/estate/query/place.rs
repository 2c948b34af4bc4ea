//! What ties a guest to its node, and what another node lacks for it.

use smol_str::SmolStr;

use crate::estate::guest::{Backing, DeviceFrom, Guest, Slot};
use crate::estate::ha::Places;
use crate::estate::index::Index;
use crate::estate::mapping;
use crate::estate::part::Part;
use crate::estate::seen::Seen;
use crate::estate::users::Used;

/// Something of a guest that is on its node alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tie {
    /// A disk on a storage that is not shared.
    Disk(Slot, SmolStr),
    /// A folder or a device of the node's.
    Host(Slot, SmolStr),
    /// `hostpci0`, and what it is there.
    Device(SmolStr, SmolStr),
}

/// What a node does not have for a guest, as far as the cluster's files say. Whether it has a bridge is its own to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// The storage is not for that node, or off.
    Storage(SmolStr),
    Mapping(mapping::Kind, SmolStr),
    /// The zone of a virtual network that the guest is on is not there.
    Zone(SmolStr),
    /// A rule of HA's that keeps the guest elsewhere.
    Rule(SmolStr),
}

impl Index {
    pub fn ties(&self, guest: &Guest) -> Seen<Vec<Tie>> {
        let mut found = Vec::new();
        for disk in &guest.disks {
            match &disk.backing {
                Backing::Volume(volume) => {
                    // Of a storage that nobody describes the worst is believed.
                    let shared = self.storage(volume.storage()).is_some_and(|storage| storage.shared);
                    if !shared {
                        found.push(Tie::Disk(disk.slot, volume.storage().clone()));
                    }
                }
                Backing::Host(path) if !disk.shared => found.push(Tie::Host(disk.slot, path.clone())),
                Backing::Host(_) | Backing::Empty => {}
            }
        }
        for device in &guest.devices {
            if let DeviceFrom::Node(path) = &device.from {
                found.push(Tie::Device(device.key.clone(), path.clone()));
            }
        }
        self.seen(found, &[Part::Guests, Part::Storages])
    }

    /// What keeps a guest from running on that node, its local disks aside: those are for a migration to move.
    pub fn lacks(&self, guest: &Guest, node: &str) -> Seen<Vec<Lack>> {
        let cluster = self.cluster();
        let mut found = Vec::new();
        let mut lack = |one| {
            if !found.contains(&one) {
                found.push(one);
            }
        };
        for volume in guest.volumes() {
            let id = volume.storage();
            if !self.storage(id).is_some_and(|storage| storage.is_on(node)) {
                lack(Lack::Storage(id.clone()));
            }
        }
        for device in &guest.devices {
            let DeviceFrom::Mapping(kind, id) = &device.from else { continue };
            let mapped = cluster.mappings.get(kind).into_iter().flatten().find(|mapping| mapping.id == *id);
            if !mapped.is_some_and(|mapping| mapping.nodes.iter().any(|on| on == node)) {
                lack(Lack::Mapping(*kind, id.clone()));
            }
        }
        for bridge in guest.nets.iter().filter_map(|net| net.bridge.as_deref()) {
            let zone = self.vnet(bridge).and_then(|vnet| self.zone(vnet.zone.as_deref()?));
            if let Some(zone) =
                zone.filter(|zone| !zone.nodes.is_empty() && !zone.nodes.iter().any(|on| on == node))
            {
                lack(Lack::Zone(zone.id.clone()));
            }
        }
        let sid = guest.sid();
        for rule in cluster.rules.iter().filter(|rule| !rule.disabled) {
            if let Places::Nodes { nodes, strict: true } = &rule.places
                && rule.resources.iter().any(|resource| *resource == sid)
                && !nodes.iter().any(|on| on == node)
            {
                lack(Lack::Rule(rule.id.clone()));
            }
        }
        let group = cluster.resources.iter().find(|one| one.sid == sid).and_then(|one| one.group.as_ref());
        let group = group.and_then(|id| cluster.ha_groups.iter().find(|group| group.id == *id));
        if let Some(group) =
            group.filter(|group| group.restricted && !group.nodes.iter().any(|on| on == node))
        {
            lack(Lack::Rule(group.id.clone()));
        }
        let parts = [Part::Guests, Part::Storages, Part::Mappings, Part::Sdn, Part::Ha];
        self.seen(found, &parts)
    }

    /// The guests that use a hardware mapping.
    pub fn users_of_mapping(&self, kind: mapping::Kind, id: &SmolStr) -> Seen<Vec<u32>> {
        let found = self.users(Used::Mapping(kind, id.clone())).map(|guest| guest.vmid).collect();
        self.seen(found, &[Part::Guests])
    }
}
