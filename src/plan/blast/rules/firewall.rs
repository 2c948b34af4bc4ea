//! What a change of the firewall cuts off, and what it opens: by judging the same packets before it and after it.

mod edit;
mod judge;

use std::net::IpAddr;

use ipnet::IpNet;
use smol_str::SmolStr;

use super::network::{self, INTERFACES, LISTED};
use super::{Need, Rule};
use crate::estate::firewall::{Direction, Rule as Line, Scope};
use crate::estate::{FirewallUse, Within};
use crate::plan::blast::look::{and, called, object};
use crate::plan::blast::{Door, Found, Look, Severity};

use judge::{Firewalls, Probe, Side, UNNAMED, Verdict};

pub const RULES: &[Rule] = &[
    Rule {
        calls: &[
            "PUT /cluster/firewall/options",
            "POST /cluster/firewall/rules",
            "PUT /cluster/firewall/rules/{pos}",
            "DELETE /cluster/firewall/rules/{pos}",
            "POST /cluster/firewall/groups",
            "DELETE /cluster/firewall/groups/{group}",
            "POST /cluster/firewall/groups/{group}",
            "PUT /cluster/firewall/groups/{group}/{pos}",
            "DELETE /cluster/firewall/groups/{group}/{pos}",
            "POST /cluster/firewall/aliases",
            "PUT /cluster/firewall/aliases/{name}",
            "DELETE /cluster/firewall/aliases/{name}",
            "POST /cluster/firewall/ipset",
            "DELETE /cluster/firewall/ipset/{name}",
            "POST /cluster/firewall/ipset/{name}",
            "PUT /cluster/firewall/ipset/{name}/{cidr}",
            "DELETE /cluster/firewall/ipset/{name}/{cidr}",
        ],
        needs: &[Need::Peers, LISTED],
        checks: &[nodes, guests, names],
    },
    Rule {
        calls: &[
            "PUT /nodes/{node}/firewall/options",
            "POST /nodes/{node}/firewall/rules",
            "PUT /nodes/{node}/firewall/rules/{pos}",
            "DELETE /nodes/{node}/firewall/rules/{pos}",
        ],
        needs: &[Need::Peers, LISTED],
        checks: &[nodes],
    },
    Rule {
        calls: &[
            "PUT /nodes/{node}/{kind}/{vmid}/firewall/options",
            "POST /nodes/{node}/{kind}/{vmid}/firewall/rules",
            "PUT /nodes/{node}/{kind}/{vmid}/firewall/rules/{pos}",
            "DELETE /nodes/{node}/{kind}/{vmid}/firewall/rules/{pos}",
            "POST /nodes/{node}/{kind}/{vmid}/firewall/aliases",
            "PUT /nodes/{node}/{kind}/{vmid}/firewall/aliases/{name}",
            "DELETE /nodes/{node}/{kind}/{vmid}/firewall/aliases/{name}",
            "POST /nodes/{node}/{kind}/{vmid}/firewall/ipset",
            "DELETE /nodes/{node}/{kind}/{vmid}/firewall/ipset/{name}",
            "POST /nodes/{node}/{kind}/{vmid}/firewall/ipset/{name}",
            "PUT /nodes/{node}/{kind}/{vmid}/firewall/ipset/{name}/{cidr}",
            "DELETE /nodes/{node}/{kind}/{vmid}/firewall/ipset/{name}/{cidr}",
        ],
        needs: &[],
        checks: &[guests, names],
    },
    Rule {
        calls: &[
            "PUT /cluster/sdn/vnets/{vnet}/firewall/options",
            "POST /cluster/sdn/vnets/{vnet}/firewall/rules",
            "PUT /cluster/sdn/vnets/{vnet}/firewall/rules/{pos}",
            "DELETE /cluster/sdn/vnets/{vnet}/firewall/rules/{pos}",
        ],
        needs: &[],
        checks: &[vnet],
    },
];

const IN: (Direction, &str) = (Direction::In, "in");
const OUT: (Direction, &str) = (Direction::Out, "out");
const THROUGH: (Direction, &str) = (Direction::Forward, "through");

/// What was let through and no longer is, and the other way about; each with its direction's word.
#[derive(Default)]
struct Moved {
    lost: Vec<(&'static str, Vec<String>)>,
    gained: Vec<(&'static str, Vec<String>)>,
}

/// One change, judged on both sides.
struct Both<'a> {
    scope: Scope,
    before: Side<'a>,
    after: Side<'a>,
}

fn judged(look: &Look<'_>, found: &mut Found, check: impl FnOnce(&Both<'_>, &mut Found)) {
    // Any question of this part says what of it was not seen.
    found.all(look.estate.users_of_group(""));
    let Some(scope) = edit::scope(look) else { return };
    let Some(after) = edit::after(look, &scope) else {
        found.unseen(
            "what the call is about is not in the firewall's files, so that nothing could be compared",
        );
        return;
    };
    let local = local_nets(look);
    let side = |firewalls| Side { firewalls, local: local.as_deref() };
    let before: &Firewalls = &look.estate.cluster().firewalls;
    check(&Both { scope, before: side(before), after: side(&after) }, found);
}

/// The networks in which this node has its own address.
fn local_nets(look: &Look<'_>) -> Option<Vec<IpNet>> {
    look.answer(INTERFACES)?;
    let own = network::address_of(look, look.view.node.as_deref()?)?;
    let nets = network::interfaces(look).into_iter().flat_map(|one| one.nets);
    let nets: Vec<IpNet> = nets.filter(|net| net.addr() == own).collect();
    (!nets.is_empty()).then(|| nets.iter().map(IpNet::trunc).collect())
}

fn packet(direction: Direction, port: Option<u16>, label: &str) -> Probe {
    Probe {
        direction,
        from: None,
        to: None,
        interface: None,
        protocol: port.map(|_| "tcp".into()),
        port,
        service: None,
        label: label.to_owned(),
    }
}

impl Both<'_> {
    /// A packet for each thing that a rule speaks of, and one that none does.
    fn probes(&self, scopes: &[Scope], direction: Direction) -> Vec<Probe> {
        let mut probes = Vec::new();
        if direction == Direction::In && scopes.contains(&Scope::Cluster) {
            probes.push(packet(direction, Some(22), "ssh (22) from anywhere"));
            probes.push(packet(direction, Some(8006), "the web interface (8006) from anywhere"));
        }
        for side in [&self.before, &self.after] {
            for scope in scopes {
                let Some(firewall) = side.firewalls.get(scope) else { continue };
                for line in firewall.rules.iter().filter(|line| line.enabled) {
                    let mut add = |line: &Line| {
                        let is_other = line.direction == direction && line.enabled;
                        if is_other {
                            probes.extend(side.probes(scope, line));
                        }
                    };
                    match line.group() {
                        None => add(line),
                        Some(name) => {
                            let cluster = side.firewalls.get(&Scope::Cluster);
                            let groups = cluster.map_or(&[][..], |cluster| &cluster.groups);
                            let group = groups.iter().find(|group| group.name == *name);
                            group.into_iter().flat_map(|group| &group.rules).for_each(add);
                        }
                    }
                }
            }
        }
        probes.push(packet(direction, None, UNNAMED));
        let mut seen = Vec::new();
        probes.retain(|probe| {
            let new = !seen.contains(probe);
            seen.push(probe.clone());
            new
        });
        probes
    }

    fn moved(
        &self,
        scopes: &[Scope],
        directions: &[(Direction, &'static str)],
        verdict: impl Fn(&Side<'_>, &Probe) -> Verdict,
    ) -> Moved {
        let mut moved = Moved::default();
        for (direction, word) in directions.iter().copied() {
            let (mut lost, mut gained, mut unclear) = (Vec::new(), Vec::new(), None);
            for probe in self.probes(scopes, direction) {
                match (verdict(&self.before, &probe), verdict(&self.after, &probe)) {
                    (before, after) if before == after => {}
                    (_, Verdict::Refused) => lost.push(probe.label),
                    (_, Verdict::Passes) => gained.push(probe.label),
                    (Verdict::Passes, _) => unclear = unclear.or(Some(probe.label)),
                    _ => gained.push(format!("perhaps {}", probe.label)),
                }
            }
            // What cannot be told of all is told of the part that a rule names.
            if let Some(label) = unclear.filter(|_| lost.is_empty()) {
                lost.push(format!("perhaps {label}"));
            }
            for (what, into) in [(lost, &mut moved.lost), (gained, &mut moved.gained)] {
                let mut labels: Vec<String> = Vec::new();
                for label in what {
                    if !labels.contains(&label) {
                        labels.push(label);
                    }
                }
                if !labels.is_empty() {
                    into.push((word, labels));
                }
            }
        }
        moved
    }
}

impl Moved {
    fn tell(self, found: &mut Found, object: &str, name: &str) {
        let clauses = |all: &[(&str, Vec<String>)]| {
            all.iter().map(|(word, what)| format!("{word} {}", and(what))).collect::<Vec<_>>().join("; ")
        };
        if !self.lost.is_empty() {
            let why = format!("{name} no longer lets {}", clauses(&self.lost));
            found.hit(object, Severity::Unreachable, why);
        }
        if !self.gained.is_empty() {
            let why = format!("{name} is more open than before: it lets {}", clauses(&self.gained));
            found.hit(object, Severity::Degraded, why);
        }
    }
}

fn nodes(look: &Look<'_>, found: &mut Found) {
    judged(look, found, |both, found| {
        for node in look.estate.nodes() {
            if matches!(&both.scope, Scope::Node(one) if one != node) {
                continue;
            }
            let scopes = [Scope::Node(node.clone()), Scope::Cluster];
            both.moved(&scopes, &[IN, OUT, THROUGH], |side, probe| side.node(node, probe)).tell(
                found,
                &format!("node/{node}"),
                node,
            );
            others(look, found, both, node);
            if look.view.node.as_deref() == Some(node) {
                peers(look, found, both, node);
            }
        }
    });
}

/// Whoever is connected to this node now.
fn peers(look: &Look<'_>, found: &mut Found, both: &Both<'_>, node: &str) {
    for peer in &look.view.peers {
        let door = named(peer.door);
        let probe = Probe {
            from: Some(peer.from),
            to: Some(peer.local),
            interface: network::holder(look, peer.local),
            ..packet(Direction::In, Some(peer.door.port()), "")
        };
        let (before, after) = (both.before.node(node, &probe), both.after.node(node, &probe));
        if before == after || after == Verdict::Passes || before == Verdict::Refused {
            continue;
        }
        let may = if after == Verdict::Refused { "no longer lets" } else { "may no longer let" };
        let why = format!(
            "{node} {may} {door} in from {}, from where somebody is connected now: that connection may stand until it ends, but cannot be made again",
            peer.from
        );
        found.hit(network::connection(peer), Severity::Unreachable, why);
    }
}

/// The other nodes, which come by ssh and the API to move guests and to pass calls on.
fn others(look: &Look<'_>, found: &mut Found, both: &Both<'_>, node: &str) {
    let members = &look.estate.cluster().members;
    let is_cut = |from: IpAddr| {
        [22, 8006].into_iter().any(|port| {
            let to = network::address_of(look, node);
            let probe = Probe { from: Some(from), to, ..packet(Direction::In, Some(port), "") };
            let (before, after) = (both.before.node(node, &probe), both.after.node(node, &probe));
            before != after && after == Verdict::Refused
        })
    };
    let others = members.nodes.iter().filter(|one| one.name != node);
    let cut: Vec<String> = others
        .filter(|one| one.address.as_deref().and_then(|text| text.parse().ok()).is_some_and(is_cut))
        .map(|one| one.name.to_string())
        .collect();
    if !cut.is_empty() {
        let why = format!(
            "{} can no longer reach it by ssh or the web interface's port: no guest moves between them, and calls are not passed on",
            and(&cut)
        );
        found.hit(format!("node/{node}"), Severity::Degraded, why);
    }
}

fn named(door: Door) -> String {
    format!("{} ({})", door.name(), door.port())
}

fn guests(look: &Look<'_>, found: &mut Found) {
    judged(look, found, |both, found| {
        for guest in look.estate.guests() {
            if matches!(both.scope, Scope::Guest(vmid) if vmid != guest.vmid) {
                continue;
            }
            let (was, is) = (both.before.is_on_guest(guest), both.after.is_on_guest(guest));
            if !was && !is {
                continue;
            }
            let scope = Scope::Guest(guest.vmid);
            // What the cluster names is nothing to a guest whose rules name nothing.
            let names = |line: &Line| line.group().is_some() || line.named().next().is_some();
            let own = both.before.firewalls.get(&scope);
            if was == is
                && both.scope == Scope::Cluster
                && !own.is_some_and(|own| own.rules.iter().any(names))
            {
                continue;
            }
            let mut cards = guest.nets.iter().filter(|net| net.firewall && !net.pending);
            let only: Option<SmolStr> = match (cards.next(), cards.next()) {
                (Some(card), None) => Some(format!("net{}", card.number).into()),
                _ => None,
            };
            let verdict = |side: &Side<'_>, probe: &Probe| {
                let interface = probe.interface.clone().or_else(|| only.clone());
                side.inner(&scope, side.is_on_guest(guest), &Probe { interface, ..probe.clone() })
            };
            let moved = both.moved(std::slice::from_ref(&scope), &[IN, OUT], verdict);
            moved.tell(found, &object(guest), &called(guest));
        }
    });
}

/// What passes through a virtual network is everybody's who is on it.
fn vnet(look: &Look<'_>, found: &mut Found) {
    judged(look, found, |both, found| {
        let Scope::Vnet(id) = &both.scope else { return };
        let verdict = |side: &Side<'_>, probe: &Probe| side.inner(&both.scope, side.is_on_vnet(id), probe);
        let on = found.all(look.estate.on_vnet(id));
        let mut last = None;
        for card in on.iter().filter(|card| last.replace(card.guest) != Some(card.guest)) {
            let Some(guest) = look.one(card.guest) else { continue };
            let moved = both.moved(std::slice::from_ref(&both.scope), &[THROUGH], verdict);
            moved.tell(found, &object(guest), &format!("{id}, on which {} is,", called(guest)));
        }
    });
}

/// A name that is gone, and the rules that still say it.
fn names(look: &Look<'_>, found: &mut Found) {
    let Some(scope) = edit::scope(look) else { return };
    let gone = match look.request().method() {
        crate::catalog::Method::Delete => true,
        _ => look.text("rename").is_some(),
    };
    let template = look.request().template();
    let leaf = template.split_once("/firewall/").map(|(_, rest)| rest).unwrap_or_default();
    // A call that makes it gives the old name as `rename`, one that changes it the new.
    let key = match leaf {
        "aliases/{name}" | "ipset/{name}" => "name",
        "groups/{group}" => "group",
        "ipset" | "groups" => "rename",
        _ => return,
    };
    let Some(name) = look.text(key).filter(|_| gone) else { return };
    let (uses, shown) = match leaf {
        "aliases/{name}" => (look.estate.users_of_alias(&scope, &name), name.clone()),
        "ipset" | "ipset/{name}" => (look.estate.users_of_set(&scope, &name), format!("+{name}")),
        _ => (look.estate.users_of_group(&name), format!("group {name}")),
    };
    for one in found.all(uses).iter().filter(|one| one.enabled) {
        let why = format!("{} names {shown}, and counts for nothing without it", place(one));
        found.hit(owner(look, &one.scope), Severity::Degraded, why);
    }
}

fn place(of: &FirewallUse) -> String {
    match &of.within {
        Within::Rule(number) => format!("rule {number} of its firewall"),
        Within::GroupRule(group, number) => format!("rule {number} of its security group {group}"),
        Within::Set(set) => format!("its address set {set}"),
    }
}

fn owner(look: &Look<'_>, scope: &Scope) -> String {
    match scope {
        Scope::Cluster => "cluster firewall".to_owned(),
        Scope::Node(node) => format!("node/{node}"),
        Scope::Guest(vmid) => look.one(*vmid).map_or_else(|| format!("guest/{vmid}"), |guest| object(guest)),
        Scope::Vnet(vnet) => format!("vnet/{vnet}"),
    }
}
