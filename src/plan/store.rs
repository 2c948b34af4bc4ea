//! Plans that may still be applied: in memory, each for 15 minutes, each once, and only by who made it.
//!
//! A daemon that ends forgets them: what they rest on may have moved meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{PlanId, Refused};
use crate::account::Account;
use crate::ledger::Seq;

/// How long a plan may be applied.
pub const LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How long it is known that a plan has expired or was applied.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// How many there may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub all: usize,
    pub each: usize,
    pub bytes: usize,
    pub lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { all: 512, each: 64, bytes: 16 << 20, lifetime: LIFETIME }
    }
}

/// What is kept: a plan of API calls, or one for the node itself.
pub trait Kept {
    fn id(&self) -> PlanId;
    /// Of its maker.
    fn account(&self) -> Account;
    /// That it takes.
    fn bytes(&self) -> usize;
}

pub struct Store<P> {
    limits: Limits,
    held: Mutex<HashMap<PlanId, Held<P>>>,
}

struct Held<P> {
    plan: Arc<P>,
    made: Instant,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waits,
    /// Somebody is applying it, or has.
    Taken(Option<Seq>),
}

/// The right to apply a plan, of which there is one. Dropped, nothing was begun, and the plan may be tried again.
#[must_use]
pub struct Claim<'a, P: Kept> {
    store: &'a Store<P>,
    plan: Arc<P>,
    used: bool,
}

impl<P: Kept> Claim<'_, P> {
    pub fn plan(&self) -> &Arc<P> {
        &self.plan
    }

    /// The receipt by which it was applied.
    pub fn spent(mut self, receipt: Seq) {
        self.used = true;
        self.store.change(self.plan.id(), State::Taken(Some(receipt)));
    }

    /// It does not hold any more.
    pub fn used_up(mut self) {
        self.used = true;
    }
}

impl<P: Kept> Drop for Claim<'_, P> {
    fn drop(&mut self) {
        if !self.used {
            self.store.change(self.plan.id(), State::Waits);
        }
    }
}

impl<P: Kept> Store<P> {
    pub fn new(limits: Limits) -> Self {
        Self { limits, held: Mutex::default() }
    }

    /// A panic elsewhere cannot leave the table half changed.
    fn held(&self) -> MutexGuard<'_, HashMap<PlanId, Held<P>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, id: PlanId, state: State) {
        if let Some(held) = self.held().get_mut(&id) {
            held.state = state;
        }
    }

    /// Keeps a plan. Of one principal, the oldest give way; where there is no room for all, the oldest of whoever holds the
    /// most: nobody can keep others from planning.
    pub fn keep(&self, plan: Arc<P>) -> Result<(), Refused> {
        let Limits { all, each, bytes, lifetime } = self.limits;
        let mut held = self.held();
        held.retain(|_, held| held.made.elapsed() < lifetime.max(REMEMBERED));
        let account = plan.account();
        let size = plan.bytes();
        let mut own: Vec<(Instant, PlanId, usize)> = held
            .iter()
            .filter(|(_, held)| held.plan.account() == account)
            .map(|(id, held)| (held.made, *id, held.plan.bytes()))
            .collect();
        own.sort_by_key(|(made, ..)| *made);
        let mut own_bytes: usize = own.iter().map(|(.., bytes)| bytes).sum();
        let mut count = own.len();
        for (_, id, bytes_of) in own {
            if count < each && own_bytes + size <= bytes / 2 {
                break;
            }
            held.remove(&id);
            count -= 1;
            own_bytes -= bytes_of;
        }
        let dead: Vec<PlanId> = held
            .iter()
            .filter(|(_, held)| held.made.elapsed() >= lifetime || held.state != State::Waits)
            .map(|(id, _)| *id)
            .collect();
        let full = |held: &HashMap<PlanId, Held<P>>| {
            held.len() >= all || held.values().map(|held| held.plan.bytes()).sum::<usize>() + size > bytes
        };
        for id in dead {
            if !full(&held) {
                break;
            }
            held.remove(&id);
        }
        while full(&held) {
            let Some(id) = oldest_of_the_greediest(&held, account) else { break };
            held.remove(&id);
        }
        if full(&held) || size > bytes / 2 {
            return Err(Refused::Full { plans: held.len() });
        }
        held.insert(plan.id(), Held { plan, made: Instant::now(), state: State::Waits });
        Ok(())
    }

    /// The plan, for its maker, while it may be applied.
    pub fn find(&self, id: PlanId, account: impl Into<Account>) -> Result<Arc<P>, Refused> {
        self.judged(&self.held(), id, account.into())
    }

    /// The right to apply it; whoever comes second is refused.
    pub fn claim(&self, id: PlanId, account: impl Into<Account>) -> Result<Claim<'_, P>, Refused> {
        let mut held = self.held();
        let plan = self.judged(&held, id, account.into())?;
        if let Some(held) = held.get_mut(&id) {
            held.state = State::Taken(None);
        }
        Ok(Claim { store: self, plan, used: false })
    }

    fn judged(
        &self,
        held: &HashMap<PlanId, Held<P>>,
        id: PlanId,
        account: Account,
    ) -> Result<Arc<P>, Refused> {
        let held = held.get(&id).ok_or_else(|| Refused::NoPlan { id: id.to_string() })?;
        let name = || id.to_string();
        if held.plan.account() != account {
            return Err(Refused::NotYours { id: name() });
        }
        if let State::Taken(receipt) = held.state {
            return Err(Refused::Applied { id: name(), receipt });
        }
        if held.made.elapsed() >= self.limits.lifetime {
            return Err(Refused::Expired { id: name() });
        }
        Ok(held.plan.clone())
    }

    /// The plans that may still be applied, for who approves: the oldest first.
    pub fn waiting(&self) -> Vec<Arc<P>> {
        let held = self.held();
        let mut waiting: Vec<&Held<P>> = held
            .values()
            .filter(|held| held.state == State::Waits && held.made.elapsed() < self.limits.lifetime)
            .collect();
        waiting.sort_by_key(|held| held.made);
        waiting.into_iter().map(|held| held.plan.clone()).collect()
    }
}
/// The oldest plan that waits of whoever else holds the most bytes, where that is more than `account` holds.
fn oldest_of_the_greediest<P: Kept>(held: &HashMap<PlanId, Held<P>>, account: Account) -> Option<PlanId> {
    let mut bytes: HashMap<Account, usize> = HashMap::new();
    for held in held.values() {
        *bytes.entry(held.plan.account()).or_default() += held.plan.bytes();
    }
    let own = bytes.get(&account).copied().unwrap_or_default();
    let (greediest, most) =
        bytes.into_iter().filter(|(other, _)| *other != account).max_by_key(|(_, bytes)| *bytes)?;
    let theirs =
        held.iter().filter(|(_, held)| held.plan.account() == greediest && held.state == State::Waits);
    theirs.min_by_key(|(_, held)| held.made).map(|(id, _)| *id).filter(|_| most > own)
}
