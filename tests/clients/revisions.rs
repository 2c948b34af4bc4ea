//! Every protocol revision, line by line on the socket: each must get the whole product, in the form that it knows.

use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::common::{Client, Node, eventually};

/// The revisions that begin with `initialize`, oldest first.
const WITH_HANDSHAKE: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
/// The one that has no handshake and says with each request who asks.
const STATELESS: &str = "2026-07-28";

#[test]
fn a_client_of_2024_11_05_gets_the_whole_product() {
    whole_product("2024-11-05");
}

#[test]
fn a_client_of_2025_03_26_gets_the_whole_product() {
    whole_product("2025-03-26");
}

#[test]
fn a_client_of_2025_06_18_gets_the_whole_product() {
    whole_product("2025-06-18");
}

#[test]
fn a_client_of_2025_11_25_gets_the_whole_product() {
    whole_product("2025-11-25");
}

#[test]
fn a_client_of_2026_07_28_gets_the_whole_product() {
    whole_product("2026-07-28");
}

/// A session of one revision.
struct Session {
    client: Client,
    revision: &'static str,
}

impl Session {
    fn begin(node: &Node, revision: &'static str) -> Self {
        let client = Client::raw(UnixStream::connect(node.socket()).expect("connect"));
        let mut session = Self { client, revision };
        if revision == STATELESS {
            let found = session.result("server/discover", json!({}));
            assert_eq!(found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "provost", "{found}");
            assert!(found["supportedVersions"].as_array().unwrap().contains(&json!(STATELESS)), "{found}");
            assert!(
                found["capabilities"]["tools"].is_object() && found["instructions"].is_string(),
                "{found}"
            );
        } else {
            let begun = initialize(&mut session.client, revision);
            assert_eq!(begun["protocolVersion"], revision);
            assert_eq!(begun["serverInfo"]["name"], "provost");
            assert!(
                begun["capabilities"]["tools"].is_object() && begun["instructions"].is_string(),
                "{begun}"
            );
        }
        session
    }

    /// Sends a request as this revision wants it, and returns its id.
    fn send(&mut self, method: &str, mut params: Value) -> u64 {
        if self.revision == STATELESS {
            for (key, value) in metadata(STATELESS).as_object().unwrap() {
                params["_meta"][key] = value.clone();
            }
        }
        self.client.send(method, params)
    }

    /// The result of a request, which must have one, with what this revision wants in every result.
    fn result(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        let answer = self.client.answer(id);
        assert!(answer["error"].is_null(), "{answer}");
        self.check_result(&answer["result"]);
        answer["result"].clone()
    }

    fn check_result(&self, result: &Value) {
        let expected = if self.revision == STATELESS { json!("complete") } else { Value::Null };
        assert_eq!(result["resultType"], expected, "{result}");
    }

    /// An answer that may have come while another was waited for.
    fn answer(&mut self, id: u64) -> Value {
        match self.client.notifications.iter().position(|message| message["id"] == id) {
            Some(at) => self.client.notifications.remove(at),
            None => self.client.answer(id),
        }
    }

    fn error(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        let answer = self.client.answer(id);
        assert!(answer["result"].is_null(), "{answer}");
        answer["error"].clone()
    }

    /// Calls a tool; its answer, which structured content and text must both hold whole.
    fn call(&mut self, tool: &str, arguments: Value, failed: bool) -> Value {
        let result = self.result("tools/call", json!({ "name": tool, "arguments": arguments }));
        answer_of(&result, failed)
    }

    /// Starts a command with a progress token.
    fn start(&mut self, script: &str, token: Value) -> u64 {
        let arguments =
            json!({ "guest": 101, "argv": ["sh", "-c", script], "mode": "change", "timeout_s": 30 });
        self.send(
            "tools/call",
            json!({ "name": "exec", "arguments": arguments, "_meta": { "progressToken": token } }),
        )
    }

    /// Reads on until a command's progress has told this text.
    fn until_told(&mut self, token: &Value, text: &str) -> String {
        let mut told = String::new();
        while !told.contains(text) {
            let message = self.client.next().expect("progress before the end");
            assert_eq!(message["method"], "notifications/progress", "{message}");
            assert_eq!(&message["params"]["progressToken"], token, "{message}");
            assert!(message["params"]["progress"].is_number(), "{message}");
            told.push_str(message["params"]["message"].as_str().expect("output"));
        }
        told
    }
}

/// Begins a session by handshake; what the server answered.
pub fn initialize(client: &mut Client, revision: &str) -> Value {
    let client_info = json!({ "name": "test", "version": "1" });
    let hello = json!({ "protocolVersion": revision, "capabilities": {}, "clientInfo": client_info });
    let answer = client.request("initialize", hello);
    client.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    answer["result"].clone()
}

fn metadata(revision: &str) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": revision,
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

fn answer_of(result: &Value, failed: bool) -> Value {
    assert_eq!(result["isError"], failed, "{result}");
    assert_eq!(result["content"].as_array().map(Vec::len), Some(1), "{result}");
    assert_eq!(result["content"][0]["type"], "text");
    let text = result["content"][0]["text"].as_str().expect("text");
    assert_eq!(serde_json::from_str::<Value>(text).expect("JSON text"), result["structuredContent"]);
    result["structuredContent"].clone()
}

fn whole_product(revision: &'static str) {
    let node = Node::with("v2", "containers = [101]", crate::common::node::ROOT_MAY_ALL);
    let mut session = Session::begin(&node, revision);

    let tools = session.result("tools/list", json!({}));
    let names: Vec<&str> =
        tools["tools"].as_array().unwrap().iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert!(names.contains(&"exec") && names.contains(&"status"), "{tools}");
    assert!(
        tools["tools"].as_array().unwrap().iter().all(|tool| tool["inputSchema"]["type"] == "object"),
        "{tools}"
    );
    let resources = session.result("resources/list", json!({}));
    // Of what there is, the one that needs no cluster.
    let schema = json!("provost://schema/exec");
    assert!(
        resources["resources"].as_array().unwrap().iter().any(|each| each["uri"] == schema),
        "{resources}"
    );
    let read = session.result("resources/read", json!({ "uri": schema }));
    assert!(read["contents"][0]["text"].is_string(), "{read}");
    if revision == STATELESS {
        for cacheable in [&tools, &resources, &read] {
            assert!(cacheable["ttlMs"].is_number() && cacheable["cacheScope"].is_string(), "{cacheable}");
        }
    }

    let status = session.call("status", json!({}), false);
    assert_eq!(status["principal"]["user"], "root", "{status}");
    let ran = session.call("exec", json!({ "guest": 101, "argv": ["sh", "-c", "echo out; exit 3"] }), false);
    assert_eq!((&ran["stdout"], &ran["exit_code"]), (&json!("out\n"), &json!(3)), "{ran}");
    let failed = session.call("exec", json!({ "guest": 102, "argv": ["true"] }), true);
    assert_eq!(failed["error"]["kind"], "not_listed", "{failed}");
    assert_eq!(session.error("tools/call", json!({ "name": "none", "arguments": {} }))["code"], -32602);
    // The code for it changed with the last revision.
    let no_resource = session.error("resources/read", json!({ "uri": "provost://none" }));
    assert_eq!(no_resource["code"], if revision == STATELESS { -32602 } else { -32002 }, "{no_resource}");
    if revision == STATELESS {
        assert_eq!(session.error("ping", json!({}))["code"], -32601, "this revision has no ping");
    } else {
        session.result("ping", json!({}));
    }

    progress(&mut session, &node);
    cancel(&mut session, &node);
}

/// Lines arrive while the command runs: it ends when the second has come here and its gate has been opened.
fn progress(session: &mut Session, node: &Node) {
    for token in [json!("text"), json!(7)] {
        let gate = format!("/tmp/provost-revision-{}-{}", session.revision, node.execd.id());
        let wait =
            format!("echo first; sleep 0.02; echo second; until rm {gate} 2>/dev/null; do sleep 0.01; done");
        let id = session.start(&wait, token.clone());
        assert_eq!(session.until_told(&token, "second"), "first\nsecond\n");
        session.call("exec", json!({ "guest": 101, "argv": ["touch", gate], "mode": "change" }), false);
        let answer = session.answer(id);
        session.check_result(&answer["result"]);
        let ran = answer_of(&answer["result"], false);
        assert_eq!((&ran["stdout"], &ran["exit_code"]), (&json!("first\nsecond\n"), &json!(0)));
    }
}

/// A cancelled call gets no answer, and its session goes on.
fn cancel(session: &mut Session, node: &Node) {
    let id = session.start("echo running; setsid sleep 621 & sleep 622", json!("cancel"));
    session.until_told(&json!("cancel"), "running");
    assert_eq!(node.leaves("v2", 101).len(), 1);
    session.client.cancel(id);
    eventually("the cancelled command's cgroup is gone", || node.leaves("v2", 101).is_empty());
    session.call("exec", json!({ "guest": 101, "argv": ["true"] }), false);
    assert!(session.client.notifications.iter().all(|message| message["id"] != id));
}

#[test]
fn a_revision_that_nobody_knows_is_offered_the_newest_with_a_handshake() {
    let node = Node::start();
    for unknown in ["2019-01-01", "2030-01-01", STATELESS, ""] {
        let mut client = Client::raw(UnixStream::connect(node.socket()).expect("connect"));
        assert_eq!(initialize(&mut client, unknown)["protocolVersion"], WITH_HANDSHAKE[3], "{unknown}");
        assert_eq!(client.call("status", json!({}))["isError"], false);
    }
}

#[test]
fn a_request_that_does_not_say_who_asks_is_told_what_is_missing_and_may_begin_again() {
    let node = Node::start();
    let mut client = Client::raw(UnixStream::connect(node.socket()).expect("connect"));
    let bare = client.request("tools/list", json!({}));
    assert_eq!(bare["error"]["code"], -32602, "{bare}");
    assert!(
        bare["error"]["message"].as_str().unwrap().contains("io.modelcontextprotocol/protocolVersion"),
        "{bare}"
    );
    let future = client.request("tools/list", json!({ "_meta": metadata("2030-01-01") }));
    assert_eq!(future["error"]["code"], -32022, "{future}");
    let mut known = WITH_HANDSHAKE.to_vec();
    known.push(STATELESS);
    assert_eq!(future["error"]["data"]["supported"], json!(known), "{future}");
    assert_eq!(initialize(&mut client, "2025-06-18")["protocolVersion"], "2025-06-18");
}

#[test]
fn a_request_of_2026_07_28_needs_nothing_before_it() {
    let node = Node::start();
    let mut client = Client::raw(UnixStream::connect(node.socket()).expect("connect"));
    let call = json!({ "name": "exec", "arguments": { "guest": 101, "argv": ["echo", "first"] }, "_meta": metadata(STATELESS) });
    let answer = client.request("tools/call", call);
    assert_eq!(answer["result"]["structuredContent"]["stdout"], "first\n", "{answer}");
}

/// 2025-03-26 alone had batches; rmcp does not read them. What must not happen is silence.
#[test]
fn a_batch_is_refused_and_the_session_goes_on() {
    let node = Node::start();
    let mut session = Session::begin(&node, "2025-03-26");
    let ping = |id| json!({ "jsonrpc": "2.0", "id": id, "method": "ping" });
    session.client.write(&json!([ping(901), ping(902)]));
    let refused = session.client.next().expect("an answer");
    assert_eq!(refused["error"]["code"], -32600, "{refused}");
    assert_eq!(refused.get("id"), Some(&json!(null)), "{refused}");
    session.result("ping", json!({}));
}

#[test]
fn no_progress_follows_the_answer() {
    let node = Node::start();
    let mut session = Session::begin(&node, "2025-11-25");
    let mut seen = 0;
    for round in 0..200 {
        let id = session.start("echo one; echo two >&2", json!(round));
        session.client.answer(id);
        seen += session.client.notifications.len();
        let late = session
            .client
            .notifications
            .drain(..)
            .find(|message| message["params"]["progressToken"] != round);
        assert!(late.is_none(), "after its answer: {late:?}");
    }
    assert!(seen > 0);
}
