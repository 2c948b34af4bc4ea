//! An open MCP session, and the wire to `provost-execd` beneath it. As plain as can be, so that what is measured is
//! the daemons: a request is written from a prepared text, and its answer is looked into when the clock has stopped.

use std::io::{self, BufRead, BufReader, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, sendmsg, socket,
};
use nix::unistd::pipe2;
use provost::exec::wire::{LONGEST, Mode, Reply, Request, VERSION};
use serde_json::{Value, json};

pub struct Session {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
    line: String,
    last_id: u64,
}

impl Session {
    pub fn open(socket: &Path) -> io::Result<Self> {
        Self::over(UnixStream::connect(socket)?)
    }

    /// On a connection that is there.
    pub fn over(stream: UnixStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let reader = BufReader::with_capacity(256 * 1024, stream.try_clone()?);
        let mut session = Self { stream, reader, line: String::new(), last_id: 0 };
        let client = json!({ "name": "bench", "version": "1" });
        let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client });
        session.send(&Call::new("initialize", &hello))?;
        session.receive()?;
        session.stream.write_all(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n")?;
        Ok(session)
    }

    pub fn send(&mut self, call: &Call) -> io::Result<()> {
        self.last_id += 1;
        self.stream.write_all(format!("{{\"jsonrpc\":\"2.0\",\"id\":{},{}", self.last_id, call.0).as_bytes())
    }

    /// The next message, as it came.
    pub fn receive(&mut self) -> io::Result<&str> {
        self.line.clear();
        match self.reader.read_line(&mut self.line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(&self.line),
        }
    }

    pub fn call(&mut self, call: &Call) -> io::Result<&str> {
        self.send(call)?;
        self.receive()
    }
}

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// A request but for its id.
pub struct Call(String);

impl Call {
    fn new(method: &str, params: &Value) -> Self {
        Self(format!("\"method\":\"{method}\",\"params\":{params}}}\n"))
    }

    /// What the protocol itself answers: the way there and back.
    pub fn ping() -> Self {
        Self::new("ping", &json!({}))
    }

    pub fn status() -> Self {
        Self::new("tools/call", &json!({ "name": "status", "arguments": {} }))
    }

    pub fn read(arguments: &Value) -> Self {
        Self::new("tools/call", &json!({ "name": "read", "arguments": arguments }))
    }

    pub fn diagnose(subject: &str) -> Self {
        Self::new("tools/call", &json!({ "name": "diagnose", "arguments": { "subject": subject } }))
    }

    pub fn exec(guest: u32, mode: Mode, argv: &[&str]) -> Self {
        let arguments = json!({ "guest": guest, "argv": argv, "mode": mode });
        Self::new("tools/call", &json!({ "name": "exec", "arguments": arguments }))
    }
}

/// Whether an `exec` came to a good end.
pub fn succeeded(answer: &str) -> bool {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    answer["result"]["structuredContent"]["exit_code"] == 0
}

/// That a `read` came to a good end, and what it said if not.
pub fn succeeded_read(answer: &str) -> io::Result<()> {
    match serde_json::from_str::<Value>(answer).unwrap_or_default() {
        answer if answer["result"]["structuredContent"]["path"].is_string() => Ok(()),
        answer => Err(io::Error::other(answer.to_string())),
    }
}

/// Asks `provost-execd` itself, as `provostd` would.
pub struct Execd {
    address: UnixAddr,
    request: Request,
    reply: Vec<u8>,
}

impl Execd {
    pub fn at(path: &Path, guest: u32, mode: Mode, argv: &[&str]) -> Self {
        let request = Request {
            version: VERSION,
            guest: provost::exec::wire::Guest::Vmid(guest),
            mode,
            argv: argv.iter().map(ToString::to_string).collect(),
            env: vec![],
            cwd: "/".into(),
            user: None,
            timeout_ms: 60_000,
            asked_by: "bench".into(),
            script: None,
            file: None,
        };
        let address = UnixAddr::new(path).expect("the socket's path fits");
        Self { address, request, reply: vec![0; LONGEST] }
    }

    pub fn call(&mut self) -> io::Result<&[u8]> {
        let (stdin, ours_in) = pipe2(OFlag::O_CLOEXEC)?;
        let (out, stdout) = pipe2(OFlag::O_CLOEXEC)?;
        let (err, stderr) = pipe2(OFlag::O_CLOEXEC)?;
        let packet = self.request.encode().expect("a request that fits");
        let connection = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
        connect(connection.as_raw_fd(), &self.address)?;
        let stdio = [stdin.as_raw_fd(), stdout.as_raw_fd(), stderr.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&stdio)];
        let fd = connection.as_raw_fd();
        sendmsg::<UnixAddr>(fd, &[IoSlice::new(&packet)], &rights, MsgFlags::MSG_NOSIGNAL, None)?;
        drop((stdin, stdout, stderr, ours_in));
        drain(out)?;
        drain(err)?;
        let length = recv(fd, &mut self.reply, MsgFlags::empty())?;
        Ok(&self.reply[..length])
    }
}

fn drain(pipe: OwnedFd) -> io::Result<()> {
    let mut bytes = Vec::new();
    std::fs::File::from(pipe).read_to_end(&mut bytes).map(drop)
}

pub fn ended_well(reply: &[u8]) -> bool {
    matches!(Reply::decode(reply), Ok(Reply::Ended(outcome)) if outcome.exit_code == Some(0))
}
