//! What is answered where: the name and the origin first, then the token, then the body.

use hyper::body::Incoming;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, AUTHORIZATION, COOKIE, HeaderMap,
    HeaderName, HeaderValue, VARY, WWW_AUTHENTICATE,
};
use hyper::{Method, Request};
use jiff::Timestamp;

use super::answer::{Answer, json, refuse, text};
use super::body::{self, Until};
use super::callers::Callers;
use super::connection::MOST_HEADER_BYTES;
use super::{Door, Face, a2a, metrics, openapi, token, tools};
use crate::policy::token::{Presented, Rejected};
use crate::serve::crowd::Crowd;
use crate::tools::record::Visit;

/// What there is, for whoever asked for something else.
const PLACES: &str = "/mcp, /v1/tools/{name}, /v1/token/refresh, /openapi.json, /a2a, /.well-known/agent-card.json, /health, /metrics";

pub async fn answer<F: Face>(door: &Door, callers: &Callers<F>, request: Request<Incoming>) -> Answer {
    if head(&request) > MOST_HEADER_BYTES {
        let why = format!("a request's headers have at most {MOST_HEADER_BYTES} bytes");
        return refuse(431, "headers_too_long", &why, "send less");
    }
    let origin = match door.allowed.check(request.uri(), request.headers()) {
        Ok(origin) => origin,
        Err(refused) => return *refused,
    };
    let mut answer = match (request.method(), origin.is_some()) {
        (&Method::OPTIONS, true) => preflight(),
        _ => routed(door, callers, request).await,
    };
    if let Some(origin) = origin {
        let headers = answer.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("mcp-session-id, www-authenticate, etag, allow"),
        );
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
    answer
}

/// Bytes of a request's head, as they were sent: its first line, its headers, and the ends of their lines.
fn head<B>(request: &Request<B>) -> usize {
    const FIRST_LINE: usize = "  HTTP/1.1\r\n".len();
    let uri = request.uri();
    let place = uri.path_and_query().map_or(0, |place| place.as_str().len());
    // Of an absolute URL.
    let host = uri.authority().map_or(0, |host| host.as_str().len());
    let scheme = uri.scheme_str().map_or(0, |scheme| scheme.len() + "://".len());
    let line =
        |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + ": \r\n".len();
    let headers: usize = request.headers().iter().map(line).sum();
    request.method().as_str().len() + scheme + host + place + FIRST_LINE + headers + "\r\n".len()
}

/// To the browser of a page that may ask.
fn preflight() -> Answer {
    let mut answer = text(204, "text/plain", "");
    let headers = answer.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE"));
    let asked = "authorization, content-type, accept, last-event-id, mcp-session-id, mcp-protocol-version, mcp-method, mcp-name, a2a-version, a2a-extensions";
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(asked));
    // Ten minutes: an origin that is taken out of the list has its requests refused at once all the same.
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    answer
}

async fn routed<F: Face>(door: &Door, callers: &Callers<F>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    // Who asks in another way than these.
    let only = |methods: &[Method]| {
        if methods.contains(request.method()) {
            return None;
        }
        let methods = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let mut refused = refuse(405, "method", &format!("{path} is for {methods}"), "");
        if let Ok(allowed) = HeaderValue::from_str(&methods) {
            refused.headers_mut().insert(ALLOW, allowed);
        }
        Some(refused)
    };
    let tool = path.strip_prefix("/v1/tools/").filter(|name| !name.is_empty() && !name.contains('/'));
    if let Some(place) = path.strip_prefix("/a2a/").and_then(a2a::rest::place) {
        return match only(place.methods) {
            Some(refused) => refused,
            None => with_token(door, callers, request, Called::A2a(a2a::Asked::Rest(place))).await,
        };
    }
    // Who was told of A2A's place alone looks for the card under it.
    let place = match path.strip_prefix(a2a::card::PLACE) {
        Some(under) if under.starts_with("/.well-known/") => under,
        _ => path.as_str(),
    };
    let method = match place {
        "/health" | "/health/ready" | "/health/live" | "/metrics" | "/openapi.json" => Method::GET,
        a2a::card::CARD | a2a::card::OLD_CARD | a2a::card::KEYS => Method::GET,
        "/v1/token/refresh" | a2a::card::PLACE => Method::POST,
        _ if tool.is_some() => Method::POST,
        "/mcp" => return with_token(door, callers, request, Called::Mcp).await,
        _ => return refuse(404, "not_found", "there is nothing here", &format!("there are {PLACES}")),
    };
    // Who asks for the head alone gets it as with the rest: hyper leaves the body away.
    let methods = match method {
        Method::GET => &[Method::GET, Method::HEAD][..],
        method => &[method][..],
    };
    if let Some(refused) = only(methods) {
        return refused;
    }
    match (place, tool) {
        (_, Some(tool)) => with_token(door, callers, request, Called::Tool(tool.to_owned())).await,
        ("/v1/token/refresh", _) => with_token(door, callers, request, Called::Refresh).await,
        (a2a::card::PLACE, _) => with_token(door, callers, request, Called::A2a(a2a::Asked::Rpc)).await,
        (a2a::card::CARD, _) => {
            let (parts, _) = request.into_parts();
            a2a::card::answer(door, &parts, a2a::Form::of(&parts))
        }
        (a2a::card::OLD_CARD, _) => a2a::card::answer(door, &request.into_parts().0, Some(a2a::Form::Three)),
        (a2a::card::KEYS, _) => a2a::card::keys(door, &request.into_parts().0),
        ("/health/live", _) => json(200, &serde_json::json!({ "alive": true })),
        ("/metrics", _) => metrics::answer(request.headers(), door.provost.metrics()),
        ("/openapi.json", _) => text(200, "application/json", openapi::text()),
        _ => {
            let health = door.provost.health().await;
            json(if health.ready { 200 } else { 503 }, &serde_json::json!(health))
        }
    }
}

/// What a token is shown for.
enum Called {
    Mcp,
    Tool(String),
    A2a(a2a::Asked),
    Refresh,
}

async fn with_token<F: Face>(
    door: &Door,
    callers: &Callers<F>,
    request: Request<Incoming>,
    called: Called,
) -> Answer {
    let presented = match presented(door, request.headers()).await {
        Ok(presented) => presented,
        Err(rejected) => return turn_away(door, &rejected),
    };
    let holder = callers.of(&presented);
    let caller = &holder.caller;
    let account = caller.principal.payer();
    let (mut parts, body) = request.into_parts();
    // Nothing behind this knows it.
    parts.headers.remove(AUTHORIZATION);
    parts.headers.remove(COOKIE);
    let mut is_stream = parts.method == Method::GET;
    let (whole, held) = match body::read(body, door.room.unfinished.none(account)).await {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    let answer = match called {
        Called::Mcp => callers.mcp(&holder, parts, whole).await,
        Called::Tool(name) => tools::call(caller, &name, &parts, &whole).await,
        Called::A2a(asked) => {
            let (answer, follows) = a2a::answer(door, caller, asked, &parts, &whole).await;
            is_stream = follows;
            answer
        }
        Called::Refresh => token::refresh(door, &caller.principal).await,
    };
    drop(held);
    until_it_ends(answer, &presented, is_stream)
}

/// An answer to a token ends with the token: at once, where it is taken back; and what only listens, when it expires.
fn until_it_ends(answer: Answer, presented: &Presented, is_stream: bool) -> Answer {
    let revoked = presented.bearer.revoked().clone();
    let left = presented.expires.duration_since(Timestamp::now());
    let left = std::time::Duration::try_from(left).unwrap_or_default();
    let end = async move {
        if is_stream {
            tokio::select! { () = revoked.cancelled() => {}, () = tokio::time::sleep(left) => {} }
        } else {
            revoked.cancelled().await;
        }
    };
    answer.map(|body| Until::of(body, end))
}

/// Who shows a token, in the one header that is looked at.
async fn presented(door: &Door, headers: &HeaderMap) -> Result<Presented, Rejected> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let given = match (given.next(), given.next()) {
        (Some(given), None) => given,
        (None, _) => return Err(Rejected::Missing),
        _ => return Err(Rejected::Malformed("there is more than one")),
    };
    let given = given.to_str().map_err(|_| Rejected::Malformed("it is no text"))?;
    let (scheme, token) = given.split_once(' ').ok_or(Rejected::Malformed("Bearer stands before it"))?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Rejected::Malformed("Bearer stands before it"));
    }
    door.provost.policy.tokens.present(token.trim(), &door.audience()).await
}

/// Says why, leaves a receipt, and counts. A crowd of them leaves one a second.
fn turn_away(door: &Door, rejected: &Rejected) -> Answer {
    door.provost.meter().rejected(rejected.kind());
    if let Some(others) = Crowd::one_more(&door.crowd) {
        let why = Crowd::among(others, &rejected.to_string());
        tracing::warn!(kind = rejected.kind(), "turned a request over HTTP away: {why}");
        Visit::no_token(&door.provost.desk, &why);
    }
    let status = if matches!(rejected, Rejected::Unreadable(_)) { 503 } else { 401 };
    // Which of its files the daemon cannot read is the operators' to know.
    let said = match rejected {
        Rejected::Unreadable(_) => "which tokens there are cannot be read".to_owned(),
        rejected => rejected.to_string(),
    };
    let mut answer = refuse(status, rejected.kind(), &said, rejected.next());
    if status == 401 {
        let challenge = match rejected {
            Rejected::Missing => "Bearer realm=\"provost\"",
            _ => "Bearer realm=\"provost\", error=\"invalid_token\"",
        };
        answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    answer
}
