//! Whole conversations of MCP's, by hand. The official SDKs and the inspector come over HTTP in tests/clients.

use std::io::{Read, Write};

use serde_json::json;

use crate::common::eventually;
use crate::web::{Web, read, request};

#[test]
fn a_conversation_lists_ten_tools_in_six_thousand_bytes_and_ends_when_it_is_deleted() {
    let web = Web::start("");
    let token = web.token(&["--ttl", "1h"]);
    let session = web.session(&token);
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {} });
    let listed = web.mcp(&token, Some(&session), &list).message();
    assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 10);
    assert!(listed["result"].to_string().len() <= 6000);
    let bearer = format!("Bearer {token}");
    let end = [("authorization", bearer.as_str()), ("mcp-session-id", session.as_str())];
    assert_eq!(web.ask("DELETE", "/mcp", &end, "").status, 204);
    assert_eq!(web.ask("DELETE", "/mcp", &end, "").status, 404);
    assert_eq!(web.mcp(&token, Some(&session), &list).status, 404);
    // One that nobody began.
    assert_eq!(web.mcp(&token, Some("00000000-0000-0000-0000-000000000000"), &list).status, 404);
}

#[test]
fn a_stream_that_breaks_off_in_a_call_is_taken_up_again_and_by_no_other_token() {
    let web = Web::paced("", 0.02);
    let (token, other) = (web.token(&["--ttl", "1h"]), web.token(&["--ttl", "1h"]));
    let session = web.session(&token);
    let upid = web.site.post("/nodes/pve1/vzdump", &[("vmid", "104"), ("storage", "backup")]);
    let read_it = json!({ "name": "read", "arguments": { "path": upid, "wait": 600 } });
    let call = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": read_it });
    let asked = |token: &str, method: &str, last: &[(&str, &str)], body: &str| {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-session-id", &session),
            ("mcp-protocol-version", "2025-06-18"),
        ];
        headers.extend(last);
        let mut stream = web.connect();
        stream.write_all(request(method, "/mcp", &headers, body).as_bytes()).unwrap();
        stream
    };
    // Of its answer the first event, which says how to come back, and no more.
    let mut stream = asked(&token, "POST", &[], &call.to_string());
    let mut heard = String::new();
    let event = loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        heard.push(byte[0].into());
        let id = heard.split_once("\nid:").and_then(|(_, rest)| rest.split_once('\n'));
        if let Some((id, _)) = id {
            break id.trim().to_owned();
        }
    };
    drop(stream);
    let last = [("last-event-id", event.as_str())];
    assert_eq!(read(&mut asked(&other, "GET", &last, "")).status, 404, "a session is its token's alone");
    let mut back = asked(&token, "GET", &last, "");
    let mut first = [0; 15];
    back.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    // The call has gone on meanwhile, and ends with what it waits for.
    web.site.delete(&format!("/nodes/pve1/tasks/{}", upid.as_str().unwrap()));
    let message = read(&mut first.chain(back)).message();
    let told = &message["result"]["structuredContent"]["data"];
    assert_eq!((&message["id"], &told["status"]), (&json!(7), &json!("stopped")), "{message}");
}

#[test]
fn an_answer_that_nobody_heard_is_told_to_who_comes_back_for_it() {
    let web = Web::start("");
    let (token, other) = (web.token(&["--ttl", "1h"]), web.token(&["--ttl", "1h"]));
    let (session, others) = (web.session(&token), web.session(&other));
    let bearer = format!("Bearer {token}");
    let asked = |bearer: &str, session: &str, method: &str, last: &[(&str, &str)], body: &str| {
        let mut headers = vec![
            ("authorization", bearer),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-session-id", session),
            ("mcp-protocol-version", "2025-06-18"),
        ];
        headers.extend(last);
        let mut stream = web.connect();
        stream.write_all(request(method, "/mcp", &headers, body).as_bytes()).unwrap();
        stream
    };
    let planned = json!({ "name": "plan", "arguments": { "steps": [{ "method": "POST", "path": "/nodes/pve1/lxc/101/config" }] } });
    let call = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": planned });
    // Hung up on before anything of its answer was read.
    let before = web.receipts().len();
    let mut cut = asked(&bearer, &session, "POST", &[], &call.to_string());
    cut.read_exact(&mut [0; 15]).unwrap();
    drop(cut);
    eventually("the call has ended", || web.receipts().len() > before);
    let back = |bearer: &str, session: &str, event: &str| {
        read(&mut asked(bearer, session, "GET", &[("last-event-id", event)], ""))
    };
    let answer = back(&bearer, &session, "0/0");
    assert_eq!(answer.status, 200);
    let message = answer.message();
    assert_eq!(message["id"], 7, "{}", answer.body);
    assert!(message["result"]["structuredContent"].is_object(), "{message}");
    assert_eq!(back(&bearer, &session, "0/0").message(), message, "and once more");
    // It is nobody else's, and what was never said is not taken up as if it had been.
    let theirs = format!("Bearer {other}");
    assert_eq!(back(&theirs, &session, "0/0").status, 404);
    assert_eq!(back(&theirs, &others, "0/0").kind(), "no_such_event");
    for event in ["garbage", "99/99", "0/", "-1"] {
        let refused = back(&bearer, &session, event);
        assert_eq!((refused.status, refused.kind().as_str()), (400, "no_such_event"), "{event}");
    }
}

#[test]
fn what_is_no_message_is_refused_in_json_rpc_and_all_else_in_the_form_that_tools_have() {
    let web = Web::start("");
    let token = web.token(&["--ttl", "1h"]);
    let session = web.session(&token);
    let bearer = format!("Bearer {token}");
    let asked = |method: &str, kind: &str, accept: &str, session: &str, body: &str| {
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", kind),
            ("accept", accept),
            ("mcp-session-id", session),
        ];
        let answer = web.ask(method, "/mcp", &headers, body);
        assert_eq!(answer.header("content-type"), Some("application/json"), "{body}: {}", answer.body);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        answer
    };
    let (is_json, both) = ("application/json", "application/json, text/event-stream");
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    for (body, code) in [
        ("{", -32700),
        ("", -32700),
        ("{}", -32600),
        ("1", -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}"#, -32600),
        (&format!("[{ping}]"), -32600),
    ] {
        let answer = asked("POST", is_json, both, &session, body);
        let message = answer.json();
        assert_eq!((answer.status, &message["error"]["code"]), (400, &json!(code)), "{body}");
        assert!(message["id"].is_null() && message["jsonrpc"] == "2.0", "{message}");
    }
    let batch = asked("POST", is_json, both, &session, &format!("[{ping}]")).json();
    assert!(batch["error"]["message"].as_str().unwrap().contains("batches"), "{batch}");
    for (method, kind, accept, session, status, named) in [
        ("POST", "text/plain", both, session.as_str(), 415, "content_type"),
        ("POST", is_json, "text/html", &session, 406, "not_acceptable"),
        ("POST", is_json, both, "nobodys", 404, "no_session"),
        ("GET", is_json, "text/html", &session, 406, "not_acceptable"),
        ("PUT", is_json, both, &session, 405, "method"),
    ] {
        let answer = asked(method, kind, accept, session, ping);
        assert_eq!((answer.status, answer.kind().as_str()), (status, named), "{method} {kind} {accept}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{:?}", answer.headers);
    }
}
