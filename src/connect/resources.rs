//! Resources of the fleet: a guest's, node's or task's where it is, lists of all hosts as one.

use std::collections::BTreeMap;
use std::sync::Arc;

use rmcp::ErrorData;
use rmcp::model::{
    ClientRequest, ReadResourceRequest, ReadResourceRequestParams, RequestMetaObject, ResourceContents,
    ServerResult,
};
use serde_json::{Map, Value, json};

use super::answer::{HOST, Said};
use super::front::Front;
use super::host::Wanted;
use super::list::{AT_HOST, FLEET};
use super::merge::{self, Choice};
use super::places::Place;
use super::route::{About, Otherwise, Target, of_path};
use super::trouble::Trouble;
use crate::text::clean_json;
use crate::tools::face::schema;

pub async fn read(
    front: &Arc<Front>,
    uri: &str,
    meta: RequestMetaObject,
) -> Result<ResourceContents, ErrorData> {
    if uri.starts_with(schema::PREFIX) {
        return schema::read(uri);
    }
    if uri == FLEET {
        front.look().await;
        return Ok(contents(front.standing(), uri));
    }
    let (own, among) = match uri.rsplit_once(AT_HOST) {
        Some((own, host)) => (own, front.named(host).map_err(|failure| ErrorData::from(&failure))?),
        None => (uri, front.all()),
    };
    let (target, _) = front.target(&about(own), &among).await.map_err(|failure| ErrorData::from(&failure))?;
    let request =
        || ClientRequest::ReadResourceRequest(ReadResourceRequest::new(ReadResourceRequestParams::new(own)));
    let value = match target {
        Target::One(places) => {
            let wanted = if places.len() == 1 { Wanted::Itself } else { Wanted::AmongOthers };
            let (place, answer) = front.request_of(places, wanted, request(), meta).await;
            let answer = answer.map_err(|why| ErrorData::from(&why.failure(&front.names[place])))??;
            let told = told(&front.names[place], answer);
            // Notes of a guest, or a task's log.
            front.tainted.mark();
            told.map_err(|trouble| ErrorData::from(&trouble.failure(&front.names[place])))?
        }
        Target::Each(groups) => {
            let answers = front.requests(groups, request(), meta).await;
            let part = |(place, answer): (Place, Result<ServerResult, Trouble>)| {
                let name = front.names[place].to_string();
                let said = answer.and_then(|answer| told(&name, answer));
                let said = said.map(|object| Said { object, is_error: false });
                if let Ok(said) = &said {
                    front.tainted.note("read", &Map::new(), said);
                }
                (name, said)
            };
            let parts = answers.into_iter().map(part).collect();
            let all = Map::from_iter([("limit".to_owned(), json!(1000))]);
            let mut said = merge::read(parts, &Choice::of(&all, BTreeMap::new()));
            // There is no second page of a resource.
            if said.object.remove("next_cursor").is_some() {
                said.note("there is more than fits: `read` has it in pages");
            }
            if let Some(error) = said.error() {
                let message = error["message"].as_str().unwrap_or("no host answered").to_owned();
                return Err(ErrorData::internal_error(message, Some(Value::Object(said.object))));
            }
            said.object
        }
    };
    Ok(contents(Value::Object(value), uri))
}

fn about(uri: &str) -> About {
    let rest = uri.strip_prefix("provost://").unwrap_or_default();
    match rest.split_once('/') {
        Some(("guest", guest)) => {
            let words = percent_encoding::percent_decode_str(guest).decode_utf8_lossy().into_owned();
            About { guest: words.parse().ok(), words: Some(format!("guest {words}")), ..About::default() }
        }
        Some(("node", node)) => About { node: Some(node.to_owned()), ..About::default() },
        Some(("task", upid)) => {
            let upid = percent_encoding::percent_decode_str(upid).decode_utf8_lossy();
            of_path(&upid, Otherwise::OneHost)
        }
        None if super::list::resources().iter().any(|known| known.uri == uri) => {
            About { otherwise: Otherwise::EachDomain, ..About::default() }
        }
        // Nothing that there is, which a node says best.
        _ => About { otherwise: Otherwise::Any, ..About::default() },
    }
}

fn told(host: &str, answer: ServerResult) -> Result<Map<String, Value>, Trouble> {
    let strange = || Trouble::no_answer("its answer is no resource of Provost's");
    let ServerResult::ReadResourceResult(result) = answer else { return Err(strange()) };
    let Some(ResourceContents::TextResourceContents { text, .. }) = result.contents.into_iter().next() else {
        return Err(strange());
    };
    let mut value: Value = serde_json::from_str(&text).map_err(|_| strange())?;
    clean_json(&mut value);
    let Value::Object(mut object) = value else { return Err(strange()) };
    object.insert(HOST.into(), host.into());
    Ok(object)
}

fn contents(value: Value, uri: &str) -> ResourceContents {
    ResourceContents::text(value.to_string(), uri).with_mime_type("application/json")
}
