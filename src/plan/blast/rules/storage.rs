//! A storage that goes, is switched off, leaves nodes, or no longer takes what lies on it.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use super::guest::{clone_of, holder};
use super::{Get, Need, Rule};
use crate::estate::guest::{Guest, Kind, Role};
use crate::estate::volume::{Content, Volume};
use crate::estate::{OnStorage, Use, Using};
use crate::plan::blast::look::{and, called, object};
use crate::plan::blast::{Found, Look, Runs, Severity};
use crate::plan::fields::text;

const BACKUPS: &str = "the list of backups on the storage";

const LISTED: Need = Need::Get(Get {
    name: BACKUPS,
    template: "/nodes/{node}/storage/{storage}/content",
    with: &[("content", "backup")],
});

pub const RULES: &[Rule] = &[
    Rule { calls: &["DELETE /storage/{storage}"], needs: &[Need::Status, LISTED], checks: &[removed] },
    Rule {
        calls: &["PUT /storage/{storage}"],
        needs: &[Need::Status, LISTED],
        checks: &[disabled, taken_from_nodes, narrowed],
    },
    Rule {
        calls: &["DELETE /nodes/{node}/storage/{storage}/content/{volume}"],
        needs: &[Need::Status, LISTED],
        checks: &[volume_removed],
    },
    Rule {
        calls: &[
            "DELETE /nodes/{node}/disks/zfs/{name}",
            "DELETE /nodes/{node}/disks/lvm/{name}",
            "DELETE /nodes/{node}/disks/lvmthin/{name}",
            "DELETE /nodes/{node}/disks/directory/{name}",
        ],
        needs: &[Need::Status],
        checks: &[made_of],
    },
];

/// What of a storage is lost, and where.
struct Loss<'a> {
    storage: &'a str,
    /// "lies on nas": how each sentence ends.
    end: String,
    is_lost_on: &'a dyn Fn(&str) -> bool,
    is_lost: &'a dyn Fn(&Guest, Role, Option<&Volume>) -> bool,
    /// Whether backups can no longer be written there.
    writes: bool,
    /// Whether those that lie there can no longer be read, from anywhere.
    lists: bool,
}

fn removed(look: &Look<'_>, found: &mut Found) {
    let Some(id) = look.text("storage") else { return };
    let on = found.all(look.estate.on_storage(&id));
    lose(look, found, &on, &Loss::whole(&id, format!("on {id}"), &|_| true));
    if !on.twins.is_empty() {
        let why = format!(
            "whatever lies there can no longer be used by this name; {}, which is the same place, still has it",
            and(&on.twins.iter().map(ToString::to_string).collect::<Vec<_>>())
        );
        found.hit(format!("storage/{id}"), Severity::Unreachable, why);
    }
    for other in &on.stands {
        let why = format!("it stands on a volume of {id}: PVE refuses to remove {id} while it does");
        found.hit(format!("storage/{other}"), Severity::Unreachable, why);
        on_top(look, found, other, &id);
    }
    for pool in &on.pools {
        found.hit(format!("pool {pool}"), Severity::Degraded, format!("{id} is no longer a member of it"));
    }
    let path = format!("/storage/{id}");
    for acl in look.estate.cluster().access.acls.iter().filter(|acl| acl.path == path) {
        let why = format!("{} on {path} goes with the storage", acl.role);
        found.hit(holder(&acl.holder), Severity::LosesAccess, why);
    }
}

/// Whoever is on a storage that stands on another.
fn on_top(look: &Look<'_>, found: &mut Found, id: &str, base: &str) {
    let on = found.all(look.estate.on_storage(id));
    let loss = Loss::whole(id, format!("on {id}, which stands on {base}"), &|_| true);
    lose(look, found, &on, &Loss { lists: false, ..loss });
}

fn disabled(look: &Look<'_>, found: &mut Found) {
    let Some(id) = look.text("storage").filter(|_| look.flag("disable")) else { return };
    if look.estate.storage(&id).is_some_and(|storage| storage.disabled) {
        return;
    }
    let on = found.all(look.estate.on_storage(&id));
    lose(look, found, &on, &Loss::whole(&id, format!("on {id}, which is disabled"), &|_| true));
    for other in &on.stands {
        found.hit(
            format!("storage/{other}"),
            Severity::Unreachable,
            format!("it stands on a volume of {id}"),
        );
        on_top(look, found, other, &id);
    }
}

fn taken_from_nodes(look: &Look<'_>, found: &mut Found) {
    let Some(id) = look.text("storage") else { return };
    let stay = look.list("nodes");
    let Some(storage) = look.estate.storage(&id).filter(|_| !stay.is_empty()) else { return };
    let leaves = |node: &str| storage.is_on(node) && !stay.iter().any(|name| name == node);
    let on = found.all(look.estate.on_storage(&id));
    let loss = Loss::whole(&id, format!("on {id}, which leaves its node"), &leaves);
    lose(look, found, &on, &Loss { lists: false, ..loss });
    let left: Vec<String> =
        look.estate.nodes().iter().filter(|node| leaves(node)).map(ToString::to_string).collect();
    if !left.is_empty() {
        found.hit(
            format!("storage/{id}"),
            Severity::Unreachable,
            format!("it is no longer on {}", and(&left)),
        );
    }
    let jobs = look.estate.cluster().replications.iter();
    for job in jobs.filter(|job| !job.disabled && job.target.as_deref().is_some_and(leaves)) {
        let uses = on.uses.iter().any(|one| one.guest == job.vmid && one.role().is_some());
        if let (true, Some(guest), Some(target)) = (uses, look.one(job.vmid), &job.target) {
            let why = format!("replication {} copies it to {target}, which {id} leaves", job.id);
            found.hit(object(guest), Severity::LosesBackup, why);
        }
    }
}

/// `content` is set anew: what it no longer names cannot be used.
fn narrowed(look: &Look<'_>, found: &mut Found) {
    let Some(id) = look.text("storage") else { return };
    let stay = look.list("content");
    let Some(storage) = look.estate.storage(&id).filter(|_| !stay.is_empty()) else { return };
    // Of a storage whose file does not say, the type's own content is not known here: the worst is believed.
    let goes =
        |content: &str| storage.takes(content).unwrap_or(true) && !stay.iter().any(|name| name == content);
    let is_lost = |guest: &Guest, role: Role, volume: Option<&Volume>| {
        goes(match (role, volume.map(Volume::content)) {
            (Role::Media, _) | (_, Some(Content::Iso)) => "iso",
            (Role::Snippet, _) => "snippets",
            _ if guest.kind == Kind::Lxc => "rootdir",
            _ => "images",
        })
    };
    let on = found.all(look.estate.on_storage(&id));
    let loss = Loss {
        storage: &id,
        end: format!("on {id}, which no longer takes it"),
        is_lost_on: &|_| true,
        is_lost: &is_lost,
        writes: goes("backup"),
        lists: goes("backup"),
    };
    lose(look, found, &on, &loss);
    let gone = storage.content.iter().flatten().map(ToString::to_string).filter(|one| goes(one));
    let gone: Vec<String> = gone.filter(|one| one != "none").collect();
    if !gone.is_empty() {
        found.hit(format!("storage/{id}"), Severity::Degraded, format!("it no longer takes {}", and(&gone)));
    }
}

/// While the guest that serves it is away: who runs from it hangs.
pub(super) fn without(look: &Look<'_>, found: &mut Found, id: &str, server: &Guest) {
    let on = found.all(look.estate.on_storage(id));
    let mut hung: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for one in on.uses.iter().filter(|one| one.guest != server.vmid && look.may_run(one.guest)) {
        if let Using::Disk { role: Role::Boot | Role::Data | Role::Firmware, slot, pending: false } =
            one.using
        {
            hung.entry(one.guest).or_default().push(slot.name());
        }
    }
    for (vmid, slots) in hung {
        let Some(guest) = look.one(vmid) else { continue };
        let lie = if slots.len() == 1 { "lies" } else { "lie" };
        let why = format!(
            "{}'s {} {lie} on {id}, which {} serves: it hangs while that is away",
            called(guest),
            and(&slots),
            called(server)
        );
        found.hit(object(guest), Severity::Stops, why);
    }
}

impl<'a> Loss<'a> {
    fn whole(storage: &'a str, end: String, is_lost_on: &'a dyn Fn(&str) -> bool) -> Self {
        Self { storage, end, is_lost_on, is_lost: &|_, _, _| true, writes: true, lists: true }
    }
}

fn lose(look: &Look<'_>, found: &mut Found, on: &OnStorage, loss: &Loss<'_>) {
    let mut by_guest: BTreeMap<u32, Vec<&Use>> = BTreeMap::new();
    on.uses.iter().for_each(|one| by_guest.entry(one.guest).or_default().push(one));
    for (vmid, uses) in by_guest {
        // One that is on two nodes is looked at once on each.
        for guest in look.estate.guest(vmid).filter(|guest| (loss.is_lost_on)(&guest.node)) {
            let uses: Vec<&Use> = uses.iter().filter(|one| one.node == guest.node).copied().collect();
            of_guest(look, found, guest, &uses, loss);
        }
    }
    if loss.writes {
        jobs(look, found, loss);
    }
    if loss.lists {
        backups(look, found, loss);
    }
}

/// What one guest has there.
fn of_guest(look: &Look<'_>, found: &mut Found, guest: &Guest, uses: &[&Use], loss: &Loss<'_>) {
    let (name, end) = (called(guest), &loss.end);
    let (mut boots, mut needs, mut keeps, mut frozen) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut suspends = false;
    for one in uses {
        match &one.using {
            Using::Disk { role, slot, pending } if (loss.is_lost)(guest, *role, one.volume.as_ref()) => {
                let slot = match pending {
                    true => format!("{} (pending)", slot.name()),
                    false => slot.name(),
                };
                match role {
                    Role::Boot => boots.push(slot),
                    Role::Unused | Role::Leftover => keeps.push(slot),
                    _ => needs.push(slot),
                }
            }
            Using::Disk { .. } => {}
            Using::SnapshotState(snapshot) | Using::SnapshotOnly(snapshot) | Using::SnapshotOn(snapshot) => {
                if (loss.is_lost)(guest, Role::Data, None) && !frozen.contains(snapshot) {
                    frozen.push(snapshot.clone());
                }
            }
            Using::SuspendsTo => suspends = (loss.is_lost)(guest, Role::State, None),
        }
    }
    let lie = |slots: &[String]| if slots.len() == 1 { "lies" } else { "lie" };
    let needed = !boots.is_empty() || !needs.is_empty();
    if needed && guest.template {
        let disks: Vec<String> = boots.iter().chain(&needs).cloned().collect();
        let why =
            format!("template {}'s {} {} {end}: it cannot be cloned", guest.vmid, and(&disks), lie(&disks));
        found.hit(object(guest), Severity::Degraded, why);
    } else if needed {
        let mut why = match (&boots[..], &needs[..]) {
            ([], needs) => {
                let them = if needs.len() == 1 { "it" } else { "them" };
                format!("{name}'s {} {} {end}, and it does not start without {them}", and(needs), lie(needs))
            }
            (boots, []) => format!("{name}'s {} is what it boots from, and lies {end}", and(boots)),
            (boots, needs) => {
                format!(
                    "{name}'s {} is what it boots from, and lies {end}; so {} its {}",
                    and(boots),
                    if needs.len() == 1 { "does" } else { "do" },
                    and(needs)
                )
            }
        };
        if look.runs(guest.vmid) == Runs::Yes {
            why += "; it runs on until it is next stopped";
        }
        found.hit(object(guest), Severity::WontBoot, why);
    }
    if !keeps.is_empty() {
        let why = format!(
            "{name}'s {} {} {end}, and can be neither attached nor removed",
            and(&keeps),
            lie(&keeps)
        );
        found.hit(object(guest), Severity::Degraded, why);
    }
    if !frozen.is_empty() {
        let (names, it) = match &frozen[..] {
            [one] => (format!("snapshot {one}"), "it"),
            many => (
                format!("snapshots {}", and(&many.iter().map(SmolStr::to_string).collect::<Vec<_>>())),
                "them",
            ),
        };
        let have = if frozen.len() == 1 { "has" } else { "have" };
        let why = format!("{name}'s {names} {have} disks {end}: there is no way back to {it}");
        found.hit(object(guest), Severity::Degraded, why);
    }
    if suspends {
        found.hit(
            object(guest),
            Severity::Degraded,
            format!("a suspend of {name} to disk goes to {}", loss.storage),
        );
    }
}

/// Jobs that write there, and the guests that no other job takes.
fn jobs(look: &Look<'_>, found: &mut Found, loss: &Loss<'_>) {
    let cluster = look.estate.cluster();
    let is_hit = |node: Option<&str>| node.is_none_or(|node| (loss.is_lost_on)(node));
    let writes = |job: &str| {
        let mut all = cluster.jobs.iter().filter(|one| one.id == job);
        all.any(|one| one.storage.as_deref() == Some(loss.storage) && is_hit(one.node.as_deref()))
    };
    for job in cluster.jobs.iter().filter(|job| job.enabled && job.storage.is_none()) {
        let what =
            format!("backup job {} names no storage, and where its node writes to was not looked at", job.id);
        found.unseen(what);
    }
    if !cluster.jobs.iter().any(|job| job.enabled && writes(&job.id)) {
        return;
    }
    let mut hit: BTreeSet<SmolStr> = BTreeSet::new();
    for guest in look.estate.guests().filter(|guest| (loss.is_lost_on)(&guest.node)) {
        let covered = found.all(look.estate.backups_of(guest));
        let by: Vec<&SmolStr> = covered.by.iter().filter(|one| one.enabled).map(|one| &one.job).collect();
        hit.extend(by.iter().filter(|job| writes(job)).map(|job| (*job).clone()));
        if !by.is_empty() && by.iter().all(|job| writes(job)) {
            let jobs: Vec<String> = by.iter().map(ToString::to_string).collect();
            let why = format!("{} is backed up by {} alone, to {}", called(guest), and(&jobs), loss.storage);
            found.hit(object(guest), Severity::LosesBackup, why);
        }
    }
    for job in hit {
        let why = format!("it writes its backups to {}", loss.storage);
        found.hit(format!("backup job {job}"), Severity::LosesBackup, why);
    }
}

/// The backups that lie there, as the API lists them.
fn backups(look: &Look<'_>, found: &mut Found, loss: &Loss<'_>) {
    let mut of: BTreeMap<u32, usize> = BTreeMap::new();
    for row in look.rows(BACKUPS) {
        let named =
            row.get("volid").map(text).and_then(|id| Volume::parse(&id)).and_then(|volume| volume.owner());
        let vmid = named.or_else(|| text(row.get("vmid")?).parse().ok());
        *of.entry(vmid.unwrap_or(0)).or_default() += 1;
    }
    for (vmid, count) in of {
        let backups = if count == 1 { "one backup".to_owned() } else { format!("{count} backups") };
        let lie = if count == 1 { "lies" } else { "lie" };
        match look.one(vmid) {
            Some(guest) if !(loss.is_lost_on)(&guest.node) => {}
            Some(guest) => {
                let why = format!("{backups} of {} {lie} on {}", called(guest), loss.storage);
                found.hit(object(guest), Severity::LosesBackup, why);
            }
            None => {
                let why =
                    format!("{backups} {lie} on {}, and the guest itself is no longer there", loss.storage);
                found.hit(format!("guest/{vmid}"), Severity::LosesBackup, why);
            }
        }
    }
}

/// A volume that is removed by its name: whoever names it, and whether it is the last backup there.
fn volume_removed(look: &Look<'_>, found: &mut Found) {
    let (Some(storage), Some(name)) = (look.text("storage"), look.text("volume")) else { return };
    let id = if name.contains(':') { name } else { format!("{storage}:{name}") };
    let Some(volume) = Volume::parse(&id) else {
        found.unseen(format!("who uses {id} was not looked at: it is no volume's name"));
        return;
    };
    for one in found.all(look.estate.users_of_volume(&volume)) {
        let Some(guest) = look.one(one.guest) else { continue };
        let name = called(guest);
        let (severity, why) = match &one.using {
            Using::Disk { role: Role::Boot, slot, .. } => (
                Severity::WontBoot,
                format!("{name}'s {} is what it boots from, and is this volume", slot.name()),
            ),
            Using::Disk { role: Role::Media, slot, .. } => (
                Severity::WontBoot,
                format!("{name} has it in {}: it does not start until it is taken out", slot.name()),
            ),
            Using::Disk { role: Role::Unused | Role::Leftover, slot, .. } => {
                (Severity::DataLost, format!("{name} keeps it as {}", slot.name()))
            }
            Using::Disk { slot, .. } => (
                Severity::WontBoot,
                format!("{name}'s {} is this volume, and it does not start without it", slot.name()),
            ),
            Using::SnapshotState(snapshot) | Using::SnapshotOnly(snapshot) => (
                Severity::Degraded,
                format!("{name}'s snapshot {snapshot} needs it: there is no way back to that"),
            ),
            Using::SnapshotOn(_) | Using::SuspendsTo => continue,
        };
        found.hit(object(guest), severity, why);
    }
    if let Some(owner) = volume.owner().filter(|_| volume.is_base()) {
        for (other, disk) in found.all(look.estate.linked_clones(owner)) {
            if disk.base().as_ref() == Some(&volume) {
                clone_of(look, found, other, &disk, &format!("template {owner}"));
            }
        }
    }
    if volume.content() == Content::Backup {
        last_backup(look, found, &volume);
    }
}

fn last_backup(look: &Look<'_>, found: &mut Found, volume: &Volume) {
    let Some(vmid) = volume.owner() else { return };
    let listed = look.rows(BACKUPS).iter().filter_map(|row| Volume::parse(&text(row.get("volid")?)));
    let others: Vec<Volume> = listed.filter(|one| one.owner() == Some(vmid) && one != volume).collect();
    if look.answer(BACKUPS).is_some() && others.is_empty() {
        let there = look.one(vmid).is_some();
        let end = if there { "" } else { ", and the guest itself is no longer there" };
        let why = format!("it is the last backup of guest {vmid} on {}{end}", volume.storage());
        found.hit(
            look.one(vmid).map_or_else(|| format!("guest/{vmid}"), |guest| object(guest)),
            Severity::LosesBackup,
            why,
        );
    }
}

/// The storages that are made of a pool, a volume group or a folder of one node.
fn made_of(look: &Look<'_>, found: &mut Found) {
    let (Some(node), Some(name)) = (look.text("node"), look.text("name")) else { return };
    let template = look.request().template();
    for storage in look.estate.cluster().storages.iter().filter(|one| one.is_on(&node)) {
        let of =
            |key: &str| storage.source.iter().find(|(held, _)| held == key).map(|(_, value)| value.as_str());
        let is_it = match (template.split('/').nth(4), &*storage.kind) {
            (Some("zfs"), "zfspool") => of("pool").is_some_and(|pool| pool.split('/').next() == Some(&*name)),
            (Some("lvm"), "lvm" | "lvmthin") => of("vgname") == Some(&*name),
            (Some("lvmthin"), "lvmthin") => {
                of("thinpool") == Some(&*name)
                    && look.text("volume-group").is_none_or(|group| of("vgname") == Some(&*group))
            }
            (Some("directory"), "dir") => storage.path.as_deref() == Some(&format!("/mnt/pve/{name}")),
            _ => false,
        };
        if !is_it {
            continue;
        }
        let why = format!("what lies there on {node} is gone with {name}");
        found.hit(format!("storage/{}", storage.id), Severity::DataLost, why);
        let on = found.all(look.estate.on_storage(&storage.id));
        let end = format!("on {}, which is made of {name}", storage.id);
        let here = |other: &str| storage.shared || other == node;
        lose(look, found, &on, &Loss { lists: false, ..Loss::whole(&storage.id, end, &here) });
    }
}
