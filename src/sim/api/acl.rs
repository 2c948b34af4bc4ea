//! `/access/acl`: who holds which role where.

use serde_json::{Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::access::Holder;
use super::super::route::Row;
use crate::catalog::Method::{Get, Put};

pub const TABLE: &[Row] = &[(Get, "/access/acl", list), (Put, "/access/acl", change)];

/// What an ACL can be set on; below some of them stands a name.
const PATHS: &[(&str, usize)] =
    &[("access", 3), ("mapping", 2), ("nodes", 1), ("pool", 3), ("sdn", 4), ("storage", 1), ("vms", 1)];

fn list(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let access = call.estate.access();
    let caller = call.caller();
    let mut rows = Vec::new();
    for (path, holders) in &access.acl {
        if !caller.may_any("/access", &["Sys.Audit", "Permissions.Modify"])
            && caller.check_modify(path).is_err()
        {
            continue;
        }
        for (holder, roles) in holders {
            let (kind, name) = holder.words();
            for (role, propagate) in roles {
                let propagate = u8::from(*propagate);
                rows.push(json!({
                    "path": path, "type": kind, "ugid": name, "roleid": role, "propagate": propagate,
                }));
            }
        }
    }
    Ok(Value::Array(rows).into())
}

fn change(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let path = normalised(&call.need("path"))
        .ok_or_else(|| Refusal::parameter("path", format!("invalid ACL path '{}'", call.need("path"))))?;
    let mut holders: Vec<Holder> = call.list("users").into_iter().map(Holder::User).collect();
    holders.extend(call.list("groups").into_iter().map(Holder::Group));
    holders.extend(call.list("tokens").into_iter().map(Holder::Token));
    if holders.is_empty() {
        return Err(Refusal::parameter("path", "either 'users', 'groups' or 'tokens' is required."));
    }
    let roles = call.list("roles");
    let access = call.estate.access();
    if let Some(missing) = roles.iter().find(|role| access.role(role).is_none()) {
        return Err(Refusal::die(format!("role '{missing}' does not exist")));
    }
    for holder in &holders {
        let (kind, name) = holder.words();
        let known = match holder {
            Holder::User(name) => access.users.contains_key(name),
            Holder::Group(name) => access.groups.contains_key(name),
            Holder::Token(name) => access.token(name).is_some(),
        };
        if !known {
            return Err(Refusal::die(format!("{kind} '{name}' does not exist")));
        }
    }
    let (delete, propagate) = (call.flag("delete"), call.get("propagate") != Some("0"));
    let access = call.estate.access_mut();
    for holder in holders {
        for role in &roles {
            if delete {
                if let Some(given) = access.acl.get_mut(&path).and_then(|holders| holders.get_mut(&holder)) {
                    given.remove(role);
                }
            } else {
                access.grant(&path, holder.clone(), role, propagate);
            }
        }
    }
    for holders in access.acl.values_mut() {
        holders.retain(|_, roles| !roles.is_empty());
    }
    access.acl.retain(|_, holders| !holders.is_empty());
    Ok(Reply::NULL)
}

fn normalised(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let Some((first, below)) = parts.split_first() else { return Some("/".to_owned()) };
    let (_, deepest) = PATHS.iter().find(|(name, _)| name == first)?;
    (below.len() <= *deepest).then(|| format!("/{}", parts.join("/")))
}
