//! Backups: made by `vzdump`, asked for by jobs, pruned.

use serde_json::{Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::guest::{Guest, is_disk, property, volume};
use super::super::estate::sections::Section;
use super::super::estate::volume::Volume;
use super::super::estate::{Estate, now};
use super::super::route::Row;
use super::super::task::Work;
use super::{config, sections};
use crate::catalog::Method::{Delete, Get, Post};

pub const TABLE: &[Row] = &[
    (Post, "/nodes/{node}/vzdump", vzdump),
    (Get, "/nodes/{node}/vzdump/defaults", defaults),
    (Get, "/nodes/{node}/vzdump/extractconfig", extract),
    (Get, "/nodes/{node}/storage/{storage}/prunebackups", prunable),
    (Delete, "/nodes/{node}/storage/{storage}/prunebackups", prune),
    (Post, "/cluster/backup", create_job),
    (Get, "/cluster/backup/{id}/included_volumes", included),
    (Get, "/cluster/backup-info/not-backed-up", not_covered),
];

fn for_backups(estate: &Estate, name: &str) -> Result<Section, Refusal> {
    let storage = estate.storage(name)?;
    if storage.get("content").unwrap_or_default().split(',').any(|word| word == "backup") {
        return Ok(storage.clone());
    }
    Err(Refusal::die(format!("storage '{name}' does not support backups")))
}

/// Whom a job or a call speaks of, by its parameters.
fn selected(estate: &Estate, get: impl Fn(&str) -> Option<String>) -> Vec<&Guest> {
    let list = |key: &str| -> Vec<u32> {
        let value = get(key).unwrap_or_default();
        value.split([',', ';', ' ', '\0']).filter_map(|vmid| vmid.parse().ok()).collect()
    };
    let (named, excluded, pool) = (list("vmid"), list("exclude"), get("pool"));
    let all = get("all").is_some_and(|all| all == "1");
    let of_pool = pool.and_then(|pool| estate.access().pools.get(&pool));
    let guests = estate.guests().filter(|guest| {
        let in_pool = of_pool.is_some_and(|pool| pool.vms.contains(&guest.vmid));
        (named.contains(&guest.vmid) || in_pool || all) && !excluded.contains(&guest.vmid)
    });
    guests.collect()
}

fn vzdump(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let node = call.node();
    let storage = call.get("storage").unwrap_or("local").to_owned();
    if call.get("dumpdir").is_some() || call.get("script").is_some() {
        call.caller().need_root("")?;
    }
    if call.get("vmid").is_none() && !call.flag("all") && call.get("pool").is_none() {
        return Err(Refusal::parameter("vmid", "property is missing and it is not optional"));
    }
    for_backups(call.estate, &storage)?;
    call.caller().need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    let guests: Vec<u32> = selected(call.estate, |key| call.get(key).map(str::to_owned))
        .into_iter()
        .filter(|guest| guest.node == node)
        .map(|guest| guest.vmid)
        .collect();
    for vmid in &guests {
        call.caller().need(&format!("/vms/{vmid}"), &["VM.Backup"])?;
    }
    let missing = call
        .list("vmid")
        .into_iter()
        .find(|vmid| vmid.parse().is_ok_and(|vmid| call.estate.guest(vmid).is_none()));
    let one = if let [vmid] = guests[..] { Some(vmid) } else { None };
    let compress = call.get("compress").unwrap_or("0").to_owned();
    let notes = call.get("notes-template").map(str::to_owned);
    let protected = call.flag("protected");
    let mode = call.get("mode").unwrap_or("snapshot").to_owned();
    let mut work = Work::new();
    if let Some(vmid) = one {
        work = work.lock(vmid, "backup");
    }
    work = work.step(0.2, format!("INFO: starting new backup job: vzdump --storage {storage} --mode {mode}"));
    for guest in guests.iter().filter_map(|vmid| call.estate.guest(*vmid)) {
        work = work.step(
            0.2,
            format!("INFO: Starting Backup of {} {} ({})", guest.kind.word(), guest.vmid, guest.kind.name()),
        );
        work = work.copy(config::total_size(guest));
        work = work.step(0.2, format!("INFO: Finished Backup of {} {}", guest.kind.word(), guest.vmid));
    }
    let place = node.clone();
    let work = work.end(move |estate, lines| {
        for vmid in guests {
            let Some(guest) = estate.guest(vmid).cloned() else { continue };
            let volume = archive(estate, &storage, &place, guest, &compress);
            lines.push(format!("INFO: creating vzdump archive '{}'", volume.id()));
            estate.add_volume(Volume { notes: notes.clone(), protected, ..volume });
        }
        if let Some(vmid) = missing {
            return Err(format!("unable to find VM '{vmid}'"));
        }
        lines.push("INFO: Backup job finished successfully".to_owned());
        Ok(())
    });
    call.task_on(&node, "vzdump", one.map(|vmid| vmid.to_string()).unwrap_or_default(), work)
}

/// The archive of a guest as it is now, under a name that no other has.
pub fn archive(estate: &Estate, storage: &str, node: &str, guest: Guest, compress: &str) -> Volume {
    let end = match (guest.kind.name(), compress) {
        ("qemu", "zstd" | "1") => "vma.zst",
        ("qemu", "gzip") => "vma.gz",
        ("qemu", "lzo") => "vma.lzo",
        ("qemu", _) => "vma",
        (_, "zstd" | "1") => "tar.zst",
        (_, "gzip") => "tar.gz",
        (_, "lzo") => "tar.lzo",
        _ => "tar",
    };
    let name_at =
        |time: u64| format!("backup/vzdump-{}-{}-{}.{end}", guest.kind.name(), guest.vmid, stamp(time));
    let shared = estate.storage(storage).is_ok_and(Estate::is_shared);
    let free = |time: &u64| estate.volume(&format!("{storage}:{}", name_at(*time)), node).is_none();
    let time = (now()..).find(free).unwrap_or_default();
    let size = config::total_size(&guest) / 2 + 4096;
    let mut saved = guest.clone();
    saved.config.remove("lock");
    saved.snapshots.clear();
    saved.config.remove("parent");
    Volume {
        storage: storage.to_owned(),
        node: if shared { String::new() } else { node.to_owned() },
        name: name_at(time),
        content: "backup",
        format: end.to_owned(),
        size,
        used: size,
        created: time,
        vmid: Some(guest.vmid),
        archive: Some(Box::new(saved)),
        ..Volume::default()
    }
}

/// `2026_10_31-04_05_06`, in UTC.
fn stamp(time: u64) -> String {
    // Days to a date: Howard Hinnant's civil_from_days.
    let days = i64::try_from(time / 86_400).unwrap_or_default() + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let second = time % 86_400;
    format!("{year:04}_{month:02}_{day:02}-{:02}_{:02}_{:02}", second / 3600, second / 60 % 60, second % 60)
}

fn defaults(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let storage = call.get("storage").unwrap_or("local");
    let section = call.estate.storage(storage)?;
    Ok(json!({
        "mode": "snapshot", "storage": storage, "compress": "0", "remove": 1, "all": 0, "stop": 0, "quiet": 0, "pigz": 0,
        "zstd": 1, "ionice": 7, "bwlimit": 0, "lockwait": 180, "stopwait": 10, "stdexcludes": 1,
        "mailnotification": "always", "notification-mode": "auto",
        "dumpdir": format!("{}/dump", section.get("path").unwrap_or("/var/lib/vz")),
        "prune-backups": section.get("prune-backups").unwrap_or("keep-all=1"),
        "performance": { "max-workers": 16, "pbs-entries-max": 1_048_576 }, "fleecing": { "enabled": 0 },
    })
    .into())
}

fn extract(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let id = call.need("volume");
    let volume = call.estate.volume(&id, &call.node());
    let saved = volume.and_then(|volume| volume.archive.as_deref());
    let saved = saved.ok_or_else(|| Refusal::die(format!("volume '{id}' does not exist")))?;
    Ok(saved.text().into())
}

/// Backups by guest with what pruning would do: the newest so many are kept.
fn marked(call: &Call<'_>) -> Result<Vec<(Value, String, bool)>, Refusal> {
    let (name, node) = (call.need("storage"), call.node());
    let storage = for_backups(call.estate, &name)?;
    let rule = call.get("prune-backups").or(storage.get("prune-backups")).unwrap_or("keep-all=1").to_owned();
    let keep: usize = match property(&rule, "keep-all") {
        Some("1") => usize::MAX,
        _ => rule.split(',').filter_map(|part| part.split_once('=')?.1.parse::<usize>().ok()).sum(),
    };
    let mut backups: Vec<&Volume> = call
        .estate
        .volumes_on(&name, &node)
        .filter(|volume| volume.content == "backup")
        .filter(|volume| call.number("vmid").is_none_or(|vmid| volume.vmid == Some(vmid)))
        .collect();
    backups.sort_by_key(|volume| (volume.vmid, std::cmp::Reverse(volume.created)));
    let mut seen = std::collections::HashMap::new();
    let rows = backups.into_iter().map(|volume| {
        let count: &mut usize = seen.entry(volume.vmid).or_default();
        let mark = match (volume.protected, *count < keep) {
            (true, _) => "protected",
            (_, true) => "keep",
            _ => "remove",
        };
        *count += usize::from(!volume.protected);
        let kind = volume.archive.as_ref().map_or("unknown", |guest| guest.kind.name());
        let row = json!({
            "volid": volume.id(), "ctime": volume.created, "mark": mark, "type": kind, "vmid": volume.vmid,
        });
        (row, volume.id(), mark == "remove")
    });
    Ok(rows.collect())
}

fn prunable(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(marked(call)?.into_iter().map(|(row, _, _)| row).collect::<Value>().into())
}

fn prune(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let storage = call.need("storage");
    let path = format!("/storage/{storage}");
    if !call.caller().may(&path, "Datastore.Allocate") {
        call.caller().need(&path, &["Datastore.AllocateSpace"])?;
        match call.number::<u32>("vmid") {
            Some(vmid) => call.caller().need(&format!("/vms/{vmid}"), &["VM.Backup"])?,
            None => return Err(Refusal::forbidden(&format!("{path}, Datastore.Allocate"))),
        }
    }
    let gone: Vec<String> =
        marked(call)?.into_iter().filter(|(_, _, gone)| *gone).map(|(_, id, _)| id).collect();
    let node = call.node();
    let mut work = Work::new();
    for id in &gone {
        work = work.step(0.2, format!("removing backup '{id}'"));
    }
    let work = work.end(move |estate, _| {
        gone.iter().for_each(|id| {
            estate.remove_volume(id, &node);
        });
        Ok(())
    });
    call.task("prunebackups", storage, work)
}

fn create_job(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    if let Some(storage) = call.get("storage") {
        for_backups(call.estate, storage)?;
    }
    if call.get("vmid").is_none() && call.get("pool").is_none() && !call.flag("all") {
        return Err(Refusal::parameter("vmid", "property is missing and it is not optional"));
    }
    sections::create(call)
}

fn job_guests<'a>(estate: &'a Estate, job: &Section) -> Vec<&'a Guest> {
    selected(estate, |key| job.get(key).map(str::to_owned))
}

fn included(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let id = call.need("id");
    let job = call.estate.sections("jobs.cfg").find(&id);
    let job = job.ok_or_else(|| Refusal::parameter("id", format!("No such job '{id}'")))?;
    let children = job_guests(call.estate, job).into_iter().map(|guest| {
        let disks = guest.config.iter().filter(|(key, value)| {
            is_disk(guest.kind, key) && volume(value).is_some() && property(value, "media") != Some("cdrom")
        });
        let disks: Vec<Value> = disks
            .map(|(key, value)| {
                let taken = property(value, "backup").map_or(key == "rootfs" || guest.kind.name() == "qemu", |b| b == "1");
                let reason = if taken { "enabled" } else { "not a volume that is backed up" };
                json!({
                    "id": format!("{}:{key}", guest.vmid), "name": volume(value), "leaf": 1, "included": u8::from(taken),
                    "reason": reason,
                })
            })
            .collect();
        let mut row = json!({ "id": guest.vmid, "name": guest.name(), "type": guest.kind.name() });
        if disks.is_empty() {
            row["leaf"] = json!(1);
        }
        row["children"] = json!(disks);
        row
    });
    let children: Vec<Value> = children.collect();
    Ok(json!({ "children": children }).into())
}

fn not_covered(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let jobs = call.estate.sections("jobs.cfg").list.iter().filter(|job| job.kind == "vzdump");
    let covered: std::collections::BTreeSet<u32> =
        jobs.flat_map(|job| job_guests(call.estate, job)).map(|guest| guest.vmid).collect();
    let caller = call.caller();
    let rest = call.estate.guests().filter(|guest| {
        !covered.contains(&guest.vmid) && caller.may(&format!("/vms/{}", guest.vmid), "VM.Audit")
    });
    let rows =
        rest.map(|guest| json!({ "vmid": guest.vmid, "name": guest.name(), "type": guest.kind.name() }));
    Ok(rows.collect::<Value>().into())
}
