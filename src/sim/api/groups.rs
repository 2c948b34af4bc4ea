//! `/access/groups` and `/access/roles`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::access::roles::BROUGHT;
use super::super::estate::access::{Group, Holder};
use super::super::route::Row;
use crate::catalog::Method::{Delete, Get, Post, Put};

pub const TABLE: &[Row] = &[
    (Get, "/access/groups", list),
    (Post, "/access/groups", create),
    (Get, "/access/groups/{groupid}", read),
    (Put, "/access/groups/{groupid}", change),
    (Delete, "/access/groups/{groupid}", remove),
    (Get, "/access/roles", roles),
    (Post, "/access/roles", create_role),
    (Get, "/access/roles/{roleid}", role),
    (Put, "/access/roles/{roleid}", change_role),
    (Delete, "/access/roles/{roleid}", remove_role),
];

fn list(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let wanted = &["User.Modify", "Sys.Audit", "Group.Allocate"];
    let caller = call.caller();
    let groups = call.estate.access().groups.iter();
    let rows = groups.filter(|(name, _)| caller.may_any(&format!("/access/groups/{name}"), wanted));
    let rows = rows.map(|(name, group)| {
        let users: Vec<&str> = group.users.iter().map(String::as_str).collect();
        let mut row = json!({ "groupid": name, "users": users.join(",") });
        if let Some(comment) = &group.comment {
            row["comment"] = json!(comment);
        }
        row
    });
    Ok(rows.collect::<Value>().into())
}

fn existing(call: &Call<'_>) -> Result<Group, Refusal> {
    let name = call.need("groupid");
    let group = call.estate.access().groups.get(&name).cloned();
    group.ok_or_else(|| Refusal::die(format!("group '{name}' does not exist")))
}

fn read(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let group = existing(call)?;
    let mut row = json!({ "members": group.users });
    if let Some(comment) = group.comment {
        row["comment"] = json!(comment);
    }
    Ok(row.into())
}

fn create(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = call.need("groupid");
    if call.estate.access().groups.contains_key(&name) {
        return Err(Refusal::die(format!("create group failed: group '{name}' already exists")));
    }
    let comment = call.get("comment").map(str::to_owned);
    call.estate.access_mut().groups.insert(name, Group { comment, ..Group::default() });
    Ok(Reply::NULL)
}

fn change(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let mut group = existing(call)?;
    group.comment = call.get("comment").map(str::to_owned).or(group.comment);
    let name = call.need("groupid");
    call.estate.access_mut().groups.insert(name, group);
    Ok(Reply::NULL)
}

fn remove(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    existing(call)?;
    let name = call.need("groupid");
    let access = call.estate.access_mut();
    access.groups.remove(&name);
    access.forget(|holder| matches!(holder, Holder::Group(group) if *group == name));
    Ok(Reply::NULL)
}

fn roles(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let access = call.estate.access();
    let brought = BROUGHT.iter().map(|(name, _)| {
        let privileges: Vec<String> = access.role(name).unwrap_or_default().into_iter().collect();
        json!({ "roleid": name, "privs": privileges.join(","), "special": 1 })
    });
    let made = access.roles.iter().map(|(name, privileges)| {
        let privileges: Vec<&str> = privileges.iter().map(String::as_str).collect();
        json!({ "roleid": name, "privs": privileges.join(","), "special": 0 })
    });
    Ok(brought.chain(made).collect::<Value>().into())
}

fn role(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = call.need("roleid");
    let privileges = call.estate.access().role(&name);
    let privileges = privileges.ok_or_else(|| Refusal::die(format!("role '{name}' does not exist")))?;
    let row: Map<String, Value> = privileges.into_iter().map(|privilege| (privilege, json!(1))).collect();
    Ok(Value::Object(row).into())
}

fn privileges(call: &Call<'_>) -> Result<BTreeSet<String>, Refusal> {
    let wanted = call.list("privs");
    let known = call.estate.access().role("Administrator").unwrap_or_default();
    match wanted.iter().find(|name| !known.contains(*name)) {
        Some(name) => {
            Err(Refusal::parameter("privs", format!("invalid format - invalid privilege '{name}'\n\n")))
        }
        None => Ok(wanted.into_iter().collect()),
    }
}

fn create_role(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = call.need("roleid");
    if name.starts_with("PVE") {
        let problem = "invalid format - role ID starts with 'PVE': this prefix is reserved\n";
        return Err(Refusal::parameter("roleid", problem));
    }
    if call.estate.access().role(&name).is_some() {
        return Err(Refusal::die(format!("create role failed: role '{name}' already exists")));
    }
    let privileges = privileges(call)?;
    call.estate.access_mut().roles.insert(name, privileges);
    Ok(Reply::NULL)
}

fn changeable(call: &Call<'_>) -> Result<String, Refusal> {
    let name = call.need("roleid");
    if BROUGHT.iter().any(|(brought, _)| *brought == name) {
        return Err(Refusal::die(format!("auto-generated role '{name}' cannot be modified")));
    }
    if !call.estate.access().roles.contains_key(&name) {
        return Err(Refusal::die(format!("role '{name}' does not exist")));
    }
    Ok(name)
}

fn change_role(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = changeable(call)?;
    let mut wanted = privileges(call)?;
    if call.flag("append") {
        wanted.extend(call.estate.access().role(&name).unwrap_or_default());
    }
    call.estate.access_mut().roles.insert(name, wanted);
    Ok(Reply::NULL)
}

fn remove_role(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = changeable(call)?;
    let access = call.estate.access_mut();
    access.roles.remove(&name);
    for holders in access.acl.values_mut() {
        holders.values_mut().for_each(|roles| {
            roles.remove(&name);
        });
        holders.retain(|_, roles| !roles.is_empty());
    }
    Ok(Reply::NULL)
}
