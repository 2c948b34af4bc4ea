//! One host: connected to on demand, kept, and connected to again with growing pauses when it was lost.
//!
//! What happens to one host happens to no other: each has its own way, session and pauses.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rmcp::model::{ClientRequest, RequestMetaObject, ServerResult};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::Client;
use super::ears::{Ears, Progress};
use super::fleet::Spec;
use super::link::{self, End};
use super::session::{MUTE, Session, Unanswered};
use super::trouble::Trouble;
use super::wire::Wire;
use crate::account::Account;
use crate::share::Supply;

/// For the way and the handshake together.
const TO_CONNECT: Duration = Duration::from_secs(20);
/// Pauses between attempts: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Attempts that are made by themselves once a host was lost; after that, only when somebody asks for it.
const BY_ITSELF: u32 = 6;
/// How long a session lasted that counts as a good one.
const LASTED: Duration = Duration::from_secs(10);

/// What all hosts share.
pub struct Common {
    pub client: Arc<Client>,
    pub ssh_config: Option<PathBuf>,
    /// What the unfinished lines of all hosts may take, and of one host: an account here is a host's place in the fleet.
    pub unfinished: Arc<Supply<Account>>,
    /// Ends everything.
    pub stop: CancellationToken,
    /// The way to each host, to its end.
    pub ways: TaskTracker,
}

pub struct Host {
    pub spec: Spec,
    pub name: Arc<str>,
    place: u32,
    common: Arc<Common>,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

enum State {
    Idle,
    Connecting,
    Up { session: Session, since: Instant },
    Down { trouble: Trouble, since: Instant, tries: u32, next: Instant },
}

/// How a host stands, for whoever looks.
#[derive(Debug, Clone)]
pub enum Standing {
    Idle,
    Connecting,
    Up { since: Duration },
    Down { trouble: Trouble, since: Duration, next: Duration },
}

/// How much somebody wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// This host and no other: it is tried again though its pause is not over.
    Itself,
    /// It and others: while it pauses it is left out.
    AmongOthers,
}

impl Host {
    pub fn new(spec: Spec, place: usize, common: Arc<Common>) -> Arc<Self> {
        Arc::new(Self {
            name: spec.name.as_str().into(),
            spec,
            place: u32::try_from(place).unwrap_or(u32::MAX),
            common,
            state: Mutex::new(State::Idle),
            changed: watch::Sender::new(()),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, state: State) {
        *self.state() = state;
        self.changed.send_replace(());
    }

    pub fn standing(&self) -> Standing {
        let now = Instant::now();
        match &*self.state() {
            State::Idle => Standing::Idle,
            State::Connecting => Standing::Connecting,
            State::Up { since, .. } => Standing::Up { since: since.elapsed() },
            State::Down { trouble, since, next, .. } => Standing::Down {
                trouble: trouble.clone(),
                since: since.elapsed(),
                next: next.saturating_duration_since(now),
            },
        }
    }

    pub fn is_up(&self) -> bool {
        matches!(&*self.state(), State::Up { session, .. } if session.is_open())
    }

    /// Ends when it has owed something, and shown no sign of life, for so many times as long as is nothing unusual for it. What
    /// it owed before counts from now: a task is waited for quietly. Never while it is not connected to.
    pub async fn falls_silent(&self, times: u32) {
        const APART: Duration = Duration::from_millis(50);
        let began = Instant::now();
        loop {
            tokio::time::sleep(APART).await;
            let is_silent = match &*self.state() {
                State::Up { session, .. } => {
                    let ears = session.ears();
                    let silent = ears.silent_for().map(|silent| silent.min(began.elapsed()));
                    silent.is_some_and(|silent| silent >= ears.patience().saturating_mul(times))
                }
                _ => false,
            };
            if is_silent {
                return;
            }
        }
    }

    /// Whether it has not even said that it is there, which it is asked where it owes something.
    pub fn is_mute(&self) -> bool {
        matches!(&*self.state(), State::Up { session, .. } if session.ears().silent_for().is_some_and(|silent| silent > MUTE))
    }

    /// Whether nobody who wants it among others would try it now.
    pub fn is_paused(&self) -> bool {
        matches!(&*self.state(), State::Down { next, .. } if Instant::now() < *next)
    }

    /// Its session, begun if need be.
    pub async fn session(self: &Arc<Self>, wanted: Wanted) -> Result<Session, Trouble> {
        let mut changed = self.changed.subscribe();
        let mut tried = false;
        loop {
            changed.mark_unchanged();
            if let Some(ready) = self.ready(wanted, &mut tried) {
                return ready;
            }
            let _ = changed.changed().await;
        }
    }

    /// What there is now; none where it is being connected to.
    fn ready(self: &Arc<Self>, wanted: Wanted, tried: &mut bool) -> Option<Result<Session, Trouble>> {
        let mut state = self.state();
        let tries = match &*state {
            State::Up { session, .. } if session.is_open() => return Some(Ok(session.clone())),
            // What becomes of it is on its way here.
            State::Up { .. } | State::Connecting => {
                *tried = true;
                return None;
            }
            State::Idle => 0,
            State::Down { trouble, since, tries, next } => {
                let paused = Instant::now() < *next;
                let just_now = wanted == Wanted::Itself && since.elapsed() < FIRST_PAUSE;
                if *tried || just_now || (paused && wanted == Wanted::AmongOthers) {
                    return Some(Err(trouble.clone()));
                }
                *tries
            }
        };
        *tried = true;
        *state = State::Connecting;
        self.common.ways.spawn(self.clone().live(tries));
        None
    }

    /// One attempt after the other, and each session to its end. Only what was there once is tried again by itself.
    async fn live(self: Arc<Self>, mut tries: u32) {
        let mut left = 0;
        loop {
            let trouble = tokio::select! {
                trouble = self.attempt() => trouble,
                () = self.common.stop.cancelled() => return,
            };
            match &*self.state() {
                State::Up { since, .. } => {
                    left = BY_ITSELF;
                    tries = if since.elapsed() < LASTED { tries.saturating_add(1) } else { 1 };
                }
                _ => tries = tries.saturating_add(1),
            }
            let (now, pause) = (Instant::now(), pause(tries));
            self.put(State::Down { trouble, since: now, tries, next: now + pause });
            if left == 0 {
                return;
            }
            left -= 1;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.common.stop.cancelled() => return,
            }
            match &mut *self.state() {
                state @ State::Down { .. } => *state = State::Connecting,
                // Somebody could not wait, and it is tried already.
                _ => return,
            }
        }
    }

    /// Connects, and stays with the session to its end. Returns why there is none.
    async fn attempt(&self) -> Trouble {
        let late = || {
            let next = "is the node up, and the way to it? ssh's own ConnectTimeout makes it say so sooner";
            Trouble::new("no_answer", format!("no session within {} s", TO_CONNECT.as_secs()), next)
        };
        let until = tokio::time::Instant::now() + TO_CONNECT;
        let opened =
            tokio::time::timeout_at(until, link::open(&self.spec, self.common.ssh_config.as_deref()));
        let link = match opened.await {
            Ok(Ok(link)) => link,
            Ok(Err(trouble)) => return trouble,
            Err(_) => return late(),
        };
        let ears = Arc::<Ears>::default();
        let stop = self.common.stop.child_token();
        let held = self.common.unfinished.none(self.place);
        let wire = Wire::new(link.read, link.write, ears.clone(), held, stop.clone());
        let begun =
            Session::begin(self.name.clone(), wire, ears.clone(), self.common.client.clone(), stop.clone());
        let (session, running) = match tokio::time::timeout_at(until, begun).await {
            Ok(Ok(begun)) => begun,
            Ok(Err(why)) => return self.told(link.end, &ears, &why).await,
            Err(_) => return late(),
        };
        self.put(State::Up { session: session.clone(), since: Instant::now() });
        tokio::select! {
            _ = running.waiting() => {}
            () = session.watch() => {}
        }
        stop.cancel();
        self.told(link.end, &ears, "the connection was closed").await
    }

    /// Why it is over: as was found here, as ssh says, or in other words.
    async fn told(&self, end: End, ears: &Ears, why: &str) -> Trouble {
        if let Some(why) = ears.why() {
            let next = "the other hosts are not touched by it; on that node: journalctl -t provost";
            return Trouble::new("hung_up", why, next);
        }
        let next = "on that node: systemctl status provost, journalctl -t provost";
        let ssh = end.why(&self.spec).await;
        ssh.unwrap_or_else(|| Trouble::new("closed", why, next))
    }

    /// Asks, and waits for as long as it takes. An error of the protocol's is an answer.
    pub async fn ask(
        self: &Arc<Self>,
        wanted: Wanted,
        request: ClientRequest,
        meta: RequestMetaObject,
        progress: Option<Progress>,
    ) -> Result<Result<ServerResult, rmcp::ErrorData>, Trouble> {
        let session = self.session(wanted).await?;
        match session.ask(request, meta, progress).await {
            Ok(answer) => Ok(Ok(answer)),
            Err(Unanswered::Refused(error)) => Ok(Err(error)),
            // It is not made again: nobody knows how far it had come.
            Err(Unanswered::Gone) => Err(self.lost(&session).await),
        }
    }

    /// Why a session was lost, once that is known.
    async fn lost(&self, session: &Session) -> Trouble {
        const TO_BE_TOLD: Duration = Duration::from_secs(4);
        let mut changed = self.changed.subscribe();
        let told = async {
            loop {
                changed.mark_unchanged();
                if let State::Down { trouble, .. } = &*self.state() {
                    return trouble.clone();
                }
                let _ = changed.changed().await;
            }
        };
        let told = tokio::time::timeout(TO_BE_TOLD, told).await.ok();
        let why = session.ears().why().unwrap_or("the connection was closed");
        let trouble = told.unwrap_or_else(|| Trouble::new("closed", why, ""));
        let message = format!("it was lost during the call: {}", trouble.message);
        let next = "it is not known how far the call came: `audit` tells, once the host is back";
        Trouble::new("lost", message, next)
    }
}

/// Twice as long each time, and never of two hosts alike.
fn pause(tries: u32) -> Duration {
    let pause = FIRST_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
    pause.mul_f64(0.75 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_and_no_further() {
        for (tries, about) in [(0, 1.0), (1, 1.0), (2, 2.0), (5, 16.0), (7, 60.0), (u32::MAX, 60.0)] {
            let pause = pause(tries).as_secs_f64() / about;
            assert!((0.75..=1.25).contains(&pause), "{tries}: {pause}");
        }
    }
}
