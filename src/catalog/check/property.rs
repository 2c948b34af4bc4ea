//! Property strings: `virtio,bridge=vmbr0,tag=5`, read by the keys that a schema lists, and written from an object.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    Unchecked, format,
    problem::{Fault, cut, nearest, shown, spaced},
    value::{Findings, Place, truth},
};
use crate::catalog::{Format, Kind, PropertyKey, Schema};

/// Parts that are looked at; no real property string has nearly as many.
const MAX_PARTS: usize = 1024;

/// Who says which keys there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The node's own description: what it does not list, it does not take.
    Node,
    /// A table of ours, which a newer PVE may know more than: only what looks misspelt is refused, and the keys of
    /// `never`, of which it is known why they have no place there.
    Table { never: &'static [(&'static str, &'static str)] },
    /// A table of ours of a reader that PVE has for this format alone: there are no other keys, of one that is given
    /// twice the last counts, and what Perl takes for nothing is none.
    Closed { what: &'static str },
}

impl Origin {
    /// Of a format that is known by its name.
    pub(super) fn of(format: &str) -> Self {
        match format {
            "pve-startup-order" => Self::Closed { what: "startup order" },
            "pve-vm-cpu-conf" => Self::Table {
                never: &[(
                    "reported-model",
                    "the CPU of a guest has no model to report: that is of a custom model's definition",
                )],
            },
            _ => Self::Table { never: &[] },
        }
    }
}

/// The keys of a schema whose values are property strings.
pub(super) fn keys(schema: &Schema) -> Option<&[PropertyKey]> {
    match schema.format.as_ref()? {
        Format::Properties(keys) => Some(keys),
        Format::Named(name) => format::keys(name),
    }
}

impl Place<'_> {
    /// Whether every part of `text` is one that the keys allow, and none is missing.
    pub(super) fn properties(
        self,
        keys: &[PropertyKey],
        origin: Origin,
        text: &str,
        findings: &mut Findings,
    ) -> bool {
        let before = findings.problems.len();
        let is_closed = match origin {
            Origin::Closed { what } if matches!(text, "" | "0") => {
                findings.refuse(self, Fault::Format { what, got: shown(self, text) });
                return false;
            }
            Origin::Closed { .. } => true,
            Origin::Node | Origin::Table { .. } => false,
        };
        let mut given: BTreeMap<&str, &str> = BTreeMap::new();
        for part in text.split(',').take(MAX_PARTS) {
            // PVE passes over these too. Of the others it trims nothing, and what is sent is what was checked.
            if part.trim().is_empty() {
                continue;
            }
            let Some((key, value)) = self.part(keys, origin, part, findings) else { continue };
            let mut put = |name, value| {
                let place = Place { key: Some(name), ..self };
                match given.insert(name, value) {
                    // The last counts, and each is read.
                    Some(first) if is_closed => {
                        place.scalar(&key.parameter.schema, first, findings);
                    }
                    Some(_) => findings.refuse(place, Fault::Twice),
                    None => {}
                }
            };
            if let Some(named) = &key.key_alias {
                put(named, key.parameter.name.as_str());
            }
            put(key.alias.as_deref().unwrap_or(&key.parameter.name), value);
        }
        for (name, value) in &given {
            let place = Place { key: Some(name), ..self };
            if let Some(key) = keys.iter().find(|key| key.parameter.name == *name) {
                place.scalar(&key.parameter.schema, value, findings);
                if let Some(other) =
                    key.parameter.requires.as_deref().filter(|other| !given.contains_key(other))
                {
                    findings
                        .refuse(Place { key: Some(other), ..self }, Fault::RequiredBy((*name).to_owned()));
                }
            }
        }
        for key in keys.iter().filter(|key| !key.parameter.optional && key.alias.is_none()) {
            if !given.contains_key(key.parameter.name.as_str()) {
                findings.refuse(Place { key: Some(&key.parameter.name), ..self }, Fault::Missing);
            }
        }
        findings.problems.len() == before
    }

    /// The key of one part, and its value.
    fn part<'k>(
        self,
        keys: &'k [PropertyKey],
        origin: Origin,
        part: &'k str,
        findings: &mut Findings,
    ) -> Option<(&'k PropertyKey, &'k str)>
    where
        Self: 'k,
    {
        let Some((name, value)) = part.split_once('=') else {
            let default = keys.iter().find(|key| key.is_default);
            if default.is_none() {
                findings.refuse(self, Fault::NoKey { got: shown(self, part) });
            }
            return Some((default?, part));
        };
        if name.is_empty() || value.is_empty() {
            findings.refuse(self, Fault::HalfPart { got: shown(self, part) });
            return None;
        }
        if name.trim() != name {
            findings.refuse(self, Fault::SpacedKey { got: spaced(name) });
            return None;
        }
        if let Some(key) = keys.iter().find(|key| key.parameter.name == name) {
            return Some((key, value));
        }
        let nearest = nearest(name, keys.iter().map(|key| key.parameter.name.as_str()));
        let shown = cut(name);
        let place = Place { key: Some(&shown), ..self };
        let Origin::Table { never } = origin else {
            findings.refuse(place, Fault::Unknown { nearest });
            return None;
        };
        if let Some((_, why)) = never.iter().find(|(known, _)| *known == name) {
            findings.refuse(place, Fault::Unfit(why));
        } else if nearest.is_empty() {
            let parameter = format!("{}.{shown}", self.parameter);
            findings.unchecked.push(Unchecked { parameter, what: "key that is not known here".into() });
        } else {
            findings.refuse(place, Fault::Unknown { nearest });
        }
        None
    }

    /// An object as a property string, the default key first. What it says is checked when it is read again.
    pub(super) fn written(
        self,
        keys: &[PropertyKey],
        object: &Map<String, Value>,
        findings: &mut Findings,
    ) -> Option<String> {
        let before = findings.problems.len();
        let mut first = None;
        let mut parts = Vec::new();
        for (name, value) in object {
            let place = Place { key: Some(name), ..self };
            let key = keys.iter().find(|key| key.parameter.name == *name);
            let value = match value {
                Value::Null => continue,
                Value::Bool(truth) => if *truth { "1" } else { "0" }.to_owned(),
                Value::Number(number) => number.to_string(),
                Value::String(text) => {
                    match key
                        .filter(|key| key.parameter.schema.kind == Kind::Boolean)
                        .and_then(|_| truth(text))
                    {
                        Some(truth) => if truth { "1" } else { "0" }.to_owned(),
                        None => text.clone(),
                    }
                }
                // Lists within a property string have semicolons.
                Value::Array(values) if values.iter().all(Value::is_string) => {
                    values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(";")
                }
                Value::Array(_) | Value::Object(_) => {
                    findings.refuse(place, Fault::Unfit("a property string holds no objects"));
                    continue;
                }
            };
            if value.contains(',') || name.contains([',', '=']) || name.is_empty() {
                findings.refuse(place, Fault::Unfit("a property string cannot hold a comma within a value"));
            } else if value.is_empty() {
                findings.refuse(place, Fault::Unfit("a property string cannot hold an empty value"));
            } else if key.is_some_and(|key| key.is_default) && !value.contains('=') {
                first = Some(value);
            } else {
                parts.push(format!("{name}={value}"));
            }
        }
        (findings.problems.len() == before)
            .then(|| first.into_iter().chain(parts).collect::<Vec<_>>().join(","))
    }
}
