//! Guests on virtual networks that go, change, or leave nodes. What a call changes waits until the SDN is applied.

use serde_json::Value;
use smol_str::SmolStr;

use super::network::{and_is, by_guest};
use super::{Get, Need, Rule};
use crate::estate::NetUse;
use crate::plan::blast::look::{and, called, object};
use crate::plan::blast::{Found, Look, Severity};
use crate::plan::fields::text;

const ZONES: &str = "the list of zones";
const ZONES_WAIT: &str = "the zones that wait to be applied";
const VNETS_WAIT: &str = "the virtual networks that wait to be applied";

const LISTED: Need = Need::Get(Get { name: ZONES, template: "/cluster/sdn/zones", with: &[] });
const PENDING: &[Need] = &[
    Need::Get(Get { name: ZONES_WAIT, template: "/cluster/sdn/zones", with: &[("pending", "1")] }),
    Need::Get(Get { name: VNETS_WAIT, template: "/cluster/sdn/vnets", with: &[("pending", "1")] }),
];

const NONE: &[Need] = &[];

pub const RULES: &[Rule] = &[
    Rule { calls: &["DELETE /cluster/sdn/zones/{zone}"], needs: NONE, checks: &[zone_removed] },
    Rule { calls: &["PUT /cluster/sdn/zones/{zone}"], needs: NONE, checks: &[zone_leaves, zone_changed] },
    Rule { calls: &["DELETE /cluster/sdn/vnets/{vnet}"], needs: NONE, checks: &[vnet_removed] },
    Rule { calls: &["PUT /cluster/sdn/vnets/{vnet}"], needs: NONE, checks: &[vnet_changed] },
    Rule {
        calls: &[
            "DELETE /cluster/sdn/vnets/{vnet}/subnets/{subnet}",
            "PUT /cluster/sdn/vnets/{vnet}/subnets/{subnet}",
        ],
        needs: NONE,
        checks: &[subnet],
    },
    Rule {
        calls: &["DELETE /cluster/sdn/controllers/{controller}", "PUT /cluster/sdn/controllers/{controller}"],
        needs: NONE,
        checks: &[controller],
    },
    Rule {
        calls: &[
            "PUT /cluster/sdn/ipams/{ipam}",
            "PUT /cluster/sdn/dns/{dns}",
            "DELETE /cluster/sdn/ipams/{ipam}",
            "DELETE /cluster/sdn/dns/{dns}",
            "DELETE /cluster/sdn/fabrics/fabric/{id}",
            "PUT /cluster/sdn/fabrics/fabric/{id}",
            "PUT /cluster/sdn/fabrics/node/{fabric_id}/{node_id}",
            "DELETE /cluster/sdn/fabrics/node/{fabric_id}/{node_id}",
        ],
        needs: &[LISTED],
        checks: &[served],
    },
    Rule { calls: &["PUT /cluster/sdn"], needs: PENDING, checks: &[applied] },
];

const THEN: &str = "once the SDN is applied";

/// `vm 104's net0 is on vnet web, …`
fn tell(look: &Look<'_>, found: &mut Found, cards: &[NetUse], on: &str, severity: Severity, end: &str) {
    for (vmid, names) in by_guest(cards) {
        if let Some(guest) = look.one(vmid) {
            let why = format!("{}'s {} on {on}, {end}", called(guest), and_is(&names));
            found.hit(object(guest), severity, why);
        }
    }
}

fn vnets_of(look: &Look<'_>, zone: &str) -> Vec<SmolStr> {
    let vnets = look.estate.cluster().vnets.iter();
    vnets.filter(|vnet| vnet.zone.as_deref() == Some(zone)).map(|vnet| vnet.id.clone()).collect()
}

fn zone_removed(look: &Look<'_>, found: &mut Found) {
    let Some(id) = look.text("zone") else { return };
    let cards = found.all(look.estate.in_zone(&id));
    let end = format!("which is gone {THEN}");
    tell(look, found, &cards, &format!("zone {id}"), Severity::Unreachable, &end);
    for vnet in vnets_of(look, &id) {
        let why = format!("it is in zone {id}: PVE refuses to remove that while it is");
        found.hit(format!("vnet/{vnet}"), Severity::Unreachable, why);
    }
}

/// `nodes` names all that have the zone from now on.
fn zone_leaves(look: &Look<'_>, found: &mut Found) {
    let Some(id) = look.text("zone") else { return };
    let stay = look.list("nodes");
    let Some(was) = look.estate.zone(&id).filter(|_| !stay.is_empty()) else { return };
    let leaves = |node: &str| {
        let had = was.nodes.is_empty() || was.nodes.iter().any(|name| name == node);
        had && !stay.iter().any(|name| name == node)
    };
    let mut cards = found.all(look.estate.in_zone(&id));
    cards.retain(|card| leaves(&card.node));
    let end = format!("which leaves its node {THEN}");
    tell(look, found, &cards, &format!("zone {id}"), Severity::Unreachable, &end);
}

/// What a zone lies on and goes by, beside the nodes that have it.
const GOES_BY: &[&str] = &[
    "bridge",
    "controller",
    "exitnodes",
    "exitnodes-primary",
    "fabric",
    "mac",
    "mtu",
    "peers",
    "rt-import",
    "tag",
    "vlan-protocol",
    "vrf-vxlan",
    "vxlan-port",
];

/// What the call makes another, with what it is now where that was seen: `tag from 7 to 8`.
fn moved(look: &Look<'_>, keys: &[&str]) -> Vec<String> {
    let gone = look.list("delete");
    let one = |key: &&str| {
        let before = look.change.observed.field(key).map(text);
        let after = look.text(key);
        let named = |value: Option<String>| value.filter(|value| !value.is_empty());
        match (named(before), named(after)) {
            (before, Some(after)) if before.as_ref() != Some(&after) => Some(match before {
                Some(before) => format!("{key} is {after}, no longer {before},"),
                None => format!("{key} is {after}"),
            }),
            (before, None) if gone.iter().any(|name| name == *key) => Some(
                before.map_or_else(|| format!("{key} is gone"), |was| format!("{key} is no longer {was}")),
            ),
            _ => None,
        }
    };
    keys.iter().filter_map(one).collect()
}

fn zone_changed(look: &Look<'_>, found: &mut Found) {
    let Some(id) = look.text("zone") else { return };
    let moved = moved(look, GOES_BY);
    if moved.is_empty() {
        return;
    }
    let cards = found.all(look.estate.in_zone(&id));
    let end = format!("whose {} {THEN}", and(&moved));
    tell(look, found, &cards, &format!("zone {id}"), Severity::Unreachable, &end);
}

fn vnet_removed(look: &Look<'_>, found: &mut Found) {
    let Some(id) = look.text("vnet") else { return };
    let cards = found.all(look.estate.on_vnet(&id));
    let end = format!("which is gone {THEN}, and it does not start without");
    tell(look, found, &cards, &id, Severity::Unreachable, &end);
    let subnets = look.estate.cluster().subnets.iter();
    for subnet in subnets.filter(|subnet| subnet.vnet.as_deref() == Some(id.as_str())) {
        let why = format!("it is in {id}: PVE refuses to remove that while it is");
        found.hit(format!("subnet/{}", subnet.id), Severity::Unreachable, why);
    }
}

fn vnet_changed(look: &Look<'_>, found: &mut Found) {
    let Some(id) = look.text("vnet") else { return };
    let moved = moved(look, &["zone", "tag", "vlanaware", "isolate-ports"]);
    if moved.is_empty() {
        return;
    }
    let cards = found.all(look.estate.on_vnet(&id));
    let end = format!("whose {} {THEN}", and(&moved));
    tell(look, found, &cards, &id, Severity::Unreachable, &end);
}

/// Its gateway, its addresses by DHCP and its way out are what guests use of it.
fn subnet(look: &Look<'_>, found: &mut Found) {
    let (Some(vnet), Some(id)) = (look.text("vnet"), look.text("subnet")) else { return };
    let end = match look.request().method() {
        crate::catalog::Method::Delete => {
            let gateway = look.estate.cluster().subnets.iter().find(|one| one.id == id);
            let gateway = gateway.and_then(|one| one.gateway.as_ref());
            let gateway = gateway.map(|gateway| format!(" its gateway {gateway} and")).unwrap_or_default();
            format!("which loses{gateway} its subnet {id} {THEN}")
        }
        _ => {
            let moved = moved(look, &["gateway", "snat", "dhcp-range", "dhcp-dns-server"]);
            if moved.is_empty() {
                return;
            }
            format!("of whose subnet {id} {} {THEN}", and(&moved))
        }
    };
    let cards = found.all(look.estate.on_vnet(&vnet));
    tell(look, found, &cards, &vnet, Severity::Unreachable, &end);
}

fn controller(look: &Look<'_>, found: &mut Found) {
    let Some(id) = look.text("controller") else { return };
    let end = match look.request().method() {
        crate::catalog::Method::Delete => format!("whose controller {id} is gone {THEN}"),
        _ => {
            let keys = ["asn", "peers", "ebgp", "ebgp-multihop", "fabric", "loopback", "node", "isis-domain"];
            let moved = moved(look, &keys);
            if moved.is_empty() {
                return;
            }
            format!("of whose controller {id} {} {THEN}", and(&moved))
        }
    };
    for zone in found.all(look.estate.controlled_by(&id)) {
        let cards = found.all(look.estate.in_zone(&zone));
        tell(look, found, &cards, &format!("zone {zone}"), Severity::Unreachable, &end);
        let why = end.replacen("whose", "its", 1);
        found.hit(format!("zone/{zone}"), Severity::Degraded, why);
    }
}

/// Zones that take addresses or names from what goes, or lie on it.
fn served(look: &Look<'_>, found: &mut Found) {
    let template = look.request().template();
    let (keys, name, what): (&[&str], _, _) = match template.split('/').nth(3) {
        Some("ipams") => (&["ipam"], look.text("ipam"), "addresses"),
        Some("dns") => (&["dns", "reversedns"], look.text("dns"), "names"),
        _ => (&["fabric"], look.text("id").or_else(|| look.text("fabric_id")), "way"),
    };
    let Some(name) = name else { return };
    let is_fabric = what == "way";
    let removes = look.request().method() == crate::catalog::Method::Delete;
    let keys_of: &[&str] = match is_fabric {
        true => &["area", "ip_prefix", "ip6_prefix", "hello_interval", "ip", "ip6", "interfaces"],
        false => &["url", "token", "key", "section", "fingerprint", "reversemaskv6"],
    };
    if !removes && moved(look, keys_of).is_empty() {
        return;
    }
    let becomes = if removes { "is gone" } else { "is asked in another way" };
    for row in look.rows(ZONES) {
        if !keys.iter().any(|key| row.get(*key).map(text).as_deref() == Some(name.as_str())) {
            continue;
        }
        let Some(zone) = row.get("zone").map(text) else { continue };
        if is_fabric {
            let cards = found.all(look.estate.in_zone(&zone));
            let end = format!("which lies on fabric {name}, and that changes {THEN}");
            tell(look, found, &cards, &format!("zone {zone}"), Severity::Unreachable, &end);
        } else {
            let why = format!("its guests have their {what} from {name}, which {becomes} {THEN}");
            found.hit(format!("zone/{zone}"), Severity::Degraded, why);
        }
    }
}

/// What is new harms nobody; what is changed or gone does.
fn applied(look: &Look<'_>, found: &mut Found) {
    let state = |row: &Value| row.get("state").map(text).filter(|state| state != "new");
    let mut any = false;
    for row in look.rows(VNETS_WAIT) {
        let (Some(state), Some(id)) = (state(row), row.get("vnet").map(text)) else { continue };
        any = true;
        let end = match state.as_str() {
            "deleted" => "which is gone, and it does not start without".to_owned(),
            _ => format!("which changes{}", waiting(row)),
        };
        let cards = found.all(look.estate.on_vnet(&id));
        tell(look, found, &cards, &id, Severity::Unreachable, &end);
    }
    for row in look.rows(ZONES_WAIT) {
        let (Some(state), Some(id)) = (state(row), row.get("zone").map(text)) else { continue };
        any = true;
        let end = match state.as_str() {
            "deleted" => "which is gone".to_owned(),
            _ => format!("which changes{}", waiting(row)),
        };
        let cards = found.all(look.estate.in_zone(&id));
        tell(look, found, &cards, &format!("zone {id}"), Severity::Unreachable, &end);
    }
    if any {
        let why = "each node makes its virtual networks anew: a mistake among them cuts off who is on them";
        found.hit("every node", Severity::Degraded, why);
    }
    found.unseen("what of subnets and controllers waits to be applied");
}

/// `: tag is 8`
fn waiting(row: &Value) -> String {
    let Some(Value::Object(pending)) = row.get("pending") else { return String::new() };
    let all: Vec<String> = pending.iter().map(|(key, value)| format!("{key} is {}", text(value))).collect();
    if all.is_empty() { String::new() } else { format!(": {}", and(&all)) }
}
