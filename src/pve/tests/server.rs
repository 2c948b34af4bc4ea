//! A server that sends byte for byte what a test says, on TCP or TLS, and remembers what it was sent.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, ServerConfig};

/// A certificate and its key.
#[derive(Clone)]
pub struct Identity {
    pub pem: String,
    config: Arc<ServerConfig>,
}

impl Identity {
    pub fn new() -> Self {
        Self::speaking(rustls::ALL_VERSIONS)
    }

    pub fn speaking(versions: &[&'static rustls::SupportedProtocolVersion]) -> Self {
        let made = rcgen::generate_simple_self_signed(["pve1".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        Self::serving(made.cert.pem(), made.cert.der().clone(), key.into(), versions)
    }

    /// This certificate, with a key that is not its own.
    pub fn with_stolen_certificate(&self) -> Self {
        use rustls::pki_types::pem::PemObject;
        let leaf = rustls::pki_types::CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
        Self::serving(self.pem.clone(), leaf, key.into(), rustls::ALL_VERSIONS)
    }

    fn serving(
        pem: String,
        leaf: rustls::pki_types::CertificateDer<'static>,
        key: rustls::pki_types::PrivateKeyDer<'static>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = provider.key_provider.load_private_key(key).unwrap();
        // Not checked against each other: one of the tests is about that.
        let certified = rustls::sign::CertifiedKey::new(vec![leaf], key);
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
        Self { pem, config: Arc::new(config) }
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// From 0, of all that were accepted.
    pub connection: usize,
    /// From 0, on this connection.
    pub nth: usize,
    pub head: String,
    pub body: String,
}

impl Seen {
    /// `GET /api2/json/version`.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default().strip_suffix(" HTTP/1.1").unwrap_or_default()
    }
}

/// What the server does about a request.
pub enum Act {
    /// Sends, and waits for the next request.
    Send(Vec<u8>),
    /// Sends, and closes.
    Last(Vec<u8>),
    /// Sends piece by piece with this pause, and closes.
    Drip(Vec<u8>, usize, Duration),
    /// Sends after this time, and closes.
    Late(Vec<u8>, Duration),
    /// Never answers.
    Hang,
    /// Closes, so that what it did not read makes it a reset.
    Reset,
}

/// `200` with a JSON body.
pub fn ok(data: &str) -> Act {
    Act::Send(answer("200 OK", &format!("{{\"data\":{data}}}")))
}

pub fn answer(status: &str, body: &str) -> Vec<u8> {
    with_headers(status, "Content-Type: application/json;charset=UTF-8\r\n", body)
}

pub fn with_headers(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nServer: pve-api-daemon/3.0\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[derive(Default)]
pub struct Log {
    pub accepted: AtomicUsize,
    pub open: AtomicUsize,
    pub seen: Mutex<Vec<Seen>>,
    /// All bytes that came, before TLS was taken off.
    pub raw: Mutex<Vec<u8>>,
}

impl Log {
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn lines(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|seen| seen.line().to_owned()).collect()
    }
}

/// Ends with its last handle.
pub struct Server {
    pub port: u16,
    tls: bool,
    pub log: Arc<Log>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub type Script = dyn Fn(&Seen) -> Act + Send + Sync;

struct Habits {
    script: Box<Script>,
    /// Closes a connection that is idle so long.
    idle: Duration,
    tls: Option<Arc<Mutex<Identity>>>,
    log: Arc<Log>,
}

impl Server {
    pub async fn plain(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        Self::start(None, Duration::from_secs(5), script).await
    }

    pub async fn tls(identity: &Identity, script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        let identity = Arc::new(Mutex::new(identity.clone()));
        Self::start(Some(identity), Duration::from_secs(5), script).await
    }

    pub async fn start(
        tls: Option<Arc<Mutex<Identity>>>,
        idle: Duration,
        script: impl Fn(&Seen) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let log = Arc::new(Log::default());
        let is_tls = tls.is_some();
        let habits = Arc::new(Habits { script: Box::new(script), idle, tls, log: log.clone() });
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let number = habits.log.accepted.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(habits.clone(), number, stream));
            }
        });
        Self { port, tls: is_tls, log, task }
    }

    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", if self.tls { "https" } else { "http" }, self.port)
    }
}

async fn serve(habits: Arc<Habits>, number: usize, stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    habits.log.open.fetch_add(1, Ordering::SeqCst);
    match &habits.tls {
        None => converse(&habits, number, stream).await,
        Some(identity) => {
            let config = identity.lock().unwrap().config.clone();
            if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                converse(&habits, number, stream).await;
            }
        }
    }
    habits.log.open.fetch_sub(1, Ordering::SeqCst);
}

async fn converse(habits: &Habits, connection: usize, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    for nth in 0.. {
        let Ok(Some((head, body))) =
            tokio::time::timeout(habits.idle, request(&mut stream, &habits.log)).await
        else {
            // As a real server: what may be on its way is not read any more.
            let _ = stream.shutdown().await;
            return;
        };
        let seen = Seen { connection, nth, head, body };
        habits.log.seen.lock().unwrap().push(seen.clone());
        match (habits.script)(&seen) {
            Act::Send(bytes) => {
                if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
            Act::Last(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Act::Drip(bytes, size, pause) => {
                for piece in bytes.chunks(size) {
                    if stream.write_all(piece).await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                    tokio::time::sleep(pause).await;
                }
                let _ = stream.shutdown().await;
                return;
            }
            Act::Late(bytes, pause) => {
                tokio::time::sleep(pause).await;
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Act::Hang => {
                // Until the client has gone.
                let mut byte = [0];
                while stream.read(&mut byte).await.is_ok_and(|read| read > 0) {}
                return;
            }
            Act::Reset => return,
        }
    }
}

/// One request's head and body; None at the end of the connection.
async fn request(stream: &mut (impl AsyncRead + Unpin), log: &Log) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.ok().filter(|read| *read > 0)?;
        log.raw.lock().unwrap().extend_from_slice(&piece[..read]);
        bytes.extend_from_slice(&piece[..read]);
    };
    let mut body = bytes.split_off(head);
    let head = String::from_utf8(bytes).unwrap();
    let length = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().to_owned())
        })
        .map_or(0, |length| length.parse().unwrap());
    while body.len() < length {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.ok().filter(|read| *read > 0)?;
        log.raw.lock().unwrap().extend_from_slice(&piece[..read]);
        body.extend_from_slice(&piece[..read]);
    }
    Some((head, String::from_utf8(body).unwrap()))
}
