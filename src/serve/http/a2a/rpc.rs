//! JSON-RPC 2.0: `POST /a2a`, by the methods of 1.0, and by those of 0.3 for clients that speak it.

use ::a2a::{A2AError, JsonRpcId, JsonRpcResponse, SVC_PARAM_VERSION, error_code};
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use super::errors::error;
use super::ops::{Asker, Op, Told};
use super::{Form, card, v03};
use crate::serve::http::Door;
use crate::serve::http::answer::{self, Answer, refuse};
use crate::serve::unique::{self, Wrong};

/// An operation by its names in 1.0 and in 0.3.
const METHODS: &[(Op, &str, &str)] = &[
    (Op::Send, "SendMessage", "message/send"),
    (Op::Stream, "SendStreamingMessage", "message/stream"),
    (Op::Get, "GetTask", "tasks/get"),
    (Op::List, "ListTasks", ""),
    (Op::Cancel, "CancelTask", "tasks/cancel"),
    (Op::Subscribe, "SubscribeToTask", "tasks/resubscribe"),
    (Op::Push, "CreateTaskPushNotificationConfig", "tasks/pushNotificationConfig/set"),
    (Op::Push, "GetTaskPushNotificationConfig", "tasks/pushNotificationConfig/get"),
    (Op::Push, "ListTaskPushNotificationConfigs", "tasks/pushNotificationConfig/list"),
    (Op::Push, "DeleteTaskPushNotificationConfig", "tasks/pushNotificationConfig/delete"),
    (Op::Card, "GetExtendedAgentCard", "agent/getAuthenticatedExtendedCard"),
];

/// The operation, and in which form it is asked and answered.
fn method(name: &str) -> Option<(Op, Form)> {
    METHODS.iter().find_map(|(op, one, three)| match name {
        "" => None,
        name if name == *one => Some((*op, Form::One)),
        name if name == *three => Some((*op, Form::Three)),
        _ => None,
    })
}

/// What a request's header, or its query, says that it speaks; none: nothing. A2A 1.0 (3.6.2) has that mean 0.3. Here it means
/// what the request itself shows: no operation has the same name in both, and by HTTP+JSON there is 1.0 alone. So nothing is
/// taken for what it is not, and who forgot the header is served.
pub fn version(parts: &Parts) -> Result<Option<Form>, A2AError> {
    let header = parts.headers.get(SVC_PARAM_VERSION).map(|version| version.to_str().unwrap_or("?"));
    let query = parts.uri.query().unwrap_or_default().split('&');
    let said = header.or_else(|| {
        query
            .filter_map(|pair| pair.split_once('='))
            .find_map(|(name, version)| name.eq_ignore_ascii_case(SVC_PARAM_VERSION).then_some(version))
    });
    // A patch counts for nothing.
    let said = said.unwrap_or_default().trim();
    match said.splitn(3, '.').take(2).collect::<Vec<_>>()[..] {
        [""] => Ok(None),
        ["1", "0"] | ["1"] => Ok(Some(Form::One)),
        ["0", "3"] => Ok(Some(Form::Three)),
        _ => Err(error(
            error_code::VERSION_NOT_SUPPORTED,
            "version",
            "A2A 1.0 and 0.3 are spoken here",
            "say either",
        )),
    }
}

/// Where a body is not sent as JSON: which a page of another origin can do without asking its browser first.
pub fn no_json(parts: &Parts) -> Option<Answer> {
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = kind == "application/json" || kind == "application/a2a+json";
    (!is_json).then(|| refuse(415, "content_type", "a request is sent as application/json", ""))
}

pub async fn answer(door: &Door, asker: &Asker, parts: &Parts, body: &[u8]) -> (Answer, bool) {
    if let Some(refused) = no_json(parts) {
        return (refused, false);
    }
    let message: Value = match unique::read(body) {
        Ok(message) => message,
        Err(Wrong::Twice) => {
            let twice = no_request(Wrong::Twice.said(""));
            return (refused(JsonRpcId::Null, &twice), false);
        }
        Err(_) => {
            let parse = error(error_code::PARSE_ERROR, "arguments", "the body is no JSON", "");
            return (refused(JsonRpcId::Null, &parse), false);
        }
    };
    let id = match serde_json::from_value::<JsonRpcId>(message.get("id").cloned().unwrap_or_default()) {
        Ok(id) if message.get("id").is_some() => id,
        _ => return (refused(JsonRpcId::Null, &no_request("one request, with an id, is sent")), false),
    };
    match called(door, asker, parts, &message).await {
        // The SDK of 0.3 reads what it asked to stream as a stream, whatever is answered.
        Err(error) if asks_for_old_stream(&message) => {
            let told = json!(JsonRpcResponse::error(id, error.to_jsonrpc_error()));
            (answer::text(200, "text/event-stream", format!("data: {told}\n\n")), false)
        }
        Err(error) => (refused(id, &error), false),
        Ok((op, form, Told::Whole(told))) => {
            let told = form.of_told(op, told);
            (answer::json(200, &json!(JsonRpcResponse::success(id, told))), false)
        }
        Ok((_, form, Told::Follow(follow))) => {
            let told =
                move |event| json!(JsonRpcResponse::success(id.clone(), form.event(event))).to_string();
            (follow.answer(told), true)
        }
    }
}

async fn called(
    door: &Door,
    asker: &Asker,
    parts: &Parts,
    message: &Value,
) -> Result<(Op, Form, Told), A2AError> {
    if message["jsonrpc"] != "2.0" {
        return Err(no_request("jsonrpc is \"2.0\""));
    }
    let name = message["method"].as_str().ok_or_else(|| no_request("method is missing"))?;
    let unknown = || error(error_code::METHOD_NOT_FOUND, "no_such_method", "there is no such method", "");
    let (op, form) = method(name).ok_or_else(unknown)?;
    match (version(parts)?, form) {
        (Some(Form::One), Form::Three) => return Err(unknown()),
        (Some(Form::Three), Form::One) => {
            let message = "the method is of A2A 1.0, and the request says that it speaks 0.3";
            return Err(error(
                error_code::VERSION_NOT_SUPPORTED,
                "version",
                message,
                "send A2A-Version: 1.0",
            ));
        }
        _ => {}
    }
    let params = match message.get("params") {
        None | Some(Value::Null) => json!({}),
        Some(params) if params.is_object() => params.clone(),
        Some(_) => return Err(error(error_code::INVALID_PARAMS, "arguments", "params are an object", "")),
    };
    let params = if form == Form::Three { v03::request(params) } else { params };
    let told = match op {
        Op::Card => Told::Whole(card::extended(door, asker, parts, form)?),
        _ => asker.carry(op, &params).await?,
    };
    Ok((op, form, told))
}

fn asks_for_old_stream(message: &Value) -> bool {
    let asked = message["method"].as_str().and_then(method);
    matches!(asked, Some((Op::Stream | Op::Subscribe, Form::Three)))
}

fn no_request(why: &str) -> A2AError {
    error(error_code::INVALID_REQUEST, "arguments", why, "")
}

fn refused(id: JsonRpcId, error: &A2AError) -> Answer {
    answer::json(200, &json!(JsonRpcResponse::error(id, error.to_jsonrpc_error())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_of_one_form_and_a_version_is_one_that_is_spoken() {
        assert_eq!(method("SendMessage"), Some((Op::Send, Form::One)));
        assert_eq!(method("message/send"), Some((Op::Send, Form::Three)));
        assert_eq!((method(""), method("tools/call")), (None, None));
        let asked = |header: &str, query: &str| {
            let mut request = hyper::Request::builder().uri(format!("/a2a{query}"));
            if !header.is_empty() {
                request = request.header("a2a-version", header);
            }
            version(&request.body(()).unwrap().into_parts().0).map_err(|error| error.code)
        };
        assert_eq!(
            (asked("", ""), asked("1.0", ""), asked("1.0.1", "")),
            (Ok(None), Ok(Some(Form::One)), Ok(Some(Form::One)))
        );
        assert_eq!(
            (asked("0.3", ""), asked("", "?x=1&A2A-Version=0.3")),
            (Ok(Some(Form::Three)), Ok(Some(Form::Three)))
        );
        for other in ["0.2", "2.0", "1.1", "x", "10", "0.30"] {
            assert_eq!(asked(other, ""), Err(-32009), "{other}");
        }
    }
}
