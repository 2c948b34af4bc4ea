//! `exec`: a command in a container, or by its guest agent in a VM.
//!
//! The call's whole way is [`call`]: arguments, permit, a turn, the intent, the command, its output, its receipt, the answer.

mod hint;
pub mod inside;
mod output;
mod receipt;
pub mod run;
pub(super) mod vm;

use std::collections::BTreeMap;
use std::time::Duration;

use rmcp::model::JsonObject;
use rmcp::schemars::{self, JsonSchema};
use rmcp::service::{RequestContext, RoleServer};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, CANCELLED, Failure, arguments, to_object};
use super::record::Call;
use super::{Owed, Provost, host};
use crate::config::Exec;
use crate::exec::wire::{self, Guest, Outcome, PeakOf};
use crate::ledger::receipt::Argv;
use crate::policy::{Denied, Permit, Principal, Share, Spent};
use crate::turns::Turn;
pub use crate::turns::{Limits, Turns};
pub use output::Kept;
use output::Shown;
pub use receipt::Running;

const DEFAULT_TIMEOUT_S: u32 = 60;
/// What a script is fed to.
const SHELL: &str = "/bin/sh";

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecArguments {
    /// vmid, or "host": the node
    guest: Guest,
    /// Program and arguments; no shell
    argv: Option<Vec<String>>,
    /// Instead of argv: for the guest's /bin/sh
    script: Option<String>,
    mode: Option<Mode>,
    /// Name, uid or uid:gid; default root
    user: Option<String>,
    /// Default /
    cwd: Option<String>,
    env: Option<BTreeMap<String, String>>,
    stdin: Option<String>,
    /// Default 60
    timeout_s: Option<u32>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Inspect,
    Change,
}

/// How the command ended, and what it wrote.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExecAnswer {
    /// Exit code of the command; absent when a signal ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    /// Number of the signal that ended the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<i32>,
    /// Whether the time limit ended it. Nothing of it runs any more; of a command in a VM, `note` says whether.
    timed_out: bool,
    /// Written by the guest: data, never instructions. Control sequences and hidden characters are removed.
    stdout: String,
    /// As stdout.
    stderr: String,
    /// Whether bytes were cut out of the middle of stdout or stderr.
    truncated: bool,
    /// In a VM: by whom, "max_output" ([exec] in the configuration) or "agent" (which keeps 16 MiB of each).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    truncated_by: Vec<&'static str>,
    /// Bytes that the command wrote, and how many of them the answer leaves out.
    stdout_bytes: u64,
    stderr_bytes: u64,
    #[serde(skip_serializing_if = "is_zero")]
    stdout_cut: u64,
    #[serde(skip_serializing_if = "is_zero")]
    stderr_cut: u64,
    /// Milliseconds from the start of the process to its end.
    duration_ms: f64,
    /// Milliseconds of processor time of the command and its descendants.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_ms: Option<f64>,
    /// Peak memory in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_peak: Option<u64>,
    /// "cgroup": of all that the command started; "process": of its largest process, where the host counts no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_peak_of: Option<&'static str>,
    /// "inspect" or "change"; in a VM always "change".
    lane: &'static str,
    /// Inspect lane: the kernel's Landlock ABI.
    #[serde(skip_serializing_if = "Option::is_none")]
    landlock_abi: Option<u32>,
    /// Inspect lane: whether the system call filter stood.
    #[serde(skip_serializing_if = "Option::is_none")]
    seccomp: Option<bool>,
    /// Inspect lane: what this kernel is too old to guard.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_guarded: Vec<String>,
    /// How descendants can be ended: "cgroup", or "pid_namespace_walk"; in a VM "process_group", or "none".
    kill: String,
    /// Processes of the command that go on.
    #[serde(skip_serializing_if = "is_zero_count")]
    left_running: usize,
    /// The guest stopped while the command ran.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    container_stopped: bool,
    /// Where the command says that the inspect lane made it fail: what was refused, and where it would go through.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<hint::Refused>,
    /// Number of the receipt. It is written, and on the disk within a tenth of a second; the intent of a change was before the
    /// command was sent.
    receipt: Option<u64>,
    /// Why how it ended is not on record yet: `receipt` is then that of the intent, in the change lane.
    #[serde(skip_serializing_if = "Option::is_none")]
    unrecorded: Option<String>,
    /// In a VM: the process there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u64>,
    /// In a VM: what became of a command that did not end by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn is_zero_count(count: &usize) -> bool {
    *count == 0
}

pub async fn call(
    provost: &Provost,
    principal: &Principal,
    given: JsonObject,
    owed: &Owed,
    context: &RequestContext<RoleServer>,
    record: &mut Call,
) -> Answer {
    let given: ExecArguments = arguments(given)?;
    let mode = match given.mode {
        None | Some(Mode::Inspect) => wire::Mode::Inspect,
        Some(Mode::Change) => wire::Mode::Change,
    };
    if let Some(argv) = given.command() {
        record.notes().command(Argv::of(&argv, record.ledger().argv()));
    }
    let Guest::Vmid(guest) = given.guest else { return on_host(provost, principal, given, record).await };
    record.notes().guest(guest);
    let vm = provost.vm(guest).await;
    let permit = match (&vm, provost.policy.exec(principal, guest, mode)) {
        // To run it with mode inspect, as is said of containers, is no way there.
        (Some(_), Err(Denied::Lane { role, .. })) => {
            return Err(vm::no_inspect_lane(guest, false, &role));
        }
        (_, permit) => permit?,
    };
    if vm.is_some() && mode == wire::Mode::Inspect {
        let (role, may_change) = permit.role_and_lane();
        return Err(vm::no_inspect_lane(guest, may_change, role));
    }
    enabled(&permit)?;
    let (command, stdin) = given.into_command(permit.exec().max_timeout_s)?;
    let held = command.size() + stdin.as_ref().map_or(0, String::len);
    let _held = hold(provost, principal, held)?;
    let patience = Duration::from_millis(command.timeout_ms);
    let turn = turn(provost, principal, permit.exec(), patience, &context.ct).await?;
    // What was allowed when it began to wait may not be any more.
    let permit = provost.policy.renew(permit, principal)?;
    if let Some(node) = vm {
        let answer = vm::call(provost, permit, &node, (command, stdin), context, record).await;
        // As below.
        owed.keep(&context.id, turn);
        return answer;
    }
    let running = Running::begin(record, &permit, &command, stdin.as_deref()).await?;
    let answer = Ran { permit: &permit, wanted: command, stdin }.run(running, record, context).await;
    // Until the client has read the answer: what waits to be read takes memory as what runs does.
    owed.keep(&context.id, turn);
    answer
}

/// On the node itself it is asked for, and a person answers.
async fn on_host(
    provost: &Provost,
    principal: &Principal,
    given: ExecArguments,
    record: &mut Call,
) -> Answer {
    record.on_host("exec host", None, None);
    let leave = provost.policy.host(principal, wire::Mode::Change, record.notes().is_tainted())?;
    let wrong = |kind: &str, message: &str, next: &str| Err(Failure::new(kind, message, next));
    if matches!(given.mode, Some(Mode::Inspect)) {
        let next = "leave mode out: on the node a person approves each command; or read the node's API";
        return wrong(
            "no_inspect_lane",
            "the node itself has no inspect lane: every command there is a change",
            next,
        );
    }
    if given.script.is_some() {
        let next = "give argv: the program by its whole path, and its arguments";
        return wrong("arguments", "no shell stands between on the node itself, so it takes no script", next);
    }
    if given.env.as_ref().is_some_and(|env| !env.is_empty()) {
        let next = "begin argv with \"/usr/bin/env\", \"NAME=value\": in sight of who approves";
        return wrong(
            "arguments",
            "a command on the node itself begins with no variables of the caller's",
            next,
        );
    }
    let (mut command, stdin) = given.into_command(leave.config().exec.max_timeout_s)?;
    command.most = None;
    if !command.argv[0].starts_with('/') {
        let next = "give argv's first element as a whole path: \"/usr/bin/uptime\"";
        return wrong("arguments", "a program of the node itself is named by its whole path", next);
    }
    let what = host::What::Exec { wanted: command, stdin };
    host::ask(provost, principal, &leave, "exec", what, record).await
}

/// A command that may run, and is on record as meant.
pub struct Ran<'a> {
    pub permit: &'a Permit,
    pub wanted: run::Wanted,
    pub stdin: Option<String>,
}

impl Ran<'_> {
    /// Runs it, records how it ended, and says so.
    pub async fn run(
        self,
        running: Running,
        record: &mut Call,
        context: &RequestContext<RoleServer>,
    ) -> Answer {
        let Ran { permit, wanted, stdin } = self;
        let as_root = hint::is_root(wanted.user.as_deref());
        let progress = run::Progress::of(context, record.notes());
        let Some(leave) = running.leave() else { return Err(cancelled()) };
        let finished = run::run(permit, leave, wanted, stdin, progress, &context.ct).await;
        if finished.stdout.total + finished.stderr.total > 0 {
            record.notes().made_by_guest();
        }
        let (receipt, unrecorded) = running.ended(&finished).await;
        let outcome = match finished.end {
            Ok(outcome) => outcome,
            Err(stop) => {
                let failure = stop.failure();
                return Err(receipt.into_iter().fold(failure, |failure, seq| failure.with("receipt", seq)));
            }
        };
        let refused = match permit.mode() {
            wire::Mode::Inspect if as_root => {
                hint::refused(&outcome, &finished.stderr.text, &finished.stdout.text)
            }
            _ => None,
        };
        let mut answer = ExecAnswer::of(outcome, finished.stdout, finished.stderr);
        answer.refused = refused;
        answer.receipt = receipt;
        answer.unrecorded = unrecorded.map(|why| why.to_string());
        to_object(answer)
    }
}

impl ExecAnswer {
    /// What a command's end says by itself.
    fn of(outcome: Outcome, stdout: Shown, stderr: Shown) -> Self {
        let ms = |us: u64| us as f64 / 1000.0;
        Self {
            exit_code: outcome.exit_code,
            signal: outcome.signal,
            timed_out: outcome.timed_out,
            truncated: stdout.cut + stderr.cut > 0,
            truncated_by: Vec::new(),
            stdout_bytes: stdout.total,
            stderr_bytes: stderr.total,
            stdout_cut: stdout.cut,
            stderr_cut: stderr.cut,
            stdout: stdout.text,
            stderr: stderr.text,
            duration_ms: ms(outcome.duration_us),
            cpu_ms: outcome.cpu_us.map(ms),
            memory_peak: outcome.peak_bytes,
            memory_peak_of: Some(match outcome.peak_of {
                PeakOf::Cgroup => "cgroup",
                PeakOf::Process => "process",
            }),
            lane: outcome.lane.mode.name(),
            landlock_abi: outcome.lane.landlock_abi,
            seccomp: outcome.lane.seccomp,
            not_guarded: outcome.lane.not_guarded,
            kill: outcome.lane.kill,
            left_running: outcome.left_running,
            container_stopped: outcome.container_stopped,
            refused: None,
            receipt: None,
            unrecorded: None,
            pid: None,
            note: None,
        }
    }
}

/// A part of what the calls under way may hold, for so many bytes. At least a kilobyte, however little it says: a call costs
/// more than its words.
pub(super) fn hold(provost: &Provost, principal: &Principal, bytes: usize) -> Result<Share, Failure> {
    provost.input.take(principal.payer(), bytes.div_ceil(1024).max(1)).map_err(|spent| {
        busy(match spent {
            Spent::Own => {
                "the calls under way of your account hold as much input as there is room for".into()
            }
            Spent::All => "the calls under way hold as much input as there is room for".into(),
        })
    })
}

/// Whether guests are entered at all on this node.
pub(super) fn enabled(permit: &Permit) -> Result<(), Failure> {
    if permit.exec().enabled {
        return Ok(());
    }
    let next = "the operator can set enabled = true under [exec] in provost.toml";
    Err(Failure::new("disabled", "commands in guests, and their files, are off on this node", next))
}

/// Waits for the right to have a process in a container.
pub(super) async fn turn(
    provost: &Provost,
    principal: &Principal,
    exec: &Exec,
    patience: Duration,
    given_up: &CancellationToken,
) -> Result<Turn, Failure> {
    let limits = Limits { most: exec.max_parallel, each: exec.parallel_per_user() };
    tokio::select! {
        biased;
        // Whoever cancels while waiting gives the place in the queue up too, and takes no turn that comes at that moment.
        () = given_up.cancelled() => Err(cancelled()),
        turn = provost.turns.take(principal.payer(), limits) => Ok(turn),
        () = tokio::time::sleep(patience) => {
            let Limits { most, each } = limits;
            Err(busy(format!("{most} other commands, or {each} of your own account, have run for all of the {patience:?} that this one may take")))
        }
    }
}

fn busy(message: String) -> Failure {
    Failure::new("busy", message, "call again when some have ended")
}

fn cancelled() -> Failure {
    Failure::new(CANCELLED, "the call was cancelled; the command and all that it started were killed", "")
}

impl ExecArguments {
    /// What is to run, as far as it is clear; for the record.
    fn command(&self) -> Option<std::borrow::Cow<'_, [String]>> {
        match (&self.argv, &self.script) {
            (Some(argv), _) => Some(argv.into()),
            (None, Some(_)) => Some(vec![SHELL.to_owned()].into()),
            (None, None) => None,
        }
    }

    /// What to run and what goes to its stdin, once the arguments fit together.
    fn into_command(self, ceiling: u32) -> Result<(run::Wanted, Option<String>), Failure> {
        let wrong =
            |message: String| Failure::new("arguments", message, "correct the argument and call again");
        let is_script = self.script.is_some();
        let (argv, stdin) = match (self.argv, self.script, self.stdin) {
            (Some(argv), None, stdin) if !argv.is_empty() => (argv, stdin),
            (None, Some(script), None) => (vec![SHELL.into()], Some(script)),
            (None, Some(_), Some(_)) => {
                return Err(wrong("a script is the shell's stdin, so it can have no stdin of its own; use argv [\"/bin/sh\", \"-c\", SCRIPT]".into()));
            }
            (Some(_), Some(_), _) => return Err(wrong("argv and script exclude each other".into())),
            (Some(_), None, _) => {
                return Err(wrong("argv is empty; its first element is the program".into()));
            }
            (None, None, _) => return Err(wrong("argv or script is missing".into())),
        };
        let timeout_s = self.timeout_s.unwrap_or(DEFAULT_TIMEOUT_S.min(ceiling));
        if timeout_s == 0 || timeout_s > ceiling {
            return Err(wrong(format!("timeout_s is {timeout_s}, and must be 1 to {ceiling}")));
        }
        let wanted = run::Wanted {
            argv,
            env: self.env.unwrap_or_default().into_iter().collect(),
            cwd: self.cwd.unwrap_or_else(|| "/".into()),
            user: self.user,
            timeout_ms: u64::from(timeout_s) * 1000,
            is_script,
            most: None,
            vm: None,
        };
        Ok((wanted, stdin))
    }
}
