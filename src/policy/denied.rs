//! Why something may not be: which door was closed, by what, and who can open it.

use super::{Barred, Halted, NotOnNode};

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
