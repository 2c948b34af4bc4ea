//! What PVE answered: its `data`, or its refusal as a type.
//!
//! The body is kept as the text that came and parsed once, by whoever knows what is in it, into types that may borrow
//! from it: ten thousand guests are not copied to be counted.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::call::{Call, Method};
use super::connection::Raw;
use super::error::PveError;
use super::loose;
use super::refusal::{Failure, Forbidden};
use crate::secret;

/// Characters of a message that are kept.
const LONGEST_MESSAGE: usize = 2_000;

/// A 2xx.
pub struct Answer {
    what: String,
    body: String,
}

/// The object around every answer.
#[derive(Debug, Deserialize)]
pub struct Envelope<T> {
    pub data: T,
    /// Rows there are, where PVE gives a part of them.
    #[serde(default, deserialize_with = "loose::optional::u64")]
    pub total: Option<u64>,
    /// A diff of what is not yet applied (`/nodes/{node}/network`).
    #[serde(default)]
    pub changes: Option<String>,
}

impl Answer {
    /// The `data`. `T` may borrow: `Vec<Row<'_>>`, `&RawValue`.
    pub fn data<'a, T: Deserialize<'a>>(&'a self) -> Result<T, PveError> {
        self.envelope().map(|envelope| envelope.data)
    }

    pub fn envelope<'a, T: Deserialize<'a>>(&'a self) -> Result<Envelope<T>, PveError> {
        serde_json::from_str(&self.body).map_err(|error| PveError::NotJson {
            what: self.what.clone(),
            status: 200,
            why: misfit(&error),
        })
    }

    /// The text of `data` as it came, read through but not taken apart.
    pub fn raw(&self) -> Result<&str, PveError> {
        self.data::<&RawValue>().map(RawValue::get)
    }

    /// The whole body.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The same answer with what is left of its body.
    pub fn with_body(self, body: String) -> Self {
        Self { body, ..self }
    }
}

/// What is in it may be a secret of somebody's.
impl fmt::Debug for Answer {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "the answer to {}, {} bytes", self.what, self.body.len())
    }
}

/// The body of a refusal.
#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    message: Option<serde_json::Value>,
    #[serde(default)]
    errors: Option<BTreeMap<String, serde_json::Value>>,
}

/// Sorts an answer by its status.
pub(super) fn judge(call: &Call, raw: Raw) -> Result<Answer, PveError> {
    let what = call.name();
    if (200..300).contains(&raw.status) {
        return accepted(call, raw);
    }
    let refusal: Refusal = match raw.is_json {
        true => serde_json::from_str(&raw.body).unwrap_or_default(),
        false => Refusal::default(),
    };
    // PVE may quote what it refuses.
    let secrets = call.secrets();
    let of_call = |text: String| secret::without_values(&text, &secrets);
    let errors: BTreeMap<String, String> = refusal
        .errors
        .unwrap_or_default()
        .iter()
        .map(|(name, why)| (shown(name), of_call(secret::told_of(name, &plain(why), LONGEST_MESSAGE))))
        .collect();
    // The body has all of it, the status line the first line.
    let said = refusal.message.as_ref().map(|message| shown(&plain(message))).filter(|said| !said.is_empty());
    let message = said.unwrap_or_else(|| match raw.reason.is_empty() {
        false => shown(&raw.reason),
        true => "PVE gave no reason".to_owned(),
    });
    let message = of_call(message);
    let status = raw.status;
    Err(match status {
        401 => PveError::Unauthorized { message },
        403 => PveError::Forbidden { what, forbidden: Forbidden::parse(&message) },
        400 => PveError::BadParameters { what, message, errors },
        404 => PveError::NotFound { what, message },
        501 => PveError::NotImplemented { what, message },
        500 => PveError::Failed { what, failure: Failure::recognise(&message), message },
        // At 595 the other node was not reached; at the rest it may have got the request.
        502 | 504 | 596..=599 if call.method != Method::Get => {
            PveError::unknown(call, format!("the answer on the way was lost (status {status}): {message}"))
        }
        595..=599 => PveError::Proxy { what, status, message },
        _ => PveError::Unexpected { what, status, message },
    })
}

fn accepted(call: &Call, raw: Raw) -> Result<Answer, PveError> {
    let answer = Answer { what: call.name(), body: raw.body };
    let start = answer.body.trim_start();
    // None of the body: nobody knows what it is, so nobody knows what in it is secret.
    let why = if !raw.is_json || !start.starts_with('{') {
        Some(match start.is_empty() {
            true => "it is empty".to_owned(),
            false => format!("it is {}, {} bytes", kind(&answer.body, raw.is_json), answer.body.len()),
        })
    } else if call.method != Method::Get {
        // Looked into now: later it would be a change that seems to have failed.
        serde_json::from_str::<Envelope<IgnoredAny>>(&answer.body).err().map(|error| misfit(&error))
    } else {
        None
    };
    match why {
        None => Ok(answer),
        Some(why) if call.method == Method::Get => {
            Err(PveError::NotJson { what: answer.what, status: raw.status, why })
        }
        Some(why) => Err(PveError::unknown(
            call,
            format!("the answer has status {} and is no answer of PVE's: {why}", raw.status),
        )),
    }
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What stands where PVE's object should be.
fn kind(body: &str, said_json: bool) -> &'static str {
    let start = body.trim_start().as_bytes();
    let is_page = start.first() == Some(&b'<');
    match said_json {
        _ if is_page => "a page in HTML or XML",
        true => "JSON, and no object",
        false => "of another content type",
    }
}

/// Where JSON is not what it should be. The parser's own words quote what stands there.
pub fn misfit(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let what = match error.classify() {
        Category::Eof => "it ends too early",
        Category::Data => "a value is of another kind than it should be",
        Category::Syntax | Category::Io => "it is no JSON",
    };
    format!("{what}, at line {} column {}", error.line(), error.column())
}

/// PVE's words, as they may be shown.
pub(super) fn shown(text: &str) -> String {
    secret::told(text, LONGEST_MESSAGE)
}
