//! A guest's copy on another node that goes, or grows old.

use smol_str::SmolStr;

use super::{Need, Rule};
use crate::estate::replication::Replication;
use crate::plan::blast::look::{called_of, object_of};
use crate::plan::blast::{Found, Look, Severity};

const NONE: &[Need] = &[];

pub const RULES: &[Rule] = &[
    Rule { calls: &["DELETE /cluster/replication/{id}"], needs: NONE, checks: &[removed] },
    Rule { calls: &["PUT /cluster/replication/{id}"], needs: NONE, checks: &[changed] },
];

fn job<'a>(look: &Look<'a>, found: &mut Found) -> Option<&'a Replication> {
    let id = look.text("id")?;
    let job = look.estate.cluster().replications.iter().find(|job| job.id == id);
    if job.is_none() {
        found.unseen(format!(
            "replication {id} is not in the cluster's files, so that its guest is not known"
        ));
    }
    job
}

fn removed(look: &Look<'_>, found: &mut Found) {
    let Some(job) = job(look, found) else { return };
    match look.flag("keep") {
        // A job that is off makes its copy no older by going.
        true if job.disabled => {}
        true => ages(look, found, job),
        false => goes(look, found, job),
    }
}

fn changed(look: &Look<'_>, found: &mut Found) {
    let Some(job) = job(look, found) else { return };
    match look.text("remove_job").as_deref() {
        Some("full") => goes(look, found, job),
        Some(_) => ages(look, found, job),
        None if look.flag("disable") && !job.disabled => ages(look, found, job),
        None => {}
    }
}

fn target(job: &Replication) -> &str {
    job.target.as_deref().unwrap_or("its target")
}

fn goes(look: &Look<'_>, found: &mut Found, job: &Replication) {
    let name = called_of(look, job.vmid);
    let why = format!("the copy of {name} on {} is removed", target(job));
    found.hit(object_of(look, job.vmid), Severity::LosesBackup, why);
    if is_kept(look, job) {
        let why = format!("if its node fails, HA cannot start {name} on {} any more", target(job));
        found.hit(object_of(look, job.vmid), Severity::Degraded, why);
    }
}

fn ages(look: &Look<'_>, found: &mut Found, job: &Replication) {
    let name = called_of(look, job.vmid);
    let mut why = format!("{name} is copied to {} no more: the copy there grows old", target(job));
    if is_kept(look, job) {
        why += ", and if its node fails HA starts it from that";
    }
    found.hit(object_of(look, job.vmid), Severity::LosesBackup, why);
}

/// Whether HA would start the guest where the copy is.
fn is_kept(look: &Look<'_>, job: &Replication) -> bool {
    let resources = &look.estate.cluster().resources;
    let started = |state: &SmolStr| ["started", "enabled"].contains(&state.as_str());
    resources.iter().any(|one| one.vmid == job.vmid && started(&one.state))
}
