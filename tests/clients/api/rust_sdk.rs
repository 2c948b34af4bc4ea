//! rmcp as a client, in each of its ways to begin a session: it does what the scripts do, on a thread of its own.

use std::process::Stdio;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResponse, CancelTaskParams, ClientCapabilities,
    ClientConfig, ClientRequest, GetPromptRequestParams, GetTaskParams, Implementation,
    ProgressNotificationParam, ProtocolVersion, ReadResourceRequestParams, TaskPayload,
};
use rmcp::service::{NotificationContext, PeerRequestOptions, RoleClient, RunningService};
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::wire::bridge;
use super::{Steps, judge, judge_tasks};
use crate::site::Site;

#[test]
fn the_rust_sdk_reads_completes_follows_and_cancels_by_handshake() {
    // That it knows tasks means nothing before the revision that has them.
    let site = Site::paced();
    let mut client = start(&site, ClientLifecycleMode::Initialize, true);
    judge(&mut client, &site, "2025-11-25");
}

#[test]
fn the_rust_sdk_reads_completes_follows_and_cancels_by_discovery() {
    let site = Site::paced();
    let mut client = start(&site, discover(), false);
    judge(&mut client, &site, "2026-07-28");
}

#[test]
fn the_rust_sdk_follows_and_cancels_by_a_handle() {
    let site = Site::paced();
    let mut client = start(&site, discover(), true);
    judge_tasks(&mut client, &site);
}

fn discover() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
}

/// The test's end of a client.
struct Thread {
    seen: Receiver<Value>,
    lines: UnboundedSender<String>,
}

impl Steps for Thread {
    fn step(&mut self, step: &str) -> Value {
        let seen = self.seen.recv_timeout(Duration::from_secs(60));
        let seen = seen.unwrap_or_else(|_| panic!("no step \"{step}\""));
        assert_eq!(seen["step"], step, "{seen}");
        seen
    }

    fn tell(&mut self, line: &str) {
        self.lines.send(line.to_owned()).expect("a client that waits");
    }
}

fn start(site: &Site, mode: ClientLifecycleMode, tasks: bool) -> Thread {
    let (say, seen) = channel();
    let (lines, told) = unbounded_channel();
    let command = bridge(site);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(client(command, mode, tasks, say, told));
    });
    Thread { seen, lines }
}

/// Hands on what the server tells meanwhile.
struct Listener {
    progress: UnboundedSender<ProgressNotificationParam>,
    tasks: bool,
}

impl ClientHandler for Listener {
    async fn on_progress(&self, told: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        let _ = self.progress.send(told);
    }

    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder();
        let capabilities = if self.tasks { capabilities.enable_tasks() } else { capabilities };
        ClientConfig::new(capabilities.build(), Implementation::new("provost-clients-test", "1"))
    }
}

struct Session {
    client: RunningService<RoleClient, Listener>,
    progress: UnboundedReceiver<ProgressNotificationParam>,
    say: Sender<Value>,
    lines: UnboundedReceiver<String>,
}

async fn client(
    command: Vec<String>,
    mode: ClientLifecycleMode,
    tasks: bool,
    say: Sender<Value>,
    lines: UnboundedReceiver<String>,
) {
    let mut bridge = tokio::process::Command::new(&command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("start the bridge");
    let pipes = (bridge.stdout.take().expect("stdout"), bridge.stdin.take().expect("stdin"));
    let (listener, progress) = unbounded_channel();
    let listener = Listener { progress: listener, tasks };
    let client = listener.serve_with_lifecycle(pipes, mode).await.expect("a session");
    let mut session = Session { client, progress, say, lines };
    let revision = &session.client.peer().peer_info().expect("server").protocol_version;
    if tasks && !revision.has_initialize() {
        session.with_tasks().await;
    } else {
        session.run().await;
    }
    session.client.cancel().await.expect("a clean end");
    // It lets go of both pipes at once, so how this ends says nothing.
    bridge.wait().await.expect("wait");
    session.say.send(json!({ "step": "closed" })).expect("a test that listens");
}

impl Session {
    fn say(&self, step: &str, mut seen: Value) {
        seen["step"] = json!(step);
        self.say.send(seen).expect("a test that listens");
    }

    async fn begin(&mut self) -> String {
        self.say("begin", json!({}));
        self.lines.recv().await.expect("a UPID")
    }

    async fn call(&self, tool: &'static str, arguments: Value) -> Value {
        json!({ "result": self.client.call_tool(params(tool, arguments)).await.expect("an answer") })
    }

    async fn resource(&self, uri: &str) -> Value {
        let read = self.client.read_resource(ReadResourceRequestParams::new(uri)).await.expect("a resource");
        let read = json!(read.contents[0]);
        serde_json::from_str(read["text"].as_str().expect("text")).expect("JSON")
    }

    async fn run(&mut self) {
        let client = &self.client;
        let server = client.peer().peer_info().expect("server");
        self.say(
            "connected",
            json!({ "protocol": server.protocol_version, "capabilities": server.capabilities }),
        );
        self.say("tools", json!({ "tools": client.list_all_tools().await.expect("tools") }));
        self.say("find", self.call("find", json!({ "query": "grow disk of vm 104" })).await);
        let rows = json!({ "path": "/cluster/resources", "where": "type = qemu and vmid > 104", "sort": "-vmid",
                           "fields": ["vmid", "name"], "limit": 2 });
        self.say("list", self.call("read", rows).await);
        let blanks = json!({ "path": "/nodes/{node}/qemu/{vmid}/config", "args": { "vmid": 104 } });
        self.say("blanks", self.call("read", blanks).await);
        let refused = json!({ "path": "POST /nodes/pve1/qemu/104/status/start" });
        self.say("refused", self.call("read", refused).await);

        let uris = client.list_all_resources().await.expect("resources");
        let uris: Vec<&String> = uris.iter().map(|resource| &resource.uri).collect();
        let templates = client.list_all_resource_templates().await.expect("templates");
        let templates: Vec<&String> = templates.iter().map(|template| &template.uri_template).collect();
        let (guests, guest) =
            (self.resource("provost://guests").await, self.resource("provost://guest/104").await);
        self.say(
            "resources",
            json!({ "uris": uris, "templates": templates, "guests": guests, "guest": guest }),
        );
        let names = client.list_all_prompts().await.expect("prompts");
        let names: Vec<&String> = names.iter().map(|prompt| &prompt.name).collect();
        let arguments = json!({ "guest": "104" }).as_object().expect("an object").clone();
        let prompt = GetPromptRequestParams::new("why-slow").with_arguments(arguments);
        let prompt = json!(client.get_prompt(prompt).await.expect("a prompt"));
        self.say("prompts", json!({ "names": names, "text": prompt["messages"][0]["content"]["text"] }));
        let guests =
            client.complete_resource_simple("provost://guest/{vmid}", "vmid", "1").await.expect("guests");
        let kinds = client.complete_prompt_simple("new-guest", "kind", "v").await.expect("kinds");
        self.say("completed", json!({ "guests": guests, "kinds": kinds }));

        let upid = self.begin().await;
        let wait = params("read", json!({ "path": upid, "wait": 60 }));
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(wait.clone()));
        let options = PeerRequestOptions::no_options();
        let call = self.client.send_cancellable_request(request, options).await.expect("sent");
        let told = self.progress.recv().await.expect("progress");
        let by_the_sdk = told.progress_token == call.progress_token;
        call.cancel(None).await.expect("cancelled");
        let now = self.call("read", json!({ "path": upid })).await;
        self.say("cancelled", json!({ "by_the_sdk": by_the_sdk, "result": now["result"] }));

        let result = self.client.call_tool(wait).await.expect("an answer");
        let mut notices = Vec::new();
        while let Ok(notice) = self.progress.try_recv() {
            if notice.progress_token != told.progress_token {
                notices.push(json!({ "progress": notice.progress, "message": notice.message }));
            }
        }
        self.say("followed", json!({ "result": result, "notices": notices }));
    }

    async fn with_tasks(&mut self) {
        let upid = self.begin().await;
        let (id, status) = self.handle(&upid).await;
        self.say("handle", json!({ "status": status }));
        let TaskPayload::Completed { result } = self.ended(&id).await else { panic!("completed") };
        self.say("followed", json!({ "result": result }));
        let upid = self.begin().await;
        let (id, _) = self.handle(&upid).await;
        self.client.cancel_task(CancelTaskParams::new(&id)).await.expect("heard");
        let status = match self.ended(&id).await {
            TaskPayload::Cancelled => "cancelled",
            _ => "another",
        };
        let now = self.call("read", json!({ "path": upid })).await;
        self.say("cancelled", json!({ "status": status, "result": now["result"] }));
    }

    /// Waits for a task of the cluster: the id of the handle, and how it stands.
    async fn handle(&self, upid: &str) -> (String, Value) {
        let wait = params("read", json!({ "path": upid, "wait": 60 }));
        match self.client.call_tool_once(wait).await.expect("an answer") {
            CallToolResponse::Task(handle) => (handle.task.task_id.clone(), json!(handle.task.status)),
            other => panic!("no handle: {other:?}"),
        }
    }

    /// Asks for a task until it is over.
    async fn ended(&self, id: &str) -> TaskPayload {
        loop {
            let now = self.client.get_task(GetTaskParams::new(id)).await.expect("a task").task;
            if now.status().is_terminal() {
                return now.payload;
            }
            tokio::time::sleep(Duration::from_millis(now.task.poll_interval_ms.unwrap_or(100))).await;
        }
    }
}

fn params(tool: &'static str, arguments: Value) -> CallToolRequestParams {
    let arguments = arguments.as_object().expect("an object").clone();
    CallToolRequestParams::new(tool).with_arguments(arguments)
}
