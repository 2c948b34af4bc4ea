//! `.fw` files: the cluster's, a node's, a guest's and a virtual network's.
//!
//! ```text
//! [OPTIONS]
//! enable: 1
//! [IPSET admins] # who may
//! 198.51.100.7
//! [RULES]
//! IN SSH(ACCEPT) -source +admins
//! GROUP webgrp -i net0
//! ```

mod rule;

use smol_str::SmolStr;

pub use rule::{Direction, Named, Place, Rule};

use super::finding::{Findings, What, shown};
use super::property::is_yes;

/// Whose firewall it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    Cluster,
    Node(SmolStr),
    Guest(u32),
    Vnet(SmolStr),
}

impl Scope {
    /// Of a path under /etc/pve.
    #[must_use]
    pub fn of(file: &str) -> Option<Self> {
        if file == "firewall/cluster.fw" {
            return Some(Self::Cluster);
        }
        if let Some(node) = file.strip_prefix("nodes/").and_then(|rest| rest.strip_suffix("/host.fw")) {
            return Some(Self::Node(node.into()));
        }
        if let Some(vnet) = file.strip_prefix("sdn/firewall/").and_then(|rest| rest.strip_suffix(".fw")) {
            return Some(Self::Vnet(vnet.into()));
        }
        file.strip_prefix("firewall/")?.strip_suffix(".fw")?.parse().ok().map(Self::Guest)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firewall {
    /// What the file says; PVE's own default is off for the cluster and on for a node.
    pub enabled: Option<bool>,
    /// `policy_in: DROP` and the other options, in the order of the file.
    pub options: Box<[(SmolStr, SmolStr)]>,
    pub aliases: Box<[Alias]>,
    pub sets: Box<[Set]>,
    pub groups: Box<[Group]>,
    pub rules: Box<[Rule]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// In lower case, as PVE looks them up.
    pub name: SmolStr,
    pub address: SmolStr,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Set {
    pub name: SmolStr,
    /// Addresses and aliases; `!` before one takes it out.
    pub members: Vec<SmolStr>,
}

/// A security group: rules that others take in by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    pub name: SmolStr,
    pub rules: Vec<Rule>,
}

impl Firewall {
    #[must_use]
    pub fn option(&self, key: &str) -> Option<&str> {
        self.options.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Every rule, those of its groups included, each with the group that it stands in.
    pub fn all_rules(&self) -> impl Iterator<Item = (Option<&SmolStr>, &Rule)> {
        let grouped =
            self.groups.iter().flat_map(|group| group.rules.iter().map(|rule| (Some(&group.name), rule)));
        self.rules.iter().map(|rule| (None, rule)).chain(grouped)
    }
}

enum At {
    Nowhere,
    Options,
    Aliases,
    Rules,
    Set,
    Group,
}

pub fn parse(text: &str, findings: &mut Findings<'_>) -> Firewall {
    let mut at = At::Nowhere;
    let (mut options, mut aliases, mut rules) = (Vec::new(), Vec::new(), Vec::new());
    let (mut sets, mut groups): (Vec<Set>, Vec<Group>) = (Vec::new(), Vec::new());
    for (number, line) in (1u32..).zip(text.lines()) {
        let line = line.split_once('#').map_or(line, |(before, _)| before).trim_ascii();
        if line.is_empty() {
            continue;
        }
        if let Some(head) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let (kind, name) = head.trim_ascii().split_once([' ', '\t']).unwrap_or((head.trim_ascii(), ""));
            let name: SmolStr = name.trim_ascii().to_lowercase().into();
            at = match (kind.to_ascii_lowercase().as_str(), name.is_empty()) {
                ("options", true) => At::Options,
                ("aliases", true) => At::Aliases,
                ("rules", true) => At::Rules,
                ("ipset", false) => {
                    sets.push(Set { name, ..Set::default() });
                    At::Set
                }
                ("group", false) => {
                    groups.push(Group { name, ..Group::default() });
                    At::Group
                }
                _ => {
                    findings.add(number, What::Section(shown(head)));
                    At::Nowhere
                }
            };
            continue;
        }
        let understood = match at {
            At::Nowhere => false,
            At::Options => line
                .split_once(':')
                .map(|(key, value)| {
                    options.push((SmolStr::from(key.trim_ascii()), SmolStr::from(value.trim_ascii())));
                })
                .is_some(),
            At::Aliases => line
                .split_once([' ', '\t'])
                .map(|(name, address)| {
                    let (name, address) = (name.to_lowercase().into(), address.trim_ascii().into());
                    aliases.push(Alias { name, address });
                })
                .is_some(),
            At::Rules => Rule::parse(line).map(|rule| rules.push(rule)).is_some(),
            At::Group => rule_into(line, groups.last_mut()),
            At::Set => member_into(line, sets.last_mut()),
        };
        if !understood {
            findings.add(number, What::Line);
        }
    }
    let enabled = options.iter().rev().find(|(key, _)| key == "enable").map(|(_, value)| is_yes(value));
    Firewall {
        enabled,
        options: options.into(),
        aliases: aliases.into(),
        sets: sets.into(),
        groups: groups.into(),
        rules: rules.into(),
    }
}

fn rule_into(line: &str, group: Option<&mut Group>) -> bool {
    Option::zip(group, Rule::parse(line)).map(|(group, rule)| group.rules.push(rule)).is_some()
}

fn member_into(line: &str, set: Option<&mut Set>) -> bool {
    // `! 10.0.0.1` is the same as `!10.0.0.1`.
    let (not, rest) = line.strip_prefix('!').map_or(("", line), |rest| ("!", rest.trim_ascii()));
    let Some(set) = set.filter(|_| !rest.is_empty() && !rest.contains(char::is_whitespace)) else {
        return false;
    };
    set.members.push(format!("{not}{}", rest.to_lowercase()).into());
    true
}
