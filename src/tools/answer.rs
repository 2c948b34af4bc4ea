//! Answers and failures, as tools give them: [`super::record`] makes of them what a client gets.

use rmcp::ErrorData;
use rmcp::model::Tool;
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::exec::client::ClientError;
use crate::exec::wire::Refusal;
use crate::policy::Denied;
use crate::secret::may_be_secret;

/// A tool's answer as its structured content.
pub fn to_object(answer: impl Serialize) -> Answer {
    match serde_json::to_value(answer) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(Failure::new("internal", "the answer cannot be written as JSON", "report this")),
    }
}

/// A call that did not do what was asked. The caller sees all of it: it is a tool's answer, not a protocol error,
/// which clients show opaquely.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Failure {
    /// A short name that programs can compare.
    pub kind: String,
    /// What was tried, on what, and what answered.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub next: String,
    /// What else the answer holds, beside the error.
    #[serde(skip)]
    pub beside: Map<String, Value>,
    /// Whether policy said no, however far the call had come.
    #[serde(skip)]
    pub denied: bool,
    /// HTTP status of the API's answer, where that is what failed.
    #[serde(skip)]
    pub status: Option<u16>,
}

/// The kind of a failure that its caller wanted.
pub const CANCELLED: &str = "cancelled";

impl Failure {
    pub fn new(kind: &str, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            message: message.into(),
            next: next.into(),
            beside: Map::new(),
            denied: false,
            status: None,
        }
    }

    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.beside.insert(key.into(), value.into());
        self
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        Self { denied: true, ..Self::new(denied.kind(), denied.to_string(), denied.next()) }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::new(error.kind(), error.to_string(), error.next())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let failure = Self::new(&refusal.kind, refusal.message, refusal.next);
        // As a shell would report it, for callers that look at nothing else.
        match refusal.kind.as_str() {
            "no_such_program" => failure.with("exit_code", 127),
            "not_executable" => failure.with("exit_code", 126),
            _ => failure,
        }
    }
}

pub type Answer = Result<Map<String, Value>, Failure>;

/// To a caller who has cancelled, and mostly does not look any more.
pub fn no_longer_wanted() -> Failure {
    Failure::new(CANCELLED, "the call was cancelled; what runs on the node goes on", "")
}

pub fn no_such_tool(name: &str, tools: &[Tool]) -> Failure {
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    let shown = crate::text::brief(name, 64);
    Failure::new("no_such_tool", format!("no tool \"{shown}\"; there are: {}", names.join(", ")), "")
}

/// For what MCP has no other place for a failure.
impl From<&Failure> for ErrorData {
    fn from(failure: &Failure) -> Self {
        let detail = serde_json::json!({ "kind": failure.kind, "next": failure.next });
        Self::invalid_params(failure.message.clone(), Some(detail))
    }
}

/// A tool's arguments as its own type; what does not fit is named, with what would.
pub fn arguments<T: serde::de::DeserializeOwned>(arguments: Map<String, Value>) -> Result<T, Failure> {
    const MOST: usize = 300;
    let given = Value::Object(arguments);
    T::deserialize(&given).map_err(|error| {
        let message = crate::config::with_nearest(&without_texts(&error.to_string()));
        let message = crate::secret::without_values(&message, &secrets(&given));
        Failure::new("arguments", crate::secret::told(&message, MOST), "correct the argument and call again")
    })
}

/// serde's message without the text that it found where something else should be: `invalid type: string "…", expected`.
fn without_texts(message: &str) -> String {
    match (message.find("string \""), message.rfind("\", expected")) {
        (Some(from), Some(to)) if from < to => format!("{}a text{}", &message[..from], &message[to + 1..]),
        _ => message.to_owned(),
    }
}

/// What nobody but the caller should see: values by their names, a command's variables and what it reads, a file's content.
fn secrets(given: &Value) -> Vec<String> {
    fn collect(value: &Value, secret: bool, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => object.iter().for_each(|(name, value)| {
                let secret =
                    secret || matches!(name.as_str(), "env" | "stdin" | "content") || may_be_secret(name);
                collect(value, secret, found);
            }),
            Value::Array(items) => items.iter().for_each(|item| collect(item, secret, found)),
            Value::String(text) if secret => found.push(text.clone()),
            Value::Number(number) if secret => found.push(number.to_string()),
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(given, false, &mut found);
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code)]
    struct Arguments {
        guest: Option<u32>,
        env: Option<std::collections::BTreeMap<String, String>>,
        mode: Option<Mode>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Inspect,
    }

    fn refused(given: Value) -> String {
        arguments::<Arguments>(given.as_object().unwrap().clone()).unwrap_err().message
    }

    #[test]
    fn a_wrong_argument_is_named_and_its_value_is_not_repeated() {
        for given in [
            json!({ "guest": "hunter2" }),
            json!({ "guest": "a\", expected hunter2\", expected" }),
            json!({ "env": { "TOKEN": 72347234 } }),
            json!({ "env": "hunter2" }),
            json!({ "env": { "A": ["hunter2"] } }),
            json!({ "env": ["hunter2"], "password": "x" }),
            json!({ "password": "hunter2" }),
        ] {
            let message = refused(given.clone());
            assert!(!message.contains("hunter2") && !message.contains("72347234"), "{given}: {message}");
        }
        assert!(refused(json!({ "gest": 1 })).contains("nearest valid name is \"guest\""));
        assert!(refused(json!({ "mode": "inspct" })).contains("inspect"));
        let long = refused(json!({ "\u{1b}[31m\u{202e}".repeat(5_000): 1 }));
        assert!(long.chars().count() < 340 && !long.contains('\u{1b}'), "{long}");
    }
}
