//! Guests that are given a device or a folder by its name in the cluster.

use serde_json::Value;
use smol_str::SmolStr;

use super::network::and_is;
use super::{Need, Rule};
use crate::estate::guest::{DeviceFrom, Guest};
use crate::estate::mapping::Kind;
use crate::estate::property;
use crate::plan::blast::look::{and, called, object};
use crate::plan::blast::{Found, Look, Runs, Severity};
use crate::plan::fields::text;

pub const RULES: &[Rule] = &[
    Rule {
        calls: &[
            "DELETE /cluster/mapping/dir/{id}",
            "DELETE /cluster/mapping/pci/{id}",
            "DELETE /cluster/mapping/usb/{id}",
        ],
        needs: &[Need::Status],
        checks: &[removed],
    },
    Rule {
        calls: &[
            "PUT /cluster/mapping/dir/{id}",
            "PUT /cluster/mapping/pci/{id}",
            "PUT /cluster/mapping/usb/{id}",
        ],
        needs: &[Need::Status],
        checks: &[changed],
    },
];

fn subject(look: &Look<'_>) -> Option<(Kind, SmolStr)> {
    let template = look.request().template();
    let kind =
        Kind::ALL.into_iter().find(|kind| template == format!("/cluster/mapping/{}/{{id}}", kind.name()))?;
    Some((kind, look.text("id")?.into()))
}

fn users<'a>(look: &Look<'a>, found: &mut Found, kind: Kind, id: &SmolStr) -> Vec<(&'a Guest, Vec<String>)> {
    let vmids = found.all(look.estate.users_of_mapping(kind, id));
    let guests = vmids.into_iter().filter_map(|vmid| look.one(vmid));
    let keys = |guest: &Guest| {
        let by =
            |from: &DeviceFrom| matches!(from, DeviceFrom::Mapping(of, name) if *of == kind && name == id);
        guest.devices.iter().filter(|device| by(&device.from)).map(|device| device.key.to_string()).collect()
    };
    guests.map(|guest| (guest.as_ref(), keys(guest))).collect()
}

fn until(look: &Look<'_>, guest: &Guest) -> &'static str {
    match look.runs(guest.vmid) {
        Runs::Yes => "; it runs on until it is next stopped",
        _ => "",
    }
}

fn removed(look: &Look<'_>, found: &mut Found) {
    let Some((kind, id)) = subject(look) else { return };
    for (guest, keys) in users(look, found, kind, &id) {
        let why = format!(
            "{}'s {} the {} mapping {id}, and it does not start without it{}",
            called(guest),
            and_is(&keys),
            kind.name(),
            until(look, guest)
        );
        found.hit(object(guest), Severity::WontBoot, why);
    }
}

/// The entries of a list of maps, each with its node.
fn entries(value: Option<&Value>) -> Vec<(String, String)> {
    let one = |item: &Value| {
        let item = text(item);
        let node = property::get(&item, "node")?.to_owned();
        let mut parts: Vec<&str> = item.split(',').collect();
        parts.sort_unstable();
        Some((node, parts.join(",")))
    };
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(one).collect(),
        Some(item) => one(item).into_iter().collect(),
        None => Vec::new(),
    }
}

/// `map` names all that there is from now on.
fn changed(look: &Look<'_>, found: &mut Found) {
    let Some((kind, id)) = subject(look) else { return };
    let Some(given) = look.request().args.get("map") else { return };
    let after = entries(Some(given));
    let before = entries(look.change.observed.field("map"));
    let all = look.estate.cluster().mappings.get(&kind).into_iter().flatten();
    let was: Vec<&SmolStr> = all.filter(|one| one.id == id).flat_map(|one| &one.nodes).collect();
    let on = |entries: &[(String, String)], node: &str| -> Vec<String> {
        let mut all: Vec<String> =
            entries.iter().filter(|(at, _)| at == node).map(|(_, entry)| entry.clone()).collect();
        all.sort();
        all
    };
    let leaves: Vec<String> = was
        .iter()
        .filter(|node| !after.iter().any(|(at, _)| at == node.as_str()))
        .map(ToString::to_string)
        .collect();
    for (guest, keys) in users(look, found, kind, &id) {
        let (name, keys) = (called(guest), and_is(&keys));
        let here = guest.node.as_str();
        if leaves.iter().any(|node| node == here) {
            let why = format!(
                "{name}'s {keys} the {} mapping {id}, which has nothing on {here} any more: it does not start there{}",
                kind.name(),
                until(look, guest)
            );
            found.hit(object(guest), Severity::WontBoot, why);
        } else if !before.is_empty() && on(&before, here) != on(&after, here) {
            let why = format!("{name}'s {keys} something else on {here} when it next starts");
            found.hit(object(guest), Severity::Degraded, why);
        }
        let away: Vec<String> = leaves.iter().filter(|node| *node != here).cloned().collect();
        if !away.is_empty() {
            let kept = look.estate.cluster().resources.iter().any(|one| one.vmid == guest.vmid);
            let by = if kept { "HA cannot start it" } else { "it cannot be started" };
            let why = format!("{by} on {}, where {id} has nothing any more", and(&away));
            found.hit(object(guest), Severity::Degraded, why);
        }
    }
}
