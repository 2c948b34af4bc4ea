//! `/health`, `/metrics`, `/openapi.json`, and what is not there.

use serde_json::json;

use crate::common::eventually;
use crate::web::Web;

#[test]
fn health_says_alive_and_ready_and_what_is_missing_and_no_more() {
    let web = Web::start("");
    eventually("it is ready", || web.get("/health").status == 200);
    let health = web.get("/health").json();
    let all =
        json!({ "alive": true, "ready": true, "checks": { "exec": "off", "ledger": "ok", "pve": "ok" } });
    assert_eq!(health, all);
    assert_eq!(web.get("/health/live").json(), json!({ "alive": true }));
    assert_eq!(web.ask("POST", "/health", &[], "").status, 405);
}

#[test]
fn a_node_whose_api_is_silent_is_alive_and_not_ready() {
    let web = Web::start("");
    let path = web.site.dir.path().join("provost.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let url = text.lines().find(|line| line.starts_with("url = ")).unwrap();
    let daemon = text.lines().find(|line| line.starts_with("daemon = ")).unwrap();
    std::fs::write(&path, text.replace(url, "url = \"http://127.0.0.1:9\"").replace(daemon, "daemon = \"\""))
        .unwrap();
    let mut web = web;
    web.restart();
    let health = web.get("/health");
    assert_eq!(health.status, 503);
    assert_eq!(health.json()["checks"]["pve"], "unreachable");
    assert_eq!(web.get("/health/live").status, 200);
}

#[test]
fn metrics_count_calls_refusals_plans_and_who_was_turned_away() {
    let web = Web::start("profile = \"provision\"\ndeny = [\"GET /access/users\"]");
    let token = web.token(&["--ttl", "1h"]);
    web.tool(&token, "status", &json!({}));
    web.tool(&token, "read", &json!({ "path": "/access/users" }));
    web.tool("no token", "status", &json!({}));
    let wish =
        json!({ "method": "PUT", "path": "/nodes/pve1/qemu/104/config", "args": { "description": "x" } });
    assert_eq!(web.tool(&token, "plan", &wish).status, 200);
    let plain = web.get("/metrics");
    assert_eq!(plain.header("content-type").unwrap(), "text/plain; version=0.0.4; charset=utf-8");
    for line in
        ["# TYPE provost_calls_total counter", "# TYPE provost_build_info gauge", "provost_plans_total 1"]
    {
        assert!(plain.body.lines().any(|have| have == line), "{line} is not in:\n{}", plain.body);
    }
    assert!(!plain.body.contains("# EOF") && !plain.body.contains("# UNIT"));
    // As Prometheus asks.
    let accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.2";
    let metrics = web.ask("GET", "/metrics", &[("accept", accept)], "");
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    for line in [
        "provost_calls_total{tool=\"status\",ended=\"done\"} 1",
        "provost_calls_total{tool=\"read\",ended=\"refused\"} 1",
        "provost_refusals_total{kind=\"denied_to_role\"} 1",
        "provost_http_rejected_total{kind=\"token_malformed\"} 1",
        "provost_plans_total 1",
        "provost_approvals_waiting 0",
        "provost_task_failures_total 0",
        "provost_call_duration_seconds_count{tool=\"plan\"} 1",
        "provost_ledger_ready 1",
        "provost_halted 0",
        "# EOF",
    ] {
        assert!(metrics.body.contains(line), "{line} is not in:\n{}", metrics.body);
    }
    for name in ["provost_ledger_entries ", "provost_ledger_head_age_seconds ", "provost_build_info{version="]
    {
        assert!(metrics.body.lines().any(|line| line.starts_with(name)), "{name}:\n{}", metrics.body);
    }
    assert!(!metrics.body.contains("/access/users") && !metrics.body.contains("eyJ"));
}

#[test]
fn the_openapi_document_names_every_tool_and_its_paths_are_there() {
    let web = Web::start("");
    let document = web.get("/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    let token = web.token(&["--ttl", "1h"]);
    let tools = web.site.client().request("tools/list", json!({}))["result"]["tools"].clone();
    for tool in tools.as_array().unwrap() {
        let name = tool["name"].as_str().unwrap();
        let post = &document["paths"][format!("/v1/tools/{name}")]["post"];
        let schema = &post["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(schema, &tool["inputSchema"], "{name}");
        // Whatever it says to no arguments, the path is there.
        assert_ne!(web.tool(&token, name, &json!({})).kind(), "not_found", "{name}");
    }
}

#[test]
fn what_is_not_there_is_said_to_be_so() {
    let web = Web::start("");
    let token = web.token(&["--ttl", "1h"]);
    for path in [
        "/",
        "/v1",
        "/v1/tools/",
        "/v1/tools/a/b",
        "/../etc/passwd",
        "/.well-known/oauth-protected-resource",
        "//mcp",
    ] {
        let answer = web.get(path);
        assert_eq!((answer.status, answer.kind()), (404, "not_found".into()), "{path}");
    }
    assert_eq!(web.get("/v1/tools/status").status, 405);
    let answer = web.tool(&token, "reboot", &json!({}));
    assert_eq!((answer.status, answer.kind()), (404, "no_such_tool".into()));
    for body in ["[]", "1", "\"x\"", "{", "{\"a\":", "null"] {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let answer = web.ask("POST", "/v1/tools/status", &headers, body);
        assert_eq!((answer.status, answer.kind()), (400, "arguments".into()), "{body}");
    }
}

#[test]
fn a_head_is_what_a_get_would_have_without_its_body() {
    let web = Web::start("");
    eventually("it is ready", || web.get("/health").status == 200);
    for path in [
        "/health",
        "/health/live",
        "/metrics",
        "/openapi.json",
        "/.well-known/agent-card.json",
        "/.well-known/jwks.json",
    ] {
        let (got, head) = (web.get(path), web.ask("HEAD", path, &[], ""));
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        // What is counted goes on.
        if path != "/metrics" {
            assert_eq!(head.header("content-length"), Some(got.body.len().to_string().as_str()), "{path}");
        }
        for name in ["content-type", "cache-control", "etag"] {
            assert_eq!(head.header(name), got.header(name), "{path}: {name}");
        }
    }
    assert_eq!(web.ask("POST", "/health", &[], "").header("allow"), Some("GET, HEAD"));
    assert_eq!(web.ask("HEAD", "/v1/tools/status", &[], "").status, 405);
}

#[test]
fn a_key_that_stands_twice_is_taken_for_neither() {
    let web = Web::start("");
    let token = web.token(&["--ttl", "1h"]);
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let twice = r#"{"path":"/version","path":"/nodes"}"#;
    let answer = web.ask("POST", "/v1/tools/read", &headers, twice);
    assert_eq!((answer.status, answer.kind().as_str()), (400, "arguments"));
    assert!(answer.body.contains("twice"), "{}", answer.body);
    let message =
        r#"{"messageId":"1","role":"ROLE_USER","parts":[{"data":{"tool":"status","tool":"read"}}]}"#;
    let call =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{{"message":{message}}}}}"#);
    let answer = web.ask("POST", "/a2a", &headers, &call).json();
    assert_eq!(answer["error"]["code"], -32600, "{answer}");
    let answer = web.ask("POST", "/a2a/message:send", &headers, &format!(r#"{{"message":{message}}}"#));
    assert_eq!(answer.status, 400, "{}", answer.body);
}
