//! Which guests use a thing: what makes a blast radius a look-up.

use std::collections::HashMap;
use std::sync::Arc;

use smol_str::SmolStr;

use super::guest::{Device, DeviceFrom, Guest};
use super::index::Held;
use super::mapping;
use super::volume::Volume;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Used {
    Storage(SmolStr),
    /// A bridge or a virtual network.
    Bridge(SmolStr),
    /// The guest that a linked clone hangs on.
    Template(u32),
    Mapping(mapping::Kind, SmolStr),
}

/// Places in the index's list of guests, in its order.
#[derive(Debug, Clone, Default)]
pub(super) struct Users(HashMap<Used, Vec<u32>>);

impl Users {
    pub(super) fn of(&self, used: &Used) -> &[u32] {
        self.0.get(used).map_or(&[], Vec::as_slice)
    }

    /// Of the guests that are now in the list. While none comes or goes, only those that changed are looked at.
    pub(super) fn next(&self, before: &[Held], now: &[Held]) -> Self {
        let stays = |(old, new): (&Held, &Held)| old.listed.key() == new.listed.key();
        if before.is_empty() || before.len() != now.len() || !before.iter().zip(now).all(stays) {
            let mut users = Self::default();
            (0u32..).zip(now).for_each(|(place, held)| users.add(&held.guest, place));
            return users;
        }
        let mut users = self.clone();
        for (place, (old, new)) in (0u32..).zip(before.iter().zip(now)) {
            if !Arc::ptr_eq(&old.guest, &new.guest) {
                users.remove(&old.guest, place);
                users.add(&new.guest, place);
            }
        }
        users
    }

    fn add(&mut self, guest: &Guest, place: u32) {
        uses(guest, &mut |used| {
            let places = self.0.entry(used).or_default();
            // Almost always it is the last.
            let at = places.partition_point(|other| *other < place);
            if places.get(at) != Some(&place) {
                places.insert(at, place);
            }
        });
    }

    fn remove(&mut self, guest: &Guest, place: u32) {
        uses(guest, &mut |used| {
            if let Some(places) = self.0.get_mut(&used) {
                places.retain(|other| *other != place);
            }
        });
    }
}

fn uses(guest: &Guest, each: &mut dyn FnMut(Used)) {
    for volume in guest.volumes() {
        each(Used::Storage(volume.storage().clone()));
        volume
            .base()
            .as_ref()
            .and_then(Volume::owner)
            .into_iter()
            .for_each(|owner| each(Used::Template(owner)));
    }
    let snapshots = guest.snapshots.iter().flat_map(|snapshot| &snapshot.storages);
    snapshots.chain(&guest.state_storage).for_each(|storage| each(Used::Storage(storage.clone())));
    let bridges = guest.nets.iter().filter_map(|net| net.bridge.clone());
    bridges.for_each(|bridge| each(Used::Bridge(bridge)));
    for Device { from, .. } in &guest.devices {
        if let DeviceFrom::Mapping(kind, id) = from {
            each(Used::Mapping(*kind, id.clone()));
        }
    }
}
