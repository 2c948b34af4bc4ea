//! One answer as PVE writes it.

use std::io::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use flate2::{Compression, write::GzEncoder};

/// What is shorter is not worth compressing.
const MIN_COMPRESSED: usize = 1024;

pub struct Response {
    pub status: u16,
    pub reason: String,
    /// `None`: a bare refusal, which has not even a length and ends with the connection.
    pub body: Option<Arc<Vec<u8>>>,
    pub kind: &'static str,
    /// It came by way of another daemon, so it carries both `Connection` headers.
    pub forwarded: bool,
    /// Cut after half of the body.
    pub cut: bool,
}

pub const JSON: &str = "application/json;charset=UTF-8";
pub const HTML: &str = "text/html; charset=utf-8";

impl Response {
    pub fn json(status: u16, reason: &str, body: Arc<Vec<u8>>) -> Self {
        Self { status, reason: reason.to_owned(), body: Some(body), kind: JSON, forwarded: false, cut: false }
    }

    pub fn bare(status: u16, reason: &str) -> Self {
        let reason = reason.to_owned();
        Self { status, reason, body: None, kind: JSON, forwarded: false, cut: false }
    }

    /// Whether the connection ends with it, as it does with every refusal.
    pub fn ends(&self) -> bool {
        self.status >= 400 || self.body.is_none()
    }

    /// The bytes for the wire. `close`: this is the connection's last.
    pub fn bytes(&self, gzip: bool, close: bool, without_body: bool) -> Vec<u8> {
        let date = httpdate::fmt_http_date(SystemTime::now());
        let mut out = Vec::with_capacity(512 + self.body.as_ref().map_or(0, |body| body.len()));
        // A reason is one line of what can stand in one.
        let reason: String = self.reason.chars().filter(|letter| !letter.is_control()).collect();
        let _ = write!(out, "HTTP/1.1 {} {reason}\r\nCache-Control: max-age=0\r\n", self.status);
        match (self.forwarded, close) {
            (true, _) => out.extend_from_slice(b"Connection: close\r\nConnection: Keep-Alive\r\n"),
            (false, true) => out.extend_from_slice(b"Connection: close\r\n"),
            (false, false) => out.extend_from_slice(b"Connection: Keep-Alive\r\n"),
        }
        let _ = write!(out, "Date: {date}\r\nPragma: no-cache\r\nServer: pve-api-daemon/3.0\r\n");
        if let Some(body) = &self.body {
            let packed = (gzip && body.len() > MIN_COMPRESSED).then(|| compressed(body));
            let sent: &[u8] = packed.as_deref().unwrap_or(body);
            if packed.is_some() {
                out.extend_from_slice(b"Content-Encoding: gzip\r\n");
            }
            let _ = write!(out, "Content-Length: {}\r\nContent-Type: {}\r\n", sent.len(), self.kind);
            let _ = write!(out, "Expires: {date}\r\n\r\n");
            let end = if self.cut { sent.len() / 2 } else { sent.len() };
            if !without_body {
                out.extend_from_slice(&sent[..end]);
            }
        } else {
            let _ = write!(out, "Expires: {date}\r\n\r\n");
        }
        out
    }
}

fn compressed(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Into memory: it cannot fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}
