//! What a call changes, field by field: from what is there to what it sets, and whether that is anything at all.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::eyes::Seen;
use super::fields::{self, Effect, text};
use super::observe::Observed;
use super::shape::Shape;
use super::{Request, fill, named, reach};
use crate::catalog::{Catalog, Method};

/// Arguments that say how a thing is set, and are no part of it.
pub const CONTROLS: &[&str] = &[
    "allow-move",
    "append",
    "background_delay",
    "delete",
    "digest",
    "force",
    "lock-token",
    "moveto",
    "rename",
    "revert",
    "skiplock",
    "password-confirm",
    "confirmation-password",
];

/// Of a call, `{kind}` written out: the field that it changes, and to what.
struct Act {
    endpoint: String,
    field: &'static str,
    after: &'static str,
}

static ACTS: LazyLock<Vec<Act>> = LazyLock::new(|| {
    let lines = include_str!("acts.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let cells = lines.filter_map(|line| {
        let cells: [&str; 3] = line.split('|').map(str::trim).collect::<Vec<_>>().try_into().ok()?;
        Some(cells)
    });
    let both = |[call, field, after]: [&'static str; 3]| {
        ["lxc", "qemu"].map(|kind| Act { endpoint: call.replace("{kind}", kind), field, after })
    };
    cells.flat_map(both).collect()
});

pub fn effects(catalog: &Catalog, request: &Request, shape: &Shape, observed: &Observed) -> Vec<Effect> {
    match request.endpoint().as_str() {
        "PUT /access/acl" => return rights(request, observed),
        "PUT /pools" | "PUT /pools/{poolid}" => return members(request, observed),
        "DELETE /nodes/{node}/storage/{storage}/prunebackups" => return pruned(observed),
        "PUT /nodes/{node}/qemu/{vmid}/unlink" => return removed(&listed(request, "idlist"), observed),
        _ => {}
    }
    if let Some(gone) = named::effects(request, observed.subject.as_ref()) {
        return gone;
    }
    match shape {
        Shape::Set { .. } => set(catalog, request, observed),
        Shape::Create { key, .. } => made(request, key),
        Shape::Remove { .. } => {
            let before = match &observed.subject {
                Some(Seen::There(value)) => value.clone(),
                _ => request.captured.iter().next_back().map(|(_, name)| name.clone()).unwrap_or(Value::Null),
            };
            vec![Effect::new("definition", Some(before), None)]
        }
        Shape::Act => acted(request, observed),
    }
}

/// What is given, against what there is.
fn set(catalog: &Catalog, request: &Request, observed: &Observed) -> Vec<Effect> {
    let Some(endpoint) = catalog.template(request.method(), request.template()) else { return Vec::new() };
    let mut effects = Vec::new();
    let names_it = super::observe::names_it(&request.endpoint());
    let is_set = |name: &str| !CONTROLS.contains(&name) && !names_it.contains(&name);
    for (name, after) in request.args.iter().filter(|(name, _)| is_set(name)) {
        let before = observed.field(name);
        let joined = request.flag("append").then(|| joined(before, after));
        effects.extend(fields::compare(endpoint, name, before, Some(joined.as_ref().unwrap_or(after))));
    }
    effects.extend(removed(&listed(request, "delete"), observed));
    let dropped = listed(request, "revert").into_iter();
    effects.extend(
        dropped
            .map(|name| Effect::new(name, Some("a change that waits".into()), Some("as it is now".into()))),
    );
    for (control, field) in [("moveto", "pos"), ("rename", "name")] {
        if let Some(to) = request.args.get(control) {
            effects.push(Effect::new(field, request.captured.get(field).cloned(), Some(to.clone())));
        }
    }
    effects
}

/// Fields that are taken away; those that are not there stay so.
fn removed(names: &[String], observed: &Observed) -> Vec<Effect> {
    let there =
        names.iter().filter_map(|name| Some(Effect::new(name, Some(observed.field(name)?.clone()), None)));
    there.collect()
}

fn joined(before: Option<&Value>, after: &Value) -> Value {
    let before = before.map(text).unwrap_or_default();
    let mut names: Vec<&str> = reach::listed(&before).collect();
    let after = text(after);
    names.extend(reach::listed(&after));
    names.sort_unstable();
    names.dedup();
    names.join(",").into()
}

fn made(request: &Request, key: &str) -> Vec<Effect> {
    let fields = request.args.iter().filter(|(name, _)| !CONTROLS.contains(&name.as_str()));
    let mut effects: Vec<Effect> =
        fields.map(|(name, value)| Effect::new(name, None, Some(value.clone()))).collect();
    if !request.args.contains_key(key) {
        let name = request.captured.get(key).cloned();
        effects.insert(0, Effect::new(key, None, name.or_else(|| Some("chosen by PVE".into()))));
    }
    effects
}

/// What the table says of a call that acts; of one that it does not know, that it is done.
fn acted(request: &Request, observed: &Observed) -> Vec<Effect> {
    let endpoint = request.endpoint();
    let known = ACTS.iter().find(|act| act.endpoint == endpoint);
    let said = known.and_then(|act| Some((fill(act.field, request)?, fill(act.after, request)?)));
    let Some((field, after)) = said else {
        let why = request.judgement.grounds().first().map(|ground| ground.why);
        return vec![Effect::new("does", None, why.map(Value::from))];
    };
    let before = match (&observed.guest, field.as_str()) {
        (Some(guest), "status") => Some(guest.status.as_str().into()),
        (Some(guest), "node") => Some(guest.node.as_str().into()),
        (Some(guest), field) => guest_field(&guest.config, field),
        _ => None,
    };
    vec![Effect::new(field, before, Some(after.into()))]
}

/// `scsi0.size`, `storage of scsi0`, or a setting.
fn guest_field(config: &Map<String, Value>, field: &str) -> Option<Value> {
    if let Some(disk) = field.strip_prefix("storage of ") {
        let volume = text(config.get(disk)?);
        return volume.split(':').next().map(Value::from);
    }
    match field.split_once('.') {
        Some((disk, part)) => {
            let value = text(config.get(disk)?);
            let found = value.split(',').find_map(|property| property.strip_prefix(part)?.strip_prefix('='));
            found.map(Value::from)
        }
        None => config.get(field).cloned(),
    }
}

/// Each right that is given or taken: who, what, where.
fn rights(request: &Request, observed: &Observed) -> Vec<Effect> {
    let path = request.text("path").unwrap_or_default();
    let takes = request.flag("delete");
    let spreads = request.args.get("propagate").is_none_or(|value| fields::truth(value) != Some(false));
    let shown = |spreads: bool| Value::from(if spreads { "held, and below" } else { "held" });
    let mut effects = Vec::new();
    for entry in entries(request) {
        let before = entry.held(observed, &path).map(shown);
        let after = (!takes).then(|| shown(spreads));
        effects.push(Effect::new(format!("{} for {} on {path}", entry.role, entry.who), before, after));
    }
    effects
}

/// One line of a change of rights.
pub struct Entry {
    pub role: String,
    pub who: String,
}

impl Entry {
    /// Whether it is there, and if so whether it holds below its path too.
    pub fn held(&self, observed: &Observed, path: &str) -> Option<bool> {
        let is = |row: &Value, name: &str, value: &str| row.get(name).map(text).as_deref() == Some(value);
        let rows = observed.subject.as_ref().map(Seen::rows).unwrap_or_default();
        let row = rows.iter().find(|row| {
            is(row, "path", path) && is(row, "roleid", &self.role) && is(row, "ugid", &self.who)
        })?;
        Some(row.get("propagate").is_none_or(|value| fields::truth(value) != Some(false)))
    }
}

pub fn entries(request: &Request) -> Vec<Entry> {
    // Of Proxmox VE many at once, of the others one.
    let roles = ["roles", "role"].into_iter().flat_map(|name| listed(request, name));
    let roles: Vec<String> = roles.collect();
    let holders =
        ["users", "groups", "tokens", "auth-id", "group"].into_iter().flat_map(|name| listed(request, name));
    let holders: Vec<String> = holders.collect();
    let of = |who: &String| {
        roles.iter().map(move |role| Entry { role: role.clone(), who: who.clone() }).collect::<Vec<_>>()
    };
    holders.iter().flat_map(of).collect()
}

/// The members that a pool has: guests by number, storages by name.
pub fn pool_members(observed: &Observed) -> Vec<String> {
    let rows = observed.field("members").and_then(Value::as_array).cloned().unwrap_or_default();
    let name = |row: &Value| row.get("vmid").or_else(|| row.get("storage")).map(text);
    rows.iter().filter_map(name).collect()
}

fn members(request: &Request, observed: &Observed) -> Vec<Effect> {
    let takes = request.flag("delete");
    let there = pool_members(observed);
    let state = |there: bool| there.then(|| Value::from("in the pool"));
    let named = ["vms", "storage"].into_iter().flat_map(|name| listed(request, name));
    let mut effects: Vec<Effect> = named
        .map(|name| Effect::new(format!("member {name}"), state(there.contains(&name)), state(!takes)))
        .collect();
    if let Some(comment) = request.args.get("comment") {
        effects.push(Effect::new("comment", observed.field("comment").cloned(), Some(comment.clone())));
    }
    effects
}

fn pruned(observed: &Observed) -> Vec<Effect> {
    let rows = observed.subject.as_ref().map(Seen::rows).unwrap_or_default();
    let goes = rows.iter().filter(|row| row.get("mark").map(text).as_deref() == Some("remove"));
    goes.map(|row| Effect::new(row.get("volid").map(text).unwrap_or_default(), Some("there".into()), None))
        .collect()
}

/// The names in an argument, however the list was written.
pub fn listed(request: &Request, name: &str) -> Vec<String> {
    let Some(value) = request.args.get(name) else { return Vec::new() };
    reach::listed(&text(value)).map(str::to_owned).collect()
}

/// Whether nothing would change, and in what words.
pub fn nothing(request: &Request, shape: &Shape, effects: &[Effect]) -> Option<String> {
    // A disk that stays on its storage may become another format, and its source be removed.
    let moves = ["/move_disk", "/move_volume"].iter().any(|leaf| request.template().ends_with(leaf));
    let by_state =
        matches!(shape, Shape::Act) && !moves && effects.iter().any(|effect| effect.before.is_some());
    let set = matches!(shape, Shape::Set { .. }) || by_state;
    let rights = ["/access/acl", "/pools", "/pools/{poolid}"].contains(&request.template())
        && request.method() == Method::Put;
    let none = effects.iter().all(|effect| !effect.changes());
    ((set || rights) && none).then(|| match effects.first() {
        Some(effect) => format!(
            "{} is {} already",
            effect.field,
            effect.after.as_ref().map(text).unwrap_or_else(|| "gone".into())
        ),
        None => "everything that it sets is so already".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Release;

    #[test]
    fn each_act_is_an_endpoint_and_its_blanks_are_parameters() {
        let catalog = Catalog::embedded(Release::LATEST);
        for act in ACTS
            .iter()
            .filter(|act| !act.endpoint.contains("/lxc/{vmid}/agent") && !act.endpoint.contains("{kind}"))
        {
            let (method, path) = act.endpoint.split_once(' ').unwrap();
            let endpoint = catalog.template(Method::from_name(method).unwrap(), path);
            let endpoint = endpoint.unwrap_or_else(|| panic!("{}", act.endpoint));
            for text in [act.field, act.after] {
                for name in text.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
                    assert!(endpoint.parameter(name).is_some(), "{}: {name}", act.endpoint);
                }
            }
        }
    }
}
