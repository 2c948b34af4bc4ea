//! A guest that is removed, overwritten or stopped: whoever hangs on its disks, and what names it.

use super::{Need, Rule, storage};
use crate::estate::access::Holder;
use crate::estate::firewall::Scope;
use crate::estate::guest::{Disk, Guest, Kind};
use crate::estate::jobs::Chosen;
use crate::estate::part::Part;
use crate::estate::volume::Volume;
use crate::plan::blast::look::{and, called, object};
use crate::plan::blast::{Found, Look, Severity};
use crate::plan::fields::text;

pub const RULES: &[Rule] = &[
    Rule {
        calls: &["DELETE /nodes/{node}/{kind}/{vmid}"],
        needs: &[Need::Status],
        checks: &[hanging_on_it, naming_it],
    },
    Rule { calls: &["POST /nodes/{node}/{kind}"], needs: &[Need::Status], checks: &[overwritten] },
    Rule {
        calls: &[
            "POST /nodes/{node}/{kind}/{vmid}/status/stop",
            "POST /nodes/{node}/{kind}/{vmid}/status/shutdown",
            "POST /nodes/{node}/{kind}/{vmid}/status/suspend",
            "POST /nodes/{node}/{kind}/{vmid}/status/reboot",
            "POST /nodes/{node}/qemu/{vmid}/status/reset",
            "POST /nodes/{node}/qemu/{vmid}/agent/shutdown",
            "POST /nodes/{node}/qemu/{vmid}/agent/suspend-disk",
            "POST /nodes/{node}/qemu/{vmid}/agent/suspend-hybrid",
            "POST /nodes/{node}/qemu/{vmid}/agent/suspend-ram",
        ],
        needs: &[Need::Status],
        checks: &[kept_by_ha, serving],
    },
];

fn hanging_on_it(look: &Look<'_>, found: &mut Found) {
    let Some(guest) = look.guest() else { return };
    hanging(look, found, guest);
    if look.flag("destroy-unreferenced-disks") {
        let what = format!(
            "disks of guest {} that its configuration does not name go too, and which there are was not looked at",
            guest.vmid
        );
        found.unseen(what);
    }
}

/// Whoever hangs on the disks of a guest that loses them.
fn hanging(look: &Look<'_>, found: &mut Found, guest: &Guest) {
    let vmid = guest.vmid;
    for (other, volume) in found.all(look.estate.linked_clones(vmid)) {
        clone_of(
            look,
            found,
            other,
            &volume,
            &format!("{} {vmid}", if guest.template { "template" } else { "guest" }),
        );
    }
    let mut own: Vec<&Volume> = guest.volumes().filter(|volume| volume.owner() == Some(vmid)).collect();
    own.sort();
    own.dedup();
    for volume in own {
        shared_with(look, found, vmid, volume, Severity::DataLost, "is removed with it");
    }
}

/// A linked clone that loses what it is a clone of.
pub(super) fn clone_of(look: &Look<'_>, found: &mut Found, vmid: u32, volume: &Volume, of: &str) {
    let Some(guest) = look.one(vmid) else { return };
    let why = format!(
        "{}'s {} is a linked clone of {of}'s disk, and nothing without it: PVE refuses while it is there",
        called(guest),
        slot_of(guest, volume)
    );
    found.hit(object(guest), Severity::DataLost, why);
}

/// The key by which a guest has a volume, or the snapshot that still has it.
pub(super) fn slot_of(guest: &Guest, volume: &Volume) -> String {
    let slot = guest.disks.iter().find(|disk| disk.volume() == Some(volume)).map(|disk| disk.slot.name());
    slot.unwrap_or_else(|| volume.to_string())
}

/// Other guests that have the same volume.
pub(super) fn shared_with(
    look: &Look<'_>,
    found: &mut Found,
    vmid: u32,
    volume: &Volume,
    severity: Severity,
    what: &str,
) {
    let mut others: Vec<u32> = found
        .all(look.estate.users_of_volume(volume))
        .iter()
        .map(|one| one.guest)
        .filter(|one| *one != vmid)
        .collect();
    others.dedup();
    for guest in others.into_iter().filter_map(|other| look.one(other)) {
        let why = format!(
            "{}'s {} is guest {vmid}'s {volume}, which {what}",
            called(guest),
            slot_of(guest, volume)
        );
        found.hit(object(guest), severity, why);
    }
}

/// What names a guest that is removed, and goes or stays behind.
fn naming_it(look: &Look<'_>, found: &mut Found) {
    let Some(guest) = look.guest() else { return };
    let (vmid, name, purge) = (guest.vmid, called(guest), look.flag("purge"));
    let cluster = look.estate.cluster();
    let parts = [Part::Guests, Part::Jobs, Part::Access, Part::Replication, Part::Ha, Part::Firewall];
    found.rests_on(look, &parts);
    for job in cluster.jobs.iter().filter(|job| job.enabled) {
        if let Chosen::Guests(list) = &job.chosen
            && list.contains(&vmid)
        {
            let why = match (purge, list.len()) {
                (true, 1) => format!("{name} is the only guest that it names"),
                (true, _) => format!("{name} is taken out of it"),
                (false, _) => format!("it still names {vmid}, and fails for it at each run"),
            };
            found.hit(format!("backup job {}", job.id), Severity::Degraded, why);
        }
    }
    for job in cluster.replications.iter().filter(|job| job.vmid == vmid) {
        let (severity, why) = match purge {
            true => (Severity::LosesBackup, "it goes with the guest, and so do the copies on its target"),
            false => (Severity::Degraded, "PVE refuses to remove the guest while it is there"),
        };
        found.hit(format!("replication {}", job.id), severity, why);
    }
    let sid = guest.sid();
    if cluster.resources.iter().any(|one| one.sid == sid) && purge {
        found.hit(sid.clone(), Severity::Degraded, "HA no longer keeps it: it goes with the guest");
    }
    for rule in cluster.rules.iter().filter(|rule| rule.resources.iter().any(|one| *one == sid)) {
        found.hit(format!("HA rule {}", rule.id), Severity::Degraded, format!("it names {sid}, which goes"));
    }
    if let Some(pool) = cluster.access.pool_of(vmid) {
        found.hit(format!("pool {pool}"), Severity::Degraded, format!("{name} is no longer a member of it"));
    }
    let path = format!("/vms/{vmid}");
    for acl in cluster.access.acls.iter().filter(|acl| acl.path == path) {
        let why = format!("{} on {path} goes with the guest", acl.role);
        found.hit(holder(&acl.holder), Severity::LosesAccess, why);
    }
    if let Some(firewall) = cluster.firewalls.get(&Scope::Guest(vmid)) {
        let rules = match firewall.rules.len() {
            1 => "its one rule goes".to_owned(),
            count => format!("its {count} rules go"),
        };
        found.hit(
            format!("firewall of {}", object(guest)),
            Severity::Degraded,
            format!("{rules} with the guest"),
        );
    }
}

/// `user alice@pve`
pub(super) fn holder(holder: &Holder) -> String {
    match holder {
        Holder::User(name) => format!("user {name}"),
        Holder::Token(name) => format!("token {name}"),
        Holder::Group(name) => format!("group {name}"),
    }
}

/// A restore, or a creation, over an id that is there.
fn overwritten(look: &Look<'_>, found: &mut Found) {
    let there = look.text("vmid").and_then(|vmid| look.one(vmid.parse().ok()?));
    let Some(guest) = there.filter(|_| look.flag("force")) else { return };
    let why =
        format!("{} is overwritten: its disks and its configuration give way to the new ones", called(guest));
    found.hit(object(guest), Severity::DataLost, why);
    let is_own = |disk: &&Disk| disk.volume().is_some_and(|volume| volume.owner() == Some(guest.vmid));
    for disk in guest.disks.iter().filter(is_own) {
        let volume = disk.volume().map(ToString::to_string).unwrap_or_default();
        let what = format!("{} {} ({volume})", object(guest), disk.slot.name());
        found.hit(what, Severity::DataLost, "the disk is removed before the new one is made");
    }
    if !guest.snapshots.is_empty() {
        let names: Vec<String> = guest.snapshots.iter().map(|one| one.name.to_string()).collect();
        let what = if names.len() == 1 { "snapshot" } else { "snapshots" };
        let why = format!("{what} {} of it are in the way: PVE refuses until they are removed", and(&names));
        let why =
            if names.len() == 1 { why.replace("are in", "is in").replace("they are", "it is") } else { why };
        found.hit(object(guest), Severity::Degraded, why);
    }
    hanging(look, found, guest);
}

/// What high availability does about a guest that stops.
fn kept_by_ha(look: &Look<'_>, found: &mut Found) {
    let Some(guest) = look.guest() else { return };
    found.rests_on(look, &[Part::Ha]);
    let (sid, template) = (guest.sid(), look.request().template());
    let resources = &look.estate.cluster().resources;
    let Some(resource) = resources.iter().find(|one| one.sid == sid && one.state == "started") else {
        return;
    };
    let why = if ["/status/stop", "/status/shutdown"].iter().any(|leaf| template.ends_with(leaf)) {
        "HA is told to keep it stopped from now on: it is not started again, here or elsewhere, until somebody asks"
    } else if ["/agent/shutdown", "/agent/suspend-disk"].iter().any(|leaf| template.ends_with(leaf)) {
        "HA is not told, and starts it again"
    } else {
        return;
    };
    found.hit(resource.sid.to_string(), Severity::Degraded, why);
}

/// Storages that the guest itself serves, as far as its configuration gives its address.
fn serving(look: &Look<'_>, found: &mut Found) {
    let (Some(guest), Some(observed)) = (look.guest(), &look.change.observed.guest) else { return };
    if !look.may_run(guest.vmid) {
        return;
    }
    found.rests_on(look, &[Part::Storages]);
    let family = if guest.kind == Kind::Lxc { "net" } else { "ipconfig" };
    let is_card = |key: &str| key.strip_prefix(family).is_some_and(|number| number.parse::<u16>().is_ok());
    let values = observed.config.iter().filter(|(key, _)| is_card(key)).map(|(_, value)| text(value));
    let addresses: Vec<String> = values
        .flat_map(|value| {
            let parts = value.split(',').filter_map(|part| part.split_once('='));
            let ips = parts.filter(|(key, _)| ["ip", "ip6"].contains(key));
            ips.map(|(_, ip)| ip.split('/').next().unwrap_or(ip).to_owned()).collect::<Vec<_>>()
        })
        .collect();
    for one in look.estate.cluster().storages.iter().filter(|one| !one.disabled) {
        let mut servers =
            one.source.iter().filter(|(key, _)| ["server", "server2", "portal"].contains(&&**key));
        if servers.any(|(_, server)| addresses.iter().any(|address| server == address)) {
            let why = format!("{} serves it", called(guest));
            found.hit(format!("storage/{}", one.id), Severity::Unreachable, why);
            storage::without(look, found, &one.id, guest);
        }
    }
}
