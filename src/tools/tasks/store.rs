//! Handles, and how many of them are kept: for how long, how many of one user and of all, and how many bytes.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rmcp::task_manager::TaskManager;

use crate::account::Account;
use crate::policy::Sight;

/// How long what a task came to is kept.
pub const KEPT: Duration = Duration::from_secs(15 * 60);
/// Tasks of one user that may be under way.
pub const MOST_RUNNING: usize = 64;
/// Handles of one user, with those that have ended.
const MOST_OF_ONE: usize = 128;
const MOST: usize = 1_024;
/// Bytes of results, as JSON.
const BYTES_OF_ONE: usize = 2 << 20;
const BYTES: usize = 16 << 20;

pub struct Handle {
    pub owner: Account,
    /// On whose account it is counted: a token's giver has no more of them than without tokens.
    pub payer: Account,
    /// Of this task alone, so that it can be forgotten alone.
    pub manager: TaskManager,
    /// What its owner saw when it was made.
    pub sight: Sight,
    /// When it must have ended.
    pub until: Instant,
    pub end: End,
}

/// When a task ended, and with how many bytes.
#[derive(Clone, Default)]
pub struct End(Arc<OnceLock<(Instant, usize)>>);

/// Ends a task when it is dropped.
pub struct Ending(End);

impl End {
    pub fn guard(&self) -> Ending {
        Ending(self.clone())
    }

    fn at(&self) -> Option<Instant> {
        self.0.get().map(|(at, _)| *at)
    }

    fn bytes(&self) -> usize {
        self.0.get().map_or(0, |(_, bytes)| *bytes)
    }
}

impl Ending {
    pub fn with(self, bytes: usize) {
        let _ = self.0.0.set((Instant::now(), bytes));
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        // The first counts.
        let _ = self.0.0.set((Instant::now(), 0));
    }
}

#[derive(Default)]
pub struct Store {
    /// By the task's id, which is random.
    handles: HashMap<String, Handle>,
}

impl Store {
    pub fn put(&mut self, id: String, handle: Handle) {
        self.handles.insert(id, handle);
    }

    pub fn get(&self, owner: impl Into<Account>, id: &str) -> Option<&Handle> {
        let owner = owner.into();
        self.handles.get(id).filter(|handle| handle.owner == owner)
    }

    pub fn running(&self, payer: impl Into<Account>) -> usize {
        self.of(payer.into()).filter(|handle| handle.end.at().is_none()).count()
    }

    /// Makes room for one more on this account; false when all that are there are under way.
    pub fn make_room(&mut self, payer: impl Into<Account>) -> bool {
        let payer = payer.into();
        while self.of(payer).count() >= MOST_OF_ONE {
            if !self.forget_oldest(Some(payer)) {
                return false;
            }
        }
        while self.handles.len() >= MOST {
            let most = self.who_has_most(|_| 1);
            if !self.forget_oldest(most) && !self.forget_oldest(None) {
                return false;
            }
        }
        true
    }

    /// Forgets what is too old, and the oldest of what is too much.
    pub fn tidy(&mut self, now: Instant) {
        self.handles.retain(|_, handle| {
            let stays = match handle.end.at() {
                Some(ended) => now < ended + KEPT,
                None => now < handle.until,
            };
            if !stays {
                handle.manager.shutdown();
            }
            stays
        });
        while let Some(payer) = self.who_has_most(|handle| handle.end.bytes()) {
            let of_one: usize = self.of(payer).map(|handle| handle.end.bytes()).sum();
            let all: usize = self.handles.values().map(|handle| handle.end.bytes()).sum();
            if (of_one <= BYTES_OF_ONE && all <= BYTES) || !self.forget_oldest(Some(payer)) {
                break;
            }
        }
    }

    /// Ends and forgets everything.
    pub fn end(&mut self) {
        self.handles.drain().for_each(|(_, handle)| handle.manager.shutdown());
    }

    fn of(&self, payer: Account) -> impl Iterator<Item = &Handle> {
        self.handles.values().filter(move |handle| handle.payer == payer)
    }

    /// Whoever takes the most is the first to lose some.
    fn who_has_most(&self, of: impl Fn(&Handle) -> usize) -> Option<Account> {
        let mut sums: HashMap<Account, usize> = HashMap::new();
        for handle in self.handles.values() {
            *sums.entry(handle.payer).or_default() += of(handle);
        }
        sums.into_iter().max_by_key(|(payer, sum)| (*sum, *payer)).map(|(payer, _)| payer)
    }

    /// Forgets what ended first, of this payer's or of all; false when none has.
    fn forget_oldest(&mut self, payer: Option<Account>) -> bool {
        let own = |handle: &&Handle| payer.is_none_or(|payer| handle.payer == payer);
        let ended = self.handles.iter().filter(|(_, handle)| own(handle));
        let oldest = ended.filter_map(|(id, handle)| Some((handle.end.at()?, id))).min();
        match oldest.map(|(_, id)| id.clone()) {
            Some(id) => self.handles.remove(&id).is_some(),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Policy, Principal, Rules};

    fn sight() -> Sight {
        let text = "[[role]]\nname='a'\nmembers=['user:alice']";
        let config = crate::config::parse(std::path::Path::new("x"), text).unwrap();
        let alice = Principal::for_tests(1000, "alice", &[(1000, "alice")]);
        Policy::new(Rules::fixed(config)).read(&alice).ok().unwrap()
    }

    fn put(store: &mut Store, uid: u32, id: usize, ended: Option<(Instant, usize)>) {
        let end = End::default();
        ended.into_iter().for_each(|ended| end.0.set(ended).unwrap());
        let until = Instant::now() + Duration::from_secs(3600);
        let (owner, payer) = (Account::Token(id as u64), uid.into());
        let handle = Handle { owner, payer, manager: TaskManager::new(), sight: sight(), until, end };
        store.put(format!("{uid}-{id:05}"), handle);
    }

    #[test]
    fn what_has_ended_is_kept_for_minutes_and_what_never_ends_for_its_time() {
        let (mut store, now) = (Store::default(), Instant::now());
        put(&mut store, 1, 0, Some((now, 10)));
        put(&mut store, 1, 1, None);
        store.tidy(now + KEPT - Duration::from_secs(1));
        assert_eq!(store.handles.len(), 2);
        store.tidy(now + KEPT);
        assert!(
            store.get(Account::Token(0), "1-00000").is_none()
                && store.get(Account::Token(1), "1-00001").is_some()
        );
        store.tidy(now + Duration::from_secs(3601));
        assert!(store.handles.is_empty());
    }

    #[test]
    fn results_stay_within_their_bytes_and_the_oldest_of_the_largest_go_first() {
        let (mut store, now) = (Store::default(), Instant::now());
        for id in 0..30 {
            put(&mut store, 1, id, Some((now + Duration::from_millis(id as u64), 100 << 10)));
        }
        put(&mut store, 2, 0, Some((now, 100)));
        store.tidy(now + Duration::from_secs(1));
        let left = store.of(1.into()).map(|handle| handle.end.bytes()).sum::<usize>();
        assert!(left <= BYTES_OF_ONE && left > BYTES_OF_ONE - (200 << 10), "{left}");
        assert!(
            store.get(Account::Token(0), "1-00000").is_none()
                && store.get(Account::Token(29), "1-00029").is_some()
        );
        assert!(store.get(Account::Token(0), "2-00000").is_some());
        for owner in 3..30 {
            put(&mut store, owner, 0, Some((now, 1 << 20)));
        }
        store.tidy(now + Duration::from_secs(1));
        assert!(store.handles.values().map(|handle| handle.end.bytes()).sum::<usize>() <= BYTES);
    }

    #[test]
    fn handles_are_counted_for_each_user_and_for_all() {
        let (mut store, now) = (Store::default(), Instant::now());
        for id in 0..MOST_OF_ONE {
            put(&mut store, 1, id, Some((now + Duration::from_millis(id as u64), 1)));
        }
        assert!(store.make_room(1) && store.get(Account::Token(0), "1-00000").is_none());
        assert_eq!(store.of(1.into()).count(), MOST_OF_ONE - 1);
        for owner in 2..17 {
            for id in 0..MOST_RUNNING {
                put(&mut store, owner, id, None);
            }
        }
        assert_eq!(store.running(2), MOST_RUNNING);
        assert!(store.make_room(99));
        assert!(store.handles.len() < MOST);
        store.handles.retain(|_, handle| handle.end.at().is_none());
        for id in 0..MOST {
            put(&mut store, 1000 + id as u32, id, None);
        }
        assert!(!store.make_room(99), "what is under way is nobody's to end");
    }

    #[test]
    fn a_handle_is_its_owners_alone() {
        let mut store = Store::default();
        put(&mut store, 1, 0, None);
        assert!(store.get(Account::Token(0), "1-00000").is_some());
        for other in [1.into(), Account::Token(1)] {
            assert!(store.get(other, "1-00000").is_none());
        }
    }
}
