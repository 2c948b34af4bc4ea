//! An MCP client as plain as can be: lines of JSON over the socket, so that a test sees exactly what crosses it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

pub struct Client {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
    last_id: u64,
    /// Notifications that came while waiting for answers.
    pub notifications: Vec<Value>,
}

impl Client {
    /// Connects and goes through the handshake.
    pub fn connect(socket: &Path) -> Self {
        let mut client = Self::raw(UnixStream::connect(socket).expect("connect"));
        let client_info = json!({ "name": "test", "version": "1" });
        let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client_info });
        let answer = client.request("initialize", hello);
        assert_eq!(answer["result"]["serverInfo"]["name"], "provost", "{answer}");
        client.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        client
    }

    /// A connection on which nothing has been said.
    pub fn raw(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("timeout");
        let reader = BufReader::new(stream.try_clone().expect("clone"));
        Self { stream, reader, last_id: 0, notifications: Vec::new() }
    }

    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }

    pub fn write(&mut self, message: &Value) {
        self.stream.write_all(format!("{message}\n").as_bytes()).expect("write");
    }

    /// Sends a request and returns its id.
    pub fn send(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        self.write(&json!({ "jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params }));
        self.last_id
    }

    /// The next message, whatever it is; none when the daemon has closed.
    pub fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.reader.read_line(&mut line).expect("read") {
            0 => None,
            _ => Some(serde_json::from_str(&line).expect("JSON")),
        }
    }

    /// The answer to the request with that id; what comes before it is kept in `notifications`.
    pub fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.next().expect("an answer before the end");
            if message["id"] == id {
                return message;
            }
            self.notifications.push(message);
        }
    }

    /// As [`Client::call`], of a daemon that may end meanwhile: then none.
    pub fn try_call(&mut self, tool: &str, arguments: Value) -> Option<Value> {
        self.last_id += 1;
        let params = json!({ "name": tool, "arguments": arguments });
        let call = json!({ "jsonrpc": "2.0", "id": self.last_id, "method": "tools/call", "params": params });
        self.stream.write_all(format!("{call}\n").as_bytes()).ok()?;
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
            let message: Value = serde_json::from_str(&line).ok()?;
            if message["id"] == self.last_id {
                return Some(message);
            }
        }
    }

    pub fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        self.answer(id)
    }

    /// Calls a tool without waiting for its answer.
    pub fn start(&mut self, tool: &str, arguments: Value) -> u64 {
        self.send("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    /// Calls a tool and returns its result: `structuredContent` and `isError` among it.
    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.start(tool, arguments);
        let answer = self.answer(id);
        assert!(answer["error"].is_null(), "{answer}");
        answer["result"].clone()
    }

    /// A tool's structured answer, which must not be an error.
    pub fn answered(&mut self, tool: &str, arguments: Value) -> Value {
        let shown = arguments.to_string();
        let result = self.call(tool, arguments);
        assert_ne!(result["isError"], true, "{tool} {shown}: {result}");
        result["structuredContent"].clone()
    }

    /// A tool's `error`, which it must be.
    pub fn error(&mut self, tool: &str, arguments: Value) -> Value {
        let shown = arguments.to_string();
        let result = self.call(tool, arguments);
        assert_eq!(result["isError"], true, "{tool} {shown}: {result}");
        result["structuredContent"]["error"].clone()
    }

    /// `exec` with these arguments, answered.
    pub fn exec(&mut self, arguments: Value) -> Value {
        self.answered("exec", arguments)
    }

    /// `exec` of an argv in the change lane.
    pub fn change(&mut self, guest: u32, argv: &[&str]) -> Value {
        self.exec(json!({ "guest": guest, "argv": argv, "mode": "change" }))
    }

    /// `exec` of an argv in the inspect lane.
    pub fn inspect(&mut self, guest: u32, argv: &[&str]) -> Value {
        self.exec(json!({ "guest": guest, "argv": argv }))
    }

    /// `exec` that must fail; its `error`.
    pub fn refused(&mut self, arguments: Value) -> Value {
        self.error("exec", arguments)
    }

    pub fn cancel(&mut self, id: u64) {
        let params = json!({ "requestId": id, "reason": "test" });
        self.write(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }));
    }
}
