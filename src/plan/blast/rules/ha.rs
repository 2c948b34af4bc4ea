//! What HA would do, or no longer do: guests that it stops, moves, or leaves where they fail. Groups are PVE 8's, rules
//! PVE 9's.

use std::sync::Arc;

use smol_str::SmolStr;

use super::{Need, Rule};
use crate::estate::Lack;
use crate::estate::guest::{Guest, Kind};
use crate::estate::ha::{Places, Resource};
use crate::plan::blast::look::{and, called, object};
use crate::plan::blast::{Found, Look, Severity};

const STATUS: &[Need] = &[Need::Status];

pub const RULES: &[Rule] = &[
    Rule { calls: &["DELETE /cluster/ha/resources/{sid}"], needs: &[], checks: &[released] },
    Rule {
        calls: &["POST /cluster/ha/resources", "PUT /cluster/ha/resources/{sid}"],
        needs: STATUS,
        checks: &[wanted, regrouped],
    },
    Rule {
        calls: &["POST /cluster/ha/resources/{sid}/migrate", "POST /cluster/ha/resources/{sid}/relocate"],
        needs: STATUS,
        checks: &[sent],
    },
    Rule {
        calls: &["POST /cluster/ha/rules", "PUT /cluster/ha/rules/{rule}"],
        needs: STATUS,
        checks: &[ruled],
    },
    Rule { calls: &["DELETE /cluster/ha/rules/{rule}"], needs: &[], checks: &[unruled] },
    Rule { calls: &["PUT /cluster/ha/groups/{group}"], needs: STATUS, checks: &[group_changed] },
    Rule { calls: &["DELETE /cluster/ha/groups/{group}"], needs: &[], checks: &[group_removed] },
    Rule { calls: &["POST /cluster/ha/status/disarm-ha"], needs: &[], checks: &[disarmed] },
];

/// `vm:105`, `105`
fn vmid(sid: &str) -> Option<u32> {
    sid.rsplit_once(':').map_or(sid, |(_, id)| id).parse().ok()
}

fn guest<'a>(look: &Look<'a>) -> Option<&'a Arc<Guest>> {
    look.one(vmid(&look.text("sid")?)?)
}

/// What HA keeps, and what of that was not seen.
fn resources<'a>(look: &Look<'a>, found: &mut Found) -> &'a [Resource] {
    // Any question that rests on HA's files says what of them was not seen.
    if let Some(any) = look.estate.guests().next() {
        let (_, unseen) = look.estate.lacks(any, "").into_parts();
        for finding in unseen.iter().filter(|one| one.file.starts_with("ha/")) {
            found.unseen(finding.to_string());
        }
    }
    &look.estate.cluster().resources
}

fn is_started(state: &str) -> bool {
    ["started", "enabled"].contains(&state)
}

/// HA moves a machine while it runs; a container is stopped meanwhile.
fn moves(look: &Look<'_>, found: &mut Found, guest: &Guest, why: &str) {
    if !look.may_run(guest.vmid) {
        return;
    }
    let (severity, how) = match guest.kind {
        Kind::Qemu => (Severity::Degraded, "moves while it runs"),
        Kind::Lxc => (Severity::Stops, "is stopped, moved and started again"),
    };
    found.hit(object(guest), severity, format!("{} {how}: {why}", called(guest)));
}

fn released(look: &Look<'_>, found: &mut Found) {
    let held = resources(look, found);
    let Some(guest) = guest(look) else { return };
    let Some(own) = held.iter().find(|one| one.vmid == guest.vmid) else { return };
    if !is_started(&own.state) {
        return;
    }
    let why = format!(
        "HA no longer starts {} again when it fails, nor on another node when {} does",
        called(guest),
        guest.node
    );
    found.hit(object(guest), Severity::Degraded, why);
    for rule in look.estate.cluster().rules.iter().filter(|rule| !rule.disabled) {
        if !matches!(rule.places, Places::Together | Places::Apart) || !names(&rule.resources, guest) {
            continue;
        }
        for other in rule.resources.iter().filter_map(|sid| look.one(vmid(sid)?)) {
            if other.vmid != guest.vmid {
                let how = if rule.places == Places::Together { "together with" } else { "apart from" };
                let why =
                    format!("rule {} no longer keeps {} {how} {}", rule.id, called(other), called(guest));
                found.hit(object(other), Severity::Degraded, why);
            }
        }
    }
}

fn names(resources: &[SmolStr], guest: &Guest) -> bool {
    resources.iter().any(|sid| *sid == guest.sid())
}

fn wanted(look: &Look<'_>, found: &mut Found) {
    let held = resources(look, found);
    let Some(guest) = guest(look) else { return };
    let was = held.iter().find(|one| one.vmid == guest.vmid).map(|one| one.state.as_str());
    match look.text("state").as_deref() {
        Some(state @ ("stopped" | "disabled")) if look.may_run(guest.vmid) => {
            let why = format!("HA shuts {} down: it is wanted {state}", called(guest));
            found.hit(object(guest), Severity::Stops, why);
        }
        Some("ignored") if was.is_some_and(is_started) => {
            let why =
                format!("HA leaves {} alone, and starts it nowhere when {} fails", called(guest), guest.node);
            found.hit(object(guest), Severity::Degraded, why);
        }
        _ => {}
    }
}

/// Into a group (PVE 8) that does not have its node.
fn regrouped(look: &Look<'_>, found: &mut Found) {
    let (Some(guest), Some(id)) = (guest(look), look.text("group")) else { return };
    let groups = &look.estate.cluster().ha_groups;
    match groups.iter().find(|group| group.id == id) {
        Some(group) if !group.nodes.contains(&guest.node) => {
            moves(
                look,
                found,
                guest,
                &format!("group {id} is of {}, not {}", list(&group.nodes), guest.node),
            );
        }
        Some(_) => {}
        None => found.unseen(format!("which nodes the group {id} has")),
    }
}

fn list(names: &[SmolStr]) -> String {
    and(&names.iter().map(ToString::to_string).collect::<Vec<_>>())
}

fn sent(look: &Look<'_>, found: &mut Found) {
    resources(look, found);
    let (Some(guest), Some(node)) = (guest(look), look.text("node")) else { return };
    if guest.node == node {
        return;
    }
    if look.request().template().ends_with("/relocate") && look.may_run(guest.vmid) {
        let why = format!("{} is stopped, moved to {node} and started there", called(guest));
        found.hit(object(guest), Severity::Stops, why);
    } else {
        moves(look, found, guest, &format!("it is sent to {node}"));
    }
    let lacks = found.all(look.estate.lacks(guest, &node));
    if !lacks.is_empty() {
        let what: Vec<String> = lacks.iter().map(lack).collect();
        let why = format!("{node} does not have what {} needs: {}", called(guest), and(&what));
        found.hit(object(guest), Severity::WontBoot, why);
    }
    for rule in look.estate.cluster().rules.iter().filter(|rule| !rule.disabled) {
        if !names(&rule.resources, guest) {
            continue;
        }
        let others = rule.resources.iter().filter_map(|sid| look.one(vmid(sid)?));
        for other in others.filter(|other| other.vmid != guest.vmid) {
            match rule.places {
                Places::Together if other.node != node => {
                    moves(look, found, other, &format!("rule {} keeps it with {}", rule.id, called(guest)));
                }
                Places::Apart if other.node == node => {
                    let why = format!(
                        "rule {} keeps it apart from {}, which comes to {node}",
                        rule.id,
                        called(guest)
                    );
                    moves(look, found, other, &why);
                }
                _ => {}
            }
        }
    }
}

fn lack(of: &Lack) -> String {
    match of {
        Lack::Storage(id) => format!("storage {id}"),
        Lack::Mapping(kind, id) => format!("the {} mapping {id}", kind.name()),
        Lack::Zone(id) => format!("zone {id}"),
        Lack::Rule(id) => format!("{id} of HA keeps it elsewhere"),
    }
}

/// A rule as it would be, whether it is new or not.
struct Ruled {
    id: String,
    resources: Vec<SmolStr>,
    places: Places,
    disabled: bool,
}

fn as_it_would_be(look: &Look<'_>) -> Option<Ruled> {
    let id = look.text("rule")?;
    let rules = &look.estate.cluster().rules;
    let was = rules.iter().find(|rule| rule.id == id);
    let gone = look.list("delete");
    let given = |key: &str| look.request().args.contains_key(key);
    let resources = match given("resources") {
        true => look.list("resources").into_iter().map(SmolStr::from).collect(),
        false => was?.resources.to_vec(),
    };
    let kind = look.text("type");
    let affinity = look.text("affinity");
    let strict = match was.map(|rule| &rule.places) {
        _ if given("strict") => look.flag("strict"),
        Some(Places::Nodes { strict, .. }) => *strict && !gone.iter().any(|key| key == "strict"),
        _ => false,
    };
    let places = match (kind.as_deref(), affinity.as_deref()) {
        _ if given("nodes") => {
            let name = |node: String| node.split_once(':').map_or(node.as_str(), |(name, _)| name).into();
            Places::Nodes { nodes: look.list("nodes").into_iter().map(name).collect(), strict }
        }
        (_, Some("positive")) => Places::Together,
        (_, Some("negative")) => Places::Apart,
        _ => match &was?.places {
            Places::Nodes { nodes, .. } => Places::Nodes { nodes: nodes.clone(), strict },
            places => places.clone(),
        },
    };
    let disabled = if given("disable") {
        look.flag("disable")
    } else {
        was.is_some_and(|rule| rule.disabled) && !gone.iter().any(|key| key == "disable")
    };
    Some(Ruled { id, resources, places, disabled })
}

fn ruled(look: &Look<'_>, found: &mut Found) {
    let held = resources(look, found);
    let Some(rule) = as_it_would_be(look) else { return };
    if rule.disabled {
        return unruled(look, found);
    }
    let kept = |guest: &&Arc<Guest>| held.iter().any(|one| one.vmid == guest.vmid && is_started(&one.state));
    let guests: Vec<&Arc<Guest>> =
        rule.resources.iter().filter_map(|sid| look.one(vmid(sid)?)).filter(kept).collect();
    let members = &look.estate.cluster().members.nodes;
    let is_up = |node: &SmolStr| members.iter().any(|member| member.name == *node && member.online);
    match &rule.places {
        Places::Nodes { nodes, strict } => {
            for guest in guests.iter().filter(|guest| !nodes.contains(&guest.node)) {
                if *strict && !nodes.iter().any(is_up) && look.may_run(guest.vmid) {
                    let why =
                        format!("{} may run on {} alone, and none of that is up", called(guest), list(nodes));
                    found.hit(object(guest), Severity::Stops, why);
                } else {
                    let may = if *strict { "may run on" } else { "is to run on" };
                    moves(look, found, guest, &format!("by rule {} it {may} {}", rule.id, list(nodes)));
                }
            }
        }
        Places::Together => {
            let mut nodes: Vec<&SmolStr> = guests.iter().map(|guest| &guest.node).collect();
            nodes.sort();
            nodes.dedup();
            for guest in guests.iter().filter(|_| nodes.len() > 1) {
                let why = format!("rule {} puts {} on one node, and HA chooses which", rule.id, all(&guests));
                perhaps(look, found, guest, &why);
            }
        }
        Places::Apart => {
            for guest in &guests {
                let beside: Vec<String> = guests
                    .iter()
                    .filter(|other| other.vmid != guest.vmid && other.node == guest.node)
                    .map(|other| called(other))
                    .collect();
                if !beside.is_empty() {
                    let why = format!(
                        "rule {} keeps it apart from {}, which is on {} too",
                        rule.id,
                        and(&beside),
                        guest.node
                    );
                    perhaps(look, found, guest, &why);
                }
            }
        }
        Places::Unknown(kind) => found.unseen(format!("what a rule of the kind {kind} does")),
    }
}

fn all(guests: &[&Arc<Guest>]) -> String {
    and(&guests.iter().map(|guest| called(guest)).collect::<Vec<_>>())
}

fn perhaps(look: &Look<'_>, found: &mut Found, guest: &Guest, why: &str) {
    if look.may_run(guest.vmid) {
        found.hit(object(guest), Severity::Degraded, format!("{} may be moved: {why}", called(guest)));
    }
}

/// Removed, or switched off.
fn unruled(look: &Look<'_>, found: &mut Found) {
    resources(look, found);
    let Some(id) = look.text("rule") else { return };
    let Some(rule) = look.estate.cluster().rules.iter().find(|rule| rule.id == id && !rule.disabled) else {
        return;
    };
    let guests: Vec<&Arc<Guest>> = rule.resources.iter().filter_map(|sid| look.one(vmid(sid)?)).collect();
    for guest in &guests {
        let others: Vec<String> =
            guests.iter().filter(|other| other.vmid != guest.vmid).map(|other| called(other)).collect();
        let why = match &rule.places {
            Places::Nodes { nodes, strict: true } => {
                format!("HA may start {} on other nodes than {}", called(guest), list(nodes))
            }
            Places::Nodes { nodes, .. } => {
                format!("HA no longer prefers {} for {}", list(nodes), called(guest))
            }
            Places::Together => {
                format!("HA no longer keeps {} together with {}", called(guest), and(&others))
            }
            Places::Apart => format!("HA may put {} on one node with {}", called(guest), and(&others)),
            Places::Unknown(kind) => {
                format!("{} is no longer under a rule of the kind {kind}", called(guest))
            }
        };
        found.hit(object(guest), Severity::Degraded, why);
    }
}

fn grouped<'a>(look: &Look<'a>, found: &mut Found, group: &str) -> Vec<&'a Arc<Guest>> {
    let held = resources(look, found);
    let of = held.iter().filter(|one| one.group.as_deref() == Some(group));
    of.filter_map(|one| look.one(one.vmid)).collect()
}

fn group_changed(look: &Look<'_>, found: &mut Found) {
    let Some(id) = look.text("group") else { return };
    let guests = grouped(look, found, &id);
    let Some(was) = look.estate.cluster().ha_groups.iter().find(|group| group.id == id) else { return };
    let name = |node: String| SmolStr::from(node.split_once(':').map_or(node.as_str(), |(name, _)| name));
    let nodes: Vec<SmolStr> = match look.request().args.contains_key("nodes") {
        true => look.list("nodes").into_iter().map(name).collect(),
        false => was.nodes.to_vec(),
    };
    let restricted = look.flag("restricted") || (was.restricted && !look.is_off("restricted"));
    let same = nodes[..] == was.nodes[..] && restricted == was.restricted;
    for guest in guests.iter().filter(|guest| !same && !nodes.contains(&guest.node)) {
        moves(look, found, guest, &format!("group {id} is of {}, not {}", list(&nodes), guest.node));
    }
}

fn group_removed(look: &Look<'_>, found: &mut Found) {
    let Some(id) = look.text("group") else { return };
    for guest in grouped(look, found, &id) {
        let why = format!("{} is in group {id}: PVE refuses to remove it while it is", called(guest));
        found.hit(object(guest), Severity::Degraded, why);
    }
}

fn disarmed(look: &Look<'_>, found: &mut Found) {
    for own in resources(look, found).iter().filter(|own| is_started(&own.state)) {
        if let Some(guest) = look.one(own.vmid) {
            let why = format!(
                "while HA is disarmed nobody starts {} again when it or {} fails",
                called(guest),
                guest.node
            );
            found.hit(object(guest), Severity::Degraded, why);
        }
    }
}
