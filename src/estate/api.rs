//! The estate from the API alone, where /etc/pve cannot be read: its answers, written as the files that they stand for.
//!
//! It is slower by an order and tells less: no counters, so that all is read each time; no firewalls of guests and nodes,
//! which would be five calls each. Both are said. A list that the token may not see whole comes back short and with
//! 200, so the token's own permissions are read first, and what they do not cover is a finding.

mod config;
mod lists;

use std::collections::BTreeMap;

use serde_json::Value;
use smol_str::SmolStr;

use super::finding::{Finding, What};
use super::guest::Kind;
use super::part::FILES;
use super::source::{Listed, Source, Stamp, Survey, Unread, is_node, sorted};

/// Why a GET gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// 401, 403
    Denied,
    /// PVE has no such path in this version, or no such object.
    Absent,
    Failed(String),
}

impl From<Refused> for Unread {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Denied => Self::Because(What::Denied),
            Refused::Absent => Self::Absent,
            Refused::Failed(why) => Self::Because(What::Failed(why.into())),
        }
    }
}

/// GETs a path with its query, and gives what stands under `data`. It is called from several threads, and waits.
pub trait Fetch: Send + Sync {
    /// # Errors
    ///
    /// When PVE does not answer with 200.
    fn get(&self, path: &str) -> Result<Value, Refused>;
}

impl<F: Fn(&str) -> Result<Value, Refused> + Send + Sync> Fetch for F {
    fn get(&self, path: &str) -> Result<Value, Refused> {
        self(path)
    }
}

pub struct Api<F> {
    fetch: F,
}

impl<F: Fetch> Api<F> {
    pub fn new(fetch: F) -> Self {
        Self { fetch }
    }

    fn rows(&self, path: &str) -> Result<Vec<Value>, Unread> {
        match self.fetch.get(path)? {
            Value::Array(rows) => Ok(rows),
            Value::Null => Ok(Vec::new()),
            _ => Err(malformed(path)),
        }
    }
}

fn malformed(path: &str) -> Unread {
    Unread::Because(What::Malformed(format!("the answer to GET {path}").into()))
}

/// `(what it shows, file, path, privilege)`: without it the answer is short, and does not say so.
const NEEDED: &[(&str, &str, &str)] = &[
    ("nodes/", "/vms", "VM.Audit"),
    ("storage.cfg", "/storage", "Datastore.Audit"),
    ("user.cfg", "/access", "Sys.Audit"),
    ("user.cfg", "/pool", "Pool.Audit"),
    ("jobs.cfg", "/", "Sys.Audit"),
    ("sdn/vnets.cfg", "/sdn", "SDN.Audit"),
    ("mapping/pci.cfg", "/mapping", "Mapping.Audit"),
];

/// The parts of which the token may see only some. `permissions` is `{"/vms": {"VM.Audit": 1}}`; a 0 does not
/// propagate.
fn short(permissions: &Value) -> Vec<Finding> {
    let Some(paths) = permissions.as_object() else { return vec![Finding::of("nodes", What::Denied)] };
    let holds = |path: &str, privilege: &str| {
        let held =
            |at: &str| paths.get(at).and_then(|all| all.get(privilege)).and_then(Value::as_u64) == Some(1);
        // What is not listed has what is above it.
        if paths.contains_key(path) { held(path) } else { held("/") }
    };
    let mut found = Vec::new();
    for (file, path, privilege) in NEEDED {
        let below = format!("{}/", path.trim_end_matches('/'));
        let taken = |(at, all): (&String, &Value)| {
            *path != "/" && at.starts_with(&below) && all.get(privilege).is_none()
        };
        if !holds(path, privilege) || paths.iter().any(taken) {
            found.push(Finding::of(file, What::Denied));
        }
    }
    found
}

impl<F: Fetch> Source for Api<F> {
    fn survey(&self, _last: Option<&Survey>) -> Survey {
        let mut survey = Survey::default();
        match self.fetch.get("/access/permissions") {
            Ok(permissions) => survey.findings = short(&permissions),
            Err(_) => survey.findings.push(Finding::of("nodes", What::Denied)),
        }
        match self.rows("/cluster/resources") {
            Ok(rows) => {
                survey.guests = sorted(rows.iter().filter_map(listed).collect());
                let of = |row: &Value| {
                    Some(SmolStr::from(row.get("node")?.as_str().filter(|_| row["type"] == "node")?))
                };
                survey.nodes = rows.iter().filter_map(of).collect();
                survey.nodes.sort_unstable();
            }
            Err(Unread::Because(what)) => survey.findings.push(Finding::of("nodes", what)),
            Err(Unread::Absent) => {
                survey.findings.push(Finding::of("nodes", What::Failed("is not there".into())))
            }
        }
        let none = What::Failed("the firewalls of guests and nodes are not read over the API".into());
        survey.findings.push(Finding::of("firewall", none));
        let asked = FILES.iter().filter(|(file, _)| *file != "vzdump.cron");
        survey.files =
            asked.map(|(file, _)| (SmolStr::new_static(file), Stamp::Unknown)).collect::<BTreeMap<_, _>>();
        survey
    }

    fn is_verbatim(&self) -> bool {
        false
    }

    fn read(&self, file: &str, into: &mut Vec<u8>) -> Result<(), Unread> {
        let text = match guest_of(file) {
            Some((node, kind, vmid)) => self.config(node, kind, vmid)?,
            None => self.file(file)?,
        };
        into.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

fn listed(row: &Value) -> Option<Listed> {
    let kind = Kind::from_name(row.get("type")?.as_str()?)?;
    let node = row.get("node")?.as_str().filter(|name| is_node(name))?;
    let vmid = row.get("vmid")?.as_u64()?.try_into().ok()?;
    Some(Listed { vmid, kind, node: node.into(), stamp: Stamp::Unknown })
}

/// `nodes/pve1/lxc/101.conf`
fn guest_of(file: &str) -> Option<(&str, Kind, u32)> {
    let mut parts = file.strip_prefix("nodes/")?.split('/');
    let (node, folder, name) = (parts.next()?, parts.next()?, parts.next()?);
    let kind = Kind::ALL.into_iter().find(|kind| kind.folder() == folder)?;
    Some((node, kind, name.strip_suffix(".conf")?.parse().ok()?))
}

/// A value in a line of its own. One that would be more than that is refused: it could say what PVE did not.
fn line(text: &mut String, before: &str, key: &str, between: &str, value: &Value) -> Result<(), Unread> {
    let value = match value {
        Value::String(value) => value.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(yes) => u8::from(*yes).to_string(),
        Value::Null => return Ok(()),
        Value::Array(_) | Value::Object(_) => return Err(malformed(key)),
    };
    let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !key.chars().all(is_key) || value.contains(char::is_control) {
        return Err(Unread::Because(What::Value(super::finding::shown(key))));
    }
    text.push_str(before);
    text.push_str(key);
    text.push_str(between);
    text.push_str(&value);
    text.push('\n');
    Ok(())
}
