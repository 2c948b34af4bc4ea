//! The form of 0.3, where it differs: a member `kind` says what an object is, states and roles have short names, and an
//! answer has no wrapper.
//!
//! In: a request of 0.3. Out: the same of 1.0; and the way back for what is answered. Nothing is decided here.

use serde_json::{Map, Value, json};

use super::ops::Op;

/// A request as 1.0 has it.
pub fn request(mut params: Value) -> Value {
    if let Some(message) = params.get_mut("message") {
        match message["role"].as_str() {
            Some("user") => message["role"] = "ROLE_USER".into(),
            Some("agent") => message["role"] = "ROLE_AGENT".into(),
            _ => {}
        }
        let parts = message.get_mut("parts").and_then(Value::as_array_mut);
        parts.into_iter().flatten().for_each(part);
    }
    if let Some(settings) = params.get_mut("configuration").and_then(Value::as_object_mut)
        && let Some(blocking) = settings.remove("blocking")
    {
        let at_once = blocking.as_bool().map_or(blocking.clone(), |blocking| Value::Bool(!blocking));
        settings.insert("returnImmediately".into(), at_once);
    }
    params
}

fn part(part: &mut Value) {
    let Some(object) = part.as_object_mut() else { return };
    let kind = object.remove("kind");
    let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default();
    if let Some(file) = object.remove("file") {
        let (name, content) = match file.get("uri") {
            Some(uri) => ("url", uri.clone()),
            None => ("raw", file["bytes"].clone()),
        };
        object.insert(name.into(), content);
    }
    // What it says that it is counts, and nothing beside it.
    let other =
        |name: &String| ["text", "data", "raw", "url"].contains(&name.as_str()) && kind != name.as_str();
    if matches!(kind, "text" | "data") && object.keys().any(other) {
        object.clear();
    }
}

/// The answer of an operation.
pub fn told(op: Op, mut told: Value) -> Value {
    match op {
        Op::Send => told.get_mut("task").map(Value::take).map_or(Value::Null, task),
        Op::Get | Op::Cancel => task(told),
        _ => told,
    }
}

/// An event of a stream; `last` ends it.
pub fn event(mut event: Value, last: bool) -> Value {
    for (name, kind) in [("statusUpdate", "status-update"), ("artifactUpdate", "artifact-update")] {
        let Some(update) = event.get_mut(name).map(Value::take) else { continue };
        let mut update = of_kind(update, kind);
        match name {
            "statusUpdate" => {
                status(&mut update);
                update["final"] = last.into();
            }
            _ => artifact(&mut update["artifact"]),
        }
        return update;
    }
    event.get_mut("task").map(Value::take).map_or(Value::Null, task)
}

fn of_kind(mut value: Value, kind: &str) -> Value {
    value["kind"] = kind.into();
    value
}

fn task(value: Value) -> Value {
    let mut value = of_kind(value, "task");
    status(&mut value);
    value.get_mut("artifacts").and_then(Value::as_array_mut).into_iter().flatten().for_each(artifact);
    value.get_mut("history").and_then(Value::as_array_mut).into_iter().flatten().for_each(message);
    value
}

fn message(message: &mut Value) {
    message["kind"] = "message".into();
    message["role"] = if message["role"] == "ROLE_USER" { "user" } else { "agent" }.into();
    message.get_mut("parts").and_then(Value::as_array_mut).into_iter().flatten().for_each(of_part);
}

fn artifact(artifact: &mut Value) {
    artifact.get_mut("parts").and_then(Value::as_array_mut).into_iter().flatten().for_each(of_part);
}

fn of_part(part: &mut Value) {
    let Some(object) = part.as_object_mut() else { return };
    let kind = if object.contains_key("text") { "text" } else { "data" };
    // 0.3 has no such member.
    object.remove("mediaType");
    object.insert("kind".into(), kind.into());
}

/// Of a task, or of an event.
fn status(of: &mut Value) {
    let status = &mut of["status"];
    let state = status["state"].as_str().unwrap_or_default();
    let state = state.trim_start_matches("TASK_STATE_").to_ascii_lowercase().replace('_', "-");
    status["state"] = state.into();
    status.get_mut("message").into_iter().for_each(message);
}

/// The card.
pub fn card(mut card: Value) -> Value {
    let take = |card: &mut Value, name: &str| card.as_object_mut().and_then(|card| card.remove(name));
    let url = take(&mut card, "supportedInterfaces").unwrap_or_default()[0]["url"].clone();
    card["url"] = url;
    card["protocolVersion"] = "0.3.0".into();
    card["preferredTransport"] = "JSONRPC".into();
    let capabilities = &mut card["capabilities"];
    let extended = take(capabilities, "extendedAgentCard").unwrap_or_default();
    card["supportsAuthenticatedExtendedCard"] = extended;
    let schemes = take(&mut card, "securitySchemes").unwrap_or_default();
    let schemes: Map<String, Value> = schemes
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, scheme)| (name.clone(), of_type(&scheme["httpAuthSecurityScheme"])))
        .collect();
    let needed = take(&mut card, "securityRequirements").unwrap_or_default();
    let needed: Vec<Value> = needed
        .as_array()
        .into_iter()
        .flatten()
        .map(|requirement| {
            let schemes = requirement["schemes"].as_object().into_iter().flatten();
            Value::Object(schemes.map(|(name, scopes)| (name.clone(), scopes["list"].clone())).collect())
        })
        .collect();
    card["securitySchemes"] = schemes.into();
    card["security"] = needed.into();
    card
}

/// A card of this form as the protocol's own library for Python signs and verifies it: without what its model has anyway.
pub fn without_defaults(mut card: Value) -> Value {
    if let Some(card) = card.as_object_mut() {
        card.remove("protocolVersion");
        card.remove("preferredTransport");
    }
    let schemes = card.get_mut("securitySchemes").and_then(Value::as_object_mut);
    for scheme in
        schemes.into_iter().flat_map(|schemes| schemes.values_mut()).filter_map(Value::as_object_mut)
    {
        scheme.remove("type");
    }
    card
}

/// A card that is of both forms: where they differ, they differ in the names of members.
pub fn both(one: Value, three: Value) -> Value {
    match (one, three) {
        (Value::Object(mut one), Value::Object(three)) => {
            for (name, of_three) in three {
                let of_both = match one.remove(&name) {
                    Some(of_one) => both(of_one, of_three),
                    None => of_three,
                };
                one.insert(name, of_both);
            }
            Value::Object(one)
        }
        (one, _) => one,
    }
}

fn of_type(scheme: &Value) -> Value {
    let mut scheme = scheme.clone();
    scheme["type"] = json!("http");
    scheme
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_the_older_form_asks_for_the_same() {
        let old = json!({
            "message": { "kind": "message", "role": "user", "messageId": "m", "parts": [
                { "kind": "data", "data": { "tool": "status" } }, { "kind": "text", "text": "x" },
                { "kind": "file", "file": { "uri": "http://x" } },
            ] },
            "configuration": { "blocking": false },
        });
        let new = request(old);
        assert_eq!(new["message"]["role"], "ROLE_USER");
        assert_eq!(
            new["message"]["parts"],
            json!([{ "data": { "tool": "status" } }, { "text": "x" }, { "url": "http://x" }])
        );
        assert_eq!(new["configuration"], json!({ "returnImmediately": true }));
        let two = request(json!({ "message": { "parts": [{ "kind": "text", "text": "x", "data": {} }] } }));
        assert_eq!(two["message"]["parts"], json!([{}]));
    }

    #[test]
    fn an_answer_is_said_in_the_older_form() {
        let new = json!({ "task": {
            "id": "t", "contextId": "c",
            "status": { "state": "TASK_STATE_INPUT_REQUIRED", "message": { "role": "ROLE_AGENT", "parts": [{ "text": "x" }] } },
            "artifacts": [{ "artifactId": "answer", "parts": [{ "data": {}, "mediaType": "application/json" }] }],
        } });
        let old = told(Op::Send, new.clone());
        assert_eq!(old, event(new, false));
        assert_eq!((&old["kind"], &old["status"]["state"]), (&json!("task"), &json!("input-required")));
        assert_eq!(
            old["status"]["message"],
            json!({ "kind": "message", "role": "agent", "parts": [{ "kind": "text", "text": "x" }] })
        );
        assert_eq!(old["artifacts"][0]["parts"], json!([{ "kind": "data", "data": {} }]));
        let update =
            json!({ "statusUpdate": { "taskId": "t", "status": { "state": "TASK_STATE_COMPLETED" } } });
        let wanted = json!({ "kind": "status-update", "taskId": "t", "status": { "state": "completed" }, "final": true });
        assert_eq!(event(update, true), wanted);
    }
}
