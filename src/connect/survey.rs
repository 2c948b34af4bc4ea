//! Hosts asked what they are and what they have, when somebody wants to know, and not more often than that takes.
//!
//! What only reads goes by what was said a while ago. What cannot be taken back goes by what is said now ([`Surveyor::look_now`]),
//! and whoever does not say it then is in doubt ([`Surveyor::sight`]). A look that comes to nothing takes nothing away: what a
//! host said before stands until it says something else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::host::Host;
use super::look::{CANNOT_SAY, WRONG_NODE, look};
use super::many::gather;
use super::places::{Map, Place, Seen};
use super::trouble::Trouble;

/// What was seen counts without a second look for so long; from then on it is looked at again beside the call.
const FRESH: Duration = Duration::from_secs(20);
/// And no longer than this.
const OLD: Duration = Duration::from_secs(600);
/// A host that did not answer holds nobody again for so long.
const SPARED: Duration = Duration::from_secs(15);
/// What a host says anew after a change there is waited for no longer by what only looks: it goes by what it said before.
const LAG: Duration = Duration::from_secs(1);
/// For one look, however little by little a host answers.
const MOST_LOOK: Duration = Duration::from_secs(60);

pub struct Surveyor {
    hosts: Vec<Arc<Host>>,
    slots: Mutex<Vec<Slot>>,
    /// One look at a host at a time.
    turns: Vec<Arc<tokio::sync::Mutex<()>>>,
}

#[derive(Clone, Default)]
struct Slot {
    seen: Option<Arc<Seen>>,
    /// When something has last moved there, for all that anybody could tell.
    moved: Option<Instant>,
    /// When a call has last gone on without what it would say anew.
    lagged: Option<Instant>,
    /// The last look, where it came to nothing.
    failed: Option<(Instant, Trouble)>,
}

impl Slot {
    fn is_seen_since(&self, then: Instant) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.at > then)
    }

    fn has_failed_since(&self, then: Instant) -> bool {
        self.failed.as_ref().is_some_and(|(at, _)| *at > then)
    }

    fn is_spared(&self) -> bool {
        self.failed.as_ref().is_some_and(|(at, _)| at.elapsed() < SPARED)
    }

    /// Whether it is late with what may have changed there.
    fn lags(&self) -> bool {
        self.age().is_none() && self.lagged.is_some_and(|at| at.elapsed() < SPARED)
    }

    /// Whether it was just there and did not know: it would say the same again.
    fn cannot_say(&self) -> bool {
        self.is_spared() && self.failed.as_ref().is_some_and(|(_, trouble)| trouble.kind == CANNOT_SAY)
    }

    /// How long ago it said what holds still, for all that anybody could tell.
    fn age(&self) -> Option<Duration> {
        let seen = self.seen.as_ref()?;
        let is_stale = self.moved.is_some_and(|moved| seen.at <= moved);
        (!is_stale).then(|| seen.at.elapsed())
    }

    fn is_younger_than(&self, age: Duration) -> bool {
        self.failed.is_none() && self.age().is_some_and(|is| is < age)
    }
}

impl Surveyor {
    pub fn new(hosts: Vec<Arc<Host>>) -> Arc<Self> {
        let (slots, turns) = hosts.iter().map(|_| Default::default()).unzip();
        Arc::new(Self { hosts, slots: Mutex::new(slots), turns })
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn map_of(&self, slots: &[Slot]) -> Map {
        let seen = slots.iter().map(|slot| slot.seen.clone()).collect();
        let pins: Vec<Option<String>> = self.hosts.iter().map(|host| host.spec.node.clone()).collect();
        Map::new(seen, &pins)
    }

    /// What is known now.
    pub fn map(&self) -> Map {
        self.map_of(&self.slots())
    }

    /// What is known now, and those of which nothing is, or nothing new: their last look came to nothing.
    pub fn sight(&self, among: &[Place]) -> (Map, Vec<Place>) {
        let slots = self.slots();
        let is_unseen = |place: &Place| {
            let slot = &slots[*place];
            slot.seen.is_none() || slot.failed.is_some() || slot.lags()
        };
        (self.map_of(&slots), among.iter().copied().filter(is_unseen).collect())
    }

    /// What came of each host's last look, where that is nothing.
    pub fn failed(&self) -> Vec<Option<Trouble>> {
        self.slots().iter().map(|slot| slot.failed.as_ref().map(|(_, trouble)| trouble.clone())).collect()
    }

    /// Whether a call has just waited in vain until it is connected to: no other waits for it, and it does not twice.
    pub fn is_in_vain(&self, place: Place) -> bool {
        !self.hosts[place].is_up() && self.slots()[place].is_spared()
    }

    /// Whether any host is a Proxmox VE node, or may be one for all that is known.
    pub fn may_have_guests(&self) -> bool {
        self.slots().iter().any(|slot| slot.seen.as_ref().is_none_or(|seen| seen.has_guests))
    }

    /// An answer did not fit what was thought of that host, or something was changed there.
    pub fn doubt(&self, place: Place) {
        self.slots()[place].moved = Some(Instant::now());
    }

    /// Sees to it that what is known of these hosts is not old: where it is, they are waited for.
    pub async fn look(self: &Arc<Self>, among: &[Place]) {
        let (mut wait, mut beside, mut anew) = (Vec::new(), Vec::new(), Vec::new());
        {
            let slots = self.slots();
            for place in among.iter().copied() {
                let slot = &slots[place];
                let is_known = match slot.age() {
                    Some(age) => slot.is_spared() || age < OLD,
                    // What it said is no more; but it has just been asked.
                    None if slot.seen.is_some() && !slot.is_spared() && !slot.lags() => {
                        anew.push(place);
                        continue;
                    }
                    None if slot.seen.is_some() => true,
                    // Each is waited for once; from then on it is told when it is there.
                    None => slot.failed.is_some(),
                };
                match is_known {
                    true if slot.is_younger_than(FRESH) => {}
                    true if slot.cannot_say() => {}
                    true => beside.push(place),
                    false => wait.push(place),
                }
            }
        }
        // Who is left alone for a while would only be found to be; and who is being looked at is looked at once.
        let is_due = |place: &Place| !self.hosts[*place].is_paused() && self.turns[*place].try_lock().is_ok();
        for place in beside.into_iter().filter(is_due) {
            tokio::spawn(self.clone().again(place, FRESH));
        }
        tokio::join!(self.wait(wait, FRESH, false), self.wait_a_little(anew));
    }

    /// For what it says after a change. A look that takes longer goes on, and whoever does not find something waits for it.
    async fn wait_a_little(self: &Arc<Self>, places: Vec<Place>) {
        let until = tokio::time::Instant::now() + LAG;
        let looks: Vec<_> =
            places.iter().map(|place| (*place, tokio::spawn(self.clone().again(*place, FRESH)))).collect();
        for (place, look) in looks {
            if tokio::time::timeout_at(until, look).await.is_err() {
                self.slots()[place].lagged = Some(Instant::now());
            }
        }
    }

    /// For what cannot be taken back: waits until each has said what it has, where it has not just said it and is still there.
    /// Who does not say it, or not soon after the others, has failed.
    pub async fn look_now(self: &Arc<Self>, among: &[Place]) {
        let due: Vec<Place> = {
            let slots = self.slots();
            let is_known = |place: &Place| slots[*place].is_younger_than(FRESH) && self.hosts[*place].is_up();
            among.iter().copied().filter(|place| !is_known(place)).collect()
        };
        let others = due.len() < among.len();
        self.wait(due, Duration::ZERO, others).await;
    }

    /// Looks anew, as something was not found; not when that has just been done.
    pub async fn look_again(self: &Arc<Self>, among: &[Place]) {
        const JUST: Duration = Duration::from_secs(1);
        let wait = {
            let slots = self.slots();
            let is_due = |slot: &Slot| {
                let just = |seen: &Arc<Seen>| seen.at.elapsed() < JUST;
                !slot.seen.as_ref().is_some_and(just) && !slot.is_spared()
            };
            among.iter().copied().filter(|place| is_due(&slots[*place])).collect()
        };
        self.wait(wait, JUST, false).await;
    }

    /// `others`: whether there are some that have answered already, so that these have no longer than those who lag behind.
    async fn wait(self: &Arc<Self>, places: Vec<Place>, fresh: Duration, others: bool) {
        if places.is_empty() {
            return;
        }
        let began = Instant::now();
        let asked = places.iter().copied().map(Some).chain(others.then_some(None));
        let looks: Vec<_> = asked
            .map(|place| {
                // Goes on where it is not waited for, so that the next call has it.
                let look = place.map(|place| tokio::spawn(self.clone().again(place, fresh)));
                async move {
                    match look {
                        Some(look) => look.await.unwrap_or(false),
                        None => true,
                    }
                }
            })
            .collect();
        let came = gather(looks, |seen| *seen, &[]).await;
        let mut slots = self.slots();
        for (place, _) in places.iter().zip(came).filter(|(_, came)| *came != Some(true)) {
            let slot = &mut slots[*place];
            if slot.is_seen_since(began) || slot.has_failed_since(began) {
                continue;
            }
            let trouble = match self.hosts[*place].is_up() {
                true => Trouble::silent(began.elapsed()),
                false => Trouble::connecting(),
            };
            slot.failed = Some((Instant::now(), trouble));
        }
    }

    /// Looks at one host, unless somebody just did: who waited for their turn meanwhile has the same answer. Whether it is
    /// seen now.
    async fn again(self: Arc<Self>, place: Place, fresh: Duration) -> bool {
        let came = Instant::now();
        let turn = self.turns[place].clone();
        let _turn = turn.lock().await;
        {
            let slot = &self.slots()[place];
            let is_known = slot.is_younger_than(fresh) || slot.is_seen_since(came) && slot.age().is_some();
            if is_known || slot.has_failed_since(came) {
                return is_known;
            }
        }
        let seen = tokio::time::timeout(MOST_LOOK, look(&self.hosts[place])).await;
        let seen = seen.unwrap_or_else(|_| Err(Trouble::silent(MOST_LOOK)));
        let slot = &mut self.slots()[place];
        match seen {
            Ok(seen) => {
                (slot.seen, slot.failed) = (Some(Arc::new(seen)), None);
                true
            }
            Err(trouble) => {
                // It is not what it should be; what is not there is what it was.
                if trouble.kind == WRONG_NODE {
                    slot.seen = None;
                }
                slot.failed = Some((Instant::now(), trouble));
                false
            }
        }
    }
}

#[cfg(test)]
#[path = "survey_tests.rs"]
mod tests;
