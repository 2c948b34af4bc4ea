//! Tasks of hosts: a handle carries its host's name, so that it is asked about there and nowhere else.

use std::sync::Arc;

use rmcp::ErrorData;
use rmcp::model::{
    CallToolResult, CancelTaskParams, CancelTaskRequest, ClientRequest, DetailedTask, GetTaskParams,
    GetTaskRequest, GetTaskResult, JsonObject, RequestMetaObject, ServerResult, Task, TaskPayload,
    UpdateTaskParams, UpdateTaskRequest,
};
use serde_json::{Value, json};

use super::answer::{HOST, Said};
use super::calls::cleaned;
use super::client::cleaned_all;
use super::front::Front;
use super::made::TASK;
use super::places::Place;
use crate::text::brief;

/// Characters of a task's id, and of a time.
const MOST_ID: usize = 128;

/// A host's task, as the client sees it.
pub fn mark(front: &Front, place: Place, task: &mut Task) {
    task.task_id = front.with_name(place, &brief(&task.task_id, MOST_ID));
    for time in [&mut task.created_at, &mut task.last_updated_at] {
        *time = brief(time, MOST_ID);
    }
    if let Some(message) = &mut task.status_message {
        *message = brief(message, 500);
    }
}

pub async fn get(
    front: &Arc<Front>,
    mut asked: GetTaskParams,
    meta: RequestMetaObject,
) -> Result<GetTaskResult, ErrorData> {
    let place = own(front, &mut asked.task_id)?;
    let request = ClientRequest::GetTaskRequest(GetTaskRequest::new(asked));
    let ServerResult::GetTaskResult(told) = front.request(place, request, meta).await? else {
        return Err(strange(front, place));
    };
    let DetailedTask { mut task, payload, .. } = told.task;
    mark(front, place, &mut task);
    let payload = match payload {
        TaskPayload::Completed { result } => {
            // It may have been a change.
            front.surveyor.doubt(place);
            TaskPayload::Completed { result: result_of(front, place, result)? }
        }
        TaskPayload::InputRequired { input_requests } => {
            let asked = cleaned_all(&front.names[place], input_requests);
            TaskPayload::InputRequired { input_requests: asked.ok_or_else(|| strange(front, place))? }
        }
        TaskPayload::Failed { error } => {
            let refused = serde_json::from_value(Value::Object(error)).map_err(|_| strange(front, place))?;
            let mut error = json!(cleaned(&front.names[place], refused));
            error[HOST] = json!(&*front.names[place]);
            TaskPayload::Failed { error: object(error) }
        }
        other => other,
    };
    Ok(GetTaskResult::new(DetailedTask::new(task, payload)))
}

pub async fn update(
    front: &Arc<Front>,
    mut given: UpdateTaskParams,
    meta: RequestMetaObject,
) -> Result<(), ErrorData> {
    let place = own(front, &mut given.task_id)?;
    let request = ClientRequest::UpdateTaskRequest(UpdateTaskRequest::new(given));
    front.request(place, request, meta).await.map(drop)
}

pub async fn cancel(
    front: &Arc<Front>,
    mut asked: CancelTaskParams,
    meta: RequestMetaObject,
) -> Result<(), ErrorData> {
    let place = own(front, &mut asked.task_id)?;
    let request = ClientRequest::CancelTaskRequest(CancelTaskRequest::new(asked));
    front.request(place, request, meta).await.map(drop)
}

/// Whose task it is; its id becomes that host's own.
fn own(front: &Front, id: &mut String) -> Result<Place, ErrorData> {
    let (place, own) = front.by_name(id).ok_or_else(|| ErrorData::invalid_params("unknown task", None))?;
    *id = own.to_owned();
    Ok(place)
}

/// A tool's result in a task, as it would be in an answer.
fn result_of(front: &Front, place: Place, result: JsonObject) -> Result<JsonObject, ErrorData> {
    let result = serde_json::from_value::<CallToolResult>(Value::Object(result));
    let said = result.ok().and_then(|result| Said::of(&front.names[place], result).ok());
    let said = said.ok_or_else(|| strange(front, place))?;
    // Of a task's log.
    front.tainted.mark();
    front.made.note(TASK, place, &said).map_err(|_| strange(front, place))?;
    let result = serde_json::to_value(said.result()).map_err(|_| strange(front, place))?;
    Ok(object(result))
}

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    }
}

fn strange(front: &Front, place: Place) -> ErrorData {
    ErrorData::internal_error(
        format!("host {}: what it says of this task is no answer", front.names[place]),
        None,
    )
}
