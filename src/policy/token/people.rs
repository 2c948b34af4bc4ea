//! Accounts as the node has them now. What the kernel said of a process holds for that process: what is given out for days is
//! judged by who is in which group by then.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::policy::Peer;

/// For an answer of the node's accounts, which may come from a directory over the network.
const PATIENCE: Duration = Duration::from_secs(5);

/// Gives an account by its number, blocking; none: there is no such.
type Look = dyn Fn(u32) -> std::io::Result<Option<Peer>> + Send + Sync;

#[derive(Clone)]
pub struct People {
    look: Arc<Look>,
    /// A lookup that hangs takes one thread, and no more than one.
    turn: Arc<Semaphore>,
}

impl Default for People {
    fn default() -> Self {
        Self::by(Peer::of_account)
    }
}

impl People {
    pub fn by(look: impl Fn(u32) -> std::io::Result<Option<Peer>> + Send + Sync + 'static) -> Self {
        Self { look: Arc::new(look), turn: Arc::new(Semaphore::new(1)) }
    }

    /// Who was once seen, as they are now. None: the account is gone, or its number is somebody else's, or nobody can say.
    /// Root is root, whatever the accounts say.
    pub async fn again(&self, seen: &Peer) -> Option<Peer> {
        if seen.uid() == 0 {
            return Some(seen.clone());
        }
        let (look, uid) = (self.look.clone(), seen.uid());
        let looking = async {
            let turn = self.turn.clone().acquire_owned().await.map_err(std::io::Error::other)?;
            // It has its turn until it ends, whoever still waits for it.
            let looked = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                look(uid)
            });
            looked.await.map_err(std::io::Error::other)?
        };
        match tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|late| Err(late.into())) {
            Ok(found) => found.filter(|found| found.name() == seen.name()),
            Err(error) => {
                tracing::error!(uid, %error, "whether an account still is cannot be told: its tokens are in no role");
                None
            }
        }
    }
}
