//! A node that goes down, and calls on all guests of a node or of the cluster.

use super::{Need, Rule, migrate};
use crate::estate::guest::{Guest, Kind};
use crate::estate::part::Part;
use crate::plan::blast::look::{called, object};
use crate::plan::blast::{Found, Look, Runs, Severity};

pub const RULES: &[Rule] = &[
    Rule {
        calls: &["POST /nodes/{node}/status"],
        needs: &[Need::Status],
        checks: &[guests_of_the_node, quorum, the_agent, shared_by_the_node],
    },
    Rule { calls: &["POST /nodes/{node}/stopall"], needs: &[Need::Status], checks: &[stopped] },
    Rule { calls: &["POST /nodes/{node}/suspendall"], needs: &[Need::Status], checks: &[suspended] },
    Rule {
        calls: &["POST /nodes/{node}/migrateall"],
        needs: &[Need::Status, migrate::TARGET_NETWORK],
        checks: &[migrated],
    },
    Rule { calls: &["POST /cluster/bulk-action/guest/shutdown"], needs: &[Need::Status], checks: &[stopped] },
    Rule {
        calls: &["POST /cluster/bulk-action/guest/suspend"],
        needs: &[Need::Status],
        checks: &[suspended],
    },
    Rule {
        calls: &["POST /cluster/bulk-action/guest/migrate"],
        needs: &[Need::Status, migrate::TARGET_NETWORK],
        checks: &[migrated],
    },
];

/// The guests that a call is about: of its node, those that it names or all.
fn meant<'a>(look: &Look<'a>) -> Vec<&'a Guest> {
    let (node, only) = (look.text("node"), look.list("vms"));
    let is_meant = |guest: &&Guest| {
        node.as_ref().is_none_or(|node| *node == guest.node)
            && (only.is_empty() || only.iter().any(|vmid| *vmid == guest.vmid.to_string()))
            && !guest.template
    };
    look.estate.guests().map(|guest| &**guest).filter(is_meant).collect()
}

/// `it may run` is said of what could not be told.
fn may(look: &Look<'_>, guest: &Guest) -> &'static str {
    if look.runs(guest.vmid) == Runs::Unknown { "if it runs, " } else { "" }
}

fn guests_of_the_node(look: &Look<'_>, found: &mut Found) {
    found.rests_on(look, &[Part::Guests, Part::Ha, Part::Datacenter]);
    let cluster = look.estate.cluster();
    let reboots = look.text("command").as_deref() == Some("reboot");
    let policy = cluster.datacenter.get("ha").map_or("", |ha| ha.as_str());
    let policy = policy.split(',').find_map(|part| part.trim().strip_prefix("shutdown_policy="));
    for guest in meant(look).into_iter().filter(|guest| look.may_run(guest.vmid)) {
        let (sid, name) = (guest.sid(), called(guest));
        let kept = cluster.resources.iter().any(|one| one.sid == sid && one.state == "started");
        let moves = match policy {
            Some("migrate") => Some("HA moves it to another node first"),
            Some("failover") => Some("HA starts it on another node"),
            Some("freeze") => None,
            _ => (!reboots).then_some("HA starts it on another node"),
        };
        let then = match (kept, moves, reboots) {
            (true, Some(moves), _) => moves,
            (true, None, _) => "HA waits for the node to come back",
            (false, _, true) if guest.onboot => "it starts again with the node",
            (false, _, true) => "it does not start again by itself: its onboot is off",
            (false, _, false) if guest.onboot => "it starts again when the node does",
            (false, _, false) => "it does not start again by itself, not even with the node",
        };
        found.hit(
            object(guest),
            Severity::Stops,
            format!("{}{name} stops with its node; {then}", may(look, guest)),
        );
    }
}

/// Whether the others are still enough.
fn quorum(look: &Look<'_>, found: &mut Found) {
    let Some(node) = look.text("node") else { return };
    let members = &look.estate.cluster().members;
    if look.estate.is_incomplete(&[Part::Nodes]) || members.nodes.is_empty() {
        found.unseen("whether the other nodes still have a quorum was not seen");
        return;
    }
    // A node on its own needs nobody.
    if members.cluster.is_none() || members.nodes.len() < 2 {
        return;
    }
    let left = members.nodes.iter().filter(|one| one.online && one.name != node).count();
    let needed = members.nodes.len() / 2 + 1;
    let was_online = members.nodes.iter().any(|one| one.online && one.name == node);
    if left >= needed || !was_online || !members.quorate {
        return;
    }
    let of = members.nodes.len();
    let are = if left == 1 { "one is left".to_owned() } else { format!("{left} are left") };
    let why = format!(
        "of {of} nodes {are}, and {needed} are needed: without a quorum nothing can be started or changed on any node until {node} is back"
    );
    found.hit("cluster", Severity::Unreachable, why);
    found.unseen("votes beside one a node, as of a QDevice, were not looked at");
    let kept = look.estate.cluster().resources.iter().filter(|one| one.state == "started");
    for resource in kept {
        for guest in look.estate.guest(resource.vmid).filter(|guest| guest.node != node) {
            let why = format!(
                "HA fences {} when the quorum is gone, and {} stops with it",
                guest.node,
                called(guest)
            );
            found.hit(object(guest), Severity::Stops, why);
        }
    }
}

fn the_agent(look: &Look<'_>, found: &mut Found) {
    let Some(node) = look.text("node") else { return };
    let why = match look.view.node.as_ref() {
        Some(here) if *here == node => {
            "the node goes down, and this agent with it: it cannot see the node come back"
        }
        Some(_) => "the node goes down; this agent is on another",
        None => "the node goes down; whether this agent is on it was not seen",
    };
    found.hit(format!("node/{node}"), Severity::Stops, why);
}

/// What other nodes have of it.
fn shared_by_the_node(look: &Look<'_>, found: &mut Found) {
    let Some(node) = look.text("node") else { return };
    found.rests_on(look, &[Part::Storages]);
    let cluster = look.estate.cluster();
    let mut ceph =
        cluster.storages.iter().filter(|one| ["rbd", "cephfs"].contains(&&*one.kind) && !one.disabled);
    if let Some(storage) = ceph.next() {
        found.unseen(format!("whether {} stays whole while {node} is away was not looked at", storage.id));
    }
    let address =
        cluster.members.nodes.iter().find(|one| one.name == node).and_then(|one| one.address.clone());
    for storage in cluster.storages.iter().filter(|one| !one.disabled) {
        let mut servers = storage.source.iter().filter(|(key, _)| ["server", "portal"].contains(&&**key));
        if servers.any(|(_, server)| *server == node || address.as_ref() == Some(server)) {
            found.hit(format!("storage/{}", storage.id), Severity::Unreachable, format!("{node} serves it"));
        }
    }
}

fn stopped(look: &Look<'_>, found: &mut Found) {
    found.rests_on(look, &[Part::Guests]);
    for guest in meant(look).into_iter().filter(|guest| look.may_run(guest.vmid)) {
        let why = format!("{}{} is shut down, and stays so", may(look, guest), called(guest));
        found.hit(object(guest), Severity::Stops, why);
    }
}

/// Containers are left alone.
fn suspended(look: &Look<'_>, found: &mut Found) {
    found.rests_on(look, &[Part::Guests]);
    let machines = meant(look).into_iter().filter(|guest| guest.kind == Kind::Qemu);
    for guest in machines.filter(|guest| look.may_run(guest.vmid)) {
        let why = format!("{}{} stands still until it is resumed", may(look, guest), called(guest));
        found.hit(object(guest), Severity::Stops, why);
    }
}

fn migrated(look: &Look<'_>, found: &mut Found) {
    found.rests_on(look, &[Part::Guests]);
    let Some(target) = look.text("target") else { return };
    for guest in meant(look).into_iter().filter(|guest| guest.node != target) {
        if look.may_run(guest.vmid) && guest.kind == Kind::Lxc {
            let why = format!("{}{} is stopped, moved and started again", may(look, guest), called(guest));
            found.hit(object(guest), Severity::Stops, why);
        }
        migrate::to(look, found, guest, &target);
    }
}
