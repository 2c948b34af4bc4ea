//! What of a task its owner sees now: what it came to was given by a role, and is not given out by another.

use std::sync::Arc;

use crate::ledger::receipt::Clean;
use crate::ledger::receipt::body::Refusal;
use crate::ledger::{Decision, Entry, Unrecorded};
use crate::policy::{Denied, Principal, Sight, record_withdrawn, role};
use crate::tools::Provost;

use super::task::{Now, Task};

#[derive(Clone)]
pub struct Gate {
    provost: Arc<Provost>,
    principal: Principal,
}

impl Gate {
    pub fn new(provost: Arc<Provost>, principal: Principal) -> Self {
        Self { provost, principal }
    }

    /// What the owner sees; none where no role names it: nothing but `status` is for it then.
    pub fn sight(&self) -> Option<Sight> {
        self.provost.policy.read(&self.principal).ok()
    }

    /// Takes back a plan of the owner's that waits for a yes, on record. None: it does not wait any more.
    pub async fn withdraw(&self, plan: &str) -> Option<Result<(), Unrecorded>> {
        let policy = &self.provost.policy;
        let withdrawal = policy.approvals.withdraw(plan, self.principal.account())?;
        let who = self.principal.who(role(&policy.rules.now(), &self.principal));
        let why = Clean::ours("its task was cancelled");
        Some(record_withdrawn(&self.provost.desk.ledger, withdrawal, who, Some(why)).await)
    }

    /// As its owner may see it. What a task says and came to stays unsaid where the role is another, or is not as it was.
    pub fn seen(&self, task: &Task, now: Now) -> Now {
        match self.withheld(task) {
            None => now,
            Some(denied) => {
                let kept = Now { said: None, answer: None, about: None, ..now };
                kept.saying(format!("{denied}; {}", denied.next()))
            }
        }
    }

    /// The same, on record, as it would be had it been asked for anew.
    pub fn look(&self, task: &Task) -> Now {
        self.record(task);
        self.seen(task, task.now())
    }

    /// Leaves a receipt where something is withheld; whether it did.
    pub fn record(&self, task: &Task) -> bool {
        let withheld = self.withheld(task);
        if let Some(denied) = &withheld {
            let body = Refusal { args: None, argv: None, code: Clean::ours(denied.kind()), next: None };
            let config = self.provost.policy.rules.now();
            self.provost.desk.ledger.leave(Entry {
                principal: Some(self.principal.who(role(&config, &self.principal))),
                decision: Some(Decision::Refused),
                why: Some(format!("task {}: {denied}", task.id).into()),
                ..Entry::of(body)
            });
        }
        withheld.is_some()
    }

    fn withheld(&self, task: &Task) -> Option<Denied> {
        match (&task.sight, self.provost.policy.read(&self.principal)) {
            (Some(then), Ok(now)) if then.is_as(&now) => None,
            (None, Err(_)) => None,
            (_, Ok(now)) => Some(now.changed()),
            (_, Err(denied)) => Some(denied),
        }
    }
}
