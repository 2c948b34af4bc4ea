//! What is refused at `/mcp` itself, beside what the SDK answers: a body that is no message, in JSON-RPC's form, as the sockets
//! have it; and what the SDK says in bare words, in the form of every other refusal here.

use http_body_util::BodyExt;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Response};
use rmcp::model::ClientJsonRpcMessage;
use serde_json::{Value, json};

use super::answer::{self, Answer, Body, refuse};
use crate::serve::unique::{self, Wrong};

/// Words of a refusal that are looked at.
const LONGEST: usize = 4 << 10;

/// Why what was sent is no message; none where it is one, or is not JSON by its type, which the SDK refuses.
pub fn refused(method: &Method, headers: &HeaderMap, body: &[u8]) -> Option<Answer> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if *method != Method::POST || !kind.eq_ignore_ascii_case("application/json") {
        return None;
    }
    let (code, message) = match unique::read::<Value>(body) {
        Err(Wrong::NoJson) => (-32700, "the body is no JSON"),
        Err(wrong) => (-32600, wrong.said("the body is no message")),
        Ok(Value::Array(_)) => (-32600, "batches are not taken: send one message at a time"),
        Ok(_) => match serde_json::from_slice::<ClientJsonRpcMessage>(body) {
            Ok(_) => return None,
            Err(_) => (-32600, "the body is no message of JSON-RPC 2.0"),
        },
    };
    let error = json!({ "code": code, "message": message });
    Some(answer::json(400, &json!({ "jsonrpc": "2.0", "id": null, "error": error })))
}

/// An answer of the SDK's, with what every answer here has.
pub async fn house(answer: Response<Body>) -> Answer {
    let status = answer.status();
    let is_bare = status.as_u16() >= 400 && !answer.headers().contains_key(CONTENT_TYPE);
    let (parts, body) = answer.into_parts();
    if !is_bare {
        let mut answer = Response::from_parts(parts, body);
        let no_store = HeaderValue::from_static("no-store");
        answer.headers_mut().entry(CACHE_CONTROL).or_insert(no_store);
        return answer;
    }
    let said = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let said = String::from_utf8_lossy(&said[..said.len().min(LONGEST)]).into_owned();
    let (kind, next) = match status.as_u16() {
        404 => ("no_session", "begin one by initialize"),
        405 => ("method", ""),
        406 => ("not_acceptable", "send Accept: application/json, text/event-stream"),
        415 => ("content_type", "send Content-Type: application/json"),
        500.. => ("internal", "call again"),
        _ => ("arguments", ""),
    };
    let mut refused = refuse(status.as_u16(), kind, &said, next);
    if let Some(allow) = parts.headers.get(ALLOW) {
        refused.headers_mut().insert(ALLOW, allow.clone());
    }
    refused
}
