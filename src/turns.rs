//! Turns: how much is done at once (commands, calls to PVE), and whose is next.
//!
//! Accounts take turns, not calls: the next place goes to the account that has the fewest under way, so that a
//! thousand calls of one wait behind the first of another.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::account::Account;

/// What may be done at once, as the configuration says now.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub most: usize,
    /// Of one account.
    pub each: usize,
}

#[derive(Default)]
pub struct Turns(Mutex<State>);

#[derive(Default)]
struct State {
    limits: Option<Limits>,
    running: usize,
    accounts: HashMap<Account, Queue>,
    /// Turns given so far: among equals, who has waited longest since its last comes first.
    given: u64,
}

#[derive(Default)]
struct Queue {
    running: usize,
    waiting: VecDeque<oneshot::Sender<Turn>>,
    last: u64,
}

/// The right to do one thing, until it is dropped.
pub struct Turn {
    turns: Arc<Turns>,
    of: Account,
}

impl Turns {
    /// Waits for a turn. Whoever stops waiting gives the place in the queue up.
    pub async fn take(self: &Arc<Self>, of: impl Into<Account>, limits: Limits) -> Turn {
        let (give, given) = oneshot::channel();
        {
            let mut state = self.state();
            state.limits = Some(limits);
            let account = state.accounts.entry(of.into()).or_default();
            account.waiting.retain(|waiting| !waiting.is_closed());
            account.waiting.push_back(give);
        }
        self.give();
        match given.await {
            Ok(turn) => turn,
            // Only whoever waits can end the waiting: the queue gives every turn or keeps it.
            Err(_) => std::future::pending().await,
        }
    }

    /// Gives what is free to those who wait.
    fn give(self: &Arc<Self>) {
        while let Some((of, next)) = self.state().next() {
            // One who stopped waiting just now gives it back, which brings us here again.
            drop(next.send(Turn { turns: self.clone(), of }));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> Option<(Account, oneshot::Sender<Turn>)> {
        let limits = self.limits?;
        while self.running < limits.most {
            let waits = |account: &&mut Queue| !account.waiting.is_empty() && account.running < limits.each;
            let accounts = self.accounts.iter_mut();
            let (of, account) = accounts
                .filter_map(|(of, account)| waits(&account).then_some((*of, account)))
                .min_by_key(|(_, account)| (account.running, account.last))?;
            let Some(next) = account.waiting.pop_front().filter(|next| !next.is_closed()) else { continue };
            self.given += 1;
            account.last = self.given;
            account.running += 1;
            self.running += 1;
            return Some((of, next));
        }
        None
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        {
            let mut state = self.turns.state();
            state.running -= 1;
            if let Some(account) = state.accounts.get_mut(&self.of) {
                account.running -= 1;
                if account.running == 0 && account.waiting.is_empty() {
                    state.accounts.remove(&self.of);
                }
            }
        }
        self.turns.give();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { most: 4, each: 3 };

    /// Whether it is somebody's turn at once.
    fn at_once(turns: &Arc<Turns>, uid: u32) -> Option<Turn> {
        use std::task::{Context, Poll, Waker};
        let mut take = std::pin::pin!(turns.take(uid, LIMITS));
        match take.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    #[test]
    fn one_account_leaves_turns_to_others() {
        let turns = Arc::new(Turns::default());
        let held: Vec<Turn> = (0..3).filter_map(|_| at_once(&turns, 1)).collect();
        assert_eq!(held.len(), 3);
        assert!(at_once(&turns, 1).is_none());
        let other = at_once(&turns, 2);
        assert!(other.is_some() && at_once(&turns, 3).is_none());
        drop(other);
        assert!(at_once(&turns, 3).is_some());
        drop(held);
        assert!(turns.state().accounts.is_empty() && turns.state().running == 0, "nothing is left behind");
    }

    #[tokio::test]
    async fn the_account_with_the_fewest_commands_is_next_however_many_calls_another_queues() {
        let turns = Arc::new(Turns::default());
        let mut held: Vec<Turn> = (0..3).filter_map(|_| at_once(&turns, 1)).collect();
        let filler = at_once(&turns, 9);
        let wait = |uid| {
            let turns = turns.clone();
            tokio::spawn(async move { turns.take(uid, LIMITS).await })
        };
        let crowd: Vec<_> = (0..100).map(|_| wait(1)).collect();
        tokio::task::yield_now().await;
        let late = wait(2);
        tokio::task::yield_now().await;
        // One of the crowd's own: by order of calls, the crowd would be next.
        held.pop();
        let late = tokio::time::timeout(std::time::Duration::from_secs(5), late).await;
        assert_eq!(late.expect("its turn").expect("no panic").of, 2.into());
        crowd.iter().for_each(|waiting| waiting.abort());
        drop((filler, held));
    }

    #[tokio::test]
    async fn who_stops_waiting_takes_no_turn_along() {
        let turns = Arc::new(Turns::default());
        let held: Vec<Turn> = (0..3).filter_map(|_| at_once(&turns, 1)).collect();
        for _ in 0..100 {
            assert!(at_once(&turns, 1).is_none());
        }
        assert!(turns.state().accounts[&1.into()].waiting.len() <= 1, "the given up are forgotten");
        drop(held);
        assert_eq!((0..4).filter_map(|_| at_once(&turns, 1)).collect::<Vec<_>>().len(), 3);
    }
}
