//! The MCP face of the fleet: what a client sees is one node's, with one argument more.

use std::sync::Arc;
use std::time::Duration;

use rmcp::ErrorData;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequest, CompleteRequestParams,
    CompleteResult, CompletionInfo, CustomRequest, CustomResult, GetPromptRequestParams, GetPromptResponse,
    GetTaskParams, GetTaskResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
    ListToolsResult, PaginatedRequestParams, ProgressNotificationParam, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, RequestMetaObject, ServerConfig, ServerResult, Tool,
    UpdateTaskParams,
};
use rmcp::service::{RequestContext, RoleServer};
use tokio::sync::{Semaphore, watch};

use super::answer::Said;
use super::client::offered;
use super::front::{Asked, Front};
use super::route::{About, Otherwise, Target};
use super::{list, resources, tasks};
use crate::text::brief;
use crate::tools::face::{Failure, greeting, is_name, misread, no_such_tool, prompts, schema};

/// Calls that may be under way.
const MOST_CALLS: usize = 1024;
/// Notifications of one call's progress come no closer than this.
const APART: Duration = Duration::from_millis(50);
/// What a client that does not read is given for the last of them.
const LAST: Duration = Duration::from_secs(1);

pub struct Face {
    front: Arc<Front>,
    calls: Semaphore,
}

impl Face {
    pub fn new(front: Arc<Front>) -> Self {
        Self { front, calls: Semaphore::new(MOST_CALLS) }
    }

    /// What is passed on of a request's own data: who asks, and what they can.
    fn meta(context: &RequestContext<RoleServer>) -> RequestMetaObject {
        let mut meta = RequestMetaObject::new();
        if let Some(version) = context.meta.protocol_version() {
            meta.set_protocol_version(version);
        }
        if let Some(client) = context.meta.client_info() {
            meta.set_client_info(client);
        }
        if let Some(capabilities) = context.meta.client_capabilities() {
            meta.set_client_capabilities(offered(capabilities));
        }
        meta
    }
}

/// Until the client takes it back.
async fn unless_cancelled<T>(
    context: &RequestContext<RoleServer>,
    work: impl Future<Output = Result<T, ErrorData>>,
) -> Result<T, ErrorData> {
    tokio::select! {
        done = work => done,
        () = context.ct.cancelled() => Err(ErrorData::internal_error("cancelled", None)),
    }
}

/// Passes a call's progress on, in order, the newest where the client is slow; all of it before the answer.
struct Telling {
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Telling {
    fn of(context: &RequestContext<RoleServer>) -> (Option<super::ears::Progress>, Self) {
        let Some(token) = context.meta.get_progress_token() else { return (None, Self { task: None }) };
        let (tell, mut told) = watch::channel(None::<ProgressNotificationParam>);
        let peer = context.peer.clone();
        let task = tokio::spawn(async move {
            while told.changed().await.is_ok() {
                let Some(mut params) = told.borrow_and_update().clone() else { continue };
                params.progress_token = token.clone();
                params.message = params.message.map(|message| brief(&message, 500));
                params.meta = None;
                if peer.notify_progress(params).await.is_err() {
                    return;
                }
                tokio::time::sleep(APART).await;
            }
        });
        (Some(tell), Self { task: Some(task) })
    }

    async fn end(mut self) {
        if let Some(mut task) = self.task.take()
            && tokio::time::timeout(LAST, &mut task).await.is_err()
        {
            task.abort();
        }
    }
}

impl ServerHandler for Face {
    fn get_info(&self) -> ServerConfig {
        let groups: Vec<String> = self.front.fleet.groups.keys().cloned().collect();
        greeting::with(list::instructions(&self.front.names, &groups))
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(misread::refused(request))
    }

    async fn list_tools(
        &self,
        page: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        misread::only_page(page)?;
        self.front.client.seen(&context);
        Ok(ListToolsResult::with_all_items(list::tools()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        list::tools().into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        asked: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.front.client.seen(&context);
        let Some(tool) = schema::name(&asked.name) else {
            return Err((&no_such_tool(&asked.name, &list::tools())).into());
        };
        let Ok(_place) = self.calls.try_acquire() else {
            let message = format!("{MOST_CALLS} calls are under way");
            let failure = Failure::new("busy", message, "wait for some to end");
            return Ok(Said::failure(&failure).result().into());
        };
        let (progress, telling) = Telling::of(&context);
        let asked = Asked {
            tool,
            args: asked.arguments.unwrap_or_default(),
            responses: asked.input_responses,
            state: asked.request_state,
            meta: Self::meta(&context),
            progress,
        };
        let answer = unless_cancelled(&context, Box::pin(self.front.call(asked))).await;
        telling.end().await;
        answer
    }

    async fn get_task(
        &self,
        asked: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.front.client.seen(&context);
        unless_cancelled(&context, tasks::get(&self.front, asked, Self::meta(&context))).await
    }

    async fn update_task(
        &self,
        given: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.front.client.seen(&context);
        unless_cancelled(&context, tasks::update(&self.front, given, Self::meta(&context))).await
    }

    async fn cancel_task(
        &self,
        asked: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.front.client.seen(&context);
        unless_cancelled(&context, tasks::cancel(&self.front, asked, Self::meta(&context))).await
    }

    async fn complete(
        &self,
        asked: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        self.front.client.seen(&context);
        if asked.argument.name == "host" {
            let names = self.front.names.iter().map(|name| name.to_string());
            let names = names.chain(self.front.fleet.groups.keys().cloned());
            return Ok(completions(names.filter(|name| name.starts_with(&asked.argument.value)).collect()));
        }
        unless_cancelled(&context, async {
            let about = About { otherwise: Otherwise::EachDomain, ..About::default() };
            let groups = match self.front.target(&about, &self.front.all()).await {
                Ok((Target::Each(groups), _)) => groups,
                Ok((Target::One(places), _)) => vec![places],
                Err(_) => Vec::new(),
            };
            let request = rmcp::model::ClientRequest::CompleteRequest(CompleteRequest::new(asked));
            let answers = self.front.requests(groups, request, Self::meta(&context)).await;
            let values = answers.into_iter().filter_map(|(_, answer)| match answer {
                Ok(ServerResult::CompleteResult(result)) => Some(result.completion.values),
                _ => None,
            });
            // As of a node's own: anything else is text in a name's place.
            Ok(completions(values.flatten().filter(|value| is_name(value)).collect()))
        })
        .await
    }

    async fn list_prompts(
        &self,
        page: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        misread::only_page(page)?;
        self.front.client.seen(&context);
        // They are about nodes and guests.
        let all = if self.front.surveyor.may_have_guests() { prompts::list() } else { Vec::new() };
        Ok(ListPromptsResult::with_all_items(all))
    }

    /// This program's own words: a host's would be an instruction.
    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        self.front.client.seen(&context);
        prompts::get(&request.name, &request.arguments.unwrap_or_default()).map(Into::into)
    }

    async fn list_resources(
        &self,
        page: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        misread::only_page(page)?;
        self.front.client.seen(&context);
        Ok(ListResourcesResult::with_all_items(list::resources()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        self.front.client.seen(&context);
        let read = resources::read(&self.front, &request.uri, Self::meta(&context));
        let contents = unless_cancelled(&context, read).await?;
        Ok(ReadResourceResult::new(vec![contents]).into())
    }

    async fn list_resource_templates(
        &self,
        page: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        misread::only_page(page)?;
        self.front.client.seen(&context);
        Ok(ListResourceTemplatesResult::with_all_items(list::templates()))
    }
}

fn completions(mut values: Vec<String>) -> CompleteResult {
    let mut seen = std::collections::HashSet::new();
    values.retain(|value| seen.insert(value.clone()));
    let total = u32::try_from(values.len()).unwrap_or(u32::MAX);
    let more = values.len() > CompletionInfo::MAX_VALUES;
    values.truncate(CompletionInfo::MAX_VALUES);
    CompleteResult::new(CompletionInfo::with_pagination(values, Some(total), more).unwrap_or_default())
}
