//! One kept connection to a daemon: HTTP/1.1, one request at a time, and what became of each.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::ext::ReasonPhrase;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderMap};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};

use super::address::Address;
use super::head::Readable;
use super::sink::{Overfull, Sink};
use super::tls::{CertificateError, PinFile, TlsFailure};
use super::wire::{Stream, Wire};

/// Header bytes of an answer that are read at most; PVE's are near 300.
const MOST_HEADER: usize = 64 << 10;

/// Bytes of an answer that a connection holds before they are taken, at most: the largest header fits. Sixteen connections
/// that read long lists at once take little more than one megabyte, where they would take seven.
const MOST_UNREAD: usize = MOST_HEADER + (16 << 10);

/// Bytes of a refusal's body, or of a page in place of an answer, that are read.
const MOST_WORDS: usize = 256 << 10;

/// An answer before anybody looked into it.
pub struct Raw {
    pub status: u16,
    /// Of the status line; empty when it was the standard's own or no ASCII.
    pub reason: String,
    pub is_json: bool,
    /// The beginning of a body that no sink was given: what is no 2xx in JSON. UTF-8, with U+FFFD where it was not.
    pub words: String,
}

impl Raw {
    /// Whether its body went to the sink.
    pub fn is_answer(&self) -> bool {
        is_answer(self.status, self.is_json)
    }
}

fn is_answer(status: u16, is_json: bool) -> bool {
    is_json && (200..300).contains(&status)
}

/// Why there is no whole answer.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("{0}")]
    Http(String),
    /// It was there. A daemon that answers so is no dead one, whatever it says.
    #[error("it does not begin as HTTP does ({0})")]
    Malformed(String),
    #[error("it was not there in time")]
    TimedOut,
    #[error("{0}")]
    Overfull(Overfull),
    #[error("it ended after {0} bytes, before its end: {1}")]
    CutShort(usize, String),
}

/// A request without an answer.
pub struct Lost {
    pub why: Broken,
    /// A byte of the request may have left.
    pub left: bool,
}

/// Why there is no connection; nothing was sent.
#[derive(Debug)]
pub enum Unconnected {
    Io(std::io::Error),
    TimedOut(Duration),
    Certificate(CertificateError),
}

pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Moves the bytes; done when the connection is.
    driver: tokio::task::JoinHandle<()>,
    wire: Arc<Wire>,
    served: u32,
    /// Since when it waits for the next request.
    pub idle_since: Instant,
    closing: bool,
}

impl Connection {
    pub async fn open(address: &Address, pin: &Arc<PinFile>, until: Instant) -> Result<Self, Unconnected> {
        let began = Instant::now();
        timeout_at(until, Self::connect(address, pin))
            .await
            .unwrap_or_else(|_| Err(Unconnected::TimedOut(began.elapsed())))
    }

    async fn connect(address: &Address, pin: &Arc<PinFile>) -> Result<Self, Unconnected> {
        let dial = async || Ok(Stream(Wire::new(address.connect().await?)));
        let Some(name) = address.tls() else {
            let stream = dial().await.map_err(Unconnected::Io)?;
            let wire = stream.0.clone();
            return Self::speak(wire, stream).await;
        };
        let stream =
            pin.handshake(name, address.authority(), dial).await.map_err(|failure| match failure {
                TlsFailure::Certificate(error) => Unconnected::Certificate(error),
                TlsFailure::Transport(error) => Unconnected::Io(error),
            })?;
        let wire = stream.get_ref().0.0.clone();
        Self::speak(wire, stream).await
    }

    async fn speak<S>(wire: Arc<Wire>, stream: S) -> Result<Self, Unconnected>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) = http1::Builder::new()
            .max_header_size(MOST_HEADER)
            .max_buf_size(MOST_UNREAD)
            .handshake(TokioIo::new(Readable::new(stream)))
            .await
            .map_err(|error| Unconnected::Io(std::io::Error::other(error)))?;
        // Ends when the sender is dropped or the server closes; what went wrong, the request under way is told.
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self { sender, driver, wire, served: 0, idle_since: Instant::now(), closing: false })
    }

    pub fn served(&self) -> u32 {
        self.served
    }

    /// Whether another request may be sent on it, as far as it is known here.
    pub fn is_open(&self) -> bool {
        !self.closing && !self.sender.is_closed()
    }

    /// One request and its whole answer. After an error the connection is no more: nothing leaves on it after that.
    pub async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        sink: &mut dyn Sink,
        until: Instant,
    ) -> Result<Raw, Lost> {
        self.wire.begin(self.served > 0);
        self.served += 1;
        let answered = match timeout_at(until, self.ask(request, sink)).await {
            Ok(answered) => answered,
            Err(_) => Err(Broken::TimedOut),
        };
        self.idle_since = Instant::now();
        answered.map_err(|why| {
            self.closing = true;
            Lost { why, left: self.wire.seal() }
        })
    }

    async fn ask(&mut self, request: Request<Full<Bytes>>, sink: &mut dyn Sink) -> Result<Raw, Broken> {
        let http = |error: hyper::Error| match error.is_parse() {
            true => Broken::Malformed(chain(&error)),
            false => Broken::Http(chain(&error)),
        };
        self.sender.ready().await.map_err(http)?;
        let mut response = std::pin::pin!(self.sender.send_request(request));
        // Handed over in the very moment in which the connection ends, a request may be told so by nobody, as long as the
        // sender is held. With the driver done, what is not here will not come.
        let response = tokio::select! {
            biased;
            response = &mut response => response,
            _ = &mut self.driver => tokio::select! {
                biased;
                response = &mut response => response,
                () = std::future::ready(()) => return Err(Broken::Http("it ended without an answer".to_owned())),
            },
        }
        .map_err(http)?;
        // A protected method by way of pveproxy says both `close` and `Keep-Alive`, and closes.
        self.closing |= says_close(response.headers());
        let status = response.status().as_u16();
        // It waited for a request that it had not seen: what is answered next is that one.
        self.closing |= status == 408;
        let reason = reason(&response);
        let is_json = is_json(response.headers());
        let words = match is_answer(status, is_json) {
            true => pour(response.into_body(), sink).await.map(|()| String::new())?,
            false => self.words(response.into_body()).await?,
        };
        Ok(Raw { status, reason, is_json, words })
    }
}

impl Connection {
    /// The beginning of what is no answer; with more than that, the connection is not used again.
    async fn words(&mut self, mut body: Incoming) -> Result<String, Broken> {
        let mut words = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Broken::CutShort(words.len(), chain(&error)))?;
            let Ok(piece) = frame.into_data() else { continue };
            words.extend_from_slice(&piece[..piece.len().min(MOST_WORDS - words.len())]);
            if words.len() == MOST_WORDS {
                self.closing = true;
                break;
            }
        }
        Ok(String::from_utf8_lossy(&words).into_owned())
    }
}

fn says_close(headers: &HeaderMap) -> bool {
    headers.get_all(CONNECTION).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"close"))
    })
}

fn reason(response: &Response<Incoming>) -> String {
    match response.extensions().get::<ReasonPhrase>() {
        Some(phrase) => crate::text::clean(phrase.as_bytes()).trim().to_owned(),
        None => response.status().canonical_reason().unwrap_or_default().to_owned(),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        kind.trim_ascii().eq_ignore_ascii_case(b"application/json")
    })
}

/// The body, each piece as it comes. A piece is dropped before the next one is asked for, so that hyper reads into the
/// same memory again.
async fn pour(mut body: Incoming, sink: &mut dyn Sink) -> Result<(), Broken> {
    sink.begin(usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX)).map_err(Broken::Overfull)?;
    let mut came = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Broken::CutShort(came, chain(&error)))?;
        let Ok(piece) = frame.into_data() else { continue };
        came += piece.len();
        sink.take(&piece).map_err(Broken::Overfull)?;
    }
    Ok(())
}

/// An error with what caused it: hyper's own words alone say little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
