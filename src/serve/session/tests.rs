use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::{self, Config};
use crate::ledger::Entry;
use crate::ledger::query::{Filter, newest_first};
use crate::ledger::receipt::body;
use crate::policy::{Machine, Rules};

fn provost(text: &str) -> Arc<Provost> {
    Arc::new(Provost::for_tests(Rules::fixed(config::parse(std::path::Path::new("x"), text).unwrap())))
}

/// A client on a session of its own.
struct Client {
    stream: BufReader<UnixStream>,
    _stop: CancellationToken,
}

impl Client {
    fn new(text: &str) -> Self {
        Self::of(provost(text))
    }

    fn of(provost: Arc<Provost>) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let principal = Principal::of_peer(&theirs).unwrap();
        Self::between(ours, theirs, principal, provost)
    }

    /// In a virtual machine.
    fn machine(cid: u32, vmid: u32, provost: Arc<Provost>) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        Self::between(ours, theirs, Principal::Machine(Machine::for_tests(cid, vmid)), provost)
    }

    fn between(ours: UnixStream, theirs: UnixStream, principal: Principal, provost: Arc<Provost>) -> Self {
        let stop = CancellationToken::new();
        let room = Room::new(&Config::default().listen);
        tokio::spawn(serve(Stream::Unix(theirs), principal, provost, room, stop.clone()));
        Self { stream: BufReader::new(ours), _stop: stop }
    }

    async fn say(&mut self, message: Value) {
        self.stream.get_mut().write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    /// Null when the daemon has closed.
    async fn hear(&mut self) -> Value {
        let mut line = String::new();
        match self.stream.read_line(&mut line).await.unwrap() {
            0 => Value::Null,
            _ => serde_json::from_str(&line).unwrap(),
        }
    }

    async fn begin(&mut self) {
        self.begin_at("2025-06-18").await;
    }

    async fn begin_at(&mut self, revision: &str) {
        let client = json!({ "name": "test", "version": "1" });
        let hello = json!({ "protocolVersion": revision, "capabilities": {}, "clientInfo": client });
        self.say(json!({ "jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": hello })).await;
        assert_eq!(self.hear().await["result"]["serverInfo"]["name"], "provost");
        self.say(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
    }

    async fn status(&mut self) -> Value {
        let params = json!({ "name": "status", "arguments": {} });
        self.say(json!({ "jsonrpc": "2.0", "id": "status", "method": "tools/call", "params": params })).await;
        self.hear().await["result"]["structuredContent"].clone()
    }

    async fn exec(&mut self, id: u32, stdin: &str) {
        let arguments = json!({ "guest": 101, "argv": ["cat"], "stdin": stdin });
        let params = json!({ "name": "exec", "arguments": arguments });
        self.say(json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })).await;
    }
}

/// Whoever runs the tests may run commands, by a `provost-execd` that takes connections and never answers: its
/// directory, its socket and the configuration. None, and a word that says so, without root, whom it must be.
fn silent_execd(more: &str) -> Option<(tempfile::TempDir, std::os::fd::OwnedFd, String)> {
    use nix::sys::socket::*;
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("NOT RUN without root: {}", std::thread::current().name().unwrap_or_default());
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("exec.sock");
    let listener = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(std::os::fd::AsRawFd::as_raw_fd(&listener), &UnixAddr::new(&path).unwrap()).unwrap();
    listen(&listener, Backlog::MAXCONN).unwrap();
    let text = format!(
        "[exec]\nenabled = true\nsocket = '{}'\n{more}\n[[role]]\nname = 'me'\nmembers = ['user:{}']",
        path.display(),
        nix::unistd::Uid::effective()
    );
    Some((dir, listener, text))
}

#[tokio::test]
async fn an_id_that_is_under_way_is_not_begun_again_and_the_first_call_keeps_it() {
    // A place for nobody: the calls wait for their turn.
    let Some((_dir, _execd, text)) = silent_execd("max_parallel = 1") else { return };
    let mut client = Client::new(&text);
    client.begin().await;
    client.exec(1, "").await;
    client.exec(2, "").await;
    client.exec(2, "").await;
    let refusal = client.hear().await;
    assert!(refusal["id"].is_null(), "it is no answer to the first: {refusal}");
    assert!(refusal["error"]["message"].as_str().unwrap().contains("id 2"), "{refusal}");
    // Once it has ended it may be used again.
    for _ in 0..2 {
        client.say(json!({ "jsonrpc": "2.0", "id": 3, "method": "ping" })).await;
        assert_eq!(client.hear().await, json!({ "jsonrpc": "2.0", "id": 3, "result": {} }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_no_session_begins_is_closed_and_told_why() {
    for first in [None, Some("ping")] {
        let mut client = Client::new("");
        if let Some(method) = first {
            client.say(json!({ "jsonrpc": "2.0", "id": 1, "method": method })).await;
            assert!(client.hear().await["result"].is_object());
        }
        let started = tokio::time::Instant::now();
        let told = client.hear().await;
        assert!(told["error"]["message"].as_str().unwrap().contains("Send initialize"), "{told}");
        assert_eq!(started.elapsed().as_secs(), TO_BEGIN.as_secs());
        assert!(client.hear().await.is_null());
    }
}

/// JSON-RPC: the id is null where none could be told. MCP leaves it out from 2025-11-25 on.
#[tokio::test]
async fn what_is_no_message_is_refused_and_the_session_goes_on() {
    let ping = json!({ "jsonrpc": "2.0", "id": 3, "method": "ping" });
    for (revision, is_there) in [("2025-03-26", true), ("2025-06-18", true), ("2025-11-25", false)] {
        let mut client = Client::new("");
        client.begin_at(revision).await;
        let batch = format!("[{ping}]");
        let cut = ping.to_string();
        for (line, code) in [
            (&b"what is up?"[..], -32700),
            (&cut.as_bytes()[..cut.len() - 1], -32700),
            (b"{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"\xff\"}", -32700),
            (b" \n\n\"hello\"", -32600),
            (batch.as_bytes(), -32600),
        ] {
            client.stream.get_mut().write_all(&[line, b"\n"].concat()).await.unwrap();
            let told = client.hear().await;
            assert_eq!(told["error"]["code"], code, "{told}");
            assert_eq!(told.get("id"), is_there.then_some(&Value::Null), "{revision}: {told}");
            client.say(ping.clone()).await;
            assert_eq!(client.hear().await["id"], 3);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_begun_may_be_silent() {
    let mut client = Client::new("");
    client.begin().await;
    tokio::time::sleep(10 * TO_BEGIN).await;
    client.say(json!({ "jsonrpc": "2.0", "id": 3, "method": "ping" })).await;
    assert!(client.hear().await["result"].is_object());
}

#[tokio::test]
async fn a_call_is_charged_for_more_than_its_words() {
    let Some((_dir, _execd, text)) = silent_execd("max_parallel = 1") else { return };
    let provost = provost(&text);
    let me = nix::unistd::Uid::effective().as_raw();
    // Room for three calls of no words.
    let _held = provost.input.take(me, provost.input.each() - 3).unwrap();
    let mut client = Client::of(provost.clone());
    client.begin().await;
    for id in 1..=4 {
        client.exec(id, "").await;
    }
    // Whichever of them came last: they are on their way at once.
    let answer = client.hear().await;
    assert_eq!(answer["result"]["structuredContent"]["error"]["kind"], "busy", "{answer}");
}

/// What an open session may do follows the file, and a file that has become wrong changes nothing but what is said.
#[tokio::test]
async fn an_open_session_follows_the_configuration() {
    let Some((dir, _execd, may)) = silent_execd("") else { return };
    let file = dir.path().join("provost.toml");
    std::fs::write(&file, &may).unwrap();
    let mut client = Client::of(Arc::new(Provost::for_tests(Rules::of(file.clone()).unwrap())));
    client.begin().await;
    let status = client.status().await;
    assert_eq!((&status["role"], &status["configuration"]), (&json!("me"), &json!({ "in_force": true })));

    std::fs::write(&file, may.replace("name = 'me'", "name = 'other'\nexec = 'none'\nguests = ['pool:x']"))
        .unwrap();
    client.exec(1, "").await;
    let answer = client.hear().await;
    assert_eq!(answer["result"]["structuredContent"]["error"]["kind"], "lane_not_allowed", "{answer}");
    let status = client.status().await;
    assert_eq!((&status["role"], &status["exec"]["lane"]), (&json!("other"), &json!("none")), "{status}");

    std::fs::write(&file, may.replace("[[role]]", "[[rolle]]")).unwrap();
    for wrong in ["rolle", "No such file"] {
        let status = client.status().await;
        assert_eq!(
            (&status["role"], &status["configuration"]["in_force"]),
            (&json!("other"), &json!(false)),
            "{status}"
        );
        assert!(status["configuration"]["error"].as_str().unwrap().contains(wrong), "{status}");
        let _ = std::fs::remove_file(&file);
    }
    std::fs::write(&file, "").unwrap();
    let status = client.status().await;
    assert!(
        status["role"].is_null() && status["configuration"].is_null() && status["not_yet"].is_null(),
        "{status}"
    );
}

/// A call that waits for its turn is judged again when it comes.
#[tokio::test]
async fn a_role_that_is_taken_away_stops_calls_that_wait() {
    let Some((dir, execd, may)) = silent_execd("max_parallel = 1") else { return };
    let file = dir.path().join("provost.toml");
    std::fs::write(&file, &may).unwrap();
    let mut client = Client::of(Arc::new(Provost::for_tests(Rules::of(file.clone()).unwrap())));
    client.begin().await;
    client.exec(1, "").await;
    // It has its turn once it is there; the second, then, has none.
    let accept = move || nix::sys::socket::accept(std::os::fd::AsRawFd::as_raw_fd(&execd)).map(|_| execd);
    let _execd = tokio::task::spawn_blocking(accept).await.unwrap().unwrap();
    client.exec(2, "").await;
    client.status().await;
    std::fs::write(&file, may.replace("me'", "me'\nexec = 'none'")).unwrap();
    let cancel = json!({ "requestId": 1 });
    client.say(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel })).await;
    let answer = client.hear().await;
    assert_eq!(answer["id"], 2, "{answer}");
    assert_eq!(answer["result"]["structuredContent"]["error"]["kind"], "lane_not_allowed", "{answer}");
}

#[test]
fn the_log_does_not_repeat_the_message_with_which_no_session_began() {
    let message = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "exec", "arguments": { "guest": 101, "argv": ["a"], "env": { "A": "hunter2" } }
    } });
    let error =
        ServerInitializeError::ExpectedInitializeRequest(Some(serde_json::from_value(message).unwrap()));
    assert!(error.to_string().contains("hunter2"), "the library quotes it");
    assert!(!super::why(&error).contains("hunter2"));
}

/// All that the socket serves, as what the kernel says it is: a machine, and no account.
#[tokio::test]
async fn a_virtual_machine_is_served_as_itself() {
    let text = "[[role]]\nname='inner'\nmembers=['vm:120']\nprofile='operate'\nexec='none'";
    let provost = provost(text);
    let mut client = Client::machine(1101, 120, provost.clone());
    client.begin().await;
    let status = client.status().await;
    assert_eq!(status["principal"], json!({ "via": "vsock", "cid": 1101, "vmid": 120 }));
    assert_eq!((&status["role"], &status["profile"]), (&json!("inner"), &json!("operate")));
    // What speaks from a guest was written there.
    assert_eq!(status["tainted"], true);
    client.exec(1, "").await;
    let refused = client.hear().await;
    assert_eq!(refused["result"]["structuredContent"]["error"]["kind"], "lane_not_allowed", "{refused}");

    let mut stranger = Client::machine(1102, 121, provost.clone());
    stranger.begin().await;
    let status = stranger.status().await;
    assert_eq!((&status["role"], &status["pending"]), (&Value::Null, &json!([])), "{status}");
    stranger.exec(1, "").await;
    let refused = stranger.hear().await;
    assert_eq!(refused["result"]["structuredContent"]["error"]["kind"], "no_role", "{refused}");

    let filter = Filter { principal: Some("vm:120".into()), ..Filter::default() };
    let mut found = Vec::new();
    // Behind all that was left before it, once it has its number.
    provost.desk.ledger.append_numbered(Entry::of(body::Halt { halted: false })).await.unwrap();
    newest_first(provost.desk.ledger.place(), &filter, |receipt| {
        found.push((receipt.kind.name(), receipt.principal.unwrap()));
        ControlFlow::Continue(())
    })
    .unwrap();
    let log = std::fs::read_to_string(provost.desk.ledger.place().segment(1)).unwrap();
    assert_eq!(
        found.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(),
        ["refusal", "read", "session"],
        "{log}"
    );
    for (_, who) in found {
        assert_eq!((who.name().as_str(), who.vmid, who.uid), ("vsock:1101", Some(120), None));
        assert!(who.tainted);
    }
}
