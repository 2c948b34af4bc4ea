//! The receipt of each call: opened before it is looked at, left whatever becomes of it.
//!
//! In: who calls what, and what the tool finds out on its way ([`Notes`]). Out: one receipt, and with it the only answer
//! that a client gets: [`Call::answer`] alone makes a tool's result (clippy.toml forbids it elsewhere), and without a
//! [`Notes`], which only a [`Call`] has, there is no handle for the API. A call that is given up, or panics, leaves its
//! receipt by being dropped. A read never waits for the disk, and must never be refused for it.

mod notes;
mod visit;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rmcp::ErrorData;
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

pub use notes::Notes;
pub use visit::Visit;

use super::answer::{Answer, CANCELLED, Failure};
use super::meter::{Ended, Meter};
use super::taint;
use crate::ledger::receipt::body::{Body, Read, Refusal};
use crate::ledger::receipt::{Clean, Json};
use crate::ledger::{Decision, Entry, Ledger, Unrecorded, Who};
use crate::plan::PlanId;

/// Where receipts are made: the log, and what is still to be recorded.
pub struct Desk {
    pub ledger: Ledger,
    open: TaskTracker,
    sessions: std::sync::atomic::AtomicU64,
    /// Counts, where somebody asks for it.
    pub(super) meter: OnceLock<Arc<Meter>>,
}

impl Desk {
    pub fn new(ledger: Ledger) -> Arc<Self> {
        Arc::new(Self {
            ledger,
            open: TaskTracker::new(),
            sessions: Default::default(),
            meter: OnceLock::new(),
        })
    }

    /// Waits until every call and session that is open has left its receipt, or for `patience`. For the end.
    pub async fn settle(&self, patience: Duration) {
        self.open.close();
        if tokio::time::timeout(patience, self.open.wait()).await.is_err() {
            tracing::warn!(open = self.open.len(), "some calls had not ended when the ledger was closed");
        }
    }
}

/// What a receipt says of something that is done on the node itself.
struct Head {
    endpoint: String,
    plan: Option<String>,
    why: Option<String>,
}

/// A call that is being served.
pub struct Call {
    desk: Arc<Desk>,
    who: Who,
    tool: Option<&'static str>,
    notes: Arc<Notes>,
    /// Where it is about the node itself.
    head: Option<Head>,
    began: Instant,
    /// Whether one is left that reached nothing and was refused nothing.
    always: bool,
    left: bool,
    _open: TaskTrackerToken,
}

impl Call {
    pub fn notes(&self) -> &Arc<Notes> {
        &self.notes
    }

    /// Who makes it, with whether its session is tainted by now.
    pub fn who(&self) -> Who {
        Who { tainted: self.notes.is_tainted(), ..self.who.clone() }
    }

    pub fn ledger(&self) -> &Ledger {
        &self.desk.ledger
    }

    /// What every receipt of this call says, around `body`.
    pub fn entry(&self, decision: Decision, why: Option<&str>, body: impl Into<Body>) -> Entry {
        let (guest, endpoint) = self.notes.subject();
        let head = self.head.as_ref();
        let endpoint = endpoint.map(|template| format!("GET {template}"));
        Entry {
            principal: Some(self.who()),
            tool: self.tool,
            guest,
            endpoint: head.map(|head| head.endpoint.clone()).or(endpoint).map(Clean::ours),
            decision: Some(decision),
            why: why.or(head.and_then(|head| head.why.as_deref())).map(Clean::of),
            plan: head.and_then(|head| head.plan.clone()).map(Clean::ours),
            ..Entry::of(body)
        }
    }

    /// From here on its receipts say that it is about the node itself: `endpoint` is "exec host" or its like.
    pub fn on_host(&mut self, endpoint: &str, plan: Option<PlanId>, why: Option<&str>) {
        let plan = plan.map(|plan| plan.to_string());
        self.head = Some(Head { endpoint: endpoint.to_owned(), plan, why: why.map(str::to_owned) });
    }

    /// Whoever records what was done by a receipt of its own kind says so: this one leaves none then.
    pub fn recorded_elsewhere(&mut self) {
        self.left = true;
    }

    /// A tool's answer, as the client gets it: structured content, and the same as JSON text. Clients from before structured
    /// content get the whole answer, and a JSON string is a fence that no guest's output can end.
    #[expect(clippy::disallowed_methods, reason = "the one place")]
    pub fn answer(mut self, answer: Answer) -> CallToolResult {
        let (failure, object) = match answer {
            Ok(object) => (None, object),
            Err(failure) => {
                let mut object = failure.beside.clone();
                object.insert("error".into(), json!(failure));
                (Some(failure), object)
            }
        };
        let value = Value::Object(object);
        if self.tool.is_some_and(|tool| taint::in_answer(tool, &value)) {
            self.notes.made_by_guest();
        }
        let text = value.to_string();
        self.close(text.len(), failure.as_ref());
        let content = vec![ContentBlock::text(text)];
        let mut result = match failure {
            Some(_) => CallToolResult::error(content),
            None => CallToolResult::success(content),
        };
        result.structured_content = Some(value);
        result
    }

    /// What goes to the client in another form than a tool's.
    pub fn passed<T>(
        mut self,
        bytes: impl FnOnce(&T) -> usize,
        said: Result<T, Failure>,
    ) -> Result<T, Failure> {
        match &said {
            Ok(value) => self.close(bytes(value), None),
            Err(failure) => self.close(0, Some(failure)),
        }
        said
    }

    /// What gets no answer but an error of the protocol's.
    pub fn refuse(mut self, failure: &Failure) -> ErrorData {
        self.close(0, Some(failure));
        failure.into()
    }

    fn count(&self, failure: Option<&Failure>) {
        let Some(meter) = self.desk.meter.get() else { return };
        let ended = match failure {
            None => Ended::Done,
            Some(failure) if failure.kind == CANCELLED => Ended::Cancelled,
            Some(failure) if failure.denied => Ended::Refused,
            Some(_) => Ended::Failed,
        };
        meter.call(self.tool, ended, failure.map(|failure| failure.kind.as_str()), self.began.elapsed());
    }

    fn close(&mut self, bytes: usize, failure: Option<&Failure>) {
        self.count(failure);
        if std::mem::replace(&mut self.left, true) {
            return;
        }
        let noted = self.notes.now();
        let endpoint = noted.endpoint.as_deref().unwrap_or_default();
        let args = noted.args.map(|args| Json::of(endpoint, args));
        let not_done = failure.filter(|failure| failure.denied || !noted.reached);
        let why = failure.map(|failure| failure.message.as_str());
        let entry = match not_done {
            Some(failure) => {
                let next = (!failure.next.is_empty()).then(|| Clean::of(&failure.next));
                let body = Refusal { args, argv: noted.argv, code: Clean::of(&failure.kind), next };
                let mut entry = self.entry(Decision::Refused, why, body);
                if failure.kind == CANCELLED {
                    // Nobody said no.
                    entry.decision = None;
                }
                entry
            }
            None if failure.is_none() && !self.always && !noted.reached => return,
            None => {
                let duration_us = self.began.elapsed().as_micros() as u64;
                let status = failure.map_or(noted.status, |failure| failure.status);
                let body = Read { args, bytes: bytes as u64, duration_us, rows: noted.rows, status };
                self.entry(Decision::Allowed, why, body)
            }
        };
        self.desk.ledger.leave(entry);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.left {
            // Counted there.
            let failure = Failure::new(CANCELLED, "the call was given up before it was answered", "");
            self.close(0, Some(&failure));
        }
    }
}

impl From<Unrecorded> for Failure {
    fn from(unrecorded: Unrecorded) -> Self {
        Self::new(unrecorded.kind(), unrecorded.to_string(), unrecorded.next())
    }
}
