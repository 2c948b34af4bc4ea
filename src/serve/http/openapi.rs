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
            "responses": responses(&[("200", json!({
                "description": "The tool's structured answer.",
                "content": { "application/json": { "schema": answer } },
            }))], &["400", "401", "403", "404", "405", "408", "409", "413", "415", "422", "429", "431", "503"]),
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
            "responses": refusals(),
        },
    })
}

/// What a refusal's status means, by which it is referred to.
const REFUSED: &[(&str, &str)] = &[
    ("400", "What was asked for is not right."),
    ("401", "The token is not good."),
    ("403", "Policy says no; or this node is not asked by that name, or from that origin."),
    ("404", "There is no such thing."),
    ("405", "It is asked for in another way."),
    ("408", "The body came too slowly."),
    ("409", "Not now."),
    ("413", "The body is too long, or holds too many values."),
    ("415", "The body is not of application/json."),
    ("422", "It was tried or looked at, and cannot be."),
    ("429", "The role's rate, or the token's."),
    ("431", "The headers are too long, or too many."),
    ("503", "Come again."),
];

/// An operation's own answers, and these refusals.
fn responses(own: &[(&str, Value)], refused: &[&str]) -> Value {
    let own = own.iter().map(|(status, response)| ((*status).to_owned(), response.clone()));
    let refused = refused.iter().map(|status| {
        ((*status).to_owned(), json!({ "$ref": format!("#/components/responses/Refused{status}") }))
    });
    Value::Object(own.chain(refused).collect())
}

fn refusals() -> Value {
    let content = json!({ "application/json": { "schema": {
        "type": "object",
        "properties": { "error": failure_schema() },
        "required": ["error"],
    } } });
    let refusal = |(status, said): &(&str, &str)| {
        let mut response = json!({ "description": said });
        // That one may be said before there is anybody to say it in our form.
        if *status != "431" {
            response["content"] = content.clone();
        }
        let header = match *status {
            "401" => Some(("WWW-Authenticate", "Bearer, and why the token is not good.")),
            "405" => Some(("Allow", "In which ways it is asked for.")),
            _ => None,
        };
        if let Some((name, said)) = header {
            let schema = json!({ "type": "string" });
            response["headers"] =
                json!({ name: { "description": said, "required": true, "schema": schema } });
        }
        (format!("Refused{status}"), response)
    };
    Value::Object(REFUSED.iter().map(refusal).collect())
}

fn refresh() -> Value {
    let text = json!({ "type": "string" });
    let time = json!({ "type": "string", "format": "date-time" });
    json!({
        "operationId": "refresh_token",
        "summary": "The same token for another while, inside its window.",
        "tags": ["token"],
        "responses": responses(&[("200", json!({
            "description": "The token anew; the one before lasts as long as it would have.",
            "content": { "application/json": { "schema": {
                "type": "object",
                "properties": { "token": text, "id": text, "expires": time, "refresh_until": time },
                "required": ["token", "id", "expires", "refresh_until"],
            } } },
        }))], &["400", "401", "403", "405", "408", "413", "429", "431", "503"]),
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
        "responses": responses(&[
            ("200", json!({ "description": "Ready.", "content": content })),
            ("503", json!({ "description": "Alive, and not ready.", "content": content })),
        ], &["400", "403", "405", "431"]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::http::tools::STATUS;

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
        let named = &document["components"]["responses"];
        assert!(
            named["Refused400"]["content"]["application/json"]["schema"]["properties"]["error"]["properties"]
                ["kind"]
                .is_object()
        );
        // Every status that a tool's refusal has is one that is named.
        let post = &document["paths"]["/v1/tools/apply"]["post"]["responses"];
        for (_, status) in STATUS {
            assert!(post[status.to_string()].is_object(), "{status}");
        }
        for operation in document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|path| path.as_object().unwrap().values())
        {
            let responses = operation["responses"].as_object().unwrap();
            assert!(!responses.contains_key("default"), "what is not named is not promised");
            for reference in responses.values().filter_map(|response| response["$ref"].as_str()) {
                assert!(named[reference.rsplit('/').next().unwrap()].is_object(), "{reference}");
            }
        }
    }
}
