//! Who may do what: principals as the kernel reports them, and the roles that name them.
//!
//! In: a [`Principal`] and what it asks. Out: a [`Permit`], which only this room makes and which the calls that act
//! need, or a [`Denied`] that says which door was closed and who can open it. It must never decide by anything that
//! the asker says of itself.

mod again;
pub mod approval;
mod call;
mod change;
mod denied;
mod halt;
mod hand;
mod host;
mod inside;
mod machine;
mod members;
pub mod membership;
mod principal;
mod rate;
mod record;
mod refused;
pub mod rights;
mod rules;
mod scoped;
mod sight;
mod taint;
#[cfg(test)]
mod tests;
pub mod token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub use crate::share::{Share, Spent, Supply};
pub use approval::{Approvals, Approved, Claim, Cleared, Decision, approvers};
pub use call::{Call, verdict};
pub use change::{Barred, Leave, Needs, Wanted};
pub use denied::Denied;
pub use halt::{Halt, Halted, NotKept, NotLifted};
pub use hand::{Broken, Hand, Unsent, promises};
pub use host::{HostLeave, NotOnNode};
pub use inside::{Deed, Inside};
pub use machine::{Machine, Machines, Unknown};
pub use members::Members;
pub use membership::Membership;
pub use principal::{Peer, Principal, PrincipalError};
pub use rate::Bucket;
pub use record::{record, record_withdrawn};
pub use refused::{NotApproved, Undecided};
pub use rules::Rules;
pub use sight::Sight;
pub use taint::Taint;

use crate::account::Account;
use crate::config::{Config, Exec, ExecLane, GuestTerm, Rate, Role};
use crate::exec::wire::{Guest, Mode};

/// The file, beside the ledger, that systemd/provost-announce.path watches.
const BELL: &str = "waiting";

/// What decides: the rules in force, and what is left of the rates.
pub struct Policy {
    pub rules: Rules,
    /// What is left of the rates, of each for an account each.
    buckets: Mutex<HashMap<(String, Account), Bucket>>,
    /// While it stands, nothing is changed and no command runs.
    pub halt: Halt,
    /// Plans that wait for a person.
    pub approvals: Approvals,
    /// What pools and tags stand for.
    members: Arc<dyn Membership>,
    /// The same, where they can be looked at anew.
    live: Option<Arc<Members>>,
    /// The tokens that were given out.
    pub tokens: token::Tokens,
}

/// That `principal` may run a command in `guest`, in `mode`. Only [`Policy::exec`] and [`Policy::fixed`] make one; for the
/// node itself, only [`Approvals::clear_host`].
pub struct Permit {
    guest: Guest,
    mode: Mode,
    /// What the role had to allow for it.
    judged: Mode,
    asked_by: String,
    account: Account,
    /// The place of its role in the configuration.
    role: usize,
    /// By what it was granted.
    config: Arc<Config>,
}

impl Permit {
    /// The limits that came with it.
    pub fn exec(&self) -> &Exec {
        &self.config.exec
    }

    pub fn guest(&self) -> Guest {
        self.guest
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    pub fn asked_by(&self) -> &str {
        &self.asked_by
    }

    fn role(&self) -> &Role {
        &self.config.roles[self.role]
    }

    /// The role's name, and whether it may change what is in a guest.
    pub fn role_and_lane(&self) -> (&str, bool) {
        (&self.role().name, self.role().lane() == ExecLane::Change)
    }
}

/// Where in the configuration a role of it stands.
fn place(config: &Config, role: &Role) -> usize {
    config.roles.iter().position(|one| std::ptr::eq(one, role)).unwrap_or_default()
}

impl Policy {
    pub fn new(rules: Rules) -> Self {
        let (halt, approvals) = match rules.is_of_file() {
            true => {
                let ledger = &rules.now().ledger.dir;
                let bell = ledger.parent().unwrap_or(ledger).join(BELL);
                (Halt::beside(ledger), Approvals::with_bell(bell))
            }
            false => (Halt::unkept(), Approvals::default()),
        };
        let members = Arc::new(membership::Unread);
        let tokens = token::Tokens::beside(&rules.now().ledger.dir);
        Self { rules, buckets: Mutex::default(), halt, approvals, members, live: None, tokens }
    }

    /// With pools and tags as the cluster has them.
    pub fn with_members(self, members: Members) -> Self {
        let live = Arc::new(members);
        Self { members: live.clone(), live: Some(live), ..self }
    }

    /// Looks what pools and tags stand for, where a role names any. Whoever judges after it judges by this moment.
    pub async fn look_around(&self) {
        let named = |term: &GuestTerm| matches!(term, GuestTerm::Pool(_) | GuestTerm::Tag(_));
        let config = self.rules.now();
        let is_needed = config.roles.iter().filter_map(|role| role.guests.as_ref()).flatten().any(named);
        if let Some(live) = self.live.as_ref().filter(|_| is_needed) {
            live.look().await;
        }
    }

    /// Whether the principal may run a command, by the rules of this moment.
    pub fn exec(&self, principal: &Principal, guest: u32, mode: Mode) -> Result<Permit, Denied> {
        let config = self.rules.now();
        let role = self.judge(&config, principal, guest, mode)?;
        self.halt.check()?;
        self.take_token(role, principal)?;
        let role = place(&config, role);
        let (asked_by, account) = (principal.to_string(), principal.payer());
        Ok(Permit { guest: Guest::Vmid(guest), mode, judged: mode, asked_by, account, role, config })
    }

    /// To run, outside of the inspect lane, a script of this program's own that only reads; for whoever may inspect. Never for
    /// what a caller says is to be run.
    pub fn fixed(&self, principal: &Principal, guest: u32) -> Result<Permit, Denied> {
        let permit = self.exec(principal, guest, Mode::Inspect)?;
        Ok(Permit { mode: Mode::Change, ..permit })
    }

    /// The same permit by the rules of this moment, where they are others than it was granted by. For a call that has
    /// waited; it costs no second token.
    pub fn renew(&self, permit: Permit, principal: &Principal) -> Result<Permit, Denied> {
        self.halt.check()?;
        let config = self.rules.now();
        let role = match Arc::ptr_eq(&config, &permit.config) {
            true => permit.role,
            false => place(&config, self.judged(&config, principal, permit.guest, permit.judged)?),
        };
        Ok(Permit { config, role, ..permit })
    }

    /// A permit for changes of the same guest, for a call that was granted one to look: it costs no second token.
    pub fn widen(&self, permit: &Permit, principal: &Principal) -> Result<Permit, Denied> {
        let config = self.rules.now();
        let role = place(&config, self.judged(&config, principal, permit.guest, Mode::Change)?);
        self.halt.check()?;
        let (guest, asked_by, account) = (permit.guest, permit.asked_by.clone(), permit.account);
        let mode = Mode::Change;
        Ok(Permit { guest, mode, judged: mode, asked_by, account, role, config })
    }

    fn judged<'a>(
        &self,
        config: &'a Config,
        principal: &Principal,
        guest: Guest,
        mode: Mode,
    ) -> Result<&'a Role, Denied> {
        match guest {
            Guest::Vmid(guest) => self.judge(config, principal, guest, mode),
            Guest::Host => host::may_ask(config, principal, mode),
        }
    }

    /// Whether the principal may read the API: every role may, whatever its profile. A role's `rate` counts what acts;
    /// reads wait their turn at the client.
    pub fn read(&self, principal: &Principal) -> Result<Sight, Denied> {
        let config = self.rules.now();
        let role = role(&config, principal).ok_or_else(|| Denied::NoRole { who: principal.to_string() })?;
        Ok(Sight { role: role.clone(), members: self.members.clone() })
    }

    /// The role by which the principal may run a command there.
    fn judge<'a>(
        &self,
        config: &'a Config,
        principal: &Principal,
        guest: u32,
        mode: Mode,
    ) -> Result<&'a Role, Denied> {
        let role = role(config, principal).ok_or_else(|| Denied::NoRole { who: principal.to_string() })?;
        let asked = match mode {
            Mode::Inspect => ExecLane::Inspect,
            Mode::Change => ExecLane::Change,
        };
        if asked > role.lane() {
            let allowed = lane_name(role.lane());
            return Err(Denied::Lane { role: role.name.clone(), allowed, asked: lane_name(asked) });
        }
        if !membership::includes(role, self.members.as_ref(), guest) {
            return Err(Denied::Guest { guest, role: role.name.clone(), scope: scope(role) });
        }
        Ok(role)
    }

    fn take_token(&self, role: &Role, principal: &Principal) -> Result<(), Denied> {
        match role.rate {
            Some(rate) => self.take(role, &role.name, rate, principal),
            None => Ok(()),
        }
    }

    /// Whether the principal may have one more change thought through. A plan counts for no `rate`, but each leaves a
    /// receipt on the disk, and more of them than a person or a model can read are for nothing but to fill it.
    pub fn planned(&self, principal: &Principal) -> Result<(), Denied> {
        let config = self.rules.now();
        let role = role(&config, principal).ok_or_else(|| Denied::NoRole { who: principal.to_string() })?;
        self.take(role, &format!("plans of {}", role.name), PLANS, principal)
    }

    fn take(&self, role: &Role, name: &str, rate: Rate, principal: &Principal) -> Result<(), Denied> {
        self.spend(name, principal.payer(), rate).map_err(|wait| Denied::Rate {
            role: role.name.clone(),
            calls: rate.calls,
            per_s: rate.per_s,
            wait_s: wait.as_secs() + 1,
        })
    }

    /// One of what an account may do at this rate, or how long until there is one.
    fn spend(&self, name: &str, account: Account, rate: Rate) -> Result<(), Duration> {
        // A panic elsewhere cannot leave a bucket half changed.
        let mut buckets = self.buckets.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = Instant::now();
        let key = (name.to_owned(), account);
        if buckets.len() >= MANY_BUCKETS && !buckets.contains_key(&key) {
            // One that is full is as good as none: accounts and tokens come and go.
            buckets.retain(|_, bucket| !bucket.is_full(now));
        }
        let bucket = buckets.entry(key).or_insert_with(|| Bucket::full(rate, now));
        bucket.change(rate);
        bucket.take(now)
    }
}

/// Buckets that are kept without a look at whether they still matter.
const MANY_BUCKETS: usize = 256;

/// Of one account.
const PLANS: Rate = Rate { calls: 6000, per_s: 60 };

/// The role that counts for a principal: the first in the file that names it; for a token, the one that it acts in, as
/// long as that is its issuer's to give.
pub fn role<'a>(config: &'a Config, principal: &Principal) -> Option<&'a Role> {
    if let Principal::Token(bearer) = principal {
        return bearer.role(config);
    }
    config.roles.iter().find(|role| role.members.iter().any(|member| principal.is(member)))
}

pub fn lane_name(lane: ExecLane) -> &'static str {
    match lane {
        ExecLane::None => "none",
        ExecLane::Inspect => "inspect",
        ExecLane::Change => "change",
    }
}

/// The role's guests as the operator wrote them.
pub fn scope(role: &Role) -> String {
    let Some(terms) = &role.guests else { return "all".into() };
    let text = |term: &GuestTerm| match term {
        GuestTerm::Ids(ids) if ids.start() == ids.end() => ids.start().to_string(),
        GuestTerm::Ids(ids) => format!("{}-{}", ids.start(), ids.end()),
        GuestTerm::Pool(name) => format!("pool:{name}"),
        GuestTerm::Tag(name) => format!("tag:{name}"),
    };
    terms.iter().map(text).collect::<Vec<_>>().join(", ")
}
