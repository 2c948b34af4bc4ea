//! Who is at the other end of standard input, as the hosts see them: their name, what they can, and the way to ask the
//! person there.

use std::sync::OnceLock;
use std::time::Duration;

use rmcp::model::{
    ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult, ElicitationAction, Implementation,
    InputRequest, InputRequests, ProtocolVersion,
};
use rmcp::service::{Peer, RequestContext, RoleServer};
use serde_json::Value;

use crate::tools::face::question;

/// As long as a plan lives.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// Characters of a question.
const MOST_QUESTION: usize = 16_000;

/// Set by the first request, and the same to the end: one process has one client.
#[derive(Default)]
pub struct Client(OnceLock<Who>);

struct Who {
    config: ClientConfig,
    peer: Option<Peer<RoleServer>>,
}

impl Client {
    /// Nobody at all: for a survey by this program itself.
    pub fn none() -> Self {
        let config = ClientConfig::new(ClientCapabilities::default(), own());
        Self(Who { config: config.with_protocol_version(ProtocolVersion::V_2025_11_25), peer: None }.into())
    }

    pub fn seen(&self, context: &RequestContext<RoleServer>) {
        self.0.get_or_init(|| {
            let capabilities = offered(context.client_capabilities().unwrap_or_default());
            let config = ClientConfig::new(capabilities, context.client_info().unwrap_or_else(own));
            let version = context.protocol_version().unwrap_or(ProtocolVersion::V_2025_11_25);
            Who { config: config.with_protocol_version(version), peer: Some(context.peer.clone()) }
        });
    }

    pub fn config(&self) -> ClientConfig {
        self.0
            .get_or_init(|| Self::none().0.into_inner().unwrap_or_else(|| unreachable!("it was set")))
            .config
            .clone()
    }

    /// Whether it speaks a revision without handshake, which is asked by answers and never by requests.
    pub fn is_modern(&self) -> bool {
        !self.config().protocol_version.has_initialize()
    }

    /// A host's question to the person, who is told which host it is. Anything but a form is no answer.
    pub async fn ask(&self, host: &str, question: ElicitRequestParams) -> ElicitResult {
        let none = ElicitResult::new(ElicitationAction::Cancel);
        let (Some(question), Some(peer)) =
            (cleaned(host, question), self.0.get().and_then(|who| who.peer.as_ref()))
        else {
            return none;
        };
        peer.create_elicitation_with_timeout(question, Some(PATIENCE)).await.unwrap_or(none)
    }
}

fn own() -> Implementation {
    Implementation::new("provost-connect", env!("CARGO_PKG_VERSION"))
}

/// Of what a client can, what a host may make use of: it can be asked by forms, and knows tasks.
pub fn offered(capabilities: ClientCapabilities) -> ClientCapabilities {
    let tasks = capabilities.supports_tasks();
    let mut offered =
        if tasks { ClientCapabilities::builder().enable_tasks().build() } else { Default::default() };
    offered.elicitation = capabilities.elicitation.map(|mut elicitation| {
        // Who names neither way means forms.
        elicitation.url = None;
        elicitation
    });
    offered
}

/// The question with the host's name before each of its lines, nothing hidden in it, and our own form: whether a plan may be
/// done. None where the host asks for anything else, as a password: what shows the question is trusted by who reads it.
fn cleaned(host: &str, question: ElicitRequestParams) -> Option<ElicitRequestParams> {
    let ElicitRequestParams::FormElicitationParams { message, requested_schema, .. } = question else {
        return None;
    };
    let schema = serde_json::to_value(requested_schema).ok()?;
    let asked = schema.get("properties")?.as_object()?;
    if asked.len() != 1 || asked.get(question::APPROVE)?["type"] != "boolean" {
        return None;
    }
    let message = crate::text::clean(message.as_bytes());
    let message = crate::text::shortened(&message, MOST_QUESTION);
    let lines: Vec<String> = message.lines().map(|line| format!("[host {host}] {line}")).collect();
    question::form(lines.join("\n"))
}

/// The same for questions that come as an answer; none is left where one is no form.
pub fn cleaned_all(host: &str, requests: InputRequests) -> Option<InputRequests> {
    let mut asked = InputRequests::new();
    for (name, request) in requests {
        let InputRequest::Elicitation(mut request) = request else { return None };
        request.params = cleaned(host, request.params)?;
        let mut name = Value::String(name);
        crate::text::clean_json(&mut name);
        asked.insert(name.as_str()?.to_owned(), InputRequest::Elicitation(request));
    }
    Some(asked)
}

#[cfg(test)]
mod tests {
    use rmcp::model::{ElicitRequest, ElicitationSchema};
    use serde_json::json;

    use super::*;

    fn form(message: &str) -> ElicitRequestParams {
        let schema: ElicitationSchema = serde_json::from_value(json!({
            "type": "object", "properties": { "approve": { "type": "boolean", "title": "Yes\u{202e}\u{1b}[31m" } },
        }))
        .unwrap();
        ElicitRequestParams::FormElicitationParams {
            meta: None,
            message: message.into(),
            requested_schema: schema,
        }
    }

    #[test]
    fn a_person_is_told_which_host_asks_and_nothing_hides_in_the_question() {
        let asked = cleaned("pve1", form("delete\u{1b}[2K it\u{200b}?\n[host pve2] Really?")).unwrap();
        let text = serde_json::to_string(&asked).unwrap();
        assert!(text.contains("[host pve1] delete it?\\n[host pve1] [host pve2] Really?"), "{text}");
        assert!(!text.contains("202e") && !text.contains('\u{202e}') && !text.contains("001b"), "{text}");
    }

    #[test]
    fn a_host_asks_for_a_yes_and_for_nothing_else() {
        for properties in [
            json!({ "password": { "type": "string" } }),
            json!({ "approve": { "type": "string" } }),
            json!({ "approve": { "type": "boolean" }, "password": { "type": "string" } }),
            json!({}),
        ] {
            let schema = serde_json::from_value(json!({ "type": "object", "properties": properties }));
            let question = ElicitRequestParams::FormElicitationParams {
                meta: None,
                message: "your session has expired".into(),
                requested_schema: schema.unwrap(),
            };
            assert!(cleaned("pve1", question).is_none(), "{properties}");
        }
    }

    #[test]
    fn what_is_no_form_is_asked_of_nobody() {
        let url = ElicitRequestParams::UrlElicitationParams {
            meta: None,
            message: "log in".into(),
            url: "https://example.org".into(),
            elicitation_id: "1".into(),
        };
        assert!(cleaned("pve1", url.clone()).is_none());
        let requests = [("a", form("?")), ("b", url)]
            .map(|(name, params)| (name.to_owned(), InputRequest::Elicitation(ElicitRequest::new(params))));
        assert!(cleaned_all("pve1", requests.into()).is_none());
    }

    #[test]
    fn of_what_a_client_can_hosts_get_forms_and_tasks() {
        let all: ClientCapabilities = serde_json::from_value(json!({
            "sampling": {}, "roots": {}, "experimental": { "x": {} }, "elicitation": { "form": {}, "url": {} },
            "extensions": { "io.modelcontextprotocol/tasks": {}, "other": {} },
        }))
        .unwrap();
        let offered = serde_json::to_value(offered(all)).unwrap();
        let expected =
            json!({ "elicitation": { "form": {} }, "extensions": { "io.modelcontextprotocol/tasks": {} } });
        assert_eq!(offered, expected);
    }
}
