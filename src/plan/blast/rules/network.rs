//! What a change of a node's network cuts off: whoever is connected, the node's own address, guests, storages.
//!
//! An interface carries what lies on it: a bond its bridge, a bridge its guests and virtual networks. What a call changes
//! waits until the network is applied.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;
use smol_str::SmolStr;

use super::{Get, Need, Rule};
use crate::estate::{NetUse, property};
use crate::plan::blast::look::{and, called, object};
use crate::plan::blast::{Door, Found, Look, Peer, Severity};
use crate::plan::fields::text;

pub const INTERFACES: &str = "the list of the node's interfaces";

pub const LISTED: Need = Need::Get(Get { name: INTERFACES, template: "/nodes/{node}/network", with: &[] });

pub const RULES: &[Rule] = &[
    Rule {
        calls: &["DELETE /nodes/{node}/network/{iface}"],
        needs: &[Need::Peers, LISTED],
        checks: &[removed],
    },
    Rule {
        calls: &["PUT /nodes/{node}/network/{iface}"],
        needs: &[Need::Peers, LISTED],
        checks: &[changed, sleeps],
    },
    Rule { calls: &["POST /nodes/{node}/network"], needs: &[Need::Peers, LISTED], checks: &[takes] },
    Rule { calls: &["PUT /nodes/{node}/network"], needs: &[Need::Peers, LISTED], checks: &[applied] },
];

/// Where an interface says what it lies on.
const PARTS: &[&str] = &["bridge_ports", "ovs_ports", "slaves", "ovs_bonds", "vlan-raw-device"];

/// An interface of the node's, as it will be.
pub struct Interface {
    pub name: String,
    /// With the node's own address in each.
    pub nets: Vec<IpNet>,
    parts: Vec<String>,
    gateway: Option<String>,
    is_dhcp: bool,
    is_bond: bool,
}

pub fn interfaces(look: &Look<'_>) -> Vec<Interface> {
    let of = |row: &Value| {
        let word = |key: &str| row.get(key).map(text).filter(|text| !text.is_empty());
        let name = word("iface")?;
        let mut parts: Vec<String> = PARTS
            .iter()
            .filter_map(|key| word(key))
            .flat_map(|list| property::list(&list).map(str::to_owned).collect::<Vec<_>>())
            .collect();
        if let Some((raw, _)) = name.split_once('.') {
            parts.push(raw.to_owned());
        }
        let kind = word("type").unwrap_or_default();
        let is_dhcp = ["method", "method6"].iter().any(|key| word(key).as_deref() == Some("dhcp"));
        let nets = nets(&word);
        let is_bond = kind == "bond" || kind == "OVSBond";
        Some(Interface { name, nets, parts, gateway: word("gateway"), is_dhcp, is_bond })
    };
    look.rows(INTERFACES).iter().filter_map(of).collect()
}

/// `cidr`, or `address` with its `netmask`.
fn nets(word: &dyn Fn(&str) -> Option<String>) -> Vec<IpNet> {
    let of = |cidr: &str, address: &str, mask: &str| {
        if let Some(net) = word(cidr).and_then(|text| text.parse().ok()) {
            return Some(net);
        }
        let (address, mask): (IpAddr, _) = (word(address)?.parse().ok()?, word(mask));
        let prefix = match mask.as_deref() {
            None => return Some(IpNet::from(address)),
            Some(mask) => match (mask.parse::<u8>(), mask.parse::<IpAddr>()) {
                (Ok(prefix), _) => prefix,
                (_, Ok(mask)) => ipnet::ip_mask_to_prefix(mask).ok()?,
                _ => return None,
            },
        };
        IpNet::new(address, prefix).ok()
    };
    [of("cidr", "address", "netmask"), of("cidr6", "address6", "netmask6")].into_iter().flatten().collect()
}

/// By which the cluster knows the node.
pub fn address_of(look: &Look<'_>, node: &str) -> Option<IpAddr> {
    let members = &look.estate.cluster().members;
    let member = members.nodes.iter().find(|one| one.name == node)?;
    member.address.as_deref()?.parse().ok()
}

/// The interface that has an address.
pub fn holder(look: &Look<'_>, address: IpAddr) -> Option<SmolStr> {
    let all = interfaces(look);
    let found = all.iter().find(|one| one.nets.iter().any(|net| net.addr() == address));
    found.map(|one| one.name.as_str().into())
}

/// Sorted before what else cannot be reached: who asks is most of all interested in that.
pub fn connection(peer: &Peer) -> String {
    let door = match peer.door {
        Door::Ssh => "ssh",
        Door::Web => "web",
    };
    format!("connection {door} from {}", peer.from)
}

/// What an interface loses.
struct Loss<'a> {
    id: &'a str,
    /// "is gone", "loses eno1"
    how: String,
    /// Whether what lies on it is cut off too.
    link: bool,
    /// The addresses that it no longer has.
    nets: Vec<IpNet>,
    /// Whether it does not exist any more: a guest on it cannot start.
    gone: bool,
}

fn removed(look: &Look<'_>, found: &mut Found) {
    let Some(id) = look.text("iface") else { return };
    let all = interfaces(look);
    let nets = all.iter().find(|one| one.name == id).map(|one| one.nets.clone()).unwrap_or_default();
    lose(look, found, &all, &Loss { id: &id, how: "is gone".into(), link: true, nets, gone: true });
}

/// PVE keeps of an interface what the call does not give, but for its addresses: those are gone.
fn changed(look: &Look<'_>, found: &mut Found) {
    let Some(id) = look.text("iface") else { return };
    let all = interfaces(look);
    let Some(was) = all.iter().find(|one| one.name == id) else {
        return found.unseen(format!("how {id} is now was not seen, and so not what it loses"));
    };
    let loses = |how: String, link, nets| Loss { id: &id, how, link, nets, gone: false };
    let stay = nets(&|key| look.text(key).filter(|text| !text.is_empty()));
    let lost: Vec<IpNet> = was.nets.iter().filter(|net| !stay.contains(net)).copied().collect();
    if !lost.is_empty() {
        let names: Vec<String> = lost.iter().map(ToString::to_string).collect();
        let how = match stay.is_empty() {
            true => format!("keeps no address, for the call gives none: it had {}", and(&names)),
            false => format!("no longer has {}", and(&names)),
        };
        lose(look, found, &all, &loses(how, false, lost));
    }
    let gone = look.list("delete");
    let is_set = |key: &&str| look.request().args.contains_key(*key) || gone.iter().any(|name| name == *key);
    if PARTS.iter().any(is_set) {
        let stay: Vec<String> = PARTS.iter().flat_map(|key| look.list(key)).collect();
        let lost: Vec<String> = was.parts.iter().filter(|part| !stay.contains(part)).cloned().collect();
        let left = was.parts.iter().any(|part| stay.contains(part));
        if !lost.is_empty() && was.is_bond && left {
            let why = format!(
                "{id} has {} no more once the network is applied: what is left of the bond has to carry it all",
                and(&lost)
            );
            found.hit(node(look), Severity::Degraded, why);
        } else if !lost.is_empty() {
            lose(look, found, &all, &loses(format!("loses {}, its way out", and(&lost)), true, Vec::new()));
        }
    }
    let gateway = look.text("gateway");
    let other = gateway.is_some() && gateway != was.gateway;
    if was.gateway.is_some() && (other || gone.iter().any(|name| name == "gateway")) {
        far(look, found, &all, was.gateway.as_deref().unwrap_or_default(), gateway.as_deref());
    }
}

/// Whoever comes from another network comes by the gateway.
fn far(look: &Look<'_>, found: &mut Found, all: &[Interface], old: &str, new: Option<&str>) {
    let what = match new {
        Some(new) => format!("the gateway {old} gives way to {new}"),
        None => format!("the gateway {old} is gone"),
    };
    let is_near = |peer: &Peer| all.iter().flat_map(|one| &one.nets).any(|net| net.contains(&peer.from));
    for peer in look.view.peers.iter().filter(|peer| is_here(look) && !is_near(peer)) {
        let why = format!(
            "once the network is applied {what}, and {} is in none of the node's own networks",
            peer.from
        );
        found.hit(connection(peer), Severity::Unreachable, why);
    }
    let why = format!("once the network is applied {what}: what is not in its own networks goes by that");
    found.hit(node(look), Severity::Degraded, why);
}

fn sleeps(look: &Look<'_>, found: &mut Found) {
    if let Some(id) = look.text("iface").filter(|_| look.is_off("autostart")) {
        let why = format!("{id} does not come up by itself when the node starts");
        found.hit(node(look), Severity::Degraded, why);
    }
}

/// A new interface takes what it lies on from those that have it.
fn takes(look: &Look<'_>, found: &mut Found) {
    let Some(id) = look.text("iface") else { return };
    let all = interfaces(look);
    // A VLAN shares its device with others.
    let shared = "vlan-raw-device";
    let parts: Vec<String> =
        PARTS.iter().filter(|key| **key != shared).flat_map(|key| look.list(key)).collect();
    for other in all.iter().filter(|other| other.name != id) {
        let taken: Vec<String> = parts.iter().filter(|part| other.parts.contains(part)).cloned().collect();
        let own = parts.contains(&other.name) && !other.nets.is_empty();
        if !taken.is_empty() {
            let how = format!("loses {} to {id}", and(&taken));
            let loss = Loss { id: &other.name, how, link: true, nets: Vec::new(), gone: false };
            lose(look, found, &all, &loss);
        } else if own {
            let how = format!("becomes a part of {id}, and is reached by its own address no more");
            let loss = Loss { id: &other.name, how, link: false, nets: other.nets.clone(), gone: false };
            lose(look, found, &all, &loss);
        }
    }
}

fn node(look: &Look<'_>) -> String {
    format!("node/{}", look.text("node").unwrap_or_default())
}

/// Whether the call is about the node that people are connected to.
fn is_here(look: &Look<'_>) -> bool {
    look.text("node").is_some() && look.text("node") == look.view.node
}

fn lose(look: &Look<'_>, found: &mut Found, all: &[Interface], loss: &Loss<'_>) {
    let mut carried = vec![loss.id.to_owned()];
    let mut at = 0;
    while let (true, Some(below)) = (loss.link, carried.get(at).cloned()) {
        for one in all.iter().filter(|one| one.parts.contains(&below)) {
            // A bond lives on by its other half.
            let alone = !one.is_bond || one.parts.iter().all(|part| *part == below);
            if alone && !carried.contains(&one.name) {
                carried.push(one.name.clone());
            } else if !alone {
                let why = format!(
                    "{} lies on {below}, and has to do without once the network is applied",
                    one.name
                );
                found.hit(node(look), Severity::Degraded, why);
            }
        }
        at += 1;
    }
    let mut nets: Vec<(String, IpNet)> = loss.nets.iter().map(|net| (loss.id.to_owned(), *net)).collect();
    for one in all.iter().filter(|one| loss.link && carried.contains(&one.name)) {
        nets.extend(one.nets.iter().map(|net| (one.name.clone(), *net)));
    }
    nets.dedup();
    let end = |on: &str| match on == loss.id {
        true => format!("{on}, which once the network is applied {}", loss.how),
        false => {
            format!("{on}, which lies on {}, and that once the network is applied {}", loss.id, loss.how)
        }
    };
    addresses(look, found, &nets, &end);
    if loss.link {
        for bridge in &carried {
            let on = found.all(look.estate.on_bridge(bridge, look.text("node").as_deref()));
            cards(look, found, &on, &end(bridge), loss.gone && bridge == loss.id);
        }
    }
}

/// Those who reach the node, or whom it reaches, by these addresses.
fn addresses(look: &Look<'_>, found: &mut Found, nets: &[(String, IpNet)], end: &dyn Fn(&str) -> String) {
    let id = look.text("node").unwrap_or_default();
    for peer in look.view.peers.iter().filter(|_| is_here(look)) {
        if let Some((on, _)) = nets.iter().find(|(_, net)| net.addr() == peer.local) {
            let why = format!(
                "somebody is connected from {} by {} to {}, which is on {}",
                peer.from,
                peer.door.name(),
                peer.local,
                end(on)
            );
            found.hit(connection(peer), Severity::Unreachable, why);
        }
    }
    if let Some(own) = address_of(look, &id)
        && let Some((on, _)) = nets.iter().find(|(_, net)| net.addr() == own)
    {
        let why = format!("{own}, by which the cluster and its operators know {id}, is on {}", end(on));
        found.hit(node(look), Severity::Unreachable, why);
    }
    let cluster = look.estate.cluster();
    for storage in cluster.storages.iter().filter(|storage| storage.is_on(&id)) {
        let places = storage
            .source
            .iter()
            .filter(|(key, _)| ["server", "server2", "portal", "monhost"].contains(&key.as_str()));
        let hosts: Vec<IpAddr> = places
            .flat_map(|(_, hosts)| property::list(hosts))
            .filter_map(|host| host.parse().ok())
            .collect();
        let by = hosts.iter().find_map(|host| Some((host, nets.iter().find(|(_, net)| net.contains(host))?)));
        if let Some((host, (on, _))) = by {
            let why = format!("{id} reaches {host} by {}", end(on));
            found.hit(format!("storage/{}", storage.id), Severity::Unreachable, why);
        }
    }
    let network = cluster.datacenter.get("migration").and_then(|value| property::get(value, "network"));
    if let Some(network) = network.and_then(|text| text.parse::<IpNet>().ok())
        && let Some((on, _)) = nets.iter().find(|(_, net)| network.contains(&net.addr()))
    {
        let why = format!("guests move to and from {id} by {network}, and it is there by {}", end(on));
        found.hit(node(look), Severity::Degraded, why);
    }
}

fn cards(look: &Look<'_>, found: &mut Found, on: &[NetUse], end: &str, gone: bool) {
    for (vmid, cards) in by_guest(on) {
        let Some(guest) = look.one(vmid) else { continue };
        let mut why = format!("{}'s {} on {end}", called(guest), and_is(&cards));
        if gone {
            why += ", and it does not start without";
        }
        found.hit(object(guest), Severity::Unreachable, why);
    }
}

/// The cards of each guest: `net0`, `net1 (by vnet web)`.
pub fn by_guest(on: &[NetUse]) -> Vec<(u32, Vec<String>)> {
    let mut all: Vec<(u32, Vec<String>)> = Vec::new();
    for card in on {
        let through = card.through.as_ref().map(|vnet| format!(" (by vnet {vnet})")).unwrap_or_default();
        let pending = if card.pending { " (pending)" } else { "" };
        let name = format!("net{}{through}{pending}", card.number);
        match all.iter_mut().find(|(vmid, _)| *vmid == card.guest) {
            Some((_, cards)) => cards.push(name),
            None => all.push((card.guest, vec![name])),
        }
    }
    all
}

/// `net0 is`, `net0 and net1 are`
pub fn and_is(names: &[String]) -> String {
    format!("{} {}", and(names), if names.len() == 1 { "is" } else { "are" })
}

/// What is pending takes effect: whoever is at an address that nothing has any more is cut off.
fn applied(look: &Look<'_>, found: &mut Found) {
    let id = look.text("node").unwrap_or_default();
    found.hit(
        node(look),
        Severity::Degraded,
        "what waits takes effect at once: interfaces that change go down and come up again, with whatever is on them",
    );
    if look.answer(INTERFACES).is_none() {
        return;
    }
    found.unseen(
        "which of the node's interfaces change: the API shows how each will be, and not how it is now",
    );
    let all = interfaces(look);
    let has = |address: IpAddr| all.iter().any(|one| one.nets.iter().any(|net| net.addr() == address));
    let dhcp: Vec<String> = all.iter().filter(|one| one.is_dhcp).map(|one| one.name.clone()).collect();
    let lost = |found: &mut Found, object: String, what: String, address: IpAddr| {
        if has(address) {
            return;
        }
        if dhcp.is_empty() {
            let why = format!("{what} {address}, and no interface has that once the network is applied");
            found.hit(object, Severity::Unreachable, why);
        } else {
            found.unseen(format!(
                "whether {address} stays: {} asked for by DHCP on {}",
                "addresses are",
                and(&dhcp)
            ));
        }
    };
    for peer in look.view.peers.iter().filter(|_| is_here(look)) {
        let what = format!("somebody is connected from {} by {} to", peer.from, peer.door.name());
        lost(found, connection(peer), what, peer.local);
    }
    if let Some(own) = address_of(look, &id) {
        lost(found, node(look), format!("the cluster and its operators know {id} by"), own);
    }
    for guest in look.estate.guests().filter(|guest| guest.node == id) {
        let mut missing: Vec<String> = Vec::new();
        for bridge in guest.nets.iter().filter_map(|net| net.bridge.as_deref()) {
            let there = all.iter().any(|one| one.name == bridge) || look.estate.vnet(bridge).is_some();
            if !there && !missing.iter().any(|name| name == bridge) {
                missing.push(bridge.to_owned());
            }
        }
        if !missing.is_empty() {
            let why = format!(
                "{} has a card on {}, which {id} does not have once the network is applied",
                called(guest),
                and(&missing)
            );
            found.hit(object(guest), Severity::Unreachable, why);
        }
    }
}
