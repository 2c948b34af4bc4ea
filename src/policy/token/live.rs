//! What goes on with a number while the daemon runs: whether it was taken back, what its holder was given, and who its person
//! is by now.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::people::People;
use super::record::Record;
use crate::policy::{Peer, Taint};

/// For so long an account is taken to be in the groups that it was found in; and to be none, which may pass.
const LASTS: Duration = Duration::from_secs(60);
const NONE_LASTS: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Live {
    /// Cancelled when the number is taken back, for whoever serves its holder.
    pub revoked: CancellationToken,
    /// Of all that its holder does.
    pub taint: Taint,
    /// Its person, as the node's accounts had them last.
    person: Mutex<Option<Found>>,
    /// Held while they are looked up: who comes meanwhile waits for the same answer.
    looking: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Found {
    at: Instant,
    /// None: there is no such account any more.
    peer: Option<Arc<Peer>>,
}

impl Found {
    fn is_fresh(&self) -> bool {
        self.at.elapsed() < if self.peer.is_some() { LASTS } else { NONE_LASTS }
    }
}

impl Live {
    pub fn new(taint: Taint) -> Self {
        Self {
            revoked: CancellationToken::new(),
            taint,
            person: Mutex::default(),
            looking: Default::default(),
        }
    }

    /// Who its person is, where they still are somebody; whoever `record` has, until somebody looked.
    pub fn person(&self, record: &Record) -> Option<Arc<Peer>> {
        match &*self.found() {
            Some(found) => found.peer.clone(),
            None => Some(Arc::new(record.person().clone())),
        }
    }

    /// Looks them up, where it was not done of late.
    pub async fn look(&self, record: &Record, people: &People) {
        let is_fresh = || self.found().as_ref().is_some_and(Found::is_fresh);
        if is_fresh() {
            return;
        }
        let _looking = self.looking.lock().await;
        if !is_fresh() {
            self.look_anew(record, people).await;
        }
    }

    pub async fn look_anew(&self, record: &Record, people: &People) {
        let peer = people.again(record.person()).await.map(Arc::new);
        *self.found() = Some(Found { at: Instant::now(), peer });
    }

    fn found(&self) -> MutexGuard<'_, Option<Found>> {
        self.person.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
