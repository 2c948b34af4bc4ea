//! Pools and tags as the cluster has them: what roles that name them stand on.
//!
//! Policy judges at once, and files may hang: so somebody looks first ([`Members::look`]), and what was seen counts for a
//! short time. After that nobody is in any pool and no guest has a tag.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::membership::Membership;
use crate::estate::{Index, Keeper};

/// For the cluster's files.
const PATIENCE: Duration = Duration::from_secs(2);
/// As long as a look counts.
const LASTS: Duration = Duration::from_secs(10);

pub struct Members {
    keeper: Arc<Keeper>,
    /// When the last look began, and what it saw.
    seen: RwLock<Option<(Instant, Arc<Index>)>>,
    /// Whether the log says already that it cannot be seen.
    said: AtomicBool,
}

impl Members {
    pub fn new(keeper: Arc<Keeper>) -> Self {
        Self { keeper, seen: RwLock::default(), said: AtomicBool::new(false) }
    }

    /// Sees how it is now. When it cannot, what was seen before goes on ageing.
    pub async fn look(&self) {
        let began = Instant::now();
        let why = match tokio::time::timeout(PATIENCE, self.keeper.current()).await {
            Ok(Ok(index)) => {
                *self.seen.write().unwrap_or_else(PoisonError::into_inner) = Some((began, index));
                self.said.store(false, Ordering::Relaxed);
                return;
            }
            Ok(Err(lost)) => lost.to_string(),
            Err(_) => "the cluster's files do not answer".to_owned(),
        };
        // Somebody looks every few seconds: once is enough.
        if !self.said.swap(true, Ordering::Relaxed) {
            tracing::warn!("pools and tags of roles stand for nobody while this lasts: {why}");
        }
    }

    fn now(&self) -> Option<Arc<Index>> {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        seen.as_ref().filter(|(began, _)| began.elapsed() < LASTS).map(|(_, index)| index.clone())
    }
}

impl Membership for Members {
    fn in_pool(&self, guest: u32, pool: &str) -> bool {
        self.now().is_some_and(|index| index.is_in_pool(guest, pool))
    }

    fn has_tag(&self, guest: u32, tag: &str) -> bool {
        self.now().is_some_and(|index| index.has_tag(guest, tag))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::estate::{Source, Survey, Tree, Unread};

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn members(source: impl Source + 'static) -> Members {
        Members::new(Arc::new(Keeper::start(source).unwrap()))
    }

    #[tokio::test]
    async fn pools_and_tags_are_those_of_the_last_look() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "nodes/pve1/lxc/101.conf", "tags: AI;web\n");
        write(dir.path(), "nodes/pve1/lxc/102.conf", "#tags: ai\n");
        write(dir.path(), "user.cfg", "pool:dev::101::\npool:dev2::102::\n");
        let members = members(Tree::new(dir.path()));
        assert!(!members.in_pool(101, "dev") && !members.has_tag(101, "ai"), "nobody has looked");
        members.look().await;
        assert!(members.in_pool(101, "dev") && !members.in_pool(102, "dev") && !members.in_pool(103, "dev"));
        assert!(members.has_tag(101, "ai") && !members.has_tag(102, "ai"));
        write(dir.path(), "user.cfg", "pool:dev::102::\n");
        write(dir.path(), "nodes/pve1/lxc/101.conf", "tags: web\n");
        members.look().await;
        assert!(!members.in_pool(101, "dev") && members.in_pool(102, "dev") && !members.has_tag(101, "ai"));
    }

    #[tokio::test]
    async fn what_cannot_be_read_holds_nobody() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "nodes/pve1/lxc/101.conf", "tags: ai\n");
        // A folder in the place of the file: it is there, and cannot be read.
        fs::create_dir_all(dir.path().join("user.cfg")).unwrap();
        let members = members(Tree::new(dir.path()));
        members.look().await;
        assert!(!members.in_pool(101, "dev"));
        assert!(members.has_tag(101, "ai"), "that stands in another file");
    }

    struct Broken;

    impl Source for Broken {
        fn survey(&self, _: Option<&Survey>) -> Survey {
            panic!("a reader that fails")
        }

        fn read(&self, _: &str, _: &mut Vec<u8>) -> Result<(), Unread> {
            Err(Unread::Absent)
        }
    }

    #[tokio::test]
    async fn a_look_that_fails_holds_nobody() {
        let members = members(Broken);
        members.look().await;
        assert!(!members.in_pool(101, "dev") && !members.has_tag(101, "ai"));
    }
}
