//! What a simulated Backup Server holds.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::tasks::Task;

#[derive(Debug, Clone, Default)]
pub struct Server {
    pub node: String,
    pub stores: BTreeMap<String, Store>,
    /// By kind (`prune`, `sync`, `verify`, `remote`), then by id.
    pub sections: BTreeMap<&'static str, BTreeMap<String, Map<String, Value>>>,
    pub users: BTreeMap<String, Map<String, Value>>,
    /// `user@realm!token`, its fields and its secret.
    pub tokens: BTreeMap<String, (Map<String, Value>, String)>,
    pub rights: Vec<Right>,
    /// What a GET of this path template gives in place of what it would: for what is not simulated.
    pub planted: BTreeMap<String, Value>,
    pub(super) tasks: Vec<Task>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Right {
    pub path: String,
    pub who: String,
    pub role: String,
    pub propagate: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Store {
    /// `path`, `comment`, `gc-schedule` and the like.
    pub config: Map<String, Value>,
    /// The root's name is "".
    pub namespaces: BTreeMap<String, BTreeMap<(String, String), Group>>,
    /// Bytes of chunks that no backup names.
    pub pending: u64,
    pub removed: u64,
}

#[derive(Debug, Clone, Default)]
pub struct Group {
    pub owner: String,
    pub notes: String,
    /// By time.
    pub backups: BTreeMap<i64, Backup>,
}

#[derive(Debug, Clone, Default)]
pub struct Backup {
    pub size: u64,
    pub protected: bool,
    pub notes: String,
    /// `ok` or `failed`.
    pub verified: Option<&'static str>,
}

pub const DAY: i64 = 86_400;
/// 2026-10-01T02:00:00Z, the newest backup of the demo.
pub const NEWEST: i64 = 1_790_820_000;

pub fn object(pairs: &[(&str, &str)]) -> Map<String, Value> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect()
}

impl Server {
    /// Two datastores: `tank` with a namespace `team`, and `archive` that is synchronised from it.
    pub fn demo() -> Self {
        Self::saved_until(NEWEST)
    }

    /// The same, whose newest backups are of this time.
    pub fn saved_until(newest: i64) -> Self {
        let mut server = Self { node: "pbs1".to_owned(), ..Self::default() };
        for (user, comment) in [
            ("root@pam", "superuser"),
            ("alice@pbs", "runs the cluster"),
            ("bob@pbs", "runs the team's machines"),
        ] {
            server.users.insert(user.to_owned(), object(&[("comment", comment)]));
        }
        for (token, secret) in [
            (super::ROOT_TOKEN, "11111111-2222-4333-8444-555555555555"),
            ("alice@pbs!pve", "22222222-3333-4444-8555-666666666666"),
            ("bob@pbs!team", "33333333-4444-4555-8666-777777777777"),
        ] {
            server.tokens.insert(token.to_owned(), (Map::new(), secret.to_owned()));
        }
        for (path, who, role) in [
            ("/", super::ROOT_TOKEN, "Admin"),
            ("/datastore/tank", "alice@pbs", "DatastoreBackup"),
            ("/datastore/tank", "alice@pbs!pve", "DatastoreBackup"),
            ("/datastore/tank/team", "bob@pbs", "DatastorePowerUser"),
            ("/datastore/tank/team", "bob@pbs!team", "DatastorePowerUser"),
        ] {
            let (path, who, role) = (path.to_owned(), who.to_owned(), role.to_owned());
            server.rights.push(Right { path, who, role, propagate: true });
        }
        let group = |owner: &str, days: i64| Group {
            owner: owner.to_owned(),
            notes: String::new(),
            backups: (0..days)
                .map(|ago| (newest - ago * DAY, Backup { size: 4 << 30, ..Backup::default() }))
                .collect(),
        };
        let named = |kind: &str, id: &str| (kind.to_owned(), id.to_owned());
        let mut tank = Store { config: object(&[("path", "/mnt/tank")]), ..Store::default() };
        tank.namespaces.insert(
            String::new(),
            BTreeMap::from([
                (named("vm", "104"), group("alice@pbs!pve", 14)),
                (named("ct", "101"), group("alice@pbs!pve", 7)),
                (named("host", "pbs1"), group("root@pam", 1)),
            ]),
        );
        tank.namespaces
            .insert("team".to_owned(), BTreeMap::from([(named("vm", "120"), group("bob@pbs!team", 3))]));
        tank.namespaces.insert("team/old".to_owned(), BTreeMap::new());
        let mut archive = Store { config: object(&[("path", "/mnt/archive")]), ..Store::default() };
        archive
            .namespaces
            .insert(String::new(), BTreeMap::from([(named("vm", "104"), group("root@pam", 30))]));
        server.stores = BTreeMap::from([("archive".to_owned(), archive), ("tank".to_owned(), tank)]);
        let job = |pairs: &[(&str, &str)]| object(pairs);
        server.sections = BTreeMap::from([
            (
                "prune",
                BTreeMap::from([(
                    "nightly".to_owned(),
                    job(&[("store", "tank"), ("schedule", "daily"), ("keep-last", "3")]),
                )]),
            ),
            (
                "sync",
                BTreeMap::from([(
                    "offsite".to_owned(),
                    job(&[
                        ("store", "archive"),
                        ("remote", "far"),
                        ("remote-store", "tank"),
                        ("owner", "root@pam"),
                        ("remove-vanished", "true"),
                        ("schedule", "daily"),
                    ]),
                )]),
            ),
            (
                "verify",
                BTreeMap::from([("weekly".to_owned(), job(&[("store", "tank"), ("schedule", "weekly")]))]),
            ),
            (
                "remote",
                BTreeMap::from([("far".to_owned(), job(&[("host", "192.0.2.7"), ("auth-id", "sync@pbs")]))]),
            ),
        ]);
        server
    }

    pub fn secret(&self, token: &str) -> Option<&str> {
        self.tokens.get(token).map(|(_, secret)| secret.as_str())
    }
}
