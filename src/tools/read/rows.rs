//! A list that PVE gives, to the rows that were asked for: filtered, in order, a page of them.
//!
//! The list may have tens of thousands of rows, of which a page shows a hundred. So a row is looked at while it comes, and
//! only at the fields that decide; it stays the text that it is if it may be shown, and otherwise nothing of it stays.

mod fields;
mod order;

use std::borrow::Cow;
use std::cmp::Ordering;

use super::cutter::Marks;
use super::filter::{Filter, Ordered};
use super::veil::{self, Veil};
use fields::Fields;
use order::{Key, compare};

use crate::pve::surrogates;

pub use fields::pick;
pub use order::By;

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
    ordered: Ordered,
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
    /// What was compared with all of a field, and stands among others in some row's.
    pub among: Option<String>,
    /// Why the filter says nothing of these rows.
    pub misfit: Option<String>,
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
            ordered: Ordered::default(),
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
        let row: &str = &surrogates::whole(row);
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
        if !filter.passes((0..filtered).map(field), &mut self.ordered) {
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
            among: self.wanted.filter.among(&self.ordered),
            misfit: self.wanted.filter.misfit(&self.ordered),
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

#[cfg(test)]
mod tests;
