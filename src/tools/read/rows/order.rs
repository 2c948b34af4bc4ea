//! The order in which rows are wanted: by which fields, and how two rows compare by them.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::super::filter::number;

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

/// Two rows by their keys; those of the left one are made as they are needed.
pub fn compare<'l, 'r, 'k: 'r>(
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

/// What decides a row's place.
pub enum Key<'a> {
    Absent,
    Number(f64),
    Text(Cow<'a, str>),
}

impl<'a> Key<'a> {
    pub fn of(field: Option<Cow<'a, str>>) -> Self {
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

    pub fn into_owned(self) -> Key<'static> {
        match self {
            Self::Absent => Key::Absent,
            Self::Number(number) => Key::Number(number),
            Self::Text(text) => Key::Text(text.into_owned().into()),
        }
    }

    pub fn borrowed(&self) -> Key<'_> {
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
