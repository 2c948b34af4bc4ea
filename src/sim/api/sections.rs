//! What PVE keeps in section files is listed, read, created, changed and removed in one way: a table says which file,
//! which id and which words.

use serde_json::{Map, Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::sections::{Section, Sections};
use super::super::route::Row;
use super::super::verify;
use crate::catalog::Method::{Delete, Get, Post, Put};
use crate::catalog::{Kind, Method};

pub struct Collection {
    /// Where it is listed and added to.
    pub list: &'static str,
    pub item: &'static str,
    pub file: &'static str,
    /// The parameter and key that holds the id.
    pub id: &'static str,
    pub kind: Kinds,
    /// Of whose rows a caller needs one to see a row; `{id}` is the id.
    see: Option<(&'static str, &'static [&'static str])>,
    /// Keys that stand first in the file; the others follow in the alphabet's order.
    first: &'static [&'static str],
    /// In sentences: `storage ID 'x' already defined`.
    exists: &'static str,
    missing: Missing,
    digest: bool,
}

pub enum Kinds {
    /// The parameter `type`.
    Given,
    Fixed(&'static str),
    /// What stands before the id's colon.
    OfId,
}

enum Missing {
    /// `die "… '{id}' …"`
    Die(&'static str),
    Parameter(&'static str, &'static str),
}

const fn collection(
    list: &'static str,
    item: &'static str,
    file: &'static str,
    id: &'static str,
    kind: Kinds,
) -> Collection {
    Collection {
        list,
        item,
        file,
        id,
        kind,
        see: None,
        first: &[],
        exists: "ID '{id}' already defined",
        missing: Missing::Die("'{id}' does not exist"),
        digest: true,
    }
}

pub const COLLECTIONS: &[Collection] = &[
    Collection {
        see: Some(("/storage/{id}", &["Datastore.Audit", "Datastore.AllocateSpace"])),
        first: &["path"],
        exists: "storage ID '{id}' already defined",
        missing: Missing::Die("storage '{id}' does not exist"),
        ..collection("/storage", "/storage/{storage}", "storage.cfg", "storage", Kinds::Given)
    },
    Collection {
        exists: "resource ID '{id}' already defined",
        missing: Missing::Die("no such resource '{id}'"),
        ..collection(
            "/cluster/ha/resources",
            "/cluster/ha/resources/{sid}",
            "ha/resources.cfg",
            "sid",
            Kinds::OfId,
        )
    },
    Collection {
        first: &["nodes", "resources"],
        exists: "HA rule '{id}' already defined",
        missing: Missing::Die("no such ha rule '{id}'"),
        ..collection("/cluster/ha/rules", "/cluster/ha/rules/{rule}", "ha/rules.cfg", "rule", Kinds::Given)
    },
    Collection {
        see: Some(("/sdn/zones/{id}", &["SDN.Audit", "SDN.Allocate"])),
        exists: "sdn zone object ID '{id}' already defined",
        missing: Missing::Die("sdn '{id}' does not exist"),
        ..collection("/cluster/sdn/zones", "/cluster/sdn/zones/{zone}", "sdn/zones.cfg", "zone", Kinds::Given)
    },
    Collection {
        exists: "sdn vnet object ID '{id}' already defined",
        missing: Missing::Die("sdn '{id}' does not exist"),
        ..collection(
            "/cluster/sdn/vnets",
            "/cluster/sdn/vnets/{vnet}",
            "sdn/vnets.cfg",
            "vnet",
            Kinds::Fixed("vnet"),
        )
    },
    Collection {
        see: Some(("/sdn/controllers/{id}", &["SDN.Audit", "SDN.Allocate"])),
        exists: "sdn controller object ID '{id}' already defined",
        missing: Missing::Die("sdn '{id}' does not exist"),
        ..collection(
            "/cluster/sdn/controllers",
            "/cluster/sdn/controllers/{controller}",
            "sdn/controllers.cfg",
            "controller",
            Kinds::Given,
        )
    },
    Collection {
        exists: "sdn ipam object ID '{id}' already defined",
        missing: Missing::Die("sdn '{id}' does not exist"),
        ..collection("/cluster/sdn/ipams", "/cluster/sdn/ipams/{ipam}", "sdn/ipams.cfg", "ipam", Kinds::Given)
    },
    Collection {
        exists: "sdn dns object ID '{id}' already defined",
        missing: Missing::Die("sdn '{id}' does not exist"),
        ..collection("/cluster/sdn/dns", "/cluster/sdn/dns/{dns}", "sdn/dns.cfg", "dns", Kinds::Given)
    },
    Collection {
        see: Some(("/mapping/dir/{id}", &["Mapping.Audit", "Mapping.Use", "Mapping.Modify"])),
        exists: "dir ID '{id}' already defined",
        missing: Missing::Die("mapping '{id}' not found"),
        ..collection(
            "/cluster/mapping/dir",
            "/cluster/mapping/dir/{id}",
            "mapping/directory.cfg",
            "id",
            Kinds::Fixed("dir"),
        )
    },
    Collection {
        see: Some(("/mapping/pci/{id}", &["Mapping.Audit", "Mapping.Use", "Mapping.Modify"])),
        exists: "pci ID '{id}' already defined",
        missing: Missing::Die("mapping '{id}' not found"),
        ..collection(
            "/cluster/mapping/pci",
            "/cluster/mapping/pci/{id}",
            "mapping/pci.cfg",
            "id",
            Kinds::Fixed("pci"),
        )
    },
    Collection {
        see: Some(("/mapping/usb/{id}", &["Mapping.Audit", "Mapping.Use", "Mapping.Modify"])),
        exists: "usb ID '{id}' already defined",
        missing: Missing::Die("mapping '{id}' not found"),
        ..collection(
            "/cluster/mapping/usb",
            "/cluster/mapping/usb/{id}",
            "mapping/usb.cfg",
            "id",
            Kinds::Fixed("usb"),
        )
    },
    Collection {
        first: &["schedule"],
        exists: "Job '{id}' already exists",
        missing: Missing::Parameter("id", "No such job '{id}'"),
        digest: false,
        ..collection("/cluster/backup", "/cluster/backup/{id}", "jobs.cfg", "id", Kinds::Fixed("vzdump"))
    },
    Collection {
        first: &["schedule"],
        exists: "Job '{id}' already exists",
        missing: Missing::Parameter("id", "No such job '{id}'"),
        digest: false,
        ..collection(
            "/cluster/jobs/realm-sync",
            "/cluster/jobs/realm-sync/{id}",
            "jobs.cfg",
            "id",
            Kinds::Fixed("realm-sync"),
        )
    },
    Collection {
        first: &["target"],
        exists: "replication job '{id}' already exists",
        missing: Missing::Die("no such replication job '{id}'"),
        ..collection(
            "/cluster/replication",
            "/cluster/replication/{id}",
            "replication.cfg",
            "id",
            Kinds::Given,
        )
    },
    Collection {
        first: &["server", "port"],
        missing: Missing::Die("status server entry '{id}' does not exist"),
        exists: "Metric server '{id}' already exists",
        ..collection(
            "/cluster/metrics/server",
            "/cluster/metrics/server/{id}",
            "status.cfg",
            "id",
            Kinds::Given,
        )
    },
    notification(
        "gotify",
        "/cluster/notifications/endpoints/gotify",
        "/cluster/notifications/endpoints/gotify/{name}",
    ),
    notification(
        "sendmail",
        "/cluster/notifications/endpoints/sendmail",
        "/cluster/notifications/endpoints/sendmail/{name}",
    ),
    notification(
        "smtp",
        "/cluster/notifications/endpoints/smtp",
        "/cluster/notifications/endpoints/smtp/{name}",
    ),
    notification(
        "webhook",
        "/cluster/notifications/endpoints/webhook",
        "/cluster/notifications/endpoints/webhook/{name}",
    ),
    notification("matcher", "/cluster/notifications/matchers", "/cluster/notifications/matchers/{name}"),
    Collection {
        exists: "ACME plugin ID '{id}' already exists!",
        missing: Missing::Die("ACME plugin '{id}' not defined"),
        ..collection(
            "/cluster/acme/plugins",
            "/cluster/acme/plugins/{id}",
            "priv/acme/plugins.cfg",
            "id",
            Kinds::Given,
        )
    },
    Collection {
        exists: "Custom CPU model '{id}' already exists",
        missing: Missing::Die("Custom cputype '{id}' not found"),
        ..collection(
            "/cluster/qemu/custom-cpu-models",
            "/cluster/qemu/custom-cpu-models/{cputype}",
            "virtual-guest/cpu-models.conf",
            "cputype",
            Kinds::Fixed("cpu-model"),
        )
    },
];

const fn notification(kind: &'static str, list: &'static str, item: &'static str) -> Collection {
    Collection {
        exists: "Could not create: an entity named '{id}' already exists",
        missing: Missing::Die("'{id}' does not exist"),
        ..collection(list, item, "notifications.cfg", "name", Kinds::Fixed(kind))
    }
}

/// Every method of every collection; those that need more than the common way have rows in their own rooms, which
/// come later in the list of tables and so win.
pub const TABLE: &[Row] = &[
    (Get, "/storage", list),
    (Get, "/storage/{storage}", read),
    (Put, "/storage/{storage}", change),
    (Get, "/cluster/ha/resources", list),
    (Get, "/cluster/ha/resources/{sid}", read),
    (Put, "/cluster/ha/resources/{sid}", change),
    (Get, "/cluster/sdn/zones", list),
    (Post, "/cluster/sdn/zones", create),
    (Get, "/cluster/sdn/zones/{zone}", read),
    (Put, "/cluster/sdn/zones/{zone}", change),
    (Get, "/cluster/sdn/vnets/{vnet}", read),
    (Put, "/cluster/sdn/vnets/{vnet}", change),
    (Get, "/cluster/sdn/controllers", list),
    (Post, "/cluster/sdn/controllers", create),
    (Get, "/cluster/sdn/controllers/{controller}", read),
    (Put, "/cluster/sdn/controllers/{controller}", change),
    (Delete, "/cluster/sdn/controllers/{controller}", remove),
    (Get, "/cluster/sdn/ipams", list),
    (Post, "/cluster/sdn/ipams", create),
    (Get, "/cluster/sdn/ipams/{ipam}", read),
    (Put, "/cluster/sdn/ipams/{ipam}", change),
    (Delete, "/cluster/sdn/ipams/{ipam}", remove),
    (Get, "/cluster/sdn/dns", list),
    (Post, "/cluster/sdn/dns", create),
    (Get, "/cluster/sdn/dns/{dns}", read),
    (Put, "/cluster/sdn/dns/{dns}", change),
    (Delete, "/cluster/sdn/dns/{dns}", remove),
    (Get, "/cluster/mapping/dir", list),
    (Post, "/cluster/mapping/dir", create),
    (Get, "/cluster/mapping/dir/{id}", read),
    (Put, "/cluster/mapping/dir/{id}", change),
    (Delete, "/cluster/mapping/dir/{id}", remove),
    (Get, "/cluster/mapping/pci", list),
    (Post, "/cluster/mapping/pci", create),
    (Get, "/cluster/mapping/pci/{id}", read),
    (Put, "/cluster/mapping/pci/{id}", change),
    (Delete, "/cluster/mapping/pci/{id}", remove),
    (Get, "/cluster/mapping/usb", list),
    (Post, "/cluster/mapping/usb", create),
    (Get, "/cluster/mapping/usb/{id}", read),
    (Put, "/cluster/mapping/usb/{id}", change),
    (Delete, "/cluster/mapping/usb/{id}", remove),
    (Get, "/cluster/backup", list),
    (Get, "/cluster/backup/{id}", read),
    (Put, "/cluster/backup/{id}", change),
    (Delete, "/cluster/backup/{id}", remove),
    (Get, "/cluster/jobs/realm-sync", list),
    (Post, "/cluster/jobs/realm-sync/{id}", create),
    (Get, "/cluster/jobs/realm-sync/{id}", read),
    (Put, "/cluster/jobs/realm-sync/{id}", change),
    (Delete, "/cluster/jobs/realm-sync/{id}", remove),
    (Get, "/cluster/replication", list),
    (Get, "/cluster/replication/{id}", read),
    (Put, "/cluster/replication/{id}", change),
    (Delete, "/cluster/replication/{id}", remove),
    (Get, "/cluster/metrics/server", list),
    (Post, "/cluster/metrics/server/{id}", create),
    (Get, "/cluster/metrics/server/{id}", read),
    (Put, "/cluster/metrics/server/{id}", change),
    (Delete, "/cluster/metrics/server/{id}", remove),
    (Get, "/cluster/notifications/endpoints/gotify", list),
    (Post, "/cluster/notifications/endpoints/gotify", create),
    (Get, "/cluster/notifications/endpoints/gotify/{name}", read),
    (Put, "/cluster/notifications/endpoints/gotify/{name}", change),
    (Delete, "/cluster/notifications/endpoints/gotify/{name}", remove),
    (Get, "/cluster/notifications/endpoints/sendmail", list),
    (Post, "/cluster/notifications/endpoints/sendmail", create),
    (Get, "/cluster/notifications/endpoints/sendmail/{name}", read),
    (Put, "/cluster/notifications/endpoints/sendmail/{name}", change),
    (Delete, "/cluster/notifications/endpoints/sendmail/{name}", remove),
    (Get, "/cluster/notifications/endpoints/smtp", list),
    (Post, "/cluster/notifications/endpoints/smtp", create),
    (Get, "/cluster/notifications/endpoints/smtp/{name}", read),
    (Put, "/cluster/notifications/endpoints/smtp/{name}", change),
    (Delete, "/cluster/notifications/endpoints/smtp/{name}", remove),
    (Get, "/cluster/notifications/endpoints/webhook", list),
    (Post, "/cluster/notifications/endpoints/webhook", create),
    (Get, "/cluster/notifications/endpoints/webhook/{name}", read),
    (Put, "/cluster/notifications/endpoints/webhook/{name}", change),
    (Delete, "/cluster/notifications/endpoints/webhook/{name}", remove),
    (Get, "/cluster/notifications/matchers", list),
    (Post, "/cluster/notifications/matchers", create),
    (Get, "/cluster/notifications/matchers/{name}", read),
    (Put, "/cluster/notifications/matchers/{name}", change),
    (Delete, "/cluster/notifications/matchers/{name}", remove),
    (Get, "/cluster/acme/plugins", list),
    (Post, "/cluster/acme/plugins", create),
    (Get, "/cluster/acme/plugins/{id}", read),
    (Put, "/cluster/acme/plugins/{id}", change),
    (Delete, "/cluster/acme/plugins/{id}", remove),
    (Get, "/cluster/qemu/custom-cpu-models", list),
    (Post, "/cluster/qemu/custom-cpu-models", create),
    (Get, "/cluster/qemu/custom-cpu-models/{cputype}", read),
    (Put, "/cluster/qemu/custom-cpu-models/{cputype}", change),
    (Delete, "/cluster/qemu/custom-cpu-models/{cputype}", remove),
];

impl Collection {
    /// The one that the call's path is of.
    fn of(call: &Call<'_>) -> &'static Self {
        let path = call.endpoint.path.as_str();
        COLLECTIONS
            .iter()
            .find(|collection| collection.list == path || collection.item == path)
            .expect("each row of the table is of a collection")
    }

    /// Whether a section of the file is of this collection: two share one file.
    fn holds(&self, section: &Section) -> bool {
        match self.kind {
            Kinds::Fixed(kind) => section.kind == kind || section.kind.is_empty(),
            Kinds::Given | Kinds::OfId => true,
        }
    }

    fn said(words: &str, id: &str) -> String {
        words.replace("{id}", id)
    }

    fn no_such(&self, id: &str) -> Refusal {
        match self.missing {
            Missing::Die(words) => Refusal::die(Self::said(words, id)),
            Missing::Parameter(name, words) => Refusal::parameter(name, Self::said(words, id)),
        }
    }

    fn find<'a>(&self, sections: &'a Sections, id: &str) -> Result<&'a Section, Refusal> {
        sections.find(id).filter(|section| self.holds(section)).ok_or_else(|| self.no_such(id))
    }
}

pub fn list(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let collection = Collection::of(call);
    let sections = call.estate.sections(collection.file);
    let digest = sections.digest();
    let kind = call.get("type");
    let caller = call.caller();
    let rows = sections.list.iter().filter(|section| {
        collection.holds(section)
            && kind.is_none_or(|kind| section.kind == kind)
            && collection
                .see
                .is_none_or(|(path, wanted)| caller.may_any(&Collection::said(path, &section.id), wanted))
    });
    let rows: Vec<Value> = rows.map(|section| row(call, collection, section, &digest)).collect();
    Ok(Value::Array(rows).into())
}

pub fn read(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let collection = Collection::of(call);
    let id = normal_id(collection, &call.need(collection.id));
    let sections = call.estate.sections(collection.file);
    let section = collection.find(sections, &id)?;
    if let Some((path, wanted)) = collection.see {
        call.caller().need_any(&Collection::said(path, &id), wanted)?;
    }
    Ok(row(call, collection, section, &sections.digest()).into())
}

pub fn create(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let collection = Collection::of(call);
    let given = call.get(collection.id).map(str::to_owned);
    let id = match given {
        Some(id) => normal_id(collection, &id),
        None => {
            let number = call.estate.count();
            format!("{}-{number:08x}", collection.list.rsplit('/').next().unwrap_or("id"))
        }
    };
    if call.estate.sections(collection.file).find(&id).is_some() {
        return Err(Refusal::die(Collection::said(collection.exists, &id)));
    }
    let kind = match collection.kind {
        Kinds::Given => call.need("type"),
        Kinds::Fixed(kind) => kind.to_owned(),
        Kinds::OfId => id.split(':').next().unwrap_or_default().to_owned(),
    };
    let mut section = Section { kind: kind.clone(), id: id.clone(), ..Section::default() };
    assign(call, collection, &mut section);
    call.estate.sections_mut(collection.file).list.push(section);
    if collection.file == "storage.cfg" {
        return Ok(json!({ "storage": id, "type": kind }).into());
    }
    Ok(Reply::NULL)
}

pub fn change(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let collection = Collection::of(call);
    let id = normal_id(collection, &call.need(collection.id));
    let sections = call.estate.sections(collection.file);
    call.fresh(&sections.digest())?;
    let mut section = collection.find(sections, &id)?.clone();
    for key in call.list("delete") {
        section.values.shift_remove(&key);
    }
    assign(call, collection, &mut section);
    let kind = section.kind.clone();
    if let Some(old) = call.estate.sections_mut(collection.file).find_mut(&id) {
        *old = section;
    }
    if collection.file == "storage.cfg" {
        return Ok(json!({ "storage": id, "type": kind }).into());
    }
    Ok(Reply::NULL)
}

pub fn remove(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let collection = Collection::of(call);
    let id = normal_id(collection, &call.need(collection.id));
    collection.find(call.estate.sections(collection.file), &id)?;
    call.estate.sections_mut(collection.file).remove(&id);
    Ok(Reply::NULL)
}

/// HA takes a bare number for a guest's.
fn normal_id(collection: &Collection, id: &str) -> String {
    match collection.kind {
        Kinds::OfId if !id.contains(':') => format!("vm:{id}"),
        _ => id.to_owned(),
    }
}

/// The call's parameters into the section, in the file's order.
fn assign(call: &Call<'_>, collection: &Collection, section: &mut Section) {
    /// What is said to the method and not to the file.
    const NOT_KEPT: &[&str] = &["type", "digest", "delete", "lock-token", "keep", "force", "purge"];
    let kept = call.parameters.iter().filter(|(key, _)| {
        !NOT_KEPT.contains(&key.as_str())
            && *key != collection.id
            && !path_has(call.endpoint.path.as_str(), key)
    });
    for (key, value) in kept {
        let lines = key == "map" || collection.file == "notifications.cfg";
        let value = value.replace('\0', if lines { "\n" } else { "," });
        section.values.insert(key.clone(), value);
    }
    let place = |key: &str| collection.first.iter().position(|first| *first == key).unwrap_or(usize::MAX);
    section.values.sort_by(|a, _, b, _| place(a).cmp(&place(b)).then_with(|| a.cmp(b)));
}

fn path_has(path: &str, key: &str) -> bool {
    path.split('/').any(|part| part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) == Some(key))
}

pub fn row(call: &Call<'_>, collection: &Collection, section: &Section, digest: &str) -> Value {
    let mut row = typed(call, collection.list, collection.item, &section.values);
    row.insert(collection.id.to_owned(), json!(section.id));
    match collection.kind {
        Kinds::Fixed("cpu-model") => {}
        Kinds::Fixed(kind) if collection.file != "notifications.cfg" => {
            row.insert("type".to_owned(), json!(kind));
        }
        Kinds::Fixed(_) => {}
        Kinds::Given | Kinds::OfId => {
            row.insert("type".to_owned(), json!(section.kind));
        }
    }
    if collection.digest {
        row.insert("digest".to_owned(), json!(digest));
    }
    match collection.file {
        "replication.cfg" => {
            let (guest, number) = section.id.split_once('-').unwrap_or((&section.id, "0"));
            row.insert("guest".to_owned(), json!(guest.parse::<u32>().unwrap_or_default()));
            row.insert("jobnum".to_owned(), json!(number.parse::<u32>().unwrap_or_default()));
        }
        "ha/rules.cfg" => {
            let order = call.estate.sections(collection.file).list.iter().position(|other| other == section);
            row.insert("order".to_owned(), json!(order.map_or(1, |order| order + 1)));
        }
        _ => {}
    }
    Value::Object(row)
}

/// Values of a file as the API shows them: numbers and booleans where the schema of what may be set says so.
fn typed(
    call: &Call<'_>,
    list: &str,
    item: &str,
    values: &indexmap::IndexMap<String, String>,
) -> Map<String, Value> {
    let setter = [(Method::Post, list), (Method::Put, item), (Method::Post, item)]
        .into_iter()
        .find_map(|(method, path)| call.shared.endpoint(method, path));
    let shown = |key: &str, value: &str| {
        let kind = setter
            .and_then(|endpoint| verify::declared(endpoint, key))
            .map(|parameter| parameter.schema.kind);
        as_kind(kind, value)
    };
    values.iter().map(|(key, value)| (key.clone(), shown(key, value))).collect()
}

/// Text of a configuration as a value of this kind.
pub fn as_kind(kind: Option<Kind>, value: &str) -> Value {
    match kind {
        Some(Kind::Integer | Kind::Boolean) => match value.parse::<i64>() {
            Ok(number) => json!(number),
            Err(_) => json!(value),
        },
        Some(Kind::Number) => match value.parse::<f64>() {
            Ok(number) if number.fract() == 0.0 => json!(number as i64),
            Ok(number) => json!(number),
            Err(_) => json!(value),
        },
        Some(Kind::Array) => {
            let lines: Vec<&str> = value.split(['\n', ',']).filter(|_| !value.contains("node=")).collect();
            if value.contains("node=") { json!(value.split('\n').collect::<Vec<_>>()) } else { json!(lines) }
        }
        _ => json!(value),
    }
}
