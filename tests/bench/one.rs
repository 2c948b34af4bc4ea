//! One call at a time: each contender once a round, in turn, so that what else the machine does hits all alike.

use std::io;
use std::time::{Duration, Instant};

use provost::exec::wire::Mode;

use crate::daemons::Node;
use crate::rivals::{Container, Sshd, run};
use crate::samples::Samples;
use crate::session::{Call, Execd, Session, ended_well, succeeded};

/// The command. It does nothing, so what is left is the way there and back.
pub const NOTHING: [&str; 1] = ["/bin/true"];

/// Times of each contender.
#[derive(Default)]
pub struct Times {
    pub change: Samples,
    pub inspect: Samples,
    pub execd_change: Samples,
    pub execd_inspect: Samples,
    pub ping: Samples,
    pub bare: Samples,
    pub nsenter: Samples,
    pub lxc_attach: Samples,
    /// Empty where it was not asked for.
    pub ssh: Samples,
}

/// An ssh connection takes as long as a hundred rounds of the rest: it takes part in every so many.
const SSH_EVERY: usize = 20;

pub fn measure(node: &Node, container: &Container, sshd: Option<&Sshd>, rounds: usize) -> io::Result<Times> {
    let guest = container.guest;
    let mut session = Session::open(&node.socket())?;
    let change = Call::exec(guest, Mode::Change, &NOTHING);
    let inspect = Call::exec(guest, Mode::Inspect, &NOTHING);
    let ping = Call::ping();
    let mut execd_change = Execd::at(&node.exec_socket(), guest, Mode::Change, &NOTHING);
    let mut execd_inspect = Execd::at(&node.exec_socket(), guest, Mode::Inspect, &NOTHING);
    let mut bare = std::process::Command::new(NOTHING[0]);
    let mut nsenter = container.nsenter(&NOTHING);
    let mut lxc_attach = container.lxc_attach(&NOTHING);
    let mut ssh = sshd.map(|sshd| sshd.ssh(container, &NOTHING));

    let mut times = Times::default();
    let warm_up = (rounds / 20).max(3);
    for round in 0..warm_up + rounds {
        if round == warm_up {
            times = Times::default();
        }
        times.change.add(asked(&mut session, &change, succeeded)?);
        times.nsenter.add(timed(|| run(&mut nsenter))?);
        times.inspect.add(asked(&mut session, &inspect, succeeded)?);
        times.lxc_attach.add(timed(|| run(&mut lxc_attach))?);
        times.execd_change.add(asked_execd(&mut execd_change)?);
        times.bare.add(timed(|| run(&mut bare))?);
        times.execd_inspect.add(asked_execd(&mut execd_inspect)?);
        times.ping.add(asked(&mut session, &ping, |_| true)?);
        if let Some(ssh) = ssh.as_mut().filter(|_| round % SSH_EVERY == 0) {
            times.ssh.add(timed(|| run(ssh))?);
        }
    }
    Ok(times)
}

fn timed<T>(act: impl FnOnce() -> io::Result<T>) -> io::Result<Duration> {
    let began = Instant::now();
    act()?;
    Ok(began.elapsed())
}

fn asked(session: &mut Session, call: &Call, good: fn(&str) -> bool) -> io::Result<Duration> {
    let began = Instant::now();
    let answer = session.call(call)?;
    let took = began.elapsed();
    if good(answer) { Ok(took) } else { Err(io::Error::other(answer)) }
}

fn asked_execd(execd: &mut Execd) -> io::Result<Duration> {
    let began = Instant::now();
    let reply = execd.call()?;
    let took = began.elapsed();
    if ended_well(reply) { Ok(took) } else { Err(io::Error::other(String::from_utf8_lossy(reply))) }
}
