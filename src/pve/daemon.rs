//! One of the two daemons: a turn, a connection, one request, one answer. Whether to ask again is not decided here.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use tokio::time::{Instant, timeout_at};

use super::address::Address;
use super::call::{Call, Path, Read};
use super::circuit::{Circuit, Open};
use super::client::Limits;
use super::connection::{Broken, Connection, Raw, Unconnected};
use super::pool::Pool;
use super::sink::{Room, Sink, Text};
use super::tls::PinFile;
use crate::account::Account;
use crate::http::Method;
use crate::share::Supply;
use crate::turns::{self, Turn, Turns};

/// A call with less time than this left is not begun: it would only leave behind a change that nobody knows of.
const LEAST: Duration = Duration::from_millis(10);

/// Why a call has no answer from this daemon.
#[derive(Debug)]
pub enum Unanswered {
    /// The circuit is open; nothing was sent.
    Open(Open),
    /// Nothing was sent: this many calls wait before it.
    Busy { waiting: usize },
    /// A read that was given up: for so long nothing came, and neither did the answer to a question that costs nothing.
    Wedged { after: Duration },
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

/// Who asks.
pub struct Asker<'a> {
    pub token: &'a HeaderValue,
    pub room: &'a Room,
}

impl Asker<'_> {
    fn account(&self) -> Account {
        self.room.account()
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
    turns: Arc<Turns>,
    waiting: Arc<Supply>,
    limits: Limits,
    /// A wait without an answer from which on it is asked whether it is there at all.
    hang: Duration,
    /// One at a time asks that.
    doubt: tokio::sync::Mutex<()>,
    answered: Mutex<Option<Instant>>,
    /// Not asked before this: nobody listened there.
    away_until: Mutex<Option<Instant>>,
}

impl Daemon {
    pub fn new(
        name: &'static str,
        address: Address,
        pin: Arc<PinFile>,
        limits: Limits,
        hang: Duration,
    ) -> Self {
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
            turns: Arc::default(),
            waiting: Supply::halves(limits.queue),
            limits,
            hang,
            doubt: tokio::sync::Mutex::new(()),
            answered: Mutex::new(None),
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

    /// Since when it does not answer, and when it is tried again; None where calls go to it.
    pub fn aside(&self) -> Option<Open> {
        if let Err(open) = self.circuit.check() {
            return Some(open);
        }
        let away = *self.away_until.lock().unwrap_or_else(PoisonError::into_inner);
        let next = away?.checked_duration_since(Instant::now())?;
        Some(Open { silent: self.limits.away.saturating_sub(next), next })
    }

    /// Asks. What failed on a kept connection is asked again on a new one, as long as asking twice cannot do a thing twice.
    pub async fn ask(
        &self,
        call: &Call,
        from: &Asker<'_>,
        until: Instant,
        sink: &mut dyn Sink,
    ) -> Result<Raw, Unanswered> {
        self.circuit.check().map_err(Unanswered::Open)?;
        let _turn = self.turn(from.account(), until).await?;
        // While it waited, others may have found out.
        let entry = self.circuit.enter().map_err(Unanswered::Open)?;
        let began = Instant::now();
        let mut is_wedged = false;
        let asked = {
            // On the heap from here on: a call that waits for its turn, of which there may be thousands, holds no room for it.
            let mut exchange = Box::pin(self.exchange(call, from.token, until, sink));
            tokio::select! {
                biased;
                asked = &mut exchange => asked,
                () = self.wedged(call, from, entry.is_probe()) => {
                    is_wedged = true;
                    match call.repeats {
                        true => Err(Unanswered::Wedged { after: began.elapsed() }),
                        // It may have been sent: only its answer or its deadline ends it.
                        false => exchange.await,
                    }
                }
            }
        };
        match &asked {
            Ok(_) => {
                *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                entry.answered();
            }
            Err(unanswered) if is_wedged || self.is_failure(call, unanswered, began) => {
                if entry.failed() {
                    self.warn();
                }
            }
            Err(_) => {}
        }
        asked
    }

    fn warn(&self) {
        let (daemon, at) = (self.name, self.address.authority());
        tracing::warn!(daemon, at, "does not answer; it is left alone for a while");
    }

    /// Ends when the daemon turns out to answer nobody. That one call has no answer for long says little, as there are calls
    /// that are slow by nature (a guest's agent, a list of updates): so it is asked for what costs nothing. A call that tries
    /// whether the daemon is back, a `probe`, asks that too: it is itself why the circuit lets nobody else through.
    async fn wedged(&self, call: &Call, from: &Asker<'_>, probe: bool) {
        if is_cheap(call) {
            // It is the question itself, and has as long as another call and its question have together.
            let began = Instant::now();
            tokio::time::sleep(self.hang * 2).await;
            return self.open(began);
        }
        loop {
            let began = Instant::now();
            tokio::time::sleep(self.hang).await;
            let _one = self.doubt.lock().await;
            if !probe && self.circuit.check().is_err() {
                return;
            }
            let answered = *self.answered.lock().unwrap_or_else(PoisonError::into_inner);
            if answered.is_some_and(|answered| answered >= began) {
                continue;
            }
            let Ok(path) = Path::of(["version"]) else { return std::future::pending().await };
            let (read, mut text) = (Read::new(path), Text::new(from.room));
            let asked =
                Box::pin(self.exchange(&read.0, from.token, Instant::now() + self.hang, &mut text)).await;
            match asked {
                // Too much in use here to hear the answer is no silence of the daemon's.
                Ok(_) | Err(Unanswered::Lost { why: Broken::Overfull(_), .. }) => {
                    *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                }
                Err(_) => return self.open(began),
            }
        }
    }

    fn open(&self, since: Instant) {
        if self.circuit.open(since) {
            self.warn();
        }
    }

    async fn exchange(
        &self,
        call: &Call,
        token: &HeaderValue,
        until: Instant,
        sink: &mut dyn Sink,
    ) -> Result<Raw, Unanswered> {
        let repeats = call.repeats;
        let mut kept = self.pool.take(!repeats);
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
                Err(lost) if was_kept && matches!(lost.why, Broken::Http(_)) && (repeats || !lost.left) => {
                    tracing::debug!(daemon = self.name, "a kept connection was closed; on a new one");
                }
                Err(lost) => {
                    return Err(Unanswered::Lost { why: lost.why, left: lost.left, after: began.elapsed() });
                }
            }
        }
    }

    async fn connect(&self, until: Instant) -> Result<Connection, Unconnected> {
        let until = until.min(Instant::now() + self.limits.connect);
        // A handshake takes kilobytes, and most calls make none.
        Box::pin(Connection::open(&self.address, &self.pin, until)).await
    }

    /// One of the calls that this daemon is asked at once: accounts take turns, and none has all of them.
    async fn turn(&self, account: Account, until: Instant) -> Result<Turn, Unanswered> {
        let began = Instant::now();
        if let Some(start) = until.checked_sub(LEAST).filter(|start| *start > began) {
            let parallel = self.limits.parallel;
            let limits = turns::Limits { most: parallel, each: (parallel - parallel / 4).max(1) };
            let mut turn = std::pin::pin!(self.turns.take(account, limits));
            let at_once = poll_fn(|context| Poll::Ready(turn.as_mut().poll(context))).await;
            if let Poll::Ready(turn) = at_once {
                return Ok(turn);
            }
            let waiting = self.waiting.take(account, 1);
            let _place = waiting.map_err(|_| Unanswered::Busy { waiting: self.waiting.used_by(account) })?;
            if let Ok(turn) = timeout_at(start, turn).await
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
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(call.content_type()));
        }
        request
    }

    /// Whether it speaks against the daemon. A caller's short deadline does not, nor does our own pin, nor that a call is
    /// slow which may be so by nature; nor an answer that cannot be read or broke off, as one call may always have: whoever
    /// begins to answer is there.
    fn is_failure(&self, call: &Call, unanswered: &Unanswered, began: Instant) -> bool {
        match unanswered {
            Unanswered::Unconnected(Unconnected::Certificate(_)) => false,
            Unanswered::Unconnected(Unconnected::TimedOut(after)) => *after >= self.limits.connect,
            Unanswered::Unconnected(Unconnected::Io(_)) => true,
            Unanswered::Lost { why: Broken::TimedOut, .. } => is_cheap(call) && began.elapsed() >= self.hang,
            Unanswered::Lost { why: Broken::Http(_), .. } => true,
            Unanswered::Wedged { .. } => true,
            _ => false,
        }
    }
}

/// Whether a daemon that is well answers it at once, from what it has.
pub(super) fn is_cheap(call: &Call) -> bool {
    call.method == Method::Get && call.path.as_str() == "/version"
}
