//! MCP's sessions of a token: which there are, and since when nobody has used them.
//!
//! A session is in use while an answer of it is being read: a call that takes an hour, a stream that is listened to. One that
//! was left behind ends after a while, and before that where its user needs the place.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::transport::streamable_http_server::SessionManager as _;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use tokio::time::Instant;

use super::kept::Manager;
use crate::account::Account;
use crate::policy::{Share, Supply};

/// A session that nobody has used for so long has ended.
const IDLE: Duration = Duration::from_secs(600);

pub struct Sessions {
    pub manager: Arc<Manager>,
    open: Mutex<HashMap<String, Open>>,
}

struct Open {
    /// Of the places that its user has.
    _place: Share,
    /// When it was last.
    used: Instant,
    /// Answers of it that are being read.
    answers: usize,
}

/// An answer of a session's, for as long as it is held.
pub struct InUse {
    of: Arc<Sessions>,
    id: String,
}

impl Sessions {
    /// `kept`: bytes of what was said, of all sessions.
    pub fn new(kept: Arc<Supply>, payer: Account) -> Arc<Self> {
        let mut manager = LocalSessionManager::default();
        // It would count what is said, and not who listens.
        manager.session_config.keep_alive = None;
        Arc::new(Self { manager: Arc::new(Manager::new(manager, kept, payer)), open: Mutex::default() })
    }

    pub fn begin(&self, id: &str, place: Share) {
        self.open().insert(id.to_owned(), Open { _place: place, used: Instant::now(), answers: 0 });
    }

    /// None: there is no such session.
    pub fn enter(self: &Arc<Self>, id: &str) -> Option<InUse> {
        let mut open = self.open();
        let session = open.get_mut(id)?;
        session.answers += 1;
        Some(InUse { of: self.clone(), id: id.to_owned() })
    }

    /// The one that has not been used for longest, and is not in use; and since when.
    pub fn idlest(&self) -> Option<(Instant, String)> {
        let open = self.open();
        let idle = open.iter().filter(|(_, session)| session.answers == 0);
        idle.map(|(id, session)| (session.used, id.clone())).min()
    }

    /// Its place is free at once; its calls end as they do.
    pub async fn end(&self, id: &str) {
        self.open().remove(id);
        let _ = self.manager.close_session(&id.into()).await;
    }

    /// Ends those that nobody has used for long, and forgets those that have ended by themselves.
    pub async fn sweep(&self) {
        self.manager.sweep();
        let there = self.manager.inner.sessions.read().await;
        self.open().retain(|id, _| there.contains_key(id.as_str()));
        drop(there);
        while let Some((used, id)) = self.idlest()
            && used.elapsed() >= IDLE
        {
            self.end(&id).await;
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        if let Some(session) = self.of.open().get_mut(&self.id) {
            session.answers -= 1;
            session.used = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_session_that_nobody_uses_ends_and_leaves_its_place_and_one_that_is_listened_to_does_not() {
        let places = Supply::<Account>::new(3, 3);
        let sessions = Sessions::new(Supply::new(1 << 20, 1 << 20), 1.into());
        let mut ids = Vec::new();
        for _ in 0..3 {
            let (id, _transport) = sessions.manager.create_session().await.unwrap();
            sessions.begin(&id, places.take(1, 1).unwrap());
            ids.push(id);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let listening = sessions.enter(&ids[0]).unwrap();
        assert_eq!(sessions.idlest().unwrap().1, *ids[1]);
        drop(sessions.enter(&ids[1]));
        assert_eq!(sessions.idlest().unwrap().1, *ids[2], "it was used just now");
        tokio::time::advance(IDLE - Duration::from_secs(1)).await;
        sessions.sweep().await;
        assert_eq!(places.used_by(1), 2);
        tokio::time::advance(IDLE).await;
        sessions.sweep().await;
        assert!(places.used_by(1) == 1 && sessions.enter(&ids[1]).is_none());
        assert!(!sessions.manager.has_session(&ids[1]).await.unwrap());
        // What ended by itself is forgotten too.
        drop(listening);
        sessions.manager.close_session(&ids[0]).await.unwrap();
        sessions.sweep().await;
        assert_eq!(places.used_by(1), 0);
    }
}
