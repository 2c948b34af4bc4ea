//! A simulated Backup Server: datastores, namespaces, groups and backups, jobs, users, tokens, rights and tasks, over TLS.
//!
//! In: [`Options`]. Out: a [`BackupSim`] that runs until it is dropped, with the files that a real one has: the certificate and
//! a token. It answers as the real one does: an error is a 400 whose body is the message, a login that fails waits before it is
//! told, a task's name has its own number. It keeps nothing on a disk and holds no chunk of anybody's data.

mod answers;
mod changes;
mod keep;
mod people;
mod state;
mod tasks;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use state::{Backup, Group, Server, Store};

use super::http::listen::{Identity, accepted};
use super::http::request::{Request, Unread};
use crate::catalog::{Catalog, Edition, Method, PathError};
use crate::product::Product;

/// The token of the demo's superuser.
pub const ROOT_TOKEN: &str = "root@pam!t1";

pub struct Options {
    /// Where certificate and token are put.
    pub dir: PathBuf,
    pub server: Server,
    pub listen: SocketAddr,
    /// How long a login that fails waits, and a call without the right to it.
    pub delays: (Duration, Duration),
}

impl Options {
    /// A free port on loopback, and no waiting.
    pub fn new(dir: impl Into<PathBuf>, server: Server) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { dir: dir.into(), server, listen, delays: (Duration::ZERO, Duration::ZERO) }
    }

    /// As slow over refusals as the real one.
    pub fn as_slow(self) -> Self {
        Self { delays: (Duration::from_secs(3), Duration::from_millis(500)), ..self }
    }
}

/// A running server; it ends when this is dropped.
pub struct BackupSim {
    /// `https://127.0.0.1:PORT`
    pub url: String,
    pub address: SocketAddr,
    pub certificate: PathBuf,
    /// Of the certificate, SHA-256, as PVE's storage.cfg has it.
    pub fingerprint: String,
    /// [`ROOT_TOKEN`], in a file that is its owner's alone.
    pub token: PathBuf,
    shared: Arc<Shared>,
    _listener: JoinSet<()>,
}

struct Shared {
    server: Mutex<Server>,
    catalog: Catalog,
    delays: (Duration, Duration),
}

/// A refusal: its status, and the message that is the body.
pub(crate) struct Refusal(u16, String);

pub(crate) fn no<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(400, message.into()))
}

pub(crate) type Answered = Result<Value, Refusal>;

/// One call, its parameters with those of the path.
pub(crate) struct Call<'a> {
    pub method: Method,
    pub template: &'a str,
    pub args: Map<String, Value>,
    /// `user@realm` or `user@realm!token`.
    pub who: String,
}

impl Call<'_> {
    pub fn text(&self, name: &str) -> String {
        match self.args.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    pub fn given(&self, name: &str) -> Option<String> {
        self.args.contains_key(name).then(|| self.text(name))
    }

    pub fn number(&self, name: &str) -> Option<i64> {
        self.text(name).parse().ok()
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.text(name).to_ascii_lowercase().as_str() {
            "1" | "on" | "yes" | "true" => Some(true),
            "0" | "off" | "no" | "false" => Some(false),
            _ => None,
        }
    }
}

impl BackupSim {
    /// Within a tokio runtime, on which it runs.
    pub async fn start(options: Options) -> io::Result<Self> {
        let Options { dir, server, listen, delays } = options;
        let certificate = dir.join("proxy.pem");
        let (identity, fingerprint) = Identity::make(&server.node, &certificate)?;
        let token = dir.join("pbs-token");
        let secret = server.secret(ROOT_TOKEN).unwrap_or_default();
        super::write_secret(&token, &format!("{ROOT_TOKEN}={secret}\n"))?;
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let url = format!("https://{address}");
        let catalog = Catalog::built_in(Edition::of(Product::Backup));
        let shared = Arc::new(Shared { server: Mutex::new(server), catalog, delays });
        let mut listeners = JoinSet::new();
        listeners.spawn(accept(shared.clone(), identity, listener));
        Ok(Self { url, address, certificate, fingerprint, token, shared, _listener: listeners })
    }

    /// What is true, for a test to compare with.
    pub fn with_server<T>(&self, look: impl FnOnce(&mut Server) -> T) -> T {
        look(&mut self.shared.lock())
    }
}

async fn accept(shared: Arc<Shared>, identity: Identity, listener: TcpListener) {
    loop {
        let stream = accepted(&listener).await;
        let (shared, acceptor) = (shared.clone(), identity.acceptor());
        tokio::spawn(async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(&shared, stream).await;
            }
        });
    }
}

async fn serve(shared: &Shared, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut buffer = Vec::new();
    loop {
        let (answer, last) = match Request::read(&mut stream, &mut buffer).await {
            Err(Unread::Closed) => return,
            Err(Unread::Refused(status, reason)) => (Err(Refusal(status, reason.to_owned())), true),
            Ok(request) => {
                let answer = shared.answer(&request).await;
                (answer, request.last)
            }
        };
        if stream.write_all(&bytes(answer, last)).await.is_err() || last {
            return;
        }
    }
}

/// JSON says the header, whatever the body is: so does the real one.
fn bytes(answer: Answered, last: bool) -> Vec<u8> {
    let (status, body) = match answer {
        Ok(data) => (200, json!({ "data": data }).to_string()),
        Err(Refusal(status, message)) => (status, message),
    };
    let reason = hyper::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let close = if last { "connection: close\r\n" } else { "" };
    let length = body.len();
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    format!(
        "HTTP/1.1 {status} {}\r\ncontent-type: application/json;charset=UTF-8\r\ncontent-length: {length}\r\n{close}date: {date}\r\n\r\n{body}",
        reason.unwrap_or_default()
    )
    .into_bytes()
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: &Request) -> Answered {
        let answer = self.answer_now(request);
        match &answer {
            Err(Refusal(401, _)) => tokio::time::sleep(self.delays.0).await,
            Err(Refusal(403, _)) => tokio::time::sleep(self.delays.1).await,
            _ => {}
        }
        answer
    }

    fn answer_now(&self, request: &Request) -> Answered {
        let Some(path) = request.path.strip_prefix("/api2/json") else {
            return Err(Refusal(404, format!("Path '{}' not found.", request.path)));
        };
        let who = self.who(request)?;
        let not_found = || Refusal(404, format!("Path '{}' not found.", request.path));
        let method = Method::from_name(&request.method).ok_or_else(not_found)?;
        let encoded: Vec<String> =
            path.split('/').map(|segment| crate::http::encoded(segment).to_string()).collect();
        let found = match self.catalog.endpoint(method, &encoded.join("/")) {
            Ok(found) => found,
            Err(PathError::Malformed(_) | PathError::Unknown { .. } | PathError::Method { .. }) => {
                return Err(not_found());
            }
        };
        let given = request.parameters().map_err(|why| Refusal(400, why))?;
        let mut wrong = Vec::new();
        for name in given.keys().filter(|name| found.endpoint.parameter(name).is_none()) {
            wrong.push((name.clone(), "schema does not allow additional properties"));
        }
        let mut args = found.args();
        args.extend(given);
        for parameter in found.endpoint.parameters.iter().filter(|one| !one.optional) {
            if !args.contains_key(&parameter.name) {
                wrong.push((parameter.name.clone(), "parameter is missing and it is not optional."));
            }
        }
        match wrong.as_slice() {
            [] => {}
            [(name, why)] => return no(format!("parameter verification failed - '{name}': {why}")),
            many => {
                let lines: Vec<String> =
                    many.iter().map(|(name, why)| format!("parameter '{name}': {why}")).collect();
                return no(format!("parameter verification errors\n\n{}\n", lines.join("\n")));
            }
        }
        let template = found.endpoint.path.as_str();
        let call = Call { method, template, args, who };
        let mut server = self.lock();
        match method {
            Method::Get => server.read(&call),
            _ => server.change(&call),
        }
    }

    /// `PBSAPIToken=ID:SECRET`, or with a blank in place of the `=`.
    fn who(&self, request: &Request) -> Result<String, Refusal> {
        let failed = |why: &str| Refusal(401, format!("authentication failed - {why}"));
        let header = request.header("authorization").unwrap_or_default();
        let Some(token) = header.strip_prefix("PBSAPIToken").and_then(|rest| rest.get(1..)) else {
            return Err(failed("no authentication credentials provided."));
        };
        let (id, secret) = token.split_once(':').ok_or_else(|| failed("failed to split API token."))?;
        let server = self.lock();
        match server.secret(id) {
            Some(known) if known == secret && server.is_active(id) => Ok(id.to_owned()),
            _ => Err(failed("invalid credentials")),
        }
    }
}
