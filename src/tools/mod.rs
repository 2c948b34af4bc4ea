//! The MCP face: what a client sees, one file a tool.
//!
//! In: calls with the principal of their session. Out: structured answers, and the same as JSON text for clients from
//! before structured content. It decides nothing: [`crate::policy`] does, and its permits are what the acting rooms
//! take. It must never let what a guest wrote reach a client uncleaned.

mod answer;
mod api;
mod apply;
pub mod audit;
mod complete;
mod diagnose;
mod exec;
mod files;
mod find;
pub(crate) mod greeting;
mod guests;
mod health;
mod host;
mod limit;
mod meter;
pub(crate) mod misread;
mod operator;
mod owed;
mod pipes;
mod plan;
mod progress;
pub(crate) mod prompts;
mod read;
pub mod record;
pub(crate) mod resources;
pub(crate) mod schema;
mod status;
pub(crate) mod taint;
mod tasks;
mod vm;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use answer::Answer;
use progress::Progress;
use record::{Call, Desk, Visit};

use rmcp::ErrorData;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult,
    CustomRequest, CustomResult, GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult,
    JsonObject, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResult, ServerConfig, TaskPayload, Tool,
    UpdateTaskParams,
};
use rmcp::service::{RequestContext, RoleServer};

pub use owed::Owed;
pub use schema::{answer_schema, failure_schema, tools};

/// What every node says alike of itself, for who stands before many of them.
#[cfg(feature = "cli")]
pub(crate) mod face {
    pub(crate) use super::answer::{Failure, no_such_tool};
    pub(crate) use super::apply::question;
    pub(crate) use super::complete::is_name;
    pub(crate) use super::{greeting, misread, prompts, resources, schema, taint};
}

use crate::catalog::find::Finders;
use crate::estate::Keeper;
#[cfg(test)]
use crate::ledger::Options;
use crate::ledger::resolve::resolve;
use crate::ledger::{Ledger, Receipt};
use crate::plan::blast::{Sources, World};
use crate::policy::{Machines, Members, Policy, Principal, Rules, Supply};
use crate::pve::{AddressError, Client};

/// What every session shares.
pub struct Provost {
    /// Decides, by the configuration that is in force: ask it anew for each call.
    pub policy: Arc<Policy>,
    /// What the cluster's files say.
    estate: Arc<Keeper>,
    /// The node's API. Whoever asks takes a handle with no more than their own rights: [`Provost::reader`].
    client: Client,
    catalog: api::Catalogue,
    finders: Arc<Finders>,
    tasks: tasks::Tasks,
    /// Where every call leaves its receipt.
    pub desk: Arc<Desk>,
    /// The plans that wait, and the changes that are being made.
    planning: crate::plan::Desk,
    /// What binds a person's answer to what was asked.
    seal: apply::ask::Seal,
    auditor: audit::Auditor,
    /// What was asked for on the node itself.
    hosts: host::Desk,
    /// What is kept of replaced files.
    files: Arc<files::Desk>,
    /// Commands that may run now.
    turns: Arc<exec::Turns>,
    /// Which virtual machine is behind a CID.
    pub machines: Machines,
    /// Kilobytes of arguments and input that the calls under way may hold.
    pub(crate) input: Arc<Supply>,
    /// Whether PVE answered lately.
    pulse: health::Pulse,
    #[cfg(test)]
    _dir: Option<tempfile::TempDir>,
}

const MOST_INPUT_KB: usize = 64 << 10;

/// Why there is nothing to serve.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error("the thread that reads the cluster's configuration cannot be started: {0}")]
    Keeper(#[source] std::io::Error),
}

impl Provost {
    /// What `[pve]` says counts from here on to the end: another address or file takes a restart.
    pub fn new(rules: Rules, ledger: Ledger) -> Result<Self, NotMade> {
        let pve = &rules.now().pve;
        let finders = Arc::<Finders>::default();
        let client = Client::new(pve.into())?;
        let keeper = Keeper::start(Sources::new(&pve.etc_pve, &client)).map_err(NotMade::Keeper)?;
        let keeper = Arc::new(keeper);
        let world = World::new(keeper.clone(), Some(client.clone()));
        Ok(Self {
            planning: crate::plan::Desk::new(world, ledger.clone(), finders.clone(), Default::default()),
            hosts: host::Desk::new(host::limits()),
            seal: apply::ask::Seal::default(),
            files: Arc::new(files::Desk::beside(ledger.place().dir())),
            desk: Desk::new(ledger),
            auditor: audit::Auditor::default(),
            client,
            catalog: api::Catalogue::of(&rules.now()),
            finders,
            policy: Arc::new(Policy::new(rules).with_members(Members::new(keeper.clone()))),
            machines: Machines::new(keeper.clone()),
            estate: keeper,
            tasks: tasks::Tasks::default(),
            turns: Arc::default(),
            input: Supply::halves(MOST_INPUT_KB),
            pulse: health::Pulse::default(),
            #[cfg(test)]
            _dir: None,
        })
    }

    /// Goes on seeing what roles' pools and tags stand for, so that a call which takes its time is judged by them too.
    pub async fn follow_members(&self) {
        const EVERY: Duration = Duration::from_secs(3);
        loop {
            self.policy.look_around().await;
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Ends what is under way, and waits until all of it has left its receipts. Sessions have ended before.
    pub async fn close(&self) {
        /// Enough for a disk that is slow; one that hangs is not waited for.
        const PATIENCE: Duration = Duration::from_secs(5);
        self.tasks.end();
        self.desk.settle(PATIENCE).await;
        self.planning.settle(PATIENCE).await;
    }

    /// Finds out what became of changes that were being made when the daemon before this one ended. To be polled before the
    /// first session is.
    pub async fn resolve_changes(&self) {
        let ledger = &self.desk.ledger;
        let open = ledger.status().open_intents;
        let file = async |intent: &Receipt| Box::pin(files::resolve::fate(self, intent)).await;
        // Most starts find none, and then the catalogue is not read for it.
        let eyes = std::sync::LazyLock::new(|| crate::plan::Eyes::new(&self.client, self.catalog.now()));
        let call = async |intent: &Receipt| crate::apply::resolve::fate(&eyes, intent).await;
        // A call's task may go on for hours, a file's end is known in seconds.
        let (files, calls) = tokio::join!(resolve(ledger, &open, file), resolve(ledger, &open, call));
        for resolved in [files, calls] {
            match resolved {
                Ok(0) => {}
                Ok(closed) => tracing::warn!(closed, "changes were being made when the daemon ended"),
                Err(error) => tracing::error!("{error}"),
            }
        }
    }

    /// With a log that goes with the test.
    #[cfg(test)]
    pub fn for_tests(rules: Rules) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(Options::new(dir.path())).unwrap();
        Self { _dir: Some(dir), ..Self::new(rules, ledger).unwrap() }
    }
}

/// One client's session.
pub struct Session {
    provost: Arc<Provost>,
    principal: Principal,
    owed: Owed,
    visit: Arc<Visit>,
    /// What was said last of a catalogue that is not the node's own.
    said: Mutex<Option<api::Problem>>,
    /// Where no transport of ours begins and ends what is owed.
    over_http: Option<OverHttp>,
}

/// What a session holds that no connection holds for it.
pub struct OverHttp {
    /// Calls that may be under way: one goes on though its request was given up.
    pub calls: Arc<Supply>,
}

impl Session {
    pub fn new(provost: Arc<Provost>, principal: Principal, owed: Owed) -> Self {
        let visit = Visit::new(&provost.desk, principal.clone());
        Self { provost, principal, owed, visit, said: Mutex::default(), over_http: None }
    }

    /// One of several sessions that are one visit, as those of a token are.
    pub fn of_visit(
        provost: Arc<Provost>,
        principal: Principal,
        visit: Arc<Visit>,
        over_http: OverHttp,
    ) -> Self {
        let (owed, said) = (Owed::default(), Mutex::default());
        Self { provost, principal, owed, visit, said, over_http: Some(over_http) }
    }

    /// What records the session itself.
    pub fn visit(&self) -> Arc<Visit> {
        self.visit.clone()
    }

    /// Says with the first answer that stands on it, and again when it changes, that the catalogue is not the node's own.
    fn noting_the_catalogue(&self, answer: Answer) -> Answer {
        let mut answer = answer?;
        let problem = self.provost.catalog.problem();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(problem) = problem.as_ref().filter(|problem| said.as_ref() != Some(problem)) {
            let before = answer.get("note").and_then(|note| note.as_str()).map(|note| format!("{note}. "));
            answer.insert("note".into(), (before.unwrap_or_default() + &problem.note()).into());
        }
        *said = problem;
        Ok(answer)
    }
}

impl Session {
    /// For clients that know tasks: a wait of minutes holds no request open.
    fn read_as_task(&self, arguments: JsonObject, call: Call) -> Result<CallToolResponse, ErrorData> {
        // Who may not read gets no handle to keep.
        let sight = match self.provost.policy.read(&self.principal) {
            Ok(sight) => sight,
            Err(denied) => return Ok(call.answer(Err(denied.into())).into()),
        };
        let room = match self.provost.tasks.room(&self.principal, sight, read::patience(&arguments)) {
            Ok(room) => room,
            Err(busy) => return Ok(call.answer(Err(busy)).into()),
        };
        let (provost, principal) = (self.provost.clone(), self.principal.clone());
        let task = room.start(move |context| {
            Box::pin(async move {
                let progress = Progress::of_task(context.clone());
                let notes = call.notes().clone();
                let reading = read::call(&provost, &principal, arguments, Some(progress), &notes);
                // A call that is cancelled leaves its receipt by being dropped.
                tasks::until_cancelled(&context, reading).await.map(|answer| call.answer(answer))
            })
        });
        Ok(CallToolResponse::Task(task))
    }

    /// What is about to be served, on record from here on.
    fn begin(
        &self,
        tool: Option<&'static str>,
        args: Option<&JsonObject>,
        context: &RequestContext<RoleServer>,
    ) -> Call {
        if context.meta.get(taint::ELSEWHERE) == Some(&true.into()) {
            self.visit.taint().mark();
        }
        self.visit.call(&self.provost.policy.rules, tool, args, context)
    }
}

/// Whether the client can take a handle in place of an answer. The tasks extension begins with the revision that has no
/// handshake: who declares it in an earlier one, as the MCP Inspector does, would take a handle for an empty answer.
fn knows_tasks(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|revision| !revision.has_initialize())
        && context.client_capabilities().is_some_and(|capabilities| capabilities.supports_tasks())
}

impl ServerHandler for Session {
    fn get_info(&self) -> ServerConfig {
        greeting::with(greeting::of(self.provost.catalog.product()))
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
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        misread::only_page(page)?;
        Ok(ListToolsResult::with_all_items(schema::tools()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        schema::tools().into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        asked: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.provost.policy.look_around().await;
        // Over HTTP nobody else holds what a call holds.
        let _owed = match &self.over_http {
            Some(http) => {
                let share = http.calls.take(self.principal.payer(), 1).map_err(|_| owed::too_many())?;
                Some(self.owed.hold(&context.id, share).ok_or_else(owed::same_id)?)
            }
            None => None,
        };
        let arguments = asked.arguments.unwrap_or_default();
        let Some(tool) = schema::name(&asked.name) else {
            let call = self.begin(None, None, &context);
            return Err(call.refuse(&answer::no_such_tool(&asked.name, &schema::tools())));
        };
        // What a command is given, or a file, may hold anything: its own receipt takes what may be kept.
        let kept = files::recordable(tool, &arguments);
        let args = (tool != "exec").then_some(kept.as_ref().unwrap_or(&arguments));
        let mut call = self.begin(Some(tool), args, &context);
        let notes = call.notes().clone();
        let (provost, principal) = (&self.provost, &self.principal);
        // Each by itself on the heap: otherwise a call takes as much as the largest of them would.
        let answer = match tool {
            "read" if knows_tasks(&context) && read::waits(&arguments) => {
                return self.read_as_task(arguments, call);
            }
            "file_get" => {
                Box::pin(files::get(provost, principal, arguments, &self.owed, &context, &mut call)).await
            }
            "file_put" => {
                Box::pin(files::put(provost, principal, arguments, &self.owed, &context, &mut call)).await
            }
            "apply" => {
                let answers =
                    apply::ask::Given { responses: asked.input_responses, state: asked.request_state };
                return Ok(Box::pin(apply::call(
                    provost, principal, arguments, answers, call, &self.owed, &context,
                ))
                .await);
            }
            "read" => {
                let progress = Progress::of(&context);
                let read = Box::pin(read::call(provost, principal, arguments, progress, &notes));
                tokio::select! {
                    answer = read => answer,
                    // What was to be read goes on without anybody who listens.
                    () = context.ct.cancelled() => Err(answer::no_longer_wanted()),
                }
            }
            "find" => find::call(provost, principal, arguments, &notes),
            "exec" => {
                Box::pin(exec::call(provost, principal, arguments, &self.owed, &context, &mut call)).await
            }
            "diagnose" => {
                // The command in the container leaves a receipt of its own.
                let command = || self.begin(Some("diagnose"), None, &context);
                let told =
                    Box::pin(diagnose::call(provost, principal, arguments, command, &notes, &context.ct));
                tokio::select! {
                    answer = told => answer,
                    () = context.ct.cancelled() => Err(answer::no_longer_wanted()),
                }
            }
            "plan" => Box::pin(plan::call(provost, principal, arguments, &mut call)).await,
            "audit" => Box::pin(audit::call(provost, principal, arguments, &notes, &context.ct)).await,
            _ => status::call(provost, principal, &arguments, notes.is_tainted()),
        };
        let answer = match tool {
            "find" | "read" => self.noting_the_catalogue(answer),
            _ => answer,
        };
        Ok(call.answer(answer).into())
    }

    async fn get_task(
        &self,
        asked: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.provost.policy.look_around().await;
        // What is withheld is on record, as it would be had it been asked for anew.
        let call = || self.begin(Some("read"), None, &context);
        let told = self.provost.tasks.get(&self.provost.policy, &self.principal, &asked.task_id, call)?;
        if told.task.task.status_message.is_some()
            || matches!(told.task.payload, TaskPayload::Completed { .. })
        {
            // Of a task's log, whichever of the user's sessions began it.
            self.visit.taint().mark();
        }
        Ok(told)
    }

    async fn update_task(
        &self,
        given: UpdateTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.provost.tasks.update(&self.principal, &given.task_id, given.input_responses)
    }

    async fn cancel_task(
        &self,
        asked: CancelTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.provost.tasks.cancel(&self.principal, &asked.task_id)
    }

    async fn complete(
        &self,
        asked: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        self.provost.policy.look_around().await;
        let args =
            JsonObject::from_iter([(asked.argument.name.clone(), asked.argument.value.clone().into())]);
        let rules = &self.provost.policy.rules;
        let call = self.visit.glance(rules, "complete", &args, &context);
        Box::pin(complete::complete(&self.provost, &self.principal, &asked, call)).await
    }

    async fn list_prompts(
        &self,
        page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        misread::only_page(page)?;
        // They are about nodes and guests.
        let all = if self.provost.catalog.product().has_guests() { prompts::list() } else { Vec::new() };
        Ok(ListPromptsResult::with_all_items(all))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        prompts::get(&request.name, &request.arguments.unwrap_or_default()).map(Into::into)
    }

    async fn list_resources(
        &self,
        page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        misread::only_page(page)?;
        Ok(ListResourcesResult::with_all_items(resources::list(self.provost.catalog.product())))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<rmcp::model::ReadResourceResponse, ErrorData> {
        self.provost.policy.look_around().await;
        let args = JsonObject::from_iter([("uri".to_owned(), request.uri.clone().into())]);
        let call = self.visit.glance(&self.provost.policy.rules, "resource", &args, &context);
        let read = Box::pin(resources::read(&self.provost, &self.principal, &request.uri, call));
        tokio::select! {
            contents = read => {
                contents.map(|contents| ReadResourceResult::new(vec![contents]).into())
            }
            () = context.ct.cancelled() => Err(ErrorData::internal_error("cancelled", None)),
        }
    }

    async fn list_resource_templates(
        &self,
        page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        misread::only_page(page)?;
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates(self.provost.catalog.product())))
    }
}
