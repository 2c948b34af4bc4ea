//! A task as it goes on, event by event (Server-Sent Events).
//!
//! A client that reads slowly gets fewer events, not a queue of them; the answer and the end it always gets.

use std::sync::Arc;
use std::time::Duration;

use ::a2a::{StreamResponse, TaskArtifactUpdateEvent, TaskStatusUpdateEvent};
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use hyper::Response;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use tokio::sync::watch;

use super::gate::Gate;
use super::task::{Now, Task, about};
use crate::policy::Share;
use crate::serve::http::answer::Answer;

/// A comment goes out after so long, so that nobody between takes the connection for dead.
const QUIET: Duration = Duration::from_secs(15);

/// One event, and whether it is the last.
pub struct Event {
    pub told: StreamResponse,
    pub last: bool,
}

pub struct Follow {
    task: Arc<Task>,
    gate: Gate,
    watch: watch::Receiver<Now>,
    /// Goes on while somebody has to do something, to the end of the task.
    to_end: bool,
    sent: Option<Now>,
    _share: Share,
}

impl Follow {
    /// `share` is of the streams of all.
    pub fn of(task: Arc<Task>, gate: Gate, to_end: bool, share: Share) -> Self {
        let watch = task.watch();
        Self { task, gate, watch, to_end, sent: None, _share: share }
    }

    /// What has happened since; none once it is over.
    async fn next(&mut self) -> Vec<Event> {
        let sent = match self.sent.clone() {
            None => {
                let now = self.gate.seen(&self.task, self.watch.borrow_and_update().clone());
                let event =
                    Event { told: StreamResponse::Task(self.task.shown(&now, None)), last: self.ends(&now) };
                self.sent = Some(now);
                return vec![event];
            }
            Some(sent) if self.ends(&sent) => return Vec::new(),
            Some(sent) => sent,
        };
        loop {
            if self.watch.changed().await.is_err() {
                return Vec::new();
            }
            let now = self.gate.seen(&self.task, self.watch.borrow_and_update().clone());
            let events = self.between(&sent, &now);
            if !events.is_empty() {
                self.sent = Some(now);
                return events;
            }
        }
    }

    fn ends(&self, now: &Now) -> bool {
        now.is_over() || (now.is_interrupted() && !self.to_end)
    }

    fn between(&self, sent: &Now, now: &Now) -> Vec<Event> {
        let (task_id, context_id) = (self.task.id.clone(), self.task.context.clone());
        let mut events = Vec::new();
        if let Some(answer) = now.answer.as_deref().filter(|_| sent.answer != now.answer) {
            let told = StreamResponse::ArtifactUpdate(TaskArtifactUpdateEvent {
                task_id: task_id.clone(),
                context_id: context_id.clone(),
                artifact: self.task.artifact(answer),
                append: Some(false),
                last_chunk: Some(true),
                metadata: None,
            });
            events.push(Event { told, last: false });
        }
        if (&sent.state, &sent.said) != (&now.state, &now.said) {
            let status = self.task.status(now);
            let told = TaskStatusUpdateEvent { task_id, context_id, status, metadata: about(now) };
            events.push(Event { told: StreamResponse::StatusUpdate(told), last: self.ends(now) });
        }
        events
    }

    /// As an answer; `text` writes one event.
    pub fn answer(self, text: impl Fn(Event) -> String + Send + 'static) -> Answer {
        let (sender, body) = Channel::<Bytes>::new(4);
        tokio::spawn(tell(self, sender, text));
        let mut answer = Response::new(body.boxed_unsync());
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        answer
    }
}

async fn tell(mut follow: Follow, mut sender: Sender<Bytes>, text: impl Fn(Event) -> String) {
    loop {
        let frame = match tokio::time::timeout(QUIET, follow.next()).await {
            Err(_) => Bytes::from_static(b":\n\n"),
            Ok(events) if events.is_empty() => return,
            Ok(events) => events
                .into_iter()
                .map(|event| format!("data: {}\n\n", text(event)))
                .collect::<String>()
                .into(),
        };
        // Nobody reads any more.
        if sender.send_data(frame).await.is_err() {
            return;
        }
    }
}
