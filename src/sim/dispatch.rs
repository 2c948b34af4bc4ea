//! A request's way, in the order in which PVE's daemons judge it: credentials, path, token, privileges, which node, which
//! daemon, parameters, method.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::Shared;
use super::answer::{Refusal, Reply};
use super::auth;
use super::call::Call;
use super::estate::Estate;
use super::fault::{Fault, HUGE};
use super::http::connection::Daemon;
use super::http::request::Request;
use super::http::response::{HTML, Response};
use super::permission::{Caller, ROOT};
use super::verify;
use crate::catalog::{Endpoint, Method, Permission};

/// What is answered without a login.
const OPEN: &[(&str, &str)] = &[
    ("GET", "/access/domains"),
    ("GET", "/access/ticket"),
    ("POST", "/access/ticket"),
    ("POST", "/access/openid/auth-url"),
    ("POST", "/access/openid/login"),
];

/// How long a wrong credential waits on a real node.
const UNAUTHORISED_DELAY: f64 = 3.0;

struct Outcome {
    result: Result<Reply, Refusal>,
    forwarded: bool,
}

impl Shared {
    /// `None`: there will be none.
    pub async fn answer(self: &Arc<Self>, daemon: Daemon, request: &Request) -> Option<Response> {
        let subject = format!("{} {}", request.method, request.path);
        let asked: Option<Fault> = request.header("provost-sim-fault").and_then(|words| words.parse().ok());
        let strikes = |fault: &Fault| {
            let here = matches!(
                fault,
                Fault::Slow(_)
                    | Fault::Hang
                    | Fault::Mute
                    | Fault::Status(..)
                    | Fault::Cut
                    | Fault::Html
                    | Fault::InvalidUtf8
                    | Fault::Huge
            );
            here.then(|| fault.clone())
        };
        let fault = asked.or_else(|| self.faults.take(&subject, strikes));
        match fault {
            Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
            Some(Fault::Hang) => return None,
            Some(Fault::Status(status, reason)) => return Some(Response::bare(status, &reason)),
            Some(Fault::Html) => return Some(page("<h1>Bad Gateway</h1>")),
            Some(Fault::InvalidUtf8) => {
                return Some(Response::json(
                    200,
                    "OK",
                    Arc::new(b"{\"data\":\"\xff\xfe\xc0\x80\"}".to_vec()),
                ));
            }
            Some(Fault::Huge) => return Some(Response::json(200, "OK", Arc::new(huge()))),
            _ => {}
        }
        let mut response = self.respond(daemon, request).await;
        response.cut = fault == Some(Fault::Cut);
        (fault != Some(Fault::Mute)).then_some(response)
    }

    async fn respond(self: &Arc<Self>, daemon: Daemon, request: &Request) -> Response {
        let Some(path) =
            request.path.strip_prefix("/api2/json").or_else(|| request.path.strip_prefix("/api2/extjs"))
        else {
            return match &*request.path {
                "/" => page("<h1>Simulated Proxmox VE</h1>"),
                path => Response::bare(404, &format!("no such file '{path}'")),
            };
        };
        let path = if path.is_empty() { "/" } else { path };
        let outcome = self.judge(daemon, request, path);
        match outcome.result {
            Ok(reply) => {
                let mut response = Response::json(200, "OK", reply.body());
                response.forwarded = outcome.forwarded;
                response
            }
            Err(refusal) => {
                if refusal.status == 401
                    && let Some(time) = self.scaled(UNAUTHORISED_DELAY)
                {
                    tokio::time::sleep(time).await;
                }
                if refusal.bare {
                    return Response::bare(refusal.status, refusal.reason());
                }
                let mut response = Response::json(refusal.status, refusal.reason(), Arc::new(refusal.body()));
                response.forwarded = outcome.forwarded;
                response
            }
        }
    }

    fn judge(self: &Arc<Self>, daemon: Daemon, request: &Request, path: &str) -> Outcome {
        let mut forwarded = false;
        let result = self.change(|estate| self.decide(estate, daemon, request, path, &mut forwarded));
        Outcome { result, forwarded }
    }

    /// `forwarded` says how far it came.
    fn decide(
        self: &Arc<Self>,
        estate: &mut Estate,
        daemon: Daemon,
        request: &Request,
        path: &str,
        forwarded: &mut bool,
    ) -> Result<Reply, Refusal> {
        let who = auth::caller(estate.access(), request)?;
        let open = OPEN.contains(&(request.method.as_str(), path));
        let who = match who {
            Some(who) => who,
            None if open => String::new(),
            None => return Err(Refusal::bare(401, "No ticket")),
        };
        let unknown = || Refusal::unknown_method(&request.method, path);
        let method = method(&request.method).ok_or_else(unknown)?;
        if estate.missing.iter().any(|missing| path.starts_with(missing)) {
            return Err(unknown());
        }
        if (method, path) == (Method::Get, "/") {
            return Ok(super::api::index::root(&self.catalog).into());
        }
        let (index, named) = self.routes.find(method, path).ok_or_else(unknown)?;
        let endpoint = &self.catalog.endpoints()[index];

        let mut given = request.parameters().map_err(Refusal::die)?;
        for (name, value) in named {
            if given.insert(name.clone(), Value::String(value)).is_some() {
                return Err(Refusal::parameter(&name, "duplicate parameter (already defined in URI)"));
            }
        }
        if who.contains('!') && !endpoint.allowtoken {
            let what = format!("URI '{path}' not available with API token, need proper ticket.\n");
            return Err(Refusal::forbidden(&what));
        }
        permitted(estate, &who, endpoint, &given)?;
        self.place(estate, daemon, endpoint, &given, forwarded)?;
        quorate(estate, method)?;
        let parameters = verify::verify(endpoint, given)?;
        let mut call = Call { shared: self, estate, who: &who, endpoint, parameters };
        super::described::permitted(&call)?;
        if let Some(planted) = call.estate.planted.get(path).filter(|_| method == Method::Get) {
            return Ok(planted.clone().into());
        }
        match self.routes.handler(index) {
            Some(handler) => handler(&mut call),
            None => super::api::declared::answer(&mut call),
        }
    }

    /// Whether this daemon of this node may answer, or somebody else must.
    fn place(
        &self,
        estate: &Estate,
        daemon: Daemon,
        endpoint: &Endpoint,
        given: &BTreeMap<String, Value>,
        forwarded: &mut bool,
    ) -> Result<(), Refusal> {
        *forwarded = endpoint.protected && daemon == Daemon::Proxy;
        let Some(name) = proxied_by(endpoint) else { return Ok(()) };
        let Some(node) = given.get(name).and_then(Value::as_str) else {
            return Err(Refusal::parameter(name, "proxyto parameter does not exist"));
        };
        if node == "localhost" || node == estate.local().name {
            return Ok(());
        }
        if daemon == Daemon::Pvedaemon {
            return Err(Refusal::bare(500, "proxy not allowed"));
        }
        let Some(other) = estate.node(node) else {
            *forwarded = false;
            return Err(Refusal::die(format!(
                "hostname lookup '{node}' failed - failed to get address info for: {node}: Name or service not known"
            )));
        };
        if !other.online {
            return Err(Refusal::bare(595, "No route to host"));
        }
        *forwarded = true;
        Ok(())
    }
}

/// Without a quorum nothing that is kept in /etc/pve can change.
fn quorate(estate: &Estate, method: Method) -> Result<(), Refusal> {
    if method == Method::Get || estate.is_quorate() {
        return Ok(());
    }
    Err(Refusal::die("cluster not ready - no quorum?"))
}

fn method(name: &str) -> Option<Method> {
    match name {
        "GET" | "HEAD" => Some(Method::Get),
        "POST" => Some(Method::Post),
        "PUT" => Some(Method::Put),
        "DELETE" => Some(Method::Delete),
        _ => None,
    }
}

/// The parameter that names who must answer.
fn proxied_by(endpoint: &Endpoint) -> Option<&str> {
    /// Proxied by a parameter that the path does not show.
    const ELSEWHERE: &[&str] = &["/cluster/sdn/dry-run"];
    if endpoint.path.starts_with("/nodes/{node}/") || ELSEWHERE.contains(&endpoint.path.as_str()) {
        return Some("node");
    }
    endpoint.proxyto.as_deref()
}

fn permitted(
    estate: &Estate,
    who: &str,
    endpoint: &Endpoint,
    given: &BTreeMap<String, Value>,
) -> Result<(), Refusal> {
    if endpoint.permission == Permission::World || who == ROOT {
        return Ok(());
    }
    if who.is_empty() {
        return Err(Refusal::forbidden("user != null"));
    }
    match &endpoint.permission {
        Permission::World | Permission::All { .. } => Ok(()),
        Permission::Root => Err(Refusal::forbidden("user != root@pam")),
        Permission::Described(_) => Err(Refusal::forbidden("")),
        Permission::Check { check, .. } => {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let parameters = given.iter().map(|(name, value)| (name.clone(), text(value))).collect();
            Caller { access: estate.access(), who }.check(check, &parameters)
        }
    }
}

fn page(body: &str) -> Response {
    let body = format!("<!DOCTYPE html>\n<html><head><title>pve1</title></head><body>{body}</body></html>\n");
    Response { kind: HTML, ..Response::json(200, "OK", Arc::new(body.into_bytes())) }
}

fn huge() -> Vec<u8> {
    let row = br#"{"n":1,"t":"all work and no play makes a dull log"},"#;
    let mut body = br#"{"data":["#.to_vec();
    while body.len() < HUGE {
        body.extend_from_slice(row);
    }
    body.pop();
    body.extend_from_slice(b"]}");
    body
}
