//! One session of the made-up server.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use provost::tools::Session;
use rmcp::ErrorData;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams, CompleteRequestParams,
    CompleteResult, CompletionInfo, ContentBlock, CreateMessageRequestParams, ElicitRequestParams,
    GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult, JsonObject, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, LoggingLevel,
    LoggingMessageNotificationParam, PaginatedRequestParams, ProgressNotificationParam,
    ReadResourceRequestParams, ReadResourceResponse, SamplingMessage, ServerCapabilities, ServerConfig,
    SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
    UpdateTaskParams,
};
use rmcp::service::{RequestContext, RoleServer, SubscriptionContext};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::rounds::{self, Brought};
use crate::said::said;
use crate::tasks::{self, tasks};

/// Between two words of a tool's, as the runner asks for: they reach the client one by one.
const BETWEEN: Duration = Duration::from_millis(50);
/// For who is cut off to come back before the answer. It may as well come later.
const TO_RETURN: Duration = Duration::from_millis(300);

pub struct MadeUp {
    level: Mutex<LoggingLevel>,
    watched: Mutex<HashSet<String>>,
}

/// What the door has for whoever showed a token; here it is not asked for anything.
impl From<Session> for MadeUp {
    fn from(_: Session) -> Self {
        Self { level: Mutex::new(LoggingLevel::Debug), watched: Mutex::default() }
    }
}

type Context = RequestContext<RoleServer>;

/// What is another than it was, as somebody made believe: to all who listen.
#[derive(Clone, Copy)]
enum Changed {
    Tools,
    Prompts,
}

fn changes() -> &'static broadcast::Sender<Changed> {
    static CHANGES: LazyLock<broadcast::Sender<Changed>> = LazyLock::new(|| broadcast::channel(16).0);
    &CHANGES
}

impl MadeUp {
    async fn log(&self, context: &Context) -> Result<String, ErrorData> {
        // Who wants to hear of worse alone hears none of it.
        let wanted = matches!(*lock(&self.level), LoggingLevel::Debug | LoggingLevel::Info);
        for line in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
            if wanted {
                let line = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(line));
                context.peer.notify_logging_message(line).await.map_err(failed)?;
            }
            tokio::time::sleep(BETWEEN).await;
        }
        Ok("three lines were logged".into())
    }
}

async fn progress(context: &Context) -> Result<String, ErrorData> {
    for percent in [0.0, 50.0, 100.0] {
        if let Some(token) = context.meta.get_progress_token() {
            let so_far = ProgressNotificationParam::new(token, percent).with_total(100.0);
            context.peer.notify_progress(so_far).await.map_err(failed)?;
        }
        tokio::time::sleep(BETWEEN).await;
    }
    Ok("it is done".into())
}

async fn sample(context: &Context, prompt: &str) -> Result<String, ErrorData> {
    let asked = CreateMessageRequestParams::new(vec![SamplingMessage::user_text(prompt)], 100);
    let result = context.peer.create_message(asked).await.map_err(failed)?;
    let text = result.message.content.first().and_then(|content| content.as_text().cloned());
    Ok(format!("LLM response: {}", text.map(|text| text.text).unwrap_or_default()))
}

async fn elicit(context: &Context, message: &str, question: &Value) -> Result<String, ErrorData> {
    let schema = serde_json::from_value(question.clone());
    let requested_schema = schema.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    let asked =
        ElicitRequestParams::FormElicitationParams { meta: None, message: message.into(), requested_schema };
    let given = context.peer.create_elicitation(asked).await.map_err(failed)?;
    Ok(format!("User response: {}", json!({ "action": given.action, "content": given.content })))
}

fn told(changed: Changed) -> String {
    // How many listen: none may.
    format!("{} were told", changes().send(changed).unwrap_or_default())
}

fn failed(error: impl std::fmt::Display) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ServerHandler for MadeUp {
    fn get_info(&self) -> ServerConfig {
        let can = ServerCapabilities::builder()
            .enable_completions()
            .enable_logging()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_tasks();
        ServerConfig::new(can.build())
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(said().tools.clone()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        said().tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        asked: CallToolRequestParams,
        context: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        if let Some(answer) = said().answer(&asked.name) {
            return Ok(answer.into());
        }
        let can = context.client_capabilities().unwrap_or_default();
        let (responses, state) = (asked.input_responses.as_ref(), asked.request_state.as_deref());
        if let Some(questions) = rounds::ask(&asked.name, &Brought { responses, state, can: &can })? {
            return Ok(questions.into());
        }
        let arguments = asked.arguments.unwrap_or_default();
        if let Some(answer) = tasks::call(&asked.name, &arguments, responses, &can).await? {
            return Ok(answer);
        }
        let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
        let answer = match (&*asked.name, said().questions.get(&*asked.name)) {
            (_, Some(question)) => elicit(&context, text("message"), question).await?,
            ("test_sampling", _) => sample(&context, text("prompt")).await?,
            ("test_tool_with_logging", _) => self.log(&context).await?,
            ("test_tool_with_progress", _) => progress(&context).await?,
            ("test_reconnection", _) => {
                tokio::time::sleep(TO_RETURN).await;
                "you are back".into()
            }
            ("test_custom_header", _) => text("value").to_owned(),
            ("greet", _) => format!("Hello, {}!", text("name")),
            ("test_logging_tool", _) => {
                if let Some(level) = context.meta.log_level() {
                    let line = LoggingMessageNotificationParam::new(level, json!("somebody listens"));
                    context.peer.notify_logging_message(line).await.map_err(failed)?;
                }
                "it was logged, if at all".into()
            }
            ("test_trigger_tool_change", _) => told(Changed::Tools),
            ("test_trigger_prompt_change", _) => told(Changed::Prompts),
            (name, _) if said().rounds.contains_key(name) => "it was told what it asked for: state-ok".into(),
            _ => return Err(ErrorData::invalid_params("there is no such tool", None)),
        };
        Ok(CallToolResult::success(vec![ContentBlock::text(answer)]).into())
    }

    async fn list_resources(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(said().resources.clone()))
    }

    async fn list_resource_templates(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(said().templates.clone()))
    }

    async fn read_resource(
        &self,
        asked: ReadResourceRequestParams,
        _context: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        said().contents(&asked.uri).map(Into::into)
    }

    fn accepted_subscription_filter(&self, wanted: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(wanted.supported_by(&self.get_info().capabilities))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = changes().subscribe();
        loop {
            let changed = tokio::select! {
                changed = changes.recv() => changed.map_err(failed)?,
                () = context.cancelled() => return Ok(()),
            };
            // What this one did not ask for is not sent, and said to be none of theirs.
            let _ = match changed {
                Changed::Tools => context.sink().notify_tool_list_changed().await,
                Changed::Prompts => context.sink().notify_prompt_list_changed().await,
            };
        }
    }

    async fn subscribe(&self, asked: SubscribeRequestParams, _context: Context) -> Result<(), ErrorData> {
        lock(&self.watched).insert(asked.uri);
        Ok(())
    }

    /// What was subscribed to in an earlier request of the same session, and nothing else.
    async fn unsubscribe(&self, asked: UnsubscribeRequestParams, _context: Context) -> Result<(), ErrorData> {
        match lock(&self.watched).remove(&asked.uri) {
            true => Ok(()),
            false => Err(ErrorData::invalid_params("nobody has subscribed to that", None)),
        }
    }

    async fn get_task(&self, asked: GetTaskParams, _context: Context) -> Result<GetTaskResult, ErrorData> {
        Ok(GetTaskResult::new(tasks().get_task(&asked.task_id)?))
    }

    async fn update_task(&self, given: UpdateTaskParams, _context: Context) -> Result<(), ErrorData> {
        tasks().update_task(&given.task_id, given.input_responses)
    }

    async fn cancel_task(&self, asked: CancelTaskParams, _context: Context) -> Result<(), ErrorData> {
        tasks().cancel_task(&asked.task_id)
    }

    async fn list_prompts(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(said().prompts.clone()))
    }

    async fn get_prompt(
        &self,
        asked: GetPromptRequestParams,
        context: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        let can = context.client_capabilities().unwrap_or_default();
        let (responses, state) = (asked.input_responses.as_ref(), asked.request_state.as_deref());
        if let Some(questions) = rounds::ask(&asked.name, &Brought { responses, state, can: &can })? {
            return Ok(questions.into());
        }
        let arguments: JsonObject = asked.arguments.unwrap_or_default();
        said().messages(&asked.name, &arguments).map(Into::into)
    }

    async fn complete(
        &self,
        _asked: CompleteRequestParams,
        _context: Context,
    ) -> Result<CompleteResult, ErrorData> {
        let values = ["paris", "park", "party"].map(str::to_owned).to_vec();
        Ok(CompleteResult::new(CompletionInfo::new(values).map_err(failed)?))
    }

    async fn set_level(&self, asked: SetLevelRequestParams, _context: Context) -> Result<(), ErrorData> {
        *lock(&self.level) = asked.level;
        Ok(())
    }
}
