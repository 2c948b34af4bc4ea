//! A host that is not what it should be: an MCP server on a socket, each of whose answers a test writes.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::{Value, json};

pub struct Fake {
    pub socket: PathBuf,
    /// Every message that came, in order.
    pub heard: Receiver<Value>,
}

/// Says on `stream` what it likes to a message. None: what an honest node without guests would; null: nothing at all.
pub type Says = Box<dyn FnMut(&mut UnixStream, &Value) -> Option<Value> + Send>;

impl Fake {
    pub fn start(dir: &std::path::Path, name: &str, mut says: Says) -> Self {
        let socket = dir.join(format!("{name}.sock"));
        let listener = UnixListener::bind(&socket).expect("bind");
        let (tell, heard): (Sender<Value>, _) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let reader = BufReader::new(stream.try_clone().expect("clone"));
                for line in reader.lines() {
                    let Ok(message) = line
                        .map_err(|_| ())
                        .and_then(|line| serde_json::from_str::<Value>(&line).map_err(|_| ()))
                    else {
                        break;
                    };
                    let _ = tell.send(message.clone());
                    let result = says(&mut stream, &message).or_else(|| honest(&message));
                    let Some(result) = result.filter(|said| !said.is_null() && message["id"].is_number())
                    else {
                        continue;
                    };
                    let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
                    if stream.write_all(format!("{answer}\n").as_bytes()).is_err() {
                        break;
                    }
                }
            }
        });
        Self { socket, heard }
    }
}

/// A tool's answer.
pub fn tool(answer: Value) -> Value {
    json!({ "content": [{ "type": "text", "text": answer.to_string() }], "structuredContent": answer, "isError": false })
}

pub fn is_call(message: &Value, name: &str) -> bool {
    message["method"] == "tools/call" && message["params"]["name"] == name
}

pub fn is_read(message: &Value, path: &str) -> bool {
    is_call(message, "read") && message["params"]["arguments"]["path"] == path
}

/// What it says when it is asked which node it is, and which guests it has: `(vmid, node)`.
pub fn place(message: &Value, node: &str, cluster: &[&str], guests: &[(u32, &str)]) -> Option<Value> {
    if is_read(message, "/cluster/status") {
        let nodes = if cluster.is_empty() { &[node][..] } else { cluster };
        let mut rows: Vec<Value> = nodes
            .iter()
            .map(
                |name| json!({ "type": "node", "name": name, "local": u8::from(*name == node), "online": 1 }),
            )
            .collect();
        if !cluster.is_empty() {
            rows.push(json!({ "type": "cluster", "name": "demo" }));
        }
        return Some(tool(json!({ "path": "/cluster/status", "data": rows })));
    }
    if is_read(message, "/cluster/resources") {
        let rows: Vec<Value> = guests
            .iter()
            .map(|(vmid, node)| json!({ "vmid": vmid, "node": node, "type": "lxc", "name": format!("x{vmid}") }))
            .collect();
        return Some(tool(json!({ "path": "/cluster/resources", "data": rows, "total": rows.len() })));
    }
    None
}

fn honest(message: &Value) -> Option<Value> {
    match message["method"].as_str()? {
        "initialize" => Some(json!({
            "protocolVersion": message["params"]["protocolVersion"], "capabilities": { "tools": {} },
            "serverInfo": { "name": "provost", "version": "0.1.0" },
        })),
        "ping" => Some(json!({})),
        "tools/call" => {
            let shown = place(message, "fake", &[], &[]);
            shown.or_else(|| Some(tool(json!({ "said": "by the fake" }))))
        }
        _ => None,
    }
}
