//! The same GET without Provost: one kept connection to pvedaemon's port, or over TLS to pveproxy's, a prepared request, the
//! answer's bytes into a buffer that stays. Nothing is parsed but the length.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::site::{Cluster, Door};

/// The server closes what has waited for five seconds.
const IDLE: Duration = Duration::from_secs(3);

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

pub struct Bare {
    address: String,
    token: String,
    /// Of pveproxy's, which speaks TLS.
    tls: Option<Arc<ClientConfig>>,
    stream: Box<dyn Stream>,
    used: Instant,
    buffer: Vec<u8>,
}

impl Bare {
    pub fn connect(cluster: &Cluster) -> io::Result<Self> {
        Self::by(Door::Daemon, cluster)
    }

    pub fn by(door: Door, cluster: &Cluster) -> io::Result<Self> {
        let (url, tls) = match door {
            Door::Daemon => (&cluster.daemon, None),
            Door::Proxy => (&cluster.url, Some(Arc::new(trusting(&cluster.certificate())?))),
        };
        let address = url.split_once("://").map_or(url.as_str(), |(_, address)| address).to_owned();
        let (stream, used) = (dial(&address, tls.as_ref())?, Instant::now());
        Ok(Self { stream, used, tls, address, token: cluster.token()?, buffer: vec![0; 64 << 10] })
    }

    /// A whole request; its answer goes through [`Bare::ask`].
    pub fn request(&self, path: &str) -> String {
        format!(
            "GET /api2/json{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: PVEAPIToken={}\r\n\r\n",
            self.address, self.token
        )
    }

    /// Bytes of the body, which was read to its end.
    pub fn ask(&mut self, request: &str) -> io::Result<usize> {
        self.answer(request).map(|body| body.len())
    }

    /// The body.
    pub fn body(&mut self, request: &str) -> io::Result<Vec<u8>> {
        let body = self.answer(request)?;
        Ok(self.buffer[body].to_vec())
    }

    fn answer(&mut self, request: &str) -> io::Result<Range<usize>> {
        self.stream.write_all(request.as_bytes())?;
        let mut filled = 0;
        let (head, length) = loop {
            filled += self.read(filled)?;
            if let Some(head) = self.buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") {
                break (head + 4, length(&self.buffer[..head])?);
            }
        };
        if self.buffer.len() < head + length {
            self.buffer.resize(head + length, 0);
        }
        while filled < head + length {
            filled += self.read(filled)?;
        }
        Ok(head..head + length)
    }

    /// A new connection, if that was the last answer on this one or it has waited for too long: not what is to be measured.
    pub fn renew(&mut self) -> io::Result<()> {
        let ended = self.buffer.windows(17).take(512).any(|window| window == b"Connection: close");
        if ended || self.used.elapsed() > IDLE {
            self.stream = dial(&self.address, self.tls.as_ref())?;
        }
        self.used = Instant::now();
        Ok(())
    }

    fn read(&mut self, from: usize) -> io::Result<usize> {
        match self.stream.read(&mut self.buffer[from..])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        }
    }
}

fn dial(address: &str, tls: Option<&Arc<ClientConfig>>) -> io::Result<Box<dyn Stream>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    let name = ServerName::from(stream.peer_addr()?.ip());
    let mut session = ClientConnection::new(tls.clone(), name).map_err(io::Error::other)?;
    session.complete_io(&mut stream)?;
    Ok(Box::new(StreamOwned::new(session, stream)))
}

/// A client that trusts the node's certificate, which nobody else has signed.
fn trusting(certificate: &std::path::Path) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(certificate).map_err(io::Error::other)? {
        roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

/// What the header says of the body, of a 200.
fn length(head: &[u8]) -> io::Result<usize> {
    let head = std::str::from_utf8(head).map_err(io::Error::other)?;
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
    length.filter(|_| head.starts_with("HTTP/1.1 200")).ok_or_else(|| io::Error::other(head.to_owned()))
}
