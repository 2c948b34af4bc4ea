//! Connections that wait for their next request, and the rules of PVE's daemons for them: a hundred requests, five
//! seconds. We leave first, so that theirs to close is the rare case.

use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use super::connection::Connection;

/// When a kept connection is used no more.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Requests on one connection; the server ends it after 100.
    pub requests: u32,
    /// Idle for a read; the server ends it after 5 s.
    pub idle: Duration,
    /// Idle for a write. Shorter: what happens in the last moment cannot be told apart from the outside.
    pub idle_for_write: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Self { requests: 96, idle: Duration::from_secs(4), idle_for_write: Duration::from_secs(2) }
    }
}

pub struct Pool {
    keep: Keep,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The longest idle first.
    waiting: Vec<Connection>,
    /// A sweep is under way, and ends when nothing waits.
    swept: bool,
}

impl Pool {
    pub fn new(keep: Keep) -> Arc<Self> {
        Arc::new(Self { keep, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The one that was used last, if it may serve this.
    pub fn take(&self, write: bool) -> Option<Connection> {
        let most = if write { self.keep.idle_for_write } else { self.keep.idle };
        let mut state = self.state();
        while let Some(connection) = state.waiting.pop() {
            let idle = connection.idle_since.elapsed();
            if !connection.is_open() || idle >= self.keep.idle {
                continue;
            }
            if idle >= most {
                // Good for a read yet, and all that wait longer are no better.
                state.waiting.push(connection);
                return None;
            }
            return Some(connection);
        }
        None
    }

    /// Keeps a connection after a whole answer, if there is a next request in it.
    pub fn put(self: &Arc<Self>, connection: Connection) {
        if !connection.is_open() || connection.served() >= self.keep.requests {
            return;
        }
        let mut state = self.state();
        state.waiting.push(connection);
        if !std::mem::replace(&mut state.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self), self.keep.idle));
        }
    }

    fn drop_idle(&self) -> bool {
        let mut state = self.state();
        state
            .waiting
            .retain(|connection| connection.is_open() && connection.idle_since.elapsed() < self.keep.idle);
        state.swept = !state.waiting.is_empty();
        state.swept
    }

    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }
}

/// At rest nothing is held, not even this task.
async fn sweep(pool: Weak<Pool>, idle: Duration) {
    loop {
        tokio::time::sleep(idle).await;
        let Some(pool) = pool.upgrade() else { return };
        if !pool.drop_idle() {
            return;
        }
    }
}
