//! One call at a time: each way once a round, so that what else the machine does hits all alike, and after another one
//! in each round, as what ran before leaves its caches warm or cold.

use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use provost::exec::wire::Mode;

use crate::daemons::Node;
use crate::report::{Promise, table};
use crate::rivals::{Container, Sshd, run};
use crate::samples::{Samples, ms, ratio};
use crate::session::{Call, Execd, Session, ended_well, succeeded};

/// The command. It does nothing, so what is left is the way there and back.
pub const NOTHING: [&str; 1] = ["/bin/true"];

/// Times of each way.
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

struct Way<'a> {
    times: fn(&mut Times) -> &mut Samples,
    go: Box<dyn FnMut() -> io::Result<Duration> + 'a>,
}

impl<'a> Way<'a> {
    fn new(times: fn(&mut Times) -> &mut Samples, go: impl FnMut() -> io::Result<Duration> + 'a) -> Self {
        Self { times, go: Box::new(go) }
    }

    /// A call over a session of its own, open by now.
    fn call(
        node: &Node,
        call: Call,
        good: fn(&str) -> bool,
        times: fn(&mut Times) -> &mut Samples,
    ) -> io::Result<Self> {
        let mut session = Session::open(&node.socket())?;
        Ok(Self::new(times, move || asked(&mut session, &call, good)))
    }

    fn execd(node: &Node, guest: u32, mode: Mode, times: fn(&mut Times) -> &mut Samples) -> Self {
        let mut execd = Execd::at(&node.exec_socket(), guest, mode, &NOTHING);
        Self::new(times, move || asked_execd(&mut execd))
    }

    fn command(mut command: Command, times: fn(&mut Times) -> &mut Samples) -> Self {
        Self::new(times, move || timed(|| run(&mut command)))
    }
}

pub fn measure(node: &Node, container: &Container, sshd: Option<&Sshd>, rounds: usize) -> io::Result<Times> {
    let guest = container.guest;
    let exec = |mode| Call::exec(guest, mode, &NOTHING);
    let mut ways = [
        Way::call(node, exec(Mode::Change), succeeded, |times| &mut times.change)?,
        Way::call(node, exec(Mode::Inspect), succeeded, |times| &mut times.inspect)?,
        Way::call(node, Call::ping(), |_| true, |times| &mut times.ping)?,
        Way::execd(node, guest, Mode::Change, |times| &mut times.execd_change),
        Way::execd(node, guest, Mode::Inspect, |times| &mut times.execd_inspect),
        Way::command(Command::new(NOTHING[0]), |times| &mut times.bare),
        Way::command(container.nsenter(&NOTHING), |times| &mut times.nsenter),
        Way::command(container.lxc_attach(&NOTHING), |times| &mut times.lxc_attach),
    ];
    let mut ssh = sshd.map(|sshd| Way::command(sshd.ssh(container, &NOTHING), |times| &mut times.ssh));

    let mut times = Times::default();
    let warm_up = (rounds / 20).max(3);
    for round in 0..warm_up + rounds {
        if round == warm_up {
            times = Times::default();
        }
        // Steps that have no divisor in common with the number of ways: each comes up once.
        let step = [1, 3, 5, 7][round % 4];
        for turn in 0..ways.len() {
            let way = &mut ways[(round + turn * step) % 8];
            (way.times)(&mut times).add((way.go)()?);
        }
        if let Some(ssh) = ssh.as_mut().filter(|_| round % SSH_EVERY == 0) {
            times.ssh.add((ssh.go)()?);
        }
    }
    Ok(times)
}

impl Times {
    pub fn report(&self) -> Vec<Promise> {
        let mut rows = vec![
            self.row("exec, change", &self.change),
            self.row("exec, inspect", &self.inspect),
            self.row("nsenter -a", &self.nsenter),
            self.row("lxc-attach", &self.lxc_attach),
            self.row("ssh to loopback + lxc-attach", &self.ssh),
            self.row("the way: MCP ping", &self.ping),
            self.row("the way: provost-execd alone, change", &self.execd_change),
            self.row("the way: provost-execd alone, inspect", &self.execd_inspect),
            self.row("the way: fork and exec on the node", &self.bare),
        ];
        rows.retain(|row| row[1] != "0");
        let head = ["/bin/true, ms", "calls", "p50", "p95", "min", "÷ lxc-attach", "÷ nsenter", "÷ ssh"];
        table("One call at a time", head, rows);

        let at_most = |what, limit, lane, rival| Promise::at_most(what, limit, of(lane, rival));
        vec![
            at_most("exec, change: p50 of lxc-attach's", 0.25, &self.change, &self.lxc_attach),
            at_most("exec, inspect: p50 of lxc-attach's", 0.25, &self.inspect, &self.lxc_attach),
            at_most("exec, change: p50 of nsenter's", 0.75, &self.change, &self.nsenter),
            at_most("exec, inspect: p50 of nsenter's", 0.75, &self.inspect, &self.nsenter),
            at_most("exec, change: p50 of a fresh ssh's", 0.01, &self.change, &self.ssh),
            at_most("exec, inspect: p50 of a fresh ssh's", 0.01, &self.inspect, &self.ssh),
        ]
    }

    fn row(&self, name: &str, samples: &Samples) -> [String; 8] {
        let against =
            |rival: &Samples| of(samples, rival).map_or("-".to_owned(), |ratio| format!("{ratio:.3}"));
        let [p50, p95, min] = [samples.p50(), samples.p95(), samples.min()].map(ms);
        let [attach, nsenter, ssh] = [&self.lxc_attach, &self.nsenter, &self.ssh].map(against);
        [name.to_owned(), samples.len().to_string(), p50, p95, min, attach, nsenter, ssh]
    }
}

/// The ratio of the medians, where both were measured.
fn of(samples: &Samples, rival: &Samples) -> Option<f64> {
    (!samples.is_empty() && !rival.is_empty()).then(|| ratio(samples.p50(), rival.p50()))
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
