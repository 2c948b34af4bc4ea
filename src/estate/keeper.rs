//! The index, kept by a thread of its own: nobody who asks ever waits for a file on the async runtime.
//!
//! Nothing is read before the first question, and nothing while nobody asks. Whoever asks gets what the source had no
//! earlier than the question; those who ask at the same time share one reading.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;

use thiserror::Error;
use tokio::sync::oneshot;

use super::index::Index;
use super::refresh::refresh;
use super::source::Source;

type Reply = oneshot::Sender<Arc<Index>>;

#[derive(Debug)]
pub struct Keeper {
    questions: Sender<Reply>,
    published: Arc<Published>,
}

type Published = RwLock<Option<Arc<Index>>>;

/// The reading failed in a way that it must not: a defect, which the journal names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the estate could not be read: its reader failed; the journal says where")]
pub struct Lost;

impl Keeper {
    /// # Errors
    ///
    /// When the thread cannot be started.
    pub fn start(source: impl Source + 'static) -> io::Result<Self> {
        let (questions, asked) = channel();
        let published = Arc::new(Published::default());
        let door = Arc::clone(&published);
        // It ends with the last sender. Nobody waits for it: pmxcfs may have it in its hands.
        thread::Builder::new().name("estate".into()).spawn(move || keep(&source, &asked, &door))?;
        Ok(Self { questions, published })
    }

    /// The estate as it was when somebody asked last; nothing if nobody did.
    #[must_use]
    pub fn published(&self) -> Option<Arc<Index>> {
        self.published.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The estate as it is now. It may wait for as long as the file system or the API does: who asks sets the time.
    ///
    /// # Errors
    ///
    /// When the reader failed.
    pub async fn current(&self) -> Result<Arc<Index>, Lost> {
        let (reply, answer) = oneshot::channel();
        self.questions.send(reply).map_err(|_| Lost)?;
        answer.await.map_err(|_| Lost)
    }
}

fn keep(source: &dyn Source, asked: &Receiver<Reply>, published: &Published) {
    while let Ok(first) = asked.recv() {
        // Everybody who has asked by now: the reading begins after it.
        let replies: Vec<Reply> = std::iter::once(first).chain(asked.try_iter()).collect();
        let last = published.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Ok(index) = catch_unwind(AssertUnwindSafe(|| refresh(source, last.as_ref()))) else {
            // Whoever waits hears of it by the reply that is dropped. The next question begins from nothing.
            *published.write().unwrap_or_else(PoisonError::into_inner) = None;
            continue;
        };
        *published.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&index));
        for reply in replies {
            // One that no longer waits has no loss.
            let _ = reply.send(Arc::clone(&index));
        }
    }
}
