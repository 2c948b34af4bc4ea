//! One call of a tool, for what comes in another envelope than MCP's.
//!
//! In: a session, a tool's name and its arguments. Out: what is said on the way, then the answer. It is the same call: the
//! message that an MCP client would send is put to the same session. Dropped, it is given up as a client gives it up.

use hyper::header::USER_AGENT;
use hyper::http::request::Parts;
use rmcp::model::{ClientCapabilities, Implementation, InitializeRequestParams, ProtocolVersion};
use rmcp::service::{RoleServer, RxJsonRpcMessage, TxJsonRpcMessage, serve_directly_with_ct};
use rmcp::transport::OneshotTransport;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::tools::Session;

/// Characters of what a client calls itself.
const LONGEST_NAME: usize = 100;

pub struct One {
    said: Receiver<TxJsonRpcMessage<RoleServer>>,
    _gone: DropGuard,
}

pub enum Said {
    /// On its way; of the whole, 0 to 100.
    Progress { percent: f64, message: String },
    /// As MCP has it: `structuredContent`, `isError`.
    Result(Value),
    /// An error of the protocol's: `message`, `data`.
    Error(Value),
}

impl One {
    /// Begins it. None: no tool is called like this.
    pub fn begin(
        session: Session,
        agent: &str,
        name: &str,
        arguments: Map<String, Value>,
        stop: CancellationToken,
    ) -> Option<Self> {
        let mut client = InitializeRequestParams::default();
        client.protocol_version = ProtocolVersion::V_2025_06_18;
        client.capabilities = ClientCapabilities::default();
        client.client_info = Implementation::new(agent, "");
        let params = json!({ "name": name, "arguments": arguments, "_meta": { "progressToken": 1 } });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let message = serde_json::from_value::<RxJsonRpcMessage<RoleServer>>(message).ok()?;
        let (transport, said) = OneshotTransport::<RoleServer>::new(message);
        let running = serve_directly_with_ct(session, transport, Some(client), stop.clone());
        tokio::spawn(async move {
            let _ = running.waiting().await;
        });
        Some(Self { said, _gone: stop.drop_guard() })
    }

    /// None: it ended without an answer.
    pub async fn next(&mut self) -> Option<Said> {
        while let Some(message) = self.said.recv().await {
            let mut message = serde_json::to_value(&message).ok()?;
            if message.get("result").is_some() {
                return Some(Said::Result(message["result"].take()));
            }
            if message.get("error").is_some() {
                return Some(Said::Error(message["error"].take()));
            }
            if message["method"] == "notifications/progress" {
                let params = &message["params"];
                let percent = params["progress"].as_f64().unwrap_or_default();
                let message = params["message"].as_str().unwrap_or_default().to_owned();
                return Some(Said::Progress { percent, message });
            }
        }
        None
    }
}

/// What a client calls itself.
pub fn agent(parts: &Parts) -> String {
    let agent = parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("http");
    agent.chars().take(LONGEST_NAME).collect()
}
