//! rmcp as a client, in each of its three ways to begin a session.

use std::sync::Mutex;

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientRequest, ProgressNotificationParam, ProtocolVersion,
    ReadResourceRequestParams,
};
use rmcp::service::{NotificationContext, PeerRequestOptions, RoleClient, RunningService};
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::common::{Node, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_sdk_gets_the_whole_product_by_handshake() {
    whole_product(ClientLifecycleMode::Initialize, ProtocolVersion::V_2025_11_25).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_sdk_gets_the_whole_product_by_discovery() {
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    whole_product(ClientLifecycleMode::Discover { preferred_versions }, ProtocolVersion::V_2026_07_28).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_sdk_finds_the_newest_revision_by_itself() {
    let auto = ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        legacy_version: None,
    };
    whole_product(auto, ProtocolVersion::V_2026_07_28).await;
}

/// Hands on what the server tells meanwhile.
struct Listener(Mutex<UnboundedSender<ProgressNotificationParam>>);

impl ClientHandler for Listener {
    async fn on_progress(&self, told: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        let _ = self.0.lock().expect("lock").send(told);
    }
}

struct Session {
    client: RunningService<RoleClient, Listener>,
    told: UnboundedReceiver<ProgressNotificationParam>,
}

impl Session {
    async fn call(&self, tool: &'static str, arguments: Value) -> Value {
        let result = self.client.call_tool(params(tool, arguments)).await.expect("an answer");
        let answer = result.structured_content.expect("structured content");
        let text = &result.content[0].as_text().expect("text").text;
        assert_eq!(serde_json::from_str::<Value>(text).expect("JSON"), answer);
        answer
    }
}

fn params(tool: &'static str, arguments: Value) -> CallToolRequestParams {
    let arguments = arguments.as_object().expect("an object").clone();
    CallToolRequestParams::new(tool).with_arguments(arguments)
}

async fn whole_product(mode: ClientLifecycleMode, revision: ProtocolVersion) {
    let node = Node::start();
    let stream = tokio::net::UnixStream::connect(node.socket()).await.expect("connect");
    let (send, told) = unbounded_channel();
    let client = Listener(Mutex::new(send)).serve_with_lifecycle(stream, mode).await.expect("a session");
    assert_eq!(client.peer().peer_info().expect("server").protocol_version, revision);
    let mut session = Session { client, told };

    let tools = session.client.list_all_tools().await.expect("tools");
    assert!(tools.iter().any(|tool| tool.name == "exec"));
    let resources = session.client.list_all_resources().await.expect("resources");
    // Of what there is, the one that needs no cluster.
    let schema = resources.iter().find(|resource| resource.uri == "provost://schema/exec").expect("a schema");
    let schema = session.client.read_resource(ReadResourceRequestParams::new(&schema.uri)).await;
    assert_eq!(schema.expect("a schema").contents.len(), 1);

    assert_eq!(session.call("status", json!({})).await["principal"]["user"], "root");
    let ran =
        session.call("exec", json!({ "guest": 101, "argv": ["cat"], "stdin": "in", "mode": "change" })).await;
    assert_eq!(ran["stdout"], "in");
    let failed = session.call("exec", json!({ "guest": 999_999, "argv": ["true"] })).await;
    assert!(failed["error"]["kind"].is_string(), "{failed}");

    // What ran before has told its output too.
    while session.told.try_recv().is_ok() {}
    let long = json!({ "guest": 101, "argv": ["sh", "-c", "echo running; sleep 631"], "mode": "change" });
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(params("exec", long)));
    let call = session
        .client
        .send_cancellable_request(request, PeerRequestOptions::no_options())
        .await
        .expect("sent");
    let told = session.told.recv().await.expect("progress");
    assert_eq!((told.message.as_deref(), &told.progress_token), (Some("running\n"), &call.progress_token));
    assert_eq!(node.leaves("v2", 101).len(), 1);
    call.cancel(None).await.expect("cancelled");
    eventually("the cancelled command's cgroup is gone", || node.leaves("v2", 101).is_empty());
    session.client.cancel().await.expect("a clean end");
}
