//! Tools that go on as tasks, for clients that know of tasks.

use std::sync::LazyLock;
use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{
    CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, CreateTaskResult, InputRequests,
    InputResponses, JsonObject,
};
use rmcp::task_manager::{TaskContext, TaskExit, TaskManager, TaskOptions};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::said::said;

/// Those that are nothing but a task.
const ALWAYS: [&str; 4] = ["failing_job", "confirm_delete", "multi_input", "test_tool_with_task"];
/// A while, in which a client can see that a task is under way.
const A_WHILE: Duration = Duration::from_millis(500);

/// Of all sessions: each request has one of its own.
pub fn tasks() -> &'static TaskManager {
    static TASKS: LazyLock<TaskManager> = LazyLock::new(TaskManager::new);
    &TASKS
}

/// None: no tool of this kind has that name.
pub async fn call(
    tool: &str,
    arguments: &JsonObject,
    given: Option<&InputResponses>,
    can: &ClientCapabilities,
) -> Result<Option<CallToolResponse>, ErrorData> {
    let seconds = arguments.get("seconds").and_then(Value::as_f64).unwrap_or_default();
    let long = Duration::from_secs_f64(seconds.clamp(0.0, 3600.0));
    match tool {
        _ if ALWAYS.contains(&tool) && !can.supports_tasks() => {
            let tasks = ClientCapabilities::builder().enable_tasks().build();
            return Err(ErrorData::missing_required_client_capability(tasks));
        }
        "slow_compute" if !can.supports_tasks() => {
            tokio::time::sleep(long).await;
            return Ok(Some(text("computed").into()));
        }
        "slow_compute" | "protocol_error_job" => {}
        _ if ALWAYS.contains(&tool) => {}
        _ => return Ok(None),
    }
    let (name, given) = (tool.to_owned(), json!(given).to_string());
    let asks = said().asks.get(tool);
    let task = tasks().spawn(TaskOptions::default(), move |context| {
        Box::pin(async move {
            match (&*name, asks) {
                (_, Some(asked)) => answers(&context, asked).await.map(|given| text(&given.to_string())),
                // What was asked before it was a task.
                ("test_tool_with_task", _) => Ok(text(&given)),
                ("failing_job", _) => {
                    tokio::time::sleep(A_WHILE).await;
                    Ok(CallToolResult::error(vec![ContentBlock::text("it fails, as it should")]))
                }
                ("protocol_error_job", _) => {
                    tokio::time::sleep(A_WHILE).await;
                    Err(ErrorData::internal_error("it breaks, as it should", None).into())
                }
                _ => tokio::select! {
                    () = context.cancelled() => Err(TaskExit::Cancelled),
                    () = tokio::time::sleep(long) => Ok(text("computed")),
                },
            }
        })
    });
    Ok(Some(CreateTaskResult::new(task).into()))
}

/// Of all questions, asked at once.
async fn answers(context: &TaskContext, asked: &InputRequests) -> Result<Value, TaskExit> {
    let mut asking = JoinSet::new();
    for (key, request) in asked.clone() {
        let context = context.clone();
        asking.spawn(
            async move { context.request_input(key.clone(), request).await.map(|given| (key, given)) },
        );
    }
    let mut answers = JsonObject::new();
    while let Some(answered) = asking.join_next().await {
        let answered = answered.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        answers.extend([answered?]);
    }
    Ok(json!(answers))
}

fn text(text: &str) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}
