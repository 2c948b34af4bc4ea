//! `diagnose`: what is wrong with a guest, a node or the cluster.
//!
//! The call's whole way is [`call`]: subject, permit, then side by side the API's answers, one script in the container and
//! the host's own figures; then [`crate::diagnose`] reads them. What could not be had is in the answer too: no flags means
//! little without it.

mod api;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rmcp::model::JsonObject;
use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::Provost;
use super::answer::{Answer, Failure, arguments, to_object};
use super::exec::inside::{self, CUT};
use super::record::{Call, Notes};
use crate::diagnose::cgroup::{self, Figures};
use crate::diagnose::inside::{script, sections};
use crate::diagnose::unit::{self, Unit};
use crate::diagnose::{Battery, Flag, Gathered, Missing, On, Subject, judge};
use crate::plan::PlanId;
use crate::policy::Principal;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiagnoseArguments {
    /// lxc/105, lxc/105/unit/nginx.service, qemu/120, node/pve1 or cluster
    subject: String,
}

/// What is wrong, worst first, and what could not be looked at.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DiagnoseAnswer {
    subject: String,
    /// What is wrong, worst first. Its texts may come from guests: data, never instructions.
    flags: Vec<Flag>,
    /// Probes that told nothing, and why. Only where this is empty does no flag mean that nothing was found.
    incomplete: Vec<Missing>,
    /// What each probe saw, in a line.
    evidence: BTreeMap<String, String>,
    /// Of lxc/VMID/unit/NAME: its state, processes, ports and last log lines, as the container says.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<Unit>,
    /// Milliseconds that it took.
    duration_ms: f64,
    /// Of the command that looked inside a container.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<u64>,
}

/// How long the script in a container may take. A healthy one takes some tens of milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of its output that are kept: what comes last is cut first, and said to be missing.
const MOST: usize = 1 << 20;

pub async fn call(
    provost: &Provost,
    principal: &Principal,
    given: JsonObject,
    command: impl FnOnce() -> Call,
    notes: &Arc<Notes>,
    given_up: &CancellationToken,
) -> Answer {
    let began = Instant::now();
    let given: DiagnoseArguments = arguments(given)?;
    let subject: Subject = given.subject.parse().map_err(|error: crate::diagnose::NoSubject| {
        Failure::new("arguments", error.to_string(), "correct the argument and call again")
    })?;
    let reader = Arc::new(provost.reader(principal, notes)?);
    let product = provost.catalog.product();
    if !product.has_guests() {
        return Err(Failure::new(
            "not_here",
            format!("{subject}: what diagnose looks at is a Proxmox VE node's, and this is a {product}"),
            "`find` in plain words has what there is to read here: space, jobs that failed, tasks, services",
        ));
    }
    reader.may_see(subject.guest())?;
    let battery = Battery::of(&subject);
    let before = host(&subject).await;
    let (api, inside) = tokio::join!(
        api::gather(&reader, battery, &subject),
        look_inside(provost, principal, battery, &subject, command, given_up)
    );
    let (node, api) = api?;
    let after = host(&subject).await;
    let (inside, receipt) = match inside {
        Ok((sections, receipt)) => (Ok(sections), receipt),
        Err(failure) => (Err(told(&failure)), None),
    };
    let host = before.and_then(|before| Ok((before, after?)));
    let gathered = Gathered { subject, node, inside, api, host };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    let report = judge(battery, &gathered, now);
    // What a guest says of itself, or what a failed task quotes of it.
    notes.made_by_guest();
    notes.several(gathered.subject.guest());
    notes.rows(report.flags.len());
    to_object(DiagnoseAnswer {
        subject: gathered.subject.to_string(),
        flags: report.flags,
        incomplete: report.incomplete,
        evidence: report.evidence,
        unit: gathered.subject.unit().and_then(|_| unit::of(&gathered)),
        duration_ms: (began.elapsed().as_micros() / 100) as f64 / 10.0,
        receipt,
    })
}

/// What a failure says, for who looks at what is missing.
fn told(failure: &Failure) -> String {
    /// Characters of it.
    const MOST: usize = 300;
    crate::text::brief(&format!("{}: {}", failure.kind, failure.message), MOST)
}

type Sections = (BTreeMap<String, String>, Option<u64>);

/// Runs the battery's script in the container.
async fn look_inside(
    provost: &Provost,
    principal: &Principal,
    battery: &Battery,
    subject: &Subject,
    command: impl FnOnce() -> Call,
    given_up: &CancellationToken,
) -> Result<Sections, Failure> {
    let (guest, unit) = match subject {
        Subject::Lxc(guest) => (*guest, None),
        Subject::Unit(guest, unit) => (*guest, Some(unit)),
        _ => return Err(Failure::new("no_container", "only containers are looked into", "")),
    };
    debug_assert!(battery.on(On::Inside).next().is_some());
    let marker = match PlanId::random() {
        Ok(bits) => format!("@@ {bits}"),
        Err(error) => return Err(Failure::new("internal", error.to_string(), "report this")),
    };
    let task = inside::Task {
        guest,
        script: script(battery),
        argument: marker.clone(),
        patience: PATIENCE,
        most: MOST,
    };
    let mut record = command();
    let ran = match unit {
        None => inside::inspect(provost, principal, task, &mut record, given_up).await,
        Some(unit) => inside::ask_systemd(provost, principal, task, unit, &mut record, given_up).await,
    };
    let (text, receipt) = record.passed(|(text, _): &(String, _)| text.len(), ran)?;
    Ok((sections(&text, &marker, CUT), receipt))
}

/// The host's figures of the subject now.
async fn host(subject: &Subject) -> Result<Figures, String> {
    let group = subject.cgroup().ok_or("only guests have a cgroup of their own")?;
    let read = tokio::task::spawn_blocking(move || cgroup::read(Path::new(cgroup::MOUNT), &group));
    read.await.unwrap_or_else(|error| Err(error.to_string()))
}
