//! What lies on a Backup Server, as its API lists it to the role: namespaces, groups, backups, jobs.
//!
//! Groups come with their count and the newest of them, so a whole datastore costs one call for each namespace; backups are only
//! listed for one group.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use super::{many, when};
use crate::catalog::Method;
use crate::plan::Request;
use crate::plan::eyes::{Eyes, Seen};
use crate::plan::fields::{text, truth};

/// Backups or owners that one line names; the rest are counted.
pub const NAMED: usize = 5;
/// Namespaces whose groups are listed for one change.
const MOST_NAMESPACES: usize = 64;

/// All backups of one machine in one namespace.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    pub store: String,
    /// "" is the root.
    pub ns: String,
    /// `vm`, `ct` or `host`.
    pub kind: String,
    pub id: String,
    pub owner: String,
    pub count: usize,
    /// Of the newest, in seconds since 1970.
    pub newest: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Backup {
    pub time: i64,
    pub owner: String,
    pub protected: bool,
}

impl Group {
    /// `backup group tank:team/vm/105`
    pub fn object(&self) -> String {
        format!("backup group {}", place(&self.store, &self.ns, &format!("{}/{}", self.kind, self.id)))
    }

    /// "3 backups of bob@pbs, the newest of 2026-…"
    pub fn told(&self) -> String {
        let newest = self.newest.map(|time| format!(", the newest of {}", when(time))).unwrap_or_default();
        format!("{} of {}{newest}", many(self.count, "backup"), self.owner)
    }
}

/// `tank:team/vm/105`; of the root namespace `tank:vm/105`; of a whole namespace `tank:team`.
pub fn place(store: &str, ns: &str, leaf: &str) -> String {
    let within: Vec<&str> = [ns, leaf].into_iter().filter(|part| !part.is_empty()).collect();
    match within.is_empty() {
        true => store.to_owned(),
        false => format!("{store}:{}", within.join("/")),
    }
}

/// "24 backups in 4 groups (21 of alice@pbs!pve, 3 of bob@pbs!team)"
pub fn summed(groups: &[Group]) -> String {
    let mut of: BTreeMap<&str, usize> = BTreeMap::new();
    groups.iter().for_each(|group| *of.entry(&group.owner).or_default() += group.count);
    let all = of.values().sum();
    let owners: Vec<String> =
        of.iter().take(NAMED).map(|(owner, count)| format!("{count} of {owner}")).collect();
    let more = match of.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and those of {more} more"),
    };
    match groups.len() {
        0 => "no backup that the agent's token is shown".to_owned(),
        count => format!("{} in {} ({}{more})", many(all, "backup"), many(count, "group"), owners.join(", ")),
    }
}

pub struct Shelf<'a> {
    pub eyes: &'a Eyes,
    pub request: &'a Request,
    unseen: Mutex<Vec<String>>,
}

impl<'a> Shelf<'a> {
    pub fn new(eyes: &'a Eyes, request: &'a Request) -> Self {
        Self { eyes, request, unseen: Mutex::default() }
    }

    pub fn unseen(self) -> Vec<String> {
        self.unseen.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn not_seen(&self, what: impl Into<String>) {
        let what = what.into();
        let mut unseen = self.unseen.lock().unwrap_or_else(PoisonError::into_inner);
        if !unseen.contains(&what) {
            unseen.push(what);
        }
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.request.text(name)
    }

    pub fn flag(&self, name: &str) -> bool {
        self.request.flag(name)
    }

    pub fn is_off(&self, name: &str) -> bool {
        self.request.args.get(name).is_some_and(|value| truth(value) == Some(false))
    }

    /// The datastore of the call.
    pub fn store(&self) -> String {
        self.text("store").or_else(|| self.text("name")).unwrap_or_default()
    }

    /// A GET; what could not be had is said, under this name.
    pub async fn get(
        &self,
        what: &str,
        template: &str,
        named: &[(&str, &str)],
        query: &[(&str, &str)],
    ) -> Option<Value> {
        let named: Map<String, Value> =
            named.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        match self.eyes.look(template, &named, query).await {
            Ok(Seen::There(value)) => Some(value),
            Ok(Seen::Missing(why) | Seen::Hidden(why)) => {
                self.not_seen(format!("{what} could not be read: {why}"));
                None
            }
            Err(error) => {
                self.not_seen(format!("{what} could not be read: {error}"));
                None
            }
        }
    }

    pub async fn rows(
        &self,
        what: &str,
        template: &str,
        named: &[(&str, &str)],
        query: &[(&str, &str)],
    ) -> Vec<Value> {
        match self.get(what, template, named, query).await {
            Some(Value::Array(rows)) => rows,
            _ => Vec::new(),
        }
    }

    /// Of both directions: where nothing is said, the server lists those that fetch. An older one has no others, and does
    /// not know the word.
    pub async fn sync_jobs(&self) -> Vec<Value> {
        const LIST: &str = "/config/sync";
        let list = self.eyes.catalog.template(Method::Get, LIST);
        let knows = list.is_some_and(|list| list.parameter("sync-direction").is_some());
        let both: &[_] = if knows { &[("sync-direction", "all")] } else { &[] };
        self.rows("the sync jobs", LIST, &[], both).await
    }

    /// Whether the server lists this namespace to the role.
    pub async fn lists(&self, store: &str, ns: &str) -> bool {
        let query: &[(&str, &str)] = if ns.is_empty() { &[] } else { &[("parent", ns)] };
        let what = format!("the namespaces of {store}");
        let rows = self.rows(&what, "/admin/datastore/{store}/namespace", &[("store", store)], query).await;
        let there = rows.iter().any(|row| word(row, "ns") == ns);
        if !there {
            let namespace = place(store, ns, "");
            self.not_seen(format!(
                "namespace {namespace} is none of those that the server lists to the agent's token"
            ));
        }
        there
    }

    /// `ns` and what lies below it, so many levels deep at most.
    async fn namespaces(&self, store: &str, ns: &str, depth: Option<u64>) -> Vec<String> {
        let depth = depth.map(|depth| depth.to_string());
        let mut query = Vec::new();
        if !ns.is_empty() {
            query.push(("parent", ns));
        }
        if let Some(depth) = &depth {
            query.push(("max-depth", depth.as_str()));
        }
        let what = format!("the namespaces of {store}");
        let rows = self.rows(&what, "/admin/datastore/{store}/namespace", &[("store", store)], &query).await;
        let mut all: Vec<String> = rows.iter().map(|row| word(row, "ns")).collect();
        if !all.iter().any(|known| known == ns) {
            all.push(ns.to_owned());
        }
        all.sort();
        all.dedup();
        if all.len() > MOST_NAMESPACES {
            let more = all.len() - MOST_NAMESPACES;
            self.not_seen(format!(
                "the groups of {} more of {store} were not listed",
                many(more, "namespace")
            ));
            all.truncate(MOST_NAMESPACES);
        }
        all
    }

    /// The groups in `ns` and, so many levels deep at most, below it.
    pub async fn groups(&self, store: &str, ns: &str, depth: Option<u64>) -> Vec<Group> {
        let mut groups = Vec::new();
        for ns in self.namespaces(store, ns, depth).await {
            groups.extend(self.groups_in(store, &ns).await);
        }
        groups
    }

    pub async fn groups_in(&self, store: &str, ns: &str) -> Vec<Group> {
        let query: &[(&str, &str)] = if ns.is_empty() { &[] } else { &[("ns", ns)] };
        let what = format!("the groups of {}", place(store, ns, ""));
        let rows = self.rows(&what, "/admin/datastore/{store}/groups", &[("store", store)], query).await;
        rows.iter()
            .map(|row| Group {
                store: store.to_owned(),
                ns: ns.to_owned(),
                kind: word(row, "backup-type"),
                id: word(row, "backup-id"),
                owner: owner(row),
                count: number(row, "backup-count").and_then(|count| count.try_into().ok()).unwrap_or(0),
                newest: number(row, "last-backup").filter(|time| *time > 0),
            })
            .collect()
    }

    /// The group that the call names.
    pub async fn named_group(&self) -> Option<Group> {
        let (store, ns) = (self.store(), self.text("ns").unwrap_or_default());
        let (kind, id) = (self.text("backup-type")?, self.text("backup-id")?);
        let groups = self.groups_in(&store, &ns).await;
        let found = groups.into_iter().find(|group| group.kind == kind && group.id == id);
        if found.is_none() {
            let group = place(&store, &ns, &format!("{kind}/{id}"));
            self.not_seen(format!(
                "backup group {group} is none of those that the server lists to the agent's token"
            ));
        }
        found
    }

    pub async fn backups(&self, group: &Group) -> Vec<Backup> {
        let mut query = vec![("backup-type", group.kind.as_str()), ("backup-id", group.id.as_str())];
        if !group.ns.is_empty() {
            query.push(("ns", &group.ns));
        }
        let what = format!("the backups of {}", group.object());
        let store = [("store", group.store.as_str())];
        let rows = self.rows(&what, "/admin/datastore/{store}/snapshots", &store, &query).await;
        rows.iter()
            .filter_map(|row| {
                Some(Backup {
                    time: number(row, "backup-time")?,
                    owner: owner(row),
                    protected: row.get("protected").is_some_and(|value| truth(value) == Some(true)),
                })
            })
            .collect()
    }

    /// Every datastore that the role sees.
    pub async fn stores(&self) -> Vec<String> {
        let rows = self.rows("the datastores", "/admin/datastore", &[], &[]).await;
        rows.iter().map(|row| word(row, "store")).filter(|store| !store.is_empty()).collect()
    }
}

pub fn word(row: &Value, name: &str) -> String {
    row.get(name).map(text).unwrap_or_default()
}

pub fn number(row: &Value, name: &str) -> Option<i64> {
    row.get(name).and_then(|value| value.as_i64().or_else(|| text(value).parse().ok()))
}

fn owner(row: &Value) -> String {
    match word(row, "owner") {
        nobody if nobody.is_empty() => "nobody that the server names".to_owned(),
        owner => owner,
    }
}
