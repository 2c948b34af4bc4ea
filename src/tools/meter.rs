//! What is counted of calls and receipts, for Prometheus: by `prometheus_client`, in its text form.
//!
//! In: each call at its end, each receipt as it is left. Out: `/metrics`. No name of a person, a guest or a path is counted by:
//! what a label says is one of a few words of ours. Nothing is counted before the HTTP door asks for it ([`Provost::meter`]).

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::Provost;
use crate::ledger::Entry;
use crate::ledger::receipt::body::{Body, Result as Became};
use crate::policy::approval::Standing;

/// Kinds of refusals that are told apart; any other is "other".
const MOST_KINDS: usize = 100;
/// Seconds.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0];

type One = [(&'static str, String); 1];
type Two = [(&'static str, String); 2];

pub struct Meter {
    registry: Registry,
    calls: Family<Two, Counter>,
    latency: Family<One, Histogram>,
    refusals: Family<One, Counter>,
    receipts: Family<Two, Counter>,
    plans: Counter,
    changes: Family<One, Counter>,
    task_failures: Counter,
    rejected: Family<One, Counter>,
    kinds: Mutex<BTreeSet<String>>,
    approvals: Gauge,
    halted: Gauge,
    ready: Gauge,
    size: Gauge,
    signed: Gauge,
    head_age: Gauge<f64, AtomicU64>,
    open_intents: Gauge,
    unrecorded: Gauge,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Done,
    Refused,
    Failed,
    Cancelled,
}

impl Ended {
    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Meter {
    fn new() -> Self {
        let mut all = Registry::with_prefix("provost");
        macro_rules! metric {
            ($name:literal, $help:literal, $metric:expr) => {{
                let metric = $metric;
                all.register($name, $help, metric.clone());
                metric
            }};
        }
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let latency = Family::<One, Histogram>::new_with_constructor(histogram);
        all.register_with_unit("call_duration", "How long calls took", Unit::Seconds, latency.clone());
        let head_age = Gauge::<f64, AtomicU64>::default();
        all.register_with_unit("ledger_head_age", "Age of the signed head", Unit::Seconds, head_age.clone());
        let info = prometheus_client::metrics::info::Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        all.register("build", "Which Provost this is", info);
        Self {
            calls: metric!("calls", "Calls of tools, by how they ended", Family::default()),
            refusals: metric!("refusals", "What was asked for and not done, by why", Family::default()),
            receipts: metric!("receipts", "Receipts, by kind and decision", Family::default()),
            plans: metric!("plans", "Changes that were thought through", Counter::default()),
            changes: metric!("changes", "Changes that were made, by what became of them", Family::default()),
            task_failures: metric!(
                "task_failures",
                "Tasks of PVE's, begun here, that failed",
                Counter::default()
            ),
            rejected: metric!(
                "http_rejected",
                "Requests over HTTP without a good token, by why",
                Family::default()
            ),
            approvals: metric!("approvals_waiting", "Plans that wait for a person", Gauge::default()),
            halted: metric!("halted", "1 while everything is halted", Gauge::default()),
            ready: metric!("ledger_ready", "1 while receipts are taken", Gauge::default()),
            size: metric!("ledger_entries", "Receipts on the disk", Gauge::default()),
            signed: metric!(
                "ledger_signed_entries",
                "Receipts that the signed head covers",
                Gauge::default()
            ),
            open_intents: metric!(
                "ledger_open_intents",
                "Changes of which nobody knows what became",
                Gauge::default()
            ),
            unrecorded: metric!(
                "ledger_unrecorded",
                "Receipts that could not be kept, since the start",
                Gauge::default()
            ),
            registry: all,
            latency,
            head_age,
            kinds: Mutex::default(),
        }
    }

    /// A call has ended. `kind` says why it was refused or failed.
    pub fn call(&self, tool: Option<&'static str>, ended: Ended, kind: Option<&str>, took: Duration) {
        let tool = tool.unwrap_or("other").to_owned();
        self.calls.get_or_create(&[("tool", tool.clone()), ("ended", ended.name().into())]).inc();
        self.latency.get_or_create(&[("tool", tool)]).observe(took.as_secs_f64());
        if let Some(kind) = kind.filter(|_| matches!(ended, Ended::Refused | Ended::Failed)) {
            self.refusals.get_or_create(&[("kind", self.known(kind))]).inc();
        }
    }

    /// A request over HTTP showed no good token.
    pub fn rejected(&self, kind: &'static str) {
        self.rejected.get_or_create(&[("kind", kind.into())]).inc();
    }

    fn receipt(&self, entry: &Entry) {
        let decision = entry.decision.map_or("none", |decision| decision.name());
        let kind = entry.body.kind().name();
        self.receipts.get_or_create(&[("kind", kind.into()), ("decision", decision.into())]).inc();
        match &entry.body {
            Body::Plan(_) => {
                self.plans.inc();
            }
            Body::Outcome(outcome) => {
                let became = match outcome.result {
                    Became::Done => "done",
                    Became::Failed => "failed",
                    Became::Unknown => "unknown",
                };
                self.changes.get_or_create(&[("result", became.into())]).inc();
                if outcome.result == Became::Failed && outcome.upid.is_some() {
                    self.task_failures.inc();
                }
            }
            _ => {}
        }
    }

    /// A kind as it may stand in a label: some come from elsewhere, and nobody may make as many as they like.
    fn known(&self, kind: &str) -> String {
        let is_word = kind.len() <= 40 && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        match is_word && (kinds.contains(kind) || kinds.len() < MOST_KINDS) {
            true => {
                kinds.insert(kind.to_owned());
                kind.to_owned()
            }
            false => "other".to_owned(),
        }
    }
}

impl Provost {
    /// Counts from the first time that it is asked for.
    pub fn meter(&self) -> &Arc<Meter> {
        self.desk.meter.get_or_init(|| {
            let meter = Arc::new(Meter::new());
            let counts = meter.clone();
            self.desk.ledger.tap(move |entry| counts.receipt(entry));
            meter
        })
    }

    /// All of it, as it is now.
    pub fn metrics(&self) -> String {
        let meter = self.meter();
        let waits = |standing: &Standing| matches!(standing, Standing::Waiting | Standing::Deciding);
        let waiting = self.policy.approvals.list(|_| true);
        let waiting = waiting.iter().filter(|held| waits(&held.standing)).count();
        meter.approvals.set(waiting as i64);
        meter.halted.set(i64::from(self.policy.halt.now().is_some()));
        let ledger = &self.desk.ledger;
        let status = ledger.status();
        meter.ready.set(i64::from(ledger.ready().is_ok()));
        meter.size.set(status.size as i64);
        meter.signed.set(status.signed as i64);
        meter.open_intents.set(status.open_intents.len() as i64);
        meter.unrecorded.set(status.unrecorded as i64);
        let written = std::fs::metadata(ledger.place().checkpoint()).and_then(|head| head.modified());
        let age = written.ok().and_then(|written| written.elapsed().ok());
        meter.head_age.set(age.map_or(f64::NAN, |age| age.as_secs_f64()));
        let mut text = String::new();
        // Into a text, nothing fails.
        let _ = encode(&mut text, &meter.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_one_of_few_words_whatever_comes() {
        let meter = Meter::new();
        assert_eq!(meter.known("no_role"), "no_role");
        assert_eq!(meter.known("a\"} 1\nprovost_x"), "other");
        assert_eq!(meter.known(&"x".repeat(41)), "other");
        for at in 0..200_u32 {
            let name: String = format!("{at:03}").bytes().map(|digit| char::from(digit + 49)).collect();
            meter.known(&name);
        }
        assert_eq!(meter.kinds.lock().unwrap().len(), MOST_KINDS);
        assert_eq!(meter.known("no_role"), "no_role");
    }
}
