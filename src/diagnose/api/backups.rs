//! Which guests could be brought back, and from when.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::{Gathered, Page, Subject};
use super::{Fields, rows, vmid};

pub(super) const DAY: i64 = 86_400;

/// A guest that is there to be saved.
pub(super) struct Guest<'a> {
    pub vmid: u32,
    name: &'a str,
    node: &'a str,
}

/// Those that the subject is about. Templates do not change, and are saved once if at all.
pub(super) fn guests(gathered: &Gathered) -> Result<Vec<Guest<'_>>, String> {
    if let Some(vmid) = gathered.subject.guest() {
        return Ok(vec![Guest { vmid, name: "", node: "" }]);
    }
    let here = |row: &&Value| match &gathered.subject {
        Subject::Node(node) => row.text("node") == node,
        _ => true,
    };
    let rows = rows(gathered.answer("guests")?)?.iter().filter(here);
    let guests = rows
        .filter(|row| row.flag("template") != Some(true))
        .filter_map(|row| Some(Guest { vmid: vmid(row)?, name: row.text("name"), node: row.text("node") }));
    Ok(guests.collect())
}

fn title(guest: &Guest<'_>) -> String {
    if guest.name.is_empty() { "it".to_owned() } else { format!("guest {} ({})", guest.vmid, guest.name) }
}

/// Guests that no job covers.
fn uncovered(gathered: &Gathered) -> Result<Vec<u32>, String> {
    Ok(rows(gathered.answer("coverage")?)?.iter().filter_map(vmid).collect())
}

pub fn coverage(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let (guests, uncovered) = (guests(gathered)?, uncovered(gathered)?);
    let without: Vec<&Guest<'_>> = guests.iter().filter(|guest| uncovered.contains(&guest.vmid)).collect();
    page.fact(format!("{} of {} in no backup job", without.len(), guests.len()));
    for guest in without {
        page.flag_on(
            guest.node,
            "no_backup_job",
            format!("{} is in no backup job", title(guest)),
            "by /cluster/backup-info/not-backed-up",
        );
    }
    Ok(())
}

/// The newest archive of a guest.
struct Newest<'a> {
    at: i64,
    volume: &'a str,
    /// As a backup server verified it.
    failed: bool,
}

pub fn backups(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let mut newest: BTreeMap<u32, Newest<'_>> = BTreeMap::new();
    for (_, list) in gathered.answers("backups") {
        for row in rows(list)? {
            let (Some(vmid), Some(at)) = (vmid(row), row.number("ctime").map(|at| at as i64)) else {
                continue;
            };
            let failed = row["verification"].text("state") == "failed";
            let this = Newest { at, volume: row.text("volid"), failed };
            if newest.get(&vmid).is_none_or(|other| other.at < at) {
                newest.insert(vmid, this);
            }
        }
    }
    // Where some storage could not be read, nobody knows that there is none.
    let all_read = gathered.api.get("backups").into_iter().flatten().all(|answered| answered.said.is_ok());
    let uncovered = uncovered(gathered).unwrap_or_default();
    let guests = guests(gathered)?;
    page.fact(format!(
        "{} of {} guests have one",
        guests.iter().filter(|guest| newest.contains_key(&guest.vmid)).count(),
        guests.len()
    ));
    for guest in &guests {
        match newest.get(&guest.vmid) {
            Some(newest) => {
                let days = page.now.saturating_sub(newest.at) / DAY;
                let evidence = format!("{} of {}", newest.volume, super::super::page::date(newest.at));
                if newest.failed {
                    page.flag_on(
                        guest.node,
                        "bad_backup",
                        format!("the last backup of {} is damaged", title(guest)),
                        &evidence,
                    );
                }
                if days as f64 >= page.limit("old_backup") {
                    page.flag_on(
                        guest.node,
                        "old_backup",
                        format!("the last backup of {} is {days} days old", title(guest)),
                        &evidence,
                    );
                }
            }
            // That no job covers it is said of it already.
            None if all_read && (gathered.subject.guest().is_some() || !uncovered.contains(&guest.vmid)) => {
                page.flag_on(
                    guest.node,
                    "no_backup",
                    format!("there is no backup of {}", title(guest)),
                    "no storage that holds backups has one",
                );
            }
            None => {}
        }
    }
    Ok(())
}
