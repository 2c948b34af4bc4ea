//! The tasks and contexts of one token: nobody else's request reaches them, and they end with it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ::a2a::A2AError;
use tokio_util::sync::CancellationToken;

use super::errors::{busy, unsupported, wrong};
use super::task::{Ask, KEPT, Task};
use crate::account::Account;
use crate::policy::{Share, Spent, Supply};

/// Tasks of one token that may be under way.
const MOST_RUNNING: usize = 64;
/// Contexts of one token; the one that was not used for longest gives way.
const MOST_CONTEXTS: usize = 256;
/// Messages of one token that are known to be done when what came of them is kept no more.
const MOST_DONE: usize = 1024;
/// A context that nobody has used for so long is not known any more.
const IDLE: Duration = Duration::from_secs(24 * 3600);

/// What the node has for tasks of all tokens.
pub struct Shelf {
    tasks: Arc<Supply>,
    /// Bytes of answers, as JSON.
    answers: Arc<Supply>,
}

impl Default for Shelf {
    fn default() -> Self {
        Self { tasks: Supply::new(1024, 128), answers: Supply::new(16 << 20, 2 << 20) }
    }
}

pub struct Book {
    owner: Account,
    shelf: Arc<Shelf>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The oldest first.
    tasks: Vec<Arc<Task>>,
    /// The one that was used last comes last.
    contexts: VecDeque<(String, Instant)>,
    /// What was asked by messages whose task had to make room, and when that ended. The oldest first.
    done: VecDeque<(Ask, Instant)>,
}

impl Book {
    pub fn new(owner: Account, shelf: Arc<Shelf>) -> Self {
        Self { owner, shelf, kept: Mutex::default() }
    }

    /// A task in `context`, or in a new one. What a client makes up is no context: it may take its own word for one in which
    /// less was read.
    pub fn open(
        &self,
        context: Option<String>,
        tool: &str,
        stop: CancellationToken,
    ) -> Result<Task, A2AError> {
        let mut kept = self.kept();
        kept.tidy(Instant::now());
        if kept.tasks.iter().filter(|task| task.ended().is_none()).count() >= MOST_RUNNING {
            return Err(busy(format!("{MOST_RUNNING} tasks of yours are under way; cancel some, or wait")));
        }
        let context = match context {
            Some(context) => kept.find(context)?,
            None => kept.begin(),
        };
        let place = self.place(&mut kept)?;
        Ok(Task::new(context, tool, stop, place, self.shelf.answers.none(self.owner)))
    }

    fn place(&self, kept: &mut Kept) -> Result<Share, A2AError> {
        loop {
            match self.shelf.tasks.take(self.owner, 1) {
                Ok(place) => return Ok(place),
                Err(_) if kept.forget_oldest() => {}
                Err(Spent::Own) => return Err(busy("as many tasks of yours as are kept are under way")),
                Err(Spent::All) => return Err(busy("as many tasks as this node keeps are others'")),
            }
        }
    }

    /// The task that this very message has made already, as when it is sent again after a connection that broke.
    pub fn made(&self, asked: Option<Ask>) -> Result<Option<Arc<Task>>, A2AError> {
        let mut kept = self.kept();
        kept.tidy(Instant::now());
        kept.made(asked)
    }

    /// Keeps a task, to be begun; or gives the one that its message has made meanwhile.
    pub fn keep(&self, task: &Arc<Task>) -> Result<Option<Arc<Task>>, A2AError> {
        let mut kept = self.kept();
        let made = kept.made(task.asked)?;
        if made.is_none() {
            kept.tasks.push(task.clone());
        }
        Ok(made)
    }

    /// Makes room for a task's answer. One for which there is none is not kept: who waits for it gets it, and nobody later.
    pub fn weigh(&self, task: &Task, bytes: usize) {
        // With what it keeps of its message, at most.
        let bytes = bytes + task.message.as_ref().map_or(0, |_| super::wish::LONGEST_KEPT);
        let mut kept = self.kept();
        while !task.take(bytes) {
            if !kept.forget_oldest() {
                if let Some(at) = kept.tasks.iter().position(|kept| kept.id == task.id) {
                    kept.forget(at, Instant::now());
                }
                return;
            }
        }
    }

    pub fn get(&self, id: &str) -> Option<Arc<Task>> {
        let mut kept = self.kept();
        kept.tidy(Instant::now());
        kept.tasks.iter().find(|task| task.id == id).cloned()
    }

    /// All, in no order.
    pub fn all(&self) -> Vec<Arc<Task>> {
        let mut kept = self.kept();
        kept.tidy(Instant::now());
        kept.tasks.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing that is done under the lock leaves it half-way.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn tidy(&mut self, now: Instant) {
        self.tasks.retain(|task| !task.is_old(now));
        self.contexts.retain(|(_, used)| now < *used + IDLE);
        self.done.retain(|(_, ended)| now < *ended + KEPT);
    }

    fn made(&self, asked: Option<Ask>) -> Result<Option<Arc<Task>>, A2AError> {
        let Some(asked) = asked else { return Ok(None) };
        if self.done.iter().any(|(done, _)| *done == asked) {
            let message = "what this message asks for was done, and what came of it is kept no more";
            return Err(unsupported(
                message,
                "skill audit tells; to have it done again, send a new messageId",
            ));
        }
        Ok(self.tasks.iter().find(|task| task.asked == Some(asked)).cloned())
    }

    fn forget(&mut self, at: usize, ended: Instant) {
        if let Some(asked) = self.tasks.remove(at).asked {
            if self.done.len() == MOST_DONE {
                self.done.pop_front();
            }
            self.done.push_back((asked, ended));
        }
    }

    /// Forgets what ended first; false when nothing has.
    fn forget_oldest(&mut self) -> bool {
        let ended = self.tasks.iter().enumerate().filter_map(|(at, task)| Some((task.ended()?, at)));
        match ended.min() {
            Some((ended, at)) => {
                self.forget(at, ended);
                true
            }
            None => false,
        }
    }

    fn begin(&mut self) -> String {
        while self.contexts.len() >= MOST_CONTEXTS {
            self.contexts.pop_front();
        }
        let id = ::a2a::new_context_id();
        self.contexts.push_back((id.clone(), Instant::now()));
        id
    }

    fn find(&mut self, id: String) -> Result<String, A2AError> {
        let at = self.contexts.iter().position(|(known, _)| *known == id);
        let Some(at) = at else {
            return Err(wrong(
                "message.contextId",
                "there is no such context of yours; begin one by a message without it",
            ));
        };
        self.contexts.remove(at);
        self.contexts.push_back((id.clone(), Instant::now()));
        Ok(id)
    }
}
