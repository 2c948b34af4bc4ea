//! Who is on a bridge, a virtual network or a zone.

use smol_str::SmolStr;

use crate::estate::index::Index;
use crate::estate::part::Part;
use crate::estate::sdn::{Controller, Vnet, Zone};
use crate::estate::seen::Seen;
use crate::estate::users::Used;

/// A network card of a guest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NetUse {
    pub guest: u32,
    pub node: SmolStr,
    /// Of `net0`.
    pub number: u16,
    pub tag: Option<u16>,
    /// The virtual network that it is on, where another thing was asked about.
    pub through: Option<SmolStr>,
    pub pending: bool,
}

const PARTS: &[Part] = &[Part::Guests, Part::Sdn];

impl Index {
    /// The cards on a bridge of a node's, or of any node's: those that name it, and those on virtual networks that lie on
    /// it.
    pub fn on_bridge(&self, bridge: &str, node: Option<&str>) -> Seen<Vec<NetUse>> {
        let mut found = self.cards(bridge, None);
        let lies = |zone: &&Zone| zone.bridge.as_deref() == Some(bridge);
        for zone in self.cluster().zones.iter().filter(lies) {
            found.extend(self.cards_in(&zone.id));
        }
        found.retain(|card| node.is_none_or(|node| card.node == node));
        self.seen(found, PARTS)
    }

    pub fn on_vnet(&self, vnet: &str) -> Seen<Vec<NetUse>> {
        self.seen(self.cards(vnet, None), PARTS)
    }

    pub fn in_zone(&self, zone: &str) -> Seen<Vec<NetUse>> {
        self.seen(self.cards_in(zone), PARTS)
    }

    /// The zones that a controller serves.
    pub fn controlled_by(&self, controller: &str) -> Seen<Vec<SmolStr>> {
        let zones = self.cluster().zones.iter();
        let found = zones.filter(|zone| zone.controller.as_deref() == Some(controller));
        self.seen(found.map(|zone| zone.id.clone()).collect(), &[Part::Sdn])
    }

    #[must_use]
    pub fn vnet(&self, id: &str) -> Option<&Vnet> {
        self.cluster().vnets.iter().find(|vnet| vnet.id == id)
    }

    #[must_use]
    pub fn zone(&self, id: &str) -> Option<&Zone> {
        self.cluster().zones.iter().find(|zone| zone.id == id)
    }

    #[must_use]
    pub fn controller(&self, id: &str) -> Option<&Controller> {
        self.cluster().controllers.iter().find(|controller| controller.id == id)
    }

    fn cards_in(&self, zone: &str) -> Vec<NetUse> {
        let vnets = self.cluster().vnets.iter().filter(|vnet| vnet.zone.as_deref() == Some(zone));
        vnets.flat_map(|vnet| self.cards(&vnet.id, Some(&vnet.id))).collect()
    }

    fn cards(&self, bridge: &str, through: Option<&SmolStr>) -> Vec<NetUse> {
        let mut found = Vec::new();
        for guest in self.users(Used::Bridge(bridge.into())) {
            let cards = guest.nets.iter().filter(|net| net.bridge.as_deref() == Some(bridge));
            found.extend(cards.map(|net| NetUse {
                guest: guest.vmid,
                node: guest.node.clone(),
                number: net.number,
                tag: net.tag,
                through: through.cloned(),
                pending: net.pending,
            }));
        }
        found
    }
}
