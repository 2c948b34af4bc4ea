//! Plans that wait for a person: who asked for what, who may decide, and what was decided.
//!
//! In: a [`Request`] with the whole plan as it is to be shown, then somebody's yes or no. Out: an [`Approved`], bound to that
//! plan and its hash, which [`Approvals::clear`] consumes. It must never take a yes from somebody who may not give one, take
//! one late or twice, or let one count for another plan. No answer is a no: what nobody answers expires.
//!
//! Nothing of it is kept: a restart forgets every plan, and its approval with it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::change::{Leave, Needs};
use super::refused::{NotApproved, Undecided};
use super::{Policy, Principal};
use crate::account::Account;
use crate::config::Config;
pub use crate::config::How;
use crate::ledger::Seq;

/// Plans that one account may have waiting, and all accounts.
const MOST_EACH: usize = 32;
const MOST: usize = 256;
/// Plans that are over and still shown.
const MOST_RECENT: usize = 64;
/// Bytes of a plan as it is shown, and lines of its summary with their bytes.
const MOST_TEXT: usize = 64 << 10;
const MOST_LINES: usize = 8;
const MOST_LINE: usize = 300;

/// A plan that needs a yes.
#[derive(Debug, Clone)]
pub struct Request {
    /// plan_id
    pub plan: String,
    /// Of the whole plan in canonical form, in hexadecimal.
    pub sha256: String,
    /// Who asked, as the kernel says.
    pub account: Account,
    /// The account behind a token that asked: it decides no more than who asks does.
    pub behind: Option<Account>,
    /// The same for people: `user:alice (uid 1000)`.
    pub who: String,
    pub role: String,
    /// `PUT /nodes/{node}/qemu/{vmid}/config`
    pub endpoint: String,
    pub guest: Option<u32>,
    /// A line or a few: what it does to what.
    pub summary: Vec<String>,
    /// The whole plan, as a person is shown it before the answer.
    pub text: String,
    /// Why it needs one.
    pub because: Vec<String>,
    /// The plan's receipt.
    pub receipt: Seq,
    pub expires: Instant,
    /// The same by the clock on the wall.
    pub expires_at: Timestamp,
    pub self_approval: bool,
    /// Ways by which an answer counts.
    pub how: Vec<How>,
}

/// By whom a yes is said, and how: the client's own dialog is answered by the account that asked.
pub fn approvers(self_approval: bool, how: &[How]) -> String {
    let terminal = how.contains(&How::Terminal).then_some("provost approve, at a terminal of the node");
    let dialog = (self_approval && how.contains(&How::Elicitation)).then_some("your client's own dialog");
    let whom = if self_approval { "an approver, you among them" } else { "an approver other than you" };
    let ways: Vec<&str> = terminal.into_iter().chain(dialog).collect();
    format!("{whom}: {}", ways.join(", or "))
}

/// A person's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub yes: bool,
    pub account: Account,
    /// `user:bob (uid 1001)`
    pub by: String,
    pub how: How,
    pub at: Timestamp,
    /// Its receipt.
    pub receipt: Seq,
}

/// How a plan stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Waiting,
    /// Somebody's answer is being recorded.
    Deciding,
    Decided(Decision),
    /// Approved, and applied or at least tried.
    Used(Decision),
    /// Who asked for it took it back, while nobody had answered. The receipt of that.
    Withdrawn {
        receipt: Seq,
    },
    /// Nobody answered in time, or nobody applied it.
    Expired,
}

/// A plan and how it stands.
#[derive(Debug, Clone)]
pub struct Held {
    pub request: Arc<Request>,
    pub standing: Standing,
}

/// The plans that wait, and those that waited lately.
#[derive(Debug, Clone, Default)]
pub struct Approvals(Arc<Mutex<Shelf>>);

#[derive(Debug, Default)]
struct Shelf {
    /// Touched when a plan begins to wait, for whoever tells people.
    bell: Option<PathBuf>,
    plans: HashMap<String, Held>,
    /// Their ids, the latest last.
    order: Vec<String>,
    /// For whoever waits for an answer.
    turned: Arc<Notify>,
}

/// A person's yes to one plan: used up by the change that it lets through.
#[derive(Debug)]
pub struct Approved {
    plan: String,
    decision: Decision,
}

impl Approved {
    pub fn plan(&self) -> &str {
        &self.plan
    }

    pub fn decision(&self) -> &Decision {
        &self.decision
    }
}

/// That nothing is missing any more: no approval is needed, or it is here. Only [`Approvals::clear`] makes one.
#[derive(Debug)]
pub struct Cleared {
    leave: Leave,
    approved: Option<Approved>,
}

impl Cleared {
    pub fn leave(&self) -> &Leave {
        &self.leave
    }

    pub fn approved(&self) -> Option<&Approved> {
        self.approved.as_ref()
    }

    /// The leave alone is no clearance any more; what was used up can be given back.
    pub fn give_up(self) -> (Leave, Option<Approved>) {
        (self.leave, self.approved)
    }

    pub(super) fn into_leave(self) -> Leave {
        self.leave
    }
}

/// An answer that was taken and is not recorded yet. Dropped, the plan waits on.
#[derive(Debug)]
#[must_use = "an answer counts once it is recorded"]
pub struct Claim {
    approvals: Approvals,
    request: Arc<Request>,
    decision: Decision,
    settled: bool,
}

impl Claim {
    pub fn request(&self) -> &Request {
        &self.request
    }

    pub fn yes(&self) -> bool {
        self.decision.yes
    }

    pub fn how(&self) -> How {
        self.decision.how
    }

    /// It is recorded, in this receipt: from now on it counts.
    pub fn settle(mut self, receipt: Seq) -> Decision {
        self.settled = true;
        self.decision.receipt = receipt;
        let decided = Standing::Decided(self.decision.clone());
        self.approvals.lock().stand(&self.request.plan, decided);
        self.decision.clone()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.settled {
            self.approvals.lock().stand(&self.request.plan, Standing::Waiting);
        }
    }
}

/// A plan that who asked for it takes back, which is not recorded yet. Dropped, the plan waits on.
#[derive(Debug)]
#[must_use = "a plan is withdrawn once that is recorded"]
pub struct Withdrawal {
    approvals: Approvals,
    request: Arc<Request>,
    settled: bool,
}

impl Withdrawal {
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// It is recorded, in this receipt: from now on nobody can approve the plan.
    pub fn settle(mut self, receipt: Seq) {
        self.settled = true;
        self.approvals.lock().stand(&self.request.plan, Standing::Withdrawn { receipt });
    }
}

impl Drop for Withdrawal {
    fn drop(&mut self) {
        if !self.settled {
            self.approvals.lock().stand(&self.request.plan, Standing::Waiting);
        }
    }
}

/// There is no room for one more plan that waits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("{} plans of yours wait for approval already", MOST_EACH)]
    Own,
    #[error("{} plans wait for approval already", MOST)]
    All,
}

impl Approvals {
    /// With a file that is touched whenever a plan begins to wait.
    pub fn with_bell(bell: PathBuf) -> Self {
        Self(Arc::new(Mutex::new(Shelf { bell: Some(bell), ..Shelf::default() })))
    }

    /// Lets a plan wait for its answer, and announces it, once however often it is asked. The answer is false where it was
    /// known.
    pub fn ask(&self, mut request: Request) -> Result<bool, Full> {
        let now = Instant::now();
        let mut shelf = self.lock();
        if shelf.plans.contains_key(&request.plan) {
            return Ok(false);
        }
        shelf.prune(now);
        let open = |held: &&Held| held.is_open(now);
        if shelf.plans.values().filter(open).count() >= MOST {
            return Err(Full::All);
        }
        let payer = |request: &Request| request.behind.unwrap_or(request.account);
        let own = |held: &&Held| payer(&held.request) == payer(&request);
        if shelf.plans.values().filter(open).filter(own).count() >= MOST_EACH {
            return Err(Full::Own);
        }
        let cut = request.text.len() > MOST_TEXT;
        if cut {
            let kept = crate::text::beginning(&request.text, MOST_TEXT).len();
            request.text.truncate(kept);
            request.text += "\n[cut here: the plan is longer than a person would read; deny it, or ask for it in parts]\n";
        }
        request.summary.truncate(MOST_LINES);
        for line in &mut request.summary {
            let kept = crate::text::beginning(line, MOST_LINE).len();
            line.truncate(kept);
        }
        tracing::warn!(
            provost_plan = request.plan,
            provost_principal = request.who,
            provost_endpoint = request.endpoint,
            "plan {} of {} waits for approval until {}: {}; provost approve {}",
            request.plan,
            request.who,
            request.expires_at,
            crate::text::clean(request.summary.join("; ").as_bytes()).replace('\n', " "),
            request.plan,
        );
        if let Some(bell) = &shelf.bell
            && let Err(error) = std::fs::write(bell, "")
        {
            tracing::warn!(%error, "nobody is mailed: cannot touch {}", bell.display());
        }
        shelf.order.push(request.plan.clone());
        let held = Held { request: Arc::new(request), standing: Standing::Waiting };
        shelf.plans.insert(held.request.plan.clone(), held);
        Ok(true)
    }

    /// Takes an answer, if it may be given: now, by this principal, to what it was shown.
    fn claim(
        &self,
        config: &Config,
        principal: &Principal,
        plan: &str,
        shown: &str,
        yes: bool,
        how: How,
    ) -> Result<Claim, Undecided> {
        let now = Instant::now();
        let mut shelf = self.lock();
        // Who may not decide learns nothing of what there is.
        let approver = is_approver(config, principal);
        let held = shelf.plans.get_mut(plan).ok_or(Undecided::NoSuch)?;
        let asker = &held.request;
        let own = asker.account == principal.account() || asker.behind == Some(principal.account());
        if !approver && !own {
            return Err(Undecided::NoSuch);
        }
        if own && !held.request.self_approval {
            return Err(Undecided::Own);
        }
        if !approver {
            return Err(Undecided::NotApprover);
        }
        if !held.request.how.contains(&how) {
            return Err(Undecided::How { how });
        }
        match held.standing_at(now) {
            Standing::Waiting => {}
            Standing::Deciding => return Err(Undecided::Deciding),
            Standing::Expired => return Err(Undecided::Expired { at: held.request.expires_at }),
            Standing::Withdrawn { .. } => return Err(Undecided::Withdrawn),
            Standing::Decided(decision) | Standing::Used(decision) => {
                return Err(Undecided::Decided { yes: decision.yes, by: decision.by });
            }
        }
        if held.request.sha256 != shown {
            return Err(Undecided::Another);
        }
        held.standing = Standing::Deciding;
        let decision = Decision {
            yes,
            account: principal.account(),
            by: principal.to_string(),
            how,
            at: Timestamp::now(),
            receipt: 0,
        };
        Ok(Claim { approvals: self.clone(), request: held.request.clone(), decision, settled: false })
    }

    /// Takes a plan back for the account that asked for it. None: nothing of theirs waits by that id; somebody may have answered.
    pub fn withdraw(&self, plan: &str, account: Account) -> Option<Withdrawal> {
        let mut shelf = self.lock();
        let held = shelf.plans.get_mut(plan).filter(|held| held.request.account == account)?;
        if held.standing_at(Instant::now()) != Standing::Waiting {
            return None;
        }
        held.standing = Standing::Deciding;
        Some(Withdrawal { approvals: self.clone(), request: held.request.clone(), settled: false })
    }

    /// Lets a change go on that needs nothing, or uses its approval up.
    pub fn clear(&self, leave: Leave, plan: &str, sha256: &str) -> Result<Cleared, NotApproved> {
        let mut all = self.clear_all(vec![leave], plan, sha256)?;
        all.pop().ok_or_else(|| NotApproved::Unknown { plan: plan.to_owned() })
    }

    /// The same for all calls of one plan, in their order: one yes is for all of them, and the first holds it.
    pub fn clear_all(
        &self,
        leaves: Vec<Leave>,
        plan: &str,
        sha256: &str,
    ) -> Result<Vec<Cleared>, NotApproved> {
        let needing = leaves.iter().filter(|leave| *leave.needs() != Needs::Nothing);
        let needing: Vec<(Account, &Needs)> = needing.map(|leave| (leave.account(), leave.needs())).collect();
        let mut approved = match needing.is_empty() {
            true => None,
            false => Some(self.use_up(&needing, plan, sha256)?),
        };
        Ok(leaves.into_iter().map(|leave| Cleared { leave, approved: approved.take() }).collect())
    }

    /// `asked`: who asked for each of its calls, and what that needs.
    pub(super) fn use_up(
        &self,
        asked: &[(Account, &Needs)],
        plan: &str,
        sha256: &str,
    ) -> Result<Approved, NotApproved> {
        let mut shelf = self.lock();
        let own = |held: &&mut Held| asked.iter().all(|(account, _)| held.request.account == *account);
        let held = shelf.plans.get_mut(plan).filter(own);
        let held = held.ok_or_else(|| NotApproved::Unknown { plan: plan.to_owned() })?;
        if held.request.sha256 != sha256 {
            return Err(NotApproved::Another { plan: plan.to_owned() });
        }
        let decision = match held.standing_at(Instant::now()) {
            Standing::Decided(decision) if decision.yes => decision,
            Standing::Decided(decision) => return Err(NotApproved::Refused { by: decision.by }),
            Standing::Used(_) => return Err(NotApproved::Used),
            Standing::Expired => return Err(NotApproved::Expired { at: held.request.expires_at }),
            Standing::Withdrawn { .. } => return Err(NotApproved::Withdrawn),
            Standing::Waiting | Standing::Deciding => {
                return Err(NotApproved::Waiting {
                    plan: plan.to_owned(),
                    because: held.request.because.clone(),
                    by: approvers(held.request.self_approval, &held.request.how),
                    until: held.request.expires_at,
                });
            }
        };
        // By the role of now: what it lets its members approve, and how, may have changed since.
        for (account, needs) in asked {
            let Needs::Approval { self_approval, how, .. } = needs else { continue };
            if decision.account == *account && !self_approval {
                return Err(NotApproved::Own);
            }
            if !how.contains(&decision.how) {
                return Err(NotApproved::How { how: decision.how });
            }
        }
        held.standing = Standing::Used(decision.clone());
        Ok(Approved { plan: plan.to_owned(), decision })
    }

    /// Puts an approval back that was used up for a change of which nothing was sent after all.
    pub fn give_back(&self, approved: Approved) {
        let mut shelf = self.lock();
        if let Some(held) = shelf.plans.get_mut(&approved.plan)
            && held.standing == Standing::Used(approved.decision.clone())
        {
            held.standing = Standing::Decided(approved.decision);
        }
    }

    /// The plans that `sees` lets through, the latest first.
    pub fn list(&self, sees: impl Fn(&Request) -> bool) -> Vec<Held> {
        let now = Instant::now();
        let shelf = self.lock();
        let found = shelf.order.iter().rev().filter_map(|plan| shelf.plans.get(plan));
        let seen = found.filter(|held| sees(&held.request));
        seen.map(|held| Held { request: held.request.clone(), standing: held.standing_at(now) }).collect()
    }

    /// How a plan stands once nobody's answer to it is waited for any more: decided, withdrawn or expired. None: no such plan waited.
    pub async fn settled(&self, plan: &str) -> Option<Standing> {
        let turned = self.lock().turned.clone();
        loop {
            // Heard from here on: what turns between the look and the wait is not missed.
            let mut turn = std::pin::pin!(turned.notified());
            turn.as_mut().enable();
            let (standing, expires) = {
                let shelf = self.lock();
                let held = shelf.plans.get(plan)?;
                (held.standing_at(Instant::now()), held.request.expires)
            };
            if !matches!(standing, Standing::Waiting | Standing::Deciding) {
                return Some(standing);
            }
            tokio::select! {
                () = turn => {}
                () = tokio::time::sleep_until(expires), if standing == Standing::Waiting => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        // Nothing that is done under the lock leaves it half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn standing_at(&self, now: Instant) -> Standing {
        let in_time = now < self.request.expires;
        match &self.standing {
            Standing::Waiting if !in_time => Standing::Expired,
            Standing::Decided(decision) if decision.yes && !in_time => Standing::Expired,
            standing => standing.clone(),
        }
    }

    /// Whether something may still come of it.
    fn is_open(&self, now: Instant) -> bool {
        match self.standing_at(now) {
            Standing::Waiting | Standing::Deciding => true,
            Standing::Decided(decision) => decision.yes,
            Standing::Used(_) | Standing::Expired | Standing::Withdrawn { .. } => false,
        }
    }
}

impl Shelf {
    fn stand(&mut self, plan: &str, standing: Standing) {
        if let Some(held) = self.plans.get_mut(plan) {
            held.standing = standing;
        }
        self.turned.notify_waiters();
    }

    /// Forgets what has been over for longest.
    fn prune(&mut self, now: Instant) {
        let over = self.plans.values().filter(|held| !held.is_open(now)).count();
        let mut surplus = (over + 1).saturating_sub(MOST_RECENT);
        let plans = &mut self.plans;
        self.order.retain(|plan| {
            let goes = surplus > 0 && plans.get(plan).is_none_or(|held| !held.is_open(now));
            if goes {
                surplus -= 1;
                plans.remove(plan);
            }
            !goes
        });
    }
}

/// Whether the principal may decide about plans, and halt: root, and the members of `[approval]`. Never a machine or a token:
/// who asks by one may be anybody who has it, and is no person to the kernel.
fn is_approver(config: &Config, principal: &Principal) -> bool {
    if principal.peer().is_none() {
        return false;
    }
    principal.is_root() || config.approval.members.iter().any(|member| principal.is(member))
}

impl Policy {
    /// Whether the principal may decide about plans, halt and resume, by the rules of this moment.
    pub fn is_approver(&self, principal: &Principal) -> bool {
        is_approver(&self.rules.now(), principal)
    }

    /// Takes a person's answer to a plan, if it may be given. `shown` is the hash of what the person was shown.
    pub fn decide(
        &self,
        principal: &Principal,
        plan: &str,
        shown: &str,
        yes: bool,
        how: How,
    ) -> Result<Claim, Undecided> {
        self.approvals.claim(&self.rules.now(), principal, plan, shown, yes, how)
    }

    /// The plans that the principal may see, the latest first: all, for who decides; else its own.
    pub fn plans(&self, principal: &Principal) -> Vec<Held> {
        let all = self.is_approver(principal);
        let account = principal.account();
        self.approvals.list(|request| all || request.account == account || request.behind == Some(account))
    }
}

#[cfg(test)]
#[path = "approval_tests.rs"]
mod tests;
