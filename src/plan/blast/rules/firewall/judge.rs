//! What the firewall does with one packet: lets it in, refuses it, or what nobody here can tell.
//!
//! The order is PVE's: a node's own rules, the cluster's, what is always open to the management network, the policy. A
//! guest has its own rules and its own policy alone. A rule that names what is not there counts for nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use smol_str::SmolStr;

use crate::estate::firewall::{Direction, Firewall, Named, Place, Rule, Scope};
use crate::estate::guest::Guest;

pub type Firewalls = BTreeMap<Scope, Arc<Firewall>>;

/// Services by name, with the ports that they open by TCP.
const SERVICES: &[(&str, &[u16])] = &[
    ("dns", &[53]),
    ("ftp", &[21]),
    ("http", &[80]),
    ("https", &[443]),
    ("imap", &[143]),
    ("imaps", &[993]),
    ("mysql", &[3306]),
    ("postgresql", &[5432]),
    ("pve-manager", &[8006]),
    ("rdp", &[3389]),
    ("smtp", &[25]),
    ("spiceproxy", &[3128]),
    ("ssh", &[22]),
    ("vnc", &[5900]),
    ("web", &[80, 443]),
];

/// Security groups do not hold one another; PVE goes no deeper either.
const DEEPEST: usize = 2;

/// A packet, as far as rules tell one from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    pub direction: Direction,
    /// Nothing: an address that no rule names.
    pub from: Option<IpAddr>,
    /// Nothing: nobody knows.
    pub to: Option<IpAddr>,
    pub interface: Option<SmolStr>,
    /// With `port`: nothing is what no rule names.
    pub protocol: Option<SmolStr>,
    pub port: Option<u16>,
    /// A service that has no port here.
    pub service: Option<SmolStr>,
    /// "ssh (22) from anywhere"
    pub label: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Passes,
    Refused,
    Unclear,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    No,
    Maybe,
    Yes,
}

impl From<bool> for Match {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// The firewalls at one moment.
pub struct Side<'a> {
    pub firewalls: &'a Firewalls,
    /// What PVE takes for the cluster's own network; nothing: not known.
    pub local: Option<&'a [IpNet]>,
}

/// What may become of a packet.
#[derive(Default)]
struct Fate {
    passes: bool,
    refused: bool,
}

impl Fate {
    fn by(&mut self, action: &str) {
        match action {
            "ACCEPT" => self.passes = true,
            _ => self.refused = true,
        }
    }

    fn verdict(&self) -> Verdict {
        match (self.passes, self.refused) {
            (true, false) => Verdict::Passes,
            (false, true) => Verdict::Refused,
            _ => Verdict::Unclear,
        }
    }
}

impl Side<'_> {
    fn of(&self, scope: &Scope) -> Option<&Firewall> {
        self.firewalls.get(scope).map(Arc::as_ref)
    }

    pub fn is_on(&self) -> bool {
        self.of(&Scope::Cluster).is_some_and(|cluster| cluster.enabled == Some(true))
    }

    pub fn is_on_node(&self, node: &str) -> bool {
        let off = |host: &Firewall| host.enabled == Some(false);
        self.is_on() && !self.of(&Scope::Node(node.into())).is_some_and(off)
    }

    /// It stands before the cards that say so, and only where the guest's own is on.
    pub fn is_on_guest(&self, guest: &Guest) -> bool {
        let own = self.of(&Scope::Guest(guest.vmid)).is_some_and(|own| own.enabled == Some(true));
        self.is_on() && own && guest.nets.iter().any(|net| net.firewall)
    }

    pub fn is_on_vnet(&self, vnet: &str) -> bool {
        self.is_on() && self.of(&Scope::Vnet(vnet.into())).is_some_and(|own| own.enabled == Some(true))
    }

    pub fn node(&self, node: &str, probe: &Probe) -> Verdict {
        if !self.is_on_node(node) {
            return Verdict::Passes;
        }
        let mut fate = Fate::default();
        for scope in [Scope::Node(node.into()), Scope::Cluster] {
            let rules = self.of(&scope).map_or(&[][..], |firewall| &firewall.rules);
            if self.walk(&scope, rules, probe, &mut fate, 0) {
                return fate.verdict();
            }
        }
        let managed = matches!(probe.port, Some(22 | 3128 | 8006 | 5900..=5999 | 60000..=60050));
        if probe.direction == Direction::In && managed && probe.protocol.as_deref() == Some("tcp") {
            match self.is_managing(probe.from) {
                Match::Yes => {
                    fate.passes = true;
                    return fate.verdict();
                }
                Match::Maybe => fate.passes = true,
                Match::No => {}
            }
        }
        fate.by(&self.policy(&Scope::Cluster, probe.direction));
        fate.verdict()
    }

    /// On a guest, or on a virtual network.
    pub fn inner(&self, scope: &Scope, is_on: bool, probe: &Probe) -> Verdict {
        if !is_on {
            return Verdict::Passes;
        }
        let mut fate = Fate::default();
        let rules = self.of(scope).map_or(&[][..], |firewall| &firewall.rules);
        if !self.walk(scope, rules, probe, &mut fate, 0) {
            fate.by(&self.policy(scope, probe.direction));
        }
        fate.verdict()
    }

    /// What PVE does where nobody says anything: nothing comes in, all goes out.
    fn policy(&self, scope: &Scope, direction: Direction) -> String {
        let (name, default) = match direction {
            Direction::Out => ("policy_out", "ACCEPT"),
            Direction::Forward => ("policy_forward", "ACCEPT"),
            Direction::In | Direction::Group => ("policy_in", "DROP"),
        };
        self.of(scope).and_then(|firewall| firewall.option(name)).unwrap_or(default).to_ascii_uppercase()
    }

    /// Whether a rule decided.
    fn walk(&self, scope: &Scope, rules: &[Rule], probe: &Probe, fate: &mut Fate, depth: usize) -> bool {
        for rule in rules.iter().filter(|rule| rule.enabled) {
            if let Some(name) = rule.group() {
                let groups = self.of(&Scope::Cluster).map_or(&[][..], |cluster| &cluster.groups);
                let group = groups.iter().find(|group| group.name == *name);
                let there = interface(rule, probe);
                if let (Some(group), true) = (group, there != Match::No && depth < DEEPEST)
                    && self.walk(scope, &group.rules, probe, fate, depth + 1)
                    && there == Match::Yes
                {
                    return true;
                }
                continue;
            }
            match self.fits(scope, rule, probe) {
                Match::No => {}
                Match::Maybe => fate.by(&rule.action),
                Match::Yes => {
                    fate.by(&rule.action);
                    return true;
                }
            }
        }
        false
    }

    fn fits(&self, scope: &Scope, rule: &Rule, probe: &Probe) -> Match {
        if rule.direction != probe.direction {
            return Match::No;
        }
        let side = |text: &Option<SmolStr>, address, unknown| {
            text.as_ref().map_or(Match::Yes, |text| self.within(scope, text, address, unknown))
        };
        let all = [
            interface(rule, probe),
            side(&rule.source, probe.from, Match::No),
            side(&rule.dest, probe.to, Match::Maybe),
            service(rule, probe),
            if rule.sport.is_some() { Match::Maybe } else { Match::Yes },
        ];
        all.into_iter().min().unwrap_or(Match::No)
    }

    /// Whether an address is among `10.0.0.0/8,+admins,office`.
    fn within(&self, scope: &Scope, text: &str, address: Option<IpAddr>, unknown: Match) -> Match {
        let parts = text.split(',').map(|part| self.part(scope, part.trim(), address, unknown, 0));
        parts.max().unwrap_or(Match::No)
    }

    fn part(
        &self,
        scope: &Scope,
        part: &str,
        address: Option<IpAddr>,
        unknown: Match,
        depth: usize,
    ) -> Match {
        let (nets, exceptions) = match self.nets(scope, part, depth) {
            Resolved::Nets(nets) => (nets, Vec::new()),
            Resolved::Set(nets, exceptions) => (nets, exceptions),
            Resolved::Nothing => return Match::No,
            Resolved::Unknown => return Match::Maybe,
        };
        let Some(address) = address else {
            let everything = nets.iter().any(|net| net.prefix_len() == 0);
            return if everything { Match::Yes } else { unknown };
        };
        let holds = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address));
        (holds(&nets) && !holds(&exceptions)).into()
    }

    fn nets(&self, scope: &Scope, part: &str, depth: usize) -> Resolved {
        if let Some(nets) = written(part) {
            return Resolved::Nets(nets);
        }
        let Some(named) = Named::of_member(part).filter(|_| depth < DEEPEST) else {
            return Resolved::Nothing;
        };
        let (place, name) = match &named {
            Named::Alias { place, name } | Named::Set { place, name } => (*place, name),
        };
        let own = self.of(scope).filter(|_| place != Place::Cluster);
        let cluster = self.of(&Scope::Cluster).filter(|_| place != Place::Guest);
        let places = [own, cluster];
        let mut places = places.iter().flatten();
        match named {
            _ if place == Place::Sdn => Resolved::Unknown,
            Named::Alias { .. } => {
                let alias = places.find_map(|one| one.aliases.iter().find(|alias| alias.name == *name));
                match alias {
                    Some(alias) => written(&alias.address).map_or(Resolved::Nothing, Resolved::Nets),
                    None if name == "local_network" => self.local_network(),
                    None => Resolved::Nothing,
                }
            }
            Named::Set { .. } => {
                let set = places.find_map(|one| one.sets.iter().find(|set| set.name == *name));
                if set.is_none() && name != "management" {
                    return Resolved::Nothing;
                }
                let (mut nets, mut exceptions) = (Vec::new(), Vec::new());
                for member in set.into_iter().flat_map(|set| &set.members) {
                    let into = if member.starts_with('!') { &mut exceptions } else { &mut nets };
                    if let Resolved::Nets(more) = self.nets(scope, member.trim_start_matches('!'), depth + 1)
                    {
                        into.extend(more);
                    }
                }
                if name == "management" {
                    match self.nets(scope, "local_network", depth + 1) {
                        Resolved::Nets(more) => nets.extend(more),
                        _ if nets.is_empty() => return Resolved::Unknown,
                        _ => {}
                    }
                }
                Resolved::Set(nets, exceptions)
            }
        }
    }

    fn local_network(&self) -> Resolved {
        self.local.map_or(Resolved::Unknown, |nets| Resolved::Nets(nets.to_vec()))
    }

    /// Whether PVE lets it in by itself: the set `management`, and the network that the nodes are in.
    fn is_managing(&self, from: Option<IpAddr>) -> Match {
        let set = self.part(&Scope::Cluster, "+management", from, Match::No, 0);
        match self.nets(&Scope::Cluster, "local_network", 0) {
            Resolved::Unknown if from.is_some() => set.max(Match::Maybe),
            _ => set,
        }
    }

    /// Of what a rule speaks: a packet for each address and port that it names, as far as that leads.
    pub fn probes(&self, scope: &Scope, rule: &Rule) -> Vec<Probe> {
        let (side, word) = match rule.direction {
            Direction::Out => (&rule.dest, "to"),
            _ => (&rule.source, "from"),
        };
        let by = rule.interface.as_ref().map(|name| format!(" by {name}")).unwrap_or_default();
        let mut probes = Vec::new();
        for (address, place) in self.ends(scope, side.as_deref()) {
            for (protocol, port, service, what) in subjects(rule) {
                let label = match what.as_str() {
                    UNNAMED if side.is_none() && by.is_empty() => what,
                    UNNAMED => format!("all {word} {place}{by}"),
                    _ => format!("{what} {word} {place}{by}"),
                };
                let is_out = rule.direction == Direction::Out;
                let other = if is_out { &rule.source } else { &rule.dest };
                let other = self.ends(scope, other.as_deref()).first().and_then(|(address, _)| *address);
                let (from, to) = if is_out { (other, address) } else { (address, other) };
                let (direction, interface) = (rule.direction, rule.interface.clone());
                probes.push(Probe { direction, from, to, interface, protocol, port, service, label });
            }
        }
        probes
    }

    /// The addresses that a rule names, and what to call each; nobody where it names what is not there.
    fn ends(&self, scope: &Scope, text: Option<&str>) -> Vec<(Option<IpAddr>, String)> {
        let Some(text) = text else { return vec![(None, "anywhere".to_owned())] };
        let mut ends = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (nets, exceptions) = match self.nets(scope, part, 0) {
                Resolved::Nets(nets) => (nets, Vec::new()),
                Resolved::Set(nets, exceptions) => (nets, exceptions),
                Resolved::Nothing | Resolved::Unknown => continue,
            };
            let is_set = part.starts_with('+');
            for net in nets.iter().chain(&exceptions).take(MOST_ENDS) {
                let name = if is_set { format!("{} of {part}", shown(net)) } else { part.to_owned() };
                ends.push((Some(net.addr()), name));
            }
        }
        ends
    }
}

/// Of one set, how many addresses are tried.
const MOST_ENDS: usize = 16;

pub const UNNAMED: &str = "what no rule names";

fn shown(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

type Subject = (Option<SmolStr>, Option<u16>, Option<SmolStr>, String);

/// Protocol, port and service of a rule, each port by itself, with what to call it.
fn subjects(rule: &Rule) -> Vec<Subject> {
    let called = |port: u16, name: String| match port {
        22 => "ssh (22)".to_owned(),
        8006 => "the web interface (8006)".to_owned(),
        _ => name,
    };
    if let Some(service) = &rule.service {
        let key = service.to_lowercase();
        return match ports_of(&key) {
            Some(ports) => ports
                .iter()
                .map(|port| (Some("tcp".into()), Some(*port), None, called(*port, service.to_string())))
                .collect(),
            None => vec![(rule.protocol.clone(), None, Some(key.into()), service.to_string())],
        };
    }
    let protocol = rule.protocol.clone();
    match (&protocol, &rule.dport) {
        (Some(name), Some(ports)) => ports
            .split(',')
            .filter_map(|part| {
                let port = first(part)?;
                Some((protocol.clone(), Some(port), None, called(port, format!("{name} {}", part.trim()))))
            })
            .collect(),
        (Some(name), None) => vec![(protocol.clone(), None, None, format!("all {name}"))],
        (None, _) => vec![(None, None, None, UNNAMED.to_owned())],
    }
}

enum Resolved {
    Nets(Vec<IpNet>),
    Set(Vec<IpNet>, Vec<IpNet>),
    Nothing,
    Unknown,
}

/// `10.0.0.1`, `10.0.0.0/8`, `10.0.0.1-10.0.0.9`
fn written(text: &str) -> Option<Vec<IpNet>> {
    if let Some((first, last)) = text.split_once('-') {
        return Some(match (first.parse().ok()?, last.parse().ok()?) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                ipnet::Ipv4Subnets::new(first, last, 0).map(IpNet::V4).collect()
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                ipnet::Ipv6Subnets::new(first, last, 0).map(IpNet::V6).collect()
            }
            _ => return None,
        });
    }
    let net = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    Some(vec![net])
}

fn interface(rule: &Rule, probe: &Probe) -> Match {
    match (&rule.interface, &probe.interface) {
        (None, _) => Match::Yes,
        (Some(named), Some(real)) => (named == real).into(),
        (Some(_), None) => Match::Maybe,
    }
}

fn ports_of(service: &str) -> Option<&'static [u16]> {
    SERVICES.iter().find(|(name, _)| *name == service).map(|(_, ports)| *ports)
}

fn service(rule: &Rule, probe: &Probe) -> Match {
    if let Some(service) = &rule.service {
        let service = service.to_lowercase();
        if probe.service.as_deref() == Some(service.as_str()) {
            return Match::Yes;
        }
        let named = ports_of(&service).unwrap_or_default();
        let is_it = probe.port.is_some_and(|port| named.contains(&port));
        return (is_it && probe.protocol.as_deref() == Some("tcp")).into();
    }
    let protocol = match (rule.protocol.as_deref(), probe.protocol.as_deref()) {
        (None, _) => true,
        (Some("6"), Some("tcp")) | (Some("17"), Some("udp")) => true,
        (Some(named), real) => real == Some(named),
    };
    let port = match (rule.dport.as_deref(), probe.port) {
        (None, _) => Match::Yes,
        (Some(_), None) => Match::No,
        (Some(named), Some(port)) => holds(named, port),
    };
    port.min(protocol.into())
}

/// Whether `22,8000:8100,https` holds a port.
fn holds(named: &str, port: u16) -> Match {
    let one = |part: &str| {
        let number = |text: &str| text.parse::<u16>().ok();
        match part.split_once(':') {
            Some((first, last)) => match (number(first), number(last)) {
                (Some(first), Some(last)) => (first..=last).contains(&port).into(),
                _ => Match::Maybe,
            },
            None => match (number(part), ports_of(&part.to_lowercase())) {
                (Some(number), _) => (number == port).into(),
                (None, Some(ports)) => ports.contains(&port).into(),
                (None, None) => Match::Maybe,
            },
        }
    };
    named.split(',').map(|part| one(part.trim())).max().unwrap_or(Match::No)
}

fn first(named: &str) -> Option<u16> {
    let part = named.split([',', ':']).next()?.trim();
    part.parse().ok().or_else(|| ports_of(&part.to_lowercase())?.first().copied())
}
