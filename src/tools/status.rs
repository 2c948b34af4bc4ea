//! `status`: who am I to this node, what may I do, what stands, what waits.
//!
//! The one tool that anybody who can connect may call, so it tells somebody without a role nothing but that.

use rmcp::schemars::{self, JsonSchema};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Provost;
use super::answer::{Answer, arguments};
use crate::config::{Exec, Role};
use crate::exec::client;
use crate::policy::{Principal, Rules, lane_name, role, scope};
use crate::sandbox;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusArguments {}

pub fn call(provost: &Provost, principal: &Principal, given: &Map<String, Value>) -> Answer {
    let StatusArguments {} = arguments(given.clone())?;
    let rules = &provost.policy.rules;
    let config = rules.now();
    let role = role(&config, principal);
    let answer = json!({
        "principal": principal.to_json(),
        "role": role.map(|role| &role.name),
        "profile": role.map(|role| role.profile),
        "guests": role.map(scope),
        "exec": exec(&config.exec, role),
        "sandbox": sandbox::report(),
        "ledger": null,
        "pending": [],
        "halted": false,
        "configuration": role.map(|_| configuration(rules)),
        "not_yet": role.map(|_| config.not_yet()),
        "version": env!("CARGO_PKG_VERSION"),
        "next": role.is_none().then_some("you are in no role: the operator can name you in a [[role]] of provost.toml"),
    });
    match answer {
        Value::Object(object) => Ok(object),
        _ => Ok(Map::new()),
    }
}

/// Whether the file that the operator wrote last is in force.
fn configuration(rules: &Rules) -> Value {
    match rules.error() {
        None => json!({ "in_force": true }),
        Some(error) => json!({
            "in_force": false,
            "error": error,
            "next": "the operator can mend the file; until then what it said before holds (provostd --check says more)",
        }),
    }
}

fn exec(exec: &Exec, role: Option<&Role>) -> Value {
    let Some(role) = role else { return json!({ "lane": "none" }) };
    let ids = |ids: &std::ops::RangeInclusive<u32>| match ids.start() == ids.end() {
        true => json!(ids.start()),
        false => json!(format!("{}-{}", ids.start(), ids.end())),
    };
    let reach = if exec.enabled { client::probe(&exec.socket) } else { Ok(()) };
    json!({
        "enabled": exec.enabled,
        "lane": lane_name(role.lane()),
        "containers": exec.containers.ranges().iter().map(ids).collect::<Vec<_>>(),
        "privileged": exec.privileged,
        "max_timeout_s": exec.max_timeout_s,
        "execd": match &reach {
            _ if !exec.enabled => "off".to_owned(),
            Ok(()) => "reachable".to_owned(),
            Err(error) => error.to_string(),
        },
        "next": reach.err().map(|error| error.next()),
    })
}
