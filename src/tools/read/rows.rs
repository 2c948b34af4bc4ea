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

use super::filter::{Filter, number};
use super::flat;
use super::veil::Veil;

/// A field to sort by.
#[derive(Debug, Clone, PartialEq)]
pub struct By {
    pub field: String,
    pub descending: bool,
}

impl By {
    /// `name`, `-mem`, `mem desc`, `mem:desc`.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let (text, minus) = text.strip_prefix('-').map_or((text, false), |text| (text, true));
        let mut words = text.split([' ', ':']).filter(|word| !word.is_empty());
        let field = words.next().unwrap_or_default().trim_start_matches('+').to_owned();
        let desc = words.next().is_some_and(|word| word.to_lowercase().starts_with("desc"));
        Self { field, descending: minus || desc }
    }
}

/// The rows of a list, each as the text that it is.
pub struct Rows<'a> {
    list: Vec<&'a str>,
    /// They were cut by [`flat::rows`], and [`flat::Name`] finds their fields.
    flat: bool,
}

impl<'a> Rows<'a> {
    /// Of an answer's body, if it is nothing but a list of flat rows, as the long ones are.
    pub fn of_body(body: &'a str) -> Option<Self> {
        flat::rows(body).map(|list| Self { list, flat: true })
    }

    /// Of any JSON array.
    pub fn of_list(list: &'a RawValue) -> serde_json::Result<Self> {
        let list: Vec<&RawValue> = serde_json::from_str(list.get())?;
        Ok(Self { list: list.into_iter().map(RawValue::get).collect(), flat: false })
    }

    pub fn list(&self) -> &[&'a str] {
        &self.list
    }

    /// Of rows that are JSON each.
    pub fn of_texts(rows: &'a [Cow<str>]) -> Self {
        Self { list: rows.iter().map(Cow::as_ref).collect(), flat: false }
    }

    /// The first `most` rows that pass, in order, and how many pass. What is secret in a list of the path template
    /// `template` decides nothing.
    pub fn select(
        &self,
        template: &str,
        filter: &Filter,
        by: &[By],
        most: usize,
    ) -> serde_json::Result<(usize, Vec<&'a str>)> {
        let fields = filter.fields().chain(by.iter().map(|by| by.field.as_str()));
        let fields = Fields::new(fields.collect(), self.flat);
        let veil = Veil::over(template, &fields.names);
        let filtered = filter.fields().count();
        // Of each row that passes its keys, one row's after the other's.
        let (mut passing, mut keys) = (Vec::new(), Vec::new());
        let mut found = vec![None; fields.names.len()];
        for row in &self.list {
            let mut field = fields.of(row, &mut found)?;
            let mut field = |at| veil.see(at, row, field(at)?);
            if filter.passes((0..filtered).map(&mut field)) {
                passing.push(*row);
                keys.extend((filtered..filtered + by.len()).map(|at| Key::of(field(at))));
            }
        }
        Ok((passing.len(), first(&passing, &keys, by, most)))
    }
}

/// The first `most` of `rows`, by the keys that each has as many of as there are in `by`.
fn first<'a>(rows: &[&'a str], keys: &[Key], by: &[By], most: usize) -> Vec<&'a str> {
    let most = most.min(rows.len());
    if by.is_empty() {
        return rows[..most].to_vec();
    }
    let keys_of = |row: usize| &keys[row * by.len()..][..by.len()];
    // Rows that are equal stay as they came.
    let order = |left: &usize, right: &usize| {
        compare(keys_of(*left), keys_of(*right), by).then_with(|| left.cmp(right))
    };
    let mut order_of: Vec<usize> = (0..rows.len()).collect();
    if most > 0 && most < rows.len() {
        order_of.select_nth_unstable_by(most - 1, order);
    }
    order_of.truncate(most);
    order_of.sort_unstable_by(order);
    order_of.into_iter().map(|row| rows[row]).collect()
}

/// Fields to find in many rows.
struct Fields<'names> {
    names: Vec<&'names str>,
    /// The same, for flat rows; `None`: a parser must look.
    flat: Option<Vec<flat::Name>>,
}

impl<'names> Fields<'names> {
    fn new(names: Vec<&'names str>, flat: bool) -> Self {
        let flat = flat.then(|| names.iter().map(|name| flat::Name::new(name)).collect()).flatten();
        Self { names, flat }
    }

    /// The fields of a row, by their number.
    fn of<'a, 'all>(
        &'all self,
        row: &'a str,
        found: &'all mut [Option<&'a str>],
    ) -> serde_json::Result<impl FnMut(usize) -> Option<&'a str> + 'all>
    where
        'a: 'all,
    {
        if self.flat.is_none() {
            pick(row, &self.names, found)?;
        }
        Ok(move |at: usize| match &self.flat {
            Some(flat) => flat[at].of(row),
            None => found[at],
        })
    }
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

enum Key<'a> {
    Absent,
    Number(f64),
    Text(Cow<'a, str>),
}

impl<'a> Key<'a> {
    fn of(field: Option<Cow<'a, str>>) -> Self {
        let Some(text) = field else { return Self::Absent };
        match number(&text) {
            Some(number) => Self::Number(number),
            None if text.is_empty() => Self::Absent,
            None if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) => {
                Self::Text(text)
            }
            None => Self::Text(text.to_lowercase().into()),
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
pub fn pick<'a>(row: &'a str, names: &[&str], found: &mut [Option<&'a str>]) -> serde_json::Result<()> {
    found.fill(None);
    if !row.starts_with('{') {
        for (name, place) in names.iter().zip(found) {
            *place = (*name == "value").then_some(row);
        }
        return Ok(());
    }
    Pick { names, found }.deserialize(&mut serde_json::Deserializer::from_str(row))
}

struct Pick<'names, 'found, 'a> {
    names: &'names [&'names str],
    found: &'found mut [Option<&'a str>],
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
            wanted.for_each(|at| self.found[at] = Some(value.get()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::{Where, meaning};
    use super::*;

    const LIST: &str = r#"[{"vmid":9,"name":"b","mem":"10"},{"name":"A","vmid":"10"},{"vmid":8,"name":"c","mem":9},
                           {"vmid":11,"name":"a","nested":{"vmid":1}}]"#;

    fn ids(filter: &str, by: &[&str]) -> Vec<String> {
        let list: &RawValue = serde_json::from_str(LIST).unwrap();
        let filter = Filter::parse(&Where::Text(filter.into())).unwrap();
        let by: Vec<By> = by.iter().map(|text| By::parse(text)).collect();
        let (total, rows) = Rows::of_list(list).unwrap().select("/x", &filter, &by, 9).unwrap();
        assert_eq!(rows.len(), total);
        let mut found = [None];
        rows.iter()
            .map(|row| {
                pick(row, &["vmid"], &mut found).unwrap();
                meaning(found[0].unwrap()).into_owned()
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
        let rows = Rows::of_list(list).unwrap();
        let (_, rows) = rows.select("/x", &filter, &[By::parse("-value")], 9).unwrap();
        assert_eq!(rows, ["\"c\"", "\"a\""]);
    }

    /// The fast way and the parser's give the same, for every filter, order and part.
    #[test]
    fn a_list_is_the_same_by_either_way() {
        let rows: Vec<_> = (0..300u32)
            .map(|at| {
                let name = ["web", "Web", "a\"b", "", "10"][at as usize % 5];
                let mut row = serde_json::json!({ "vmid": at * 7919 % 1000, "name": name, "mem": (at % 9).to_string() });
                if at % 3 == 0 {
                    row["lock"] = serde_json::Value::Null;
                }
                row
            })
            .collect();
        let body = serde_json::json!({ "data": rows }).to_string();
        let list = serde_json::value::to_raw_value(&rows).unwrap();
        let (fast, parsed) = (Rows::of_body(&body).unwrap(), Rows::of_list(&list).unwrap());
        assert_eq!(fast.list(), parsed.list());
        for filter in ["", "name = web", "mem > 3 and lock = ''", "name ~ b", "vmid < 500 and name != web"] {
            for by in [vec![], vec!["vmid"], vec!["-name", "mem"], vec!["lock"], vec!["a b"]] {
                for most in [0, 1, 20, 1000] {
                    let filter = Filter::parse(&Where::Text(filter.into())).unwrap();
                    let by: Vec<By> = by.iter().map(|text| By::parse(text)).collect();
                    let fast = fast.select("/x", &filter, &by, most).unwrap();
                    assert_eq!(fast, parsed.select("/x", &filter, &by, most).unwrap());
                    let whole = parsed.select("/x", &filter, &by, usize::MAX).unwrap().1;
                    assert_eq!(fast.1, whole[..most.min(whole.len())]);
                }
            }
        }
    }
}
