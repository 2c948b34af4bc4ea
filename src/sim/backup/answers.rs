//! What the simulated server answers to GETs.

use serde_json::{Map, Value, json};

use super::state::{Group, Store};
use super::{Answered, Call, Refusal, Server, no};

impl Server {
    pub(super) fn read(&self, call: &Call<'_>) -> Answered {
        if let Some(planted) = self.planted.get(call.template) {
            return Ok(planted.clone());
        }
        match call.template {
            "/version" => Ok(json!({ "release": "1", "repoid": "0000000000000000", "version": "4.1" })),
            "/ping" => Ok(json!({ "pong": true })),
            "/nodes" => Ok(json!([{ "node": self.node }])),
            "/access/users" => Ok(self.user_list(call)),
            "/access/users/{userid}" => self.user_row(&call.text("userid")),
            "/access/users/{userid}/token" => Ok(self.token_list(&call.text("userid"))),
            "/access/users/{userid}/token/{token-name}" => self.token_row(call),
            "/access/acl" => Ok(self.right_list(call)),
            "/access/permissions" => Ok(self.permissions(call)),
            "/config/datastore" | "/admin/datastore" | "/status/datastore-usage" => Ok(self.store_list(call)),
            "/config/datastore/{name}" => {
                let name = call.text("name");
                self.may(call, &["datastore", &name], "Datastore.Audit")?;
                let mut row = self.store(&name)?.config.clone();
                row.insert("name".to_owned(), name.into());
                Ok(row.into())
            }
            "/admin/datastore/{store}/status" => {
                self.audits(call)?;
                Ok(json!({ "total": 1_u64 << 40, "used": 1_u64 << 38, "avail": 3 * (1_u64 << 38) }))
            }
            "/admin/datastore/{store}/gc" | "/admin/gc/{store}" => {
                let store = self.audits(call)?;
                Ok(json!({
                    "store": call.text("store"), "pending-bytes": store.pending, "removed-bytes": store.removed,
                    "removed-bad": 0, "still-bad": 0,
                }))
            }
            "/admin/datastore/{store}/namespace" => self.namespaces(call),
            "/admin/datastore/{store}/groups" => self.groups(call),
            "/admin/datastore/{store}/snapshots" => self.snapshots(call),
            "/admin/datastore/{store}/protected" => {
                Ok(self.group(call)?.backups.get(&time(call)?).is_some_and(|backup| backup.protected).into())
            }
            "/admin/datastore/{store}/notes" => {
                let backup = self.group(call)?.backups.get(&time(call)?);
                Ok(backup.map(|backup| backup.notes.clone()).unwrap_or_default().into())
            }
            "/admin/datastore/{store}/group-notes" => Ok(self.group(call)?.notes.clone().into()),
            "/nodes/{node}/tasks" => Ok(self.task_list(call)),
            "/nodes/{node}/tasks/{upid}/status" => self.task_status(call),
            "/nodes/{node}/tasks/{upid}/log" => self.task_log(call),
            "/nodes/{node}/status" => Ok(json!({ "uptime": 3600, "cpu": 0.01, "loadavg": [0.1, 0.1, 0.1] })),
            "/config/tape-backup-job" => Ok(json!([])),
            template => match super::changes::section(template) {
                Some((kind, None)) => Ok(self.section_list(kind, call)),
                Some((kind, Some(key))) => self.section_row(kind, &call.text(key)),
                None => no(format!("the simulated server has nothing at {template}")),
            },
        }
    }

    pub(super) fn store(&self, name: &str) -> Result<&Store, Refusal> {
        self.stores.get(name).ok_or_else(|| Refusal(400, format!("no such datastore '{name}'")))
    }

    /// The datastore of a call by somebody who may look at it.
    fn audits(&self, call: &Call<'_>) -> Result<&Store, Refusal> {
        let store = call.text("store");
        self.may(call, &["datastore", &store], "Datastore.Audit")?;
        self.store(&store)
    }

    fn store_list(&self, call: &Call<'_>) -> Value {
        let seen = self.stores.iter().filter(|(name, store)| {
            store.namespaces.keys().any(|ns| {
                self.has(&call.who, &path_of(name, ns), "Datastore.Audit")
                    || self.has(&call.who, &path_of(name, ns), "Datastore.Backup")
            })
        });
        let row = |(name, store): (&String, &Store)| {
            let mut row = store.config.clone();
            let key = if call.template.starts_with("/config") { "name" } else { "store" };
            row.insert(key.to_owned(), name.as_str().into());
            Value::from(row)
        };
        seen.map(row).collect()
    }

    fn namespaces(&self, call: &Call<'_>) -> Answered {
        let (name, parent) = (call.text("store"), call.text("parent"));
        let depth = call.number("max-depth").unwrap_or(7) as usize;
        let store = self.store(&name)?;
        let below = |ns: &&String| match parent.is_empty() {
            true => level(ns) <= depth,
            false => {
                **ns == parent
                    || ns.strip_prefix(&format!("{parent}/")).is_some_and(|rest| level(rest) <= depth)
            }
        };
        let seen = |ns: &&String| {
            ["Datastore.Audit", "Datastore.Backup"]
                .iter()
                .any(|right| self.has(&call.who, &path_of(&name, ns), right))
        };
        Ok(store.namespaces.keys().filter(below).filter(seen).map(|ns| json!({ "ns": ns })).collect())
    }

    fn groups(&self, call: &Call<'_>) -> Answered {
        let (store, ns) = (call.text("store"), call.text("ns"));
        let all = self.has(&call.who, &path_of(&store, &ns), "Datastore.Audit");
        if !all {
            self.may_in(call, "Datastore.Backup")?;
        }
        let groups = self.namespace(call)?.iter().filter(|(_, group)| all || owns(&call.who, &group.owner));
        let row = |((kind, id), group): (&(String, String), &Group)| {
            let mut row = json!({
                "backup-type": kind, "backup-id": id, "owner": group.owner, "backup-count": group.backups.len(),
                "last-backup": group.backups.keys().last().copied().unwrap_or(0), "files": ["index.json.blob"],
            });
            // The first line of the notes.
            if let Some(line) = group.notes.lines().next() {
                row["comment"] = line.into();
            }
            row
        };
        Ok(groups.map(row).collect())
    }

    fn snapshots(&self, call: &Call<'_>) -> Answered {
        let (store, ns) = (call.text("store"), call.text("ns"));
        let all = self.has(&call.who, &path_of(&store, &ns), "Datastore.Audit");
        if !all {
            self.may_in(call, "Datastore.Backup")?;
        }
        let asked = |name: &str, is: &str| call.given(name).is_none_or(|given| given == is);
        let mut rows = Vec::new();
        for ((kind, id), group) in self.namespace(call)? {
            if !asked("backup-type", kind)
                || !asked("backup-id", id)
                || !(all || owns(&call.who, &group.owner))
            {
                continue;
            }
            for (time, backup) in group.backups.iter().rev() {
                let mut row = Map::from_iter([
                    ("backup-type".to_owned(), kind.as_str().into()),
                    ("backup-id".to_owned(), id.as_str().into()),
                    ("backup-time".to_owned(), (*time).into()),
                    ("owner".to_owned(), group.owner.as_str().into()),
                    ("size".to_owned(), backup.size.into()),
                    ("protected".to_owned(), backup.protected.into()),
                    ("files".to_owned(), json!([{ "filename": "index.json.blob" }])),
                ]);
                if !backup.notes.is_empty() {
                    row.insert("comment".to_owned(), backup.notes.as_str().into());
                }
                if let Some(state) = backup.verified {
                    row.insert("verification".to_owned(), json!({ "state": state }));
                }
                rows.push(Value::from(row));
            }
        }
        Ok(rows.into())
    }

    fn namespace(
        &self,
        call: &Call<'_>,
    ) -> Result<&std::collections::BTreeMap<(String, String), Group>, Refusal> {
        let ns = call.text("ns");
        let found = self.store(&call.text("store"))?.namespaces.get(&ns);
        found.ok_or_else(|| Refusal(400, format!("namespace '{ns}' does not exist")))
    }

    pub(super) fn group(&self, call: &Call<'_>) -> Result<&Group, Refusal> {
        let key = (call.text("backup-type"), call.text("backup-id"));
        let found = self.namespace(call)?.get(&key);
        let group = found.ok_or_else(|| Refusal(400, format!("group {}/{} does not exist", key.0, key.1)))?;
        let (store, ns) = (call.text("store"), call.text("ns"));
        let all = self.has(&call.who, &path_of(&store, &ns), "Datastore.Modify")
            || call.method == crate::catalog::Method::Get
                && self.has(&call.who, &path_of(&store, &ns), "Datastore.Audit");
        match all || owns(&call.who, &group.owner) {
            true => Ok(group),
            false => {
                Err(Refusal(403, "permission check failed - missing privileges or backup owner".to_owned()))
            }
        }
    }
}

/// The user that a token is of owns what the token does.
fn owns(who: &str, owner: &str) -> bool {
    who == owner || who.split('!').next() == Some(owner)
}

pub(super) fn path_of(store: &str, ns: &str) -> String {
    if ns.is_empty() { format!("/datastore/{store}") } else { format!("/datastore/{store}/{ns}") }
}

pub(super) fn time(call: &Call<'_>) -> Result<i64, Refusal> {
    call.number("backup-time").ok_or_else(|| {
        Refusal(400, "parameter verification failed - 'backup-time': value is not an integer".to_owned())
    })
}

fn level(ns: &str) -> usize {
    if ns.is_empty() { 0 } else { ns.split('/').count() }
}
