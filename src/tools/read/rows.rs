//! A list that PVE gives, to the rows that were asked for: filtered, in order, a page of them.
//!
//! The list may have tens of thousands of rows, of which a page shows a hundred. So a row is looked at while it comes, and
//! only at the fields that decide; it stays the text that it is if it may be shown, and otherwise nothing of it stays.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::cutter::Marks;
use super::filter::{Filter, number};
use super::flat::{self, Value};
use super::veil::{self, Veil};

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

/// Which rows there are for the caller, before anything else is decided by them.
pub trait Shows: Sync {
    /// A row as the caller may see it; nothing: it is not there.
    fn show<'row>(&self, row: &'row str) -> Option<Cow<'row, str>>;
}

/// What is wanted of a list.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The endpoint's path template: what is secret there decides nothing.
    pub template: &'a str,
    pub filter: &'a Filter,
    pub by: &'a [By],
    /// `None`: all rows are there, as they are.
    pub shows: Option<&'a dyn Shows>,
    /// Rows, from the first in order.
    pub most: usize,
    /// Fields that some row should have.
    pub named: &'a [&'a str],
}

/// The rows of a list that are wanted, chosen while they come: of what is not wanted nothing stays.
pub struct Selection<'a> {
    wanted: Wanted<'a>,
    fields: Fields<'a>,
    veil: Veil<'a>,
    /// The rows from one on behind which a secret may spread over several, kept until all are there.
    log: Option<Vec<String>>,
    rows: usize,
    passing: usize,
    /// At most twice as many as are wanted; once they were as many, the last wanted one is at its place.
    kept: Vec<Kept>,
    last: Option<usize>,
    /// Bytes of all in `kept`.
    bytes: usize,
    /// Of [`Wanted::named`], what no row had yet; and the first rows, for what there is in its place.
    unseen: Fields<'a>,
    first: Vec<String>,
    broken: Option<serde_json::Error>,
}

/// What was chosen.
#[derive(Debug, Default)]
pub struct Selected {
    /// Rows that pass.
    pub total: usize,
    /// The first of them, in order.
    pub rows: Vec<String>,
    /// Fields that no row has; none where there are no rows.
    pub unseen: Vec<String>,
    /// The first rows that came, if there are such fields.
    pub first: Vec<String>,
}

struct Kept {
    keys: Vec<Key<'static>>,
    /// Rows that are equal stay as they came.
    at: usize,
    text: String,
}

/// Rows by which it is told what fields there are.
const FIRST: usize = 100;

impl<'a> Selection<'a> {
    pub fn new(wanted: Wanted<'a>) -> Self {
        let Wanted { filter, by, named, template, .. } = wanted;
        let fields = filter.fields().chain(by.iter().map(|by| by.field.as_str()));
        let fields = Fields::new(fields.collect());
        Self {
            wanted,
            veil: Veil::over(template, &fields.names),
            fields,
            log: None,
            rows: 0,
            passing: 0,
            kept: Vec::new(),
            last: None,
            bytes: 0,
            unseen: Fields::new(named.to_vec()),
            first: Vec::new(),
            broken: None,
        }
    }

    /// As new.
    pub fn begin(&mut self) {
        *self = Self::new(self.wanted);
    }

    /// Bytes that it holds.
    pub fn holds(&self) -> usize {
        self.bytes
    }

    /// The next row.
    pub fn row(&mut self, row: &str, marks: Marks) {
        let seen = match self.wanted.shows {
            Some(shows) => shows.show(row),
            None => Some(Cow::Borrowed(row)),
        };
        let Some(seen) = seen else { return };
        let flat = marks.flat && matches!(seen, Cow::Borrowed(_));
        self.rows += 1;
        let spreads = || (self.rows == 1 && veil::is_log(&seen)) || (marks.key && veil::holds_key(&seen));
        if self.log.is_some() || spreads() {
            self.bytes += seen.len() + size_of::<String>();
            self.log.get_or_insert_default().push(seen.into_owned());
        } else {
            self.take(&seen, flat);
        }
    }

    fn take(&mut self, row: &str, flat: bool) {
        if self.broken.is_none()
            && let Err(error) = self.choose(row, flat)
        {
            self.broken = Some(error);
        }
    }

    fn choose(&mut self, row: &str, flat: bool) -> serde_json::Result<()> {
        if !self.unseen.names.is_empty() {
            self.look_for_named(row, flat)?;
        }
        let Wanted { filter, by, most, .. } = self.wanted;
        let found = self.fields.of(row, flat)?;
        let filtered = self.fields.names.len() - by.len();
        let field = |at| self.veil.see(at, row, found.field(at)?);
        if !filter.passes((0..filtered).map(field)) {
            return Ok(());
        }
        self.passing += 1;
        let key = |at: usize| Key::of(field(filtered + at));
        let is_wanted = match self.last {
            // What comes later stands behind its equals.
            Some(last) => compare(by, key, |at| &self.kept[last].keys[at]).is_lt(),
            None => most > 0,
        };
        if !is_wanted || (by.is_empty() && self.kept.len() >= most) {
            return Ok(());
        }
        let keys = (0..by.len()).map(|at| key(at).into_owned()).collect();
        let kept = Kept { keys, at: self.passing, text: row.to_owned() };
        self.bytes += kept.size();
        self.kept.push(kept);
        if self.kept.len() >= most.saturating_mul(2).max(64) {
            self.cut();
        }
        Ok(())
    }

    /// Leaves the first that are wanted, in no order but the last of them last.
    fn cut(&mut self) {
        let Wanted { by, most, .. } = self.wanted;
        if most == 0 || self.kept.len() < most {
            return;
        }
        self.kept.select_nth_unstable_by(most - 1, |left, right| left.compare(right, by));
        self.kept.truncate(most);
        self.last = Some(most - 1);
        self.bytes = self
            .kept
            .iter()
            .map(|kept| kept.text.len() + size_of::<Kept>() + by.len() * size_of::<Key>())
            .sum();
    }

    fn look_for_named(&mut self, row: &str, flat: bool) -> serde_json::Result<()> {
        let found = self.unseen.of(row, flat)?;
        let is_there: Vec<bool> = (0..self.unseen.names.len()).map(|at| found.field(at).is_some()).collect();
        self.unseen.forget(&is_there);
        match self.unseen.names.is_empty() {
            true => self.first = Vec::new(),
            false if self.first.len() < FIRST => {
                self.bytes += row.len();
                self.first.push(row.to_owned());
            }
            false => {}
        }
        Ok(())
    }

    pub fn finish(mut self) -> serde_json::Result<Selected> {
        if let Some(log) = self.log.take() {
            let rows: Vec<&str> = log.iter().map(String::as_str).collect();
            match veil::of_log(&rows, self.wanted.template)? {
                Some(seen) => seen.iter().for_each(|row| self.take(row, false)),
                None => rows.into_iter().for_each(|row| self.take(row, false)),
            }
        }
        if let Some(error) = self.broken {
            return Err(error);
        }
        let by = self.wanted.by;
        self.cut();
        self.kept.sort_unstable_by(|left, right| left.compare(right, by));
        let unseen = if self.rows == 0 { vec![] } else { self.unseen.names };
        Ok(Selected {
            total: self.passing,
            rows: self.kept.into_iter().map(|kept| kept.text).collect(),
            unseen: unseen.into_iter().map(str::to_owned).collect(),
            first: self.first,
        })
    }
}

impl Kept {
    fn size(&self) -> usize {
        self.text.len() + size_of::<Self>() + self.keys.len() * size_of::<Key>()
    }

    fn compare(&self, other: &Self, by: &[By]) -> Ordering {
        compare(by, |at| self.keys[at].borrowed(), |at| &other.keys[at]).then_with(|| self.at.cmp(&other.at))
    }
}

/// Fields to find in many rows.
struct Fields<'names> {
    names: Vec<&'names str>,
    /// The same, for flat rows; `None`: a parser must look.
    flat: Option<Vec<flat::Name>>,
}

impl<'names> Fields<'names> {
    fn new(names: Vec<&'names str>) -> Self {
        let flat = names.iter().map(|name| flat::Name::new(name)).collect();
        Self { names, flat }
    }

    /// The fields of a row.
    fn of<'a>(&self, row: &'a str, flat: bool) -> serde_json::Result<Found<'_, 'a>> {
        match &self.flat {
            Some(names) if flat => Ok(Found::Flat(names, row)),
            _ => {
                let mut found = vec![None; self.names.len()];
                pick(row, &self.names, &mut found)?;
                Ok(Found::Parsed(found))
            }
        }
    }

    /// Looks no more for those that are `done`.
    fn forget(&mut self, done: &[bool]) {
        if !done.contains(&true) {
            return;
        }
        let left = self.names.iter().zip(done).filter_map(|(name, done)| (!done).then_some(*name));
        *self = Self::new(left.collect());
    }
}

enum Found<'names, 'row> {
    Flat(&'names [flat::Name], &'row str),
    Parsed(Vec<Option<&'row str>>),
}

impl<'row> Found<'_, 'row> {
    /// By the number of its name.
    fn field(&self, at: usize) -> Option<Value<'row>> {
        match self {
            Self::Flat(names, row) => names[at].of(row),
            Self::Parsed(found) => found[at].map(|written| Value { written, is_word: false }),
        }
    }
}

/// Two rows by their keys; those of the left one are made as they are needed.
fn compare<'l, 'r, 'k: 'r>(
    by: &[By],
    left: impl Fn(usize) -> Key<'l>,
    right: impl Fn(usize) -> &'r Key<'k>,
) -> Ordering {
    let mut orderings = by.iter().enumerate().map(|(at, by)| match (&left(at), right(at)) {
        // What is not there stands last, whichever way the rest goes.
        (Key::Absent, Key::Absent) => Ordering::Equal,
        (Key::Absent, _) => Ordering::Greater,
        (_, Key::Absent) => Ordering::Less,
        (left, right) if by.descending => right.compare(left),
        (left, right) => left.compare(right),
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

    fn into_owned(self) -> Key<'static> {
        match self {
            Self::Absent => Key::Absent,
            Self::Number(number) => Key::Number(number),
            Self::Text(text) => Key::Text(text.into_owned().into()),
        }
    }

    fn borrowed(&self) -> Key<'_> {
        match self {
            Self::Absent => Key::Absent,
            Self::Number(number) => Key::Number(*number),
            Self::Text(text) => Key::Text(Cow::Borrowed(text)),
        }
    }

    fn compare(&self, other: &Key) -> Ordering {
        match (self, other) {
            (Self::Number(left), Key::Number(right)) => left.total_cmp(right),
            (Self::Text(left), Key::Text(right)) => left.cmp(right),
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

    fn select(list: &str, filter: &str, by: &[&str], shows: Option<&dyn Shows>, most: usize) -> Selected {
        let filter = Filter::parse(&Where::Text(filter.into())).unwrap();
        let by: Vec<By> = by.iter().map(|text| By::parse(text)).collect();
        let mut selection =
            Selection::new(Wanted { template: "/x", filter: &filter, by: &by, shows, most, named: &[] });
        for row in serde_json::from_str::<Vec<&RawValue>>(list).unwrap() {
            selection.row(row.get(), Marks::default());
        }
        selection.finish().unwrap()
    }

    fn ids(filter: &str, by: &[&str]) -> Vec<String> {
        let selected = select(LIST, filter, by, None, 9);
        assert_eq!(selected.rows.len(), selected.total);
        let mut found = [None];
        let rows = selected.rows.iter().map(|row| {
            pick(row, &["vmid"], &mut found).unwrap();
            meaning(found[0].unwrap()).into_owned()
        });
        rows.collect()
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
        assert_eq!(select(r#"["b","a","c"]"#, "value != b", &["-value"], None, 9).rows, ["\"c\"", "\"a\""]);
    }

    struct Odd;

    impl Shows for Odd {
        fn show<'row>(&self, row: &'row str) -> Option<Cow<'row, str>> {
            let vmid = serde_json::from_str::<serde_json::Value>(row).ok()?["vmid"].as_u64()?;
            (vmid % 2 == 1).then(|| Cow::Owned(row.to_owned()))
        }
    }

    /// However few are kept on the way, they are the first of all in order, and nothing more is held.
    #[test]
    fn a_part_of_a_list_is_the_beginning_of_the_whole() {
        let row = |at: u32| {
            let name = ["web", "Web", "a\"b", "", "10"][at as usize % 5];
            let mut row =
                serde_json::json!({ "vmid": at * 7919 % 1000, "name": name, "mem": (at % 9).to_string() });
            if at.is_multiple_of(3) {
                row["lock"] = serde_json::Value::Null;
            }
            row
        };
        let list = serde_json::Value::from_iter((0..500).map(row)).to_string();
        for filter in ["", "name = web", "mem > 3 and lock = ''", "name ~ b", "vmid < 500 and name != web"] {
            for by in [vec![], vec!["vmid"], vec!["-name", "mem"], vec!["lock"], vec!["a b"]] {
                for shows in [None, Some(&Odd as &dyn Shows)] {
                    let whole = select(&list, filter, &by, shows, usize::MAX);
                    for most in [0, 1, 20, 100, 1000] {
                        let part = select(&list, filter, &by, shows, most);
                        assert_eq!(part.total, whole.total);
                        assert_eq!(
                            part.rows,
                            whole.rows[..most.min(whole.rows.len())],
                            "{filter} {by:?} {most}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_field_that_no_row_has_is_told_with_what_there_is() {
        let rows = |named: &[&str]| {
            let wanted =
                Wanted { template: "/x", filter: &Filter::default(), by: &[], shows: None, most: 0, named };
            let mut selection = Selection::new(wanted);
            (0..300).for_each(|at| {
                selection.row(&format!("{{\"a\":{at}}}"), Marks { flat: at % 2 == 0, key: false })
            });
            selection.row(r#"{"b":{"c":1}}"#, Marks::default());
            selection.finish().unwrap()
        };
        assert!(rows(&["a", "b"]).unseen.is_empty() && rows(&["a", "b"]).first.is_empty());
        let missing = rows(&["c", "a"]);
        assert_eq!((missing.unseen, missing.first.len()), (vec!["c".to_owned()], FIRST));
    }
}
