//! Who may do what: principals as the kernel reports them, and the roles that name them.
//!
//! In: a [`Principal`] and what it asks. Out: a [`Permit`], which only this room makes and which the calls that act
//! need, or a [`Denied`] that says which door was closed and who can open it. It must never decide by anything that
//! the asker says of itself.

mod again;
pub mod approval;
mod call;
mod change;
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
pub mod token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub use crate::share::{Share, Spent, Supply};
pub use approval::{Approvals, Approved, Claim, Cleared, Decision};
pub use call::{Call, verdict};
pub use change::{Barred, Leave, Needs, Wanted};
pub use halt::{Halt, Halted, NotKept, NotLifted};
pub use hand::{Broken, Hand, Unsent, promises};
pub use host::{HostLeave, NotOnNode};
pub use inside::{Deed, Inside};
pub use machine::{Machine, Machines, Unknown};
pub use members::Members;
pub use membership::Membership;
pub use principal::{Peer, Principal, PrincipalError};
pub use rate::Bucket;
pub use record::record;
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

#[derive(Debug, thiserror::Error)]
pub enum Denied {
    #[error("{who} is in no role of the configuration, so it may ask for status and nothing else")]
    NoRole { who: String },
    #[error("guest {guest} is outside what role \"{role}\" may touch ({scope})")]
    Guest { guest: u32, role: String, scope: String },
    #[error("{call} is closed to role \"{role}\", which may read of some guests only ({scope}): {why}")]
    Closed { call: String, why: &'static str, role: String, scope: String },
    #[error("what {call} gives there is about guests outside what role \"{role}\" may touch ({scope})")]
    Outside { call: String, role: String, scope: String },
    #[error("{call} is none of the calls that role \"{role}\" is allowed")]
    Unlisted { call: String, role: String },
    #[error("role \"{role}\" is denied {call} by \"{pattern}\"")]
    Call { call: String, role: String, pattern: String },
    #[error("{call} is of tier {tier}, which profile {profile} of role \"{role}\" does not have: {why}")]
    Tier { call: String, role: String, profile: &'static str, tier: &'static str, why: &'static str },
    #[error("{call} is of tier {tier}, for which role \"{role}\" needs approval: {why}")]
    Approval { call: String, role: String, tier: &'static str, why: &'static str },
    #[error("{call} takes \"{parameter}\" in its URL, and a secret never goes into one")]
    Secret { call: String, parameter: String },
    #[error("role \"{role}\" was changed while this was read")]
    Changed { role: String },
    #[error("role \"{role}\" allows exec \"{allowed}\", and this asks for \"{asked}\"")]
    Lane { role: String, allowed: &'static str, asked: &'static str },
    #[error(
        "role \"{role}\" allows {calls} calls in {per_s} s, and they are used up; the next is free in {wait_s} s"
    )]
    Rate { role: String, calls: u32, per_s: u32, wait_s: u64 },
    #[error(transparent)]
    Barred(#[from] Barred),
    #[error(transparent)]
    NotOnNode(#[from] NotOnNode),
    #[error("everything is halted, by {} since {}{}", .0.by, .0.since, reason(.0))]
    Halted(Halted),
}

fn reason(halted: &Halted) -> String {
    if halted.why.is_empty() { String::new() } else { format!(": {}", halted.why) }
}

impl Denied {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoRole { .. } => "no_role",
            Self::Guest { .. } | Self::Outside { .. } => "guest_out_of_scope",
            Self::Closed { .. } => "closed_to_role",
            Self::Call { .. } | Self::Unlisted { .. } => "denied_to_role",
            Self::Tier { .. } | Self::Approval { .. } => "not_a_read",
            Self::Secret { .. } => "secret_in_url",
            Self::Changed { .. } => "role_changed",
            Self::Lane { .. } => "lane_not_allowed",
            Self::Rate { .. } => "rate",
            Self::Barred(barred) => barred.kind(),
            Self::NotOnNode(not) => not.kind(),
            Self::Halted(_) => "halted",
        }
    }

    pub fn next(&self) -> String {
        match self {
            Self::NoRole { .. } => "the operator can name you in a [[role]] of provost.toml".into(),
            Self::Guest { role, .. } | Self::Outside { role, .. } => {
                format!("the operator can widen guests of role \"{role}\" in provost.toml")
            }
            Self::Closed { role, .. } => format!(
                "what has one of the role's guests in its path is open, and lists are cut to them; the operator can \
                 leave out guests of role \"{role}\" in provost.toml"
            ),
            Self::Unlisted { role, .. } => {
                format!("the operator can add it to allow of role \"{role}\" in provost.toml")
            }
            Self::Call { role, pattern, .. } => {
                format!("the operator can take \"{pattern}\" out of deny of role \"{role}\" in provost.toml")
            }
            Self::Tier { tier: "held", .. } => "nobody is given this through Provost".into(),
            Self::Tier { .. } | Self::Approval { .. } => {
                "`plan` is the way to what is more than a read; `find` tells what only reads".into()
            }
            Self::Secret { parameter, .. } => format!("call it without \"{parameter}\""),
            Self::Changed { .. } => "call again, by what the role is now".into(),
            Self::Lane { role, asked, .. } if *asked == "change" => format!(
                "run it with mode \"inspect\" if it only reads; the operator can set exec = \"change\" for role \"{role}\""
            ),
            Self::Lane { role, .. } => {
                format!("the operator can set exec for role \"{role}\" in provost.toml")
            }
            Self::Rate { wait_s, .. } => format!("call again in {wait_s} s"),
            Self::Barred(barred) => barred.next(),
            Self::NotOnNode(not) => not.next(),
            Self::Halted(_) => "reading goes on; an operator ends it on the node: provost resume".into(),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Policy {
        Policy::new(Rules::fixed(crate::config::parse(std::path::Path::new("x"), text).unwrap()))
    }

    fn alice() -> Principal {
        Principal::for_tests(1000, "alice", &[(1000, "alice"), (50, "ops")])
    }

    #[test]
    fn who_is_in_no_role_may_run_nothing() {
        for text in
            ["", "[[role]]\nname='a'\nmembers=['user:bob','group:wheel','vsock:1000']\nprofile='full'"]
        {
            let denied = policy(text).exec(&alice(), 101, Mode::Inspect).err().map(|denied| denied.kind());
            assert_eq!(denied, Some("no_role"), "{text}");
        }
    }

    #[test]
    fn members_are_users_by_name_or_number_and_groups() {
        for member in ["user:alice", "user:1000", "group:ops", "group:50"] {
            let policy = policy(&format!("[[role]]\nname='a'\nmembers=['{member}']"));
            assert!(policy.exec(&alice(), 101, Mode::Inspect).is_ok(), "{member}");
        }
    }

    #[test]
    fn a_machine_is_named_by_its_id_or_by_its_cid_and_is_no_account_of_a_like_number() {
        let machine = Principal::Machine(Machine::for_tests(1000, 120));
        for (member, of_machine) in [
            ("vm:120", true),
            ("vsock:1000", true),
            ("vm:1000", false),
            ("vsock:120", false),
            ("user:1000", false),
            ("user:120", false),
            ("group:1000", false),
        ] {
            let policy = policy(&format!("[[role]]\nname='a'\nmembers=['{member}']"));
            assert_eq!(policy.exec(&machine, 101, Mode::Inspect).is_ok(), of_machine, "{member}");
            if of_machine {
                assert!(policy.exec(&alice(), 101, Mode::Inspect).is_err(), "{member}");
            }
        }
    }

    #[test]
    fn a_rate_is_each_machines_own() {
        let policy = policy("[[role]]\nname='a'\nmembers=['vm:1000', 'vm:121', 'user:1000']\nrate='1/h'");
        // Whatever CID it has by now, and whatever account has its number.
        let [first, again, other] = [(3, 1000), (4, 1000), (3, 121)]
            .map(|(cid, vmid)| Principal::Machine(Machine::for_tests(cid, vmid)));
        assert!(policy.exec(&first, 101, Mode::Inspect).is_ok());
        assert!(policy.exec(&again, 101, Mode::Inspect).is_err());
        assert!(
            policy.exec(&other, 101, Mode::Inspect).is_ok()
                && policy.exec(&alice(), 101, Mode::Inspect).is_ok()
        );
    }

    #[test]
    fn lanes_are_as_narrow_as_the_role_says() {
        for (keys, inspect, change) in [
            ("", true, false),
            ("profile='full'", true, true),
            ("profile='full'\nexec='inspect'", true, false),
            ("exec='change'", true, true),
            ("exec='none'", false, false),
        ] {
            let policy = policy(&format!("[[role]]\nname='a'\nmembers=['user:alice']\n{keys}"));
            assert_eq!(policy.exec(&alice(), 101, Mode::Inspect).is_ok(), inspect, "{keys}");
            assert_eq!(policy.exec(&alice(), 101, Mode::Change).is_ok(), change, "{keys}");
        }
    }

    #[test]
    fn guests_outside_the_scope_and_unresolvable_ones_are_refused() {
        let policy = policy(
            "[[role]]\nname='a'\nmembers=['user:alice']\nguests=['100-199', 205, 'pool:dev', 'tag:ai']",
        );
        for (guest, allowed) in [(100, true), (199, true), (205, true), (200, false), (99, false)] {
            assert_eq!(policy.exec(&alice(), guest, Mode::Inspect).is_ok(), allowed, "{guest}");
        }
    }

    #[test]
    fn the_first_role_that_names_somebody_counts() {
        let both = "[[role]]\nname='narrow'\nmembers=['group:ops']\nexec='none'\n[[role]]\nname='wide'\nmembers=['user:alice']\nprofile='full'";
        let config = policy(both).rules.now();
        assert_eq!(role(&config, &alice()).map(|role| role.name.as_str()), Some("narrow"));
    }

    #[test]
    fn a_rate_is_held_and_a_refused_call_costs_nothing() {
        let policy = policy("[[role]]\nname='a'\nmembers=['user:alice']\nrate='2/h'");
        assert!(policy.exec(&alice(), 101, Mode::Change).is_err());
        assert!(policy.exec(&alice(), 101, Mode::Inspect).is_ok());
        assert!(policy.exec(&alice(), 101, Mode::Inspect).is_ok());
        let third = policy.exec(&alice(), 101, Mode::Inspect).err().map(|denied| denied.kind());
        assert_eq!(third, Some("rate"));
    }
}
