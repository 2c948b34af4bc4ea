//! Users, tokens and rights of the simulated server. A token has what it is given and what its user has, both.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::state::Right;
use super::{Answered, Call, Refusal, Server, no};

/// What the roles hold, of the privileges that are asked for here.
const ROLES: [(&str, &[&str]); 8] = [
    (
        "Admin",
        &[
            "Sys.Audit",
            "Sys.Modify",
            "Sys.PowerManagement",
            "Permissions.Modify",
            "Datastore.Allocate",
            "Datastore.Audit",
            "Datastore.Backup",
            "Datastore.Modify",
            "Datastore.Prune",
            "Datastore.Read",
            "Datastore.Verify",
            "Remote.Audit",
            "Remote.Modify",
        ],
    ),
    ("Audit", &["Sys.Audit", "Datastore.Audit", "Remote.Audit"]),
    ("NoAccess", &[]),
    (
        "DatastoreAdmin",
        &[
            "Datastore.Allocate",
            "Datastore.Audit",
            "Datastore.Backup",
            "Datastore.Modify",
            "Datastore.Prune",
            "Datastore.Read",
            "Datastore.Verify",
        ],
    ),
    ("DatastoreAudit", &["Datastore.Audit"]),
    ("DatastoreReader", &["Datastore.Audit", "Datastore.Read"]),
    ("DatastoreBackup", &["Datastore.Backup"]),
    ("DatastorePowerUser", &["Datastore.Backup", "Datastore.Prune"]),
];

impl Server {
    pub(super) fn is_active(&self, who: &str) -> bool {
        let off = |fields: &Map<String, Value>| fields.get("enable").is_some_and(is_no);
        let user = who.split('!').next().unwrap_or_default();
        self.users.get(user).is_some_and(|fields| !off(fields))
            && self.tokens.get(who).is_none_or(|(fields, _)| !off(fields))
    }

    /// The rights that hold on a path: those given nearest to it stand in the place of those above.
    fn given(&self, who: &str, path: &str) -> BTreeSet<&'static str> {
        if who == "root@pam" {
            return ROLES[0].1.iter().copied().collect();
        }
        let mut at = path;
        loop {
            let here = self.rights.iter().filter(|right| {
                right.who == who && right.path.trim_end_matches('/') == at && (right.propagate || at == path)
            });
            let roles: Vec<&Right> = here.collect();
            if !roles.is_empty() {
                let of = |right: &&Right| {
                    ROLES.iter().find(|(name, _)| *name == right.role).map(|(_, held)| *held)
                };
                return roles.iter().filter_map(of).flatten().copied().collect();
            }
            match at.rsplit_once('/') {
                Some((above, _)) => at = above,
                None => return BTreeSet::new(),
            }
        }
    }

    pub(super) fn has(&self, who: &str, path: &str, right: &str) -> bool {
        let own = self.given(who, path).contains(right);
        match who.split_once('!') {
            Some((user, _)) => own && self.given(user, path).contains(right),
            None => own,
        }
    }

    pub(super) fn may(&self, call: &Call<'_>, path: &[&str], right: &str) -> Result<(), Refusal> {
        match self.has(&call.who, &format!("/{}", path.join("/")), right) {
            true => Ok(()),
            false => Err(Refusal(403, "permission check failed".to_owned())),
        }
    }

    /// In the namespace of the call.
    pub(super) fn may_in(&self, call: &Call<'_>, right: &str) -> Result<(), Refusal> {
        let (store, ns) = (call.text("store"), call.text("ns"));
        let mut path = vec!["datastore", &store];
        path.extend(ns.split('/').filter(|part| !part.is_empty()));
        self.may(call, &path, right)
    }

    pub(super) fn user_list(&self, call: &Call<'_>) -> Value {
        let all = self.has(&call.who, "/access/users", "Sys.Audit");
        let seen =
            self.users.iter().filter(|(name, _)| all || call.who.split('!').next() == Some(name.as_str()));
        let row = |(name, fields): (&String, &Map<String, Value>)| {
            let mut row = fields.clone();
            row.insert("userid".to_owned(), name.as_str().into());
            if call.flag("include_tokens") == Some(true) {
                row.insert("tokens".to_owned(), self.token_list(name));
            }
            Value::from(row)
        };
        seen.map(row).collect()
    }

    pub(super) fn user_row(&self, user: &str) -> Answered {
        match self.users.get(user) {
            Some(fields) => Ok(fields.clone().into()),
            None => no(format!("no such user '{user}'")),
        }
    }

    pub(super) fn token_list(&self, user: &str) -> Value {
        let of = self.tokens.iter().filter_map(|(id, (fields, _))| {
            let name = id.strip_prefix(user)?.strip_prefix('!')?;
            let mut row = fields.clone();
            row.insert("token-name".to_owned(), name.into());
            row.insert("tokenid".to_owned(), id.as_str().into());
            Some(Value::from(row))
        });
        of.collect()
    }

    pub(super) fn token_row(&self, call: &Call<'_>) -> Answered {
        let id = token_id(call);
        match self.tokens.get(&id) {
            Some((fields, _)) => Ok(fields.clone().into()),
            None => no(format!("no such token '{id}'")),
        }
    }

    pub(super) fn right_list(&self, call: &Call<'_>) -> Value {
        let all = self.has(&call.who, "/access/acl", "Sys.Audit");
        let seen = self
            .rights
            .iter()
            .filter(|right| all || right.who.starts_with(call.who.split('!').next().unwrap_or("?")));
        let row = |right: &Right| {
            let kind = if right.who.contains('@') { "user" } else { "group" };
            json!({ "path": right.path, "ugid": right.who, "ugid_type": kind, "roleid": right.role, "propagate": right.propagate })
        };
        seen.map(row).collect()
    }

    pub(super) fn permissions(&self, call: &Call<'_>) -> Value {
        let who = call.given("auth-id").unwrap_or_else(|| call.who.clone());
        let mut paths: BTreeSet<String> = self.rights.iter().map(|right| right.path.clone()).collect();
        paths.extend(call.given("path"));
        let held = |path: &String| {
            let rights: Map<String, Value> = ROLES[0]
                .1
                .iter()
                .filter(|right| self.has(&who, path, right))
                .map(|right| ((*right).to_owned(), 1.into()))
                .collect();
            (path.clone(), Value::from(rights))
        };
        Value::from(paths.iter().map(held).collect::<Map<String, Value>>())
    }

    pub(super) fn change_people(&mut self, call: &Call<'_>) -> Option<Answered> {
        let done = |server: &mut Self| {
            Some(match (call.method.name(), call.template) {
                ("PUT", "/access/acl") => server.change_right(call),
                ("POST", "/access/users") => {
                    let user = call.text("userid");
                    if server.users.contains_key(&user) {
                        return Some(no(format!("user '{user}' already exists.")));
                    }
                    server.users.insert(user, fields(call, &["userid", "password"]));
                    Ok(Value::Null)
                }
                ("PUT", "/access/users/{userid}") => match server.users.get_mut(&call.text("userid")) {
                    Some(user) => {
                        set(user, call, &["userid", "password"]);
                        Ok(Value::Null)
                    }
                    None => no(format!("no such user '{}'", call.text("userid"))),
                },
                ("DELETE", "/access/users/{userid}") => {
                    let user = call.text("userid");
                    if server.users.remove(&user).is_none() {
                        return Some(no(format!("user '{user}' does not exist.")));
                    }
                    let is_theirs = |who: &str| who == user || who.starts_with(&format!("{user}!"));
                    server.tokens.retain(|id, _| !is_theirs(id));
                    server.rights.retain(|right| !is_theirs(&right.who));
                    Ok(Value::Null)
                }
                ("POST", "/access/users/{userid}/token/{token-name}") => {
                    let id = token_id(call);
                    if server.tokens.contains_key(&id) {
                        return Some(no(format!(
                            "token '{}' for user '{}' already exists.",
                            call.text("token-name"),
                            call.text("userid")
                        )));
                    }
                    let secret = format!("44444444-5555-4666-8777-{:012}", server.tokens.len());
                    server
                        .tokens
                        .insert(id.clone(), (fields(call, &["userid", "token-name"]), secret.clone()));
                    Ok(json!({ "tokenid": id, "value": secret }))
                }
                ("PUT", "/access/users/{userid}/token/{token-name}") => {
                    let next = server.tokens.len();
                    match server.tokens.get_mut(&token_id(call)) {
                        None => no(format!("no such token '{}'", token_id(call))),
                        Some((fields, secret)) => {
                            set(fields, call, &["userid", "token-name", "regenerate"]);
                            if call.flag("regenerate") == Some(true) {
                                *secret = format!("55555555-6666-4777-8888-{next:012}");
                                return Some(Ok(json!({ "secret": secret })));
                            }
                            Ok(Value::Null)
                        }
                    }
                }
                ("DELETE", "/access/users/{userid}/token/{token-name}") => {
                    let id = token_id(call);
                    server.rights.retain(|right| right.who != id);
                    match server.tokens.remove(&id) {
                        Some(_) => Ok(Value::Null),
                        None => no(format!("token '{id}' does not exist.")),
                    }
                }
                _ => return None,
            })
        };
        if !call.template.starts_with("/access/") {
            return None;
        }
        if let Err(refused) = self.may(call, &["access"], "Permissions.Modify") {
            return Some(Err(refused));
        }
        done(self)
    }

    fn change_right(&mut self, call: &Call<'_>) -> Answered {
        let who = call.given("auth-id").or_else(|| call.given("group")).unwrap_or_default();
        let (path, role) = (call.text("path"), call.text("role"));
        if !ROLES.iter().any(|(name, _)| *name == role) {
            return no("parameter verification failed - 'role': value is not defined in the enumeration.");
        }
        self.rights.retain(|right| !(right.who == who && right.path == path && right.role == role));
        if call.flag("delete") != Some(true) {
            let propagate = call.flag("propagate") != Some(false);
            self.rights.push(Right { path, who, role, propagate });
        }
        Ok(Value::Null)
    }
}

fn token_id(call: &Call<'_>) -> String {
    format!("{}!{}", call.text("userid"), call.text("token-name"))
}

fn is_no(value: &Value) -> bool {
    match value {
        Value::Bool(yes) => !yes,
        Value::String(text) => ["0", "false", "no", "off"].contains(&text.as_str()),
        other => other == &json!(0),
    }
}

/// What was given, but for what is no field.
pub(super) fn fields(call: &Call<'_>, but: &[&str]) -> Map<String, Value> {
    let mut fields = Map::new();
    set(&mut fields, call, but);
    fields
}

pub(super) fn set(fields: &mut Map<String, Value>, call: &Call<'_>, but: &[&str]) {
    let names: Vec<String> = match call.args.get("delete") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => call.text("delete").split([',', ' ', ';']).map(str::to_owned).collect(),
    };
    names.iter().for_each(|name| drop(fields.remove(name)));
    for (name, value) in &call.args {
        if !["digest", "delete"].contains(&name.as_str()) && !but.contains(&name.as_str()) {
            fields.insert(name.clone(), value.clone());
        }
    }
}
