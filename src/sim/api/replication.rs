//! Copies of guests' disks on other nodes: the jobs, how they stand, and one more of them.

use serde_json::{Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::now;
use super::super::route::Row;
use super::super::task::Work;
use super::sections;
use crate::catalog::Method::{Get, Post};

pub const TABLE: &[Row] = &[
    (Get, "/nodes/{node}/replication", replication),
    (Get, "/nodes/{node}/replication/{id}/status", replication_status),
    (Get, "/nodes/{node}/replication/{id}/log", replication_log),
    (Post, "/nodes/{node}/replication/{id}/schedule_now", replicate),
    (Post, "/cluster/replication", create_replication),
];

/// The jobs whose guest is on this node.
fn replication(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (node, wanted) = (call.node(), call.number::<u32>("guest"));
    let caller = call.caller();
    let jobs = call.estate.sections("replication.cfg").list.iter().filter_map(|job| {
        let guest: u32 = job.id.split('-').next()?.parse().ok()?;
        let here = call.estate.guest(guest).is_some_and(|guest| guest.node == node);
        let seen = caller.may(&format!("/vms/{guest}"), "VM.Audit");
        (here && seen && wanted.is_none_or(|wanted| wanted == guest))
            .then(|| replication_row(call, &job.id))
            .flatten()
    });
    Ok(jobs.collect::<Value>().into())
}

fn replication_row(call: &Call<'_>, id: &str) -> Option<Value> {
    let job = call.estate.sections("replication.cfg").find(id)?;
    let (guest, number) = id.split_once('-')?;
    let vmid: u32 = guest.parse().ok()?;
    let last = call.estate.kept.get(&format!("replication {id}"));
    let last_sync: u64 = last.and_then(|kept| kept.get("last")?.parse().ok()).unwrap_or_default();
    Some(json!({
        "id": id, "type": job.kind, "guest": vmid, "jobnum": number.parse::<u32>().unwrap_or_default(),
        "vmtype": call.estate.guest(vmid).map_or("qemu", |guest| guest.kind.name()),
        "source": call.estate.guest(vmid).map(|guest| guest.node.clone()), "target": job.get("target"),
        "schedule": job.get("schedule").unwrap_or("*/15"), "last_sync": last_sync, "last_try": last_sync,
        "next_sync": now() / 900 * 900 + 900, "fail_count": 0, "duration": 2.5,
    }))
}

fn existing_job(call: &Call<'_>) -> Result<Value, Refusal> {
    let id = call.need("id");
    replication_row(call, &id).ok_or_else(|| Refusal::die(format!("no such replication job '{id}'")))
}

fn replication_status(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(existing_job(call)?.into())
}

fn replication_log(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let row = existing_job(call)?;
    let lines =
        json!([{ "n": 1, "t": format!("end replication job {}", row["id"].as_str().unwrap_or_default()) }]);
    Ok(Reply::Lines { lines, total: 1 })
}

fn replicate(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    existing_job(call)?;
    let id = call.need("id");
    let key = format!("replication {id}");
    let work = Work::new().step(2.0, format!("replicating {id}")).end(move |estate, _| {
        estate.kept.entry(key).or_default().insert("last".to_owned(), now().to_string());
        estate.version += 1;
        Ok(())
    });
    call.task("replicate", id, work)
}

fn create_replication(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (id, target) = (call.need("id"), call.need("target"));
    let vmid: u32 = id.split('-').next().and_then(|vmid| vmid.parse().ok()).unwrap_or_default();
    let guest =
        call.estate.guest(vmid).ok_or_else(|| Refusal::die(format!("guest '{vmid}' does not exist")))?;
    if guest.node == target {
        return Err(Refusal::die(format!("Source and target node are the same: '{target}'")));
    }
    if call.estate.node(&target).is_none() {
        return Err(Refusal::die(format!("replication target '{target}' does not exist")));
    }
    sections::create(call)
}
