//! What crossed the wire of a client, whatever the client itself makes of it: the bridge runs between two `tee`s.

use std::fs;

use serde_json::{Value, json};

use crate::site::Site;

/// `provost bridge` as the command of a server.
pub fn bridge(site: &Site) -> Vec<String> {
    let script = "tee \"$1/sent\" | \"$0\" bridge --socket \"$1/mcp.sock\" | tee \"$1/heard\"";
    let dir = site.dir.path().display().to_string();
    ["sh", "-c", script, env!("CARGO_BIN_EXE_provost"), &dir].map(String::from).to_vec()
}

/// Holds a session that is over against what MCP wants of progress and of cancelling.
pub fn judge(site: &Site, cancels: usize) {
    let lines = |name: &str| -> Vec<Value> {
        let text = fs::read_to_string(site.dir.path().join(name)).expect(name);
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let (sent, heard) = (lines("sent"), lines("heard"));
    // A notification has no id, and is no answer.
    let answered = |id: &Value| heard.iter().position(|message| !id.is_null() && &message["id"] == id);
    let progress_after = |at: usize, request: &Value| {
        let token = &request["params"]["_meta"]["progressToken"];
        let told = heard[at..].iter().filter(|message| message["method"] == "notifications/progress");
        told.filter(|message| !token.is_null() && &message["params"]["progressToken"] == token).count()
    };
    for request in sent.iter().filter(|message| message["id"] != json!(null)) {
        if let Some(at) = answered(&request["id"]) {
            assert_eq!(progress_after(at, request), 0, "progress after the answer to {request}");
        }
    }

    let is_cancel = |message: &&Value| message["method"] == "notifications/cancelled";
    assert_eq!(sent.iter().filter(is_cancel).count(), cancels, "{sent:?}");
    for (at, notice) in sent.iter().enumerate().filter(|(_, message)| is_cancel(message)) {
        let id = &notice["params"]["requestId"];
        assert_eq!(answered(id), None, "a cancelled request has no answer");
        let request = sent.iter().find(|message| &message["id"] == id).expect("what was cancelled");
        let next =
            sent[at..].iter().find_map(|message| answered(&message["id"])).expect("the session goes on");
        // One may have been under way.
        assert!(progress_after(next, request) <= 1, "nobody waits any more: {heard:?}");
    }
}
