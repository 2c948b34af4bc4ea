//! `provost connect --check`: every host once, and how it stands.

use std::sync::Arc;
use std::time::Instant;

use rmcp::model::{CallToolRequest, CallToolRequestParams, ClientRequest, RequestMetaObject, ServerResult};
use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::answer::Said;
use super::client::Client;
use super::fleet::Fleet;
use super::front::Front;
use super::trouble::Trouble;
use crate::text::brief;

/// Characters of one word of a host's.
const MOST: usize = 300;

/// What is shown of one host.
#[derive(Debug, Serialize)]
pub struct Checked {
    pub host: String,
    pub ok: bool,
    /// Milliseconds from nothing to the first answer.
    pub ms: u64,
    pub node: Option<String>,
    pub cluster: Option<String>,
    pub version: Option<String>,
    /// Who ssh's user is there.
    pub role: Option<String>,
    pub profile: Option<String>,
    pub guests: Option<u64>,
    /// What is wrong, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

pub async fn check(fleet: Fleet) -> Vec<Checked> {
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let front = Front::new(fleet, Arc::new(Client::none()), stop);
    let began = Instant::now();
    let asked = front.all().into_iter().map(|place| {
        let front = front.clone();
        tokio::spawn(async move {
            let asked = CallToolRequestParams::new("status").with_arguments(Default::default());
            let request = ClientRequest::CallToolRequest(CallToolRequest::new(asked));
            let answer = front.status(place, request, RequestMetaObject::default()).await;
            (answer, began.elapsed())
        })
    });
    let asked: Vec<_> = asked.collect();
    let mut answers = Vec::new();
    for asked in asked {
        answers.push(asked.await.ok());
    }
    front.look().await;
    let standing = front.standing();
    let shown = answers.into_iter().enumerate().map(|(place, answer)| {
        let stands = &standing[place];
        // On one line, so that no host has a line of another's.
        let text = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).map(|text| brief(text, MOST));
        let mut checked = Checked {
            host: front.names[place].to_string(),
            ok: false,
            ms: answer.as_ref().map_or(0, |(_, took)| took.as_millis() as u64),
            node: text(stands, "node"),
            cluster: text(stands, "cluster"),
            version: None,
            role: None,
            profile: None,
            guests: stands.get("guests").and_then(Value::as_u64),
            error: None,
            next: None,
        };
        let trouble = match answer {
            Some((Ok(ServerResult::CallToolResult(result)), _)) => match Said::of(&checked.host, result) {
                Ok(said) => {
                    let said = Value::Object(said.object);
                    checked.version = text(&said, "version");
                    (checked.role, checked.profile) = (text(&said, "role"), text(&said, "profile"));
                    let wrong = stands.get("error").and_then(|error| text(error, "message"));
                    match (wrong, &checked.role) {
                        (Some(wrong), _) => {
                            Some((wrong, stands.get("error").and_then(|error| text(error, "next"))))
                        }
                        (None, None) => {
                            Some(("it is there, and you are in no role".to_owned(), text(&said, "next")))
                        }
                        (None, Some(_)) => None,
                    }
                }
                Err(trouble) => Some((trouble.message, Some(trouble.next))),
            },
            Some((Err(trouble), _)) => Some((trouble.message, Some(trouble.next))),
            _ => Some(("it did not answer as Provost does".to_owned(), None)),
        };
        checked.ok = trouble.is_none();
        (checked.error, checked.next) = trouble.map_or((None, None), |(error, next)| (Some(error), next));
        checked
    });
    shown.collect()
}

impl Front {
    async fn status(
        self: &Arc<Self>,
        place: super::places::Place,
        request: ClientRequest,
        meta: RequestMetaObject,
    ) -> Result<ServerResult, Trouble> {
        let answers = self.requests(vec![vec![place]], request, meta).await;
        answers.into_iter().next().map_or_else(|| Err(Trouble::connecting()), |(_, answer)| answer)
    }
}
