//! HTTP+JSON, of 1.0: the operations as places under `/a2a`.

use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use ::a2a::{A2AError, error_code};

use super::ops::{Asker, Op, Told};
use super::{Form, card, errors, rpc};
use crate::serve::http::Door;
use crate::serve::http::answer::{self, Answer};
use crate::serve::unique;

/// An operation, and the task that the place names.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    op: Op,
    id: Option<String>,
    /// How it may be asked for.
    pub methods: &'static [Method],
}

const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];
const GET_OR_POST: &[Method] = &[Method::GET, Method::POST];
const ANY: &[Method] = &[Method::GET, Method::POST, Method::DELETE];

/// What is at this path, under `/a2a/`. None: nothing.
pub fn place(path: &str) -> Option<Place> {
    let at = |op, methods| Some(Place { op, id: None, methods });
    match path {
        "message:send" => return at(Op::Send, POST),
        "message:stream" => return at(Op::Stream, POST),
        "tasks" => return at(Op::List, GET),
        "extendedAgentCard" => return at(Op::Card, GET),
        _ => {}
    }
    let rest = path.strip_prefix("tasks/")?;
    let (name, more) = rest.split_once('/').map_or((rest, None), |(name, more)| (name, Some(more)));
    let push = |more: &str| more == "pushNotificationConfigs" || more.starts_with("pushNotificationConfigs/");
    let (id, op, methods) = match (name.rsplit_once(':'), more) {
        (None, None) => (name, Op::Get, GET),
        (Some((id, "cancel")), None) => (id, Op::Cancel, POST),
        (Some((id, "subscribe")), None) => (id, Op::Subscribe, GET_OR_POST),
        (None, Some(more)) if push(more) => (name, Op::Push, ANY),
        _ => return None,
    };
    let id = percent_decode_str(id).decode_utf8().ok().filter(|id| !id.is_empty())?;
    Some(Place { op, id: Some(id.into_owned()), methods })
}

/// The answer, and whether it is a stream.
pub async fn answer(door: &Door, asker: &Asker, place: Place, parts: &Parts, body: &[u8]) -> (Answer, bool) {
    // Some are asked for by a POST that says all in its path.
    let has_body = parts.method != Method::GET && !body.trim_ascii().is_empty();
    if let Some(refused) = has_body.then(|| rpc::no_json(parts)).flatten() {
        return (refused, false);
    }
    match called(door, asker, place, parts, body).await {
        Ok(Told::Whole(told)) => (of_a2a(answer::json(200, &told)), false),
        Ok(Told::Follow(follow)) => (follow.answer(|event| Form::One.event(event).to_string()), true),
        Err(error) => {
            let (status, told) = errors::status(&error);
            (of_a2a(answer::json(status, &told)), false)
        }
    }
}

async fn called(
    door: &Door,
    asker: &Asker,
    place: Place,
    parts: &Parts,
    body: &[u8],
) -> Result<Told, A2AError> {
    if rpc::version(parts)? == Some(Form::Three) {
        let message = "HTTP+JSON is spoken here by A2A 1.0; 0.3 by JSON-RPC";
        return Err(errors::error(error_code::VERSION_NOT_SUPPORTED, "version", message, "POST /a2a"));
    }
    let mut params = match parts.method == Method::GET {
        true => query(parts.uri.query().unwrap_or_default()),
        false => match body.trim_ascii() {
            b"" => Map::new(),
            text => unique::read(text).map_err(|wrong| {
                let said = wrong.said("the body is no JSON object");
                errors::error(error_code::PARSE_ERROR, "arguments", said, "")
            })?,
        },
    };
    if let Some(id) = place.id {
        // What the path says counts.
        params.insert("id".into(), id.into());
    }
    match place.op {
        Op::Card => Ok(Told::Whole(card::extended(door, asker, parts, Form::One)?)),
        op => asker.carry(op, &Value::Object(params)).await,
    }
}

/// Parameters of a query, as the request has them: numbers and truths by their names.
fn query(query: &str) -> Map<String, Value> {
    let text = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let read = pairs.map(|(name, value)| {
        let (name, value) = (text(name), text(value));
        let value = match name.as_str() {
            "pageSize" | "historyLength" => value.parse::<i64>().map_or(json!(value), |number| json!(number)),
            "includeArtifacts" => value.parse::<bool>().map_or(json!(value), |truth| json!(truth)),
            _ => json!(value),
        };
        (name, value)
    });
    read.collect()
}

fn of_a2a(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/a2a+json"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_one_operation() {
        let found = |path: &str| place(path).map(|place| (place.op, place.id.unwrap_or_default()));
        let id = "t-1".to_owned();
        assert_eq!(found("message:send"), Some((Op::Send, String::new())));
        assert_eq!(found("tasks"), Some((Op::List, String::new())));
        assert_eq!(found("tasks/t-1"), Some((Op::Get, id.clone())));
        assert_eq!(found("tasks/t%2D1"), Some((Op::Get, id.clone())));
        assert_eq!(found("tasks/t-1:cancel"), Some((Op::Cancel, id.clone())));
        assert_eq!(found("tasks/t-1:subscribe"), Some((Op::Subscribe, id.clone())));
        assert_eq!(found("tasks/t-1/pushNotificationConfigs"), Some((Op::Push, id.clone())));
        assert_eq!(found("tasks/t-1/pushNotificationConfigs/x"), Some((Op::Push, id)));
        for other in
            ["", "tasks/", "tasks/t-1/", "tasks/t-1:delete", "tasks/t-1/x", "message", "../x", "tenant/tasks"]
        {
            assert_eq!(found(other), None, "{other}");
        }
    }

    #[test]
    fn a_query_is_read_as_the_request_has_it() {
        let wanted =
            json!({ "pageSize": 5, "contextId": "a b/c", "includeArtifacts": true, "historyLength": "x" });
        assert_eq!(
            Value::Object(query("pageSize=5&contextId=a+b%2Fc&includeArtifacts=true&historyLength=x")),
            wanted
        );
    }
}
