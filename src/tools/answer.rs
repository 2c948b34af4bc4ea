//! Answers and failures, as tools give them: [`super::record`] makes of them what a client gets.

use rmcp::ErrorData;
use rmcp::model::Tool;
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::exec::client::ClientError;
use crate::exec::wire::Refusal;
use crate::policy::Denied;

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
    let shown: String = name.chars().take(64).filter(|character| !character.is_control()).collect();
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
    serde_json::from_value(Value::Object(arguments)).map_err(|error| {
        let message = crate::config::with_nearest(&error.to_string());
        Failure::new("arguments", message, "correct the argument and call again")
    })
}
