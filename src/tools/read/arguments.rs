//! What a client may ask of `read`, as models write it: a number may be a text or have a fraction of zero, a list may be
//! one text, an object may be its own JSON.

use std::time::Duration;

use rmcp::model::JsonObject;
use rmcp::schemars::{self, JsonSchema};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::filter::{Filter, Where};
use super::page::View;
use super::rows::By;
use super::wait;
use crate::pve::loose;
use crate::text::nested;
use crate::tools::answer::Failure;
use crate::tools::limit::clamped;

const DEFAULT_LIMIT: usize = 100;
pub const MOST_ROWS: usize = 1_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadArguments {
    /// /cluster/resources, a UPID, or words: "config of vm 104"
    pub path: String,
    /// The endpoint's own parameters
    #[serde(default, deserialize_with = "object")]
    pub args: Option<Map<String, Value>>,
    /// Fields to show; ["*"] for all
    #[schemars(with = "Option<Vec<String>>")]
    fields: Option<Names>,
    /// status = running and mem > 4G
    #[serde(rename = "where")]
    #[schemars(with = "Option<String>")]
    filter: Option<Where>,
    /// Field; -field for descending
    #[schemars(with = "Option<String>")]
    sort: Option<Names>,
    /// Rows; default 100
    #[serde(default, deserialize_with = "loose::optional::u64")]
    #[schemars(with = "Option<usize>")]
    limit: Option<u64>,
    /// next_cursor of the page before
    #[serde(default, deserialize_with = "loose::optional::text")]
    #[schemars(with = "Option<String>")]
    cursor: Option<String>,
    /// A task: seconds to follow it
    #[schemars(with = "Option<u32>")]
    wait: Option<Patience>,
}

/// What the caller wants to see, and from where on.
pub struct Asked {
    pub view: View,
    /// Whether `limit` was said, or is the one by default.
    pub limited: bool,
    pub cursor: Option<String>,
    /// What to tell of how the arguments were taken.
    pub notes: Vec<String>,
}

impl Asked {
    /// All of it, as far as one answer holds it.
    pub fn all() -> Self {
        let view = View { limit: MOST_ROWS, ..View::default() };
        Self { view, limited: false, cursor: None, notes: Vec::new() }
    }
}

impl ReadArguments {
    pub fn wait(&self) -> u32 {
        self.wait.map_or(0, |Patience(seconds)| seconds)
    }

    pub fn asked(self) -> Result<Asked, Failure> {
        let wrong =
            |message: String| Failure::new("arguments", message, "correct the argument and call again");
        let filter = match &self.filter {
            Some(filter) => Filter::parse(filter).map_err(|error| wrong(error.to_string()))?,
            None => Filter::default(),
        };
        let (limit, note) = clamped(self.limit, DEFAULT_LIMIT, MOST_ROWS);
        let by = self.sort.map(|names| names.parts(&[','])).unwrap_or_default();
        let fields = self.fields.map(|names| names.parts(&[',', ' ', '\n', '\t'])).unwrap_or_default();
        // Each is looked for in each row, and meanwhile nobody else is served.
        for (what, count, most) in
            [("where", filter.fields().count(), 16), ("sort", by.len(), 8), ("fields", fields.len(), 64)]
        {
            if count > most {
                return Err(wrong(format!("{what} names {count} fields, and may name {most}")));
            }
        }
        let by = by.iter().map(|text| By::parse(text)).collect();
        let view = View { filter, by, fields, offset: 0, limit };
        Ok(Asked {
            view,
            limited: self.limit.is_some(),
            cursor: self.cursor,
            notes: note.into_iter().collect(),
        })
    }
}

/// How long the call may wait, at most.
pub fn patience(given: &JsonObject) -> Duration {
    let wait = given.get("wait").and_then(|wait| Patience::deserialize(wait).ok());
    let seconds = wait.map_or(wait::MOST_S, |Patience(seconds)| seconds.min(wait::MOST_S));
    Duration::from_secs(seconds.into())
}

/// Whether the call waits for something. What is no patience at all is refused later.
pub fn waits(given: &JsonObject) -> bool {
    let wait = given.get("wait").and_then(|wait| Patience::deserialize(wait).ok());
    wait.is_some_and(|Patience(seconds)| seconds > 0)
}

/// Parameters as an object, or as the JSON of one.
fn object<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Map<String, Value>>, D::Error> {
    let text = match Option::<Value>::deserialize(from)? {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(object)) => return Ok(Some(object)),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => text,
        Some(_) => String::new(),
    };
    let expected = "args is an object of the endpoint's parameters: {\"type\": \"vm\"}";
    nested(&text).map(Some).ok_or_else(|| D::Error::custom(expected))
}

/// A list, or the same as one text: with commas, or as JSON.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Many(Vec<String>),
}

impl Names {
    fn parts(self, separators: &[char]) -> Vec<String> {
        let texts = match self {
            Self::Many(texts) => texts,
            Self::One(text) if text.trim_start().starts_with('[') => {
                nested(&text).unwrap_or_else(|| vec![text])
            }
            Self::One(text) => vec![text],
        };
        let parts = texts.iter().flat_map(|text| text.split(separators)).map(str::trim);
        parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }
}

/// Seconds, `30s`, `5m`, or simply yes.
#[derive(Debug, Clone, Copy)]
struct Patience(u32);

impl<'de> Deserialize<'de> for Patience {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let given = Value::deserialize(from)?;
        let text = match &given {
            Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
            Value::String(text) => text.trim().to_ascii_lowercase(),
            other => other.to_string(),
        };
        let wrong = || D::Error::custom("wait is seconds, as 30, or true");
        let seconds = match text.as_str() {
            "yes" | "true" => return Ok(Self(wait::DEFAULT_S)),
            "no" | "false" | "" => return Ok(Self(0)),
            text => match text.strip_suffix('m') {
                Some(minutes) => minutes.trim().parse::<f64>().map(|minutes| minutes * 60.0),
                None => text.strip_suffix('s').unwrap_or(text).trim().parse::<f64>(),
            },
        };
        // Less than a second is no less than one.
        let seconds = seconds.ok().filter(|seconds| *seconds >= 0.0).ok_or_else(wrong)?;
        Ok(Self(seconds.ceil() as u32))
    }
}

#[cfg(test)]
#[path = "arguments_tests.rs"]
mod tests;
