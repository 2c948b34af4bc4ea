//! Firewalls: the cluster's, the nodes', the guests' and the virtual networks', with one set of methods for all.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::digest;
use super::super::estate::firewall::{Alias, Firewall, Group, Member, Rule, Set, shown_digest};
use super::super::route::Row;
use super::sections::as_kind;
use crate::catalog::Kind;
use crate::catalog::Method::{self, Delete, Get, Post, Put};

macro_rules! table {
    ($($row:expr,)* ; aliased $($aliased:literal)* ; guarded $($guarded:literal)*) => {
        &[
            $($row,)*
            $(
                (Get, concat!($aliased, "/aliases"), aliases),
                (Post, concat!($aliased, "/aliases"), create_alias),
                (Get, concat!($aliased, "/aliases/{name}"), alias),
                (Put, concat!($aliased, "/aliases/{name}"), change_alias),
                (Delete, concat!($aliased, "/aliases/{name}"), remove_alias),
                (Get, concat!($aliased, "/ipset"), sets),
                (Post, concat!($aliased, "/ipset"), create_set),
                (Get, concat!($aliased, "/ipset/{name}"), set),
                (Post, concat!($aliased, "/ipset/{name}"), add_member),
                (Delete, concat!($aliased, "/ipset/{name}"), remove_set),
                (Get, concat!($aliased, "/ipset/{name}/{cidr}"), member),
                (Put, concat!($aliased, "/ipset/{name}/{cidr}"), change_member),
                (Delete, concat!($aliased, "/ipset/{name}/{cidr}"), remove_member),
                (Get, concat!($aliased, "/refs"), refs),
            )*
            $(
                (Get, concat!($guarded, "/options"), options),
                (Put, concat!($guarded, "/options"), set_options),
                (Get, concat!($guarded, "/rules"), rules),
                (Post, concat!($guarded, "/rules"), create_rule),
                (Get, concat!($guarded, "/rules/{pos}"), rule),
                (Put, concat!($guarded, "/rules/{pos}"), change_rule),
                (Delete, concat!($guarded, "/rules/{pos}"), remove_rule),
            )*
        ]
    };
}

pub const TABLE: &[Row] = table![
    (Get, "/cluster/firewall/macros", macros),
    (Get, "/cluster/firewall/groups", groups),
    (Post, "/cluster/firewall/groups", create_group),
    (Get, "/cluster/firewall/groups/{group}", rules),
    (Post, "/cluster/firewall/groups/{group}", create_rule),
    (Delete, "/cluster/firewall/groups/{group}", remove_group),
    (Get, "/cluster/firewall/groups/{group}/{pos}", rule),
    (Put, "/cluster/firewall/groups/{group}/{pos}", change_rule),
    (Delete, "/cluster/firewall/groups/{group}/{pos}", remove_rule),
    (Get, "/nodes/{node}/firewall/log", log),
    (Get, "/nodes/{node}/qemu/{vmid}/firewall/log", log),
    (Get, "/nodes/{node}/lxc/{vmid}/firewall/log", log),
    ;
    aliased "/cluster/firewall" "/nodes/{node}/qemu/{vmid}/firewall" "/nodes/{node}/lxc/{vmid}/firewall" ;
    guarded "/cluster/firewall" "/nodes/{node}/firewall" "/nodes/{node}/qemu/{vmid}/firewall"
        "/nodes/{node}/lxc/{vmid}/firewall" "/cluster/sdn/vnets/{vnet}/firewall"
];

/// Macros by name and what they are for: a part of PVE's.
const MACROS: &[(&str, &str)] = &[
    ("BGP", "Border Gateway Protocol traffic"),
    ("DNS", "Domain Name System traffic (upd and tcp)"),
    ("FTP", "File Transfer Protocol"),
    ("HTTP", "Hypertext Transfer Protocol (WWW)"),
    ("HTTPS", "Hypertext Transfer Protocol (WWW) over SSL"),
    ("IMAP", "Internet Message Access Protocol"),
    ("LDAP", "Lightweight Directory Access Protocol traffic"),
    ("MySQL", "MySQL server"),
    ("NTP", "Network Time Protocol (ntpd)"),
    ("Ping", "ICMP echo request"),
    ("PostgreSQL", "PostgreSQL server"),
    ("RDP", "Microsoft Remote Desktop Protocol traffic"),
    ("SMTP", "Simple Mail Transfer Protocol"),
    ("SNMP", "Simple Network Management Protocol"),
    ("SSH", "Secure shell traffic"),
    ("Syslog", "Syslog protocol (RFC 5424) traffic"),
];

fn macros(_: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(MACROS.iter().map(|(name, what)| json!({ "macro": name, "descr": what })).collect::<Value>().into())
}

/// The file of the firewall that the path is about; a guest's only if the guest is there.
fn file(call: &Call<'_>) -> Result<String, Refusal> {
    let path = call.endpoint.path.as_str();
    if path.starts_with("/cluster/firewall") {
        return Ok("firewall/cluster.fw".to_owned());
    }
    if path.starts_with("/cluster/sdn") {
        let vnet = call.need("vnet");
        return match call
            .estate
            .sections("sdn/vnets.cfg")
            .find(&vnet)
            .map(|found| found.get("zone").unwrap_or(""))
        {
            // A token is not root, and the schema of these methods names no privilege: see the recording.
            Some(_) => Ok(format!("sdn/firewall/{vnet}.fw")),
            None => Err(Refusal::die(format!("sdn vnet '{vnet}' does not exist"))),
        };
    }
    if path.contains("{vmid}") {
        return Ok(format!("firewall/{}.fw", call.guest()?.vmid));
    }
    Ok(format!("nodes/{}/host.fw", call.node()))
}

fn here<'a>(call: &'a Call<'_>) -> Result<&'a Firewall, Refusal> {
    Ok(call.estate.firewall(&file(call)?))
}

fn here_mut<'a>(call: &'a mut Call<'_>) -> Result<&'a mut Firewall, Refusal> {
    let file = file(call)?;
    Ok(call.estate.firewall_mut(&file))
}

fn log(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    if call.endpoint.path.contains("{vmid}") {
        call.guest()?;
    }
    let lines = json!([{ "n": 1, "t": "unable to open file - No such file or directory" }]);
    Ok(Reply::Lines { lines, total: 1 })
}

/// A value as it is shown, by the schema of the method that sets it.
fn shown(call: &Call<'_>, key: &str, value: &str) -> Value {
    let kind = match key {
        "enable" | "nomatch" => Some(Kind::Boolean),
        _ => {
            let setter = call.shared.endpoint(Method::Put, &call.endpoint.path);
            let parameter = setter.and_then(|endpoint| super::super::verify::declared(endpoint, key));
            parameter.map(|parameter| parameter.schema.kind)
        }
    };
    as_kind(kind, value)
}

/// An empty file's digest where nothing is set: nothing was written either.
fn values_digest(values: &BTreeMap<String, String>) -> String {
    if values.is_empty() { digest(b"") } else { shown_digest(values) }
}

fn options(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let options = &here(call)?.options;
    let mut row: Map<String, Value> =
        options.iter().map(|(key, value)| (key.clone(), shown(call, key, value))).collect();
    row.insert("digest".to_owned(), json!(values_digest(options)));
    Ok(Value::Object(row).into())
}

fn set_options(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    call.fresh(&values_digest(&here(call)?.options))?;
    const NOT: &[&str] = &["node", "vmid", "vnet", "delete", "digest"];
    let given: BTreeMap<String, String> = call
        .parameters
        .iter()
        .filter(|(key, _)| !NOT.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let gone = call.list("delete");
    let options = &mut here_mut(call)?.options;
    options.retain(|key, _| !gone.contains(key));
    options.extend(given);
    Ok(Reply::NULL)
}

fn with_comment(mut row: Value, comment: Option<&String>) -> Value {
    if let Some(comment) = comment {
        row["comment"] = json!(comment);
    }
    row
}

fn alias_row(name: &str, alias: &Alias, digest: &str) -> Value {
    let version = if alias.cidr.contains(':') { 6 } else { 4 };
    let row = json!({ "name": name, "cidr": alias.cidr, "ipversion": version, "digest": digest });
    with_comment(row, alias.comment.as_ref())
}

fn aliases(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let aliases = &here(call)?.aliases;
    let digest = shown_digest(aliases);
    Ok(aliases.iter().map(|(name, alias)| alias_row(name, alias, &digest)).collect::<Value>().into())
}

fn no_alias() -> Refusal {
    Refusal::parameter("name", "no such alias")
}

fn alias(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (name, firewall) = (call.need("name"), here(call)?);
    let alias = firewall.aliases.get(&name).ok_or_else(no_alias)?;
    Ok(alias_row(&name, alias, &shown_digest(&firewall.aliases)).into())
}

fn create_alias(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = call.need("name").to_lowercase();
    if here(call)?.aliases.contains_key(&name) {
        return Err(Refusal::parameter("name", format!("alias '{name}' already exists")));
    }
    let alias = Alias { cidr: call.need("cidr"), comment: call.get("comment").map(str::to_owned) };
    here_mut(call)?.aliases.insert(name, alias);
    Ok(Reply::NULL)
}

fn change_alias(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (name, firewall) = (call.need("name"), here(call)?);
    call.fresh(&shown_digest(&firewall.aliases))?;
    firewall.aliases.get(&name).ok_or_else(no_alias)?;
    let alias = Alias { cidr: call.need("cidr"), comment: call.get("comment").map(str::to_owned) };
    let rename = call.get("rename").unwrap_or(&name).to_owned();
    let aliases = &mut here_mut(call)?.aliases;
    aliases.remove(&name);
    aliases.insert(rename, alias);
    Ok(Reply::NULL)
}

fn remove_alias(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (name, firewall) = (call.need("name"), here(call)?);
    call.fresh(&shown_digest(&firewall.aliases))?;
    firewall.aliases.get(&name).ok_or_else(no_alias)?;
    here_mut(call)?.aliases.remove(&name);
    Ok(Reply::NULL)
}

fn sets(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let sets = &here(call)?.sets;
    let digest = shown_digest(sets);
    let rows = sets
        .iter()
        .map(|(name, set)| with_comment(json!({ "name": name, "digest": digest }), set.comment.as_ref()));
    Ok(rows.collect::<Value>().into())
}

fn found<'a>(call: &'a Call<'_>) -> Result<&'a Set, Refusal> {
    let name = call.need("name");
    let set = here(call)?.sets.get(&name);
    set.ok_or_else(|| Refusal::die(format!("no such IPSet '{name}'")))
}

fn create_set(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = call.need("name");
    let comment = call.get("comment").map(str::to_owned);
    if let Some(old) = call.get("rename").map(str::to_owned) {
        let mut set = here_mut(call)?.sets.remove(&old);
        let mut set = set.take().ok_or_else(|| Refusal::die(format!("IPSet '{old}' does not exist")))?;
        set.comment = comment.or(set.comment);
        here_mut(call)?.sets.insert(name, set);
        return Ok(Reply::NULL);
    }
    if here(call)?.sets.contains_key(&name) {
        return Err(Refusal::parameter("name", format!("IPSet '{name}' already exists")));
    }
    here_mut(call)?.sets.insert(name, Set { comment, members: Vec::new() });
    Ok(Reply::NULL)
}

fn remove_set(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    if !found(call)?.members.is_empty() && !call.flag("force") {
        return Err(Refusal::die("IPSet is not empty"));
    }
    let name = call.need("name");
    here_mut(call)?.sets.remove(&name);
    Ok(Reply::NULL)
}

fn member_row(member: &Member, digest: &str) -> Value {
    let mut row = json!({ "cidr": member.cidr, "digest": digest });
    if member.nomatch {
        row["nomatch"] = json!(1);
    }
    with_comment(row, member.comment.as_ref())
}

fn set(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let set = found(call)?;
    let digest = shown_digest(&set.members);
    Ok(set.members.iter().map(|member| member_row(member, &digest)).collect::<Value>().into())
}

fn no_member(cidr: &str) -> Refusal {
    Refusal::parameter("cidr", format!("no such IP/Network '{cidr}'"))
}

fn member(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (cidr, set) = (call.need("cidr"), found(call)?);
    let member = set.members.iter().find(|member| member.cidr == cidr).ok_or_else(|| no_member(&cidr))?;
    Ok(member_row(member, &shown_digest(&set.members)).into())
}

fn add_member(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let cidr = call.need("cidr");
    if found(call)?.members.iter().any(|member| member.cidr == cidr) {
        return Err(Refusal::parameter("cidr", format!("address '{cidr}' already exists")));
    }
    let member =
        Member { cidr, nomatch: call.flag("nomatch"), comment: call.get("comment").map(str::to_owned) };
    let name = call.need("name");
    if let Some(set) = here_mut(call)?.sets.get_mut(&name) {
        set.members.insert(0, member);
    }
    Ok(Reply::NULL)
}

fn change_member(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (cidr, name) = (call.need("cidr"), call.need("name"));
    call.fresh(&shown_digest(&found(call)?.members))?;
    let (nomatch, comment) = (call.flag("nomatch"), call.get("comment").map(str::to_owned));
    let set = here_mut(call)?.sets.get_mut(&name);
    let member = set.and_then(|set| set.members.iter_mut().find(|member| member.cidr == cidr));
    let member = member.ok_or_else(|| no_member(&cidr))?;
    (member.nomatch, member.comment) = (nomatch, comment);
    Ok(Reply::NULL)
}

fn remove_member(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (cidr, name) = (call.need("cidr"), call.need("name"));
    let set = found(call)?;
    call.fresh(&shown_digest(&set.members))?;
    if !set.members.iter().any(|member| member.cidr == cidr) {
        return Err(no_member(&cidr));
    }
    if let Some(set) = here_mut(call)?.sets.get_mut(&name) {
        set.members.retain(|member| member.cidr != cidr);
    }
    Ok(Reply::NULL)
}

/// What rules here can name: this firewall's own, and the cluster's.
fn refs(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let own = file(call)?;
    let mut rows = Vec::new();
    let cluster = "firewall/cluster.fw";
    let mut files = vec![(cluster, "dc")];
    if own != cluster {
        files.push((&own, "guest"));
    }
    let kind = call.get("type");
    for (file, scope) in files {
        let firewall = call.estate.firewall(file);
        if kind.is_none_or(|kind| kind == "alias") {
            rows.extend(firewall.aliases.iter().map(|(name, alias)| {
                let row = json!({ "type": "alias", "name": name, "ref": name, "scope": scope });
                with_comment(row, alias.comment.as_ref())
            }));
        }
        if kind.is_none_or(|kind| kind == "ipset") {
            rows.extend(firewall.sets.iter().map(|(name, set)| {
                let row = json!({ "type": "ipset", "name": name, "ref": format!("+{name}"), "scope": scope });
                with_comment(row, set.comment.as_ref())
            }));
        }
    }
    Ok(Value::Array(rows).into())
}

fn groups(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let groups = &here(call)?.groups;
    let digest = shown_digest(groups);
    let rows = groups.iter().map(|(name, group)| {
        with_comment(json!({ "group": name, "digest": digest }), group.comment.as_ref())
    });
    Ok(rows.collect::<Value>().into())
}

fn create_group(call: &mut Call<'_>) -> Result<Reply, Refusal> {
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

fn remove_group(call: &mut Call<'_>) -> Result<Reply, Refusal> {
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

fn rules(call: &mut Call<'_>) -> Result<Reply, Refusal> {
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

fn rule(call: &mut Call<'_>) -> Result<Reply, Refusal> {
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
    if (get("dport").is_some() || get("sport").is_some()) && get("proto").is_none() && get("macro").is_none()
    {
        return Err(Refusal::parameter("proto", "missing property - 'dport' requires this property"));
    }
    Ok(())
}

fn create_rule(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    call.fresh(&shown_digest(list(call)?))?;
    let mut rule = given(call);
    valid(call, &rule)?;
    rule.entry("enable".to_owned()).or_insert_with(|| "0".to_owned());
    let at = call.number("pos").unwrap_or(0);
    let rules = list_mut(call)?;
    rules.insert(at.min(rules.len()), rule);
    Ok(Reply::NULL)
}

fn change_rule(call: &mut Call<'_>) -> Result<Reply, Refusal> {
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

fn remove_rule(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let position = position(call)?;
    call.fresh(&shown_digest(list(call)?))?;
    list_mut(call)?.remove(position);
    Ok(Reply::NULL)
}
