//! Secrets in JSON: by a field's name, by the name that stands beside a value, and within texts.

use serde_json::{Map, Value};

use super::{WITHHELD, argv, cut_at, is_secret, lines};

/// Fields that name a setting, and those that hold its value: `{"key": "cipassword", "value": "…", "pending": "…"}`.
const NAMES: &[&str] = &["key", "name", "field", "option", "parameter", "property", "setting", "header"];
const VALUES: &[&str] =
    &["value", "pending", "old", "new", "content", "data", "before", "after", "default", "current"];
/// Fields that hold a command and its arguments.
const COMMANDS: &[&str] = &["command", "argv", "cmd"];
/// Fields of a log's line, where its row is an object.
const LINES: &[&str] = &["t", "msg", "message", "text"];

/// Replaces every secret in `value`, which an endpoint of the path template `path` takes or gives. Returns how many there
/// were.
pub fn withhold(path: &str, value: &mut Value) -> usize {
    match value {
        Value::Object(object) => fields(path, object),
        Value::Array(items) => {
            // First: a key's first line looks like one by itself, and without it the others would not.
            let spread = lines::withhold(items.iter_mut().filter_map(line));
            spread + items.iter_mut().map(|item| withhold(path, item)).sum::<usize>()
        }
        Value::String(text) => replace(text, cut_at(path, text)),
        _ => 0,
    }
}

/// The fields of an object that name the setting whose value stands beside, if this field holds such a value.
pub fn names_beside(field: &str) -> &'static [&'static str] {
    if VALUES.contains(&field) { NAMES } else { &[] }
}

fn fields(path: &str, object: &mut Map<String, Value>) -> usize {
    let names_one = NAMES
        .iter()
        .any(|name| object.get(*name).and_then(Value::as_str).is_some_and(|name| is_secret(path, name)));
    let mut found = 0;
    for (name, value) in object.iter_mut() {
        let said_beside = names_one && VALUES.contains(&name.as_str());
        if (said_beside || is_secret(path, name)) && holds_something(value) {
            *value = WITHHELD.into();
            found += 1;
        } else {
            if COMMANDS.contains(&name.as_str()) {
                found += command(value);
            }
            found += withhold(path, value);
        }
    }
    found
}

/// An empty text, a flag or nothing is no secret: `"password": null`, `"password": 1`. A PIN may have come as a number.
fn holds_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::Number(number) => !matches!(number.as_u64(), Some(0 | 1)),
        Value::String(text) => !text.is_empty() && text != WITHHELD,
        Value::Array(items) => !items.is_empty(),
        Value::Object(object) => !object.is_empty(),
    }
}

fn command(value: &mut Value) -> usize {
    let texts = match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter_mut().filter_map(text).collect(),
        _ => return 0,
    };
    let clean = argv::withhold(&texts);
    texts
        .into_iter()
        .zip(clean)
        .map(|(text, clean)| {
            let changed = *text != clean;
            replace(text, changed.then_some((clean, 1)))
        })
        .sum()
}

/// A list's own text, or that of its row, as the line of a log that it may be.
fn line(item: &mut Value) -> Option<&mut String> {
    match item {
        Value::String(text) => Some(text),
        Value::Object(row) => {
            let name = LINES.iter().find(|name| row.get(**name).is_some_and(Value::is_string))?;
            text(row.get_mut(*name)?)
        }
        _ => None,
    }
}

fn text(value: &mut Value) -> Option<&mut String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn replace(text: &mut String, clean: Option<(String, usize)>) -> usize {
    let Some((clean, found)) = clean else { return 0 };
    *text = clean;
    found
}
