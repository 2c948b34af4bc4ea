//! What is there before anything is changed: the thing itself, the guest that it is of, its lock, its HA.

use serde_json::{Map, Value};

use super::eyes::{Eyes, Seen};
use super::fields::{self, text};
use super::shape::Shape;
use super::{Refused, Request, named};
use crate::ledger::canonical::canonical;
use crate::ledger::tree::sha256_hex;

/// What a plan rests on. It is looked at again before the plan is applied.
#[derive(Clone)]
pub struct Observed {
    /// What the call sets, makes or removes, as it is now; none where nothing shows it.
    pub subject: Option<Seen>,
    /// Of the configuration that the subject stands in.
    pub digest: Option<String>,
    pub guest: Option<Guest>,
    /// A guest that has the id which the call would give to a new one.
    pub taken: Option<u32>,
}

#[derive(Clone, PartialEq)]
pub struct Guest {
    pub vmid: u32,
    pub kind: &'static str,
    pub node: String,
    pub name: String,
    /// "running", "stopped".
    pub status: String,
    /// What is at work on it.
    pub lock: Option<String>,
    /// The state that HA keeps it in, where HA does.
    pub ha: Option<String>,
    pub config: Map<String, Value>,
}

impl Guest {
    /// `lxc/105`
    pub fn object(&self) -> String {
        format!("{}/{}", self.kind, self.vmid)
    }

    pub fn is_running(&self) -> bool {
        self.status == "running"
    }

    pub fn is(&self, field: &str) -> bool {
        self.config.get(field).is_some_and(|value| fields::truth(value) == Some(true))
    }
}

/// Where something else than the path itself shows what a call is about: the call, the GET, and the arguments that go
/// with it.
const ELSEWHERE: &[(&str, &str, &[&str])] = &[
    ("PUT /access/acl", "/access/acl", &[]),
    // What is pending is what takes effect.
    ("PUT /nodes/{node}/network", "/nodes/{node}/network", &[]),
    ("DELETE /nodes/{node}/network", "/nodes/{node}/network", &[]),
    ("PUT /pools", "/pools", &["poolid"]),
    ("DELETE /pools", "/pools", &["poolid"]),
    ("PUT /pools/{poolid}", "/pools/{poolid}", &[]),
    (
        "DELETE /nodes/{node}/storage/{storage}/prunebackups",
        "/nodes/{node}/storage/{storage}/prunebackups",
        &["prune-backups", "type", "vmid"],
    ),
    (
        "PUT /admin/datastore/{store}/group-notes",
        "/admin/datastore/{store}/group-notes",
        &["backup-type", "backup-id", "ns"],
    ),
    (
        "PUT /admin/datastore/{store}/notes",
        "/admin/datastore/{store}/notes",
        &["backup-type", "backup-id", "backup-time", "ns"],
    ),
    (
        "PUT /admin/datastore/{store}/protected",
        "/admin/datastore/{store}/protected",
        &["backup-type", "backup-id", "backup-time", "ns"],
    ),
    ("PUT /nodes/{node}/qemu/{vmid}/unlink", "/nodes/{node}/qemu/{vmid}/config", &[]),
    (
        "POST /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback",
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config",
        &[],
    ),
    (
        "POST /nodes/{node}/lxc/{vmid}/snapshot/{snapname}/rollback",
        "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}/config",
        &[],
    ),
];

/// Arguments that say which thing a call is about, beside its path: they are no change of it.
pub(super) fn names_it(endpoint: &str) -> &'static [&'static str] {
    ELSEWHERE.iter().find(|(call, ..)| *call == endpoint).map_or(&[], |(_, _, query)| query)
}

/// Fields that change by themselves.
const VOLATILE: &[&str] = &[
    "localtime",
    "time",
    "uptime",
    "used",
    "avail",
    "checktime",
    "cpu",
    "mem",
    "disk",
    "diskread",
    "diskwrite",
    "memhost",
    "netin",
    "netout",
    "pid",
    "enabled-since",
];

pub async fn observe(eyes: &Eyes, request: &Request, shape: &Shape) -> Result<Observed, Refused> {
    let guest = match (request.guest(), request.kind()) {
        (Some(vmid), Some(kind)) if request.template().contains("/{vmid}") => {
            guest(eyes, request, vmid, kind).await?
        }
        _ => None,
    };
    let subject = subject(eyes, request, shape, guest.as_ref()).await?;
    let taken = taken(eyes, request).await?;
    let digest = digest(subject.as_ref(), guest.as_ref(), request);
    Ok(Observed { subject, digest, guest, taken })
}

async fn subject(
    eyes: &Eyes,
    request: &Request,
    shape: &Shape,
    guest: Option<&Guest>,
) -> Result<Option<Seen>, Refused> {
    let endpoint = request.endpoint();
    if let Some((_, template, query)) = ELSEWHERE.iter().find(|(call, ..)| *call == endpoint) {
        let given: Vec<(&str, String)> =
            query.iter().filter_map(|name| Some((*name, request.text(name)?))).collect();
        let pairs: Vec<(&str, &str)> = given.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let seen = eyes.look(template, &request.captured, &pairs).await?;
        // A pool that is asked for by name comes as a list of one.
        return Ok(Some(match seen {
            Seen::There(Value::Array(mut rows)) if *template == "/pools" && rows.len() == 1 => {
                Seen::There(rows.remove(0))
            }
            seen => in_our_words(template, seen),
        }));
    }
    if let Some(seen) = named::subject(eyes, request).await? {
        return Ok(Some(seen));
    }
    let template = match shape {
        Shape::Set { shown } | Shape::Remove { shown: Some(shown) } => shown.as_str(),
        Shape::Create { item, key } => return made(eyes, request, item, key).await.map(Some),
        Shape::Remove { shown: None } | Shape::Act => return Ok(None),
    };
    // It has just been read.
    if let Some(guest) = guest.filter(|_| template.ends_with("/{vmid}/config")) {
        return Ok(Some(Seen::There(Value::Object(guest.config.clone()))));
    }
    let seen = eyes.look(template, &request.captured, &[]).await?;
    Ok(Some(in_our_words(template, seen)))
}

/// What PVE shows in another form than it takes.
fn in_our_words(template: &str, seen: Seen) -> Seen {
    match seen {
        Seen::There(Value::Object(held)) if template == "/access/roles/{roleid}" => {
            let held = held.iter().filter(|(_, given)| fields::truth(given) == Some(true));
            let mut names: Vec<&str> = held.map(|(name, _)| name.as_str()).collect();
            names.sort_unstable();
            let mut role = Map::new();
            role.insert("privs".to_owned(), names.join(",").into());
            Seen::There(Value::Object(role))
        }
        // A Backup Server gives the bare value of what is set by its name.
        Seen::There(value @ (Value::String(_) | Value::Bool(_) | Value::Null))
            if template.starts_with("/admin/datastore/{store}/") =>
        {
            let name = if template.ends_with("/protected") { "protected" } else { "notes" };
            Seen::There(Value::Object(Map::from_iter([(name.to_owned(), value)])))
        }
        // The zone is asked for and set by different names of one thing; the clock is nobody's setting.
        seen => seen,
    }
}

/// The thing that is to be made, if it is there already.
async fn made(eyes: &Eyes, request: &Request, item: &str, key: &str) -> Result<Seen, Refused> {
    let missing = || Seen::Missing(String::new());
    let Some((list, _)) = item.rsplit_once('/') else { return Ok(missing()) };
    let name = request.text(key);
    // A rule is put in at a position; whatever stands there moves.
    if key == "pos" || key == "vmid" {
        return Ok(missing());
    }
    let Some(name) = name else { return Ok(missing()) };
    let seen = eyes.look(list, &request.captured, &[]).await?;
    let is_it = |row: &&Value| {
        row.get(key).map(text).is_some_and(|id| {
            // HA takes `105` for `vm:105`.
            id == name || (key == "sid" && id.rsplit_once(':').is_some_and(|(_, id)| id == name))
        })
    };
    Ok(match seen.rows().iter().find(is_it) {
        Some(row) => Seen::There(row.clone()),
        None => match seen {
            Seen::Hidden(why) => Seen::Hidden(why),
            _ => missing(),
        },
    })
}

/// A guest that already has the id of the guest to be made.
async fn taken(eyes: &Eyes, request: &Request) -> Result<Option<u32>, Refused> {
    let id = match request.endpoint().as_str() {
        "POST /nodes/{node}/qemu" | "POST /nodes/{node}/lxc" => request.text("vmid"),
        endpoint if endpoint.ends_with("/{vmid}/clone") => request.text("newid"),
        _ => None,
    };
    let Some(id) = id.and_then(|id| id.parse::<u32>().ok()) else { return Ok(None) };
    let guests = eyes.guests().await?;
    Ok(guests.iter().any(|guest| guest.vmid == id).then_some(id))
}

async fn guest(
    eyes: &Eyes,
    request: &Request,
    vmid: u32,
    kind: &'static str,
) -> Result<Option<Guest>, Refused> {
    let at = |leaf: &str| format!("/nodes/{{node}}/{kind}/{{vmid}}/{leaf}");
    let (config, status) = (at("config"), at("status/current"));
    let config = eyes.look(&config, &request.captured, &[]).await?;
    let config = match config {
        Seen::There(Value::Object(config)) => config,
        Seen::Missing(_) => return Err(elsewhere(eyes, vmid).await?),
        // Who may not see the guest may hardly change it; PVE has the word.
        _ => return Ok(None),
    };
    let status = eyes.look(&status, &request.captured, &[]).await?;
    let status = status.object().cloned().unwrap_or_default();
    let word = |name: &str| status.get(name).map(text).filter(|text| !text.is_empty());
    let ha = status.get("ha").filter(|ha| ha.get("managed").is_some_and(|managed| text(managed) == "1"));
    Ok(Some(Guest {
        vmid,
        kind,
        node: request.text("node").unwrap_or_default(),
        name: word("name").unwrap_or_default(),
        status: word("status").unwrap_or_else(|| "unknown".to_owned()),
        lock: config.get("lock").map(text).or_else(|| word("lock")),
        ha: ha.map(|ha| ha.get("state").map(text).unwrap_or_else(|| "managed".to_owned())),
        config,
    }))
}

/// The guest is not where the path has it: it may be of the other kind, or on another node.
async fn elsewhere(eyes: &Eyes, vmid: u32) -> Result<Refused, Refused> {
    let guest = eyes.guests().await?.into_iter().find(|guest| guest.vmid == vmid);
    Ok(guest.map_or(Refused::NoGuest { vmid }, |guest| Refused::Elsewhere {
        vmid,
        path: format!("/nodes/{}/{}/{vmid}", guest.node, guest.kind),
    }))
}

fn digest(subject: Option<&Seen>, guest: Option<&Guest>, request: &Request) -> Option<String> {
    let of = |value: &Value| value.get("digest").and_then(Value::as_str).map(str::to_owned);
    let own = match subject {
        Some(Seen::There(Value::Array(rows))) => rows.first().and_then(of),
        Some(Seen::There(value)) => of(value),
        _ => None,
    };
    let under = |part: &str| request.template().contains(part);
    own.or_else(|| {
        let guest = guest.filter(|_| !under("/firewall/") && !under("/snapshot/"))?;
        guest.config.get("digest").and_then(Value::as_str).map(str::to_owned)
    })
}

impl Observed {
    /// The fields of the subject, where it is an object.
    pub fn fields(&self) -> Option<&Map<String, Value>> {
        self.subject.as_ref().and_then(Seen::object)
    }

    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields()?.get(name)
    }

    /// A hash of all that the plan rests on: another one means that something moved.
    pub fn fingerprint(&self) -> String {
        let subject = match &self.subject {
            None => Value::Null,
            Some(Seen::There(value)) => settled(value),
            Some(Seen::Missing(_)) => "missing".into(),
            Some(Seen::Hidden(_)) => "hidden".into(),
        };
        let guest = self.guest.as_ref().map(|guest| {
            serde_json::json!({
                "config": settled(&Value::Object(guest.config.clone())),
                "ha": guest.ha, "lock": guest.lock, "node": guest.node, "status": guest.status,
            })
        });
        let all = serde_json::json!({ "subject": subject, "guest": guest, "taken": self.taken });
        sha256_hex(canonical(all).get().as_bytes())
    }
}

/// Without what changes by itself.
fn settled(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| !VOLATILE.contains(&name.as_str()));
            kept.map(|(name, value)| (name.clone(), settled(value))).collect()
        }
        Value::Array(rows) => rows.iter().map(settled).collect(),
        other => other.clone(),
    }
}
