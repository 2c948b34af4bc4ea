//! What is answered with questions until all of them were answered: the way of asking of the revision without a handshake.

use std::sync::LazyLock;

use rmcp::ErrorData;
use rmcp::model::{
    ClientCapabilities, InputRequest, InputRequests, InputRequiredResult, InputResponses, RequestStateCodec,
};

use crate::said::said;

/// What a client brings along the second time.
pub struct Brought<'a> {
    pub responses: Option<&'a InputResponses>,
    pub state: Option<&'a str>,
    pub can: &'a ClientCapabilities,
}

/// The questions that are to be answered next; none, if nothing is open.
pub fn ask(name: &str, brought: &Brought) -> Result<Option<InputRequiredResult>, ErrorData> {
    // The same for every request: each has a session of its own, and brings along in which round it is.
    static SEAL: LazyLock<RequestStateCodec> =
        LazyLock::new(|| RequestStateCodec::try_new("of a made-up server, and of no other").expect("a key"));
    let Some(rounds) = said().rounds.get(name) else { return Ok(None) };
    let round: usize = match brought.state {
        None => 0,
        Some(state) => SEAL.open_json(state).map_err(|error| {
            ErrorData::invalid_params(format!("the state is none that was given: {error}"), None)
        })?,
    };
    let open = |round: usize| -> Result<Option<InputRequests>, ErrorData> {
        let Some(asked) = rounds.get(round) else { return Ok(None) };
        let may = |request: &InputRequest| match request {
            InputRequest::CreateMessage(_) => brought.can.sampling.is_some(),
            InputRequest::ListRoots(_) => brought.can.roots.is_some(),
            _ => brought.can.elicitation.is_some(),
        };
        let asked: InputRequests = asked.clone().into_iter().filter(|(_, request)| may(request)).collect();
        match asked.is_empty() {
            true => Err(ErrorData::missing_required_client_capability(needed(&rounds[round]))),
            false => Ok(Some(asked)),
        }
    };
    let is_answered = open(round)?.is_none_or(|asked| {
        let given =
            |key: &String| brought.responses.and_then(|all| all.get(key)).is_some_and(|one| one.is_object());
        asked.keys().all(given)
    });
    let round = if is_answered { round + 1 } else { round };
    let state = SEAL.seal_json(&round).map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    Ok(open(round)?.map(|asked| InputRequiredResult::new(Some(asked), Some(state))))
}

fn needed(asked: &InputRequests) -> ClientCapabilities {
    let mut needed = ClientCapabilities::default();
    for request in asked.values() {
        match request {
            InputRequest::CreateMessage(_) => needed.sampling = Some(Default::default()),
            InputRequest::ListRoots(_) => needed.roots = Some(Default::default()),
            _ => needed.elicitation = Some(Default::default()),
        }
    }
    needed
}
