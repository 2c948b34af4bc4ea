//! A list that PVE gave, to the rows that were asked for: filtered, in order, a page of them.
//!
//! The list may have tens of thousands of rows, of which a page shows a hundred. So a row stays the text that it is, of
//! which only the fields that decide are read; what is shown is parsed last.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::filter::{Filter, meaning, number};

/// A field to sort by.
#[derive(Debug, Clone, PartialEq)]
pub struct By {
    pub field: String,
    pub descending: bool,
}

impl By {
    /// `name`, `-mem`, `mem desc`.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let (field, descending) = match text.strip_prefix('-') {
            Some(field) => (field, true),
            None => {
                let mut words = text.split_whitespace();
                let field = words.next().unwrap_or_default();
                (field, words.next().is_some_and(|word| word.to_lowercase().starts_with("desc")))
            }
        };
        Self { field: field.trim_start_matches('+').to_owned(), descending }
    }
}

/// Which guests a caller may see.
pub type Sees<'a> = &'a dyn Fn(u32) -> bool;

/// The rows of `list` that pass, in order. `list` is a JSON array, as [`RawValue`] guarantees. With `sees`, a row of a
/// guest that it does not include is not there.
pub fn select<'a>(
    list: &'a RawValue,
    filter: &Filter,
    by: &[By],
    sees: Option<Sees>,
) -> serde_json::Result<Vec<&'a RawValue>> {
    let rows: Vec<&RawValue> = serde_json::from_str(list.get())?;
    let filtered: Vec<&str> = filter.fields().collect();
    let sorted: Vec<&str> = by.iter().map(|by| by.field.as_str()).collect();
    if filtered.is_empty() && sorted.is_empty() && sees.is_none() {
        return Ok(rows);
    }
    let mut names: Vec<&str> = filtered.iter().chain(&sorted).copied().collect();
    let guest = names.len();
    names.extend(sees.map(|_| "vmid"));
    let mut kept: Vec<(Vec<Key>, &RawValue)> = Vec::with_capacity(rows.len());
    let mut fields = vec![None; names.len()];
    for row in rows {
        pick(row, &names, &mut fields)?;
        let seen = match (sees, fields.get(guest).copied().flatten()) {
            (Some(sees), Some(vmid)) => meaning(vmid).parse().is_ok_and(sees),
            _ => true,
        };
        if seen && filter.passes(&fields[..filtered.len()]) {
            let keys = fields[filtered.len()..guest].iter().map(|field| Key::of(*field)).collect();
            kept.push((keys, row));
        }
    }
    kept.sort_by(|(left, _), (right, _)| compare(left, right, by));
    Ok(kept.into_iter().map(|(_, row)| row).collect())
}

fn compare(left: &[Key], right: &[Key], by: &[By]) -> Ordering {
    let mut orderings = left.iter().zip(right).zip(by).map(|((left, right), by)| match (left, right) {
        // What is not there stands last, whichever way the rest goes.
        (Key::Absent, Key::Absent) => Ordering::Equal,
        (Key::Absent, _) => Ordering::Greater,
        (_, Key::Absent) => Ordering::Less,
        _ if by.descending => right.compare(left),
        _ => left.compare(right),
    });
    orderings.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
}

enum Key {
    Absent,
    Number(f64),
    Text(String),
}

impl Key {
    fn of(field: Option<&RawValue>) -> Self {
        let Some(field) = field else { return Self::Absent };
        let text = meaning(field);
        match number(&text) {
            Some(number) => Self::Number(number),
            None if text.is_empty() => Self::Absent,
            None => Self::Text(text.to_lowercase()),
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => left.total_cmp(right),
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            (Self::Number(_), _) => Ordering::Less,
            _ => Ordering::Greater,
        }
    }
}

/// The fields `names` of a row, each at the place of its name in `found`. A row that is no object has the one field
/// `value`.
pub fn pick<'a>(
    row: &'a RawValue,
    names: &[&str],
    found: &mut [Option<&'a RawValue>],
) -> serde_json::Result<()> {
    found.fill(None);
    if !row.get().starts_with('{') {
        for (name, place) in names.iter().zip(found) {
            *place = (*name == "value").then_some(row);
        }
        return Ok(());
    }
    Pick { names, found }.deserialize(&mut serde_json::Deserializer::from_str(row.get()))
}

struct Pick<'names, 'found, 'a> {
    names: &'names [&'names str],
    found: &'found mut [Option<&'a RawValue>],
}

impl<'a> DeserializeSeed<'a> for Pick<'_, '_, 'a> {
    type Value = ();
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Pick<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a row")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        #[derive(serde::Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
        while let Some(Name(name)) = map.next_key()? {
            let mut wanted = (0..self.names.len()).filter(|at| self.names[*at] == name).peekable();
            if wanted.peek().is_none() {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value: &RawValue = map.next_value()?;
            wanted.for_each(|at| self.found[at] = Some(value));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::Where;
    use super::*;

    const LIST: &str = r#"[{"vmid":9,"name":"b","mem":"10"},{"name":"A","vmid":"10"},{"vmid":8,"name":"c","mem":9},
                           {"vmid":11,"name":"a","nested":{"vmid":1}}]"#;

    fn ids(filter: &str, by: &[&str]) -> Vec<String> {
        let list: &RawValue = serde_json::from_str(LIST).unwrap();
        let filter = Filter::parse(&Where::Text(filter.into())).unwrap();
        let by: Vec<By> = by.iter().map(|text| By::parse(text)).collect();
        let rows = select(list, &filter, &by, None).unwrap();
        let mut found = [None];
        rows.iter()
            .map(|row| {
                pick(row, &["vmid"], &mut found).unwrap();
                meaning(found[0].unwrap())
            })
            .collect()
    }

    #[test]
    fn rows_come_in_the_order_that_is_asked_for() {
        assert_eq!(ids("", &[]), ["9", "10", "8", "11"]);
        assert_eq!(ids("", &["vmid"]), ["8", "9", "10", "11"]);
        assert_eq!(ids("", &["-vmid"]), ["11", "10", "9", "8"]);
        assert_eq!(ids("", &["vmid desc"]), ["11", "10", "9", "8"]);
        assert_eq!(ids("", &["name", "vmid"]), ["10", "11", "9", "8"]);
        assert_eq!(ids("", &["mem", "vmid"]), ["8", "9", "10", "11"], "absent is last");
        assert_eq!(ids("", &["-mem", "-vmid"]), ["9", "8", "11", "10"], "absent is last here too");
    }

    #[test]
    fn rows_that_do_not_pass_are_left_out() {
        assert_eq!(ids("name = a", &["vmid"]), ["10", "11"]);
        assert_eq!(ids("mem > 0", &[]), ["9", "8"]);
    }

    #[test]
    fn rows_that_are_no_objects_have_a_value() {
        let list: &RawValue = serde_json::from_str(r#"["b","a","c"]"#).unwrap();
        let filter = Filter::parse(&Where::Text("value != b".into())).unwrap();
        let rows = select(list, &filter, &[By::parse("-value")], None).unwrap();
        assert_eq!(rows.iter().map(|row| row.get()).collect::<Vec<_>>(), ["\"c\"", "\"a\""]);
    }
}
