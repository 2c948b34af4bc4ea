//! A site with an HTTP door, and a client as plain as can be: bytes out, bytes in, so that a test sees exactly what crosses.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use provost::sim::estate::{Estate, recorded};
use serde_json::{Value, json};

use crate::common::eventually;
use crate::daemon::Site;

pub struct Web {
    pub site: Site,
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.body))
    }

    /// The kind of the error that it holds.
    pub fn kind(&self) -> String {
        self.json()["error"]["kind"].as_str().unwrap_or_default().to_owned()
    }

    /// The JSON-RPC message that answers, in either form.
    pub fn message(&self) -> Value {
        if self.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")) {
            let data = self.body.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
            let mut messages = data.filter_map(|text| serde_json::from_str::<Value>(text).ok());
            return messages.rfind(|message| !message["id"].is_null()).expect("an answer");
        }
        self.json()
    }
}

/// Roles for whoever runs the test, of which the first counts for them.
pub fn roles(keys: &str) -> String {
    let me = nix::unistd::Uid::effective();
    format!(
        "[approval]\nmembers = [\"user:{me}\"]\n[[role]]\nname = \"own\"\nmembers = [\"user:{me}\"]\n{keys}\n\
         [[role]]\nname = \"all\"\nmembers = []\nprofile = \"full\""
    )
}

impl Web {
    pub fn start(keys: &str) -> Self {
        Self::listening(keys, "http = \"{dir}/http.sock\"")
    }

    /// On a cluster of a test's own, with roles as [`roles`] gives them.
    pub fn of(estate: Estate, roles: &str) -> Self {
        let web = Self { site: Site::listening(estate, roles, "http = \"{dir}/http.sock\"") };
        web.wait();
        web
    }

    pub fn listening(keys: &str, listen: &str) -> Self {
        let web = Self { site: Site::listening(recorded(), &roles(keys), listen) };
        web.wait();
        web
    }

    /// On a cluster whose tasks take their time: 1, as on a node; 0.1, ten times that.
    pub fn paced(keys: &str, speed: f64) -> Self {
        let listen = "http = \"{dir}/http.sock\"";
        let web = Self { site: Site::listening_at(recorded(), &roles(keys), listen, Some(speed)) };
        web.wait();
        web
    }

    pub fn wait(&self) {
        eventually("the operators' socket answers", || self.provost(&["plans"]).status.success());
    }

    pub fn restart(&mut self) {
        let _ = std::fs::remove_file(self.socket());
        self.site.restart();
        self.wait();
        let socket = self.socket();
        eventually("HTTP is served", || UnixStream::connect(&socket).is_ok());
    }

    pub fn socket(&self) -> PathBuf {
        self.site.dir.path().join("http.sock")
    }

    /// Other roles from the next call on.
    pub fn set_roles(&self, keys: &str) {
        let path = self.site.dir.path().join("provost.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let kept = text.split("[approval]").next().unwrap();
        let new = path.with_extension("new");
        std::fs::write(&new, format!("{kept}{}", roles(keys))).unwrap();
        std::fs::rename(&new, &path).unwrap();
    }

    pub fn provost(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_provost"))
            .args(words)
            .env("PROVOST_CONFIG", self.site.dir.path().join("provost.toml"))
            .output()
            .expect("provost")
    }

    /// `provost token issue` with these words: what it prints as JSON.
    pub fn issued(&self, words: &[&str]) -> Value {
        let output = self.provost(&[&["token", "issue", "--json"], words].concat());
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    pub fn token(&self, words: &[&str]) -> String {
        self.issued(words)["token"].as_str().expect("a token").to_owned()
    }

    pub fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("timeout");
        stream
    }

    /// These bytes, and all that comes back.
    pub fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // What is refused early is not read to its end.
        let _ = stream.write_all(bytes);
        read(&mut stream)
    }

    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.raw(request(method, path, headers, body).as_bytes())
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    /// A tool by a plain POST.
    pub fn tool(&self, token: &str, name: &str, arguments: &Value) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.ask("POST", &format!("/v1/tools/{name}"), &headers, &arguments.to_string())
    }

    /// A message of MCP's, of a revision with a handshake; in a session, where there is one.
    pub fn mcp(&self, token: &str, session: Option<&str>, message: &Value) -> Answer {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        if let Some(session) = session {
            headers.extend([("mcp-session-id", session), ("mcp-protocol-version", "2025-06-18")]);
        }
        self.ask("POST", "/mcp", &headers, &message.to_string())
    }

    /// A session, through its handshake.
    pub fn session(&self, token: &str) -> String {
        let client = json!({ "name": "test", "version": "1" });
        let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client });
        let answer = self.mcp(
            token,
            None,
            &json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello }),
        );
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.message()["result"]["serverInfo"]["name"], "provost");
        let session = answer.header("mcp-session-id").expect("a session").to_owned();
        let begun = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(self.mcp(token, Some(&session), &begun).status, 202);
        session
    }

    /// The receipts, the oldest first.
    pub fn receipts(&self) -> Vec<Value> {
        let dir = self.site.dir.path().join("ledger");
        let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
            .expect("the ledger")
            .filter_map(|file| Some(file.ok()?.path()))
            .filter(|file| file.extension().is_some_and(|end| end == "jsonl"))
            .collect();
        files.sort();
        let text: String = files.iter().map(|file| std::fs::read_to_string(file).expect("read")).collect();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        text += "host: localhost\r\n";
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if method != "GET" {
        text += &format!("content-length: {}\r\n", body.len());
    }
    text + "\r\n" + body
}

/// To the end of the connection.
pub fn read(stream: &mut impl Read) -> Answer {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if chunked { whole(body) } else { body.to_owned() };
    Answer { status, headers, body }
}

/// Without the lengths of its chunks.
fn whole(mut chunks: &str) -> String {
    let mut body = String::new();
    while let Some((length, rest)) = chunks.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap_or(0);
        if length == 0 || rest.len() < length {
            break;
        }
        body += &rest[..length];
        chunks = rest[length..].trim_start_matches("\r\n");
    }
    body
}
