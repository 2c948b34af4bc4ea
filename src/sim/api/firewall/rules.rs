//! Rules, in a firewall or in a security group, and the groups themselves.

use serde_json::{Map, Value, json};

use super::{here, here_mut, is_macro, with_comment};
use crate::catalog::Kind;
use crate::sim::answer::{Refusal, Reply};
use crate::sim::api::sections::as_kind;
use crate::sim::call::Call;
use crate::sim::estate::firewall::{Group, Rule, shown_digest};

pub fn groups(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let groups = &here(call)?.groups;
    let digest = shown_digest(groups);
    let rows = groups.iter().map(|(name, group)| {
        with_comment(json!({ "group": name, "digest": digest }), group.comment.as_ref())
    });
    Ok(rows.collect::<Value>().into())
}

pub fn create_group(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = call.need("group");
    let comment = call.get("comment").map(str::to_owned);
    if let Some(old) = call.get("rename").map(str::to_owned) {
        let group = here_mut(call)?.groups.remove(&old);
        let mut group =
            group.ok_or_else(|| Refusal::die(format!("Security group '{old}' does not exist")))?;
        group.comment = comment.or(group.comment);
        here_mut(call)?.groups.insert(name, group);
        return Ok(Reply::NULL);
    }
    if here(call)?.groups.contains_key(&name) {
        return Err(Refusal::parameter("group", format!("Security group '{name}' already exists")));
    }
    here_mut(call)?.groups.insert(name, Group { comment, rules: Vec::new() });
    Ok(Reply::NULL)
}

pub fn remove_group(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    if !list(call)?.is_empty() {
        return Err(Refusal::die("Security group is not empty"));
    }
    let name = call.need("group");
    here_mut(call)?.groups.remove(&name);
    Ok(Reply::NULL)
}

/// The rules that the path is about: a firewall's, or a group's.
fn list<'a>(call: &'a Call<'_>) -> Result<&'a Vec<Rule>, Refusal> {
    let firewall = here(call)?;
    let Some(name) = call.get("group") else { return Ok(&firewall.rules) };
    let group = firewall.groups.get(name);
    Ok(&group.ok_or_else(|| Refusal::die(format!("no such security group '{name}'")))?.rules)
}

fn list_mut<'a>(call: &'a mut Call<'_>) -> Result<&'a mut Vec<Rule>, Refusal> {
    let name = call.get("group").map(str::to_owned);
    list(call)?;
    let firewall = here_mut(call)?;
    Ok(match name {
        Some(name) => &mut firewall.groups.entry(name).or_default().rules,
        None => &mut firewall.rules,
    })
}

/// The position is a number in a list, and a text where it is asked for by itself.
fn rule_row(rule: &Rule, position: Value, digest: &str) -> Value {
    let mut row: Map<String, Value> = rule
        .iter()
        .map(|(key, value)| {
            (key.clone(), if key == "enable" { as_kind(Some(Kind::Integer), value) } else { json!(value) })
        })
        .collect();
    row.insert("pos".to_owned(), position);
    row.insert("digest".to_owned(), json!(digest));
    Value::Object(row)
}

pub fn rules(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let rules = list(call)?;
    let digest = shown_digest(rules);
    let rows = rules.iter().enumerate().map(|(position, rule)| rule_row(rule, json!(position), &digest));
    Ok(rows.collect::<Value>().into())
}

fn position(call: &Call<'_>) -> Result<usize, Refusal> {
    let position: usize = call.number("pos").unwrap_or_default();
    if position < list(call)?.len() {
        return Ok(position);
    }
    Err(Refusal::die(format!("no rule at position {position}")))
}

pub fn rule(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (position, rules) = (position(call)?, list(call)?);
    Ok(rule_row(&rules[position], json!(position.to_string()), &shown_digest(rules)).into())
}

/// The call's parameters that are a rule's.
fn given(call: &Call<'_>) -> Rule {
    const KEYS: &[&str] = &[
        "type",
        "action",
        "enable",
        "source",
        "dest",
        "proto",
        "dport",
        "sport",
        "iface",
        "macro",
        "log",
        "icmp-type",
        "comment",
    ];
    let keys = KEYS.iter().filter_map(|key| Some(((*key).to_owned(), call.get(key)?.to_owned())));
    keys.collect()
}

fn valid(call: &Call<'_>, rule: &Rule) -> Result<(), Refusal> {
    let get = |key: &str| rule.get(key).map(String::as_str);
    if get("type") == Some("group") {
        let name = get("action").unwrap_or_default();
        if !call.estate.firewall("firewall/cluster.fw").groups.contains_key(name) {
            return Err(Refusal::parameter("action", format!("unknown security group '{name}'")));
        }
    } else if !matches!(get("action"), Some("ACCEPT" | "DROP" | "REJECT")) {
        return Err(Refusal::parameter(
            "action",
            format!("invalid action '{}'", get("action").unwrap_or_default()),
        ));
    }
    if let Some(name) = get("macro")
        && !is_macro(name)
    {
        return Err(Refusal::parameter("macro", format!("unknown macro '{name}'")));
    }
    if (get("dport").is_some() || get("sport").is_some()) && get("proto").is_none() && get("macro").is_none()
    {
        return Err(Refusal::parameter("proto", "missing property - 'dport' requires this property"));
    }
    for side in ["source", "dest"] {
        if let Some(name) = get(side) {
            named(call, side, name)?;
        }
    }
    Ok(())
}

/// A set or an alias that a rule names, if it names one, is the cluster's or of the rule's own firewall.
fn named(call: &Call<'_>, side: &str, value: &str) -> Result<(), Refusal> {
    let (own, cluster) = (here(call)?, call.estate.firewall("firewall/cluster.fw"));
    let is_name = |name: &str| {
        let all = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        name.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && name.len() > 1
            && name.chars().all(all)
    };
    let (is_set, name) = value.strip_prefix('+').map_or((false, value), |name| (true, name));
    // What SDN makes by itself is not kept in a firewall's file.
    if is_set && name.starts_with("sdn/") {
        return Ok(());
    }
    let name = name.strip_prefix("dc/").or_else(|| name.strip_prefix("guest/")).unwrap_or(name);
    let lower = name.to_lowercase();
    let problem = match is_set {
        true if own.sets.contains_key(name) || cluster.sets.contains_key(name) => return Ok(()),
        true => format!("no such ipset '{name}'"),
        false if !is_name(name) => return Ok(()),
        false if own.aliases.contains_key(&lower) || cluster.aliases.contains_key(&lower) => return Ok(()),
        false => format!("no such alias '{value}'"),
    };
    Err(Refusal::parameter(side, problem))
}

pub fn create_rule(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    call.fresh(&shown_digest(list(call)?))?;
    let mut rule = given(call);
    valid(call, &rule)?;
    rule.entry("enable".to_owned()).or_insert_with(|| "0".to_owned());
    let at = call.number("pos").unwrap_or(0);
    let rules = list_mut(call)?;
    rules.insert(at.min(rules.len()), rule);
    Ok(Reply::NULL)
}

pub fn change_rule(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let position = position(call)?;
    call.fresh(&shown_digest(list(call)?))?;
    if let Some(to) = call.number::<usize>("moveto") {
        let rules = list_mut(call)?;
        let rule = rules.remove(position);
        // The target is a place in the list as it was.
        let to = if to > position { to - 1 } else { to };
        rules.insert(to.min(rules.len()), rule);
        return Ok(Reply::NULL);
    }
    let mut rule = list(call)?[position].clone();
    for key in call.list("delete") {
        rule.remove(&key);
    }
    rule.extend(given(call));
    valid(call, &rule)?;
    list_mut(call)?[position] = rule;
    Ok(Reply::NULL)
}

pub fn remove_rule(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let position = position(call)?;
    call.fresh(&shown_digest(list(call)?))?;
    list_mut(call)?.remove(position);
    Ok(Reply::NULL)
}
