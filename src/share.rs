//! What all accounts share and one must not use up: so much in all, and so much of it for one account at most.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::account::Account;

/// A supply of something that is counted: places, calls, bytes.
pub struct Supply<K: Of = Account> {
    most: usize,
    /// For one account.
    each: usize,
    used: Mutex<Used<K>>,
}

/// What it is counted by: accounts, or what stands for them while they are not known yet.
pub trait Of: Copy + Eq + Hash {}

impl<K: Copy + Eq + Hash> Of for K {}

struct Used<K> {
    all: usize,
    each: HashMap<K, usize>,
}

/// Which of the two limits was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// All accounts together have everything.
    All,
    /// This account has as much as one may have.
    Own,
}

/// A part of a supply, given back when it is dropped.
pub struct Share<K: Of = Account> {
    supply: Arc<Supply<K>>,
    of: K,
    amount: usize,
}

impl<K: Of> Supply<K> {
    pub fn new(most: usize, each: usize) -> Arc<Self> {
        let used = Used { all: 0, each: HashMap::new() };
        Arc::new(Self { most, each, used: Mutex::new(used) })
    }

    /// A supply of which one account has half at most.
    pub fn halves(most: usize) -> Arc<Self> {
        Self::new(most, most.div_ceil(2))
    }

    pub fn most(&self) -> usize {
        self.most
    }

    pub fn each(&self) -> usize {
        self.each
    }

    pub fn take(self: &Arc<Self>, of: impl Into<K>, amount: usize) -> Result<Share<K>, Spent> {
        let mut share = self.none(of);
        share.resize(amount)?;
        Ok(share)
    }

    /// What an account has of it now.
    pub fn used_by(&self, of: impl Into<K>) -> usize {
        self.used().each.get(&of.into()).copied().unwrap_or(0)
    }

    /// A share that is to grow.
    pub fn none(self: &Arc<Self>, of: impl Into<K>) -> Share<K> {
        Share { supply: self.clone(), of: of.into(), amount: 0 }
    }

    fn used(&self) -> MutexGuard<'_, Used<K>> {
        // Nothing that is done under the lock can panic half-way.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Of> Share<K> {
    /// Makes it larger or smaller; it stays as it is where there is no more. Smaller always succeeds.
    pub fn resize(&mut self, amount: usize) -> Result<(), Spent> {
        let mut used = self.supply.used();
        let others = used.all - self.amount;
        let own = used.each.get(&self.of).copied().unwrap_or(0) - self.amount;
        if amount > self.amount {
            if own.saturating_add(amount) > self.supply.each {
                return Err(Spent::Own);
            }
            if others.saturating_add(amount) > self.supply.most {
                return Err(Spent::All);
            }
        }
        used.all = others + amount;
        match own + amount {
            0 => used.each.remove(&self.of),
            own => used.each.insert(self.of, own),
        };
        self.amount = amount;
        Ok(())
    }
}

impl<K: Of> Drop for Share<K> {
    fn drop(&mut self) {
        let _ = self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_cannot_use_up_what_all_share() {
        let supply = Supply::<Account>::new(10, 6);
        let first = supply.take(1, 6).expect("its share");
        assert_eq!(supply.take(1, 1).err(), Some(Spent::Own));
        let _second = supply.take(2, 4).expect("what is left");
        assert_eq!(supply.take(3, 1).err(), Some(Spent::All));
        drop(first);
        assert!(supply.take(3, 6).is_ok());
    }

    #[test]
    fn a_share_grows_and_shrinks_and_leaves_no_trace() {
        let supply = Supply::<Account>::new(10, 10);
        let mut share = supply.take(1, 2).expect("a share");
        assert_eq!(share.resize(10), Ok(()));
        assert_eq!(share.resize(11), Err(Spent::Own));
        assert_eq!(share.resize(1), Ok(()));
        assert_eq!(supply.used().all, 1);
        drop(share);
        assert!(supply.used().all == 0 && supply.used().each.is_empty());
    }
}
