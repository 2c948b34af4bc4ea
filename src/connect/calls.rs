//! A call on its way: to one host, or to one of each of many, and what each answers.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResponse, ClientRequest, ErrorCode, RequestMetaObject,
    ServerResult,
};

use super::answer::Said;
use super::client::cleaned_all;
use super::front::{Asked, Front};
use super::host::{Host, Standing, Wanted};
use super::many::{first, gather};
use super::merge::{self, Choice, Part};
use super::places::Place;
use super::trouble::Trouble;
use crate::tools::face::Failure;

/// Tools that any host of a cluster may answer in place of another that does not.
const READING: &[&str] = &["diagnose", "find", "plan", "read"];

enum Given {
    Said(Said),
    /// A question back, or a task's handle.
    Other(Box<CallToolResponse>),
}

enum Stopped {
    Trouble(Trouble),
    Refused(ErrorData),
}

impl From<Trouble> for Stopped {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl Front {
    /// One host, or where that cannot be reached the next of its cluster.
    pub(super) async fn one(
        self: &Arc<Self>,
        places: Vec<Place>,
        asked: Asked,
        note: Option<String>,
        by_guest: bool,
    ) -> Result<CallToolResponse, ErrorData> {
        let is_reading = READING.contains(&asked.tool);
        let mut trouble = None;
        let mut ordered = places;
        if ordered.len() > 1 && is_quick(&asked) {
            let (name, said) = self.clone().of_group(ordered, Arc::new(asked), &Choice::default()).await;
            let mut said = said.unwrap_or_else(|trouble| Said::failure(&trouble.failure(&name)));
            if by_guest && said.is_error {
                self.doubt(&name);
            }
            if let Some(note) = &note {
                said.note(note);
            }
            return Ok(said.result().into());
        }
        // Who is known to be down is asked last.
        ordered.sort_by_key(|place| matches!(self.hosts[*place].standing(), Standing::Down { .. }));
        let last = ordered.len().saturating_sub(1);
        for (turn, place) in ordered.into_iter().enumerate() {
            let host = &self.hosts[place];
            let wanted = if turn == 0 { Wanted::Itself } else { Wanted::AmongOthers };
            let session = host.session(wanted).await;
            // From here on it may have begun there, whatever comes back.
            let is_begun = session.is_ok();
            let said = match session {
                Ok(_) => self.ask(place, &asked).await,
                Err(trouble) => Err(Stopped::Trouble(trouble)),
            };
            match said {
                Ok(Given::Said(mut said)) => {
                    if by_guest && said.is_error || asked.tool == "apply" {
                        self.surveyor.doubt(place);
                    }
                    if let Some(note) = &note {
                        said.note(note);
                    }
                    return Ok(said.result().into());
                }
                Ok(Given::Other(response)) => {
                    if asked.tool == super::APPLY {
                        self.surveyor.doubt(place);
                    }
                    return Ok(*response);
                }
                Err(Stopped::Refused(error)) => return Err(error),
                Err(Stopped::Trouble(why)) => {
                    trouble.get_or_insert(why.failure(&host.name));
                    if turn == last || (is_begun && !is_reading) {
                        break;
                    }
                }
            }
        }
        let failure = trouble.unwrap_or_else(|| Failure::new("no_host", "there is no host to ask", ""));
        Ok(Said::failure(&failure).result().into())
    }

    /// Makes the call at one host.
    async fn ask(self: &Arc<Self>, place: Place, asked: &Asked) -> Result<Given, Stopped> {
        let host = &self.hosts[place];
        let mut params = CallToolRequestParams::new(asked.tool).with_arguments(asked.args.clone());
        params.input_responses = asked.responses.clone();
        params.request_state = asked.state.clone();
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let meta = self.tainted.told(asked.meta.clone());
        let answer = host.ask(Wanted::AmongOthers, request, meta, asked.progress.clone()).await?;
        let strange = || Stopped::Trouble(Trouble::no_answer("its answer is none to a call of a tool"));
        match answer.map_err(|error| Stopped::Refused(cleaned(&host.name, error)))? {
            ServerResult::CallToolResult(result) => {
                let said = Said::of(&host.name, result)?;
                self.tainted.note(asked.tool, &asked.args, &said);
                self.made.note(asked.tool, place, &said).map_err(|of| {
                    let message = format!(
                        "it shows a plan of host {} as its own; its answer is withheld",
                        self.names[of]
                    );
                    Stopped::Trouble(Trouble::no_answer(message))
                })?;
                Ok(Given::Said(said))
            }
            ServerResult::InputRequiredResult(mut required) if asked.tool == super::APPLY => {
                if let Some(requests) = required.input_requests.take() {
                    required.input_requests = Some(cleaned_all(&host.name, requests).ok_or_else(strange)?);
                }
                required.request_state = required.request_state.map(|state| self.with_name(place, &state));
                required.meta = None;
                Ok(Given::Other(Box::new(CallToolResponse::InputRequired(required))))
            }
            ServerResult::CreateTaskResult(mut created) => {
                super::tasks::mark(self, place, &mut created.task);
                created.meta = None;
                Ok(Given::Other(Box::new(CallToolResponse::Task(created))))
            }
            _ => Err(strange()),
        }
    }

    /// One of each of these groups, side by side.
    pub(super) async fn each(
        self: &Arc<Self>,
        groups: Vec<Vec<Place>>,
        asked: Asked,
        from: BTreeMap<String, u64>,
    ) -> Said {
        let choice = Choice::of(&asked.args, from);
        let tool = asked.tool;
        let asked = Arc::new(Asked { progress: None, ..asked });
        let work: Vec<_> =
            groups.iter().map(|group| self.clone().of_group(group.clone(), asked.clone(), &choice)).collect();
        let began = Instant::now();
        let in_vain = self.in_vain(&groups);
        let answers = gather(work, |(_, said)| said.is_ok(), &in_vain).await;
        let silent = |place: Place| (self.names[place].to_string(), Err(self.silent(place, began.elapsed())));
        let parts: Vec<Part> = groups
            .iter()
            .zip(answers)
            .map(|(group, answer)| answer.unwrap_or_else(|| silent(group[0])))
            .collect();
        let mut said = match tool {
            "read" => merge::read(parts, &choice),
            _ => merge::other(tool, parts),
        };
        if tool == "status" {
            said.object.insert("fleet".into(), self.standing());
        }
        said
    }

    /// Why it said nothing for so long.
    fn silent(&self, place: Place, waited: Duration) -> Trouble {
        match self.hosts[place].standing() {
            Standing::Down { trouble, .. } => trouble,
            Standing::Up { .. } => Trouble::silent(waited),
            Standing::Idle | Standing::Connecting => Trouble::connecting(),
        }
    }

    fn of_group(
        self: Arc<Self>,
        mut group: Vec<Place>,
        asked: Arc<Asked>,
        choice: &Choice,
    ) -> impl Future<Output = Part> + Send + use<> {
        // Who is there is asked first.
        group.sort_by_key(|place| self.is_later(*place));
        let members: Vec<_> = group.iter().map(|place| self.hosts[*place].clone()).collect();
        let name = self.names[group[0]].to_string();
        let work: Vec<_> = group
            .into_iter()
            .map(|place| {
                let mut args = asked.args.clone();
                if let Some(row) = choice.row_from(&self.names[place]) {
                    args.insert("cursor".into(), row.to_string().into());
                }
                let (front, asked) = (self.clone(), asked.clone());
                async move {
                    let own = Asked {
                        tool: asked.tool,
                        args,
                        responses: None,
                        state: None,
                        meta: asked.meta.clone(),
                        progress: None,
                    };
                    match front.ask(place, &own).await {
                        Ok(Given::Said(said)) => Ok((front.names[place].to_string(), said)),
                        Ok(Given::Other(_)) => Err(Trouble::no_answer("it asks back where it was to answer")),
                        Err(Stopped::Refused(error)) => Err(Trouble::no_answer(error.message.into_owned())),
                        Err(Stopped::Trouble(trouble)) => Err(trouble),
                    }
                }
            })
            .collect();
        async move {
            match first(work, |(_, said): &(String, Said)| said.is_error, silence(&members)).await {
                Some(Ok((name, said))) => (name, Ok(said)),
                Some(Err(trouble)) => (name, Err(trouble)),
                None => (name, Err(Trouble::connecting())),
            }
        }
    }

    /// Of members any of which would do: whether the others are asked before it.
    fn is_later(&self, place: Place) -> bool {
        !self.hosts[place].is_up() || self.hosts[place].is_mute()
    }

    /// Of which groups a call has just waited for every member in vain.
    fn in_vain(&self, groups: &[Vec<Place>]) -> Vec<bool> {
        groups.iter().map(|group| group.iter().all(|place| self.surveyor.is_in_vain(*place))).collect()
    }

    /// Any other request that reads, at the first of these that answers; and which one did.
    pub async fn request_of(
        self: &Arc<Self>,
        mut places: Vec<Place>,
        wanted: Wanted,
        request: ClientRequest,
        meta: RequestMetaObject,
    ) -> (Place, Result<Result<ServerResult, ErrorData>, Trouble>) {
        places.sort_by_key(|place| self.is_later(*place));
        let members: Vec<_> = places.iter().map(|place| self.hosts[*place].clone()).collect();
        let work: Vec<_> = places
            .iter()
            .map(|place| {
                let (place, host) = (*place, self.hosts[*place].clone());
                let (request, meta) = (request.clone(), self.tainted.told(meta.clone()));
                async move {
                    let answer = host.ask(wanted, request, meta, None).await.map_err(|why| (place, why))?;
                    Ok((place, answer.map_err(|error| cleaned(&host.name, error))))
                }
            })
            .collect();
        let is_no = |(_, answer): &(Place, Result<ServerResult, ErrorData>)| answer.is_err();
        match first(work, is_no, silence(&members)).await {
            Some(Ok((place, answer))) => (place, Ok(answer)),
            Some(Err((place, trouble))) => (place, Err(trouble)),
            None => (places.first().copied().unwrap_or_default(), Err(Trouble::connecting())),
        }
    }

    /// Any other request, at one host.
    pub async fn request(
        self: &Arc<Self>,
        place: Place,
        request: ClientRequest,
        meta: RequestMetaObject,
    ) -> Result<ServerResult, ErrorData> {
        let host = &self.hosts[place];
        let answer = host.ask(Wanted::Itself, request, self.tainted.told(meta), None).await;
        let answer = answer.map_err(|trouble| ErrorData::from(&trouble.failure(&host.name)))?;
        answer.map_err(|error| cleaned(&host.name, error))
    }

    /// The same request at one host of each group; what they answer, each with the host.
    pub async fn requests(
        self: &Arc<Self>,
        groups: Vec<Vec<Place>>,
        request: ClientRequest,
        meta: RequestMetaObject,
    ) -> Vec<(Place, Result<ServerResult, Trouble>)> {
        let work: Vec<_> = groups
            .iter()
            .map(|group| {
                let (front, group, request, meta) =
                    (self.clone(), group.clone(), request.clone(), meta.clone());
                async move {
                    let (place, answer) = front.request_of(group, Wanted::AmongOthers, request, meta).await;
                    let no_answer = |error: ErrorData| Trouble::no_answer(error.message.into_owned());
                    (place, answer.and_then(|answer| answer.map_err(no_answer)))
                }
            })
            .collect();
        let began = Instant::now();
        let in_vain = self.in_vain(&groups);
        let answers = gather(work, |(_, answer)| answer.is_ok(), &in_vain).await;
        let silent = |place| (place, Err(self.silent(place, began.elapsed())));
        groups.iter().zip(answers).map(|(group, answer)| answer.unwrap_or_else(|| silent(group[0]))).collect()
    }
}

/// When each of these, in their turns, is silent for longer than is usual; the later ones have more time.
fn silence(members: &[Arc<Host>]) -> impl Fn(usize) -> Pin<Box<dyn Future<Output = ()> + Send>> + use<> {
    let members = members.to_vec();
    move |turn| {
        let host = members.get(turn).cloned();
        Box::pin(async move {
            match host {
                Some(host) => host.falls_silent(1 << turn.min(10)).await,
                None => std::future::pending().await,
            }
        })
    }
}

/// Whether two hosts may be asked it at once, and the first answer is as good as the other.
fn is_quick(asked: &Asked) -> bool {
    asked.tool == "find" || (asked.tool == "read" && !asked.args.contains_key("wait"))
}

/// Codes by which a node refuses. Others have a client do something, as to send the person to an address (-32042).
const CODES: &[ErrorCode] = &[
    ErrorCode::INTERNAL_ERROR,
    ErrorCode::INVALID_PARAMS,
    ErrorCode::INVALID_REQUEST,
    ErrorCode::METHOD_NOT_FOUND,
    ErrorCode::RESOURCE_NOT_FOUND,
    ErrorCode::UNSUPPORTED_PROTOCOL_VERSION,
    ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY,
    // So many calls are under way.
    ErrorCode(-32000),
];

/// A host's refusal by the protocol, in which nothing hides: by a node's codes, and with what a node says beside it.
pub(super) fn cleaned(host: &str, error: ErrorData) -> ErrorData {
    let message = format!("host {host}: {}", crate::text::brief(&error.message, 500));
    if !CODES.contains(&error.code) {
        return ErrorData::internal_error(message, None);
    }
    let mut data = error.data;
    data.iter_mut().for_each(crate::text::clean_json);
    ErrorData::new(error.code, message, data)
}
