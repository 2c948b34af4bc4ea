//! What is known of a host while it is listened to: what it still owes, when it was heard last, how much it said that
//! nobody asked for, and who hears of the progress of which call.
//!
//! A host that talks without being asked is hung up on: it takes the processor's time from the others'.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use rmcp::model::{ProgressNotificationParam, ProgressToken, RequestId};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::watch;

/// Bytes of one message of a host's. The bridge takes no longer ones either.
pub const LONGEST_LINE: usize = 16 << 20;
/// Bytes that a host may say between two answers.
const MOST_UNASKED: u64 = 24 << 20;
/// How many of them are forgotten in a second, and as many again for each call that is under way: its progress comes by
/// itself, a few hundred bytes every tenth of a second.
const FORGOTTEN: f64 = 16.0 * 1024.0;
/// What a message that is nobody's business counts as, in bytes, however short: each is looked at.
pub const MESSAGE: u64 = 16 << 10;
/// And a question of a host's: each is answered.
pub const QUESTION: u64 = 128 << 10;

/// How long a line may be in coming, and longer by a second for each so many bytes.
const SLOWEST_LINE: Duration = Duration::from_secs(30);
const SLOWEST_BYTES: u64 = 8 << 10;

pub type Progress = watch::Sender<Option<ProgressNotificationParam>>;

/// Before another that could answer is asked as well: the least, and the most.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(2));

#[derive(Default)]
pub struct Ears(Mutex<State>);

struct State {
    /// Requests that went out and have no answer.
    owed: HashMap<RequestId, Owed>,
    progress: HashMap<ProgressToken, Progress>,
    heard: Instant,
    /// Whether anything that was asked has been answered.
    has_answered: bool,
    /// Since when a line is coming, and how many bytes of it have come.
    coming: Option<(Instant, u64)>,
    unasked: f64,
    counted: Instant,
    /// Why it is over, where that was found here.
    why: Option<&'static str>,
    /// What its answers take, the last ones most.
    usual: Duration,
    /// Questions to the person at the client that wait.
    dialogs: usize,
}

struct Owed {
    since: Instant,
    /// Whether it is one for which a person may be asked.
    is_apply: bool,
}

impl Default for State {
    fn default() -> Self {
        let now = Instant::now();
        let (owed, progress) = Default::default();
        let (has_answered, coming, why) = (false, None, None);
        Self {
            owed,
            progress,
            heard: now,
            has_answered,
            coming,
            unasked: 0.0,
            counted: now,
            why,
            usual: Duration::ZERO,
            dialogs: 0,
        }
    }
}

impl Ears {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn asked(&self, id: &RequestId, is_apply: bool) {
        self.state().owed.insert(id.clone(), Owed { since: Instant::now(), is_apply });
    }

    /// Nobody waits for it any more.
    pub fn given_up(&self, id: &RequestId) {
        self.state().owed.remove(id);
    }

    /// Whether this is the answer to something that was asked.
    pub fn answered(&self, id: &RequestId) -> bool {
        let mut state = self.state();
        let owed = state.owed.remove(id);
        let asked = owed.is_some();
        if let Some(owed) = owed {
            let took = owed.since.elapsed().min(PATIENCE.1);
            state.usual = (state.usual * 7 + took) / 8;
            state.unasked = 0.0;
            state.has_answered = true;
        }
        asked
    }

    pub fn has_answered(&self) -> bool {
        self.state().has_answered
    }

    fn comes(&self, bytes: u64) {
        let mut state = self.state();
        let (_, came) = state.coming.get_or_insert((Instant::now(), 0));
        *came = came.saturating_add(bytes);
    }

    pub fn line_ended(&self) {
        self.state().coming = None;
    }

    /// Whether a line comes so slowly that it is as good as none: each byte of it is a sign of life.
    pub fn is_dripping(&self) -> bool {
        self.state().coming.is_some_and(|(since, came)| {
            since.elapsed() > SLOWEST_LINE + Duration::from_secs(came / SLOWEST_BYTES)
        })
    }

    pub fn owes(&self) -> bool {
        !self.state().owed.is_empty()
    }

    /// How long it has owed something without a sign of life.
    pub fn silent_for(&self) -> Option<Duration> {
        let state = self.state();
        let oldest = state.owed.values().map(|owed| owed.since).min()?;
        Some(oldest.max(state.heard).elapsed())
    }

    /// How long a silence of this host's is nothing unusual.
    pub fn patience(&self) -> Duration {
        (self.state().usual * 4).clamp(PATIENCE.0, PATIENCE.1)
    }

    /// Counts what nobody asked for; false when that is too much.
    pub fn takes(&self, bytes: u64) -> bool {
        let mut state = self.state();
        let now = Instant::now();
        let calls = 1.0 + state.owed.len() as f64;
        let forgotten = now.duration_since(state.counted).as_secs_f64() * FORGOTTEN * calls;
        state.counted = now;
        state.heard = now;
        state.unasked = (state.unasked - forgotten).max(0.0) + bytes as f64;
        if state.unasked > MOST_UNASKED as f64 {
            state.why.get_or_insert("it sent more than anybody asked for, and was hung up on");
            return false;
        }
        true
    }

    pub fn over(&self, why: &'static str) {
        self.state().why.get_or_insert(why);
    }

    pub fn why(&self) -> Option<&'static str> {
        self.state().why
    }

    pub fn hear(&self, token: ProgressToken, progress: Progress) {
        self.state().progress.insert(token, progress);
    }

    pub fn stop_hearing(&self, token: &ProgressToken) {
        self.state().progress.remove(token);
    }

    /// Progress, for whoever waits for that; the newest counts. False where it is of no call that is under way.
    pub fn progress(&self, params: &ProgressNotificationParam) -> bool {
        let state = self.state();
        if let Some(progress) = state.progress.get(&params.progress_token) {
            progress.send_replace(Some(params.clone()));
        }
        // Whoever does not want it gets it as well: each call has a token.
        !state.owed.is_empty()
    }

    /// One question to a person at a time, and only while it has a plan of somebody's to apply.
    pub fn may_ask(self: &Arc<Self>) -> Option<Dialog> {
        let mut state = self.state();
        if !state.owed.values().any(|owed| owed.is_apply) || state.dialogs > 0 {
            return None;
        }
        state.dialogs += 1;
        Some(Dialog(self.clone()))
    }
}

pub struct Dialog(Arc<Ears>);

impl Drop for Dialog {
    fn drop(&mut self) {
        self.0.state().dialogs -= 1;
    }
}

/// A stream of which each byte is counted until it turns out to be of an answer.
pub struct Counted<R> {
    pub inner: R,
    pub ears: Arc<Ears>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Counted<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let came = (buffer.filled().len() - before) as u64;
        self.ears.comes(came);
        match self.ears.takes(came) {
            true => Poll::Ready(Ok(())),
            false => Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_asked_for_is_too_much_one_day_and_an_answer_clears_the_count() {
        let ears = Ears::default();
        let id = RequestId::Number(1);
        ears.asked(&id, false);
        assert!(ears.takes(MOST_UNASKED - 10));
        assert!(ears.answered(&id) && !ears.answered(&id), "once");
        assert!(ears.takes(MOST_UNASKED - 10));
        assert!(!ears.takes(1 << 20));
        assert!(ears.why().is_some());
    }

    #[test]
    fn a_person_is_asked_one_thing_at_a_time_and_only_while_a_plan_is_to_be_applied() {
        let ears = Arc::new(Ears::default());
        assert!(ears.may_ask().is_none());
        ears.asked(&RequestId::Number(1), false);
        assert!(ears.may_ask().is_none());
        ears.asked(&RequestId::Number(2), true);
        let first = ears.may_ask();
        assert!(first.is_some() && ears.may_ask().is_none());
        drop(first);
        assert!(ears.may_ask().is_some());
    }
}
