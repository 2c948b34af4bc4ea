//! From a request to a process, by the gate.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Room;
use super::command::Command;
use super::gate::{Gate, of_entry, refusal};
use super::host::HostCall;
use crate::door::Errand;
use crate::enter::{self, EnterError, KillBy, Work};
use crate::exec::wire::{Guest, LaneReport, Mode, Refusal, Request};

/// What runs now.
pub enum Started {
    Inside(Box<Command>),
    Host(HostCall),
}

/// Passes the gate, writes the journal's entry, and starts the command: in that order, so that nothing runs unlisted
/// or unrecorded. None while the container's monitor is asked what it needs; `since` is when the request came.
pub fn start(
    request: &Request,
    stdio: &[OwnedFd; 3],
    since: Instant,
    gate: &mut Gate,
    room: &mut Room,
) -> Result<Option<Started>, Refusal> {
    gate.check(request)?;
    let Guest::Vmid(vmid) = request.guest else {
        let host = HostCall::start(request, stdio, since, gate, &room.lane, &room.recorder)?;
        return Ok(Some(Started::Host(host)));
    };
    let command = match request.file {
        Some(_) => None,
        None => Some(enter::Command {
            argv: request.argv.iter().map(|argument| c_string(argument)).collect::<Result<_, _>>()?,
            env: request.env.clone(),
            cwd: c_string(&request.cwd)?,
            user: request.user.clone(),
        }),
    };
    let floor = gate.exec().inspect_floor;
    if request.mode == Mode::Change && request.file.is_none() {
        room.has_room(vmid)?;
    }
    let recorder = Rc::clone(&room.recorder);
    let Some((target, maker, lane)) = room.target(gate, vmid)? else { return Ok(None) };
    let work = match (&command, &request.file) {
        (None, Some(errand)) => Work::Errand(errand, lane),
        (Some(command), None) => Work::Command(command),
        _ => return Err(refusal("request", "it asks for nothing".into(), String::new())),
    };
    let lane = match request.mode {
        _ if request.file.is_some() => None,
        Mode::Change => None,
        Mode::Inspect if lane.meets(floor) => Some(lane),
        Mode::Inspect => return Err(of_entry(&EnterError::Floor { abi: lane.abi(), floor })),
    };
    recorder.record(request, gate.argv_record())?;
    let stdio = stdio.each_ref().map(AsFd::as_fd);
    let running = match enter::spawn(target, work, stdio, lane, maker) {
        Ok(running) => running,
        Err(error) => {
            room.look_after(vmid);
            return Err(of_entry(&error));
        }
    };
    let report = LaneReport {
        mode: request.mode,
        kill: match running.kill_by() {
            KillBy::Cgroup => "cgroup".into(),
            KillBy::PidNamespaceWalk => "pid_namespace_walk".into(),
        },
        landlock_abi: lane.map(|lane| lane.abi()),
        seccomp: lane.map(|lane| lane.guarantees().seccomp),
        not_guarded: lane
            .map(|lane| lane.guarantees().missing)
            .unwrap_or_default()
            .into_iter()
            .map(Into::into)
            .collect(),
    };
    let deadline = since + Duration::from_millis(request.timeout_ms);
    let ends_itself = request.file.as_ref().is_some_and(Errand::changes);
    let command = Command::new(running, request.mode, ends_itself, report, deadline);
    Ok(Some(Started::Inside(Box::new(command))))
}

fn c_string(text: &str) -> Result<CString, Refusal> {
    CString::new(text).map_err(|_| refusal("request", format!("{text:?} holds a NUL byte"), String::new()))
}
