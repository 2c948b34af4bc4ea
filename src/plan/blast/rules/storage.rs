//! A storage that goes, is switched off, leaves nodes, or no longer takes what lies on it.

mod loss;
mod volume;

use std::collections::BTreeMap;

use super::guest::holder;
use super::{Get, Need, Rule};
use crate::estate::Using;
use crate::estate::guest::{Guest, Kind, Role};
use crate::estate::part::Part;
use crate::estate::volume::{Content, Volume};
use crate::plan::blast::look::{and, called, object};
use crate::plan::blast::{Found, Look, Severity};
use loss::{Loss, lose};

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
        checks: &[volume::removed],
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
    found.rests_on(look, &[Part::Replication]);
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

/// The storages that are made of a pool, a volume group or a folder of one node.
fn made_of(look: &Look<'_>, found: &mut Found) {
    let (Some(node), Some(name)) = (look.text("node"), look.text("name")) else { return };
    let template = look.request().template();
    found.rests_on(look, &[Part::Storages]);
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
