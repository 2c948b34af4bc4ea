//! `/openapi.json`: what a POST takes and gives, of the same types that MCP's clients are told of.

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::tools::{answer_schema, failure_schema, tools};

/// As it is sent. It is the same for as long as the program runs, and anybody may ask for it.
pub fn text() -> Bytes {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());
    TEXT.clone()
}

/// OpenAPI 3.1, whose schemas are JSON Schema's.
fn document() -> Value {
    let mut paths = Map::new();
    for tool in tools() {
        let annotations = tool.annotations.as_ref().map(|hints| json!(hints)).unwrap_or_default();
        let answer = answer_schema(&tool.name).unwrap_or_else(|| json!({ "type": "object" }));
        let operation = json!({
            "operationId": tool.name,
            "summary": tool.description,
            "tags": ["tools"],
            "x-mcp-annotations": annotations,
            "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": Value::Object((*tool.input_schema).clone()) } },
            },
            "responses": {
                "200": {
                    "description": "The tool's structured answer.",
                    "content": { "application/json": { "schema": answer } },
                },
                "default": { "$ref": "#/components/responses/Refused" },
            },
        });
        paths.insert(format!("/v1/tools/{}", tool.name), json!({ "post": operation }));
    }
    paths.insert("/v1/token/refresh".into(), json!({ "post": refresh() }));
    paths.insert("/health".into(), json!({ "get": health() }));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Provost",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": "Runs this Proxmox host: by the same plans, policy and receipts as over MCP.",
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "provost token issue --as ROLE, on the node.",
                },
            },
            "responses": {
                "Refused": {
                    "description": "Not done: 400 and 404 what was asked for is not right, 401 the token is not good, 403 policy says no, \
                                    409 not now, 413, 415 and 408 the body, 422 it was tried or looked at and cannot be, 429 the role's rate, \
                                    503 come again. What else is known stands beside the error.",
                    "content": { "application/json": { "schema": {
                        "type": "object",
                        "properties": { "error": failure_schema() },
                        "required": ["error"],
                    } } },
                },
            },
        },
    })
}

fn refresh() -> Value {
    let text = json!({ "type": "string" });
    let time = json!({ "type": "string", "format": "date-time" });
    json!({
        "operationId": "refresh_token",
        "summary": "The same token for another while, inside its window.",
        "tags": ["token"],
        "responses": {
            "200": {
                "description": "The token anew; the one before lasts as long as it would have.",
                "content": { "application/json": { "schema": {
                    "type": "object",
                    "properties": { "token": text, "id": text, "expires": time, "refresh_until": time },
                    "required": ["token", "id", "expires", "refresh_until"],
                } } },
            },
            "default": { "$ref": "#/components/responses/Refused" },
        },
    })
}

fn health() -> Value {
    let schema = json!({
        "type": "object",
        "properties": {
            "alive": { "type": "boolean" },
            "ready": { "type": "boolean" },
            "checks": {
                "type": "object",
                "properties": {
                    "exec": { "enum": ["ok", "off", "unreachable"] },
                    "ledger": { "enum": ["ok", "unavailable"] },
                    "pve": { "enum": ["ok", "unreachable"] },
                },
                "required": ["exec", "ledger", "pve"],
            },
        },
        "required": ["alive", "ready", "checks"],
    });
    let content = json!({ "application/json": { "schema": schema } });
    json!({
        "operationId": "health",
        "summary": "Whether it is alive, and ready: PVE reachable, the ledger writable, exec reachable.",
        "tags": ["state"],
        "security": [],
        "responses": {
            "200": { "description": "Ready.", "content": content },
            "503": { "description": "Alive, and not ready.", "content": content },
            "default": { "$ref": "#/components/responses/Refused" },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_is_a_path_with_the_same_arguments() {
        let document = document();
        for tool in tools() {
            let post = &document["paths"][format!("/v1/tools/{}", tool.name)]["post"];
            let schema = &post["requestBody"]["content"]["application/json"]["schema"];
            assert_eq!(schema, &Value::Object((*tool.input_schema).clone()), "{}", tool.name);
            assert!(
                post["responses"]["200"]["content"]["application/json"]["schema"]["properties"].is_object()
            );
        }
        assert!(document["components"]["responses"]["Refused"]["content"]["application/json"]["schema"]["properties"]["error"]["properties"]["kind"].is_object());
    }
}
