//! A daemon that does not answer is left alone for a while: the callers are told at once instead of after their
//! deadlines, and the daemon is not buried under what it will never answer. After the pause, one call tries.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Failures in a row that open the circuit.
    pub failures: u32,
    /// The first pause; it doubles with each try that fails.
    pub pause: Duration,
    pub longest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { failures: 3, pause: Duration::from_secs(1), longest: Duration::from_secs(30) }
    }
}

/// The circuit is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// Since the first of the failures.
    pub silent: Duration,
    /// Until a call is let through; zero while one tries.
    pub next: Duration,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    first: Option<Instant>,
    /// Set while open.
    again: Option<Instant>,
    pause: Duration,
    trying: bool,
}

#[derive(Debug)]
pub struct Circuit {
    patience: Patience,
    state: Mutex<State>,
}

impl Circuit {
    pub fn new(patience: Patience) -> Arc<Self> {
        Arc::new(Self { patience, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Whether a call would be let through now.
    pub fn check(&self) -> Result<(), Open> {
        closed(&self.state(), Instant::now())
    }

    /// Opens it: that the daemon has not answered since then is known. True if it was closed.
    pub fn open(&self, since: Instant) -> bool {
        let mut state = self.state();
        let now = Instant::now();
        let was_closed = state.again.is_none();
        state.failures += 1;
        state.first.get_or_insert(since);
        if was_closed {
            state.pause = self.patience.pause;
            state.again = Some(now + state.pause);
        }
        was_closed
    }

    /// Lets a call through. It says how it went; dropped in silence (the caller gave up), it counts for nothing.
    pub fn enter(self: &Arc<Self>) -> Result<Entry, Open> {
        let mut state = self.state();
        closed(&state, Instant::now())?;
        let probe = state.again.is_some();
        state.trying |= probe;
        Ok(Entry { circuit: self.clone(), probe })
    }
}

fn closed(state: &State, now: Instant) -> Result<(), Open> {
    match state.again {
        Some(again) if again > now || state.trying => {
            Err(Open { silent: now - state.first.unwrap_or(now), next: again.saturating_duration_since(now) })
        }
        _ => Ok(()),
    }
}

/// A call that was let through.
#[derive(Debug)]
pub struct Entry {
    circuit: Arc<Circuit>,
    /// The one that tries whether the daemon is back.
    probe: bool,
}

impl Entry {
    /// Whether it tries for all others whether the daemon is back.
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    /// The daemon answered, whatever it said.
    pub fn answered(self) {
        let mut state = self.circuit.state();
        // Only what was asked after the pause says that the daemon is back.
        if state.again.is_none() || self.probe {
            *state = State::default();
        }
    }

    /// It did not. True when this opened the circuit.
    pub fn failed(self) -> bool {
        let patience = self.circuit.patience;
        let mut state = self.circuit.state();
        let now = Instant::now();
        state.failures += 1;
        state.first.get_or_insert(now);
        if self.probe {
            state.pause = (state.pause * 2).min(patience.longest);
        } else if state.again.is_some() || state.failures < patience.failures {
            return false;
        } else {
            state.pause = patience.pause;
        }
        state.again = Some(now + state.pause);
        !self.probe
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.probe {
            self.circuit.state().trying = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(circuit: &Arc<Circuit>) -> bool {
        circuit.enter().expect("is let through").failed()
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_and_says_since_when() {
        let circuit = Circuit::new(Patience::default());
        assert!(!fail(&circuit) && !fail(&circuit));
        circuit.enter().unwrap().answered();
        assert!(!fail(&circuit), "an answer between them begins the count anew");
        tokio::time::advance(Duration::from_millis(100)).await;
        assert!(!fail(&circuit) && fail(&circuit));
        let open = circuit.check().unwrap_err();
        assert_eq!(open, Open { silent: Duration::from_millis(100), next: Duration::from_secs(1) });
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_tries_after_the_pause_and_the_pause_grows() {
        let circuit = Circuit::new(Patience::default());
        for _ in 0..3 {
            fail(&circuit);
        }
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            assert!(circuit.enter().is_err());
            tokio::time::advance(Duration::from_secs(pause)).await;
            let probe = circuit.enter().expect("one tries");
            assert!(circuit.enter().is_err(), "one only");
            assert!(!probe.failed());
        }
        tokio::time::advance(Duration::from_secs(30)).await;
        drop(circuit.enter().expect("one tries"));
        let probe = circuit.enter().expect("one that gave up leaves its place to the next");
        probe.answered();
        assert!(circuit.check().is_ok());
        assert!(!fail(&circuit) && !fail(&circuit), "the count begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_does_not_close_it() {
        let circuit = Circuit::new(Patience::default());
        let late = circuit.enter().unwrap();
        for _ in 0..3 {
            fail(&circuit);
        }
        late.answered();
        assert!(circuit.check().is_err());
    }
}
