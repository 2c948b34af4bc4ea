//! Many calls at once, over one session and over as many sessions, against as many `lxc-attach`.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use provost::exec::wire::Mode;

use crate::daemons::Node;
use crate::one::NOTHING;
use crate::report::{Promise, table};
use crate::rivals::Container;
use crate::samples::{Samples, ms, ratio};
use crate::session::{Call, Session, succeeded};

pub const AT_ONCE: usize = 100;

/// Bursts of [`AT_ONCE`] calls.
#[derive(Default)]
pub struct Bursts {
    /// From the first call's start to the last one's end.
    pub whole: Samples,
    /// Each call, from the start of its burst.
    pub each: Samples,
    pub failures: usize,
}

#[derive(Default)]
pub struct Times {
    pub one_session: Bursts,
    pub many_sessions: Bursts,
    pub lxc_attach: Bursts,
    /// As many calls over one session, each after the answer to the one before.
    pub in_a_row: Bursts,
}

pub fn measure(node: &Node, container: &Container, rounds: usize) -> io::Result<Times> {
    let call = Call::exec(container.guest, Mode::Change, &NOTHING);
    let mut session = Session::open(&node.socket())?;
    let mut sessions: Vec<Session> =
        (0..AT_ONCE).map(|_| Session::open(&node.socket())).collect::<io::Result<_>>()?;
    let mut times = Times::default();
    for _ in 0..rounds {
        times.one_session.add(|burst| over_one(&mut session, &call, burst))?;
        times.lxc_attach.add(|burst| attach(container, burst))?;
        times.many_sessions.add(|burst| over_many(&mut sessions, &call, burst))?;
        times.in_a_row.add(|burst| in_a_row(&mut session, &call, burst))?;
    }
    Ok(times)
}

impl Times {
    pub fn report(&self) -> Vec<Promise> {
        let head = ["100 calls, ms", "all of them", "calls/s", "p50 of each", "p95 of each", "failures"];
        let rows = vec![
            self.one_session.row("exec, at once over one session"),
            self.many_sessions.row("exec, at once over 100 sessions"),
            self.in_a_row.row("exec, one after another"),
            self.lxc_attach.row("lxc-attach, at once"),
        ];
        table("100 calls", head, rows);

        let failures = self.one_session.failures + self.many_sessions.failures;
        let of = |bursts: &Bursts| Some(ratio(bursts.whole.p50(), self.lxc_attach.whole.p50()));
        vec![
            Promise::at_most("100 at once: failures", 0.0, Some(failures as f64)),
            Promise::at_most("100 at once, one session: time of lxc-attach's", 0.25, of(&self.one_session)),
            Promise::at_most(
                "100 at once, 100 sessions: time of lxc-attach's",
                0.25,
                of(&self.many_sessions),
            ),
        ]
    }
}

/// One burst under way.
struct Burst {
    began: Instant,
    ends: Vec<Duration>,
    answers: Vec<String>,
    failures: usize,
}

impl Burst {
    fn ended(&mut self) {
        self.ends.push(self.began.elapsed());
    }
}

impl Bursts {
    fn add(&mut self, act: impl FnOnce(&mut Burst) -> io::Result<()>) -> io::Result<()> {
        let mut burst = Burst { began: Instant::now(), ends: Vec::new(), answers: Vec::new(), failures: 0 };
        act(&mut burst)?;
        self.whole.extend(burst.ends.iter().max().copied());
        self.failures += burst.failures + AT_ONCE - burst.ends.len();
        self.failures += burst.answers.iter().filter(|answer| !succeeded(answer)).count();
        self.each.extend(burst.ends);
        Ok(())
    }

    fn row(&self, name: &str) -> [String; 6] {
        let [p50, p95, whole] = [self.each.p50(), self.each.p95(), self.whole.p50()].map(ms);
        let per_second = AT_ONCE as f64 / self.whole.p50().as_secs_f64();
        [name.to_owned(), whole, format!("{per_second:.0}"), p50, p95, self.failures.to_string()]
    }
}

fn over_one(session: &mut Session, call: &Call, burst: &mut Burst) -> io::Result<()> {
    for _ in 0..AT_ONCE {
        session.send(call)?;
    }
    for _ in 0..AT_ONCE {
        let answer = session.receive()?.to_owned();
        burst.ended();
        burst.answers.push(answer);
    }
    Ok(())
}

fn over_many(sessions: &mut [Session], call: &Call, burst: &mut Burst) -> io::Result<()> {
    for session in sessions.iter_mut() {
        session.send(call)?;
    }
    as_they_come(sessions, |session| {
        let answer = session.receive()?.to_owned();
        burst.ended();
        burst.answers.push(answer);
        Ok(())
    })
}

fn in_a_row(session: &mut Session, call: &Call, burst: &mut Burst) -> io::Result<()> {
    for _ in 0..AT_ONCE {
        let answer = session.call(call)?.to_owned();
        burst.ended();
        burst.answers.push(answer);
    }
    Ok(())
}

struct Attached(Child);

impl AsFd for Attached {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.stdout.as_ref().expect("a pipe").as_fd()
    }
}

fn attach(container: &Container, burst: &mut Burst) -> io::Result<()> {
    let mut command = container.lxc_attach(&NOTHING);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut children: Vec<Attached> =
        (0..AT_ONCE).map(|_| command.spawn().map(Attached)).collect::<io::Result<_>>()?;
    as_they_come(&mut children, |child| {
        child.0.stdout.as_mut().expect("a pipe").read_to_end(&mut Vec::new())?;
        let status = child.0.wait()?;
        burst.ended();
        burst.failures += usize::from(!status.success());
        Ok(())
    })
}

/// Takes each once, when there is something to read from it.
fn as_they_come<T: AsFd>(all: &mut [T], mut take: impl FnMut(&mut T) -> io::Result<()>) -> io::Result<()> {
    let mut waiting: Vec<usize> = (0..all.len()).collect();
    while !waiting.is_empty() {
        let mut polled: Vec<PollFd> =
            waiting.iter().map(|at| PollFd::new(all[*at].as_fd(), PollFlags::POLLIN)).collect();
        poll(&mut polled, PollTimeout::NONE)?;
        let ready: Vec<bool> =
            polled.iter().map(|fd| fd.revents().is_some_and(|events| !events.is_empty())).collect();
        for (at, _) in waiting.iter().zip(&ready).filter(|(_, ready)| **ready) {
            take(&mut all[*at])?;
        }
        let mut left = ready.iter();
        waiting.retain(|_| !left.next().copied().unwrap_or_default());
    }
    Ok(())
}
