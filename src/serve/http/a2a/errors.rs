//! Why an operation is not done, by the specification's codes; each says what the house's refusals say too: `kind` and `next`.
//!
//! What a tool refuses or fails at is no such error: it is how the task ends ([`super::verdict`]).

use std::collections::HashMap;

use ::a2a::{A2AError, FieldViolation, PROTOCOL_DOMAIN, TypedDetail, error_code, error_reason};
use serde_json::{Value, json};

/// JSON-RPC leaves it to servers; the door for MCP uses it too.
const BUSY: i32 = -32000;

pub fn error(code: i32, kind: &str, message: impl Into<String>, next: &str) -> A2AError {
    let pairs = [("kind", kind), ("next", next)].into_iter().filter(|(_, text)| !text.is_empty());
    let said: HashMap<String, String> = pairs.map(|(name, text)| (name.into(), text.into())).collect();
    let info = TypedDetail::error_info(error_reason(code), PROTOCOL_DOMAIN, Some(said));
    A2AError::new(code, message).with_details(vec![info])
}

/// `field` is not as it should be.
pub fn wrong(field: &str, description: &str) -> A2AError {
    let mut error =
        error(error_code::INVALID_PARAMS, "arguments", format!("{field}: {description}"), "correct it");
    let violation = FieldViolation { field: field.into(), description: description.into() };
    error.details.get_or_insert_default().insert(0, TypedDetail::bad_request(vec![violation]));
    error
}

/// Of no such task, and of somebody else's.
pub fn no_task() -> A2AError {
    let next = "a task is kept for 15 minutes after its end, and until the daemon restarts";
    error(error_code::TASK_NOT_FOUND, "no_such_task", "there is no such task of yours", next)
}

pub fn busy(message: impl Into<String>) -> A2AError {
    error(BUSY, "busy", message, "call again")
}

pub fn unsupported(message: &str, next: &str) -> A2AError {
    error(error_code::UNSUPPORTED_OPERATION, "unsupported", message, next)
}

pub fn no_push() -> A2AError {
    let message = "push notifications are not supported: Provost calls nobody";
    let next = "follow the task: SubscribeToTask, or GetTask";
    error(error_code::PUSH_NOTIFICATION_NOT_SUPPORTED, "unsupported", message, next)
}

/// A status of HTTP's and of `google.rpc`'s.
const STATUS: &[(i32, u16, &str)] = &[
    (BUSY, 503, "UNAVAILABLE"),
    (error_code::TASK_NOT_FOUND, 404, "NOT_FOUND"),
    (error_code::TASK_NOT_CANCELABLE, 400, "FAILED_PRECONDITION"),
    (error_code::PUSH_NOTIFICATION_NOT_SUPPORTED, 400, "FAILED_PRECONDITION"),
    (error_code::UNSUPPORTED_OPERATION, 400, "FAILED_PRECONDITION"),
    (error_code::VERSION_NOT_SUPPORTED, 400, "FAILED_PRECONDITION"),
    (error_code::CONTENT_TYPE_NOT_SUPPORTED, 400, "INVALID_ARGUMENT"),
    (error_code::PARSE_ERROR, 400, "INVALID_ARGUMENT"),
    (error_code::INVALID_REQUEST, 400, "INVALID_ARGUMENT"),
    (error_code::INVALID_PARAMS, 400, "INVALID_ARGUMENT"),
];

/// As HTTP+JSON has it: `google.rpc.Status`.
pub fn status(error: &A2AError) -> (u16, Value) {
    let found = STATUS.iter().find(|(code, ..)| *code == error.code);
    let (http, name) = found.map_or((500, "INTERNAL"), |(_, http, name)| (*http, *name));
    let details = error.to_jsonrpc_error().data.unwrap_or_default();
    (http, json!({ "error": { "code": http, "status": name, "message": error.message, "details": details } }))
}
