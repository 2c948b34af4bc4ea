//! Whole conversations of MCP's, by hand. The official SDKs and the inspector come over HTTP in tests/clients.

use std::io::{Read, Write};

use serde_json::json;

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
    assert_eq!(web.mcp(&token, Some(&session), &list).status, 404);
    // One that nobody began.
    assert_eq!(web.mcp(&token, Some("00000000-0000-0000-0000-000000000000"), &list).status, 404);
}

#[test]
fn an_answer_whose_stream_broke_off_is_there_for_who_comes_back_and_for_no_other_token() {
    let web = Web::start("");
    let (token, other) = (web.token(&["--ttl", "1h"]), web.token(&["--ttl", "1h"]));
    let session = web.session(&token);
    let call = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "status" } });
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-session-id", &session),
        ("mcp-protocol-version", "2025-06-18"),
    ];
    let mut stream = web.connect();
    stream.write_all(request("POST", "/mcp", &headers, &call.to_string()).as_bytes()).unwrap();
    // Of its answer the first event, which says how to come back, and no more.
    let mut first = String::new();
    let event = loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        first.push(byte[0].into());
        if let Some((_, rest)) = first.split_once("id:")
            && let Some((id, _)) = rest.split_once('\n')
        {
            break id.trim().to_owned();
        }
    };
    drop(stream);
    let back = |token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("accept", "text/event-stream"),
            ("mcp-session-id", &session),
            ("mcp-protocol-version", "2025-06-18"),
            ("last-event-id", &event),
        ];
        let mut stream = web.connect();
        stream.write_all(request("GET", "/mcp", &headers, "").as_bytes()).unwrap();
        read(&mut stream)
    };
    assert_eq!(back(&other).status, 404, "a session is its token's alone");
    let answer = back(&token);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let message = answer.message();
    assert_eq!((&message["id"], &message["result"]["isError"]), (&json!(7), &json!(false)), "{message}");
}
