//! A host's message, decoded by what it is.
//!
//! rmcp's own decoder keeps the whole message as loose values and tries each kind of answer in turn, which for a guest's
//! configuration is a good part of what a call through this program costs. Nearly all of them are answers to tools.

use rmcp::model::{
    CallToolResult, JsonRpcMessage, JsonRpcResponse, JsonRpcVersion2_0, RequestId, ResultType, ServerResult,
};
use rmcp::service::{RoleClient, RxJsonRpcMessage};
use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

#[derive(Debug)]
pub struct Heard(pub RxJsonRpcMessage<RoleClient>);

impl<'de> Deserialize<'de> for Heard {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(from)?.get();
        match serde_json::from_str::<Answer>(text) {
            Ok(answer) if answer.is_complete() => Ok(Self(answer.into())),
            _ => serde_json::from_str(text).map(Self).map_err(D::Error::custom),
        }
    }
}

/// A tool's answer, and nothing else: whatever else stands in a message, rmcp may know.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    jsonrpc: JsonRpcVersion2_0,
    id: RequestId,
    result: Structured,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Structured {
    result_type: Option<ResultType>,
    /// The same as text, which is made anew from what follows.
    #[serde(rename = "content")]
    _content: Option<IgnoredAny>,
    structured_content: Map<String, Value>,
    is_error: Option<bool>,
}

impl Answer {
    fn is_complete(&self) -> bool {
        self.result.result_type.as_ref().is_none_or(ResultType::is_complete)
    }
}

impl From<Answer> for RxJsonRpcMessage<RoleClient> {
    #[expect(clippy::disallowed_methods, reason = "the host that answered has the receipt")]
    fn from(Answer { jsonrpc, id, result }: Answer) -> Self {
        let mut answer = CallToolResult::success(Vec::new());
        answer.result_type = result.result_type;
        answer.structured_content = Some(Value::Object(result.structured_content));
        answer.is_error = result.is_error;
        JsonRpcMessage::Response(JsonRpcResponse {
            jsonrpc,
            id,
            result: ServerResult::CallToolResult(answer),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Of ours and of rmcp's decoder, in words.
    fn decoded(message: &Value) -> [String; 2] {
        let text = message.to_string();
        let Heard(heard) = serde_json::from_str(&text).unwrap();
        let by_rmcp: RxJsonRpcMessage<RoleClient> = serde_json::from_str(&text).unwrap();
        [heard, by_rmcp].map(|mut message| {
            if let JsonRpcMessage::Response(response) = &mut message
                && let ServerResult::CallToolResult(called) = &mut response.result
                && called.structured_content.is_some()
            {
                called.content.clear();
            }
            format!("{message:?}")
        })
    }

    #[test]
    fn a_tools_answer_is_what_rmcp_makes_of_it_but_for_its_text() {
        let answer = json!({ "data": [{ "vmid": 101, "tags": null }], "host": "a\u{1b}" });
        for more in
            [json!({}), json!({ "isError": true }), json!({ "isError": false, "resultType": "complete" })]
        {
            let mut result =
                json!({ "content": [{ "type": "text", "text": "x" }], "structuredContent": answer });
            result.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let [heard, by_rmcp] = decoded(&json!({ "jsonrpc": "2.0", "id": 7, "result": result }));
            assert_eq!(heard, by_rmcp);
        }
    }

    #[test]
    fn everything_else_is_what_rmcp_makes_of_it() {
        let task = json!({ "taskId": "a", "status": "working", "createdAt": "2026-01-01T00:00:00Z", "ttl": null,
            "lastUpdatedAt": "2026-01-01T00:00:00Z" });
        for rest in [
            json!({ "id": 1, "result": {} }),
            json!({ "id": 1, "result": { "content": [], "isError": true } }),
            json!({ "id": 1, "result": { "resultType": "input_required", "structuredContent": {}, "content": [] } }),
            json!({ "id": 1, "result": { "resultType": "task", "task": task } }),
            json!({ "id": 1, "result": { "contents": [] } }),
            json!({ "id": 1, "error": { "code": -32602, "message": "no" } }),
            json!({ "id": 2, "method": "ping" }),
            json!({ "method": "notifications/progress", "params": { "progressToken": 1, "progress": 0.5 } }),
        ] {
            let mut message = rest;
            message["jsonrpc"] = "2.0".into();
            let [heard, by_rmcp] = decoded(&message);
            assert_eq!(heard, by_rmcp);
        }
        for bad in [
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":",
            "{\"jsonrpc\":\"1.0\",\"id\":1,\"result\":{\"structuredContent\":{}}}",
        ] {
            assert!(serde_json::from_slice::<Heard>(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
