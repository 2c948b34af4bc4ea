//! MCP tasks: a client that knows them gets a handle for what takes long, and asks for it again when it likes.
//!
//! A handle belongs to the user who got it, over any of their connections; to others it does not exist. What it holds is
//! given out while the user's role is what it was when the handle was made. It must never keep more than its bounds.

mod store;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rmcp::ErrorData;
use rmcp::model::{
    CallToolResult, CreateTaskResult, DetailedTask, GetTaskResult, InputResponses, JsonObject, TaskPayload,
};
use rmcp::task_manager::{TaskContext, TaskExit, TaskFuture, TaskManager, TaskOptions};

use super::answer::Failure;
use super::record::Call;
use crate::account::Account;
use crate::policy::{Denied, Policy, Principal, Sight};
use store::{End, Handle, KEPT, MOST_RUNNING, Store};

const POLL_MS: u64 = 1_000;
/// Beyond what a task waits for, what it may take to say so.
const GRACE: Duration = Duration::from_secs(60);

/// Every handle of everybody.
#[derive(Default)]
pub struct Tasks(Arc<Mutex<Store>>);

/// Room for one more task. Only [`Tasks::room`] makes one.
pub struct Room {
    store: Arc<Mutex<Store>>,
    owner: Account,
    payer: Account,
    sight: Sight,
    wait: Duration,
}

impl Tasks {
    /// Room for a task that waits so long, for whoever sees so much.
    pub fn room(&self, principal: &Principal, sight: Sight, wait: Duration) -> Result<Room, Failure> {
        let (owner, payer) = (principal.account(), principal.payer());
        let mut store = lock(&self.0);
        store.tidy(Instant::now());
        if store.running(payer) >= MOST_RUNNING {
            let message = format!("{MOST_RUNNING} tasks of yours are under way");
            return Err(Failure::new("busy", message, "wait for some to end, or cancel some"));
        }
        if !store.make_room(payer) {
            let message = "as many tasks as this node keeps are under way";
            return Err(Failure::new("busy", message, "call again when some have ended"));
        }
        Ok(Room { store: self.0.clone(), owner, payer, sight, wait })
    }

    /// How a task stands. Who is in no role any more hears nothing of it, and who is in another, or in one that has
    /// changed, not what came of it.
    pub fn get(
        &self,
        policy: &Policy,
        principal: &Principal,
        id: &str,
        call: impl FnOnce() -> Call,
    ) -> Result<GetTaskResult, ErrorData> {
        let now = match policy.read(principal) {
            Ok(now) => now,
            Err(denied) => return Err(call().refuse(&denied.into())),
        };
        let (manager, same) = self.of(principal, id, |handle| handle.sight.is_as(&now))?;
        let mut task = manager.get_task(id)?;
        if !same {
            task.task.status_message = None;
            if matches!(task.payload, TaskPayload::Completed { .. } | TaskPayload::Failed { .. }) {
                task = DetailedTask::new(
                    task.task,
                    TaskPayload::Completed { result: withheld(call(), now.changed()) },
                );
            }
        }
        Ok(GetTaskResult::new(task))
    }

    pub fn update(&self, principal: &Principal, id: &str, given: InputResponses) -> Result<(), ErrorData> {
        self.of(principal, id, |_| ())?.0.update_task(id, given)
    }

    pub fn cancel(&self, principal: &Principal, id: &str) -> Result<(), ErrorData> {
        self.of(principal, id, |_| ())?.0.cancel_task(id)
    }

    /// The principal's own handle of this name.
    fn of<T>(
        &self,
        principal: &Principal,
        id: &str,
        see: impl FnOnce(&Handle) -> T,
    ) -> Result<(TaskManager, T), ErrorData> {
        let mut store = lock(&self.0);
        store.tidy(Instant::now());
        match store.get(principal.account(), id) {
            Some(handle) => Ok((handle.manager.clone(), see(handle))),
            // As the manager itself says it of what it does not have.
            None => Err(ErrorData::invalid_params("unknown task", None)),
        }
    }
}

impl Tasks {
    /// Ends what is under way: the daemon stops.
    pub fn end(&self) {
        lock(&self.0).end();
    }
}

impl Room {
    /// Starts `work` as a task.
    pub fn start(self, work: impl FnOnce(TaskContext) -> TaskFuture) -> CreateTaskResult {
        let Self { store, owner, payer, sight, wait } = self;
        let life = wait + GRACE;
        let ttl = u64::try_from((life + KEPT).as_millis()).unwrap_or(u64::MAX);
        let options = TaskOptions::new().with_ttl_ms(ttl).with_poll_interval_ms(POLL_MS);
        let end = End::default();
        let manager = TaskManager::new();
        let ends = (end.clone(), Arc::downgrade(&store));
        // Before anybody asks for it, and before it ends.
        let mut kept = lock(&store);
        let task = manager.spawn(options, move |context| {
            let work = work(context);
            Box::pin(async move {
                let (end, store) = ends;
                // Also when it is given up, or fails in a way that nobody foresaw.
                let ending = end.guard();
                let result = work.await;
                ending.with(size(&result));
                // Its result is there once this is over.
                tokio::spawn(async move {
                    tokio::task::yield_now().await;
                    store.upgrade().inspect(|store| lock(store).tidy(Instant::now()));
                    tokio::time::sleep(KEPT).await;
                    store.upgrade().inspect(|store| lock(store).tidy(Instant::now()));
                });
                result
            })
        });
        kept.put(
            task.task_id.clone(),
            Handle { owner, payer, manager, sight, until: Instant::now() + life, end },
        );
        CreateTaskResult::new(task)
    }
}

/// A panic elsewhere cannot leave it half changed.
fn lock(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

fn size(result: &Result<CallToolResult, TaskExit>) -> usize {
    result.as_ref().ok().and_then(|result| serde_json::to_string(result).ok()).map_or(0, |text| text.len())
}

fn withheld(call: Call, denied: Denied) -> JsonObject {
    match serde_json::to_value(call.answer(Err(denied.into()))) {
        Ok(serde_json::Value::Object(result)) => result,
        _ => JsonObject::new(),
    }
}

/// `work` until it is done or its task is cancelled.
pub async fn until_cancelled<T>(context: &TaskContext, work: impl Future<Output = T>) -> Result<T, TaskExit> {
    tokio::select! {
        done = work => Ok(done),
        () = context.cancelled() => Err(TaskExit::Cancelled),
    }
}
