//! `POST /v1/tools/{name}`: a tool called by a plain POST, for what speaks no MCP. Its arguments are the body, its structured
//! answer is the answer.
//!
//! It is the same call ([`super::one`]): only the envelope differs.

use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use serde_json::{Map, Value, json};

use super::answer::{Answer, json, refuse};
use super::callers::Caller;
use super::one::{self, One, Said};
use crate::serve::unique;

/// HTTP's word for why a tool did not do what was asked; for what stands not here, 422: it was understood, and is not done, and
/// asking again changes nothing.
pub const STATUS: &[(&str, u16)] = &[
    ("arguments", 400),
    ("parameters", 400),
    ("no_role", 403),
    ("guest_out_of_scope", 403),
    ("closed_to_role", 403),
    ("denied_to_role", 403),
    ("not_a_read", 403),
    ("secret_in_url", 403),
    ("lane_not_allowed", 403),
    ("tier_not_allowed", 403),
    ("host_off", 403),
    ("held", 403),
    ("needs_approval", 403),
    ("denied_by_person", 403),
    ("not_your_plan", 403),
    ("not_an_approver", 403),
    ("self_approval", 403),
    ("held_back", 403),
    ("request_state", 403),
    ("no_such_tool", 404),
    ("no_such_path", 404),
    ("no_such_plan", 404),
    ("no_such_guest", 404),
    ("not_found", 404),
    ("already_applied", 409),
    ("plan_expired", 409),
    ("plan_withdrawn", 409),
    ("role_changed", 409),
    ("halted", 409),
    ("rate", 429),
    ("busy", 503),
    ("ledger_unavailable", 503),
    ("ledger_damaged", 503),
    ("stopping", 503),
];

pub fn status(kind: &str) -> u16 {
    STATUS.iter().find(|(known, _)| *known == kind).map_or(422, |(_, status)| *status)
}

pub async fn call(caller: &Caller, name: &str, parts: &Parts, body: &[u8]) -> Answer {
    let kind = parts.headers.get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or_default());
    let essence = |kind: &str| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind.is_none_or(|kind| essence(kind) != "application/json") {
        return refuse(415, "content_type", "the arguments are sent as application/json", "");
    }
    let arguments = match body.trim_ascii() {
        // A tool without arguments.
        b"" => Map::new(),
        text => match unique::read(text) {
            Ok(arguments) => arguments,
            Err(wrong) => return refuse(400, "arguments", wrong.said("the arguments are an object"), ""),
        },
    };
    let session = match caller.session() {
        Ok(session) => session,
        Err(full) => return refuse(503, "busy", &full, "call again"),
    };
    // Who hangs up wants it no longer.
    let begun = One::begin(session, &one::agent(parts), name, arguments, caller.stop().child_token());
    let Some(mut one) = begun else {
        return refuse(400, "arguments", "this is no call of a tool", "");
    };
    while let Some(said) = one.next().await {
        match said {
            Said::Result(result) => return answered(&result),
            Said::Error(error) => return not_called(&error),
            // Nobody here has asked for it.
            Said::Progress { .. } => {}
        }
    }
    refuse(503, "stopping", "the call ended without an answer", "call again")
}

fn answered(result: &Value) -> Answer {
    let content = result.get("structuredContent").cloned().unwrap_or_else(|| json!({}));
    let status = match result.get("isError") {
        Some(Value::Bool(true)) => status(content["error"]["kind"].as_str().unwrap_or_default()),
        _ => 200,
    };
    json(status, &content)
}

/// An error of the protocol's: in the form that tools have.
fn not_called(error: &Value) -> Answer {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = match text(&error["data"]["kind"]) {
        kind if kind.is_empty() => "arguments".to_owned(),
        kind => kind,
    };
    refuse(status(&kind), &kind, &text(&error["message"]), &text(&error["data"]["next"]))
}
