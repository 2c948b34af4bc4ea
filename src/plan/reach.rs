//! Which guests a request reaches: those that it names anywhere, and those of a node or cluster that it acts on whole.
//!
//! What a role may touch is decided by this list, so it errs on the side of too many.

use std::collections::BTreeSet;

use serde_json::Value;

use super::eyes::Eyes;
use super::fields::text;
use super::{Refused, Request};
pub use crate::catalog::list as listed;
use crate::pve::Upid;

/// Calls that act on every guest of the node, or of the cluster, unless `vms` says which.
const WHOLE: &[&str] = &[
    "POST /cluster/bulk-action/guest/migrate",
    "POST /cluster/bulk-action/guest/shutdown",
    "POST /cluster/bulk-action/guest/start",
    "POST /cluster/bulk-action/guest/suspend",
    "POST /nodes/{node}/migrateall",
    "POST /nodes/{node}/startall",
    "POST /nodes/{node}/stopall",
    "POST /nodes/{node}/suspendall",
    "POST /nodes/{node}/status",
];

/// Calls of backups, which take all guests by an argument.
const BACKUPS: &[&str] = &["POST /nodes/{node}/vzdump", "POST /cluster/backup", "PUT /cluster/backup/{id}"];

/// Arguments that are for people.
const PROSE: &[&str] = &["description", "notes", "comment", "notes-template", "title"];

/// Whether the call acts on all guests of its node, or of the cluster.
pub fn is_whole(request: &Request) -> bool {
    let endpoint = request.endpoint();
    // A list of nobody is no choice: to some releases it is everybody.
    let chosen = |name: &str| {
        let ids = request.args.get(name).map(texts).unwrap_or_default();
        ids.iter().flat_map(|ids| listed(ids)).any(|id| id.parse::<u32>().is_ok())
    };
    // To name who is left out is to name all the others.
    let backup = BACKUPS.contains(&endpoint.as_str())
        && (request.flag("all") || ["pool", "exclude"].iter().any(|name| request.args.contains_key(*name)));
    (WHOLE.contains(&endpoint.as_str()) && !chosen("vms")) || backup
}

pub async fn guests(eyes: &Eyes, request: &Request) -> Result<Vec<u32>, Refused> {
    let mut found = named(request);
    // A host of another product has none, and no list of them to ask for.
    if is_whole(request) && request.product().has_guests() {
        let node = request.text("node");
        let all = eyes.guests().await?;
        let here = all.into_iter().filter(|guest| node.as_ref().is_none_or(|node| *node == guest.node));
        found.extend(here.map(|guest| guest.vmid));
    }
    Ok(found.into_iter().collect())
}

/// The guests that the path or an argument names.
pub fn named(request: &Request) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for (name, value) in request.captured.iter().chain(&request.args) {
        for text in texts(value) {
            match name.as_str() {
                "vmid" | "newid" | "target-vmid" | "vms" | "exclude" => {
                    found.extend(listed(&text).filter_map(|id| id.parse::<u32>().ok()));
                }
                "sid" | "resources" => {
                    let ids = listed(&text).map(|id| id.rsplit_once(':').map_or(id, |(_, id)| id).to_owned());
                    found.extend(ids.filter_map(|id| id.parse::<u32>().ok()));
                }
                "id" if request.template().contains("/replication") => {
                    found.extend(text.split('-').next().and_then(|id| id.parse::<u32>().ok()));
                }
                "path" if request.template() == "/access/acl" => {
                    // As PVE takes it: slashes that say nothing fall away.
                    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
                    if let ["vms", id] = parts[..] {
                        found.extend(id.parse::<u32>().ok());
                    }
                }
                "upid" => {
                    found.extend(text.parse::<Upid>().ok().and_then(|upid| upid.id.parse::<u32>().ok()))
                }
                name if PROSE.contains(&name) => {}
                _ => found.extend(owners(&text)),
            }
        }
    }
    found
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        Value::Null => Vec::new(),
        other => vec![text(other)],
    }
}

/// The guests whose volumes a text names: the 105 of `local:105/vm-105-disk-0.qcow2`.
fn owners(text: &str) -> impl Iterator<Item = u32> {
    const BEFORE: &[&str] =
        &["vm-", "base-", "subvol-", "basevol-", "vzdump-qemu-", "vzdump-lxc-", "vzdump-openvz-"];
    let number = |rest: &str| -> Option<u32> {
        let digits = rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        rest[..digits].parse().ok()
    };
    let by_name = BEFORE.iter().flat_map(move |before| {
        text.match_indices(before).filter_map(move |(at, _)| number(&text[at + before.len()..]))
    });
    // `pbs:backup/vm/105/…`, `local:105/…`
    let by_folder = ["backup/vm/", "backup/ct/"].into_iter().flat_map(move |before| {
        text.match_indices(before).filter_map(move |(at, _)| number(&text[at + before.len()..]))
    });
    let own = text.match_indices(':').filter_map(move |(at, _)| {
        let rest = &text[at + 1..];
        let guest = number(rest)?;
        rest[guest.to_string().len()..].starts_with('/').then_some(guest)
    });
    by_name.chain(by_folder).chain(own).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_tells_whose_it_is() {
        for (volume, guests) in [
            ("local:105/vm-105-disk-0.qcow2,size=4G", vec![105, 105]),
            ("local-zfs:subvol-101-disk-0", vec![101]),
            ("local-zfs:base-9000-disk-0/vm-111-disk-0", vec![111, 9000]),
            ("local:backup/vzdump-lxc-110-2026_01_01-00_00_00.tar.zst", vec![110]),
            ("pbs:backup/vm/120/2026-01-01T00:00:00Z", vec![120]),
            ("virtio=BC:24:11:00:00:01,bridge=vmbr0", vec![]),
            ("local:iso/debian-13.iso", vec![]),
            ("local-lvm:32", vec![]),
        ] {
            let mut found: Vec<u32> = owners(volume).collect();
            found.sort_unstable();
            assert_eq!(found, guests, "{volume}");
        }
    }
}
