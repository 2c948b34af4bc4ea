//! A2A: another agent's messages and tasks. The official SDK's client comes in tests/clients.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::web::{Answer, Web, read, request};

mod attacks;
mod card;
mod forms;
mod people;
mod tasks;

/// A client by JSON-RPC, of either form.
pub struct Agent<'a> {
    web: &'a Web,
    bearer: String,
    old: bool,
}

/// What a task came to.
pub fn answer(task: &Value) -> &Value {
    &task["artifacts"][0]["parts"][0]["data"]
}

/// A message that calls a tool.
pub fn message(tool: &str, arguments: &Value) -> Value {
    let id = format!("m-{}", std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos());
    let parts = json!([{ "data": { "tool": tool, "arguments": arguments } }]);
    json!({ "messageId": id, "role": "ROLE_USER", "parts": parts })
}

pub fn state(task: &Value) -> &str {
    let state = task["status"]["state"].as_str().unwrap_or_else(|| panic!("no task: {task}"));
    state.trim_start_matches("TASK_STATE_")
}

impl<'a> Agent<'a> {
    pub fn new(web: &'a Web, token: &str) -> Self {
        Self { web, bearer: format!("Bearer {token}"), old: false }
    }

    pub fn old(web: &'a Web, token: &str) -> Self {
        Self { old: true, ..Self::new(web, token) }
    }

    fn headers(&self) -> [(&'static str, &str); 3] {
        let version = if self.old { "0.3" } else { "1.0" };
        [("authorization", &self.bearer), ("content-type", "application/json"), ("a2a-version", version)]
    }

    fn body(&self, method: &str, params: &Value) -> String {
        json!({ "jsonrpc": "2.0", "id": "r-1", "method": method, "params": params }).to_string()
    }

    pub fn ask(&self, method: &str, params: &Value) -> Answer {
        self.web.ask("POST", "/a2a", &self.headers(), &self.body(method, params))
    }

    /// The result.
    pub fn result(&self, method: &str, params: &Value) -> Value {
        let told = self.ask(method, params).json();
        assert_eq!((&told["id"], &told["error"]), (&json!("r-1"), &Value::Null), "{method}: {told}");
        told["result"].clone()
    }

    /// The code of the error, and the kind that it says.
    pub fn error(&self, method: &str, params: &Value) -> (i64, String) {
        let answer = self.ask(method, params);
        assert_eq!(answer.status, 200, "{}", answer.body);
        // Of 0.3, who asks for a stream reads nothing else.
        let streams = self.old && ["message/stream", "tasks/resubscribe"].contains(&method);
        let kind = if streams { "text/event-stream" } else { "application/json" };
        assert_eq!(answer.header("content-type"), Some(kind), "{method}");
        let text = answer.body.trim();
        let told: Value = serde_json::from_str(text.strip_prefix("data: ").unwrap_or(text)).expect("JSON");
        fault(&told["error"])
    }

    pub fn send(&self, params: &Value) -> Value {
        self.result("SendMessage", params)["task"].clone()
    }

    /// A tool called, to its end.
    pub fn call(&self, tool: &str, arguments: &Value) -> Value {
        if !self.old {
            return self.send(&json!({ "message": message(tool, arguments) }));
        }
        let mut message = message(tool, arguments);
        (message["role"], message["kind"]) = (json!("user"), json!("message"));
        message["parts"][0]["kind"] = json!("data");
        let task = self.result("message/send", &json!({ "message": message }));
        assert_eq!(task["kind"], "task", "{task}");
        task
    }

    /// The same, not waited for: its id.
    pub fn begin(&self, tool: &str, arguments: &Value) -> String {
        let settings = json!({ "returnImmediately": true });
        let task = self.send(&json!({ "message": message(tool, arguments), "configuration": settings }));
        task["id"].as_str().unwrap().to_owned()
    }

    pub fn get(&self, id: &str) -> Value {
        self.result("GetTask", &json!({ "id": id }))
    }

    /// All events of a stream, once it has ended.
    pub fn events(&self, method: &str, params: &Value) -> Vec<Value> {
        events(&self.ask(method, params))
    }

    /// A stream that is heard by somebody else meanwhile.
    pub fn listen(&self, method: &str, params: &Value) -> std::thread::JoinHandle<Vec<Value>> {
        let mut stream = self.asking(method, params);
        std::thread::spawn(move || events(&read(&mut stream)))
    }

    /// A stream that has begun, and that nobody reads on.
    pub fn listening(&self, method: &str, params: &Value) -> UnixStream {
        let mut stream = self.asking(method, params);
        let mut first = [0; 15];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK");
        stream
    }

    fn asking(&self, method: &str, params: &Value) -> UnixStream {
        let mut stream = self.web.connect();
        let text = request("POST", "/a2a", &self.headers(), &self.body(method, params));
        stream.write_all(text.as_bytes()).unwrap();
        stream
    }
}

pub fn fault(error: &Value) -> (i64, String) {
    let details =
        error["data"].as_array().or(error["details"].as_array()).map(Vec::as_slice).unwrap_or_default();
    let info = details.iter().find(|detail| detail["@type"] == "type.googleapis.com/google.rpc.ErrorInfo");
    let info = info.unwrap_or_else(|| panic!("no ErrorInfo: {error}"));
    assert_eq!(info["domain"], "a2a-protocol.org", "{error}");
    (error["code"].as_i64().unwrap(), info["metadata"]["kind"].as_str().unwrap_or_default().to_owned())
}

fn events(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.header("content-type"), Some("text/event-stream"), "{} {}", answer.status, answer.body);
    let data = answer.body.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|text| serde_json::from_str::<Value>(text).expect("JSON"))
        .map(|event| if event["jsonrpc"] == "2.0" { event["result"].clone() } else { event })
        .collect()
}
