//! `status`: who am I to this node, what may I do, what stands, what waits.
//!
//! The one tool that anybody who can connect may call, so it tells somebody without a role nothing but that.

use std::time::Duration;

use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Provost;
use super::answer::{Answer, arguments, to_object};
use super::api::Problem;
use crate::config::{Exec, NotYet, Role};
use crate::exec::client;
use crate::ledger::{Ledger, Status};
use crate::policy::approval::Standing;
use crate::policy::{NotOnNode, Principal, Rules, lane_name, role, scope};
use crate::product::Product;
use crate::sandbox;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusArguments {}

/// Who the caller is to the node, and what it may do. What only concerns a role is null for somebody in none.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StatusAnswer {
    /// As the kernel says: "via", "uid", "gid", "user", "groups", "pid"; of a virtual machine "via", "cid", "vmid".
    principal: Map<String, Value>,
    /// Name of the role that counts: the first in the configuration that names the principal.
    role: Option<String>,
    /// "observe", "operate", "provision" or "full".
    profile: Option<String>,
    /// Guests that the role may touch, as the operator wrote them.
    guests: Option<String>,
    exec: ExecStatus,
    /// Whether this session has been given text that a guest wrote: some changes may then need a person's yes.
    tainted: bool,
    sandbox: sandbox::Report,
    /// Daemons of PVE's that do not answer and are left alone for now.
    pve_aside: Option<Vec<Aside>>,
    ledger: Option<LedgerStatus>,
    /// Plans that wait for somebody's yes: yours; all, for who decides about them.
    pending: Vec<Pending>,
    /// Whether the operator has stopped all changes and commands.
    halted: bool,
    /// By whom, since when, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    halt: Option<HaltStatus>,
    configuration: Option<Configuration>,
    /// What is wrong with this node's description of its API; absent where it is as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    catalog: Option<Problem>,
    /// What the configuration asks for and this version does not act on.
    not_yet: Option<Vec<NotYetStatus>>,
    version: &'static str,
    /// Whose API it is, where that is not Proxmox VE's.
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<&'static str>,
    /// What to do about what is missing.
    next: Option<&'static str>,
}

/// A plan that waits for somebody's yes.
#[derive(Debug, Serialize, JsonSchema)]
struct Pending {
    plan_id: String,
    /// What it does.
    summary: String,
    /// "waiting"; or "approved": it can be applied.
    state: &'static str,
    /// RFC 3339.
    expires: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct HaltStatus {
    by: String,
    /// RFC 3339.
    since: String,
    why: String,
}

/// A daemon that is not asked: reads of this node go by way of pveproxy where it is pvedaemon.
#[derive(Debug, Serialize, JsonSchema)]
struct Aside {
    /// "pveproxy" or "pvedaemon".
    daemon: &'static str,
    /// Seconds since it last failed to answer, and until it is tried again.
    silent_s: u64,
    next_s: u64,
}

impl From<(&'static str, Duration, Duration)> for Aside {
    fn from((daemon, silent, next): (&'static str, Duration, Duration)) -> Self {
        Self { daemon, silent_s: silent.as_secs(), next_s: next.as_secs() }
    }
}

/// The receipts.
#[derive(Debug, Serialize, JsonSchema)]
struct LedgerStatus {
    /// "ready"; "damaged" or "unavailable": then nothing can be run or changed.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// What to do about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'static str>,
    /// Receipts on the disk.
    size: u64,
    /// How many of them the signed head covers, and its age in seconds.
    signed: u64,
    head_age_s: Option<u64>,
    /// Changes that were begun, and of which nobody knows what became.
    open_intents: usize,
    /// "journald", or why receipts are not copied there.
    mirror: String,
    /// Receipts that could not be kept, and that the journal did not take, since the start.
    unrecorded: u64,
    unmirrored: u64,
}

/// Commands in containers.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct ExecStatus {
    /// The widest lane of the role: "none", "inspect" or "change".
    lane: &'static str,
    #[serde(flatten)]
    more: Option<ExecMore>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ExecMore {
    /// Whether commands run on this node at all.
    enabled: bool,
    /// Containers that can be entered, whoever asks: ids and ranges ("200-299").
    containers: Vec<Ids>,
    /// Whether containers without a user namespace can be entered.
    privileged: bool,
    /// The node itself (guest "host"): "off"; "ON: …" where commands and files there can be asked for, and by whom.
    host: &'static str,
    /// Directories of the node under which its files can be asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    host_roots: Vec<String>,
    /// Seconds that a command may ask for at most.
    max_timeout_s: u32,
    /// "off", "reachable", or why it cannot be reached.
    execd: String,
    /// What to do about that.
    next: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Ids {
    One(u32),
    Range(String),
}

/// Whether the file that the operator wrote last is in force.
#[derive(Debug, Serialize, JsonSchema)]
struct Configuration {
    in_force: bool,
    /// Why not; what the file said before holds until it is right.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'static str>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct NotYetStatus {
    key: String,
    /// What it does now, and will do.
    meaning: &'static str,
}

/// `tainted`: whether the session that asks is.
pub fn call(provost: &Provost, principal: &Principal, given: &Map<String, Value>, tainted: bool) -> Answer {
    let StatusArguments {} = arguments(given.clone())?;
    let rules = &provost.policy.rules;
    let config = rules.now();
    let role = role(&config, principal);
    let halted = provost.policy.halt.now();
    let not_yet = |NotYet { key, meaning }| NotYetStatus { key, meaning };
    to_object(StatusAnswer {
        principal: principal.to_json(),
        role: role.map(|role| role.name.clone()),
        profile: role.map(|role| role.profile.name().to_owned()),
        guests: role.map(scope),
        exec: exec(&config.exec, role, on_host(provost, principal)),
        tainted,
        sandbox: sandbox::report(role.is_some()),
        pve_aside: role.map(|_| provost.client.aside().into_iter().map(Aside::from).collect()),
        ledger: role.map(|_| ledger(&provost.desk.ledger)),
        pending: pending(provost, principal),
        halted: halted.is_some(),
        halt: halted.filter(|_| role.is_some()).map(|halted| HaltStatus {
            by: halted.by,
            since: halted.since.to_string(),
            why: halted.why,
        }),
        configuration: role.map(|_| configuration(rules)),
        catalog: role.and_then(|_| provost.catalog.problem()),
        not_yet: role.map(|_| config.not_yet().into_iter().map(not_yet).collect()),
        version: env!("CARGO_PKG_VERSION"),
        product: Some(provost.catalog.product()).filter(|product| !product.has_guests()).map(Product::title),
        next: role
            .is_none()
            .then_some("you are in no role: the operator can name you in a [[role]] of provost.toml"),
    })
}

fn ledger(ledger: &Ledger) -> LedgerStatus {
    let next = ledger.ready().err().map(|unrecorded| unrecorded.next());
    let Status { state, why, size, signed, open_intents, unrecorded, mirror, unmirrored, .. } =
        ledger.status();
    let written = std::fs::metadata(ledger.place().checkpoint()).and_then(|head| head.modified());
    let head_age_s = written.ok().and_then(|written| written.elapsed().ok()).map(|age| age.as_secs());
    let open_intents = open_intents.len();
    LedgerStatus { state, why, next, size, signed, head_age_s, open_intents, mirror, unrecorded, unmirrored }
}

fn pending(provost: &Provost, principal: &Principal) -> Vec<Pending> {
    let plans = provost.policy.plans(principal).into_iter();
    let pending = plans.filter_map(|held| {
        let state = match &held.standing {
            Standing::Waiting | Standing::Deciding => "waiting",
            Standing::Decided(decision) if decision.yes => "approved",
            _ => return None,
        };
        let summary = crate::text::clean(held.request.summary.join("; ").as_bytes());
        let expires = held.request.expires_at.to_string();
        Some(Pending { plan_id: held.request.plan.clone(), summary, state, expires })
    });
    pending.collect()
}

fn configuration(rules: &Rules) -> Configuration {
    let error = rules.error();
    let next =
        "the operator can mend the file; until then what it said before holds (provostd --check says more)";
    Configuration { in_force: error.is_none(), next: error.as_ref().map(|_| next), error }
}

/// Whether something may be asked for on the node itself, and by the one who asks now.
fn on_host(provost: &Provost, principal: &Principal) -> &'static str {
    match provost.policy.reaches_host(principal) {
        Ok(()) => "ON: you may ask, and a person approves each call",
        Err(NotOnNode::Off) => "off",
        Err(_) => "ON: not for your role",
    }
}

fn exec(exec: &Exec, role: Option<&Role>, host: &'static str) -> ExecStatus {
    let Some(role) = role else { return ExecStatus { lane: "none", more: None } };
    let ids = |ids: &std::ops::RangeInclusive<u32>| match ids.start() == ids.end() {
        true => Ids::One(*ids.start()),
        false => Ids::Range(format!("{}-{}", ids.start(), ids.end())),
    };
    let reach = if exec.enabled { client::probe(&exec.socket) } else { Ok(()) };
    let more = ExecMore {
        enabled: exec.enabled,
        containers: exec.containers.ranges().iter().map(ids).collect(),
        privileged: exec.privileged,
        host,
        host_roots: match host {
            "off" => Vec::new(),
            _ => exec.host_roots.iter().map(|root| root.display().to_string()).collect(),
        },
        max_timeout_s: exec.max_timeout_s,
        execd: match &reach {
            _ if !exec.enabled => "off".to_owned(),
            Ok(()) => "reachable".to_owned(),
            Err(error) => error.to_string(),
        },
        next: reach.err().map(|error| error.next()),
    };
    ExecStatus { lane: lane_name(role.lane()), more: Some(more) }
}
