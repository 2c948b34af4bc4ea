//! `where`: simple comparisons of a row's fields, all of which must hold.
//!
//! `status = running and mem > 4G`, `name ~ web`, `tags has prod`, or an object of fields and their values. PVE writes
//! numbers as strings and booleans as 0 and 1, so a comparison goes by what both sides mean. What a field is compared with
//! is a constant: an expression, a pattern or another field's name would pass the wrong rows, or none, without a word, and
//! is refused.

mod constant;

use std::borrow::Cow;
use std::cmp::Ordering;

use serde::Deserialize;
use serde_json::{Map, Value};

pub use constant::{meaning, number};

/// As a client writes it. The text of an object's field may begin with a sign: `{"mem": ">4G"}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Where {
    Text(String),
    Texts(Vec<String>),
    Fields(Map<String, Value>),
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter(Vec<Comparison>);

#[derive(Debug, Clone, PartialEq)]
struct Comparison {
    field: String,
    operator: Operator,
    value: String,
    /// The value in small letters, and what it is as a number or as seconds of the epoch: looked at once, not for each row.
    lower: String,
    number: Option<f64>,
    /// As an integer: beyond 2^53 two of them may be one and the same float.
    integer: Option<i128>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
    Holds,
    HoldsNot,
}

impl Operator {
    fn orders(self) -> bool {
        matches!(self, Self::Less | Self::AtMost | Self::More | Self::AtLeast)
    }
}

/// Longer ones first: `<` begins `<=`.
const OPERATORS: &[(&str, Operator)] = &[
    ("==", Operator::Equal),
    ("!=", Operator::Unequal),
    ("<>", Operator::Unequal),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("!~", Operator::HoldsNot),
    ("=~", Operator::Holds),
    ("=", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::More),
    ("~", Operator::Holds),
    ("has ", Operator::Holds),
    ("contains ", Operator::Holds),
    ("is not ", Operator::Unequal),
    ("is ", Operator::Equal),
];

#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    #[error(
        "where: \"{0}\" is no comparison; write FIELD = VALUE, or with != < <= > >= ~ (contains), joined by \"and\": \
         status = running and mem > 4G; a value that holds \",\" or \";\" wants quotes: tags = 'a;b'"
    )]
    NoComparison(String),
    #[error(
        "where: nothing follows the last word of \"{0}\"; write the comparison that is missing behind it, or leave the \
         word out; a value that ends with it wants quotes"
    )]
    Dangling(String),
    #[error("where: \"{0}\" is {NO_CONSTANT}")]
    Expression(String),
    #[error(
        "where: \"{0}\" looks like a pattern, and there are none: = compares all of a field, ~ means contains; write \
         FIELD ~ PART, or put the value in quotes to have it taken as it stands"
    )]
    Pattern(String),
}

/// What a field is ordered against.
const NO_CONSTANT: &str = "compared with no constant; write one: 4G, 90%, 1700000000, or a time in UTC as 2026-11-22 or \
                           2026-11-22T08:00:00Z. What is worked out of two fields is yours to compare, from the rows; text \
                           in quotes is compared as text";

/// Of each comparison of a filter whose value is text: whether it was put in order against a row's number, and against a
/// row's text; and whether it was unequal to all of a row's text and equal to a part of it. A bit each.
#[derive(Debug, Default)]
pub struct Ordered {
    numbers: u64,
    texts: u64,
    parts: u64,
}

/// Comparisons that a filter may have: bits of [`Ordered`].
const MOST: usize = 64;

impl Filter {
    pub fn parse(given: &Where) -> Result<Self, FilterError> {
        let texts = match given {
            Where::Text(text) if text.trim_start().starts_with('{') => {
                let fields =
                    crate::text::nested(text).ok_or_else(|| FilterError::NoComparison(brief(text)))?;
                return Self::parse(&Where::Fields(fields));
            }
            Where::Text(text) => std::slice::from_ref(text),
            Where::Texts(texts) => texts,
            Where::Fields(fields) => {
                let of = |(field, value): (&String, &Value)| Comparison::of_member(field, value);
                return fields.iter().map(of).collect::<Result<_, _>>().map(Self);
            }
        };
        let parts = texts.iter().flat_map(|text| parts(text)).filter(|part| !part.trim().is_empty());
        parts.map(|part| Comparison::parse(part.trim())).collect::<Result<_, _>>().map(Self)
    }

    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|comparison| comparison.field.as_str())
    }

    /// Whether a row passes whose fields, in the order of [`Self::fields`], mean this. Those behind the first that decides
    /// are not asked for.
    pub fn passes<'a>(
        &self,
        fields: impl IntoIterator<Item = Option<Cow<'a, str>>>,
        ordered: &mut Ordered,
    ) -> bool {
        let mut all = self.0.iter().enumerate().zip(fields);
        all.all(|((at, comparison), field)| comparison.holds(field, at % MOST, ordered))
    }

    /// What would find the rows in which a value stands among others: `tags = a` leaves out `a;b`.
    pub fn among(&self, ordered: &Ordered) -> Option<String> {
        let Comparison { field, value, .. } = self.0.get(ordered.parts.trailing_zeros() as usize)?;
        let (field, value) = (brief(field), brief(value));
        Some(format!(
            "Rows whose `{field}` holds {value} among others are left out, as = compares all of it: `{field} ~ {value}` \
             finds them"
        ))
    }

    /// What was wrong with it, as the rows showed: a value that is no number, against a field that is one wherever it is.
    pub fn misfit(&self, ordered: &Ordered) -> Option<String> {
        let wrong = ordered.numbers & !ordered.texts;
        let comparison = self.0.get(wrong.trailing_zeros() as usize)?;
        let Comparison { field, value, .. } = comparison;
        Some(format!(
            "where: \"{}\" holds numbers, and \"{}\" is none: it is {NO_CONSTANT}",
            brief(field),
            brief(value)
        ))
    }
}

/// What stands between "and", "&&", "," and ";", where these are not inside quotes.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut at, mut quote) = (Vec::new(), 0, 0, None);
    while let Some(character) = text[at..].chars().next() {
        let rest = &text[at..];
        let after_space = text[..at].ends_with(char::is_whitespace);
        let length = match quote {
            Some(open) => {
                quote = (character != open).then_some(open);
                0
            }
            None if matches!(character, '"' | '\'') => {
                quote = Some(character);
                0
            }
            None if rest.starts_with("&&") => 2,
            None if matches!(character, ',' | ';') => 1,
            None if after_space && rest.len() > 4 && rest.as_bytes()[..4].eq_ignore_ascii_case(b"and ") => 4,
            None => 0,
        };
        if length > 0 {
            parts.push(&text[from..at]);
            from = at + length;
        }
        at += length.max(character.len_utf8());
    }
    parts.push(&text[from..]);
    parts
}

fn brief(text: &str) -> String {
    crate::text::brief(text, 80)
}

impl Comparison {
    fn parse(text: &str) -> Result<Self, FilterError> {
        let shown = || FilterError::NoComparison(brief(text));
        let end =
            text.find(|c: char| !(c.is_ascii_alphanumeric() || "_-.[]".contains(c))).unwrap_or(text.len());
        let (field, rest) = text.split_at(end);
        let (sign, operator, value) =
            operator(rest.trim_start()).filter(|_| !field.is_empty()).ok_or_else(shown)?;
        // One or the other is nothing that all of can hold; quotes keep a value that says " or " together.
        if !value.starts_with(['"', '\'']) && value.to_ascii_lowercase().contains(" or ") {
            return Err(shown());
        }
        if !value.starts_with(['"', '\'']) && is_dangling(value) {
            return Err(FilterError::Dangling(brief(text)));
        }
        match quoted(value) {
            Some(text) => Self::new(field, operator, text).ordering(),
            // A quote that never ends has taken what follows with it: nothing would pass, and nobody would see why.
            None if value.starts_with(['"', '\'']) => Err(shown()),
            None if sign == "is " && value.eq_ignore_ascii_case("not") => Err(shown()),
            None => Self::unquoted(field, sign, operator, value),
        }
    }

    /// Of an object: its text may be one with a sign and quotes, and is otherwise itself.
    fn of_member(field: &str, value: &Value) -> Result<Self, FilterError> {
        let text = match value {
            Value::String(text) => text.trim(),
            Value::Null => return Ok(Self::new(field, Operator::Equal, "")),
            Value::Array(_) | Value::Object(_) => {
                return Err(FilterError::NoComparison(brief(&value.to_string())));
            }
            other => return Ok(Self::new(field, Operator::Equal, &other.to_string())),
        };
        let sign = operator(text).filter(|(sign, ..)| !sign.ends_with(' '));
        let (sign, operator, text) = sign.unwrap_or(("", Operator::Equal, text));
        match quoted(text) {
            Some(text) => Self::new(field, operator, text).ordering(),
            None => Self::unquoted(field, sign, operator, text),
        }
    }

    /// A value that may be a slip: what is taken for one is text in quotes.
    fn unquoted(field: &str, sign: &str, operator: Operator, value: &str) -> Result<Self, FilterError> {
        let shown = || brief(&format!("{field} {} {value}", sign.trim()));
        let is = |word: &&str| value.eq_ignore_ascii_case(word);
        let nothing = match sign {
            "is " | "is not " => ["null", "none", "empty"].iter().any(is),
            "=" | "==" | "!=" | "<>" => ["null"].iter().any(is),
            _ => false,
        };
        if nothing {
            return Ok(Self::new(field, operator, ""));
        }
        if value.starts_with(['=', '<', '>', '!', '~']) {
            return Err(FilterError::NoComparison(shown()));
        }
        let comparison = Self::new(field, operator, value);
        if operator.orders() {
            let is_worked_out = value.contains(['*', '/', '+', '(', ')']) || value.contains(" - ");
            if comparison.number.is_none() && is_worked_out {
                return Err(FilterError::Expression(shown()));
            }
            return comparison.ordering();
        }
        let holds = matches!(operator, Operator::Holds | Operator::HoldsNot);
        let is_pattern = value.contains('*')
            || value.starts_with('^')
            || value.ends_with('$')
            || (holds && (value.contains(['|', '\\']) || value.contains(".+")));
        if is_pattern { Err(FilterError::Pattern(shown())) } else { Ok(comparison) }
    }

    fn new(field: &str, operator: Operator, value: &str) -> Self {
        let number = number(value).or_else(|| constant::seconds(value));
        let (lower, integer) = (value.to_lowercase(), value.parse().ok());
        Self { field: field.into(), operator, value: value.into(), lower, number, integer }
    }

    /// Nothing is neither more nor less than anything.
    fn ordering(self) -> Result<Self, FilterError> {
        match self.operator.orders() && self.value.is_empty() {
            true => Err(FilterError::NoComparison(brief(&self.field))),
            false => Ok(self),
        }
    }

    /// `at`: which comparison of its filter it is.
    fn holds(&self, field: Option<Cow<'_, str>>, at: usize, ordered: &mut Ordered) -> bool {
        // What PVE leaves out is off, zero or empty.
        let field = field.unwrap_or_default();
        let field: &str = if field.is_empty() && self.number == Some(0.0) { "0" } else { &field };
        let numbers = || match self.integer.zip(field.parse::<i128>().ok()) {
            Some((right, left)) => Some(left.cmp(&right)),
            None => number(field)?.partial_cmp(&self.number?),
        };
        let mut ordering = || match numbers() {
            Some(ordering) => Some(ordering),
            // Nothing is neither more nor less than anything.
            _ if field.is_empty() => None,
            // Nor is a word than a number; a version or a day begins as one.
            _ if self.number.is_some() && !field.starts_with(|c: char| c.is_ascii_digit()) => None,
            _ => {
                if self.number.is_none() {
                    let seen =
                        if number(field).is_some() { &mut ordered.numbers } else { &mut ordered.texts };
                    *seen |= 1 << at;
                }
                Some(field.to_lowercase().as_str().cmp(&self.lower))
            }
        };
        let equal = || match numbers() {
            Some(ordering) => ordering == Ordering::Equal,
            _ => field.eq_ignore_ascii_case(&self.value),
        };
        let holds = || field.to_lowercase().contains(&self.lower);
        match self.operator {
            Operator::Equal => {
                let is_equal = equal();
                if !is_equal && !self.value.is_empty() && is_part(field, &self.value) {
                    ordered.parts |= 1 << at;
                }
                is_equal
            }
            Operator::Unequal => !equal(),
            Operator::Less => ordering() == Some(Ordering::Less),
            Operator::AtMost => matches!(ordering(), Some(Ordering::Less | Ordering::Equal)),
            Operator::More => ordering() == Some(Ordering::Greater),
            Operator::AtLeast => matches!(ordering(), Some(Ordering::Greater | Ordering::Equal)),
            Operator::Holds => holds(),
            Operator::HoldsNot => !holds(),
        }
    }
}

/// Whether `part` is one of several values in a text, as PVE joins them.
fn is_part(text: &str, part: &str) -> bool {
    const BETWEEN: [char; 2] = [';', ','];
    text.contains(BETWEEN) && text.split(BETWEEN).any(|one| one.trim().eq_ignore_ascii_case(part))
}

/// Whether an "and" or "or" ends a value of several words: something was to follow.
fn is_dangling(value: &str) -> bool {
    value
        .rsplit_once(char::is_whitespace)
        .is_some_and(|(_, last)| last.eq_ignore_ascii_case("and") || last.eq_ignore_ascii_case("or"))
}

/// The operator that a text begins with, and what stands behind it.
fn operator(text: &str) -> Option<(&'static str, Operator, &str)> {
    let begins = |sign: &str| text.get(..sign.len()).is_some_and(|start| start.eq_ignore_ascii_case(sign));
    let (sign, operator) = OPERATORS.iter().find(|(sign, _)| begins(sign))?;
    Some((sign, *operator, text[sign.len()..].trim()))
}

/// What stands between a value's quotes.
fn quoted(value: &str) -> Option<&str> {
    ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
}

#[cfg(test)]
mod tests;
