//! One task: a call of a tool, from its message to its answer, for whoever asked for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::a2a::{Artifact, Message, Part, Role, Task as Shown, TaskState, TaskStatus};
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::policy::{Share, Sight};
use crate::text::shortened;

/// How long what a task came to is kept.
pub const KEPT: Duration = Duration::from_secs(15 * 60);
/// Characters of what a task says of itself.
const LONGEST: usize = 2_000;
/// A task has one artifact: what the tool answered.
const ANSWER: &str = "answer";

/// What a message asked for, and its id: a hash of each.
pub type Ask = (u64, u64);

pub struct Task {
    pub id: String,
    pub context: String,
    pub tool: String,
    /// Where asking twice must not do it twice.
    pub asked: Option<Ask>,
    /// The message that asked, where it is a question ([`super::verdict::only_asks`]).
    pub message: Option<Message>,
    /// The sender takes text, and no JSON.
    pub plain: bool,
    /// What its owner saw when it was made; none: nothing but `status`.
    pub sight: Option<Sight>,
    pub stop: CancellationToken,
    now: watch::Sender<Now>,
    /// What of the node's room it takes: a place, and bytes for its answer.
    room: Mutex<(Share, Share)>,
}

/// How it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Now {
    pub state: TaskState,
    pub said: Option<String>,
    pub answer: Option<Arc<Value>>,
    /// What it waits for: `plan_id`, `expires`, `because`, `by`.
    pub about: Option<Arc<Value>>,
    /// Of the state, in milliseconds since 1970.
    pub at: i64,
    pub ended: Option<Instant>,
}

impl Now {
    pub fn new(state: TaskState) -> Self {
        let at = jiff::Timestamp::now().as_millisecond();
        let ended = state.is_terminal().then(Instant::now);
        Self { state, said: None, answer: None, about: None, at, ended }
    }

    pub fn saying(self, said: impl Into<String>) -> Self {
        Self { said: Some(shortened(&said.into(), LONGEST)), ..self }
    }

    pub fn answering(self, answer: Value) -> Self {
        Self { answer: Some(Arc::new(answer)), ..self }
    }

    pub fn is_over(&self) -> bool {
        self.state.is_terminal()
    }

    /// Whether it goes on only once somebody has done something.
    pub fn is_interrupted(&self) -> bool {
        matches!(self.state, TaskState::InputRequired | TaskState::AuthRequired)
    }
}

impl Task {
    pub fn new(context: String, tool: &str, stop: CancellationToken, place: Share, bytes: Share) -> Self {
        let now = watch::Sender::new(Now::new(TaskState::Working));
        let (id, tool) = (::a2a::new_task_id(), shortened(tool, 64));
        let room = Mutex::new((place, bytes));
        Self { id, context, tool, asked: None, message: None, plain: false, sight: None, stop, now, room }
    }

    pub fn now(&self) -> Now {
        self.now.borrow().clone()
    }

    pub fn watch(&self) -> watch::Receiver<Now> {
        self.now.subscribe()
    }

    /// From now on it stands like this. What has ended stays as it ended; false then.
    pub fn stand(&self, next: Now) -> bool {
        self.now.send_if_modified(|now| {
            let may = !now.is_over();
            if may {
                *now = next;
            }
            may
        })
    }

    /// Takes room for an answer of so many bytes; false where there is no more.
    pub fn take(&self, bytes: usize) -> bool {
        self.room.lock().unwrap_or_else(PoisonError::into_inner).1.resize(bytes).is_ok()
    }

    /// The plan of which this is the task, while it waits for a person's yes.
    pub fn waiting_plan(&self) -> Option<String> {
        let now = self.now();
        let about = now.about.as_ref().filter(|_| self.tool == "plan" && now.is_interrupted())?;
        about["plan_id"].as_str().map(str::to_owned)
    }

    /// Stops listening. What was begun on the node goes on; false where it had ended before.
    pub fn cancel(&self) -> bool {
        self.cancel_saying(match self.tool.as_str() {
            "apply" => {
                "cancelled: a change that had begun goes on, and its receipt says how it ended (skill audit)"
            }
            _ => "cancelled: nobody waits for it any more",
        })
    }

    pub fn cancel_saying(&self, said: &str) -> bool {
        let canceled = self.stand(Now::new(TaskState::Canceled).saying(said));
        self.stop.cancel();
        canceled
    }

    /// Whether it ended so long ago that it is forgotten.
    pub fn is_old(&self, now: Instant) -> bool {
        self.now.borrow().ended.is_some_and(|ended| now >= ended + KEPT)
    }

    /// Its end; none while it goes on.
    pub fn ended(&self) -> Option<Instant> {
        self.now.borrow().ended
    }

    /// How it stands once it has ended, or goes on only once somebody has done something.
    pub async fn settled(&self) -> Now {
        let mut watch = self.watch();
        match watch.wait_for(|now| now.is_over() || now.is_interrupted()).await {
            Ok(now) => now.clone(),
            Err(_) => self.now(),
        }
    }

    /// As the specification has it, with `history` messages at most.
    pub fn shown(&self, now: &Now, history: Option<u64>) -> Shown {
        let message = self.message.clone().filter(|_| history != Some(0));
        let history = message.map(|message| {
            let (context_id, task_id) = (Some(self.context.clone()), Some(self.id.clone()));
            vec![Message { context_id, task_id, ..message }]
        });
        Shown {
            id: self.id.clone(),
            context_id: self.context.clone(),
            status: self.status(now),
            artifacts: now.answer.as_deref().map(|answer| vec![self.artifact(answer)]),
            history,
            metadata: about(now),
        }
    }

    pub fn status(&self, now: &Now) -> TaskStatus {
        let message = now.said.as_ref().map(|said| Message {
            message_id: format!("{}-{}", self.id, now.at),
            context_id: Some(self.context.clone()),
            task_id: Some(self.id.clone()),
            ..Message::new(Role::Agent, vec![Part::text(said)])
        });
        let timestamp: Option<DateTime<Utc>> = DateTime::from_timestamp_millis(now.at);
        TaskStatus { state: now.state.clone(), message, timestamp }
    }

    pub fn artifact(&self, answer: &Value) -> Artifact {
        let part = match self.plain {
            true => Part::text(answer.to_string()).with_media_type("text/plain"),
            false => Part::data(answer.clone()).with_media_type("application/json"),
        };
        Artifact {
            artifact_id: ANSWER.into(),
            name: Some(self.tool.clone()),
            description: None,
            parts: vec![part],
            metadata: None,
            extensions: None,
        }
    }
}

/// What it waits for, as metadata.
pub fn about(now: &Now) -> Option<HashMap<String, Value>> {
    let about = now.about.as_deref()?.as_object()?;
    Some(about.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
}
