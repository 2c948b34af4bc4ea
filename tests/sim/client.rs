//! A client that sees what is on the wire: no library between the test and the daemons' habits.

use std::collections::BTreeMap;
use std::sync::Arc;

use provost::sim::estate::Estate;
use provost::sim::{Options, Sim};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub struct Answer {
    pub status: u16,
    pub reason: String,
    /// In order; a name may come twice.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The length that was promised was not sent.
    pub short: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{} {}: {error}: {}", self.status, self.reason, String::from_utf8_lossy(&self.body))
        })
    }

    pub fn data(&self) -> Value {
        assert_eq!(self.status, 200, "{} {}", self.reason, String::from_utf8_lossy(&self.body));
        self.json()["data"].clone()
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// One connection.
pub struct Connection {
    stream: Box<dyn Stream>,
    unread: Vec<u8>,
}

impl Connection {
    pub async fn daemon(sim: &Sim) -> Self {
        let stream = TcpStream::connect(sim.daemon_url.trim_start_matches("http://")).await.unwrap();
        Self { stream: Box::new(stream), unread: Vec::new() }
    }

    /// To pveproxy, with its certificate pinned.
    pub async fn proxy(sim: &Sim) -> Self {
        Self::try_proxy(sim, &std::fs::read(&sim.certificate).unwrap()).await.unwrap()
    }

    pub async fn try_proxy(sim: &Sim, pem: &[u8]) -> std::io::Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tcp = TcpStream::connect(sim.url.trim_start_matches("https://")).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        Ok(Self { stream: Box::new(stream), unread: Vec::new() })
    }

    pub async fn send(&mut self, request: &str) {
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next answer; `None` when the connection has ended.
    pub async fn receive(&mut self) -> Option<Answer> {
        let head = loop {
            if let Some(end) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break self.unread.drain(..end + 4).collect::<Vec<u8>>();
            }
            if !self.more().await {
                return None;
            }
        };
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap();
        let mut parts = status.splitn(3, ' ');
        assert_eq!(parts.next(), Some("HTTP/1.1"));
        let (status, reason) =
            (parts.next().unwrap().parse().unwrap(), parts.next().unwrap_or("").to_owned());
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "Content-Length");
        let mut short = false;
        let body = match length {
            Some((_, length)) => {
                let length: usize = length.parse().unwrap();
                while self.unread.len() < length && !short {
                    short = !self.more().await;
                }
                let rest = self.unread.split_off(length.min(self.unread.len()));
                std::mem::replace(&mut self.unread, rest)
            }
            None => {
                while self.more().await {}
                std::mem::take(&mut self.unread)
            }
        };
        Some(Answer { status, reason, headers, body, short })
    }

    async fn more(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.unread).await, Ok(length) if length > 0)
    }
}

/// A cluster in a folder of its own, and who asks it.
pub struct Lab {
    pub sim: Sim,
    pub token: String,
    _dir: tempfile::TempDir,
}

impl Lab {
    pub async fn new(estate: Estate) -> Self {
        Self::with(estate, None).await
    }

    pub async fn with(estate: Estate, speed: Option<f64>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { speed, ..Options::new(dir.path(), estate) };
        let sim = Sim::start(options).await.unwrap();
        let token = std::fs::read_to_string(&sim.token).unwrap().trim().to_owned();
        Self { sim, token, _dir: dir }
    }

    pub fn request(&self, method: &str, path: &str, form: &str) -> String {
        let mut head = format!(
            "{method} /api2/json{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: PVEAPIToken={}\r\n",
            self.token
        );
        if !form.is_empty() {
            let kind = "application/x-www-form-urlencoded";
            head += &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", form.len());
        }
        format!("{head}\r\n{form}")
    }

    /// By pvedaemon.
    pub async fn call(&self, method: &str, path: &str, form: &str) -> Answer {
        let mut connection = Connection::daemon(&self.sim).await;
        connection.send(&self.request(method, path, form)).await;
        connection.receive().await.expect("an answer")
    }

    pub async fn get(&self, path: &str) -> Value {
        self.call("GET", path, "").await.data()
    }

    /// By pveproxy.
    pub async fn by_proxy(&self, method: &str, path: &str, form: &str) -> Answer {
        let mut connection = Connection::proxy(&self.sim).await;
        connection.send(&self.request(method, path, form)).await;
        connection.receive().await.expect("an answer")
    }

    /// Starts a worker and gives its end: `OK` or the error.
    pub async fn task(&self, method: &str, path: &str, form: &str) -> String {
        let upid = self.call(method, path, form).await.data();
        let upid = upid.as_str().expect("a UPID").to_owned();
        let node = upid.split(':').nth(1).unwrap();
        let path = format!("/nodes/{node}/tasks/{}/status", upid.replace(':', "%3A").replace('!', "%21"));
        let status = self.by_proxy("GET", &path, "").await.data();
        assert_eq!(status["status"], "stopped", "{upid}");
        status["exitstatus"].as_str().unwrap().to_owned()
    }

    /// The rows of a list by one of their keys.
    pub async fn by(&self, path: &str, key: &str) -> BTreeMap<String, Value> {
        let rows = self.get(path).await;
        let key_of = |row: &Value| row[key].as_str().map_or_else(|| row[key].to_string(), str::to_owned);
        rows.as_array().unwrap().iter().map(|row| (key_of(row), row.clone())).collect()
    }
}
