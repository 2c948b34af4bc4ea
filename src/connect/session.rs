//! An MCP session with one host: requests go out, and each comes back with an answer, is given up, or ends with the host.

use std::sync::Arc;
use std::time::Duration;

use rmcp::handler::client::ClientHandler;
use rmcp::model::{
    ClientConfig, ClientRequest, DiscoverRequest, DiscoverRequestParams, ElicitRequestParams, ElicitResult,
    ElicitationAction, ErrorData, PingRequest, ProtocolVersion, RequestMetaObject, ServerResult,
};
use rmcp::service::{
    ClientLifecycleMode, Peer, PeerRequestOptions, RequestContext, RequestHandle, RoleClient, RunningService,
    ServiceError, serve_client_with_lifecycle_and_ct,
};
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::ears::{Ears, Progress};
use super::wire::Wire;

/// A host that owes something and is not heard for so long is asked whether it is there, and has so long to say so.
const QUIET: Duration = Duration::from_secs(5);
const TO_SAY_SO: Duration = Duration::from_secs(10);
/// By then one that is well has said so.
pub const MUTE: Duration = Duration::from_secs(7);

/// Cheap to clone.
#[derive(Clone)]
pub struct Session {
    peer: Peer<RoleClient>,
    ears: Arc<Ears>,
    is_modern: bool,
    stop: CancellationToken,
}

/// Why a request has no answer.
pub enum Unanswered {
    /// The session is over, or ended meanwhile.
    Gone,
    /// The host says no, by the protocol.
    Refused(ErrorData),
}

/// What a host may ask of this side.
pub struct Handler {
    host: Arc<str>,
    ears: Arc<Ears>,
    client: Arc<Client>,
}

impl ClientHandler for Handler {
    async fn create_elicitation(
        &self,
        question: ElicitRequestParams,
        context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let none = ElicitResult::new(ElicitationAction::Cancel);
        let Some(_turn) = self.ears.may_ask() else { return Ok(none) };
        tokio::select! {
            answer = self.client.ask(&self.host, question) => Ok(answer),
            () = context.ct.cancelled() => Ok(none),
        }
    }

    fn get_info(&self) -> ClientConfig {
        self.client.config()
    }
}

impl Session {
    /// Opens one as the client at the other end would: by its revision, with what it can.
    pub async fn begin(
        host: Arc<str>,
        wire: Wire,
        ears: Arc<Ears>,
        client: Arc<Client>,
        stop: CancellationToken,
    ) -> Result<(Self, RunningService<RoleClient, Handler>), String> {
        let is_modern = client.is_modern();
        let mode = match is_modern {
            true => ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] },
            false => ClientLifecycleMode::Initialize,
        };
        let handler = Handler { host, ears: ears.clone(), client };
        let running = serve_client_with_lifecycle_and_ct(handler, wire, mode, stop.clone()).await;
        // The library's own words may quote all that came.
        let running = running.map_err(|error| why(&error))?;
        let name =
            running.peer_info().and_then(|info| info.server_info.as_ref().map(|server| server.name.clone()));
        if name.as_deref() != Some("provost") {
            return Err("what answered there is no Provost".into());
        }
        Ok((Self { peer: running.peer().clone(), ears, is_modern, stop }, running))
    }

    pub fn is_open(&self) -> bool {
        !self.peer.is_transport_closed() && !self.stop.is_cancelled()
    }

    pub fn ears(&self) -> &Ears {
        &self.ears
    }

    /// Asks, and waits for the answer. Whoever drops this before has the host told that nobody waits.
    pub async fn ask(
        &self,
        request: ClientRequest,
        meta: RequestMetaObject,
        progress: Option<Progress>,
    ) -> Result<ServerResult, Unanswered> {
        let options = PeerRequestOptions::no_options().with_meta(meta);
        let handle = self.peer.send_request_with_option(request, options).await;
        let handle = handle.map_err(|_| Unanswered::Gone)?;
        if let Some(progress) = progress {
            self.ears.hear(handle.progress_token.clone(), progress);
        }
        let mut asked = Asked { handle: Some(handle), ears: &self.ears };
        let answer = match &mut asked.handle {
            Some(handle) => tokio::select! {
                biased;
                answer = &mut handle.rx => answer,
                () = self.stop.cancelled() => return Err(Unanswered::Gone),
            },
            None => return Err(Unanswered::Gone),
        };
        asked.answered();
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(ServiceError::McpError(error))) => Err(Unanswered::Refused(error)),
            Ok(Err(_)) | Err(_) => Err(Unanswered::Gone),
        }
    }

    /// Ends the session when the host owes something and shows no sign of life. Returns with the session.
    pub async fn watch(&self) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
            if self.peer.is_transport_closed() {
                return;
            }
            if self.ears.is_dripping() {
                self.ears.over("it sends an answer more slowly than any is waited for, and was hung up on");
                self.stop.cancel();
                return;
            }
            if self.ears.silent_for().is_none_or(|silent| silent < QUIET) {
                continue;
            }
            let question = match self.is_modern {
                true => ClientRequest::DiscoverRequest(DiscoverRequest::new(DiscoverRequestParams {})),
                false => ClientRequest::PingRequest(PingRequest::default()),
            };
            let answer = self.ask(question, RequestMetaObject::default(), None);
            if tokio::time::timeout(TO_SAY_SO, answer).await.is_err() {
                self.ears.over("it has stopped answering, and was hung up on");
                self.stop.cancel();
            }
        }
    }
}

/// A request that is under way; given up where it is dropped.
struct Asked<'a> {
    handle: Option<RequestHandle<RoleClient>>,
    ears: &'a Ears,
}

impl Asked<'_> {
    fn answered(&mut self) {
        if let Some(handle) = self.handle.take() {
            self.ears.given_up(&handle.id);
            self.ears.stop_hearing(&handle.progress_token);
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            self.ears.given_up(&handle.id);
            self.ears.stop_hearing(&handle.progress_token);
            tokio::spawn(async move { drop(handle.cancel(Some("nobody waits for it".into())).await) });
        }
    }
}

fn why(error: &rmcp::service::ClientInitializeError) -> String {
    use rmcp::service::ClientInitializeError as Error;
    match error {
        Error::JsonRpcError(error) => {
            format!("it refused the session: {}", crate::text::quoted(&error.message, 200))
        }
        Error::NoCompatibleProtocolVersion { .. } => "it does not speak the client's revision of MCP".into(),
        Error::ConnectionClosed(_) => "the connection was closed".into(),
        Error::TransportError { .. } => "the connection broke".into(),
        Error::Cancelled => "it was given up".into(),
        _ => "it did not answer as an MCP server does".into(),
    }
}
