//! A session's receipts: that it was opened and closed, and who it is in each call.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rmcp::model::{Implementation, JsonObject, ProtocolVersion};
use rmcp::service::{RequestContext, RoleServer};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{Call, Desk, Notes};
use crate::config::Config;
use crate::ledger::receipt::Clean;
use crate::ledger::receipt::body::{Session, SessionEvent};
use crate::ledger::{Decision, Entry, Who};
use crate::policy::{self, Principal, Rules};
use crate::tools::taint::Taint;

/// One client from its first call to its last. It leaves its last receipt by being dropped.
pub struct Visit {
    desk: Arc<Desk>,
    principal: Principal,
    number: u64,
    calls: AtomicU64,
    opened: AtomicBool,
    taint: Taint,
    known: Mutex<Known>,
    _open: TaskTrackerToken,
}

/// Who it is, as long as neither the rules nor what the client says of itself change.
#[derive(Default)]
struct Known {
    by: Option<Arc<Config>>,
    client: Option<(String, String)>,
    who: Who,
}

impl Visit {
    pub fn new(desk: &Arc<Desk>, principal: Principal) -> Arc<Self> {
        let taint = principal.token().map_or_else(Taint::default, |bearer| bearer.taint().clone());
        if principal.machine().is_some() {
            // What speaks from a guest was written there, from the first word on.
            taint.mark();
        }
        Arc::new(Self {
            number: desk.sessions.fetch_add(1, Ordering::Relaxed) + 1,
            principal,
            calls: AtomicU64::new(0),
            opened: AtomicBool::new(false),
            taint,
            known: Mutex::default(),
            _open: desk.open.token(),
            desk: desk.clone(),
        })
    }

    /// A call begins. `args` are what its receipt may hold of its arguments.
    pub fn call(
        &self,
        rules: &Rules,
        tool: Option<&'static str>,
        args: Option<&JsonObject>,
        context: &RequestContext<RoleServer>,
    ) -> Call {
        let client = context.client_info();
        self.opened(rules, client.as_ref(), context.protocol_version().as_ref());
        self.calls.fetch_add(1, Ordering::Relaxed);
        Call {
            desk: self.desk.clone(),
            who: self.who(rules, client.as_ref()),
            tool,
            notes: Arc::new(Notes::of(args, self.taint.clone())),
            head: None,
            began: Instant::now(),
            always: true,
            left: false,
            _open: self.desk.open.token(),
        }
    }

    /// As [`Visit::call`], for what leaves a receipt only where it reached the node's API, or was refused.
    pub fn glance(
        &self,
        rules: &Rules,
        tool: &'static str,
        args: &JsonObject,
        context: &RequestContext<RoleServer>,
    ) -> Call {
        let mut call = self.call(rules, Some(tool), Some(args), context);
        call.always = false;
        call
    }

    /// Whether the session has been given text that a guest wrote.
    pub fn taint(&self) -> &Taint {
        &self.taint
    }

    /// The session has begun; said once.
    pub fn opened(&self, rules: &Rules, client: Option<&Implementation>, protocol: Option<&ProtocolVersion>) {
        if self.opened.swap(true, Ordering::Relaxed) {
            return;
        }
        let body = Session {
            calls: None,
            event: SessionEvent::Opened,
            pid: self.principal.pid(),
            protocol: protocol.map(|revision| Clean::of(revision.as_str())),
            session: self.number,
        };
        self.leave(self.who(rules, client), Decision::Allowed, None, body);
    }

    /// No session came of the connection.
    pub fn turned_away(&self, rules: &Rules, why: &str) {
        let body = Session {
            calls: None,
            event: SessionEvent::TurnedAway,
            pid: self.principal.pid(),
            protocol: None,
            session: self.number,
        };
        self.leave(self.who(rules, None), Decision::Refused, Some(why), body);
    }

    /// The same where not even a principal came of it: nobody knows whose CID it is.
    pub fn stranger(desk: &Arc<Desk>, cid: u32, why: &str) {
        let session = desk.sessions.fetch_add(1, Ordering::Relaxed) + 1;
        let event = SessionEvent::TurnedAway;
        let body = Session { calls: None, event, pid: None, protocol: None, session };
        desk.ledger.leave(Entry {
            principal: Some(Who { cid: Some(cid), ..Who::default() }),
            decision: Some(Decision::Refused),
            why: Some(Clean::of(why)),
            ..Entry::of(body)
        });
    }

    /// And where somebody came over HTTP and showed no good token.
    pub fn no_token(desk: &Arc<Desk>, why: &str) {
        let session = desk.sessions.fetch_add(1, Ordering::Relaxed) + 1;
        let event = SessionEvent::TurnedAway;
        let body = Session { calls: None, event, pid: None, protocol: None, session };
        desk.ledger.leave(Entry {
            principal: Some(Who { token: Some(Clean::ours("none")), ..Who::default() }),
            decision: Some(Decision::Refused),
            why: Some(Clean::of(why)),
            ..Entry::of(body)
        });
    }

    fn who(&self, rules: &Rules, client: Option<&Implementation>) -> Who {
        let config = rules.now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let same_rules = known.by.as_ref().is_some_and(|by| Arc::ptr_eq(by, &config));
        // None is one that does not say who it is: another client of the same token may have.
        let same_client = match (&known.client, client) {
            (Some((name, version)), Some(client)) => *name == client.name && *version == client.version,
            (known, client) => known.is_none() && client.is_none(),
        };
        if !same_rules || !same_client {
            let role = policy::role(&config, &self.principal);
            known.client = client.map(|client| (client.name.clone(), client.version.clone()));
            known.who = Who {
                client: client.map(|client| Clean::of(&client.name)),
                client_version: client.map(|client| Clean::of(&client.version)),
                ..self.principal.who(role)
            };
            known.by = Some(config);
        }
        Who { tainted: self.taint.is(), ..known.who.clone() }
    }

    fn leave(&self, who: Who, decision: Decision, why: Option<&str>, body: Session) {
        let (principal, decision, why) = (Some(who), Some(decision), why.map(Clean::of));
        self.desk.ledger.leave(Entry { principal, decision, why, ..Entry::of(body) });
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if !self.opened.load(Ordering::Relaxed) {
            return;
        }
        let known = std::mem::take(&mut *self.known.lock().unwrap_or_else(PoisonError::into_inner));
        let body = Session {
            calls: Some(self.calls.load(Ordering::Relaxed)),
            event: SessionEvent::Closed,
            pid: self.principal.pid(),
            protocol: None,
            session: self.number,
        };
        let who = Who { tainted: self.taint.is(), ..known.who };
        self.leave(who, Decision::Allowed, None, body);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ledger::{Ledger, Options};

    #[tokio::test]
    async fn a_client_that_does_not_say_who_it_is_is_not_taken_for_the_one_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let desk = Desk::new(Ledger::open(Options::new(dir.path())).unwrap());
        let visit = Visit::new(&desk, Principal::for_tests(1000, "alice", &[]));
        let rules = Rules::fixed(crate::config::parse(std::path::Path::new("x"), "").unwrap());
        let client = |name: &str| Implementation::new(name, "1");
        let said = |client: Option<&Implementation>| json!(visit.who(&rules, client))["client"].clone();
        assert_eq!(said(None), Value::Null);
        assert_eq!(said(Some(&client("one"))), json!("one"));
        assert_eq!(said(None), Value::Null);
        assert_eq!(said(Some(&client("other"))), json!("other"));
    }
}
