//! A script of this program's own, for another tool: in the inspect lane, but where systemd is asked. It goes the way of every command: policy, halt, a
//! turn, a receipt of its own.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use super::output::CUT;
use super::receipt::Running;
use super::{Provost, SHELL, cancelled, enabled, run, turn};
use crate::diagnose::unit::UnitName;
use crate::exec::wire::Mode;
use crate::policy::{Permit, Principal};
use crate::tools::answer::Failure;
use crate::tools::record::Call;

/// A script, and what it may take.
pub struct Task {
    pub guest: u32,
    pub script: String,
    /// Its `$1`.
    pub argument: String,
    pub patience: Duration,
    /// Bytes of its output that are kept.
    pub most: usize,
}

/// What it wrote to its standard output, cleaned, and the number of its receipt. `record` is the command's own call.
pub async fn inspect(
    provost: &Provost,
    principal: &Principal,
    task: Task,
    record: &mut Call,
    given_up: &CancellationToken,
) -> Result<(String, Option<u64>), Failure> {
    record.notes().guest(task.guest);
    let permit = provost.policy.exec(principal, task.guest, Mode::Inspect)?;
    let Task { argument, .. } = &task;
    let argv = vec![SHELL.into(), "-s".into(), argument.clone()];
    carry(provost, principal, permit, argv, task, record, given_up).await
}

/// A script that asks the container's systemd of one unit. The inspect lane has no sockets, so it runs outside of it; that
/// is open to whoever may inspect, as the script is this program's, only reads, and has of the caller's the unit's name
/// alone, its `$2`.
pub async fn ask_systemd(
    provost: &Provost,
    principal: &Principal,
    task: Task,
    unit: &UnitName,
    record: &mut Call,
    given_up: &CancellationToken,
) -> Result<(String, Option<u64>), Failure> {
    record.notes().guest(task.guest);
    let permit = provost.policy.fixed(principal, task.guest)?;
    let argv = vec![SHELL.into(), "-s".into(), task.argument.clone(), unit.to_string()];
    carry(provost, principal, permit, argv, task, record, given_up).await
}

async fn carry(
    provost: &Provost,
    principal: &Principal,
    permit: Permit,
    argv: Vec<String>,
    task: Task,
    record: &mut Call,
    given_up: &CancellationToken,
) -> Result<(String, Option<u64>), Failure> {
    enabled(&permit)?;
    let _turn = turn(provost, principal, permit.exec(), task.patience, given_up).await?;
    let permit = provost.policy.renew(permit, principal)?;
    let wanted = run::Wanted {
        argv,
        env: Vec::new(),
        cwd: "/".into(),
        user: None,
        timeout_ms: task.patience.as_millis() as u64,
        is_script: true,
        most: Some(task.most),
        vm: None,
    };
    let running = Running::begin(record, &permit, &wanted, Some(&task.script)).await?;
    let Some(leave) = running.leave() else { return Err(cancelled()) };
    let ran = run::run(&permit, leave, wanted, Some(task.script), None, given_up).await;
    let (receipt, _) = running.ended(&ran).await;
    match ran.end {
        Ok(_) => Ok((ran.stdout.text, receipt)),
        Err(stop) => Err(stop.failure()),
    }
}
