//! What a filter and an order may see of a row: what would be shown of it, and no more. Otherwise `where cipassword ~ ^a`
//! would tell by its total what nobody is shown.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem::Finder;
use serde_json::Value;

use super::filter::meaning;
use super::flat;
use super::page::{PageError, View};
use super::rows;
use crate::secret::{self, WITHHELD};
use crate::text::{clean, clean_json};

/// Over the fields of a list's rows.
pub struct Veil<'t> {
    template: &'t str,
    fields: Vec<Field>,
}

enum Field {
    Open,
    Secret,
    /// The value of a setting that another field of its row names.
    Beside(&'static [&'static str]),
}

impl<'t> Veil<'t> {
    /// Of the fields `names`, in what the endpoint of the path template `template` gave.
    pub fn over(template: &'t str, names: &[&str]) -> Self {
        let field = |name: &&str| match secret::names_beside(name) {
            _ if is_secret(template, name) => Field::Secret,
            [] => Field::Open,
            names => Field::Beside(names),
        };
        Self { template, fields: names.iter().map(field).collect() }
    }

    /// What the field of the number `at` means, where it stands in `row` as this `value`. Nothing: it is not to be seen.
    pub fn see<'a>(&self, at: usize, row: &'a str, value: flat::Value<'a>) -> Option<Cow<'a, str>> {
        match self.fields[at] {
            Field::Secret => return None,
            Field::Beside(names) if self.names_a_secret(row, names) => return None,
            _ => {}
        }
        let flat::Value { written, is_word } = value;
        if is_word {
            return Some(written[1..written.len() - 1].into());
        }
        Some(match written.as_bytes().first() {
            Some(b'"') => self.text(meaning(written)),
            Some(b'{' | b'[') => self.nested(written).into(),
            _ => meaning(written),
        })
    }

    fn names_a_secret(&self, row: &str, names: &[&str]) -> bool {
        let mut found = vec![None; names.len()];
        // What cannot be read is not shown either.
        rows::pick(row, names, &mut found).is_err()
            || found.into_iter().flatten().any(|name| is_secret(self.template, &meaning(name)))
    }

    fn text<'a>(&self, text: Cow<'a, str>) -> Cow<'a, str> {
        if flat::is_word(&text) {
            return text;
        }
        let text = match text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            true => text,
            false => {
                let mut value = Value::String(text.into_owned());
                clean_json(&mut value);
                value.as_str().unwrap_or_default().to_owned().into()
            }
        };
        match secret::cut_at(self.template, &text) {
            Some((clean, _)) => clean.into(),
            None => text,
        }
    }

    fn nested(&self, written: &str) -> String {
        let Ok(mut value) = serde_json::from_str::<Value>(written) else { return String::new() };
        hide(self.template, &mut value);
        value.to_string()
    }
}

/// A name may come with characters in it that nobody sees.
fn is_secret(template: &str, name: &str) -> bool {
    secret::is_secret(template, name) || secret::is_secret(template, &clean(name.as_bytes()))
}

/// Cleaned first: what hides inside a name would hide the name.
pub fn hide(template: &str, value: &mut Value) {
    clean_json(value);
    secret::withhold(template, value);
}

/// How much was withheld of what is shown.
pub fn count(value: &Value) -> usize {
    match value {
        Value::String(text) => text.matches(WITHHELD).count(),
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(object) => object.values().map(count).sum(),
        _ => 0,
    }
}

/// A view that names what is secret is refused: it could only find out what is not shown.
pub fn refuse(view: &View, template: &str) -> Result<(), PageError> {
    let named = view.filter.fields().map(|field| ("where", field));
    let named = named.chain(view.by.iter().map(|by| ("sort", by.field.as_str())));
    match named.into_iter().find(|(_, field)| is_secret(template, field)) {
        Some((what, field)) => Err(PageError::Secret { what, field: clean(field.as_bytes()) }),
        None => Ok(()),
    }
}

/// What begins a private key, wherever it stands.
pub const KEY: &str = "PRIVATE KEY";

/// Whether a list that begins with this row is a log, in which a secret may spread over several rows, as a key does.
pub fn is_log(first: &str) -> bool {
    first.starts_with('"') || first.contains("\"t\":") || first.contains("\"msg\":")
}

/// Whether from this row on a secret may spread over several.
pub fn holds_key(row: &str) -> bool {
    row.contains(KEY)
}

/// Rows around one that begins or ends a key, and around one that looks like a line of its middle, that are looked at.
const AROUND_MARK: usize = 200;
const AROUND_LINE: usize = 8;
/// Rows that are taken apart at once.
const AT_ONCE: usize = 5_000;

/// The rows of a list in which a secret may spread over several of them, as a key does in a log, without it. Nothing: no row
/// of it looks so. All others stay as they are: a log may have a million.
pub fn of_log<'a>(list: &[&'a str], template: &str) -> serde_json::Result<Option<Vec<Cow<'a, str>>>> {
    let mark = Finder::new("-----");
    let mut windows: Vec<Range<usize>> = Vec::new();
    for (at, row) in list.iter().enumerate() {
        let around = match mark.find(row.as_bytes()) {
            Some(_) => AROUND_MARK,
            None if has_long_word(row.as_bytes()) => AROUND_LINE,
            None => continue,
        };
        let window = at.saturating_sub(around)..(at + around + 1).min(list.len());
        let end = windows.last().map_or(0, |last| last.end);
        let window = window.start.max(end)..window.end.max(end);
        match windows.last_mut().filter(|last| last.end == window.start && last.len() < AT_ONCE) {
            Some(last) => last.end = window.end,
            None => windows.push(window),
        }
    }
    if windows.is_empty() {
        return Ok(None);
    }
    let mut rows: Vec<Cow<str>> = list.iter().map(|row| Cow::Borrowed(*row)).collect();
    for window in windows {
        let parsed = list[window.clone()].iter().map(|row| serde_json::from_str(row));
        let mut parsed = Value::Array(parsed.collect::<Result<_, _>>()?);
        hide(template, &mut parsed);
        for (row, value) in rows[window].iter_mut().zip(parsed.as_array().into_iter().flatten()) {
            *row = value.to_string().into();
        }
    }
    Ok(Some(rows))
}

/// Whether there is a word as long as a key's line.
fn has_long_word(bytes: &[u8]) -> bool {
    const LINE: usize = 60;
    // A `/` may have a backslash before it.
    let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=\\".contains(byte);
    let mut from = 0;
    while let Some(part) = bytes.get(from..from + LINE) {
        match part.iter().rposition(|byte| !is_of_word(byte)) {
            Some(at) => from += at + 1,
            None => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests;
