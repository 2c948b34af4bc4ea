//! The call, its task to the end, and the outcome's receipt: one task of its own, whoever listens.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::Author;
use super::drift::{self, Undrifted};
use super::steps::{self, Next, Step};
use crate::ledger::receipt::{Clean, Json, body};
use crate::ledger::{Recorded, Seq, Unrecorded};
use crate::plan::{Desk, Eyes, Plan, Refused, Request, shown};
use crate::policy::{Hand, Unsent};
use crate::product::Product;
use crate::pve::task::{self, Line, Outcome};
use crate::pve::{PveError, Upid, UpidError};
use crate::secret;

/// The end of the task's log that is kept.
const LINES: usize = 40;
const LINE: usize = 500;
/// Lines that a slow listener may be behind; it misses the rest.
const BEHIND: usize = 64;

/// Everything that the call needs, each with its proof.
pub(super) struct Carried {
    pub eyes: Eyes,
    pub plan: std::sync::Arc<Plan>,
    pub undrifted: Undrifted,
    pub recorded: Recorded,
    pub snapshot: Option<First>,
    /// Policy's leave and a person's yes are in it.
    pub hand: Hand,
    /// The calls that follow.
    pub nexts: Vec<Next>,
    /// Who records them.
    pub author: Author,
}

/// A snapshot, and what it is taken with.
pub(super) struct First {
    pub take: Request,
    pub hand: Hand,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Became {
    Done,
    /// Done, with so many warnings in the task's log.
    Warnings(u32),
    Failed(String),
    /// Nobody knows.
    Unknown(String),
    /// It goes on.
    Running,
}

impl Became {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Warnings(_) => "warnings",
            Self::Failed(_) => "failed",
            Self::Unknown(_) => "unknown",
            Self::Running => "running",
        }
    }
}

/// A change, as far as it is known.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The intent's receipt, by which it can be taken back.
    pub receipt: Seq,
    /// The outcome's.
    pub outcome: Option<Seq>,
    /// Why the outcome has none.
    pub unrecorded: Option<String>,
    pub upid: Option<String>,
    pub result: Became,
    /// PVE's answer where it is no task; secrets withheld.
    pub answer: Value,
    /// The end of the task's log. It may quote a guest.
    pub log: Vec<String>,
    pub snapshot: Option<String>,
    /// The calls after the first, where the plan had several.
    pub steps: Vec<Step>,
}

/// A change under way. To drop it is to stop listening.
#[derive(Debug)]
pub struct Running {
    receipt: Seq,
    snapshot: Option<String>,
    upid: watch::Receiver<Option<String>>,
    lines: mpsc::Receiver<Line>,
    end: JoinHandle<Applied>,
}

impl Running {
    /// Its intent's receipt.
    pub fn receipt(&self) -> Seq {
        self.receipt
    }

    /// Listens to its end, or so long.
    pub async fn wait(
        mut self,
        patience: Duration,
        mut on_line: impl FnMut(Line),
    ) -> Result<Applied, Refused> {
        let until = tokio::time::sleep(patience);
        tokio::pin!(until);
        let mut log = VecDeque::new();
        let mut open = true;
        loop {
            tokio::select! {
                biased;
                ended = &mut self.end => {
                    // It panicked, or the runtime ends: the intent stays open, and the next start finds it.
                    return ended.map_err(|_| Refused::Lost { seq: self.receipt });
                }
                line = self.lines.recv(), if open => match line {
                    Some(line) => {
                        keep(&mut log, &line.text);
                        on_line(line);
                    }
                    None => open = false,
                },
                () = &mut until => {
                    let upid = self.upid.borrow().clone();
                    return Ok(Applied {
                        receipt: self.receipt,
                        outcome: None,
                        unrecorded: None,
                        upid,
                        result: Became::Running,
                        answer: Value::Null,
                        log: log.into(),
                        snapshot: self.snapshot,
                        steps: Vec::new(),
                    });
                }
            }
        }
    }
}

pub(super) fn start(desk: &Desk, carried: Carried) -> Running {
    let (told, lines) = mpsc::channel(BEHIND);
    let (named, upid) = watch::channel(None);
    let (receipt, snapshot) = (carried.recorded.seq(), carried.plan.snapshot.clone());
    let end = desk.carry(carry(carried, told, named));
    Running { receipt, snapshot, upid, lines, end }
}

async fn carry(carried: Carried, told: mpsc::Sender<Line>, named: watch::Sender<Option<String>>) -> Applied {
    let Carried { eyes, plan, undrifted, recorded, snapshot, hand, nexts, author } = carried;
    let begun = Instant::now();
    let mut log = VecDeque::new();
    let mut hear = |line: Line| {
        keep(&mut log, &line.text);
        // Who does not listen is not waited for.
        let _ = told.try_send(line);
    };
    let prepared = match snapshot {
        Some(first) => take(&eyes, &plan, first, &recorded, &mut hear).await,
        None => Ok(undrifted),
    };
    let ended = match prepared {
        Ok(undrifted) => send(&eyes, undrifted.request(), &recorded, hand, &mut hear, &named).await,
        Err(refused) => Ended::not(refused),
    };
    let receipt = recorded.seq();
    let so_far: Vec<String> = log.iter().cloned().collect();
    let kept = close(recorded, plan.request.template(), &ended, begun, &so_far).await;
    let done = matches!(ended.result, Became::Done | Became::Warnings(_));
    let mut hear = |line: Line| {
        keep(&mut log, &line.text);
        let _ = told.try_send(line);
    };
    let steps = match done && kept.is_ok() {
        true => steps::go_on(&eyes, &plan, &author, nexts, &mut hear).await,
        false => Vec::new(),
    };
    let Ended { result, upid, answer, .. } = ended;
    Applied {
        receipt,
        unrecorded: kept.as_ref().err().map(ToString::to_string),
        outcome: kept.ok(),
        upid,
        result: steps::verdict(&plan, result, &steps),
        answer: shown(plan.request.template(), answer),
        log: log.into(),
        snapshot: plan.snapshot.clone(),
        steps,
    }
}

/// Records what became of an intent.
pub(super) async fn close(
    recorded: Recorded,
    template: &str,
    ended: &Ended,
    begun: Instant,
    log: &[String],
) -> Result<Seq, Unrecorded> {
    let receipt = recorded.seq();
    let Ended { result, status, upid, answer } = ended;
    let outcome = body::Outcome {
        answer: receipt_answer(template, answer, log),
        duration_us: begun.elapsed().as_micros().try_into().unwrap_or(u64::MAX),
        of: receipt,
        result: match result {
            Became::Done | Became::Warnings(_) => body::Result::Done,
            Became::Failed(_) => body::Result::Failed,
            Became::Unknown(_) | Became::Running => body::Result::Unknown,
        },
        status: *status,
        upid: upid.as_deref().map(Clean::of),
    };
    let why = match result {
        Became::Warnings(count) => Some(format!("it ended with {count} warnings")),
        Became::Failed(why) | Became::Unknown(why) => Some(why.clone()),
        Became::Done | Became::Running => None,
    };
    let kept = recorded.outcome(why.map(Clean::from), outcome).await;
    if let Err(unrecorded) = &kept {
        tracing::error!(
            provost_seq = receipt,
            "what became of intent {receipt} was not recorded: {unrecorded}"
        );
    }
    kept
}

/// How one call ended.
pub(super) struct Ended {
    pub result: Became,
    /// HTTP
    pub status: Option<u16>,
    pub upid: Option<String>,
    pub answer: Value,
}

impl Ended {
    pub fn not(why: impl ToString) -> Self {
        Self { result: Became::Failed(why.to_string()), status: None, upid: None, answer: Value::Null }
    }
}

/// The same for a call after the first.
pub(super) async fn outcome_of(
    eyes: &Eyes,
    request: &Request,
    recorded: &Recorded,
    hand: Hand,
    hear: &mut (impl FnMut(Line) + Send),
) -> Ended {
    send(eyes, request, recorded, hand, hear, &watch::channel(None).0).await
}

/// Takes the snapshot, waits for its end, and looks again.
async fn take(
    eyes: &Eyes,
    plan: &Plan,
    first: First,
    _: &Recorded,
    hear: &mut (impl FnMut(Line) + Send),
) -> Result<Undrifted, Refused> {
    let name = plan.snapshot.clone().unwrap_or_default();
    let vmid = plan.request.guest().unwrap_or_default();
    let failed = |why: String| Refused::SnapshotFailed { name: name.clone(), vmid, why };
    let answer = first.hand.send(&first.take.checked).await.map_err(|error| failed(error.to_string()))?;
    let upid: Upid = answer.data().map_err(|error| failed(error.to_string()))?;
    match task::follow(&eyes.client, &upid, hear).await {
        Ok(Outcome::Done | Outcome::Warnings(_)) => {}
        Ok(Outcome::Failed { message, .. }) => return Err(failed(message)),
        Err(error) => return Err(failed(error.to_string())),
    }
    // What it was made for was not begun; it stays.
    drift::after_snapshot(eyes, plan).await
}

/// The only place from which a change leaves. It takes the proof that the intent is on the disk, and the hand, which holds
/// policy's leave and whatever approval that needed; the request is one that was looked at a moment ago.
async fn send(
    eyes: &Eyes,
    request: &Request,
    _: &Recorded,
    hand: Hand,
    hear: &mut (impl FnMut(Line) + Send),
    named: &watch::Sender<Option<String>>,
) -> Ended {
    let answer = match hand.send(&request.checked).await {
        Ok(answer) => answer.data::<Value>(),
        Err(Unsent::Pve(error)) => Err(error.to_look_at(|path| eyes.can_read_at(path))),
        Err(unsent) => return Ended::not(unsent),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let (why, status) = (error.to_string(), status(&error));
            let result = if error.is_unknown() { Became::Unknown(why) } else { Became::Failed(why) };
            return Ended { result, status, upid: None, answer: Value::Null };
        }
    };
    let upid = match task_of(eyes.catalog.product(), &answer) {
        Ok(Some(upid)) => upid,
        Ok(None) => return Ended { result: Became::Done, status: Some(200), upid: None, answer },
        Err(why) => {
            let result = Became::Unknown(format!("it was taken on as a task that cannot be followed: {why}"));
            return Ended { result, status: Some(200), upid: None, answer };
        }
    };
    named.send_replace(Some(upid.to_string()));
    let result = match task::follow(&eyes.client, &upid, hear).await {
        Ok(Outcome::Done) => Became::Done,
        Ok(Outcome::Warnings(count)) => Became::Warnings(count),
        Ok(Outcome::Failed { message, .. }) => Became::Failed(message),
        Err(error) => Became::Unknown(format!("its task could not be followed to the end: {error}")),
    };
    Ended { result, status: Some(200), upid: Some(upid.to_string()), answer: Value::Null }
}

/// The task that was made of a call, or why it cannot be followed: one whose name cannot be read is a task all the same.
fn task_of(product: Product, answer: &Value) -> Result<Option<Upid>, UpidError> {
    let Some(text) = answer.as_str() else { return Ok(None) };
    match text.starts_with("UPID:") || Upid::is_at_remote(text) {
        true => Upid::of(product, text).map(Some),
        false => Ok(None),
    }
}

fn status(error: &PveError) -> Option<u16> {
    match error {
        PveError::Unauthorized { .. } => Some(401),
        PveError::Forbidden { .. } => Some(403),
        PveError::BadParameters { .. } => Some(400),
        PveError::NotFound { .. } => Some(404),
        PveError::NotImplemented { .. } => Some(501),
        PveError::Failed { .. } => Some(500),
        PveError::NotJson { status, .. }
        | PveError::Proxy { status, .. }
        | PveError::Unexpected { status, .. } => Some(*status),
        _ => None,
    }
}

fn receipt_answer(template: &str, answer: &Value, log: &[String]) -> Option<Json> {
    let whole = match (answer.is_null(), log.is_empty()) {
        (true, true) => return None,
        (true, false) => json!({ "log": log }),
        (false, _) => json!({ "data": answer, "log": log }),
    };
    Some(Json::of(template, whole))
}

/// Keeps the end of a log, without secrets.
fn keep(log: &mut VecDeque<String>, line: &str) {
    let line = secret::cut(line).map_or_else(|| line.to_owned(), |(line, _)| line);
    if log.len() == LINES {
        log.pop_front();
    }
    log.push_back(line.chars().take(LINE).collect());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_cannot_be_read_is_not_done() {
        let upid = "UPID:pve1:00002578:00074193:6B012E72:qmstart:104:root@pam!t1:";
        let of = |text: &str| task_of(Product::Pve, &json!(text));
        assert_eq!(of(upid).unwrap().unwrap().to_string(), upid);
        assert!(of("UPID:pve1:a new form").is_err());
        let remote = format!("pve:east!{upid}");
        assert!(of(&remote).is_err());
        let task = task_of(Product::Datacenter, &json!(remote)).unwrap().unwrap();
        assert_eq!(task.to_string(), remote);
        for done in [json!(null), json!("100"), json!({ "upid": upid }), json!(5)] {
            assert!(task_of(Product::Datacenter, &done).unwrap().is_none(), "{done}");
        }
    }
}
