//! A whole conversation of MCP's, by hand. The official SDKs and the inspector come over HTTP in tests/clients.

use serde_json::json;

use crate::web::Web;

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
