//! What PVE keeps in section files is listed, read, created, changed and removed in one way: a table says which file,
//! which id and which words.

pub mod pending;
mod table;

use serde_json::{Map, Value, json};

use crate::catalog::Method::{Delete, Get, Post, Put};
use crate::catalog::{Kind, Method};
use crate::sim::answer::{Refusal, Reply};
use crate::sim::call::Call;
use crate::sim::estate::sections::{Section, Sections};
use crate::sim::route::Row;
use crate::sim::verify;

use pending::Difference;
pub use table::COLLECTIONS;
use table::{Collection, Kinds, Missing};

/// Every method of every collection. Those that need more than the common way have rows in their own rooms, which win.
pub fn rows() -> impl Iterator<Item = Row> {
    COLLECTIONS.iter().flat_map(|collection| {
        let Collection { list: all, item, .. } = collection;
        let rows: [Row; 6] = [
            (Get, all, list),
            (Post, all, create),
            (Get, item, read),
            (Post, item, create),
            (Put, item, change),
            (Delete, item, remove),
        ];
        rows
    })
}

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

    /// `{guest}` is what stands before an id's first dash.
    fn said(words: &str, id: &str) -> String {
        words.replace("{id}", id).replace("{guest}", id.split('-').next().unwrap_or_default())
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
    let digest = call.estate.sections(collection.file).digest();
    let kind = call.get("type");
    let caller = call.caller();
    let sections = pending::sections(call, collection.file);
    let rows = sections.iter().filter(|(section, _)| {
        collection.holds(section)
            && kind.is_none_or(|kind| section.kind == kind)
            && collection
                .see
                .is_none_or(|(path, wanted)| caller.may_any(&Collection::said(path, &section.id), wanted))
    });
    let rows =
        rows.map(|(section, difference)| row_with(call, collection, section, difference.as_ref(), &digest));
    Ok(rows.collect::<Value>().into())
}

pub fn read(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let collection = Collection::of(call);
    let id = normal_id(collection, &call.need(collection.id));
    if let Some((path, wanted)) = collection.see {
        collection.find(call.estate.sections(collection.file), &id).map(|_| ())?;
        call.caller().need_any(&Collection::said(path, &id), wanted)?;
    }
    let sections = pending::sections(call, collection.file);
    let found = sections.iter().find(|(section, _)| section.id == id && collection.holds(section));
    let (section, difference) = found.ok_or_else(|| collection.no_such(&id))?;
    let digest = call.estate.sections(collection.file).digest();
    Ok(row_with(call, collection, section, difference.as_ref(), &digest).into())
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
        let Some(value) = in_the_open(collection.file, key, value) else { continue };
        let lines = key == "map" || collection.file == "notifications.cfg";
        let value = value.replace('\0', if lines { "\n" } else { "," });
        section.values.insert(key.clone(), value);
    }
    let place = |key: &str| collection.first.iter().position(|first| *first == key).unwrap_or(usize::MAX);
    section.values.sort_by(|a, _, b, _| place(a).cmp(&place(b)).then_with(|| a.cmp(b)));
}

/// What is secret, `storage.cfg` and `notifications.cfg` do not hold: a key is told by its fingerprint, a webhook's secret by its
/// name, and a password or a token is not told at all. They lie under `priv`, which no call shows.
fn in_the_open(file: &str, key: &str, value: &str) -> Option<String> {
    match (file, key) {
        ("storage.cfg", "password" | "keyring") => None,
        ("storage.cfg", "master-pubkey") => Some("1".to_owned()),
        ("notifications.cfg", "token" | "password") => None,
        ("notifications.cfg", "secret") => {
            let names = value
                .split('\0')
                .filter_map(|secret| secret.split(',').find(|part| part.starts_with("name=")));
            Some(names.collect::<Vec<_>>().join("\0"))
        }
        ("storage.cfg", "encryption-key") => {
            let digest = ring::digest::digest(&ring::digest::SHA256, value.as_bytes());
            let bytes: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            Some(bytes.join(":"))
        }
        _ => Some(value.to_owned()),
    }
}

fn path_has(path: &str, key: &str) -> bool {
    path.split('/').any(|part| part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) == Some(key))
}

/// With what is to come once SDN is applied.
pub fn row_with(
    call: &Call<'_>,
    collection: &Collection,
    section: &Section,
    difference: Option<&Difference>,
    digest: &str,
) -> Value {
    let mut row = row(call, collection, section, digest);
    if let Some(Difference { state, values }) = difference {
        row["state"] = json!(state);
        row["pending"] = Value::Object(typed(call, collection.list, collection.item, values));
    }
    row
}

fn row(call: &Call<'_>, collection: &Collection, section: &Section, digest: &str) -> Value {
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
        "notifications.cfg" => {
            row.insert("origin".to_owned(), json!(origin(&section.id)));
        }
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

/// Who made a notification's target or matcher.
pub fn origin(id: &str) -> &'static str {
    if matches!(id, "mail-to-root" | "default-matcher") { "builtin" } else { "user-created" }
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
