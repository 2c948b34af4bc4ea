//! Fields found in a row: by looking for their names where the row is flat, by a parser where it is not.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::flat::{self, Value};

/// Fields to find in many rows.
pub struct Fields<'names> {
    pub names: Vec<&'names str>,
    /// The same, for flat rows; `None`: a parser must look.
    flat: Option<Vec<flat::Name>>,
}

impl<'names> Fields<'names> {
    pub fn new(names: Vec<&'names str>) -> Self {
        let flat = names.iter().map(|name| flat::Name::new(name)).collect();
        Self { names, flat }
    }

    /// The fields of a row.
    pub fn of<'a>(&self, row: &'a str, flat: bool) -> serde_json::Result<Found<'_, 'a>> {
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
    pub fn forget(&mut self, done: &[bool]) {
        if !done.contains(&true) {
            return;
        }
        let left = self.names.iter().zip(done).filter_map(|(name, done)| (!done).then_some(*name));
        *self = Self::new(left.collect());
    }
}

/// A row in which they are looked for.
pub enum Found<'names, 'row> {
    Flat(&'names [flat::Name], &'row str),
    Parsed(Vec<Option<&'row str>>),
}

impl<'row> Found<'_, 'row> {
    /// By the number of its name.
    pub fn field(&self, at: usize) -> Option<Value<'row>> {
        match self {
            Self::Flat(names, row) => names[at].of(row),
            Self::Parsed(found) => found[at].map(|written| Value { written, is_word: false }),
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
