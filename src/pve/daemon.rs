//! One of the two daemons: a turn, a connection, one request, one answer. Whether to ask again is not decided here.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::address::Address;
use super::call::{Call, Method};
use super::circuit::{Circuit, Open};
use super::client::Limits;
use super::connection::{Broken, Connection, Raw, Unconnected};
use super::pool::Pool;
use super::sink::Sink;
use super::tls::PinFile;

/// A call with less time than this left is not begun: it would only leave behind a change that nobody knows of.
const LEAST: Duration = Duration::from_millis(10);

/// Why a call has no answer from this daemon.
#[derive(Debug)]
pub enum Unanswered {
    /// The circuit is open; nothing was sent.
    Open(Open),
    /// Nothing was sent: this many calls wait before it.
    Busy { waiting: usize },
    /// Nothing was sent: its turn did not come in time.
    NoTurn { after: Duration },
    /// Nothing was sent.
    Unconnected(Unconnected),
    /// On a connection that was there; `left`: the daemon may have it.
    Lost { why: Broken, left: bool, after: Duration },
}

impl Unanswered {
    /// Whether the daemon may have got any of it.
    pub fn left(&self) -> bool {
        matches!(self, Self::Lost { left: true, .. })
    }
}

pub struct Daemon {
    /// `pveproxy` or `pvedaemon`.
    pub name: &'static str,
    pub address: Address,
    host: HeaderValue,
    pin: Arc<PinFile>,
    pool: Arc<Pool>,
    circuit: Arc<Circuit>,
    turns: Semaphore,
    waiting: AtomicUsize,
    limits: Limits,
    /// Not asked before this: nobody listened there.
    away_until: Mutex<Option<Instant>>,
}

impl Daemon {
    pub fn new(name: &'static str, address: Address, pin: Arc<PinFile>, limits: Limits) -> Self {
        // An authority that parsed as a URL's is a header value.
        let host =
            HeaderValue::from_str(address.authority()).unwrap_or(HeaderValue::from_static("localhost"));
        Self {
            name,
            address,
            host,
            pin,
            pool: Pool::new(limits.keep),
            circuit: Circuit::new(limits.patience),
            turns: Semaphore::new(limits.parallel),
            waiting: AtomicUsize::new(0),
            limits,
            away_until: Mutex::new(None),
        }
    }

    /// Whether it is worth asking: somebody listened when last tried, and the circuit is closed.
    pub fn is_here(&self) -> bool {
        let away = *self.away_until.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        away.is_none_or(|until| until <= Instant::now()) && self.circuit.check().is_ok()
    }

    /// Remembers for a while that nobody listens.
    pub fn is_away(&self) {
        let until = Instant::now() + self.limits.away;
        *self.away_until.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(until);
    }

    /// Asks. What failed on a kept connection is asked again on a new one, as long as asking twice cannot do a thing twice.
    pub async fn ask(
        &self,
        call: &Call,
        token: &HeaderValue,
        until: Instant,
        sink: &mut dyn Sink,
    ) -> Result<Raw, Unanswered> {
        self.circuit.check().map_err(Unanswered::Open)?;
        let _turn = self.turn(until).await?;
        // While it waited, others may have found out.
        let entry = self.circuit.enter().map_err(Unanswered::Open)?;
        let began = Instant::now();
        let asked = self.exchange(call, token, until, sink).await;
        match &asked {
            Ok(_) => entry.answered(),
            Err(unanswered) if self.is_failure(unanswered, began) => {
                if entry.failed() {
                    tracing::warn!(
                        daemon = self.name,
                        at = self.address.authority(),
                        "does not answer; calls are refused until it does"
                    );
                }
            }
            Err(_) => {}
        }
        asked
    }

    async fn exchange(
        &self,
        call: &Call,
        token: &HeaderValue,
        until: Instant,
        sink: &mut dyn Sink,
    ) -> Result<Raw, Unanswered> {
        let read = call.method == Method::Get;
        let mut kept = self.pool.take(!read);
        loop {
            let was_kept = kept.is_some();
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => self.connect(until).await.map_err(Unanswered::Unconnected)?,
            };
            let began = Instant::now();
            match connection.exchange(self.request(call, token), sink, until).await {
                Ok(raw) => {
                    self.pool.put(connection);
                    return Ok(raw);
                }
                // The server was free to close it: that says nothing about the call. The next one is new.
                Err(lost) if was_kept && matches!(lost.why, Broken::Http(_)) && (read || !lost.left) => {
                    tracing::debug!(daemon = self.name, "a kept connection was closed; on a new one");
                }
                Err(lost) => {
                    return Err(Unanswered::Lost { why: lost.why, left: lost.left, after: began.elapsed() });
                }
            }
        }
    }

    async fn connect(&self, until: Instant) -> Result<Connection, Unconnected> {
        Connection::open(&self.address, &self.pin, until.min(Instant::now() + self.limits.connect)).await
    }

    /// One of the calls that this daemon is asked at once.
    async fn turn(&self, until: Instant) -> Result<SemaphorePermit<'_>, Unanswered> {
        let began = Instant::now();
        if let Some(start) = until.checked_sub(LEAST).filter(|start| *start > began) {
            if let Ok(turn) = self.turns.try_acquire() {
                return Ok(turn);
            }
            let waiting = Waiting::join(&self.waiting);
            if waiting.before >= self.limits.queue {
                return Err(Unanswered::Busy { waiting: waiting.before });
            }
            if let Ok(Ok(turn)) = timeout_at(start, self.turns.acquire()).await
                && Instant::now() < start
            {
                return Ok(turn);
            }
        }
        Err(Unanswered::NoTurn { after: began.elapsed() })
    }

    #[cfg(test)]
    pub fn connections(&self) -> usize {
        self.pool.waiting()
    }

    fn request(&self, call: &Call, token: &HeaderValue) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(Bytes::from(call.body().unwrap_or_default().to_owned())));
        *request.method_mut() = match call.method {
            Method::Get => hyper::Method::GET,
            Method::Post => hyper::Method::POST,
            Method::Put => hyper::Method::PUT,
            Method::Delete => hyper::Method::DELETE,
        };
        *request.uri_mut() = call.uri();
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(AUTHORIZATION, token.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if call.body().is_some() {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert(CONTENT_TYPE, form);
        }
        request
    }

    /// Whether it speaks against the daemon. A caller's short deadline does not, nor does our own pin.
    fn is_failure(&self, unanswered: &Unanswered, began: Instant) -> bool {
        match unanswered {
            Unanswered::Unconnected(Unconnected::Certificate(_)) => false,
            Unanswered::Unconnected(Unconnected::TimedOut(after)) => *after >= self.limits.connect,
            Unanswered::Unconnected(Unconnected::Io(_)) => true,
            Unanswered::Lost { why: Broken::TimedOut, .. } => began.elapsed() >= self.limits.hang,
            Unanswered::Lost { why: Broken::Http(_) | Broken::CutShort(..), .. } => true,
            _ => false,
        }
    }
}

/// A place among those that wait for a turn, left when it is dropped.
struct Waiting<'a> {
    count: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waiting<'a> {
    fn join(count: &'a AtomicUsize) -> Self {
        Self { count, before: count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
