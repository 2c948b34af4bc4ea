//! A value against its schema: type, format, limits, pattern, choices, in PVE's order and with PVE's looseness.
//!
//! A value goes through as PVE would read it: booleans become `0` and `1`, numbers stay as they were written.

use serde_json::Value;

use super::{
    Unchecked,
    format::{self, Outcome},
    pattern::{self, Verdict},
    problem::{Fault, Problem, nearest, shown},
    property,
};
use crate::catalog::{Format, Kind, Schema, list};

/// More than this no request to PVE holds.
const MAX_VALUE: usize = 512 * 1024;

/// What is being checked, for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// The endpoint's template: what is secret there may be shown elsewhere.
    pub(super) at: &'a str,
    pub(super) parameter: &'a str,
    pub(super) key: Option<&'a str>,
}

/// What was found on the way.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) unchecked: Vec<Unchecked>,
}

impl Findings {
    pub(super) fn append(&mut self, other: Self) {
        self.problems.extend(other.problems);
        self.unchecked.extend(other.unchecked);
    }

    pub(super) fn refuse(&mut self, place: Place<'_>, fault: Fault) {
        let key = place.key.map(str::to_owned);
        self.problems.push(Problem { parameter: place.parameter.to_owned(), key, fault });
    }

    fn unchecked(&mut self, place: Place<'_>, what: String) {
        let name =
            place.key.map_or_else(|| place.parameter.to_owned(), |key| format!("{}.{key}", place.parameter));
        self.unchecked.push(Unchecked { parameter: name, what });
    }
}

/// The value as it goes into a request: one string, or several under one name.
#[derive(Debug, PartialEq)]
pub(super) enum Sent {
    One(String),
    Many(Vec<String>),
}

impl Place<'_> {
    /// `None` when it was refused.
    pub(super) fn check(self, schema: &Schema, value: &Value, findings: &mut Findings) -> Option<Sent> {
        if schema.kind == Kind::Array {
            return self.array(schema, value, findings).map(Sent::Many);
        }
        if let (Value::Array(values), Some(Format::Named(name))) = (value, &schema.format)
            && format::is_list(name)
        {
            let parts: Option<Vec<String>> =
                values.iter().map(|value| self.text(schema, value, findings)).collect();
            return self.scalar(schema, &parts?.join(","), findings).map(Sent::One);
        }
        if let (Value::Object(object), Some(keys)) = (value, property::keys(schema)) {
            let text = self.written(keys, object, findings)?;
            return self.scalar(schema, &text, findings).map(Sent::One);
        }
        let text = self.text(schema, value, findings)?;
        self.scalar(schema, &text, findings).map(Sent::One)
    }

    /// A list of values; or one string that is one of them, or a list of them as `-list` formats have it.
    fn array(self, schema: &Schema, value: &Value, findings: &mut Findings) -> Option<Vec<String>> {
        let items = schema.items.as_deref().cloned().unwrap_or_default();
        let single;
        let split: Vec<Value>;
        let values = match value {
            Value::Array(values) => values.as_slice(),
            Value::String(text) if property::keys(&items).is_none() && items.kind != Kind::Object => {
                let mut alone = Findings::default();
                if self.scalar(&items, text, &mut alone).is_some() {
                    single = [value.clone()];
                    &single
                } else {
                    split = list(text).map(Value::from).collect();
                    split.as_slice()
                }
            }
            value => std::slice::from_ref(value),
        };
        if values.is_empty() {
            findings.refuse(self, Fault::Unfit("a list of nothing cannot be sent; leave it out"));
            return None;
        }
        values
            .iter()
            .map(|value| match self.check(&items, value, findings) {
                Some(Sent::One(text)) => Some(text),
                Some(Sent::Many(_)) | None => None,
            })
            .collect()
    }

    /// What a value says as text, before anything is known of its format.
    fn text(self, schema: &Schema, value: &Value, findings: &mut Findings) -> Option<String> {
        Some(match value {
            Value::String(text) => text.clone(),
            Value::Bool(truth) => if *truth { "1" } else { "0" }.to_owned(),
            Value::Number(number) => match number.as_f64() {
                // 5.0 is 5 to Perl.
                Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => {
                    format!("{float:.0}")
                }
                _ => number.to_string(),
            },
            Value::Null | Value::Array(_) | Value::Object(_) => {
                let got = match value {
                    Value::Null => "null",
                    Value::Array(_) => "a list",
                    _ => "an object",
                };
                findings.refuse(self, Fault::Type { wanted: name(schema.kind), got: got.to_owned() });
                return None;
            }
        })
    }

    /// One value that is not made of others, but for a property string.
    pub(super) fn scalar(self, schema: &Schema, text: &str, findings: &mut Findings) -> Option<String> {
        if text.len() > MAX_VALUE {
            findings.refuse(self, Fault::TooLong(MAX_VALUE as u32));
            return None;
        }
        let fault = match schema.kind {
            Kind::Boolean => match truth(text) {
                Some(truth) => return Some(if truth { "1" } else { "0" }.to_owned()),
                None => Some(self.wrong_type(schema, text)),
            },
            Kind::Integer if !is_integer(text) => Some(self.wrong_type(schema, text)),
            Kind::Number if !is_number(text) => Some(self.wrong_type(schema, text)),
            Kind::Null if !text.is_empty() => Some(self.wrong_type(schema, text)),
            Kind::Object => Some(self.wrong_type(schema, text)),
            _ => None,
        };
        let fault = match fault {
            Some(fault) => Some(fault),
            None => match self.format(schema, text, findings) {
                Ok(()) => self.limits(schema, text, findings),
                Err(Some(fault)) => Some(fault),
                Err(None) => return None,
            },
        };
        match fault {
            None => Some(text.to_owned()),
            Some(fault) => {
                findings.refuse(self, fault);
                None
            }
        }
    }

    /// Against the format; `Err(None)` when what is wrong has been said already.
    fn format(self, schema: &Schema, text: &str, findings: &mut Findings) -> Result<(), Option<Fault>> {
        let ok = |fits| if fits { Ok(()) } else { Err(None) };
        match &schema.format {
            None => Ok(()),
            Some(Format::Properties(keys)) => {
                ok(self.properties(keys, property::Origin::Node, text, findings))
            }
            Some(Format::Named(name)) => match format::outcome(name, text) {
                Outcome::Fits => Ok(()),
                Outcome::Refused(what) => {
                    let got = shown(self, text);
                    Err(Some(Fault::Format { what, got }))
                }
                Outcome::Properties(keys) => {
                    ok(self.properties(keys, property::Origin::of(name), text, findings))
                }
                Outcome::Unknown => {
                    findings.unchecked(self, format!("format {name}"));
                    Ok(())
                }
            },
        }
    }

    fn limits(self, schema: &Schema, text: &str, findings: &mut Findings) -> Option<Fault> {
        if let Some(pattern) = &schema.pattern {
            match pattern::verdict(pattern, text) {
                Verdict::Matches => {}
                Verdict::Differs => return Some(Fault::Pattern(pattern.clone())),
                Verdict::Exhausted => return Some(Fault::Exhausted(pattern.clone())),
                Verdict::Unrunnable => findings.unchecked(self, format!("pattern {pattern}")),
            }
        }
        let length = || text.chars().count() as u64;
        if let Some(most) = schema.max_length
            && length() > u64::from(most)
        {
            return Some(Fault::TooLong(most));
        }
        if let Some(least) = schema.min_length
            && length() < u64::from(least)
        {
            return Some(Fault::TooShort(least));
        }
        if matches!(schema.kind, Kind::Integer | Kind::Number) {
            let number: f64 = text.trim().parse().unwrap_or(f64::NAN);
            if let Some(least) = schema.minimum
                && number < least
            {
                return Some(Fault::Minimum(least));
            }
            if let Some(most) = schema.maximum
                && number > most
            {
                return Some(Fault::Maximum(most));
            }
        }
        if !schema.choices.is_empty() && !schema.choices.iter().any(|choice| choice == text) {
            let got = shown(self, text);
            let nearest = nearest(text, schema.choices.iter().map(String::as_str)).into_iter().next();
            return Some(Fault::Choice { got, choices: schema.choices.clone(), nearest });
        }
        None
    }

    fn wrong_type(self, schema: &Schema, text: &str) -> Fault {
        Fault::Type { wanted: name(schema.kind), got: shown(self, text) }
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Any => "any",
        Kind::Null => "null",
        Kind::String => "string",
        Kind::Integer => "integer",
        Kind::Number => "number",
        Kind::Boolean => "boolean",
        Kind::Array => "array",
        Kind::Object => "object",
    }
}

pub(super) fn truth(text: &str) -> Option<bool> {
    let is = |words: [&str; 4]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is(["1", "on", "yes", "true"]) { Some(true) } else { is(["0", "off", "no", "false"]).then_some(false) }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(f64::is_finite) && !text.contains(['i', 'n', 'I', 'N'])
}
