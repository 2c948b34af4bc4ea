//! A script of this program's own, in the inspect lane, for another tool. It goes the way of every command: policy, halt, a
//! turn, a receipt of its own.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use super::output::CUT;
use super::receipt::Running;
use super::{Provost, SHELL, cancelled, enabled, run, turn};
use crate::exec::wire::Mode;
use crate::policy::Principal;
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
    enabled(&permit)?;
    let _turn = turn(provost, principal, &permit, task.patience, given_up).await?;
    let permit = provost.policy.renew(permit, principal)?;
    let wanted = run::Wanted {
        argv: vec![SHELL.into(), "-s".into(), task.argument],
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
