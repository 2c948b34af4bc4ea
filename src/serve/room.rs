//! What the node has for sessions: places, calls and unfinished bytes, of which no account can take what another needs.

use std::sync::Arc;

use super::lines::MOST_UNFINISHED;
use crate::account::Account;
use crate::config::Listen;
use crate::policy::{Share, Spent, Supply};

/// Calls under way in all sessions. Each holds its answer, and its part of [`Room`], until the client has read it.
const MOST_CALLS: usize = 8192;

pub struct Room {
    pub sessions: Arc<Supply>,
    /// Calls that owe an answer.
    pub calls: Arc<Supply>,
    /// Bytes of lines that have not ended.
    pub unfinished: Arc<Supply>,
}

impl Room {
    pub fn new(config: &Listen) -> Arc<Self> {
        Arc::new(Self {
            sessions: Supply::new(config.max_sessions, config.sessions_per_user()),
            calls: Supply::halves(MOST_CALLS),
            unfinished: Supply::halves(MOST_UNFINISHED),
        })
    }

    /// What there is over HTTP, apart from the other doors: what comes by tokens takes nothing from who comes by a socket,
    /// and an account has as much with many tokens as with one.
    pub fn for_http() -> Arc<Self> {
        Arc::new(Self {
            sessions: Supply::new(512, 128),
            calls: Supply::new(1024, 256),
            unfinished: Supply::halves(MOST_UNFINISHED / 2),
        })
    }

    /// A place for one session, or why there is none.
    pub fn enter(&self, account: Account) -> Result<Share, String> {
        self.sessions.take(account, 1).map_err(|spent| match spent {
            Spent::Own => format!(
                "your account has {} sessions open, and [listen] max_sessions_per_user allows no more; close some and \
                 connect again",
                self.sessions.each()
            ),
            Spent::All => format!(
                "{} sessions are open, and [listen] max_sessions allows no more; close some and connect again",
                self.sessions.most()
            ),
        })
    }
}
