//! A guest that goes to another node: what that node lacks for it, what it cannot take along, what stays behind.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Get, Need, Rule};
use crate::estate::guest::{Bus, Guest, Role};
use crate::estate::part::Part;
use crate::estate::{Lack, Tie};
use crate::plan::blast::look::{and, called, object};
use crate::plan::blast::{Found, Look, Runs, Severity};
use crate::plan::fields::text;

const NETWORK: &str = "the network of the target";
const HERE: &str = "the processor of the guest's node";
const THERE: &str = "the processor of the target";

pub(super) const TARGET_NETWORK: Need = Need::Get(Get {
    name: NETWORK,
    template: "/nodes/{node}/network",
    with: &[("node", "{target}"), ("type", "any_bridge")],
});
const CPU_HERE: Need = Need::Get(Get { name: HERE, template: "/nodes/{node}/status", with: &[] });
const CPU_THERE: Need =
    Need::Get(Get { name: THERE, template: "/nodes/{node}/status", with: &[("node", "{target}")] });

pub const RULES: &[Rule] = &[
    Rule {
        calls: &["POST /nodes/{node}/{kind}/{vmid}/migrate"],
        needs: &[Need::Status, TARGET_NETWORK],
        checks: &[one],
    },
    Rule {
        calls: &["POST /nodes/{node}/qemu/{vmid}/migrate"],
        needs: &[Need::Status, CPU_HERE, CPU_THERE],
        checks: &[cpu],
    },
    Rule {
        calls: &["POST /nodes/{node}/{kind}/{vmid}/remote_migrate"],
        needs: &[],
        checks: &[to_another_cluster],
    },
];

fn one(look: &Look<'_>, found: &mut Found) {
    if let (Some(guest), Some(target)) = (look.guest(), look.text("target")) {
        to(look, found, guest, &target);
    }
}

/// What becomes of a guest that is sent to a node.
pub(super) fn to(look: &Look<'_>, found: &mut Found, guest: &Guest, target: &str) {
    let name = called(guest);
    if guest.node == target {
        return;
    }
    // Disks are put elsewhere where the call says so; a single storage stands for all.
    let elsewhere = look.text("targetstorage").or_else(|| look.text("target-storage"));
    for lack in found.all(look.estate.lacks(guest, target)) {
        let why = match lack {
            Lack::Storage(_) if elsewhere.is_some() => continue,
            Lack::Storage(id) => {
                let slots = slots_on(guest, &id);
                let lie = if slots.len() == 1 { "lies" } else { "lie" };
                format!("{target} does not have {id}, on which {name}'s {} {lie}", and(&slots))
            }
            Lack::Mapping(kind, id) => {
                format!("{target} has no device for the {} mapping {id}, which {name} uses", kind.name())
            }
            Lack::Zone(zone) => format!("{target} is not in zone {zone}, in which {name}'s network is"),
            Lack::Rule(rule) => {
                let why = format!("HA's {rule} keeps {name} off {target}: it is not let go, or moved back");
                found.hit(object(guest), Severity::Degraded, why);
                continue;
            }
        };
        found.hit(object(guest), Severity::WontBoot, why);
    }
    ties(look, found, guest, target);
    bridges(look, found, guest, target);
    backups(look, found, guest, target);
}

fn slots_on(guest: &Guest, storage: &str) -> Vec<String> {
    let on =
        guest.disks.iter().filter(|disk| disk.volume().is_some_and(|volume| volume.storage() == storage));
    let mut slots: Vec<String> = on.map(|disk| disk.slot.name()).collect();
    for snapshot in &guest.snapshots {
        let mut all = snapshot.only_here.iter().chain(&snapshot.state);
        if all.any(|volume| volume.storage() == storage) {
            slots.push(format!("snapshot {}", snapshot.name));
        }
    }
    slots
}

fn ties(look: &Look<'_>, found: &mut Found, guest: &Guest, target: &str) {
    found.rests_on(look, &[Part::Replication]);
    let name = called(guest);
    let along = look.flag("with-local-disks") || guest.kind == crate::estate::guest::Kind::Lxc;
    let disk = |slot| guest.disks.iter().find(|disk| disk.slot == slot);
    let (mut local, mut media) = (Vec::new(), Vec::new());
    for tie in found.all(look.estate.ties(guest)) {
        match tie {
            Tie::Disk(slot, storage) => {
                let Some(disk) = disk(slot) else { continue };
                if let Some(base) = disk.volume().and_then(crate::estate::volume::Volume::base) {
                    let why = format!(
                        "{name}'s {} is a linked clone of {base}, which stays on {} with {storage}: PVE refuses",
                        slot.name(),
                        guest.node
                    );
                    found.hit(object(guest), Severity::Degraded, why);
                    continue;
                }
                match disk.role {
                    Role::Media => media.push(slot.name()),
                    Role::Snippet => media.push(slot.name()),
                    // The drive is written anew wherever it starts.
                    Role::CloudInit => {}
                    _ if !along && !replicated(look, guest, target) => local.push(slot.name()),
                    _ => {}
                }
            }
            Tie::Host(slot, path) if slot.bus != Bus::RawMount => {
                let why = format!(
                    "{name}'s {} is {path} of {}, and not shared: PVE refuses",
                    slot.name(),
                    guest.node
                );
                found.hit(object(guest), Severity::Degraded, why);
            }
            Tie::Host(_, path) => {
                let why = format!("{name} mounts {path} of its node, which on {target} is another or none");
                found.hit(object(guest), Severity::Degraded, why);
            }
            Tie::Device(key, path) => {
                let why = format!("{name}'s {key} is a device of {} ({path}): PVE refuses", guest.node);
                found.hit(object(guest), Severity::Degraded, why);
            }
        }
    }
    if !local.is_empty() {
        let (lie, are) = if local.len() == 1 { ("lies", "is") } else { ("lie", "are") };
        let why = format!(
            "{name}'s {} {lie} on storage of {} alone and {are} not taken along without with-local-disks: PVE refuses",
            and(&local),
            guest.node
        );
        found.hit(object(guest), Severity::Degraded, why);
    }
    if !media.is_empty() {
        let is = if media.len() == 1 { "is" } else { "are" };
        let why = format!(
            "{name}'s {} {is} on storage of {} alone, and not moved: PVE refuses",
            and(&media),
            guest.node
        );
        found.hit(object(guest), Severity::Degraded, why);
    }
}

/// A copy is there already.
fn replicated(look: &Look<'_>, guest: &Guest, target: &str) -> bool {
    let jobs = look.estate.cluster().replications.iter();
    jobs.into_iter()
        .any(|job| job.vmid == guest.vmid && job.target.as_deref() == Some(target) && !job.disabled)
}

fn bridges(look: &Look<'_>, found: &mut Found, guest: &Guest, target: &str) {
    // Where the list could not be had, that is said.
    let Some(rows) = look.answer(NETWORK).and_then(Value::as_array) else { return };
    let there: BTreeSet<String> = rows.iter().filter_map(|row| row.get("iface").map(text)).collect();
    for net in guest.nets.iter().filter(|net| !net.pending) {
        let Some(bridge) = net.bridge.as_deref() else { continue };
        if look.estate.vnet(bridge).is_none() && !there.contains(bridge) {
            let why = format!("{target} has no {bridge}, on which {}'s net{} is", called(guest), net.number);
            found.hit(object(guest), Severity::WontBoot, why);
        }
    }
}

/// Jobs that take only what is on one node.
fn backups(look: &Look<'_>, found: &mut Found, guest: &Guest, target: &str) {
    let now = found.all(look.estate.backups_of(guest));
    if !now.is_backed_up() {
        return;
    }
    let then = Guest { node: target.into(), ..guest.clone() };
    if !found.all(look.estate.backups_of(&then)).is_backed_up() {
        let jobs = now.by.iter().filter(|one| one.enabled).map(|one| one.job.to_string());
        let jobs: Vec<String> = jobs.collect();
        let take = if jobs.len() == 1 { "takes" } else { "take" };
        let why = format!(
            "{} {take} only what is on {}, and no other job takes {}",
            and(&jobs),
            guest.node,
            called(guest)
        );
        found.hit(object(guest), Severity::LosesBackup, why);
    }
}

/// A machine that sees its node's own processor.
fn cpu(look: &Look<'_>, found: &mut Found) {
    let (Some(guest), Some(observed)) = (look.guest(), &look.change.observed.guest) else { return };
    let model = observed.config.get("cpu").map(text).unwrap_or_default();
    let is_host = model.split(',').any(|part| part == "host" || part == "cputype=host");
    if !is_host || look.runs(guest.vmid) == Runs::No {
        return;
    }
    let model = |name| look.answer(name).and_then(|status| Some(text(status.get("cpuinfo")?.get("model")?)));
    if let (Some(here), Some(there)) = (model(HERE), model(THERE))
        && here != there
    {
        let why = format!(
            "{} has its node's own processor (host), and the target has another: {there} in place of {here}; it may crash when it gets there",
            called(guest)
        );
        found.hit(object(guest), Severity::Stops, why);
    }
}

fn to_another_cluster(look: &Look<'_>, found: &mut Found) {
    let Some(guest) = look.guest() else { return };
    found.unseen("what the other cluster has of storages, bridges and devices was not looked at");
    if found.all(look.estate.backups_of(guest)).is_backed_up() && look.flag("delete") {
        let why = format!("the backup jobs of this cluster no longer take {}", called(guest));
        found.hit(object(guest), Severity::LosesBackup, why);
    }
}
