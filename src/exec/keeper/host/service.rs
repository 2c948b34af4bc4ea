//! A command on the node: a process of this program's own, which has systemd run it and waits for its end.
//!
//! The command is a service that PID 1 starts, and no child of this: what it inherits is what every service of the node
//! does. A scope would hold a child of `provost-execd`, with its read-only mounts, its private /tmp and its few
//! capabilities, and the command would run in another node than the one that is meant. The service's cgroup is how all
//! that descends from it is killed.
//!
//! It outlives nobody: when the pipe from `provost-execd` ends, however that came, the service is stopped.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::unistd::{Pid, pipe2};
use serde::{Deserialize, Serialize};

use super::bus::{BusError, Ended, PREFIX, Systemd, Wanted};
use crate::enter::sys::{self, Forked};
use crate::exec::keeper::gate::refusal;
use crate::exec::wire::{Refusal, Request};

/// What a command on the node may take.
const MEMORY: u64 = 1 << 30;
const TASKS: u64 = 1024;
const CPU_US: u64 = 2_000_000;
/// After its own time limit, until systemd ends it without being told.
const GRACE: Duration = Duration::from_secs(10);
/// As root has them on the node, and no others.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What this program is where systemd started it.
const OWN_UNIT: &str = "provost-execd.service";

/// What the process says at its end, in one write.
#[derive(Debug, Serialize, Deserialize)]
pub enum Report {
    Ended {
        timed_out: bool,
        exit_code: Option<i32>,
        signal: Option<i32>,
        duration_us: u64,
        cpu_us: Option<u64>,
        peak_bytes: Option<u64>,
    },
    Refused(Refusal),
}

/// What `provost-execd` holds of it.
pub struct Started {
    pub pid: Pid,
    pub pidfd: OwnedFd,
    /// Its report, once it has ended.
    pub report: OwnedFd,
    /// To close it is to end the command.
    pub control: OwnedFd,
}

/// The process's own descriptors, at numbers of their own.
struct Kept;

impl Kept {
    const CONTROL: BorrowedFd<'static> = sys::borrowed::<3>();
    const REPORT: BorrowedFd<'static> = sys::borrowed::<4>();
    const STDIN: BorrowedFd<'static> = sys::borrowed::<5>();
    const STDOUT: BorrowedFd<'static> = sys::borrowed::<6>();
    const STDERR: BorrowedFd<'static> = sys::borrowed::<7>();
    const FIRST_FREE: i32 = 8;
}

pub fn start(request: &Request, stdio: &[OwnedFd; 3]) -> Result<Started, Errno> {
    let (report, report_end) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    let (control_end, control) = pipe2(OFlag::O_CLOEXEC)?;
    let [stdin, stdout, stderr] = stdio;
    match sys::fork_into(None)? {
        Forked::Parent { pid, pidfd } => Ok(Started { pid, pidfd, report, control }),
        Forked::Child => {
            let ready = arrange([&control_end, &report_end, stdin, stdout, stderr]);
            let report = match ready.and_then(|()| prctl::set_dumpable(false)) {
                Ok(()) => run(request).unwrap_or_else(|error| Report::Refused(of_bus(&error))),
                Err(errno) => Report::Refused(not_started(&format!("its descriptors: {errno}"))),
            };
            let text = serde_json::to_vec(&report).unwrap_or_default();
            let _ = nix::unistd::write(Kept::REPORT, &text);
            sys::exit_now(0)
        }
    }
}

/// Closes all but what is needed: another call's connection, kept open here, would not be seen to close.
fn arrange(fds: [&OwnedFd; 5]) -> Result<(), Errno> {
    let mut aside = [0; 5];
    for (fd, aside) in fds.iter().zip(&mut aside) {
        *aside = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(Kept::FIRST_FREE))?;
    }
    for (at, from) in aside.iter().enumerate() {
        sys::dup_to(*from, 3 + at as i32, true)?;
    }
    sys::close_from(Kept::FIRST_FREE)
}

fn run(request: &Request) -> Result<Report, BusError> {
    let mut systemd = Systemd::connect()?;
    let name = format!("{PREFIX}{:016x}.service", sys::random()?);
    let user = request.user.as_deref().map(|user| match user.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (user, None),
    });
    let mut environment = vec![PATH.to_owned()];
    // Of another account systemd knows the home.
    environment.extend(user.is_none().then(|| "HOME=/root".to_owned()));
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    systemd.start(&Wanted {
        name: &name,
        description: format!("Provost: a command on the node, for {:?}", request.asked_by),
        argv: &request.argv,
        cwd: &request.cwd,
        user,
        environment,
        stdio: [Kept::STDIN, Kept::STDOUT, Kept::STDERR],
        most: Duration::from_millis(request.timeout_ms) + GRACE,
        memory: MEMORY,
        tasks: TASKS,
        cpu_us: CPU_US,
        // Where both this and its parent are killed, the pipe tells nobody.
        bound_to: own.lines().any(|line| line.ends_with(OWN_UNIT)).then_some(OWN_UNIT),
    })?;
    // Its ends of the pipes are systemd's now: the streams end with the command.
    for fd in 5..Kept::FIRST_FREE {
        let _ = nix::unistd::close(fd);
    }
    let ended = wait(&mut systemd, &name)?;
    Ok(report(ended))
}

fn wait(systemd: &mut Systemd, name: &str) -> Result<Ended, BusError> {
    /// Looked at so often though nothing was heard.
    const EVERY: u16 = 1000;
    let mut given_up = false;
    loop {
        if let Some(ended) = systemd.ended(name, given_up)? {
            return Ok(ended);
        }
        let over = {
            let mut fds = vec![PollFd::new(systemd.watched(), PollFlags::POLLIN)];
            fds.extend((!given_up).then(|| PollFd::new(Kept::CONTROL, PollFlags::POLLIN)));
            let _ = poll(&mut fds, PollTimeout::from(EVERY));
            fds.get(1).and_then(PollFd::revents).is_some_and(|events| !events.is_empty())
        };
        if over {
            given_up = true;
            systemd.stop(name)?;
        }
        systemd.hear()?;
    }
}

fn report(ended: Ended) -> Report {
    /// systemd's own exit codes, for what it could not do before the program was reached.
    const BEFORE: std::ops::RangeInclusive<i32> = 200..=245;
    let exited = ended.code == libc::CLD_EXITED;
    let killed = matches!(ended.code, libc::CLD_KILLED | libc::CLD_DUMPED);
    if !exited && !killed {
        return Report::Refused(not_started(&format!("systemd says \"{}\"", ended.result)));
    }
    if exited && !ended.was_active && BEFORE.contains(&ended.status) {
        return Report::Refused(of_status(ended.status));
    }
    Report::Ended {
        timed_out: ended.result == "timeout",
        exit_code: exited.then_some(ended.status),
        signal: killed.then_some(ended.status),
        duration_us: ended.duration_us,
        cpu_us: ended.cpu_us,
        peak_bytes: ended.peak_bytes,
    }
}

fn of_status(status: i32) -> Refusal {
    let (kind, what, next) = match status {
        203 => (
            "no_such_program",
            "there is no such program, or it cannot be run",
            "give the whole path of a program that the node has",
        ),
        200 => ("no_such_directory", "there is no such cwd", "give a cwd that the node has"),
        216 | 217 => ("no_such_user", "there is no such user or group", "name one that the node has"),
        _ => ("not_started", "systemd could not start it", "on the node: journalctl -u 'provost-host-*'"),
    };
    refusal(
        kind,
        format!("the command on the node did not start: {what} (systemd's status {status})"),
        next.into(),
    )
}

fn not_started(why: &str) -> Refusal {
    let next = "on the node: journalctl -u 'provost-host-*'";
    refusal("not_started", format!("the command on the node did not start: {why}"), next.into())
}

fn of_bus(error: &BusError) -> Refusal {
    let next =
        "on the node: systemctl status dbus; a command there runs as a service of systemd's, or not at all";
    refusal("no_systemd", format!("systemd cannot be asked to run the command: {error}"), next.into())
}
