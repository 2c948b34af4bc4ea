//! Commands and files on the node itself: who may ask for one, and that a person has said yes to it.
//!
//! In: a principal, and what it asks. Out: a [`HostLeave`], and, once a person's yes to this very thing is used up, the
//! [`Permit`]. That yes is not the configuration's to give: neither an empty `approval` of the role nor anything else makes one
//! call go without. `self_approval` only says whose yes may count, as it does for a plan.

use std::sync::Arc;

use super::{
    Approvals, Approved, Denied, Needs, NotApproved, Permit, Policy, Principal, lane_name, place, role, scope,
};
use crate::account::Account;
use crate::config::{Config, ExecLane, Role, Tier};
use crate::exec::wire::{Guest, Mode};

/// Why somebody may not ask for anything on the node itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOnNode {
    #[error("commands and files on the node itself are off")]
    Off,
    #[error(
        "what is done on the node itself is of tier host, which profile \"{profile}\" of role \"{role}\" does not have"
    )]
    Tier { role: String, profile: &'static str },
    #[error("the node itself is past the guests of role \"{role}\", which is limited to {scope}")]
    Scoped { role: String, scope: String },
    #[error(
        "role \"{role}\" is allowed a list of calls, and what is done on the node itself is none of them"
    )]
    Listed { role: String },
}

impl NotOnNode {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Off => "host_off",
            Self::Tier { .. } => "tier_not_allowed",
            Self::Scoped { .. } => "guest_out_of_scope",
            Self::Listed { .. } => "denied_to_role",
        }
    }

    pub fn next(&self) -> String {
        match self {
            Self::Off => "the operator can set enabled and host = true under [exec] in provost.toml, knowing what that means".into(),
            Self::Tier { role, .. } => format!("the operator can set profile = \"full\" for role \"{role}\""),
            Self::Scoped { role, .. } => format!("the operator can take \"guests\" out of role \"{role}\""),
            Self::Listed { role } => format!("the operator can take \"allow\" out of role \"{role}\""),
        }
    }
}

/// That a principal may have one thing done on the node, once a person has said yes. Only [`Policy::host`] and
/// [`Policy::host_again`] make one.
#[derive(Debug)]
pub struct HostLeave {
    account: Account,
    role: String,
    /// Of the role in the configuration.
    place: usize,
    asked_by: String,
    mode: Mode,
    /// Always an approval.
    needs: Needs,
    config: Arc<Config>,
}

impl HostLeave {
    pub fn role(&self) -> &str {
        &self.role
    }

    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    pub fn config(&self) -> &Config {
        &self.config
    }
}

impl Policy {
    /// Whether the principal may ask for this. It counts for the role's `rate`.
    pub fn host(&self, principal: &Principal, mode: Mode, taint: bool) -> Result<HostLeave, Denied> {
        let leave = self.host_again(principal, mode, taint)?;
        if let Some(role) = role(&leave.config, principal) {
            self.take_token(role, principal)?;
        }
        Ok(leave)
    }

    /// The same by the rules of this moment, for what was asked before. It counts for nothing.
    pub fn host_again(&self, principal: &Principal, mode: Mode, taint: bool) -> Result<HostLeave, Denied> {
        let config = self.rules.now();
        let role = may_ask(&config, principal, mode)?;
        self.halt.check()?;
        let mut because = vec!["host: it reaches the node itself, and with it every guest".to_owned()];
        if taint {
            because.push("this session has read what a guest wrote".to_owned());
        }
        let (self_approval, how) = (role.self_approval, role.approve_by().to_vec());
        Ok(HostLeave {
            account: principal.account(),
            role: role.name.clone(),
            place: place(&config, role),
            asked_by: principal.to_string(),
            mode,
            needs: Needs::Approval { because, self_approval, how },
            config,
        })
    }
}

impl Policy {
    /// Whether the principal may ask at all, for who only wants to know.
    pub fn reaches_host(&self, principal: &Principal) -> Result<(), NotOnNode> {
        let config = self.rules.now();
        match role(&config, principal) {
            Some(role) => reaches(&config, role),
            None => Err(NotOnNode::Off),
        }
    }
}

/// Whether members of the role may ask for something on the node.
pub fn reaches(config: &Config, role: &Role) -> Result<(), NotOnNode> {
    let name = || role.name.clone();
    if !config.exec.enabled || !config.exec.host {
        return Err(NotOnNode::Off);
    }
    if !role.profile.holds(Tier::Host) {
        return Err(NotOnNode::Tier { role: name(), profile: role.profile.name() });
    }
    if role.guests.is_some() {
        return Err(NotOnNode::Scoped { role: name(), scope: scope(role) });
    }
    if role.allow.is_some() {
        return Err(NotOnNode::Listed { role: name() });
    }
    Ok(())
}

/// The role by which the principal may ask for something on the node.
pub(super) fn may_ask<'a>(config: &'a Config, principal: &Principal, mode: Mode) -> Result<&'a Role, Denied> {
    let role = role(config, principal).ok_or_else(|| Denied::NoRole { who: principal.to_string() })?;
    reaches(config, role)?;
    let name = || role.name.clone();
    let asked = match mode {
        Mode::Inspect => ExecLane::Inspect,
        Mode::Change => ExecLane::Change,
    };
    match asked > role.lane() {
        true => Err(Denied::Lane { role: name(), allowed: lane_name(role.lane()), asked: lane_name(asked) }),
        false => Ok(role),
    }
}

impl Approvals {
    /// Uses a person's yes up: to this plan, with this content.
    pub fn clear_host(
        &self,
        leave: HostLeave,
        plan: &str,
        sha256: &str,
    ) -> Result<(Permit, Approved), NotApproved> {
        let approved = self.use_up(&[(leave.account, &leave.needs)], plan, sha256)?;
        let HostLeave { account, place: role, asked_by, mode, config, .. } = leave;
        Ok((Permit { guest: Guest::Host, mode, judged: mode, asked_by, account, role, config }, approved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Rules;

    fn asked(text: &str, mode: Mode) -> Result<HostLeave, &'static str> {
        let config = crate::config::parse(std::path::Path::new("x"), text).unwrap();
        let alice = Principal::for_tests(1000, "alice", &[]);
        Policy::new(Rules::fixed(config)).host(&alice, mode, false).map_err(|denied| denied.kind())
    }

    const ON: &str = "[exec]\nenabled=true\nhost=true\n[[role]]\nname='a'\nmembers=['user:alice']\n";

    #[test]
    fn the_switch_the_tier_and_the_whole_node_have_to_be_the_role_s() {
        let role = |keys: &str| asked(&format!("{ON}{keys}"), Mode::Change).map(drop);
        assert_eq!(role("profile='full'"), Ok(()));
        for (keys, kind) in [
            ("profile='observe'", "tier_not_allowed"),
            ("profile='operate'", "tier_not_allowed"),
            ("profile='provision'\nexec='change'", "tier_not_allowed"),
            ("profile='full'\nguests=['100-199']", "guest_out_of_scope"),
            ("profile='full'\nguests=[]", "guest_out_of_scope"),
            ("profile='full'\nallow=['POST /nodes/*']", "denied_to_role"),
            ("profile='full'\nexec='inspect'", "lane_not_allowed"),
        ] {
            assert_eq!(role(keys), Err(kind), "{keys}");
        }
        for off in ["enabled=true", "host=true", "host_roots=['/etc']"] {
            let text = ON.replace("enabled=true\nhost=true", off) + "profile='full'";
            assert_eq!(asked(&text, Mode::Change).map(drop), Err("host_off"), "{off}");
        }
        assert_eq!(asked("[exec]\nenabled=true\nhost=true", Mode::Change).map(drop), Err("no_role"));
    }

    #[test]
    fn no_configuration_lets_anything_go_without_a_person() {
        for keys in [
            "",
            "approval=[]",
            "approval=['destructive']",
            "approval=[]\nself_approval=true",
            "approve_by=[]",
        ] {
            for mode in [Mode::Inspect, Mode::Change] {
                let leave = asked(&format!("{ON}profile='full'\n{keys}"), mode).unwrap();
                assert!(matches!(leave.needs(), Needs::Approval { .. }), "{keys}");
                let denied = Approvals::default().clear_host(leave, "plan", "sha").err();
                assert_eq!(denied.map(|why| why.kind()), Some("no_such_plan"), "{keys}");
            }
        }
    }
}
