//! Whether somebody may have a change made, and whether a person has to say yes to it first.
//!
//! In: a [`Wanted`], with the judgement of its tier and every guest that it touches. Out: a [`Leave`], which only this file
//! makes; or why not. Every ground of the judgement has to be the profile's: an argument never hides what a call is.

use std::path::Path;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use super::halt::Halt;
use super::{Denied, Policy, Principal, membership, role, scope, scoped};
use crate::account::Account;
use crate::catalog::Method;
use crate::catalog::tier::{Ground, Judgement};
use crate::config::{Config, How, Profile, Role};
use crate::pve::Methods;

/// A change that somebody wants to have made.
pub struct Wanted<'a> {
    pub method: Method,
    /// As the catalogue has it: `/nodes/{node}/lxc/{vmid}/config`.
    pub template: &'a str,
    /// Filled in and encoded: `/nodes/pve1/lxc/105/config`.
    pub path: &'a str,
    pub judgement: &'a Judgement,
    /// Every guest that it names or touches.
    pub guests: &'a [u32],
    /// Whether the session has read what a guest wrote.
    pub taint: bool,
}

impl Wanted<'_> {
    pub(super) fn call(&self) -> String {
        format!("{} {}", self.method, self.template)
    }
}

/// That a principal may have one change made. Only [`Policy::change`] and [`Policy::foresee`] make one.
#[derive(Debug)]
pub struct Leave {
    account: Account,
    role: Role,
    method: Method,
    path: String,
    needs: Needs,
    /// By what it was granted.
    config: Arc<Config>,
    halt: Halt,
}

/// What a change still needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    /// A person's yes: why, and whether it may be the one who asked.
    Approval {
        because: Vec<String>,
        self_approval: bool,
        /// Ways by which the answer counts.
        how: Vec<How>,
    },
}

impl Leave {
    /// Whom it was given.
    pub fn account(&self) -> Account {
        self.account
    }

    /// The role's name.
    pub fn role(&self) -> &str {
        &self.role.name
    }

    pub(super) fn its_role(&self) -> &Role {
        &self.role
    }

    /// The role's own token for the API.
    pub fn token(&self) -> Option<&Path> {
        self.role.token.as_deref()
    }

    pub fn profile(&self) -> Profile {
        self.role.profile
    }

    /// What the client for it can send at all.
    pub fn methods(&self) -> Methods {
        methods(self.role.profile)
    }

    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    /// The one call that it is for: method, and path as it is sent.
    pub fn call(&self) -> (Method, &str) {
        (self.method, &self.path)
    }

    /// Whether everything was halted meanwhile.
    pub fn check_halt(&self) -> Result<(), Denied> {
        self.halt.check()
    }
}

/// Why a change is not for a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Barred {
    #[error("{call} is never made through Provost: {why}")]
    Held { call: String, why: &'static str },
    #[error("{call} deletes, and role \"{role}\" has profile \"{profile}\", which never does")]
    Delete { call: String, role: String, profile: &'static str },
    #[error(
        "{call}{} is of tier {tier}, which profile \"{profile}\" of role \"{role}\" does not have: {why}",
        with(*argument)
    )]
    Tier {
        call: String,
        argument: Option<&'static str>,
        tier: &'static str,
        role: String,
        profile: &'static str,
        why: &'static str,
    },
    #[error("{call} reaches past the guests of role \"{role}\", which is limited to {scope}")]
    Scoped { call: String, role: String, scope: String },
    #[error("{call} is none of the calls that role \"{role}\" is allowed")]
    Unlisted { call: String, role: String },
    #[error("role \"{role}\" is denied {call} by \"{pattern}\"")]
    Pattern { call: String, role: String, pattern: String },
}

fn with(argument: Option<&str>) -> String {
    argument.map(|name| format!(" with \"{name}\"")).unwrap_or_default()
}

impl Barred {
    /// A short name that programs can compare.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Held { .. } => "held",
            Self::Delete { .. } | Self::Tier { .. } => "tier_not_allowed",
            Self::Scoped { .. } => "guest_out_of_scope",
            Self::Unlisted { .. } | Self::Pattern { .. } => "denied_to_role",
        }
    }

    /// What to do about it.
    pub fn next(&self) -> String {
        match self {
            Self::Held { .. } => "somebody who logs in to PVE has to do it".into(),
            Self::Delete { role, .. } => {
                format!("the operator can set profile = \"full\" for role \"{role}\"")
            }
            Self::Tier { role, tier, argument, .. } => {
                let without = if argument.is_some() { "plan it without that argument; or " } else { "" };
                let wider = match *tier {
                    "reversible" | "disruptive" => "operate",
                    "additive" | "change" => "provision",
                    _ => "full",
                };
                format!("{without}the operator can set profile = \"{wider}\" for role \"{role}\"")
            }
            Self::Scoped { role, .. } => {
                format!(
                    "name a guest that it is about, or the operator can take \"guests\" out of role \"{role}\""
                )
            }
            Self::Unlisted { role, .. } => {
                format!("the operator can add it to allow of role \"{role}\" in provost.toml")
            }
            Self::Pattern { role, pattern, .. } => {
                format!("the operator can take \"{pattern}\" out of deny of role \"{role}\" in provost.toml")
            }
        }
    }
}

impl Policy {
    /// Whether the principal may have this change made now. It counts for the role's `rate`.
    pub fn change(&self, principal: &Principal, wanted: &Wanted<'_>) -> Result<Leave, Denied> {
        let leave = self.foresee(principal, wanted)?;
        self.take_token(&leave.role, principal)?;
        Ok(leave)
    }

    /// As [`Policy::change`], for who only wants to know: it counts for nothing.
    pub fn foresee(&self, principal: &Principal, wanted: &Wanted<'_>) -> Result<Leave, Denied> {
        let config = self.rules.now();
        let role = role(&config, principal).ok_or_else(|| Denied::NoRole { who: principal.to_string() })?;
        self.halt.check()?;
        permits(role, wanted)?;
        allows(role, wanted)?;
        let outside = |guest: &&u32| !membership::includes(role, self.members.as_ref(), **guest);
        if let Some(guest) = wanted.guests.iter().find(outside) {
            return Err(Denied::Guest { guest: *guest, role: role.name.clone(), scope: scope(role) });
        }
        if role.guests.is_some() && !scoped::is_open(wanted) {
            let (call, role, scope) = (wanted.call(), role.name.clone(), scope(role));
            return Err(Barred::Scoped { call, role, scope }.into());
        }
        Ok(Leave {
            account: principal.account(),
            role: role.clone(),
            method: wanted.method,
            path: wanted.path.to_owned(),
            needs: needs(role, wanted.judgement, wanted.taint),
            config: config.clone(),
            halt: self.halt.clone(),
        })
    }

    /// Whether the principal's profile has such a call at all, whomever it is about.
    pub fn profile(&self, principal: &Principal, wanted: &Wanted<'_>) -> Result<(), Denied> {
        let config = self.rules.now();
        let role = role(&config, principal).ok_or_else(|| Denied::NoRole { who: principal.to_string() })?;
        self.halt.check()?;
        Ok(permits(role, wanted)?)
    }

    /// The same leave by the rules of this moment, for a change that has waited. It counts for nothing more.
    pub fn renew_leave(
        &self,
        leave: Leave,
        principal: &Principal,
        wanted: &Wanted<'_>,
    ) -> Result<Leave, Denied> {
        if principal.account() != leave.account || (wanted.method, wanted.path) != leave.call() {
            // Not the same: it is asked for anew, and counts.
            return self.change(principal, wanted);
        }
        let renewed = self.foresee(principal, wanted)?;
        if !Arc::ptr_eq(&renewed.config, &leave.config) {
            tracing::info!(role = renewed.role.name, "a change goes on by rules that have changed meanwhile");
        }
        Ok(renewed)
    }
}

/// What a profile's client can send at all.
pub(super) fn methods(profile: Profile) -> Methods {
    match profile {
        Profile::Observe => Methods::Reads,
        Profile::Operate | Profile::Provision => Methods::NoDelete,
        Profile::Full => Methods::All,
    }
}

fn decoded(path: &str) -> Vec<std::borrow::Cow<'_, str>> {
    path.split('/').skip(1).map(|part| percent_decode_str(part).decode_utf8_lossy()).collect()
}

/// Whether the role's `allow` has the call.
pub(super) fn allows(role: &Role, wanted: &Wanted<'_>) -> Result<(), Barred> {
    let decoded = decoded(wanted.path);
    let path = decoded.iter().map(AsRef::as_ref);
    match role.allows(wanted.method.name(), wanted.template, path) {
        true => Ok(()),
        false => Err(Barred::Unlisted { call: wanted.call(), role: role.name.clone() }),
    }
}

/// Whether the role may have such a call made, wherever it goes.
pub(super) fn permits(role: &Role, wanted: &Wanted<'_>) -> Result<(), Barred> {
    let grounds = wanted.judgement.grounds();
    if let Some(held) = grounds.iter().find(|ground| !Profile::Full.holds(ground.tier)) {
        return Err(Barred::Held { call: wanted.call(), why: held.why });
    }
    if grounds.is_empty() {
        return Err(Barred::Held { call: wanted.call(), why: "nothing is known of it" });
    }
    if wanted.method == Method::Delete && methods(role.profile) != Methods::All {
        let profile = role.profile.name();
        return Err(Barred::Delete { call: wanted.call(), role: role.name.clone(), profile });
    }
    if let Some(ground) = grounds.iter().find(|ground| !role.profile.holds(ground.tier)) {
        return Err(Barred::Tier {
            call: wanted.call(),
            argument: ground.argument,
            tier: ground.tier.name(),
            role: role.name.clone(),
            profile: role.profile.name(),
            why: ground.why,
        });
    }
    let decoded = decoded(wanted.path);
    let denies = |pattern: &&crate::config::CallPattern| {
        pattern.matches(wanted.method.name(), wanted.template, decoded.iter().map(AsRef::as_ref))
    };
    match role.deny.iter().find(denies) {
        Some(pattern) => Err(Barred::Pattern {
            call: wanted.call(),
            role: role.name.clone(),
            pattern: pattern.text().to_owned(),
        }),
        None => Ok(()),
    }
}

/// Whether a person has to say yes first, and for which of the grounds.
fn needs(role: &Role, judgement: &Judgement, taint: bool) -> Needs {
    let because = |ground: &Ground| {
        let of = ground.argument.map(|name| format!(" (\"{name}\")")).unwrap_or_default();
        let said = format!("{}{of}: {}", ground.tier.name(), ground.why);
        if role.approval().contains(&ground.tier) {
            Some(said)
        } else if taint && role.tainted_approval.contains(&ground.tier) {
            Some(format!("{said}; and this session has read what a guest wrote"))
        } else {
            None
        }
    };
    let because: Vec<String> = judgement.grounds().iter().filter_map(because).collect();
    match because.is_empty() {
        true => Needs::Nothing,
        false => {
            Needs::Approval { because, self_approval: role.self_approval, how: role.approve_by().to_vec() }
        }
    }
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
