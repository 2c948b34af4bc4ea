//! The Backup Servers that storages name: reached or not, by what they say; how full; when something was last saved there.
//!
//! All by way of PVE, which alone has the password: its list of storages, what it says of each, and what it was told when it
//! could not reach one. What a server does by itself, as pruning and verifying, is seen on the server alone.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::host::{percent, size};
use super::super::page::date;
use super::super::{Gathered, Page, Subject};
use super::backups::{DAY, Guest, guests};
use super::{Fields, off, rows, vmid};
use crate::text::brief;

/// Numbers of guests that are named.
const NAMED: usize = 6;

/// A storage of type `pbs` as one node has it.
struct Seen<'a> {
    storage: &'a str,
    node: &'a str,
    enabled: bool,
    active: bool,
    used: u64,
    total: u64,
}

/// As PVE lists it, for one node or for each of the cluster.
fn seen(gathered: &Gathered) -> Result<Vec<Seen<'_>>, String> {
    if !matches!(gathered.subject, Subject::Cluster) {
        let node = gathered.node.as_deref().unwrap_or_default();
        let rows = rows(gathered.answer("storages")?)?.iter().filter(|row| row.text("type") == "pbs");
        let seen = rows.map(|row| Seen {
            storage: row.text("storage"),
            node,
            enabled: row.flag("enabled") != Some(false),
            active: row.flag("active") != Some(false),
            used: row.bytes("used"),
            total: row.bytes("total"),
        });
        return Ok(seen.collect());
    }
    let off = off(gathered)?;
    let rows = rows(gathered.answer("cluster_storages")?)?.iter();
    let rows = rows.filter(|row| row.text("plugintype") == "pbs" && !off.contains(&row.text("node")));
    let seen = rows.map(|row| Seen {
        storage: row.text("storage"),
        node: row.text("node"),
        enabled: true,
        active: matches!(row.text("status"), "available" | ""),
        used: row.bytes("disk"),
        total: row.bytes("maxdisk"),
    });
    Ok(seen.collect())
}

/// What `/storage` says of one, in words.
struct Named {
    /// `Backup Server 192.0.2.30`
    server: String,
    /// `datastore tank, namespace team`
    shelf: String,
    /// By what its certificate is known, if `/storage` could be read.
    known_by: &'static str,
}

/// Names of a configuration that come to stand in a sentence.
fn word(text: &str) -> String {
    const MOST: usize = 60;
    brief(text, MOST)
}

fn named(gathered: &Gathered, storage: &str) -> Named {
    let config = gathered.answer("backup_server_storages").ok().and_then(Value::as_array);
    let Some(row) = config.into_iter().flatten().find(|row| row.text("storage") == storage) else {
        let (server, shelf) =
            ("its Backup Server".to_owned(), "a datastore that /storage does not tell".to_owned());
        return Named { server, shelf, known_by: "" };
    };
    let port = row.number("port").map(|port| format!(":{port}")).unwrap_or_default();
    let namespace = match row.text("namespace") {
        "" => String::new(),
        namespace => format!(", namespace {}", word(namespace)),
    };
    Named {
        server: format!("Backup Server {}{port}", word(row.text("server"))),
        shelf: format!("datastore {}{namespace}", word(row.text("datastore"))),
        known_by: match row.text("fingerprint") {
            "" => {
                "no fingerprint is set, so its certificate has to be one that the node's authorities vouch for"
            }
            _ => "its certificate is known by a fingerprint",
        },
    }
}

pub fn backup(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let mut by_storage: BTreeMap<&str, Vec<Seen<'_>>> = BTreeMap::new();
    for one in seen(gathered)? {
        by_storage.entry(one.storage).or_default().push(one);
    }
    let any = !by_storage.is_empty();
    for (storage, seen) in by_storage {
        let named = named(gathered, storage);
        let title = format!("storage {} ({} of {})", word(storage), named.shelf, named.server);
        if seen.iter().all(|one| !one.enabled) {
            page.fact(format!("{title} is disabled"));
            continue;
        }
        let (active, silent): (Vec<&Seen<'_>>, Vec<&Seen<'_>>) = seen.iter().partition(|one| one.active);
        refused(gathered, page, &title, &named, &silent);
        if let Some(one) = active.first() {
            page.fact(format!("{title}: reached, {}", named.known_by));
            filled(page, &title, one);
            newest(gathered, page, storage, &title)?;
        }
    }
    if any {
        page.fact("Provost installed on such a server sees its jobs, owners and garbage too");
    }
    Ok(())
}

/// The kind of a refusal, by PVE's words for it. They come from PVE's plugin and the server's own software.
fn sign(said: &str) -> &'static str {
    let said = said.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["fingerprint", "certificate verify"]) {
        return "server_unknown";
    }
    let is_way = has(&["can't connect", "connection refused", "timed out", "no route", "unreachable"]);
    if !is_way
        && has(&[
            "unauthorized",
            "authentication failed",
            "permission",
            "credentials",
            "cannot find datastore",
        ])
    {
        return "server_refuses";
    }
    "server_unreachable"
}

fn refused(gathered: &Gathered, page: &mut Page<'_>, title: &str, named: &Named, silent: &[&Seen<'_>]) {
    // The same of several nodes is said once, in the words of the first.
    let mut alike: BTreeMap<&'static str, (String, Vec<&str>)> = BTreeMap::new();
    for one in silent {
        let place = format!("{} on {}", one.storage, one.node);
        let asked = gathered.api.get("backup_server_errors");
        let answered = asked.into_iter().flatten().find(|answered| answered.place == place);
        let (sign, said) = match answered.map(|answered| &answered.said) {
            // Statistics that nobody gathers, or a server that has come back.
            Some(Ok(_)) => {
                page.cannot_tell(format!(
                    "{title} is called inactive on {}, and PVE read it all the same just now",
                    one.node
                ));
                continue;
            }
            Some(Err(said)) if is_pves(said) => (sign(said), format!("PVE says: {said}")),
            Some(Err(said)) => (
                "server_unreachable",
                format!("it is enabled and not active; why could not be asked: {said}"),
            ),
            None => ("server_unreachable", "it is enabled and not active".to_owned()),
        };
        alike.entry(sign).or_insert_with(|| (said, Vec::new())).1.push(one.node);
    }
    for (sign, (said, nodes)) in alike {
        let what = match sign {
            "server_unknown" => format!("{title} shows another certificate than the one that is expected"),
            "server_refuses" => format!("{title} is refused"),
            _ => format!("{title} cannot be reached"),
        };
        let evidence = format!("on {}: {said}; {}", nodes.join(", "), named.known_by);
        page.flag_on(nodes[0], sign, what, evidence.trim_end_matches("; "));
    }
}

/// Whether it is what PVE said of the server, and not of who asked: a kind of failure stands before it.
fn is_pves(said: &str) -> bool {
    ["pve: ", "not_found: "].iter().any(|kind| said.starts_with(kind))
}

fn filled(page: &mut Page<'_>, title: &str, one: &Seen<'_>) {
    // Of a datastore on object storage nobody knows how large it is.
    if one.total == 0 {
        return;
    }
    let share = percent(one.used, one.total);
    page.fact(format!("{share:.0} % full"));
    let sign = match share {
        share if share >= page.limit("datastore_full") => "datastore_full",
        share if share >= page.limit("datastore_filling") => "datastore_filling",
        _ => return,
    };
    let evidence = format!("{} of {}, as {} sees it", size(one.used), size(one.total), one.node);
    page.flag_on(one.node, sign, format!("{title} is {share:.0} % full"), evidence);
}

/// When something was last saved there, and of which guests nothing lately. That a guest has nothing anywhere is another
/// probe's finding.
fn newest(gathered: &Gathered, page: &mut Page<'_>, storage: &str, title: &str) -> Result<(), String> {
    let place = format!("{storage} on ");
    let lists = gathered.answers("backups").filter(|(at, _)| at.starts_with(&place));
    let (mut of_guests, mut newest, mut read) = (BTreeMap::<u32, i64>::new(), None, false);
    for (_, list) in lists {
        read = true;
        for row in rows(list)? {
            let Some(at) = row.number("ctime").map(|at| at as i64) else { continue };
            newest = newest.max(Some(at));
            if let Some(vmid) = vmid(row) {
                let last = of_guests.entry(vmid).or_insert(at);
                *last = at.max(*last);
            }
        }
    }
    let Some(newest) = newest else {
        if read {
            page.cannot_tell(format!(
                "no backup is shown in {title}: there is none, or the token has no Datastore.AllocateSpace on it and no VM.Backup on guests"
            ));
        }
        return Ok(());
    };
    let most = page.limit("nothing_new");
    let is_old = |at: i64| (page.now.saturating_sub(at) / DAY) as f64 >= most;
    let guests = guests(gathered)?;
    let without: Vec<&Guest<'_>> =
        guests.iter().filter(|guest| of_guests.get(&guest.vmid).is_none_or(|at| is_old(*at))).collect();
    let named: Vec<String> = without.iter().take(NAMED).map(|guest| guest.vmid.to_string()).collect();
    let more = match without.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let told = match without.is_empty() {
        true => format!("each of {} guests has one of the last {most} days", guests.len()),
        false => format!("without one there in {most} days: {}{more}", named.join(", ")),
    };
    let told = format!("newest backup {}; {told}", date(newest));
    if is_old(newest) {
        let days = page.now.saturating_sub(newest) / DAY;
        page.flag("nothing_new", format!("nothing was saved to {title} for {days} days"), &told);
    }
    page.fact(told);
    Ok(())
}
