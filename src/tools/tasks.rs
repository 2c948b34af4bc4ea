//! MCP tasks: a client that knows them gets a handle for what takes long, and asks for it again when it likes.
//!
//! A handle belongs to the user who got it, over any of their connections; to others it does not exist.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rmcp::model::{CreateTaskResult, Task};
use rmcp::task_manager::{TaskContext, TaskExit, TaskFuture, TaskManager, TaskOptions};

use super::answer::Failure;
use crate::policy::Principal;

/// Handles of one user that may be under way.
const MOST: usize = 64;
/// How long a handle lives, and its result after it.
const LIFE_MS: u64 = 24 * 3600 * 1000;
const POLL_MS: u64 = 1_000;

/// A manager for each uid.
#[derive(Default)]
pub struct Tasks(Mutex<HashMap<u32, TaskManager>>);

impl Tasks {
    pub fn of(&self, principal: &Principal) -> TaskManager {
        // A panic elsewhere cannot leave the map half changed.
        let mut managers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        managers.entry(principal.uid()).or_default().clone()
    }
}

impl Tasks {
    /// Ends what is under way: the daemon stops.
    pub fn end(&self) {
        let managers = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        managers.into_values().for_each(|manager| manager.shutdown());
    }
}

/// Whether one more may be under way.
pub fn room(manager: &TaskManager) -> Result<(), Failure> {
    if manager.running_task_count() >= MOST {
        let message = format!("{MOST} tasks of yours are under way");
        return Err(Failure::new("busy", message, "wait for some to end, or cancel some"));
    }
    Ok(())
}

/// Starts `work` as a task.
pub fn start(manager: &TaskManager, work: impl FnOnce(TaskContext) -> TaskFuture) -> CreateTaskResult {
    let options = TaskOptions::new().with_ttl_ms(LIFE_MS).with_poll_interval_ms(POLL_MS);
    let task: Task = manager.spawn(options, work);
    CreateTaskResult::new(task)
}

/// `work` until it is done or its task is cancelled.
pub async fn until_cancelled<T>(context: &TaskContext, work: impl Future<Output = T>) -> Result<T, TaskExit> {
    tokio::select! {
        done = work => Ok(done),
        () = context.cancelled() => Err(TaskExit::Cancelled),
    }
}
