//! `where`: simple comparisons of a row's fields, all of which must hold.
//!
//! `status = running and mem > 4G`, `name ~ web`, `tags has prod`, or an object of fields and their values. PVE writes
//! numbers as strings and booleans as 0 and 1, so a comparison goes by what both sides mean.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::flat;

/// As a client writes it.
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
    /// What the value is as a number: looked at once, not for each row.
    number: Option<f64>,
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
    ("is ", Operator::Equal),
];

#[derive(Debug, thiserror::Error)]
#[error(
    "where: \"{0}\" is no comparison; write FIELD = VALUE, or with != < <= > >= ~ (contains), joined by \"and\": \
     status = running and mem > 4G"
)]
pub struct FilterError(String);

impl Filter {
    pub fn parse(given: &Where) -> Result<Self, FilterError> {
        let texts = match given {
            Where::Text(text) if text.trim_start().starts_with('{') => {
                let fields = crate::text::nested(text).ok_or_else(|| FilterError(brief(text)))?;
                return Self::parse(&Where::Fields(fields));
            }
            Where::Text(text) => std::slice::from_ref(text),
            Where::Texts(texts) => texts,
            Where::Fields(fields) => {
                let equal = |(field, value): (&String, &Value)| {
                    let value = match value {
                        Value::String(text) => text.clone(),
                        Value::Null => String::new(),
                        Value::Array(_) | Value::Object(_) => {
                            return Err(FilterError(brief(&value.to_string())));
                        }
                        other => other.to_string(),
                    };
                    Ok(Comparison::new(field, Operator::Equal, &value))
                };
                return fields.iter().map(equal).collect::<Result<_, _>>().map(Self);
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
    pub fn passes<'a>(&self, fields: impl IntoIterator<Item = Option<Cow<'a, str>>>) -> bool {
        self.0.iter().zip(fields).all(|(comparison, field)| comparison.holds(field))
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
        let shown = || FilterError(brief(text));
        let end =
            text.find(|c: char| !(c.is_ascii_alphanumeric() || "_-.[]".contains(c))).unwrap_or(text.len());
        let (field, rest) = text.split_at(end);
        let rest = rest.trim_start();
        let found = OPERATORS
            .iter()
            .find(|(sign, _)| rest.get(..sign.len()).is_some_and(|start| start.eq_ignore_ascii_case(sign)));
        let Some((sign, operator)) = found.filter(|_| !field.is_empty()) else { return Err(shown()) };
        let value = rest[sign.len()..].trim();
        // One or the other is nothing that all of can hold; quotes keep a value that says " or " together.
        if !value.starts_with(['"', '\'']) && value.to_ascii_lowercase().contains(" or ") {
            return Err(shown());
        }
        let unquoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        // A quote that never ends has taken what follows with it: nothing would pass, and nobody would see why.
        if unquoted.is_none() && value.starts_with(['"', '\'']) {
            return Err(shown());
        }
        Ok(Self::new(field, *operator, unquoted.unwrap_or(value)))
    }

    fn new(field: &str, operator: Operator, value: &str) -> Self {
        Self { field: field.into(), operator, value: value.into(), number: number(value) }
    }

    fn holds(&self, field: Option<Cow<'_, str>>) -> bool {
        let wanted = self.value.as_str();
        // What PVE leaves out is off, zero or empty.
        let field = field.unwrap_or_default();
        let field: &str = if field.is_empty() && self.number == Some(0.0) { "0" } else { &field };
        let numbers = || self.number.and_then(|right| Some((number(field)?, right)));
        let ordering = || match numbers() {
            Some((left, right)) => left.partial_cmp(&right),
            // Nothing is neither more nor less than anything.
            _ if field.is_empty() => None,
            _ => Some(field.to_lowercase().cmp(&wanted.to_lowercase())),
        };
        let equal = || match numbers() {
            Some((left, right)) => left == right,
            _ => field.eq_ignore_ascii_case(wanted),
        };
        let holds = || field.to_lowercase().contains(&wanted.to_lowercase());
        match self.operator {
            Operator::Equal => equal(),
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

/// A value, as it is written, as the text that it means: without quotes, and `null` as nothing.
pub fn meaning(written: &str) -> Cow<'_, str> {
    match written.as_bytes() {
        [b'"', .., b'"'] if flat::is_plain(written) => Cow::Borrowed(&written[1..written.len() - 1]),
        [b'"', ..] => Cow::Owned(serde_json::from_str(written).unwrap_or_default()),
        [b'n', ..] => Cow::Borrowed(""),
        _ => Cow::Borrowed(written),
    }
}

/// A number as a person or PVE writes it: `4G` is 4 × 1024³, `50%` is 0.5, a flag is 0 or 1.
pub fn number(text: &str) -> Option<f64> {
    match text {
        "true" | "yes" | "on" => return Some(1.0),
        "false" | "no" | "off" => return Some(0.0),
        _ => {}
    }
    // "inf" and "nan" are names here.
    if !text.starts_with(|c: char| c.is_ascii_digit() || "-+.".contains(c)) {
        return None;
    }
    // "nan" and "inf" are names.
    if let Some(number) = text.parse::<f64>().ok().filter(|number| number.is_finite()) {
        return Some(number);
    }
    if let Some(percent) = text.strip_suffix('%') {
        return percent.trim().parse::<f64>().ok().map(|percent| percent / 100.0);
    }
    let digits = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_suffix("iB").or_else(|| unit.strip_suffix(['B', 'b'])).unwrap_or(unit);
    let power = match unit {
        "" => 0,
        "K" | "k" => 1,
        "M" | "m" => 2,
        "G" | "g" => 3,
        "T" | "t" => 4,
        "P" | "p" => 5,
        _ => return None,
    };
    number.trim().parse::<f64>().ok().map(|number| number * 1024f64.powi(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(given: &str, row: &str) -> bool {
        let filter = Filter::parse(&Where::Text(given.into())).unwrap();
        let row: std::collections::BTreeMap<&str, &serde_json::value::RawValue> =
            serde_json::from_str(row).unwrap();
        filter.passes(filter.fields().map(|field| row.get(field).map(|value| meaning(value.get()))))
    }

    #[test]
    fn comparisons_go_by_what_both_sides_mean() {
        let row = r#"{"vmid":100,"name":"Web-1","status":"running","mem":"4294967296","cpu":0.52,"template":"1",
                      "tags":"blue;prod","lock":null,"version":"8.4"}"#;
        for (given, expected) in [
            ("vmid = 100", true),
            ("vmid=100", true),
            ("vmid == '100'", true),
            ("vmid != 100", false),
            ("vmid < 99", false),
            ("vmid >= 100", true),
            ("status = RUNNING", true),
            ("status = \"running\" and vmid = 100", true),
            ("status = running AND vmid = 101", false),
            ("status = running, vmid = 100", true),
            ("status=running && vmid>99 && vmid<=100", true),
            ("mem >= 4G", true),
            ("mem > 4GiB", false),
            ("mem < 4097M", true),
            ("cpu > 50%", true),
            ("name ~ web", true),
            ("name !~ web", false),
            ("name has WEB", true),
            ("tags contains prod", true),
            ("template = true", true),
            ("absent = 0", true),
            ("absent = ''", true),
            ("lock = ''", true),
            ("absent > 1", false),
            ("absent < 1", false),
            ("absent != x", true),
            ("name is web-1", true),
            ("name > vm", true),
            ("", true),
        ] {
            assert_eq!(passes(given, row), expected, "{given}");
        }
    }

    #[test]
    fn a_name_that_is_written_like_no_number_is_a_name() {
        for name in ["nan", "inf", "Infinity"] {
            let row = format!(r#"{{"name":"{name}"}}"#);
            assert!(passes(&format!("name = {name}"), &row), "{name}");
            assert!(!passes(&format!("name != {name}"), &row), "{name}");
        }
    }

    #[test]
    fn quotes_keep_what_they_hold_together() {
        let row = r#"{"comment":"salt and pepper, twice","a":"1"}"#;
        assert!(passes("comment = 'salt and pepper, twice' and a = 1", row));
        assert!(!passes("comment = 'salt and' and a = 1", row));
    }

    #[test]
    fn an_object_means_equality_and_an_array_all_of_it() {
        let fields: Where = serde_json::from_str(r#"{"status":"running","vmid":100,"lock":null}"#).unwrap();
        let texts: Where =
            serde_json::from_str(r#"["status = running", "vmid = 100", "lock = ''"]"#).unwrap();
        assert_eq!(Filter::parse(&fields).unwrap(), {
            let mut filter = Filter::parse(&texts).unwrap();
            filter.0.sort_by(|a, b| a.field.cmp(&b.field));
            let mut expected = Filter::parse(&fields).unwrap();
            expected.0.sort_by(|a, b| a.field.cmp(&b.field));
            assert_eq!(filter, expected);
            Filter::parse(&fields).unwrap()
        });
    }

    #[test]
    fn what_is_no_comparison_is_refused_with_what_would_be() {
        for given in [
            "running",
            "= running",
            "status = running or status = stopped",
            "status running",
            "status ? x",
            "a = 1 and b",
            "name LIKE x",
            "status = \"running",
            "name = 'web and status = running",
            "name = \"",
        ] {
            let error = Filter::parse(&Where::Text(given.into())).unwrap_err().to_string();
            assert!(error.contains("FIELD = VALUE"), "{given}: {error}");
        }
    }
}
