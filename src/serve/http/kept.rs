//! What is said to a call of a session's, kept a while for a client that was cut off: an answer that nobody heard is not lost.
//!
//! The SDK's own sessions forget a call with its answer, so that who comes back (`Last-Event-ID`) hears of it only while it goes
//! on. Here each call's events are read to their end, whoever listens, and a client is told of them from where it likes.
//! Bounded: the last events of a call, the last answers of a session, and bytes of all.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_server::SessionManager;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError, SessionError,
};
use rmcp::transport::streamable_http_server::session::{ServerSseMessage, SessionId};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};

use crate::account::Account;
use crate::policy::{Share, Supply};

/// From a call's end.
const KEPT: Duration = Duration::from_secs(60);
/// Calls of one session that have ended and are kept.
const MOST_ENDED: usize = 32;
/// Events of one call: the oldest, which say how far it was, give way, and the answer is the last.
const MOST_EVENTS: usize = 64;
/// An answer counts for no less, however short.
const LEAST_BYTES: usize = 1 << 10;

/// Bytes of answers that are kept, of all sessions; and of one payer's.
pub const BYTES: (usize, usize) = (16 << 20, 4 << 20);

type Events = Pin<Box<dyn Stream<Item = ServerSseMessage> + Send + Sync>>;

/// The sessions of one token, as the SDK has them, with what was said in them.
pub struct Manager {
    pub inner: LocalSessionManager,
    bytes: Arc<Supply>,
    payer: Account,
    kept: Mutex<HashMap<SessionId, Arc<Calls>>>,
}

/// Of one session, the oldest first.
#[derive(Default)]
struct Calls(Mutex<VecDeque<Call>>);

struct Call {
    /// The second part of its events' ids, `3/7`; the first is the event's place.
    number: String,
    log: Arc<watch::Sender<Log>>,
    /// Of the bytes, once it has ended.
    share: Option<Share>,
}

#[derive(Default)]
struct Log {
    events: VecDeque<(u64, ServerSseMessage)>,
    ended: Option<Instant>,
}

impl Manager {
    pub fn new(inner: LocalSessionManager, bytes: Arc<Supply>, payer: Account) -> Self {
        Self { inner, bytes, payer, kept: Mutex::default() }
    }

    /// Whether a stream can be taken up after this event. Those of the stream that is of no call have a plain number.
    pub fn knows(&self, session: &str, event: &str) -> bool {
        match place(event) {
            Some((_, number)) => self.log(session, number).is_some(),
            None => event.parse::<u64>().is_ok(),
        }
    }

    /// Lets go of what has been kept long enough.
    pub fn sweep(&self) {
        let all: Vec<Arc<Calls>> = self.kept().values().cloned().collect();
        all.iter().for_each(|calls| calls.forget_old());
    }

    fn log(&self, session: &str, number: &str) -> Option<watch::Receiver<Log>> {
        let calls = self.kept().get(session)?.clone();
        calls.forget_old();
        let calls = calls.lock();
        calls.iter().find(|call| call.number == number).map(|call| call.log.subscribe())
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Calls>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionManager for Manager {
    type Error = LocalSessionManagerError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let (id, transport) = self.inner.create_session().await?;
        self.kept().insert(id.clone(), Arc::default());
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.inner.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        self.inner.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        self.kept().remove(id);
        self.inner.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        let mut events: Events = Box::pin(self.inner.create_stream(id, message).await?);
        // The first, which says how to come back, is there already.
        let first = events.next().await;
        let number = first.as_ref().and_then(|event| place(event.event_id.as_deref()?));
        let calls = self.kept().get(id).cloned();
        let (Some((_, number)), Some(calls)) = (number, calls) else {
            let ended = SessionError::SessionServiceTerminated;
            return Err(LocalSessionManagerError::SessionError(ended));
        };
        let log = Arc::new(watch::Sender::<Log>::default());
        let heard = log.subscribe();
        calls.lock().push_back(Call { number: number.to_owned(), log: log.clone(), share: None });
        let (bytes, payer, number) = (self.bytes.clone(), self.payer, number.to_owned());
        tokio::spawn(async move {
            let mut next = first;
            while let Some(event) = next {
                log.send_modify(|log| log.add(event));
                next = events.next().await;
            }
            log.send_modify(|log| log.ended = Some(Instant::now()));
            calls.keep(&number, log.borrow().bytes(), &bytes, payer);
        });
        Ok(told(heard, 0))
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Self::Error> {
        self.inner.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.inner.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        let Some((index, number)) = place(&last_event_id) else {
            let events: Events = Box::pin(self.inner.resume(id, last_event_id).await?);
            return Ok(events);
        };
        let log = self.log(id, number).ok_or(SessionError::InvalidEventId)?;
        let events: Events = Box::pin(told(log, index.saturating_add(1)));
        Ok(events)
    }
}

impl Calls {
    /// Keeps one that has ended, for which the session's oldest give way; not, where all the bytes are others'.
    fn keep(&self, number: &str, bytes: usize, supply: &Arc<Supply>, payer: Account) {
        let mut calls = self.lock();
        while calls.iter().filter(|call| call.share.is_some()).count() >= MOST_ENDED {
            drop_oldest(&mut calls);
        }
        let share = loop {
            match supply.take(payer, bytes.max(LEAST_BYTES)) {
                Ok(share) => break Some(share),
                Err(_) if drop_oldest(&mut calls) => {}
                Err(_) => break None,
            }
        };
        match (share, calls.iter().position(|call| call.number == number)) {
            (Some(share), Some(at)) => calls[at].share = Some(share),
            (None, Some(at)) => drop(calls.remove(at)),
            (_, None) => {}
        }
    }

    fn forget_old(&self) {
        let is_old = |call: &Call| call.log.borrow().ended.is_some_and(|ended| ended.elapsed() >= KEPT);
        self.lock().retain(|call| !is_old(call));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Call>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of those that have ended; whether there was one.
fn drop_oldest(calls: &mut VecDeque<Call>) -> bool {
    let oldest = calls.iter().position(|call| call.share.is_some());
    oldest.and_then(|at| calls.remove(at)).is_some()
}

impl Log {
    fn add(&mut self, event: ServerSseMessage) {
        let index = event.event_id.as_deref().and_then(place).map_or(0, |(index, _)| index);
        if self.events.len() >= MOST_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back((index, event));
    }

    fn bytes(&self) -> usize {
        let of = |event: &ServerSseMessage| serde_json::to_string(event.message.as_deref()?).ok();
        self.events.iter().filter_map(|(_, event)| of(event)).map(|text| text.len()).sum()
    }
}

/// An event of a call's: its place among them, and which call.
fn place(event: &str) -> Option<(u64, &str)> {
    let (index, number) = event.split_once('/')?;
    Some((index.parse().ok()?, number))
}

/// What was said and will be, from that place on, to the call's end.
fn told(mut log: watch::Receiver<Log>, mut from: u64) -> ReceiverStream<ServerSseMessage> {
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        loop {
            let (events, has_ended) = {
                let log = log.borrow_and_update();
                let new = log.events.iter().filter(|(index, _)| *index >= from).cloned();
                (new.collect::<Vec<_>>(), log.ended.is_some())
            };
            for (index, event) in events {
                from = index + 1;
                if sender.send(event).await.is_err() {
                    return;
                }
            }
            if has_ended {
                return;
            }
            tokio::select! {
                more = log.changed() => if more.is_err() { return },
                // Nobody reads any more.
                () = sender.closed() => return,
            }
        }
    });
    ReceiverStream::new(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(calls: &Calls, number: &str, bytes: usize, supply: &Arc<Supply>) {
        let log = Log { ended: Some(Instant::now()), ..Log::default() };
        let call = Call { number: number.into(), log: Arc::new(watch::Sender::new(log)), share: None };
        calls.lock().push_back(call);
        calls.keep(number, bytes, supply, 1.into());
    }

    fn numbers(calls: &Calls) -> Vec<String> {
        calls.lock().iter().map(|call| call.number.clone()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_has_an_end_in_number_bytes_and_time() {
        let supply = Supply::<Account>::new(100 << 10, 80 << 10);
        let calls = Calls::default();
        for number in 0..=MOST_ENDED {
            ended(&calls, &number.to_string(), 1, &supply);
        }
        assert_eq!((numbers(&calls).len(), numbers(&calls)[0].as_str()), (MOST_ENDED, "1"));
        assert_eq!(supply.used_by(1), MOST_ENDED * LEAST_BYTES, "short ones count too");
        ended(&calls, "long", 60 << 10, &supply);
        assert_eq!(supply.used_by(1), 80 << 10, "the oldest gave way, and no more than had to");
        ended(&calls, "too long", 81 << 10, &supply);
        assert!(numbers(&calls).is_empty() && supply.used_by(1) == 0);
        ended(&calls, "last", 1, &supply);
        tokio::time::advance(KEPT - Duration::from_secs(1)).await;
        calls.forget_old();
        assert_eq!(numbers(&calls), ["last"]);
        tokio::time::advance(Duration::from_secs(1)).await;
        calls.forget_old();
        assert!(numbers(&calls).is_empty() && supply.used_by(1) == 0);
    }

    #[test]
    fn of_many_events_the_last_stay() {
        let mut log = Log::default();
        for index in 0..=MOST_EVENTS {
            log.add(ServerSseMessage::priming(format!("{index}/7"), Duration::ZERO));
        }
        assert_eq!(log.events.len(), MOST_EVENTS);
        assert_eq!(log.events.back().unwrap().0, MOST_EVENTS as u64);
        assert_eq!((place("3/7"), place("3"), place("x/7")), (Some((3, "7")), None, None));
    }
}
