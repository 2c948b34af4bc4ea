//! `/cluster/resources`: everything there is, in one list. Serialised once for each version of the estate.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::disorder::Disorder;
use super::super::estate::Estate;
use super::super::estate::guest::Guest;
use super::super::estate::node::Node;
use super::super::estate::sections::Section;
use super::super::route::Row;
use super::status::{self, Usage};
use crate::catalog::Method::Get;

pub const TABLE: &[Row] = &[(Get, "/cluster/resources", list), (Get, "/nodes", nodes)];

/// pvestatd looks at the guests as often as this; an answer is no fresher on a real node.
const PERIOD: Duration = Duration::from_secs(10);

/// Bodies by caller and `type`.
#[derive(Default)]
pub struct Cache(Mutex<HashMap<(String, String), Kept>>);

struct Kept {
    version: u64,
    made: Instant,
    body: Arc<Vec<u8>>,
}

impl Cache {
    fn get(&self, key: &(String, String), version: u64) -> Option<Arc<Vec<u8>>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.get(key)?;
        (kept.version == version && kept.made.elapsed() < PERIOD).then(|| Arc::clone(&kept.body))
    }

    fn keep(&self, key: (String, String), version: u64, body: &Arc<Vec<u8>>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(key, Kept { version, made: Instant::now(), body: Arc::clone(body) });
    }
}

type Columns = Map<String, Value>;

fn list(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let key = (call.who.to_owned(), call.get("type").unwrap_or_default().to_owned());
    let version = call.estate.version;
    if !call.shared.options.anew
        && let Some(body) = call.shared.resources.get(&key, version)
    {
        return Ok(Reply::Body(body));
    }
    let body = Arc::new(body(call));
    call.shared.resources.keep(key, version, &body);
    Ok(Reply::Body(body))
}

/// One after the other, as JSON.
struct Rows(Vec<u8>, Disorder);

impl Rows {
    fn new() -> Self {
        Self(Vec::new(), Disorder::new())
    }

    fn push(&mut self, row: &impl Serialize) {
        let before = if self.0.is_empty() { "{\"data\":[" } else { "," };
        self.0.extend_from_slice(before.as_bytes());
        // With names for keys: it cannot fail.
        self.1.write(&serde_json::to_value(row).unwrap_or_default(), &mut self.0);
    }

    fn body(mut self) -> Vec<u8> {
        let end: &[u8] = if self.0.is_empty() { b"{\"data\":[]}" } else { b"]}" };
        self.0.extend_from_slice(end);
        self.0
    }
}

fn body(call: &Call<'_>) -> Vec<u8> {
    let kind = call.get("type");
    let wanted = |name: &str| kind.is_none_or(|kind| kind == name);
    let (estate, caller) = (&*call.estate, call.caller());
    let mut rows = Rows::new();
    if wanted("pool") {
        let pools =
            estate.access().pools.keys().filter(|name| caller.may(&format!("/pool/{name}"), "Pool.Audit"));
        pools.for_each(|name| {
            rows.push(&json!({ "id": format!("/pool/{name}"), "pool": name, "type": "pool" }))
        });
    }
    if wanted("vm") {
        // Who may see all need not be asked for each.
        let all = caller.may("/vms", "VM.Audit")
            && estate.access().acl.keys().all(|path| !path.starts_with("/vms/"));
        let pools = pools_by_guest(estate);
        for guest in estate.guests() {
            if all || caller.may(&format!("/vms/{}", guest.vmid), "VM.Audit") {
                rows.push(&guest_row(estate, guest, pools.get(&guest.vmid).copied()));
            }
        }
    }
    if wanted("node") {
        let audit = |node: &Node| caller.may(&format!("/nodes/{}", node.name), "Sys.Audit");
        estate.nodes.iter().for_each(|node| rows.push(&self::node(estate, node, audit(node))));
    }
    if wanted("storage") {
        for section in &estate.sections("storage.cfg").list {
            let path = format!("/storage/{}", section.id);
            if section.is_set("disable")
                || !caller.may_any(&path, &["Datastore.Audit", "Datastore.AllocateSpace"])
            {
                continue;
            }
            let nodes = estate.nodes.iter().filter(|node| estate.storage_on(section, &node.name));
            nodes.for_each(|node| rows.push(&storage(estate, section, node)));
        }
    }
    if wanted("sdn") || wanted("network") {
        zones(call).iter().for_each(|row| rows.push(row));
    }
    rows.body()
}

fn pools_by_guest(estate: &Estate) -> HashMap<u32, &str> {
    let pools = estate.access().pools.iter();
    pools.flat_map(|(name, pool)| pool.vms.iter().map(move |vmid| (*vmid, name.as_str()))).collect()
}

/// What is shared of a guest by all nodes: little, where nothing gathers statistics.
#[derive(Serialize)]
pub struct GuestRow<'a> {
    id: String,
    node: &'a str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    known: Option<Usage<'a>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    unknown: Option<Unknown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hastate: Option<&'a str>,
}

/// In place of statistics.
#[derive(Serialize)]
struct Unknown<'a> {
    status: &'static str,
    vmid: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<&'a str>,
}

/// As a pool lists it.
pub fn member(estate: &Estate, guest: &Guest) -> Value {
    let mut row = json!(guest_row(estate, guest, None));
    if let Some(row) = row.as_object_mut() {
        row.remove("tags");
        row.remove("hastate");
    }
    row
}

fn guest_row<'a>(estate: &'a Estate, guest: &'a Guest, pool: Option<&'a str>) -> GuestRow<'a> {
    let online = estate.node(&guest.node).is_some_and(|node| node.online);
    let known = (estate.statistics && online).then(|| status::usage(estate, guest).shared(guest));
    let kind = guest.kind.name();
    let unknown = known.is_none().then(|| Unknown {
        status: "unknown",
        vmid: guest.vmid,
        kind,
        tags: guest.get("tags"),
        lock: guest.get("lock"),
    });
    GuestRow {
        id: format!("{kind}/{}", guest.vmid),
        node: &guest.node,
        known,
        unknown,
        pool,
        hastate: super::ha::resource_of(estate, guest)
            .map(|resource| resource.get("state").unwrap_or("started")),
    }
}

/// A node; how it is used only for who may know.
fn node(estate: &Estate, node: &Node, audit: bool) -> Columns {
    let mut row = Columns::new();
    row.insert("id".to_owned(), json!(format!("node/{}", node.name)));
    row.insert("node".to_owned(), json!(node.name));
    row.insert("type".to_owned(), json!("node"));
    let status = match (estate.statistics, node.online) {
        (false, _) => "unknown",
        (true, true) => "online",
        (true, false) => "offline",
    };
    row.insert("status".to_owned(), json!(status));
    if estate.statistics && node.online && audit {
        let used = status::node_use(estate, node);
        for (key, value) in [
            ("cpu", json!(used.cpu)),
            ("maxcpu", json!(node.cpus)),
            ("mem", json!(used.memory)),
            ("maxmem", json!(node.memory)),
            ("disk", json!(node.disk / 4)),
            ("maxdisk", json!(node.disk)),
            ("uptime", json!(super::super::estate::now().saturating_sub(node.since))),
            ("level", json!("")),
            ("cgroup-mode", json!(2)),
        ] {
            row.insert(key.to_owned(), value);
        }
    }
    row
}

pub fn storage(estate: &Estate, section: &Section, node: &Node) -> Columns {
    let mut row = Columns::new();
    let known = estate.statistics && node.online && estate.unreachable(&section.id, &node.name).is_none();
    for (key, value) in [
        ("id", json!(format!("storage/{}/{}", node.name, section.id))),
        ("storage", json!(section.id)),
        ("node", json!(node.name)),
        ("type", json!("storage")),
        ("plugintype", json!(section.kind)),
        ("content", json!(section.get("content").unwrap_or_default())),
        ("shared", json!(u8::from(Estate::is_shared(section)))),
        ("status", json!(if known { "available" } else { "unknown" })),
    ] {
        row.insert(key.to_owned(), value);
    }
    if known {
        let (total, used, _) = estate.storage_use(section, &node.name);
        row.insert("maxdisk".to_owned(), json!(total));
        row.insert("disk".to_owned(), json!(used));
    }
    row
}

/// The zones that are applied, on each node; the one that is always there among them.
fn zones(call: &Call<'_>) -> Vec<Value> {
    let caller = call.caller();
    let applied = call.estate.sdn_running.get("sdn/zones.cfg");
    let names = applied.iter().flat_map(|sections| sections.list.iter().map(|section| section.id.as_str()));
    let mut rows = Vec::new();
    for zone in std::iter::once("localnetwork").chain(names) {
        if !caller.may_any(&format!("/sdn/zones/{zone}"), &["SDN.Audit", "SDN.Use", "SDN.Allocate"]) {
            continue;
        }
        for node in &call.estate.nodes {
            rows.push(json!({
                "id": format!("network/{}/zone/{zone}", node.name),
                "network": zone,
                "network-type": "zone",
                "node": node.name,
                "status": "ok",
                "type": "network",
            }));
        }
    }
    rows
}

fn nodes(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let caller = call.caller();
    let rows = call.estate.nodes.iter().map(|node| {
        let audit = caller.may(&format!("/nodes/{}", node.name), "Sys.Audit");
        let mut row = self::node(call.estate, node, audit);
        row.remove("cgroup-mode");
        row.insert("ssl_fingerprint".to_owned(), json!(node.fingerprint));
        Value::Object(row)
    });
    Ok(rows.collect::<Value>().into())
}
