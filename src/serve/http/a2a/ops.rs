//! The operations, whichever way they were asked for.
//!
//! In: an operation with its request, in the form of 1.0, from whoever showed a token. Out: its answer, or a task to follow.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use ::a2a::{A2AError, ListTasksResponse, SendMessageResponse, TaskState, error_code};
use serde::Serialize;
use serde_json::{Value, json};

use super::errors::{busy, error, no_push, no_task, unsupported, wrong};
use super::gate::Gate;
use super::stream::Follow;
use super::task::{Ask, Now, Task};
use super::wish::{self, Asked, Said, Wish};
use super::{run, verdict};
use crate::serve::http::Door;
use crate::serve::http::callers::Caller;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Send,
    Stream,
    Get,
    List,
    Cancel,
    Subscribe,
    /// Any of those for push notifications.
    Push,
    Card,
}

pub enum Told {
    Whole(Value),
    Follow(Box<Follow>),
}

/// Who asks, and by which client.
pub struct Asker {
    pub caller: Arc<Caller>,
    pub agent: String,
    gate: Gate,
}

impl Asker {
    pub fn new(door: &Door, caller: Arc<Caller>, agent: String) -> Self {
        let gate = Gate::new(door.provost.clone(), caller.principal.clone());
        Self { caller, agent, gate }
    }

    /// Everything but the card, which the door has.
    pub async fn carry(&self, op: Op, params: &Value) -> Result<Told, A2AError> {
        self.caller.policy().look_around().await;
        match op {
            Op::Send => {
                let asked = wish::read(params)?;
                let at_once = asked.at_once;
                let most = history(params.get("configuration").unwrap_or(&Value::Null))?;
                let task = self.take(asked)?;
                if !at_once {
                    task.settled().await;
                }
                whole(SendMessageResponse::Task(task.shown(&self.gate.look(&task), most)))
            }
            Op::Stream => {
                // Before anything begins.
                let (asked, share) = (wish::read(params)?, self.caller.stream().map_err(busy)?);
                let task = self.take(asked)?;
                Ok(Told::Follow(Box::new(Follow::of(task, self.gate.clone(), false, share))))
            }
            Op::Get => {
                let task = self.named(params)?;
                let most = history(params)?;
                whole(task.shown(&self.gate.look(&task), most))
            }
            Op::Cancel => {
                let task = self.named(params)?;
                let canceled = match task.waiting_plan() {
                    Some(plan) => self.withdraw(&task, &plan).await,
                    None => task.cancel(),
                };
                if !canceled {
                    let message = "the task has ended";
                    return Err(error(error_code::TASK_NOT_CANCELABLE, "ended", message, ""));
                }
                whole(task.shown(&self.gate.look(&task), None))
            }
            Op::Subscribe => {
                let task = self.named(params)?;
                if task.now().is_over() {
                    return Err(unsupported("the task has ended", "GetTask tells what came of it"));
                }
                let share = self.caller.stream().map_err(busy)?;
                self.gate.look(&task);
                Ok(Told::Follow(Box::new(Follow::of(task, self.gate.clone(), true, share))))
            }
            Op::List => self.list(params),
            Op::Push => Err(no_push()),
            Op::Card => Err(unsupported("the card is the door's to give", "")),
        }
    }

    /// Begins what a message asks for, or looks at the task that it goes to.
    fn take(&self, asked: Asked) -> Result<Arc<Task>, A2AError> {
        if let Some(id) = &asked.task {
            return self.again(id, asked.context.as_deref());
        }
        let wish = match asked.said {
            Said::Wish(wish) => wish,
            Said::Nothing(error) => return Err(error),
        };
        let book = &self.caller.tasks;
        let asked_for = (!verdict::only_reads(&wish.tool)).then(|| ask(&asked.message_id, &wish));
        if let Some(made) = book.made(asked_for)? {
            return Ok(made);
        }
        let mut task = book.open(asked.context, &wish.tool, self.caller.stop().child_token())?;
        task.asked = asked_for;
        task.message = asked.message.filter(|_| verdict::only_asks(&wish.tool));
        task.plain = asked.plain;
        task.sight = self.gate.sight();
        let task = Arc::new(task);
        if let Some(made) = book.keep(&task)? {
            return Ok(made);
        }
        run::start(self.caller.clone(), task.clone(), wish, self.agent.clone());
        Ok(task)
    }

    /// A message to a task that waits for a person: nothing that a client says is that person's yes.
    fn again(&self, id: &str, context: Option<&str>) -> Result<Arc<Task>, A2AError> {
        let task = self.caller.tasks.get(id).ok_or_else(no_task)?;
        if context.is_some_and(|context| context != task.context) {
            return Err(wrong("message.contextId", "the task is of another context"));
        }
        let now = task.now();
        if now.is_over() {
            return Err(unsupported("the task has ended", "send a message without its taskId"));
        }
        if !now.is_interrupted() {
            return Err(unsupported(
                "the task is at work, and takes nothing more",
                "wait for it, or cancel it",
            ));
        }
        Ok(task)
    }

    /// Cancels the task of a plan that waits for a yes: what its asker does not want any more is not to be approved. False where
    /// somebody's answer was first.
    async fn withdraw(&self, task: &Task, plan: &str) -> bool {
        match self.gate.withdraw(plan).await {
            // The task may have heard of it first, and says the same.
            Some(Ok(())) => {
                task.cancel_saying(&verdict::withdrawn(plan));
                true
            }
            Some(Err(unrecorded)) => task.cancel_saying(&format!(
                "cancelled; plan {plan} is not withdrawn, as that cannot be recorded ({unrecorded}): it waits on until it expires"
            )),
            None => task.cancel(),
        }
    }

    fn named(&self, params: &Value) -> Result<Arc<Task>, A2AError> {
        let id = params.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| wrong("id", "a task's id is needed"))?;
        self.caller.tasks.get(id).ok_or_else(no_task)
    }

    fn list(&self, params: &Value) -> Result<Told, A2AError> {
        const MOST: i64 = 100;
        let text = |name: &str| match params.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(wrong(name, "it is text")),
        };
        let size = match params.get("pageSize") {
            None | Some(Value::Null) => 50,
            Some(size) => match size.as_i64().filter(|size| (1..=MOST).contains(size)) {
                Some(size) => size,
                None => return Err(wrong("pageSize", "it is from 1 to 100")),
            },
        };
        let most = history(params)?;
        let state = match text("status")? {
            None | Some("TASK_STATE_UNSPECIFIED") => None,
            Some(name) => {
                let state = serde_json::from_value::<TaskState>(json!(name));
                Some(state.map_err(|_| wrong("status", "there is no such state"))?)
            }
        };
        let after = match text("statusTimestampAfter")? {
            None => None,
            Some(time) => {
                let time = time.parse::<jiff::Timestamp>();
                Some(
                    time.map_err(|_| wrong("statusTimestampAfter", "it is a time by RFC 3339"))?
                        .as_millisecond(),
                )
            }
        };
        let context = text("contextId")?;
        let page = text("pageToken")?;
        let with_answers = match params.get("includeArtifacts") {
            None | Some(Value::Null) => false,
            Some(truth) => truth.as_bool().ok_or_else(|| wrong("includeArtifacts", "it is true or false"))?,
        };
        // The latest first; of one moment, in the order of their ids.
        let key = |(task, now): &(Arc<Task>, Now)| (-now.at, task.id.clone());
        let mut all: Vec<(Arc<Task>, Now)> = self
            .caller
            .tasks
            .all()
            .into_iter()
            .map(|task| {
                let now = task.now();
                (task, now)
            })
            .filter(|(task, now)| {
                context.is_none_or(|context| context == task.context)
                    && state.as_ref().is_none_or(|state| *state == now.state)
                    && after.is_none_or(|after| now.at >= after)
            })
            .collect();
        all.sort_by_key(key);
        let total = all.len();
        if let Some(token) = page {
            let last =
                token.split_once('.').and_then(|(at, id)| Some((-at.parse::<i64>().ok()?, id.to_owned())));
            let last = last.ok_or_else(|| wrong("pageToken", "it is as the page before gave it"))?;
            all.retain(|one| key(one) > last);
        }
        let size = size as usize;
        let more = all.len() > size;
        all.truncate(size);
        let next = all.last().filter(|_| more).map(|(task, now)| format!("{}.{}", now.at, task.id));
        // One receipt, however many are withheld.
        let _ = all.iter().any(|(task, _)| self.gate.record(task));
        let tasks = all.iter().map(|(task, now)| {
            let mut shown = task.shown(&self.gate.seen(task, now.clone()), most);
            if !with_answers {
                shown.artifacts = None;
            }
            shown
        });
        let told = ListTasksResponse {
            tasks: tasks.collect(),
            next_page_token: next.unwrap_or_default(),
            page_size: size as i32,
            total_size: total as i32,
        };
        whole(told)
    }
}

/// How many messages of a task are wanted at most.
fn history(params: &Value) -> Result<Option<u64>, A2AError> {
    match params.get("historyLength") {
        None | Some(Value::Null) => Ok(None),
        Some(length) => length.as_u64().map(Some).ok_or_else(|| wrong("historyLength", "it is not negative")),
    }
}

fn whole(told: impl Serialize) -> Result<Told, A2AError> {
    let written = serde_json::to_value(told);
    written.map(Told::Whole).map_err(|_| A2AError::internal("the answer cannot be written as JSON"))
}

fn ask(message_id: &str, wish: &Wish) -> Ask {
    (hash(message_id), hash((&wish.tool, json!(wish.arguments).to_string())))
}

fn hash(of: impl Hash) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
