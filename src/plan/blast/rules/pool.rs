//! What goes with a pool, or with being in it: rights, and backups.

use std::collections::BTreeSet;

use smol_str::SmolStr;

use super::backup::{bare, pool_now};
use super::rights::{compare, holders, known, paths};
use super::{Need, Rule};
use crate::estate::access::Access;
use crate::estate::guest::Guest;
use crate::estate::jobs::Chosen;
use crate::plan::blast::look::called;
use crate::plan::blast::{Found, Look, Severity};

const NONE: &[Need] = &[];

pub const RULES: &[Rule] = &[
    Rule { calls: &["DELETE /pools/{poolid}", "DELETE /pools"], needs: NONE, checks: &[removed] },
    Rule { calls: &["PUT /pools/{poolid}", "PUT /pools"], needs: NONE, checks: &[members] },
];

/// Whoever has an entry on a pool, or above it.
fn having(access: &Access, pool: &str) -> Vec<SmolStr> {
    let on = format!("/pool/{pool}");
    let above = |path: &str| path == on || path == "/pool";
    access.acls.iter().filter(|acl| above(&acl.path)).flat_map(|acl| holders(access, acl)).collect()
}

/// The paths of what is in pools that differ.
fn members_of<'a>(pools: impl IntoIterator<Item = &'a crate::estate::access::Pool>) -> BTreeSet<SmolStr> {
    let of = |pool: &crate::estate::access::Pool| {
        let guests = pool.guests.iter().map(|vmid| SmolStr::from(format!("/vms/{vmid}")));
        let storages = pool.storages.iter().map(|id| SmolStr::from(format!("/storage/{id}")));
        guests.chain(storages).collect::<Vec<_>>()
    };
    pools.into_iter().flat_map(of).collect()
}

fn scoped(found: &mut Found, pool: &str) {
    found.unseen(format!("whether a role of Provost's own configuration is bound to pool:{pool}"));
}

fn removed(look: &Look<'_>, found: &mut Found) {
    let Some(id) = look.text("poolid") else { return };
    let before = known(look, found);
    let mut after = before.clone();
    let pool = after.pools.remove(id.as_str());
    let path = format!("/pool/{id}");
    after.acls.retain(|acl| acl.path != path.as_str());
    let mut all = paths([before]);
    all.extend(members_of(&pool));
    compare(look, found, &after, having(before, &id), &all);
    let jobs = &look.estate.cluster().jobs;
    for job in jobs.iter().filter(|job| job.enabled && job.chosen == Chosen::Pool(id.as_str().into())) {
        let why = format!("it takes the guests of {id}, and finds none any more");
        found.hit(format!("backup job {}", job.id), Severity::LosesBackup, why);
    }
    let then = |guest: &Guest| pool_now(look)(guest).filter(|pool| *pool != id);
    bare(look, found, jobs, &then, &|guest, was| {
        format!("{} is backed up by nothing any more: {was} took it as one of {id}", called(guest))
    });
    scoped(found, &id);
}

/// Members that are taken out; or put in, and so out of the pool that they were in.
fn members(look: &Look<'_>, found: &mut Found) {
    let Some(id) = look.text("poolid") else { return };
    let guests: BTreeSet<u32> = look.list("vms").iter().filter_map(|vmid| vmid.parse().ok()).collect();
    let storages: BTreeSet<SmolStr> = look.list("storage").into_iter().map(SmolStr::from).collect();
    if guests.is_empty() && storages.is_empty() {
        return;
    }
    let before = known(look, found);
    let mut after = before.clone();
    let mut left: BTreeSet<SmolStr> = BTreeSet::new();
    for (name, pool) in &mut after.pools {
        // A storage may be in many pools, a guest in one.
        let leaves = if look.flag("delete") { *name == id } else { *name != id };
        let had = pool.guests.len() + pool.storages.len();
        if leaves {
            pool.guests.retain(|vmid| !guests.contains(vmid));
            if look.flag("delete") {
                pool.storages.retain(|storage| !storages.contains(storage));
            }
        } else if *name == id {
            pool.guests.extend(&guests);
            pool.storages.extend(storages.iter().cloned());
        }
        if leaves && had != pool.guests.len() + pool.storages.len() {
            left.insert(name.clone());
        }
    }
    if left.is_empty() {
        return;
    }
    let whom: Vec<SmolStr> = left.iter().flat_map(|pool| having(before, pool)).collect();
    let all = left.iter().filter_map(|pool| before.pools.get(pool));
    compare(look, found, &after, whom, &members_of(all));
    let then = |guest: &Guest| match guests.contains(&guest.vmid) {
        true if look.flag("delete") => pool_now(look)(guest).filter(|pool| *pool != id),
        true => Some(id.as_str().into()),
        false => pool_now(look)(guest),
    };
    bare(look, found, &look.estate.cluster().jobs, &then, &|guest, was| {
        let from = pool_now(look)(guest).unwrap_or_default();
        format!("{} is backed up by nothing any more: {was} took it as one of {from}", called(guest))
    });
    left.iter().for_each(|pool| scoped(found, pool));
}
