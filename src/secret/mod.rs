//! What is never shown, logged or recorded: values whose name says that they are secret, and texts that look like one.
//!
//! In: JSON as PVE gave it, or text. Out: the same without secrets. Names come first, by a table; patterns catch what
//! stands inside free text, as a log or a cloud-init file does. It must never be asked whether a secret is *right*.

mod names;

use std::sync::LazyLock;

use regex::{Regex, RegexSet};
use serde_json::Value;

pub use names::is_secret;

/// What stands where a secret stood.
pub const WITHHELD: &str = "[withheld]";

/// Replaces every secret in `value`, which an endpoint of the path template `path` gave. Returns how many there were.
pub fn withhold(path: &str, value: &mut Value) -> usize {
    match value {
        Value::Object(object) => {
            // A list of settings: `{"key": "cipassword", "value": "…", "pending": "…"}`.
            let names_one = object.get("key").and_then(Value::as_str).is_some_and(|key| is_secret(path, key));
            let mut found = 0;
            for (name, value) in object.iter_mut() {
                let said_beside = names_one && matches!(name.as_str(), "value" | "pending" | "old" | "new");
                if (said_beside || is_secret(path, name)) && holds_something(value) {
                    *value = WITHHELD.into();
                    found += 1;
                } else {
                    found += withhold(path, value);
                }
            }
            found
        }
        Value::Array(items) => items.iter_mut().map(|item| withhold(path, item)).sum(),
        Value::String(text) => match cut(text) {
            Some((clean, found)) => {
                *text = clean;
                found
            }
            None => 0,
        },
        _ => 0,
    }
}

/// A number, a flag or nothing is no secret: `"tokens": 1`, `"password": null`.
fn holds_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => !text.is_empty() && text != WITHHELD,
        Value::Array(items) => !items.is_empty(),
        Value::Object(object) => !object.is_empty(),
    }
}

/// The text without what looks like a secret in it, and how many there were; nothing if there is none, as is usual.
pub fn cut(text: &str) -> Option<(String, usize)> {
    let hits = PATTERNS.set.matches(text);
    if !hits.matched_any() {
        return None;
    }
    let (mut clean, mut found) = (text.to_owned(), 0);
    for index in hits.iter() {
        let pattern = &PATTERNS.each[index];
        found += pattern.find_iter(&clean).count();
        clean = pattern.replace_all(&clean, format!("${{keep}}{WITHHELD}")).into_owned();
    }
    Some((clean, found))
}

/// Each keeps what its group `keep` took, so that a reader sees what was there.
const LOOKS: &[(&str, &str)] = &[
    (
        "a private key",
        r"(?P<keep>)-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|\z)",
    ),
    (
        "a token of PVE, PBS or PMG",
        r"(?P<keep>P[VBM][EGS]APIToken[=:\s]+[^\s=:!]+![^\s=:]+)[=:][0-9a-fA-F-]{36}",
    ),
    (
        "a token in the form of its file",
        r"(?P<keep>[\w.+-]+@[\w.-]+![\w.-]+=)[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    ),
    ("a ticket", r"(?P<keep>\b(PVE|PBS|PMG)(VNC|AUTH)?:)[^\s:]*(:[^\s:]*)*::[A-Za-z0-9+/=]{40,}"),
    ("a password's hash", r"(?P<keep>)\$(1|2[abxy]|5|6|7|y|gy|argon2id?)\$[./A-Za-z0-9$=,+-]{8,}"),
    (
        "a setting of a configuration file",
        r#"(?im)(?P<keep>^[ \t"'-]*(hashed_passwd|passwd|password|secret|cipassword|api[_-]?key|private[_-]?key)["']?[ \t]*[:=][ \t]*)[^\s{\[][^\n]*"#,
    ),
    ("credentials in an address", r"(?P<keep>\b[a-z][a-z0-9+.-]*://[^\s/:@]+:)[^\s/@]+(?:@)"),
    ("an authorization header", r"(?i)(?P<keep>\bauthorization:\s*(bearer|basic)\s+)[A-Za-z0-9._~+/=-]+"),
];

struct Patterns {
    set: RegexSet,
    each: Vec<Regex>,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    let sources = LOOKS.iter().map(|(_, source)| *source);
    // They are constants, and a test compiles them.
    Patterns {
        set: RegexSet::new(sources.clone()).unwrap_or_else(|error| panic!("{error}")),
        each: sources.map(|source| Regex::new(source).unwrap_or_else(|error| panic!("{error}"))).collect(),
    }
});

#[cfg(test)]
mod tests;
