//! What PVE answered: its `data`, or its refusal as a type.
//!
//! The body is kept as the text that came and parsed once, by whoever knows what is in it, into types that may borrow
//! from it; or a sink took it while it came, and it is kept by nobody.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::call::Call;
use super::connection::Raw;
use super::error::PveError;
use super::loose;
use super::refusal::{Failure, Forbidden};
use super::sink::{Held, Text};
use crate::http::Method;
use crate::product::{Product, Refusals};
use crate::secret;

/// Characters of a message that are kept.
const LONGEST_MESSAGE: usize = 2_000;

/// A 2xx.
pub struct Answer {
    what: String,
    body: String,
    _held: Held,
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
        serde_json::from_str(&self.body).map_err(|error| self.no_json(&error))
    }

    /// The error that it is no JSON, or none of the kind that was expected.
    pub fn no_json(&self, error: &serde_json::Error) -> PveError {
        PveError::NotJson { what: self.what.clone(), status: 200, why: misfit(error) }
    }

    /// The text of `data` as it came, read through but not taken apart.
    pub fn raw(&self) -> Result<&str, PveError> {
        self.data::<&RawValue>().map(RawValue::get)
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

impl Refusal {
    /// Of a daemon whose body is the message. Wrong parameters are named in it: `'store': value does not match`.
    fn of_text(words: &str) -> Self {
        const WRONG: &str = "parameter verification";
        let text = words.trim();
        if text.starts_with(['{', '[', '<']) {
            return Self::default();
        }
        let named = |line: &str| {
            let (name, why) = line.split_once('\'')?.1.split_once("': ")?;
            (!name.is_empty()).then(|| (name.to_owned(), why.trim().into()))
        };
        let errors = text.starts_with(WRONG).then(|| text.lines().filter_map(named).collect());
        Self { message: (!text.is_empty()).then(|| text.into()), errors }
    }
}

/// That the answer is a 2xx in JSON, whose body the sink of the call has.
pub struct Accepted<'call> {
    call: &'call Call,
    status: u16,
}

/// Sorts an answer by its status.
pub(super) fn judge(product: Product, call: &Call, raw: Raw) -> Result<Accepted<'_>, PveError> {
    let what = call.name();
    let accepted = Accepted { call, status: raw.status };
    if raw.is_answer() {
        return Ok(accepted);
    }
    if (200..300).contains(&raw.status) {
        return Err(accepted.no_json(&kind(&raw.words, raw.is_json, raw.words.len())));
    }
    let in_words = product.facts().refusals == Refusals::Text;
    let refusal: Refusal = match (in_words, raw.is_json) {
        (true, _) => Refusal::of_text(&raw.words),
        (false, true) => serde_json::from_str(&raw.words).unwrap_or_default(),
        (false, false) => Refusal::default(),
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
        true => format!("{product} gave no reason"),
    });
    let message = of_call(message);
    let status = raw.status;
    Err(match status {
        401 => PveError::Unauthorized { product, message },
        403 => PveError::Forbidden { what, forbidden: Forbidden::parse(&message) },
        // Whatever goes wrong is a 400 there, and only some of it is the parameters' fault.
        400 if in_words && errors.is_empty() => {
            PveError::Failed { what, failure: Failure::recognise(&message), message }
        }
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

impl Accepted<'_> {
    /// The answer whose whole body is this text.
    pub fn answer(self, text: Text) -> Result<Answer, PveError> {
        let (body, held) = text.into_string();
        let answer = Answer { what: self.call.name(), body, _held: held };
        if !answer.body.trim_start().starts_with('{') {
            return Err(self.no_json(&kind(&answer.body, true, answer.body.len())));
        }
        if self.call.method != Method::Get {
            // Looked into now: later it would be a change that seems to have failed.
            serde_json::from_str::<Envelope<IgnoredAny>>(&answer.body)
                .map_err(|error| self.no_json(&misfit(&error)))?;
        }
        Ok(answer)
    }

    /// The error that what came is no answer of PVE's after all.
    pub fn no_json(&self, why: &str) -> PveError {
        let (call, status) = (self.call, self.status);
        match call.method {
            Method::Get => PveError::NotJson { what: call.name(), status, why: why.to_owned() },
            _ => PveError::unknown(
                call,
                format!("the answer has status {status} and is no answer of PVE's: {why}"),
            ),
        }
    }
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What stands where PVE's object should be. None of the body: nobody knows what it is, so nobody knows what in it is
/// secret.
fn kind(body: &str, said_json: bool, length: usize) -> String {
    let start = body.trim_start().as_bytes();
    let what = match (start.first(), said_json) {
        (None, _) => return "it is empty".to_owned(),
        (Some(b'<'), _) => "a page in HTML or XML",
        (_, true) => "JSON, and no object",
        (_, false) => "of another content type",
    };
    format!("it is {what}, {length} bytes")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pve::call::{Path, Read};

    fn refused(product: Product, status: u16, reason: &str, words: &str) -> PveError {
        let read = Read::new(Path::parse("/admin/datastore/tank/snapshots").unwrap());
        let raw = Raw { status, reason: reason.into(), is_json: true, words: words.into() };
        judge(product, &read.0, raw).err().unwrap()
    }

    #[test]
    fn a_refusal_in_words_is_its_own_message() {
        let error = refused(Product::Backup, 400, "Bad Request", "no such datastore 'tank'");
        assert!(
            matches!(&error, PveError::Failed { failure: Failure::NoSuchThing, message, .. } if message == "no such datastore 'tank'"),
            "{error:?}"
        );
        let error = refused(Product::Backup, 403, "Forbidden", "permission check failed");
        assert!(
            matches!(&error, PveError::Forbidden { forbidden, .. } if forbidden.message == "permission check failed")
        );
        let error = refused(Product::Datacenter, 404, "Not Found", "Path '/api2/json/x' not found.");
        assert!(matches!(error, PveError::NotFound { .. }), "{error:?}");
        let error =
            refused(Product::Backup, 401, "Unauthorized", "authentication failed - invalid credentials");
        assert!(error.to_string().contains("invalid credentials"), "{error}");
    }

    #[test]
    fn wrong_parameters_are_named_one_or_many() {
        let one = "parameter verification failed - 'store': value does not match the regex pattern";
        let many = "parameter verification errors\n\nparameter 'ns': too deep\nparameter 'store': parameter is missing and it is not optional.\n";
        for (words, names) in [(one, vec!["store"]), (many, vec!["ns", "store"])] {
            let error = refused(Product::Backup, 400, "Bad Request", words);
            let PveError::BadParameters { errors, .. } = &error else { panic!("{error:?}") };
            assert_eq!(errors.keys().collect::<Vec<_>>(), names, "{words}");
        }
    }

    #[test]
    fn what_is_no_message_of_the_servers_is_not_shown_as_one() {
        let error = refused(Product::Backup, 502, "Bad Gateway", "<html>a page</html>");
        assert!(!error.to_string().contains("page"), "{error}");
    }
}
