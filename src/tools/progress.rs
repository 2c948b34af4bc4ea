//! What a client hears of a call while it runs: MCP progress, or the message of an MCP task.
//!
//! A client that reads slowly gets fewer notifications, not a queue of them, and none after the answer.

use std::time::{Duration, Instant};

use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext, RoleServer};
use rmcp::task_manager::TaskContext;
use tokio::task::JoinHandle;

/// Notifications come no closer than this; of what is said between, the newest counts.
const APART: Duration = Duration::from_millis(100);
const LONGEST: usize = 500;

pub struct Progress {
    to: To,
    done: Rising,
    /// Of the whole, as it was said last.
    percent: Option<f64>,
    pending: Option<String>,
    told: Option<Instant>,
    in_flight: Option<JoinHandle<()>>,
}

/// Progress as MCP wants it: each number is higher than the one before. A call of several parts comes to a hundred percent
/// several times, so that a hundred is left to its answer.
#[derive(Default)]
struct Rising {
    done: f64,
    sent: f64,
}

impl Rising {
    const MOST: f64 = 99.0;
    const STEP: f64 = 0.001;

    fn tell(&mut self, percent: Option<f64>) {
        self.done = match percent.map(|percent| percent.min(Self::MOST)) {
            Some(percent) if percent > self.done => percent,
            _ => self.done + Self::STEP,
        };
    }

    /// The number of the next notification; none that would not be higher.
    fn next(&mut self) -> Option<f64> {
        let done = self.done.min(100.0);
        (done > self.sent).then(|| {
            self.sent = done;
            done
        })
    }
}

enum To {
    Call { peer: Peer<RoleServer>, token: ProgressToken },
    Task(TaskContext),
}

impl Progress {
    /// None when the client did not ask for progress.
    pub fn of(context: &RequestContext<RoleServer>) -> Option<Self> {
        let token = context.meta.get_progress_token()?;
        Some(Self::to(To::Call { peer: context.peer.clone(), token }))
    }

    pub fn of_task(task: TaskContext) -> Self {
        Self::to(To::Task(task))
    }

    fn to(to: To) -> Self {
        Self { to, done: Rising::default(), percent: None, pending: None, told: None, in_flight: None }
    }

    /// `percent` of the whole, where anybody knows it. Progress never goes back, as MCP wants.
    pub fn tell(&mut self, percent: Option<f64>, message: String) {
        self.done.tell(percent);
        self.percent = percent.or(self.percent);
        self.pending = Some(crate::text::shortened(&message, LONGEST));
        if self.told.is_none_or(|told| told.elapsed() >= APART) && !self.is_busy() {
            self.send();
        }
    }

    fn send(&mut self) {
        let Some(message) = self.pending.take() else { return };
        self.told = Some(Instant::now());
        match &self.to {
            To::Task(task) => task.set_status_message(match self.percent {
                Some(percent) => format!("{percent:.0} %: {message}"),
                None => message,
            }),
            To::Call { peer, token } => {
                let Some(done) = self.done.next() else { return };
                let notification = ProgressNotificationParam::new(token.clone(), done)
                    .with_total(100.0)
                    .with_message(message);
                let peer = peer.clone();
                // A client that is gone is noticed elsewhere.
                let sending = async move { drop(peer.notify_progress(notification).await) };
                self.in_flight = Some(tokio::spawn(sending));
            }
        }
    }

    fn is_busy(&self) -> bool {
        self.in_flight.as_ref().is_some_and(|sending| !sending.is_finished())
    }

    /// Lets the newest go out: none may follow the answer. A client that does not read is waited for a second.
    pub async fn settle(mut self) {
        let flush = async {
            if let Some(sending) = self.in_flight.take() {
                let _ = sending.await;
            }
            self.send();
            if let Some(sending) = self.in_flight.take() {
                let _ = sending.await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(1), flush).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_higher_than_the_one_before_also_after_a_first_whole() {
        let (mut rising, mut last) = (Rising::default(), 0.0);
        for percent in [None, Some(40.0), Some(100.0), Some(0.0), Some(50.0), Some(100.0), None, Some(100.0)]
        {
            rising.tell(percent);
            let next = rising.next().expect("there is room left");
            assert!(next > last && next < 100.0, "{last} {next}");
            last = next;
        }
        (0..2_000).for_each(|_| rising.tell(None));
        assert_eq!((rising.next(), rising.next()), (Some(100.0), None));
    }
}
