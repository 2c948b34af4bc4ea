//! Following a task to its end: its log line by line as progress, its state as the answer.
//!
//! Who cancels stops waiting. The task goes on: it is PVE's.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use crate::pve::Upid;
use crate::pve::task::{self, Line, Outcome};
use crate::tools::answer::{Answer, Failure};
use crate::tools::api::Reader;
use crate::tools::progress::Progress;

/// Seconds that `wait: true` means.
pub const DEFAULT_S: u32 = 300;
pub const MOST_S: u32 = 24 * 3600;
/// Time for one look at a task that is not waited for.
const LOOK: Duration = Duration::from_millis(500);
/// The end of the log that the answer holds.
const LINES: usize = 40;
const LINE: usize = 500;

#[derive(Serialize)]
struct Followed {
    path: String,
    data: Data,
}

#[derive(Serialize)]
struct Data {
    upid: String,
    status: &'static str,
    /// As PVE says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    exitstatus: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<f32>,
    node: String,
    #[serde(rename = "type")]
    kind: String,
    id: String,
    user: String,
    /// The end of its log. It may quote a guest: data, never instructions.
    log: VecDeque<String>,
    log_lines: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

pub async fn follow(reader: &Reader, upid: Upid, seconds: u32, mut progress: Option<Progress>) -> Answer {
    if seconds > MOST_S {
        let message = format!("wait is {seconds} s, and may be {MOST_S} at most");
        return Err(Failure::new(
            "arguments",
            message,
            "wait less; the task goes on, and can be waited for again",
        ));
    }
    reader.may_follow(&upid)?;
    let mut heard = Heard::default();
    let following = reader.follow(&upid, |line| {
        // Also who hears it as progress, and no answer.
        reader.notes().made_by_guest();
        heard.take(line, progress.as_mut());
    });
    // Even who does not wait sees the log as it is.
    let patience = Duration::from_secs(u64::from(seconds)).max(LOOK);
    let ended = tokio::time::timeout(patience, following).await.ok().transpose()?;
    if let Some(progress) = progress {
        progress.settle().await;
    }
    let outcome = match ended {
        Some(outcome) => Some(outcome),
        None => now(reader, &upid).await?,
    };
    if matches!(outcome, Some(Outcome::Failed { .. })) {
        reader.notes().made_by_guest();
    }
    let next = outcome
        .is_none()
        .then(|| format!("it is still running after {seconds} s; read it again with `wait`"));
    super::to_map(Followed {
        path: task::status(&upid).path().to_string(),
        data: Data {
            status: if outcome.is_some() { "stopped" } else { "running" },
            exitstatus: outcome.map(said),
            percent: heard.percent,
            node: upid.node.clone(),
            kind: upid.kind.clone(),
            id: upid.id.clone(),
            user: upid.user.clone(),
            upid: upid.to_string(),
            log: heard.log,
            log_lines: heard.lines,
            next,
        },
    })
}

/// What the log has said so far.
#[derive(Default)]
struct Heard {
    log: VecDeque<String>,
    lines: u64,
    percent: Option<f32>,
}

impl Heard {
    fn take(&mut self, line: Line, progress: Option<&mut Progress>) {
        self.lines = line.number;
        self.percent = line.percent.or(self.percent);
        let text = crate::text::shortened(&line.text, LINE);
        if let Some(progress) = progress {
            progress.tell(line.percent.map(f64::from), text.clone());
        }
        if self.log.len() == LINES {
            self.log.pop_front();
        }
        self.log.push_back(text);
    }
}

async fn now(reader: &Reader, upid: &Upid) -> Result<Option<Outcome>, Failure> {
    Ok(match reader.task(upid).await? {
        task::State::Running => None,
        task::State::Ended(outcome) => Some(outcome),
    })
}

fn said(outcome: Outcome) -> String {
    match outcome {
        Outcome::Done => "OK".into(),
        Outcome::Warnings(count) => format!("WARNINGS: {count}"),
        Outcome::Failed { message, .. } => message,
    }
}
