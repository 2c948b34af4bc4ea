//! Who shows a token: its principal, its visit, its MCP sessions, its A2A tasks. One a token, so that nobody reaches another's sessions, and
//! what was read by one request of a token (a guest's text) is known to its next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::Face;
use super::a2a::{Book, Shelf};
use super::answer::{Answer, refuse};
use super::body::{LONGEST, Until};
use super::kept::{self, Manager};
use super::message;
use super::sessions::Sessions;
use crate::policy::token::{Presented, TokenId};
use crate::policy::{Policy, Principal, Share, Spent, Supply};
use crate::serve::room::Room;
use crate::tools::record::Visit;
use crate::tools::{OverHttp, Provost, Session};

/// Answers that go on while their client listens, of all connections; and of one payer's.
const STREAMS: (usize, usize) = (512, 128);

/// By which MCP's clients name their session.
const SESSION: &str = "mcp-session-id";
/// By which they say what they heard last.
const LAST_EVENT: &str = "last-event-id";

pub struct Caller {
    pub principal: Principal,
    visit: Arc<Visit>,
    provost: Arc<Provost>,
    room: Arc<Room>,
    /// A2A's tasks of this token.
    pub tasks: Book,
    streams: Arc<Supply>,
    /// Ends them.
    stop: CancellationToken,
}

impl Caller {
    /// What one call of this token is made by, or why it is not.
    pub fn session(&self) -> Result<Session, String> {
        let (calls, payer) = (&self.room.calls, self.principal.payer());
        if calls.used_by(payer) >= calls.each() {
            return Err(format!("{} calls on your account are under way", calls.each()));
        }
        Ok(session(&self.provost, &self.room, &self.principal, &self.visit))
    }

    /// What an answer holds that goes on while its client listens, or why there is none: each keeps a connection from others.
    pub fn stream(&self) -> Result<Share, String> {
        self.streams.take(self.principal.payer(), 1).map_err(|spent| match spent {
            Spent::Own => format!("{} streams on your account are open; close some", self.streams.each()),
            Spent::All => format!("{} streams are open, most of them others'", self.streams.most()),
        })
    }

    pub fn policy(&self) -> &Policy {
        &self.provost.policy
    }

    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }
}

/// A caller, with MCP's sessions of the same token.
pub struct Holder<F> {
    pub caller: Arc<Caller>,
    mcp: StreamableHttpService<F, Manager>,
    sessions: Arc<Sessions>,
}

fn session(provost: &Arc<Provost>, room: &Room, principal: &Principal, visit: &Arc<Visit>) -> Session {
    let over_http = OverHttp { calls: room.calls.clone() };
    Session::of_visit(provost.clone(), principal.clone(), visit.clone(), over_http)
}

pub struct Callers<F> {
    provost: Arc<Provost>,
    room: Arc<Room>,
    shelf: Arc<Shelf>,
    streams: Arc<Supply>,
    kept: Arc<Supply>,
    all: Mutex<HashMap<TokenId, Arc<Holder<F>>>>,
}

impl<F: Face> Callers<F> {
    pub fn new(provost: Arc<Provost>, room: Arc<Room>) -> Self {
        let (shelf, all) = Default::default();
        let kept = Supply::new(kept::BYTES.0, kept::BYTES.1);
        Self { provost, room, shelf, streams: Supply::new(STREAMS.0, STREAMS.1), kept, all }
    }

    /// Whoever showed it.
    pub fn of(&self, presented: &Presented) -> Arc<Holder<F>> {
        let id = presented.bearer.id();
        self.all().entry(id).or_insert_with(|| Arc::new(self.make(presented))).clone()
    }

    /// A message of MCP's. One that begins a session takes a place; where its user has none left, the session of theirs that
    /// has not been used for longest gives way.
    pub async fn mcp(&self, holder: &Arc<Holder<F>>, parts: Parts, body: Bytes) -> Answer {
        if let Some(refused) = message::refused(&parts.method, &parts.headers, &body) {
            return refused;
        }
        let named = named(&parts.headers);
        let begins = named.is_none() && parts.method == Method::POST && begins(&body);
        let heard = match parts.method {
            Method::GET => parts.headers.get(LAST_EVENT).map(|event| event.to_str().unwrap_or("").to_owned()),
            _ => None,
        };
        let request = Request::from_parts(parts, Full::new(body));
        let is_end = request.method() == Method::DELETE;
        let stream = match request.method() {
            &Method::GET => match holder.caller.stream() {
                Ok(stream) => Some(stream),
                Err(full) => return refuse(503, "busy", &full, "call again"),
            },
            _ => None,
        };
        let place = match begins {
            false => None,
            true => match self.place(&holder.caller).await {
                Ok(place) => Some(place),
                Err(full) => return refuse(503, "busy", &full, "end some (DELETE /mcp) and come again"),
            },
        };
        let in_use = named.as_ref().and_then(|id| holder.sessions.enter(id));
        if is_end && named.is_some() && in_use.is_none() {
            return refuse(404, "no_session", "there is no such session", "begin one by initialize");
        }
        // The SDK would answer as if nothing had been said since.
        if let (Some(id), Some(event), Some(_)) = (&named, heard, &in_use)
            && !holder.sessions.manager.knows(id, &event)
        {
            let why = "there is no such event: of a call that has ended, what was said is kept for a minute";
            return refuse(400, "no_such_event", why, "ask for what the call came to: audit tells of it");
        }
        let one = holder.clone();
        let handled = async move {
            let answer = one.mcp.handle(request).await.map(BodyExt::boxed_unsync);
            let answer = message::house(answer).await;
            let begun = place.zip(self::named(answer.headers())).and_then(|(place, id)| {
                one.sessions.begin(&id, place);
                one.sessions.enter(&id)
            });
            (answer, begun)
        };
        let (mut answer, begun) = match begins {
            // Though its client hangs up meanwhile: no session is without its place.
            true => match tokio::spawn(handled).await {
                Ok(handled) => handled,
                Err(_) => return refuse(503, "stopping", "the session did not begin", "come again"),
            },
            false => handled.await,
        };
        if let Some(id) = named.filter(|_| is_end && answer.status() == StatusCode::ACCEPTED) {
            // The session has ended: nothing is still to be done, and the Python SDK takes 202 for a failure.
            *answer.status_mut() = StatusCode::NO_CONTENT;
            holder.sessions.end(&id).await;
        }
        answer.map(|body| match (in_use.or(begun), stream) {
            (None, None) => body,
            held => Until::of(body, until_dropped(held)),
        })
    }

    async fn place(&self, caller: &Caller) -> Result<Share, String> {
        let (places, payer) = (&self.room.sessions, caller.principal.payer());
        loop {
            let spent = match places.take(payer, 1) {
                Ok(place) => return Ok(place),
                Err(spent) => spent,
            };
            let holders: Vec<Arc<Holder<F>>> = self.all().values().cloned().collect();
            let may_give =
                |holder: &&Arc<Holder<F>>| spent == Spent::All || holder.caller.principal.payer() == payer;
            let idle = holders
                .iter()
                .filter(may_give)
                .filter_map(|holder| Some((holder.sessions.idlest()?, holder)));
            match idle.min_by(|((one, _), _), ((other, _), _)| one.cmp(other)) {
                Some(((_, id), holder)) => holder.sessions.end(&id).await,
                None => {
                    let (each, most) = (places.each(), places.most());
                    return Err(format!("{each} sessions on your account are in use, or {most} of all"));
                }
            }
        }
    }

    fn make(&self, presented: &Presented) -> Holder<F> {
        let stop = presented.bearer.revoked().child_token();
        let principal = Principal::Token(presented.bearer.clone());
        let visit = Visit::new(&self.provost.desk, principal.clone());
        let sessions = Sessions::new(self.kept.clone(), principal.payer());
        let mut config = StreamableHttpServerConfig::default();
        config.cancellation_token = stop.clone();
        config.json_response = true;
        config.max_request_body_bytes = LONGEST;
        // Who may ask by which name was looked at before, for every path alike.
        let config = config.disable_allowed_hosts();
        let (provost, room) = (self.provost.clone(), self.room.clone());
        let (who, seen) = (principal.clone(), visit.clone());
        let make = move || Ok(session(&provost, &room, &who, &seen).into());
        let mcp = StreamableHttpService::new(make, sessions.manager.clone(), config);
        let caller = Caller {
            tasks: Book::new(principal.payer(), self.shelf.clone()),
            streams: self.streams.clone(),
            provost: self.provost.clone(),
            room: self.room.clone(),
            principal,
            visit,
            stop,
        };
        Holder { caller: Arc::new(caller), mcp, sessions }
    }

    /// Lets go of those whose token has ended, whichever form of it was shown last, and of sessions that nobody uses. Calls
    /// that are under way end as they do.
    pub async fn sweep(&self) {
        let tokens = &self.provost.policy.tokens;
        let over: Vec<Arc<Holder<F>>> = {
            let mut all = self.all();
            let over =
                |id: &TokenId, holder: &Holder<F>| holder.caller.stop.is_cancelled() || !tokens.stands(*id);
            all.extract_if(|id, holder| over(id, holder)).map(|(_, holder)| holder).collect()
        };
        over.iter().for_each(|holder| holder.caller.stop.cancel());
        let left: Vec<Arc<Holder<F>>> = self.all().values().cloned().collect();
        for holder in left {
            holder.sessions.sweep().await;
        }
    }

    /// Ends every session.
    pub fn end(&self) {
        let all = std::mem::take(&mut *self.all());
        all.values().for_each(|holder| holder.caller.stop.cancel());
    }

    fn all(&self) -> MutexGuard<'_, HashMap<TokenId, Arc<Holder<F>>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The session that a message is of, or that was begun by it.
fn named(headers: &HeaderMap) -> Option<String> {
    headers.get(SESSION)?.to_str().ok().map(str::to_owned)
}

/// Whether a message may begin a session: what does not clearly ask for something else.
fn begins(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Asked {
        method: String,
    }
    serde_json::from_slice(body).map_or(true, |asked: Asked| asked.method == "initialize")
}

/// Never ends: it is dropped with the answer.
async fn until_dropped<T>(held: T) {
    let _held = held;
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::policy::Rules;
    use crate::policy::token::{Grant, Wish};

    const NODE: &str = "provost/pve1-00000000";

    #[tokio::test]
    async fn who_shows_a_token_is_not_forgotten_while_a_form_of_it_is_good() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "[ledger]\ndir='{}'\n[[role]]\nname='a'\nmembers=[]",
            dir.path().join("ledger").display()
        );
        let rules = Rules::fixed(crate::config::parse(std::path::Path::new("x"), &text).unwrap());
        let provost = Arc::new(Provost::for_tests(rules));
        let callers = Callers::<Session>::new(provost.clone(), Room::for_http());
        let (policy, tokens) = (&provost.policy, &provost.policy.tokens);
        let root = Principal::for_tests(0, "root", &[(0, "root")]);
        let wish = Wish { acts_as: Grant::Role("a".into()), ttl_s: 1, window_s: 3600, delay_s: 0 };
        let page = tokens.page().await;
        let record = policy.token_for(&page, &root, &wish).await.unwrap();
        let issued = tokens.issue(page, record, 0, NODE).await.unwrap();
        let caller = callers.of(&tokens.present(&issued.token, NODE).await.unwrap()).caller.clone();
        // Renewed, and the new form shown to nobody yet.
        let page = tokens.page().await;
        let mut record = policy.renewed(&page, &caller.principal, issued.record.id).await.unwrap();
        record.expires = Timestamp::now() + Duration::from_secs(600);
        let again = tokens.renew(page, record, NODE).await.unwrap();
        while tokens.present(&issued.token, NODE).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        callers.sweep().await;
        assert!(!caller.stop().is_cancelled());
        let now = callers.of(&tokens.present(&again.token, NODE).await.unwrap()).caller.clone();
        assert!(Arc::ptr_eq(&now, &caller), "its sessions, and what it was given");
        tokens.take_back(issued.record.id, "user:root".into()).await.unwrap();
        callers.sweep().await;
        assert!(caller.stop().is_cancelled() && callers.all().is_empty());
    }
}
