//! What is known of a question while it is thought through, and the receipt of its refusal.

use serde_json::{Map, Value, json};

use super::{Asker, Desk, Refused, Request, Wish, only, request};
use crate::ledger::receipt::{Clean, Json, body};
use crate::ledger::{Decision, Entry, Who};

/// Bytes of arguments that the receipt of a refusal holds.
const MOST_REFUSED: usize = 4096;

/// What is known of a question while it is thought through, for the receipt of its refusal.
#[derive(Default)]
pub(crate) struct Asked {
    pub asker: Asker,
    pub endpoint: Option<String>,
    /// What is secret among the arguments is told by it.
    pub template: Option<String>,
    pub guest: Option<u32>,
    pub args: Option<Map<String, Value>>,
    pub request: Option<Request>,
    pub plan: Option<String>,
}

impl Default for Asker {
    fn default() -> Self {
        Self { account: u32::MAX.into(), behind: None, name: String::new(), who: Who::default(), taint: true }
    }
}

impl Asked {
    pub(super) fn note(&mut self, wish: &Wish) {
        match wish {
            Wish::Call(ask) => {
                let method = ask.method.map(|method| format!("{method} ")).unwrap_or_default();
                self.endpoint = Some(format!("{method}{}", request::shown(&ask.path)));
                self.args = Some(ask.args.clone());
            }
            Wish::Undo(seq) => self.args = Some(Map::from_iter([("undo".to_owned(), json!(seq))])),
        }
    }
}

/// Arguments for the receipt of a refusal. Of a call that nobody knows, nobody can tell which are secret, and of many or
/// long ones nobody needs more than their names: a refusal is cheap to bring about.
fn recordable(template: Option<&str>, args: &Map<String, Value>) -> Json {
    const MOST_NAMES: usize = 64;
    let whole = template.map(|template| Json::of(template, Value::Object(args.clone())));
    let short = |json: &Json| serde_json::to_vec(json).is_ok_and(|text| text.len() <= MOST_REFUSED);
    match whole {
        Some(json) if short(&json) => json,
        _ => {
            let names = args.keys().take(MOST_NAMES).map(|name| request::shown(name));
            Json::of("", json!({ "names": names.collect::<Vec<_>>(), "count": args.len() }))
        }
    }
}

impl Desk {
    /// Leaves the receipt of a refusal. That it cannot be recorded changes nothing: nothing was done.
    pub(crate) async fn refused(&self, tool: &'static str, asked: &Asked, refused: &Refused) {
        tracing::warn!(provost_decision = "refused", kind = refused.kind(), "{tool}: {refused}");
        let request = asked.request.as_ref();
        let template = request.map(Request::template).or(asked.template.as_deref());
        let args = request.map(|request| &request.args).or(asked.args.as_ref());
        let args = args.map(|args| recordable(template, args));
        let entry = Entry {
            principal: Some(asked.asker.who.clone()),
            tool: Some(tool),
            guest: request
                .and_then(|request| request.guest().or_else(|| only(&request.guests)))
                .or(asked.guest),
            endpoint: request.map(Request::endpoint).or_else(|| asked.endpoint.clone()).map(Clean::from),
            decision: Some(Decision::Refused),
            why: Some(refused.to_string().into()),
            plan: asked.plan.clone().map(Clean::from),
            body: body::Refusal {
                args,
                argv: None,
                code: refused.kind().into(),
                next: Some(refused.next().into()),
            }
            .into(),
        };
        if let Err(unrecorded) = self.ledger.append_durable(entry).await {
            tracing::warn!("a refusal was not recorded: {unrecorded}");
        }
    }
}
