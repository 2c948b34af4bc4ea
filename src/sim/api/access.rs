//! `/access`: realms, the second factor, and what a caller may do.

use serde_json::{Map, Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::digest;
use super::super::estate::sections::Section;
use super::super::permission::privileges;
use super::super::route::Row;
use super::sections::as_kind;
use crate::catalog::Method::{self, Delete, Get, Post, Put};

pub const TABLE: &[Row] = &[
    (Get, "/access/permissions", permissions),
    (Get, "/access/ticket", |_| Ok(Reply::NULL)),
    (Post, "/access/ticket", |_| Err(Refusal::bare(401, "authentication failure"))),
    (Post, "/access/vncticket", |_| Err(Refusal::bare(401, "permission denied - invalid PVEVNC ticket"))),
    (Post, "/access/openid/auth-url", openid),
    // Who comes back from a provider was sent there by the call before, and nobody is.
    (Post, "/access/openid/login", |_| Err(Refusal::bare(401, "authentication failure"))),
    (Get, "/access/domains", realms),
    (Post, "/access/domains", create_realm),
    (Get, "/access/domains/{realm}", realm),
    (Put, "/access/domains/{realm}", change_realm),
    (Delete, "/access/domains/{realm}", remove_realm),
];

/// The realms that need no entry in `domains.cfg`.
const BROUGHT: &[(&str, &str)] =
    &[("pam", "Linux PAM standard authentication"), ("pve", "Proxmox VE authentication server")];

/// No provider stands behind a realm of this cluster.
fn openid(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let realm = call.need("realm");
    let kind = match call.estate.sections("domains.cfg").find(&realm) {
        Some(section) => section.kind.clone(),
        None if BROUGHT.iter().any(|(brought, _)| *brought == realm) => realm,
        None => return Err(Refusal::die(format!("authentication domain '{realm}' does not exist"))),
    };
    if kind != "openid" {
        return Err(Refusal::die(format!("wrong realm type ({kind} != openid)")));
    }
    Err(Refusal::die("OpenID discovery failed: the provider does not answer"))
}

fn permissions(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let who = call.get("userid").unwrap_or(call.who).to_owned();
    let own = who == call.who
        || call.who.split('!').next() == Some(&who)
        || who.split('!').next() == Some(call.who);
    if !own {
        call.caller().need("/access", &["Sys.Audit"])?;
    }
    let access = call.estate.access();
    let paths: Vec<String> = match call.get("path") {
        Some(path) => vec![path.to_owned()],
        None => {
            let tops =
                ["/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms", "/mapping"];
            let pools = access.pools.values().flat_map(|pool| {
                let vms = pool.vms.iter().map(|vmid| format!("/vms/{vmid}"));
                vms.chain(pool.storages.iter().map(|storage| format!("/storage/{storage}")))
            });
            let mut paths: Vec<String> = tops.map(str::to_owned).into();
            paths.extend(access.acl.keys().cloned());
            paths.extend(pools);
            paths.sort();
            paths.dedup();
            paths
        }
    };
    let asked = call.get("path").is_some();
    let rows: Map<String, Value> = paths
        .into_iter()
        .filter_map(|path| {
            let held = privileges(access, &who, &path);
            let held: Map<String, Value> =
                held.into_iter().map(|(name, below)| (name, json!(u8::from(below)))).collect();
            (asked || !held.is_empty()).then_some((path, Value::Object(held)))
        })
        .collect();
    Ok(Value::Object(rows).into())
}

fn realms(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let kept = call.estate.sections("domains.cfg");
    let mut rows: Vec<Value> = BROUGHT
        .iter()
        .filter(|(name, _)| kept.find(name).is_none())
        .map(|(name, comment)| json!({ "realm": name, "type": name, "comment": comment }))
        .collect();
    rows.extend(kept.list.iter().map(|section| {
        let mut row = json!({ "realm": section.id, "type": section.kind });
        for key in ["comment", "tfa"] {
            if let Some(value) = section.get(key) {
                row[key] = json!(value);
            }
        }
        if section.is_set("default") {
            row["default"] = json!(1);
        }
        row
    }));
    Ok(Value::Array(rows).into())
}

fn found(call: &Call<'_>) -> Result<Section, Refusal> {
    let name = call.need("realm");
    if let Some(section) = call.estate.sections("domains.cfg").find(&name) {
        return Ok(section.clone());
    }
    let brought = BROUGHT.iter().find(|(brought, _)| *brought == name);
    let (_, comment) = brought.ok_or_else(|| Refusal::die(format!("domain '{name}' does not exist")))?;
    Ok(Section::new(&name, &name, &[("comment", comment)]))
}

fn realm(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let section = found(call)?;
    let setter = call.shared.endpoint(Method::Post, "/access/domains");
    let mut row: Map<String, Value> = section
        .values
        .iter()
        .map(|(key, value)| {
            let parameter = setter.and_then(|endpoint| super::super::verify::declared(endpoint, key));
            (key.clone(), as_kind(parameter.map(|parameter| parameter.schema.kind), value))
        })
        .collect();
    row.insert("type".to_owned(), json!(section.kind));
    let plugin = match &*section.kind {
        "pam" => "PVE::Auth::PAM",
        "pve" => "PVE::Auth::PVE",
        "ad" => "PVE::Auth::AD",
        "openid" => "PVE::Auth::OpenId",
        _ => "PVE::Auth::LDAP",
    };
    row.insert("plugin".to_owned(), json!(plugin));
    row.insert("digest".to_owned(), json!(realms_digest(call)));
    Ok(Value::Object(row).into())
}

fn realms_digest(call: &Call<'_>) -> String {
    digest(call.estate.sections("domains.cfg").text().as_bytes())
}

fn create_realm(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = call.need("realm");
    if call.estate.sections("domains.cfg").find(&name).is_some()
        || BROUGHT.iter().any(|(brought, _)| *brought == name)
    {
        return Err(Refusal::die(format!("authentication domain '{name}' already exists")));
    }
    let mut section = Section { kind: call.need("type"), id: name, ..Section::default() };
    assign(call, &mut section);
    call.estate.sections_mut("domains.cfg").list.push(section);
    Ok(Reply::NULL)
}

fn change_realm(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    call.fresh(&realms_digest(call))?;
    let mut section = found(call)?;
    for key in call.list("delete") {
        section.values.shift_remove(&key);
    }
    assign(call, &mut section);
    let sections = call.estate.sections_mut("domains.cfg");
    sections.remove(&section.id);
    sections.list.push(section);
    Ok(Reply::NULL)
}

fn assign(call: &Call<'_>, section: &mut Section) {
    for (key, value) in &call.parameters {
        if !matches!(key.as_str(), "realm" | "type" | "delete" | "digest" | "password" | "check-connection") {
            section.values.insert(key.clone(), value.clone());
        }
    }
}

fn remove_realm(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = call.need("realm");
    if BROUGHT.iter().any(|(brought, _)| *brought == name) {
        return Err(Refusal::die(format!("unable to delete realm '{name}'")));
    }
    if !call.estate.sections_mut("domains.cfg").remove(&name) {
        return Err(Refusal::die(format!("authentication domain '{name}' does not exist")));
    }
    Ok(Reply::NULL)
}
