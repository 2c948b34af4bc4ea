//! What is wrong with a parameter, in words that a user of PVE's API knows, and what would be right.

use std::{collections::BTreeMap, fmt};

use super::value::Place;
use crate::catalog::PathFault;
use crate::secret;

/// One thing that is wrong with one parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// As it was given, or as it is missing: `net0`.
    pub parameter: String,
    /// The key of the property string, where it is one: `bridge`.
    pub key: Option<String>,
    pub fault: Fault,
}

/// Values that are shown have been cut short and hold no control characters; those of secrets are not shown at all.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    Missing,
    Unknown {
        nearest: Vec<String>,
    },
    /// Of a family: the number is too high.
    Index {
        highest: u32,
    },
    Type {
        wanted: &'static str,
        got: String,
    },
    Minimum(f64),
    Maximum(f64),
    TooShort(u32),
    TooLong(u32),
    Choice {
        got: String,
        choices: Vec<String>,
        nearest: Option<String>,
    },
    Pattern(String),
    /// The pattern took longer than any honest value takes it.
    Exhausted(String),
    Format {
        what: &'static str,
        got: String,
    },
    /// A part of a property string that is neither `key=value` nor the value of a default key.
    NoKey {
        got: String,
    },
    /// A part of a property string with nothing before its `=`, or nothing behind it.
    HalfPart {
        got: String,
    },
    /// A key of a property string with white space beside it, which is part of the name to PVE.
    SpacedKey {
        got: String,
    },
    Twice,
    /// A value that no request, or no property string, can hold.
    Unfit(&'static str),
    /// A value that a path cannot hold.
    Path(PathFault),
    /// This one has to be given too, because the other is.
    RequiredBy(String),
    /// Another parameter's value leaves no room for this one.
    NotWith {
        property: String,
        value: String,
        values: Vec<String>,
    },
    /// The path says otherwise.
    Conflict,
}

impl Problem {
    /// What PVE's own answer says of this parameter.
    #[must_use]
    pub fn pve_text(&self) -> String {
        match &self.key {
            Some(key) => {
                format!("invalid format - format error\n{}.{key}: {}\n", self.parameter, self.fault.text())
            }
            None => self.fault.text(),
        }
    }

    /// The `errors` of PVE's own answer: of several problems with one parameter, it names the first.
    #[must_use]
    pub fn pve_errors(problems: &[Self]) -> BTreeMap<String, String> {
        let mut errors = BTreeMap::new();
        for problem in problems {
            errors.entry(problem.parameter.clone()).or_insert_with(|| problem.pve_text());
        }
        errors
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parameter)?;
        if let Some(key) = &self.key {
            write!(f, ".{key}")?;
        }
        write!(f, ": {}", self.fault.text().trim_end())?;
        match &self.fault {
            Fault::Unknown { nearest } if !nearest.is_empty() => {
                write!(f, "; near it are {}", nearest.join(", "))
            }
            Fault::Index { highest } => write!(f, "; the highest number is {highest}"),
            Fault::Choice { nearest: Some(nearest), .. } => write!(f, "; nearest is '{nearest}'"),
            Fault::Pattern(pattern) => write!(f, " {pattern}"),
            Fault::HalfPart { .. } => {
                f.write_str("; each part is key=value, a key without a value is left out")
            }
            Fault::SpacedKey { .. } => f.write_str(
                "; the space counts as part of the key: write the parts with a comma alone between them",
            ),
            _ => Ok(()),
        }
    }
}

impl Fault {
    fn text(&self) -> String {
        match self {
            Self::Missing => "property is missing and it is not optional".into(),
            Self::Unknown { .. } | Self::Index { .. } => {
                "property is not defined in schema and the schema does not allow additional properties".into()
            }
            Self::Type { wanted, got } => format!("type check ('{wanted}') failed - got '{got}'"),
            Self::Minimum(minimum) => format!("value must have a minimum value of {minimum}"),
            Self::Maximum(maximum) => format!("value must have a maximum value of {maximum}"),
            Self::TooShort(length) => format!("value must be at least {length} characters long"),
            Self::TooLong(length) => format!("value may only be {length} characters long"),
            Self::Choice { got, choices, .. } => {
                format!("value '{got}' does not have a value in the enumeration '{}'", choices.join(", "))
            }
            Self::Pattern(_) => "value does not match the regex pattern".into(),
            Self::Exhausted(_) => "value is too costly to match against the regex pattern".into(),
            Self::Format { what, got, .. } => format!("invalid format - invalid {what} '{got}'\n"),
            Self::NoKey { got } => {
                format!("invalid format - value without key, and no key is the default: '{got}'\n")
            }
            Self::HalfPart { got } => {
                format!("invalid format - missing key in comma-separated list property: '{got}'\n")
            }
            Self::SpacedKey { got } => {
                format!("invalid format - invalid key in comma-separated list property: '{got}'\n")
            }
            Self::Twice => "invalid format - given twice\n".into(),
            Self::Unfit(why) => (*why).into(),
            Self::Path(fault) => fault.to_string(),
            Self::RequiredBy(other) => format!("missing property - '{other}' requires this property"),
            Self::NotWith { property, value, values } => {
                format!("not used with {property}={value}, only with {}", values.join(", "))
            }
            Self::Conflict => "the path has another value".into(),
        }
    }
}

/// A value as a message may show it.
pub(super) fn shown(place: Place<'_>, value: &str) -> String {
    let is_secret = |name| secret::is_secret(place.at, name);
    if is_secret(place.parameter) || place.key.is_some_and(is_secret) {
        return "(withheld)".into();
    }
    secret::cut(value).map_or_else(|| spaced(value), |(clean, _)| spaced(&clean))
}

/// As [`cut`], and one space stays where there was white space at an end: it may be all that is wrong.
pub(super) fn spaced(value: &str) -> String {
    let space = |is: bool| if is { " " } else { "" };
    let before = space(value.trim_start() != value);
    let after = space(value.trim_end() != value && !value.trim().is_empty());
    format!("{before}{}{after}", cut(value))
}

/// Short, and without control characters.
pub(super) fn cut(value: &str) -> String {
    const LENGTH: usize = 64;
    crate::text::brief(value, LENGTH)
}

/// The names that are most like a wrong one, the likeliest first.
pub(super) fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    const SHOWN: usize = 3;
    const ALIKE: f64 = 0.8;
    // Comparing costs the product of both lengths.
    const LONGEST: usize = 64;
    if wrong.len() > LONGEST {
        return Vec::new();
    }
    let wrong = wrong.to_ascii_lowercase();
    let mut found: Vec<(f64, &str)> =
        names.map(|name| (strsim::jaro_winkler(&wrong, &name.to_ascii_lowercase()), name)).collect();
    found.retain(|(likeness, _)| *likeness >= ALIKE);
    found.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.cmp(y)));
    found.into_iter().take(SHOWN).map(|(_, name)| name.to_owned()).collect()
}
