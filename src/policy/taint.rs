//! The mark of who has been given text that a guest wrote. It is never taken off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// The mark of one session, or of all that a token's holder does. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Taint(Arc<Mark>);

#[derive(Debug, Default)]
struct Mark {
    is: AtomicBool,
    /// Rung when it is set, for whoever keeps it on the disk.
    bell: Option<Arc<Notify>>,
}

impl Taint {
    pub(super) fn kept(is: bool, bell: Arc<Notify>) -> Self {
        Self(Arc::new(Mark { is: is.into(), bell: Some(bell) }))
    }

    pub fn is(&self) -> bool {
        self.0.is.load(Ordering::Acquire)
    }

    /// For good.
    pub fn mark(&self) {
        if !self.0.is.swap(true, Ordering::AcqRel)
            && let Some(bell) = &self.0.bell
        {
            bell.notify_one();
        }
    }
}
