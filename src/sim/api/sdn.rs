//! SDN: zones, networks and subnets are configured, and hold once they are applied.

use serde_json::{Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::digest;
use super::super::estate::sections::{Section, Sections};
use super::super::route::Row;
use super::super::task::Work;
use super::sections;
use crate::catalog::Method::{Delete, Get, Post, Put};

pub const TABLE: &[Row] = &[
    (Put, "/cluster/sdn", apply),
    (Post, "/cluster/sdn/lock", lock),
    (Delete, "/cluster/sdn/lock", unlock),
    (Post, "/cluster/sdn/rollback", rollback),
    (Post, "/cluster/sdn/zones", create_zone),
    (Delete, "/cluster/sdn/zones/{zone}", remove_zone),
    (Get, "/cluster/sdn/vnets", vnets),
    (Post, "/cluster/sdn/vnets", create_vnet),
    (Delete, "/cluster/sdn/vnets/{vnet}", remove_vnet),
    (Get, "/cluster/sdn/vnets/{vnet}/subnets", subnets),
    (Post, "/cluster/sdn/vnets/{vnet}/subnets", create_subnet),
    (Get, "/cluster/sdn/vnets/{vnet}/subnets/{subnet}", subnet),
    (Put, "/cluster/sdn/vnets/{vnet}/subnets/{subnet}", change_subnet),
    (Delete, "/cluster/sdn/vnets/{vnet}/subnets/{subnet}", remove_subnet),
    (Get, "/cluster/sdn/ipams", ipams),
    (Get, "/cluster/sdn/ipams/{ipam}", ipam),
    (Get, "/nodes/{node}/sdn/zones", applied_zones),
    (Get, "/nodes/{node}/sdn/zones/{zone}/content", zone_content),
    (Get, "/nodes/{node}/sdn/zones/{zone}/bridges", zone_detail),
    (Get, "/nodes/{node}/sdn/zones/{zone}/ip-vrf", zone_detail),
    (Get, "/nodes/{node}/sdn/vnets/{vnet}/mac-vrf", vnet_detail),
];

/// What is applied together.
const FILES: &[&str] =
    &["sdn/zones.cfg", "sdn/vnets.cfg", "sdn/subnets.cfg", "sdn/controllers.cfg", "sdn/fabrics.cfg"];

fn apply(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    held_by(call)?;
    let release = call.get("release-lock") != Some("0");
    let work = Work::new().step(2.0, "reloading network config on all nodes").end(move |estate, _| {
        for file in FILES {
            let now = estate.sections(file).clone();
            estate.sdn_running.insert(file, now);
        }
        estate.version += 1;
        if release {
            estate.sdn_lock = None;
        }
        Ok(())
    });
    call.task("reloadnetworkall", "", work)
}

/// While somebody holds the lock, only who knows its token goes on.
pub fn held_by(call: &Call<'_>) -> Result<(), Refusal> {
    match (&call.estate.sdn_lock, call.get("lock-token")) {
        (None, None) => Ok(()),
        (Some(held), Some(given)) if held == given => Ok(()),
        (Some(_), None) => Err(Refusal::die("sdn configuration is locked, please provide a lock token")),
        _ => Err(Refusal::die("invalid lock token provided")),
    }
}

fn lock(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    if call.estate.sdn_lock.is_some() {
        return Err(Refusal::die("configuration is already locked"));
    }
    let token = call.estate.uuid();
    call.estate.sdn_lock = Some(token.clone());
    Ok(token.into())
}

fn unlock(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    if !call.flag("force") {
        held_by(call)?;
    }
    call.estate.sdn_lock = None;
    Ok(Reply::NULL)
}

fn rollback(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    held_by(call)?;
    for file in FILES {
        let before =
            call.estate.sdn_running.get(file).cloned().unwrap_or(Sections { typed: true, list: Vec::new() });
        *call.estate.sections_mut(file) = before;
    }
    Ok(Reply::NULL)
}

/// What a zone of each kind cannot be without.
const NEEDED: &[(&str, &[&str])] =
    &[("evpn", &["controller", "vrf-vxlan"]), ("qinq", &["bridge", "tag"]), ("vlan", &["bridge"])];

fn create_zone(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let kind = call.need("type");
    let needed = NEEDED.iter().find(|(known, _)| *known == kind).map_or(&[][..], |(_, needed)| needed);
    if let Some(missing) = needed.iter().find(|name| call.get(name).is_none()) {
        return Err(Refusal::die(format!("missing value for required option '{missing}'")));
    }
    sections::create(call)
}

fn remove_zone(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let zone = call.need("zone");
    let user = call.estate.sections("sdn/vnets.cfg").list.iter().find(|vnet| vnet.get("zone") == Some(&zone));
    if let Some(vnet) = user {
        return Err(Refusal::die(format!("zone {zone} is used by vnet {}", vnet.id)));
    }
    sections::remove(call)
}

/// Seen by who may use the network, or the zone that it is of.
fn vnets(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let digest = call.estate.sections("sdn/vnets.cfg").digest();
    let caller = call.caller();
    let vnets = sections::pending::sections(call, "sdn/vnets.cfg");
    let seen = vnets.iter().filter(|(vnet, _)| {
        let path = format!("/sdn/zones/{}/{}", vnet.get("zone").unwrap_or_default(), vnet.id);
        caller.may_any(&path, &["SDN.Audit", "SDN.Allocate"])
    });
    let collection = sections::COLLECTIONS.iter().find(|collection| collection.list == "/cluster/sdn/vnets");
    let rows = seen.filter_map(|(vnet, difference)| {
        Some(sections::row_with(call, collection?, vnet, difference.as_ref(), &digest))
    });
    Ok(rows.collect::<Value>().into())
}

fn create_vnet(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let zone = call.need("zone");
    let Some(kind) = call.estate.sections("sdn/zones.cfg").find(&zone).map(|zone| zone.kind.clone()) else {
        return Err(Refusal::die(format!("zone {zone} does not exist")));
    };
    if matches!(&*kind, "vlan" | "vxlan" | "qinq" | "evpn") && call.get("tag").is_none() {
        return Err(Refusal::parameter("tag", "missing vlan tag"));
    }
    sections::create(call)
}

fn remove_vnet(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let vnet = call.need("vnet");
    let used =
        call.estate.sections("sdn/subnets.cfg").list.iter().any(|subnet| subnet.get("vnet") == Some(&vnet));
    if used {
        return Err(Refusal::die(format!("Can't delete vnet {vnet}, because it still has subnets")));
    }
    sections::remove(call)
}

fn row(section: &Section, call: &Call<'_>, digest: &str) -> Value {
    // `lab-10.99.0.0-24`
    let mut parts = section.id.rsplitn(3, '-');
    let mask = parts.next().unwrap_or_default();
    let network = parts.next().unwrap_or_default();
    let vnet = section.get("vnet").unwrap_or_default();
    let zone = call
        .estate
        .sections("sdn/vnets.cfg")
        .find(vnet)
        .and_then(|vnet| vnet.get("zone"))
        .unwrap_or_default();
    let ranges: Vec<Value> = section
        .get("dhcp-range")
        .into_iter()
        .flat_map(|ranges| ranges.split('\n'))
        .map(|range| {
            let pairs = range.split(',').filter_map(|part| part.split_once('='));
            Value::Object(pairs.map(|(key, value)| (key.to_owned(), json!(value))).collect())
        })
        .collect();
    let mut row = json!({
        "id": section.id, "subnet": section.id, "type": "subnet", "vnet": vnet, "zone": zone, "network": network,
        "mask": mask, "cidr": format!("{network}/{mask}"), "dhcp-range": ranges, "digest": digest,
    });
    for key in ["gateway", "dnszoneprefix", "dhcp-dns-server"] {
        if let Some(value) = section.get(key) {
            row[key] = json!(value);
        }
    }
    if section.is_set("snat") {
        row["snat"] = json!(1);
    }
    row
}

fn subnets(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let vnet = call.need("vnet");
    let network = existing_vnet(call, &vnet)?;
    let sections = call.estate.sections("sdn/subnets.cfg");
    let digest = sections.digest();
    let path = format!("/sdn/zones/{}/{vnet}", network.get("zone").unwrap_or_default());
    let seen = call.caller().may_any(&path, &["SDN.Audit", "SDN.Allocate"]);
    let of_vnet = sections.list.iter().filter(|subnet| seen && subnet.get("vnet") == Some(&vnet));
    Ok(of_vnet.map(|subnet| row(subnet, call, &digest)).collect::<Value>().into())
}

fn existing_vnet(call: &Call<'_>, vnet: &str) -> Result<Section, Refusal> {
    let found = call.estate.sections("sdn/vnets.cfg").find(vnet).cloned();
    found.ok_or_else(|| Refusal::die(format!("sdn '{vnet}' does not exist")))
}

/// Asked for by its id, or by the network that it is.
fn id(call: &Call<'_>) -> Result<String, Refusal> {
    let given = call.need("subnet");
    if let Some((network, mask)) = given.split_once('/') {
        let vnet = existing_vnet(call, &call.need("vnet"))?;
        return Ok(format!("{}-{network}-{mask}", vnet.get("zone").unwrap_or_default()));
    }
    Ok(given)
}

fn subnet(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let id = id(call)?;
    let sections = call.estate.sections("sdn/subnets.cfg");
    let section = sections.find(&id).ok_or_else(|| Refusal::die(format!("sdn '{id}' does not exist")))?;
    Ok(row(section, call, &sections.digest()).into())
}

fn assign(call: &Call<'_>, section: &mut Section) {
    for key in ["gateway", "snat", "dnszoneprefix", "dhcp-dns-server", "dhcp-range"] {
        if let Some(value) = call.get(key) {
            section.values.insert(key.to_owned(), value.replace('\0', "\n"));
        }
    }
}

fn create_subnet(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let vnet = call.need("vnet");
    existing_vnet(call, &vnet)?;
    let id = id(call)?;
    if call.estate.sections("sdn/subnets.cfg").find(&id).is_some() {
        return Err(Refusal::die(format!("sdn subnet object ID '{id}' already defined")));
    }
    let mut section = Section::new("subnet", &id, &[("vnet", &vnet)]);
    assign(call, &mut section);
    call.estate.sections_mut("sdn/subnets.cfg").list.push(section);
    Ok(Reply::NULL)
}

fn change_subnet(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let id = id(call)?;
    let sections = call.estate.sections("sdn/subnets.cfg");
    call.fresh(&sections.digest())?;
    let mut section =
        sections.find(&id).cloned().ok_or_else(|| Refusal::die(format!("sdn '{id}' does not exist")))?;
    for key in call.list("delete") {
        section.values.shift_remove(&key);
    }
    assign(call, &mut section);
    if let Some(old) = call.estate.sections_mut("sdn/subnets.cfg").find_mut(&id) {
        *old = section;
    }
    Ok(Reply::NULL)
}

fn remove_subnet(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let id = id(call)?;
    if call.estate.sections("sdn/subnets.cfg").find(&id).is_none() {
        return Err(Refusal::die(format!("sdn '{id}' does not exist")));
    }
    call.estate.sections_mut("sdn/subnets.cfg").remove(&id);
    Ok(Reply::NULL)
}

/// PVE's own is there without an entry.
fn ipams(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let sections = call.estate.sections("sdn/ipams.cfg");
    let digest = digest(sections.text().as_bytes());
    let caller = call.caller();
    let kept = sections.list.iter().map(|ipam| (&*ipam.id, &*ipam.kind));
    let seen = std::iter::once(("pve", "pve"))
        .chain(kept)
        .filter(|(id, _)| caller.may_any(&format!("/sdn/ipams/{id}"), &["SDN.Audit", "SDN.Allocate"]));
    Ok(seen.map(|(id, kind)| json!({ "ipam": id, "type": kind, "digest": digest })).collect::<Value>().into())
}

fn ipam(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    if call.get("ipam") != Some("pve") {
        return sections::read(call);
    }
    let digest = digest(call.estate.sections("sdn/ipams.cfg").text().as_bytes());
    Ok(json!({ "ipam": "pve", "type": "pve", "digest": digest }).into())
}

fn running<'a>(call: &'a Call<'_>, file: &str) -> &'a [Section] {
    call.estate.sdn_running.get(file).map_or(&[], |sections| &sections.list)
}

fn applied_zones(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let caller = call.caller();
    let zones = running(call, "sdn/zones.cfg")
        .iter()
        .filter(|zone| caller.may_any(&format!("/sdn/zones/{}", zone.id), &["SDN.Audit", "SDN.Allocate"]));
    Ok(zones.map(|zone| json!({ "zone": zone.id, "status": "available" })).collect::<Value>().into())
}

fn zone_content(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let zone = call.need("zone");
    let vnets = running(call, "sdn/vnets.cfg").iter().filter(|vnet| vnet.get("zone") == Some(&zone));
    Ok(vnets.map(|vnet| json!({ "vnet": vnet.id, "status": "available" })).collect::<Value>().into())
}

fn zone_detail(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let zone = call.need("zone");
    if zone != "localnetwork" && !running(call, "sdn/zones.cfg").iter().any(|applied| applied.id == zone) {
        return Err(Refusal::parameter("zone", "zone does not exist"));
    }
    Ok(json!([]).into())
}

fn vnet_detail(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let vnet = call.need("vnet");
    if !running(call, "sdn/vnets.cfg").iter().any(|applied| applied.id == vnet) {
        return Err(Refusal::parameter("vnet", "vnet does not exist"));
    }
    Ok(json!([]).into())
}
