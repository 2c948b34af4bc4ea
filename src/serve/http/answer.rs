//! Answers: JSON, or refusals as tools have them (`kind`, `message`, `next`).

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

pub type Body = UnsyncBoxBody<Bytes, Infallible>;
pub type Answer = Response<Body>;

pub fn text(status: u16, kind: &'static str, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()).boxed_unsync());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // What is said to one is for nobody else, and not for later.
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

pub fn json(status: u16, value: &Value) -> Answer {
    text(status, "application/json", value.to_string())
}

/// In the form in which tools fail.
pub fn refuse(status: u16, kind: &str, message: &str, next: &str) -> Answer {
    let mut error = json!({ "kind": kind, "message": message });
    if !next.is_empty() {
        error["next"] = next.into();
    }
    json(status, &json!({ "error": error }))
}
