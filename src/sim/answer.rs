//! What a method gives back: data, or a refusal with the status line that PVE would send.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::disorder;

/// An answer with 200.
#[derive(Debug, Clone)]
pub enum Reply {
    /// `{"data": …}`
    Data(Value),
    /// `{"data": [{"n": 1, "t": "…"}], "total": …}`: logs.
    Lines { lines: Value, total: usize },
    /// A whole body that was serialised before.
    Body(Arc<Vec<u8>>),
}

impl Reply {
    pub const NULL: Self = Self::Data(Value::Null);

    pub fn body(self) -> Arc<Vec<u8>> {
        let value = match self {
            Self::Data(data) => json!({ "data": data }),
            Self::Lines { lines, total } => json!({ "data": lines, "total": total }),
            Self::Body(body) => return body,
        };
        Arc::new(disorder::body(&value))
    }
}

impl From<Value> for Reply {
    fn from(data: Value) -> Self {
        Self::Data(data)
    }
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self::Data(Value::String(text))
    }
}

/// An answer with any other status. The reason phrase is the message's first line.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub status: u16,
    pub message: String,
    /// By parameter; only with 400.
    pub errors: BTreeMap<String, String>,
    /// PVE's proxy answers these itself, with no body, and closes the connection.
    pub bare: bool,
}

impl Refusal {
    fn with(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), errors: BTreeMap::new(), bare: false }
    }

    /// A plain `die` in PVE's code, which is most of a caller's mistakes: 500.
    pub fn die(message: impl AsRef<str>) -> Self {
        Self::with(500, format!("{}\n", message.as_ref()))
    }

    /// An exception with a status of its own, which ends without a newline.
    pub fn status(status: u16, message: impl Into<String>) -> Self {
        Self::with(status, message)
    }

    pub fn bare(status: u16, message: impl Into<String>) -> Self {
        Self { bare: true, ..Self::with(status, message) }
    }

    pub fn forbidden(what: &str) -> Self {
        let what = if what.is_empty() { String::new() } else { format!(" ({what})") };
        Self::with(403, format!("Permission check failed{what}\n"))
    }

    pub fn parameter(name: &str, problem: impl Into<String>) -> Self {
        Self::parameters([(name.to_owned(), problem.into())].into())
    }

    pub fn parameters(errors: BTreeMap<String, String>) -> Self {
        Self { errors, ..Self::with(400, "Parameter verification failed.\n") }
    }

    pub fn unknown_method(method: &str, path: &str) -> Self {
        Self::with(501, format!("Method '{method} {path}' not implemented"))
    }

    pub fn stale() -> Self {
        Self::die("detected modified configuration - file changed by other user? Try again.")
    }

    pub fn reason(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }

    pub fn body(&self) -> Vec<u8> {
        if self.bare {
            return Vec::new();
        }
        let mut body = json!({ "data": null, "message": self.message });
        if !self.errors.is_empty() {
            body["errors"] = json!(self.errors);
        }
        disorder::body(&body)
    }
}

/// Most refusals are a sentence.
impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self::die(message)
    }
}
