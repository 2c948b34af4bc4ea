//! A command in a VM, by its guest agent.
//!
//! What a container's kernel gives is not there: no lane that only reads, no stream while it runs, no cgroup. So it is always
//! a change, its output comes when it has ended, and what ends it is a second command, where one can.

mod prepare;

use std::time::{Duration, Instant};

use rmcp::service::{RequestContext, RoleServer};
use tokio_util::sync::CancellationToken;

use super::output::{Kept, Shown, share};
use super::receipt::{Leave, Running};
use super::run::{Ran, Stop, Wanted};
use super::{Answer, ExecAnswer, cancelled, to_object};
use crate::exec::wire::{LaneReport, Mode, Outcome, PeakOf};
use crate::ledger::{Seq, Unrecorded};
use crate::policy::Permit;
use crate::tools::Provost;
use crate::tools::answer::{CANCELLED, Failure};
use crate::tools::record::Call;
use crate::tools::vm::agent::{Agent, Ended, MOST_INPUT, Proof};
use crate::tools::vm::script::{self, pauses};
use prepare::{Prepared, prepare};

/// How long an end that was asked for is waited for.
const LAST: Duration = Duration::from_secs(2);
/// Looks that may fail one after another before nobody knows any more.
const MOST_FAILED: u32 = 8;

/// What is to be told beside how it ended.
#[derive(Default)]
struct Beside {
    pid: Option<u64>,
    agent_cut: bool,
    note: Option<String>,
}

struct Done {
    ran: Ran,
    beside: Beside,
    receipt: (Option<Seq>, Option<Unrecorded>),
}

/// Where somebody asked for the lane that is not there.
pub fn no_inspect_lane(guest: u32, may_change: bool, role: &str) -> Failure {
    let message = format!(
        "guest {guest} is a VM, and a VM has no inspect lane: this node's kernel holds a container's process to reading, and \
         reaches into no VM"
    );
    let operator = format!("; for that the operator has to set exec = \"change\" for role \"{role}\"");
    let next = format!(
        "call with mode \"change\", which runs it as the guest's root{}",
        if may_change { "" } else { &operator }
    );
    Failure { denied: true, ..Failure::new("no_inspect_lane", message, next) }
}

pub async fn call(
    provost: &Provost,
    permit: Permit,
    node: &str,
    (mut command, stdin): (Wanted, Option<String>),
    context: &RequestContext<RoleServer>,
    record: &mut Call,
) -> Answer {
    if let Some(given) = stdin.as_ref().map(String::len).filter(|length| *length > MOST_INPUT) {
        let message =
            format!("{given} bytes are to go to the command's stdin, and a guest agent takes {MOST_INPUT}");
        return Err(Failure::new("too_large", message, "bring them in by file_put, and name the file"));
    }
    let agent = Agent::new(provost.policy.inside(&permit, &provost.client, node));
    command.vm = Some(node.to_owned());
    let prepared = prepare(&agent, &command, record).await?;
    let running = Running::begin(record, &permit, &command, stdin.as_deref()).await?;
    record.notes().reached();
    let most = permit.exec().max_output;
    let patience = Duration::from_millis(command.timeout_ms);
    // Whoever gives up drops this; the command is ended all the same, and how is recorded.
    let given_up = context.ct.child_token();
    let _guard = given_up.clone().drop_guard();
    let job = provost.planning.carry(async move {
        let (ran, beside) = run(&agent, &running, prepared, stdin, patience, most, &given_up).await;
        let receipt = running.ended(&ran).await;
        Done { ran, beside, receipt }
    });
    let Ok(Done { ran, beside, receipt: (receipt, unrecorded) }) = job.await else { return Err(cancelled()) };
    let outcome = match ran.end {
        Ok(outcome) => outcome,
        Err(stop) => {
            let failure =
                beside.pid.into_iter().fold(stop.failure(), |failure, pid| failure.with("pid", pid));
            return Err(receipt.into_iter().fold(failure, |failure, seq| failure.with("receipt", seq)));
        }
    };
    let cut = ran.stdout.cut + ran.stderr.cut > 0;
    let truncated_by = [(cut, "max_output"), (beside.agent_cut, "agent")];
    let mut answer = ExecAnswer::of(outcome, ran.stdout, ran.stderr);
    answer.truncated |= beside.agent_cut;
    answer.truncated_by = truncated_by.into_iter().filter_map(|(is, by)| is.then_some(by)).collect();
    // The node's cgroup of a VM says nothing of a command in it.
    answer.memory_peak_of = None;
    answer.pid = beside.pid;
    answer.note = beside.note;
    answer.receipt = receipt;
    answer.unrecorded = unrecorded.map(|why| why.to_string());
    to_object(answer)
}

/// A fixed script of ours for another tool, as a command with receipts of its own: what runs in a VM is a change to policy
/// though it only reads.
pub async fn fixed(
    agent: &Agent,
    permit: &Permit,
    text: &str,
    arguments: &[&str],
    patience: Duration,
    record: &mut Call,
) -> Result<Ended, Failure> {
    let words = ["/bin/sh", "-c", text, "sh"].into_iter().chain(arguments.iter().copied());
    let command = Wanted {
        argv: words.map(str::to_owned).collect(),
        env: Vec::new(),
        cwd: "/".to_owned(),
        user: None,
        timeout_ms: patience.as_millis() as u64,
        is_script: false,
        most: None,
        vm: Some(agent.node().to_owned()),
    };
    let running = Running::begin(record, permit, &command, None).await?;
    let Some(Leave::Change(recorded)) = running.leave() else { return Err(cancelled()) };
    let began = Instant::now();
    let ran = script::run(agent, text, arguments, None, patience, Proof::recorded(recorded)).await;
    let (stdout, stderr) = match &ran {
        Ok(ended) => keep(ended),
        Err(_) => share(Kept::new(0), Kept::new(0), 0),
    };
    let end = match &ran {
        Ok(ended) => Ok(outcome(began, (ended.exit_code, ended.signal), "none")),
        Err(failure) => Err(Stop::Left { failure: failure.clone(), killed: false }),
    };
    running.ended(&Ran { end, stdout, stderr }).await;
    ran
}

fn outcome(began: Instant, (exit_code, signal): (Option<i32>, Option<i32>), kill: &str) -> Outcome {
    Outcome {
        exit_code,
        signal,
        timed_out: false,
        container_stopped: false,
        duration_us: began.elapsed().as_micros() as u64,
        cpu_us: None,
        peak_bytes: None,
        peak_of: PeakOf::Process,
        left_running: 0,
        lane: LaneReport {
            mode: Mode::Change,
            kill: kill.to_owned(),
            landlock_abi: None,
            seccomp: None,
            not_guarded: Vec::new(),
        },
    }
}

/// How the looking came to its end.
enum Seen {
    Ended(Box<Ended<Kept>>),
    TimedOut,
    Cancelled,
    /// The VM stopped.
    Stopped,
    Unknown(Failure),
}

async fn run(
    agent: &Agent,
    running: &Running,
    prepared: Prepared,
    stdin: Option<String>,
    patience: Duration,
    most: usize,
    given_up: &CancellationToken,
) -> (Ran, Beside) {
    let nothing = || share(Kept::new(most), Kept::new(most), most);
    let refused = |stop: Stop| {
        let (stdout, stderr) = nothing();
        (Ran { end: Err(stop), stdout, stderr }, Beside::default())
    };
    let Some(Leave::Change(recorded)) = running.leave() else {
        return refused(Stop::Refused(Failure::new(
            "internal",
            "a command without an intent",
            "report this",
        )));
    };
    let proof = Proof::recorded(recorded);
    let Prepared { mut argv, mut group } = prepared;
    let input = stdin.as_deref().filter(|text| !text.is_empty()).map(str::as_bytes);
    let began = Instant::now();
    let mut started = agent.exec(&argv, input, proof).await;
    // A guest without that program (util-linux) runs the command all the same; ended it cannot be.
    if group && started.as_ref().is_err_and(|failure| is_without(failure, "setsid")) {
        argv.remove(0);
        group = false;
        started = agent.exec(&argv, input, proof).await;
    }
    let pid = match started {
        Ok(pid) => pid,
        Err(failure) if is_unknown(&failure) => {
            return refused(Stop::Left { failure: unknown(failure), killed: false });
        }
        Err(failure) => return refused(Stop::Refused(failure)),
    };
    let seen = watch(agent, pid, most, began + patience, given_up).await;
    let duration_us = began.elapsed().as_micros() as u64;
    let timed_out = matches!(seen, Seen::TimedOut);
    let is_over = matches!(seen, Seen::Ended(_) | Seen::Stopped | Seen::Unknown(_));
    let last = if is_over { None } else { end(agent, pid, most, group).await };
    let killed = last.is_some();
    let note = (!is_over).then(|| match killed {
        true => "its process group in the VM was killed; what has left that group (a daemon) may go on".to_owned(),
        false => format!(
            "a guest agent ends nothing, and it could not be killed by another command: process {pid} goes on in the VM"
        ),
    });
    let mut beside = Beside { pid: Some(pid), agent_cut: false, note };
    let mut outcome = Outcome {
        timed_out,
        container_stopped: matches!(seen, Seen::Stopped),
        duration_us,
        left_running: usize::from(!is_over && !killed),
        ..outcome(began, (None, None), if group { "process_group" } else { "none" })
    };
    let (ended, stop) = match seen {
        Seen::Ended(ended) => (Some(*ended), None),
        Seen::TimedOut | Seen::Stopped => (last, None),
        Seen::Cancelled => {
            let message = format!("the call was cancelled; {}", beside.note.as_deref().unwrap_or_default());
            (last, Some(Stop::Left { failure: Failure::new(CANCELLED, message, ""), killed }))
        }
        Seen::Unknown(failure) => (None, Some(Stop::Left { failure: unknown(failure), killed: false })),
    };
    let (stdout, stderr) = match ended {
        Some(ended) => {
            (outcome.exit_code, outcome.signal) = (ended.exit_code, ended.signal);
            beside.agent_cut = ended.is_cut;
            let mut streams = [ended.stdout, ended.stderr];
            // Of what the agent cut nobody has the hash.
            if !ended.is_cut {
                streams.iter_mut().for_each(Kept::end);
            }
            let [stdout, stderr] = streams;
            share(stdout, stderr, most)
        }
        None => nothing(),
    };
    (Ran { end: stop.map_or(Ok(outcome), Err), stdout, stderr }, beside)
}

/// Of a script of ours: all that it said.
fn keep(ended: &Ended) -> (Shown, Shown) {
    const ALL: usize = usize::MAX / 4;
    let kept = |bytes: &[u8]| {
        let mut kept = Kept::new(ALL);
        kept.take(bytes);
        if !ended.is_cut {
            kept.end();
        }
        kept
    };
    share(kept(&ended.stdout), kept(&ended.stderr), ALL)
}

/// Looks until it has ended, its time is over, or nobody wants it.
async fn watch(agent: &Agent, pid: u64, most: usize, until: Instant, given_up: &CancellationToken) -> Seen {
    let mut failed = 0;
    for pause in pauses() {
        let left = until.saturating_duration_since(Instant::now());
        tokio::select! {
            biased;
            () = given_up.cancelled() => return Seen::Cancelled,
            () = tokio::time::sleep(pause.min(left)) => {}
        }
        match agent.ended(pid, most).await {
            Ok(Some(ended)) => return Seen::Ended(Box::new(ended)),
            Ok(None) => failed = 0,
            Err(failure) if failure.kind == "stopped" => return Seen::Stopped,
            Err(failure) => {
                failed += 1;
                if failed >= MOST_FAILED || !is_passing(&failure) {
                    return Seen::Unknown(failure);
                }
            }
        }
        if left.is_zero() {
            return Seen::TimedOut;
        }
    }
    Seen::TimedOut
}

/// Kills it with its group, where it has one, and says how it ended then.
async fn end(agent: &Agent, pid: u64, most: usize, group: bool) -> Option<Ended<Kept>> {
    if !group {
        return None;
    }
    let killer = agent.end(pid).await.ok()?;
    let until = Instant::now() + LAST;
    let mut ended = None;
    for pause in pauses() {
        tokio::time::sleep(pause).await;
        ended = agent.ended(pid, most).await.ok().flatten();
        if ended.is_some() || Instant::now() >= until {
            break;
        }
    }
    // The agent forgets a process when it has told of its end.
    let _ = agent.ended::<Kept>(killer, 0).await;
    ended
}

fn is_without(failure: &Failure, program: &str) -> bool {
    failure.kind == "no_such_program" && failure.message.contains(program)
}

/// Whether the next look may go better.
fn is_passing(failure: &Failure) -> bool {
    let kinds =
        ["busy", "pve_wedged", "pve_unreachable", "pve_no_answer", "node_unreachable", "agent_timeout"];
    kinds.contains(&failure.kind.as_str()) || failure.kind == "no_guest_agent" || failure.kind == "frozen"
}

/// Whether the command may run although starting it failed.
fn is_unknown(failure: &Failure) -> bool {
    matches!(failure.kind.as_str(), "may_have_happened" | "agent_timeout")
}

fn unknown(failure: Failure) -> Failure {
    let message = format!("how the command in the VM ended is not known: {}", failure.message);
    let next = "see in the guest whether it runs, and what it has done, before it is repeated";
    Failure { kind: "may_have_happened".to_owned(), message, next: next.to_owned(), ..failure }
}
