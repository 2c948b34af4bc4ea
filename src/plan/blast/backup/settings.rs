//! How a job or a datastore is configured, and how it would be after a call.

use serde_json::{Map, Value};

use super::shelf::{Shelf, place};
use crate::catalog::list;
use crate::plan::fields::{text, truth};

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings(Map<String, Value>);

impl Settings {
    pub fn of_row(row: &Value) -> Self {
        Self(row.as_object().cloned().unwrap_or_default())
    }

    /// As the server has it once it took these arguments: what `delete` lists goes first.
    pub fn after(&self, args: &Map<String, Value>) -> Self {
        let mut next = self.0.clone();
        for name in deleted(args) {
            next.remove(&name);
        }
        let given = args.iter().filter(|(name, value)| *name != "delete" && !value.is_null());
        next.extend(given.map(|(name, value)| (name.clone(), value.clone())));
        Self(next)
    }

    pub fn text(&self, name: &str) -> String {
        self.0.get(name).map(text).unwrap_or_default()
    }

    pub fn has(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }

    pub fn is_on(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| truth(value) == Some(true))
    }

    pub fn is_off(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| truth(value) == Some(false))
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name).parse().ok()
    }

    /// The datastore and namespace that a job is of: `tank:team`.
    pub fn place(&self) -> String {
        place(&self.text("store"), &self.text("ns"), "")
    }

    /// `keep-last` and its like.
    pub fn kept(&self) -> Vec<(String, String)> {
        let kept = self.0.iter().filter(|(name, _)| is_keep(name));
        kept.map(|(name, value)| (name.clone(), text(value))).collect()
    }
}

pub fn is_keep(name: &str) -> bool {
    name.starts_with("keep-") && name != "keep-job-configs"
}

/// What the arguments take out of a configuration.
pub fn deleted(args: &Map<String, Value>) -> Vec<String> {
    list(&args.get("delete").map(text).unwrap_or_default()).map(str::to_owned).collect()
}

/// Whether the arguments give one of these, or take it out.
pub fn touches(args: &Map<String, Value>, names: &[&str]) -> bool {
    let gone = deleted(args);
    names.iter().any(|name| {
        args.get(*name).is_some_and(|value| !value.is_null()) || gone.iter().any(|gone| gone == name)
    })
}

/// The job that the path names, as it is now; an empty one where the call makes one, or does without. `None`: it could not
/// be read, which is said.
pub async fn job(shelf: &Shelf<'_>, kind: &str) -> Option<Settings> {
    let Some(id) = shelf.request.captured.get("id").map(text) else { return Some(Settings::default()) };
    let template = format!("/config/{kind}/{{id}}");
    read(shelf, &format!("the {kind} job {id}"), &template, ("id", &id)).await
}

/// `None`: it could not be read, which is said.
pub async fn datastore(shelf: &Shelf<'_>, store: &str) -> Option<Settings> {
    let what = format!("the configuration of datastore {store}");
    read(shelf, &what, "/config/datastore/{name}", ("name", store)).await
}

async fn read(shelf: &Shelf<'_>, what: &str, template: &str, named: (&str, &str)) -> Option<Settings> {
    match shelf.get(what, template, &[named], &[]).await? {
        Value::Object(row) => Some(Settings(row)),
        _ => {
            shelf.not_seen(format!("{what} could not be read: the answer is no object"));
            None
        }
    }
}

/// `sync job offsite`
pub fn object(shelf: &Shelf<'_>, kind: &str) -> String {
    format!("{kind} job {}", shelf.text("id").unwrap_or_default())
}
