//! The firewall as it would be after the call.

use std::sync::Arc;

use smol_str::SmolStr;

use super::judge::Firewalls;
use crate::catalog::Method;
use crate::estate::firewall::{Alias, Direction, Firewall, Group, Rule, Scope, Set};
use crate::plan::blast::Look;
use crate::plan::fields::truth;

/// Whose firewall a call is about.
pub fn scope(look: &Look<'_>) -> Option<Scope> {
    let template = look.request().template();
    if template.starts_with("/cluster/firewall/") {
        return Some(Scope::Cluster);
    }
    if template.starts_with("/cluster/sdn/vnets/") {
        return Some(Scope::Vnet(look.text("vnet")?.into()));
    }
    match look.request().guest() {
        Some(vmid) => Some(Scope::Guest(vmid)),
        None => Some(Scope::Node(look.text("node")?.into())),
    }
}

/// All firewalls, this one changed. Nothing where the call is about what is not there.
pub fn after(look: &Look<'_>, scope: &Scope) -> Option<Firewalls> {
    let mut all = look.estate.cluster().firewalls.as_ref().clone();
    let mut firewall = all.get(scope).map(|own| own.as_ref().clone()).unwrap_or_default();
    edited(look, &mut firewall)?;
    all.insert(scope.clone(), Arc::new(firewall));
    Some(all)
}

fn edited(look: &Look<'_>, firewall: &mut Firewall) -> Option<()> {
    let (template, method) = (look.request().template(), look.request().method());
    let (_, rest) = template.split_once("/firewall/")?;
    let name = |key: &str| look.text(key).map(|name| SmolStr::from(name.to_lowercase()));
    match (method, rest) {
        (Method::Put, "options") => options(look, firewall),
        (_, "rules" | "rules/{pos}") => firewall.rules = rules(look, &firewall.rules)?,
        (_, "groups/{group}" | "groups/{group}/{pos}")
            if method != Method::Delete || rest.ends_with("{pos}") =>
        {
            let group =
                firewall.groups.iter_mut().find(|group| Some(&group.name) == name("group").as_ref())?;
            group.rules = rules(look, &group.rules)?.into_vec();
        }
        (Method::Delete, "groups/{group}") => {
            firewall.groups = without(&firewall.groups, |group| Some(&group.name) == name("group").as_ref());
        }
        // With `rename`, that is what it was called.
        (Method::Post, "groups") => match name("rename") {
            Some(old) => {
                let group = firewall.groups.iter_mut().find(|group| group.name == old)?;
                group.name = name("group")?;
            }
            None => {
                let group = Group { name: name("group")?, ..Group::default() };
                firewall.groups = with(&firewall.groups, group);
            }
        },
        (Method::Post, "ipset") => match name("rename") {
            Some(old) => firewall.sets.iter_mut().find(|set| set.name == old)?.name = name("name")?,
            None => {
                firewall.sets = with(&firewall.sets, Set { name: name("name")?, ..Set::default() });
            }
        },
        (Method::Delete, "ipset/{name}") => {
            firewall.sets = without(&firewall.sets, |set| Some(&set.name) == name("name").as_ref());
        }
        (_, "ipset/{name}" | "ipset/{name}/{cidr}") => {
            let set = firewall.sets.iter_mut().find(|set| Some(&set.name) == name("name").as_ref())?;
            let cidr = name("cidr")?;
            set.members.retain(|member| member.trim_start_matches('!') != cidr);
            if method != Method::Delete {
                let not = if look.flag("nomatch") { "!" } else { "" };
                set.members.push(format!("{not}{cidr}").into());
            }
        }
        (Method::Post, "aliases") => {
            let alias = Alias { name: name("name")?, address: name("cidr")? };
            firewall.aliases = with(&firewall.aliases, alias);
        }
        (Method::Delete, "aliases/{name}") => {
            firewall.aliases = without(&firewall.aliases, |alias| Some(&alias.name) == name("name").as_ref());
        }
        (Method::Put, "aliases/{name}") => {
            let alias =
                firewall.aliases.iter_mut().find(|alias| Some(&alias.name) == name("name").as_ref())?;
            if let Some(cidr) = name("cidr") {
                alias.address = cidr;
            }
            if let Some(new) = name("rename") {
                alias.name = new;
            }
        }
        _ => return None,
    }
    Some(())
}

fn options(look: &Look<'_>, firewall: &mut Firewall) {
    let mut options = firewall.options.to_vec();
    let mut gone = look.list("delete");
    let given = ["enable", "policy_in", "policy_out", "policy_forward"];
    let given: Vec<(SmolStr, SmolStr)> =
        given.iter().filter_map(|key| Some(((*key).into(), look.text(key)?.into()))).collect();
    gone.extend(given.iter().map(|(key, _)| key.to_string()));
    options.retain(|(key, _)| !gone.iter().any(|name| name == key));
    options.extend(given);
    let enabled = options.iter().rev().find(|(key, _)| key == "enable");
    // The cluster's is a number, which dates the change: what is not 0 is on.
    firewall.enabled = enabled.map(|(_, value)| {
        truth(&value.as_str().into()) == Some(true) || value.parse::<u64>().is_ok_and(|since| since > 0)
    });
    firewall.options = options.into();
}

/// A new rule stands first, and is off unless it says otherwise.
fn rules(look: &Look<'_>, rules: &[Rule]) -> Option<Box<[Rule]>> {
    let mut rules = rules.to_vec();
    if look.request().method() == Method::Post {
        let empty = Rule::of(false, Direction::In, SmolStr::default());
        rules.insert(0, set(look, empty)?);
        return Some(rules.into());
    }
    let at: usize = look.text("pos")?.parse().ok()?;
    if at >= rules.len() {
        return None;
    }
    let rule = rules.remove(at);
    if look.request().method() == Method::Delete {
        return Some(rules.into());
    }
    match look.text("moveto").and_then(|to| to.parse::<usize>().ok()) {
        // The place is counted before the rule is taken out.
        Some(to) => {
            let to = if to > at { to - 1 } else { to };
            rules.insert(to.min(rules.len()), rule);
        }
        None => rules.insert(at, set(look, rule)?),
    }
    Some(rules.into())
}

fn set(look: &Look<'_>, mut rule: Rule) -> Option<Rule> {
    let word = |key: &str| look.text(key).filter(|text| !text.is_empty()).map(SmolStr::from);
    if let Some(direction) = word("type") {
        rule.direction = match direction.as_str() {
            "in" => Direction::In,
            "out" => Direction::Out,
            "forward" => Direction::Forward,
            "group" => Direction::Group,
            _ => return None,
        };
    }
    if let Some(action) = word("action") {
        let is_group = rule.direction == Direction::Group;
        rule.action = if is_group { action.to_lowercase() } else { action.to_uppercase() }.into();
    }
    if let Some(enable) = word("enable") {
        rule.enabled = enable != "0";
    }
    let gone = look.list("delete");
    let fields = [
        ("macro", &mut rule.service),
        ("iface", &mut rule.interface),
        ("source", &mut rule.source),
        ("dest", &mut rule.dest),
        ("proto", &mut rule.protocol),
        ("dport", &mut rule.dport),
        ("sport", &mut rule.sport),
    ];
    for (key, field) in fields {
        if gone.iter().any(|name| name == key) {
            *field = None;
        }
        if let Some(value) = word(key) {
            *field = Some(value);
        }
    }
    Some(rule)
}

fn with<T: Clone>(all: &[T], one: T) -> Box<[T]> {
    all.iter().cloned().chain([one]).collect()
}

fn without<T: Clone>(all: &[T], is_it: impl Fn(&T) -> bool) -> Box<[T]> {
    all.iter().filter(|one| !is_it(one)).cloned().collect()
}
