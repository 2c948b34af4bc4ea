//! `[[role]]`: who is in it and what they may do.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{CallPattern, GuestTerm};

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    pub name: String,
    pub members: Vec<Member>,
    #[serde(default)]
    pub profile: Profile,
    /// Guests that the role may touch; absent: all.
    pub guests: Option<Vec<GuestTerm>>,
    /// The widest exec lane; absent: [`Role::lane`] says.
    pub exec: Option<ExecLane>,
    /// The only calls of the API that are made, of those that the profile has; absent: all of them. [`Role::allows`] says
    /// what counts for a GET.
    pub allow: Option<Vec<CallPattern>>,
    /// Calls of the API that are refused whatever the profile says.
    #[serde(default)]
    pub deny: Vec<CallPattern>,
    /// Tiers of which a change waits for a person; absent: [`Role::approval`] says.
    pub approval: Option<Vec<Tier>>,
    /// Tiers of which it waits as well, once the session has read what a guest wrote.
    #[serde(default)]
    pub tainted_approval: Vec<Tier>,
    /// Whether an approver may decide about what it asked for itself.
    #[serde(default)]
    pub self_approval: bool,
    /// Ways by which a person's answer counts; absent: [`Role::approve_by`] says.
    pub approve_by: Option<Vec<How>>,
    pub rate: Option<Rate>,
    pub token: Option<PathBuf>,
}

impl Role {
    /// The widest lane of the role: as written, else `inspect`, and `change` under `full`.
    pub fn lane(&self) -> ExecLane {
        self.exec.unwrap_or(match self.profile {
            Profile::Full => ExecLane::Change,
            _ => ExecLane::Inspect,
        })
    }

    /// Whether `allow` has the call. A list that names no GET is about changes alone, and every GET stays.
    pub fn allows<'a>(
        &self,
        method: &str,
        template: &str,
        path: impl IntoIterator<Item = &'a str> + Clone,
    ) -> bool {
        let Some(allow) = &self.allow else { return true };
        if method == "GET" && !allow.iter().any(CallPattern::is_for_reads) {
            return true;
        }
        allow.iter().any(|pattern| pattern.matches(method, template, path.clone()))
    }

    /// Whether `allow` has some call of that template.
    pub fn could_allow(&self, method: &str, template: &str) -> bool {
        let Some(allow) = &self.allow else { return true };
        if method == "GET" && !allow.iter().any(CallPattern::is_for_reads) {
            return true;
        }
        allow.iter().any(|pattern| pattern.could_match(method, template))
    }

    /// Tiers of which a change waits for a person: as written, else all that only `full` has. An empty list that is
    /// written means that nothing waits.
    pub fn approval(&self) -> &[Tier] {
        self.approval.as_deref().unwrap_or(&[Tier::Destructive, Tier::Lockout, Tier::Host])
    }
}

impl Role {
    /// Ways by which a person's answer counts: as written, else every one. The client's own dialog is answered by the
    /// account that asked, so it counts where that may approve at all.
    pub fn approve_by(&self) -> &[How] {
        self.approve_by.as_deref().unwrap_or(&[How::Terminal, How::Elicitation])
    }
}

/// How a person answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// In the MCP client's own dialog, and so by the account that asked.
    Elicitation,
    /// `provost approve`.
    Terminal,
}

impl How {
    pub fn name(self) -> &'static str {
        match self {
            Self::Elicitation => "elicitation",
            Self::Terminal => "terminal",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Member {
    /// By name, or by number for an account that has none.
    User(String),
    Group(String),
    Vsock(u32),
}

impl TryFrom<String> for Member {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("user", name)) if !name.is_empty() => Ok(Member::User(name.into())),
            Some(("group", name)) if !name.is_empty() => Ok(Member::Group(name.into())),
            Some(("vsock", cid)) => {
                cid.parse().map(Member::Vsock).map_err(|_| format!("'{text}': a vsock CID is a number"))
            }
            _ => Err(format!(
                "'{text}' is no member; write \"user:{}\", \"group:NAME\" or \"vsock:CID\"",
                if text.is_empty() || text.contains(':') { "NAME" } else { &text }
            )),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    Observe,
    Operate,
    #[default]
    Provision,
    Full,
}

impl Profile {
    pub fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Operate => "operate",
            Self::Provision => "provision",
            Self::Full => "full",
        }
    }

    /// Whether the profile has calls of this tier; some of them may still wait for approval.
    pub fn holds(self, tier: Tier) -> bool {
        match tier {
            Tier::Read => true,
            Tier::Reversible | Tier::Disruptive => self != Self::Observe,
            Tier::Additive | Tier::Change => matches!(self, Self::Provision | Self::Full),
            Tier::Lockout | Tier::Destructive | Tier::Host => self == Self::Full,
            Tier::Held => false,
        }
    }
}

/// How far into a guest a role reaches, narrowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecLane {
    None,
    Inspect,
    Change,
}

/// What kind of change an endpoint makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Changes nothing. No configuration names it: nothing is held back for reading.
    #[serde(skip_deserializing)]
    Read,
    Reversible,
    Additive,
    Change,
    Disruptive,
    Lockout,
    Destructive,
    Host,
    Held,
}

impl Tier {
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Reversible => "reversible",
            Self::Additive => "additive",
            Self::Change => "change",
            Self::Disruptive => "disruptive",
            Self::Lockout => "lockout",
            Self::Destructive => "destructive",
            Self::Host => "host",
            Self::Held => "held",
        }
    }
}

/// Calls in a span of time: `"30/min"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Rate {
    pub calls: u32,
    pub per_s: u32,
}

impl TryFrom<String> for Rate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let rate = text.split_once('/').and_then(|(calls, span)| {
            let per_s = match span.trim() {
                "s" | "sec" => 1,
                "min" => 60,
                "h" | "hour" => 3600,
                _ => return None,
            };
            Some(Rate { calls: calls.trim().parse().ok().filter(|calls| *calls > 0)?, per_s })
        });
        rate.ok_or_else(|| format!("'{text}' is no rate such as \"30/min\", \"5/s\" or \"100/h\""))
    }
}
