//! `[[role]]`: who is in it and what they may do.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{CallPattern, GuestTerm};

/// Who may do what; as many as are wanted. Who is in none may ask `status` and nothing else.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// A name of its own.
    pub name: String,
    /// `"user:NAME"`, `"group:NAME"`, `"vm:VMID"`, a virtual machine of this node, or `"vsock:CID"`, whichever of them runs with that CID.
    pub members: Vec<Member>,
    /// Which changes of the node it may have made.
    #[serde(default)]
    pub profile: Profile,
    /// Guests that the role may touch: numbers, ranges, `"pool:NAME"`, `"tag:NAME"`. Absent: all.
    pub guests: Option<Vec<GuestTerm>>,
    /// The widest lane that a command of it runs in. Absent: `inspect`, and `change` under profile `full`.
    pub exec: Option<ExecLane>,
    /// The only calls of the API that are made, of those that the profile has, such as `"POST /nodes/{node}/qemu/*"`. A list without
    /// a GET is about changes alone. Absent: all.
    pub allow: Option<Vec<CallPattern>>,
    /// Calls of the API that are refused whatever else is said.
    #[serde(default)]
    pub deny: Vec<CallPattern>,
    /// Tiers of which a change waits for a person; `[]` is none. Absent: `destructive`, `lockout` and `host`.
    pub approval: Option<Vec<Tier>>,
    /// Tiers of which it waits too, once the session has read what a guest wrote.
    #[serde(default)]
    pub tainted_approval: Vec<Tier>,
    /// Whether an approver may decide about what it asked for itself.
    #[serde(default)]
    pub self_approval: bool,
    /// How a person's answer counts. Absent: both ways.
    pub approve_by: Option<Vec<How>>,
    /// Calls in a span of time, such as `"30/min"`, `"5/s"` or `"100/h"`. Absent: no limit.
    pub rate: Option<Rate>,
    /// An API token of the role's own, as in `[pve]`: what PVE lets it do is the floor under all this. Absent: that one.
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// in the MCP client's own dialog, and so by the account that asked.
    Elicitation,
    /// by `provost approve`.
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
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(with = "String"))]
#[serde(try_from = "String")]
pub enum Member {
    /// By name, or by number for an account that has none.
    User(String),
    Group(String),
    /// Whichever virtual machine of the node has the CID.
    Vsock(u32),
    /// The virtual machine, whichever CID it has.
    Vm(u32),
}

impl Member {
    pub fn is_machine(&self) -> bool {
        matches!(self, Self::Vsock(_) | Self::Vm(_))
    }
}

impl TryFrom<String> for Member {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("user", name)) if !name.is_empty() => Ok(Member::User(name.into())),
            Some(("group", name)) if !name.is_empty() => Ok(Member::Group(name.into())),
            Some(("vsock", cid)) => match cid.parse() {
                // The others are the kernel's own: any hypervisor, the node itself, what it runs on; the last is "any".
                Ok(cid @ 3..=0xffff_fffe) => Ok(Member::Vsock(cid)),
                _ => Err(format!(
                    "'{text}': the vsock CID of a virtual machine is a number from 3 to 4294967294"
                )),
            },
            Some(("vm", vmid)) => match vmid.parse() {
                Ok(vmid @ 100..=999_999_999) => Ok(Member::Vm(vmid)),
                _ => Err(format!("'{text}': the id of a virtual machine is a number from 100 on")),
            },
            _ => Err(format!(
                "'{text}' is no member; write \"user:{}\", \"group:NAME\", \"vm:VMID\" or \"vsock:CID\"",
                if text.is_empty() || text.contains(':') { "NAME" } else { &text }
            )),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// none.
    Observe,
    /// what can be taken back or disrupts.
    Operate,
    /// also what adds or changes; it can delete nothing.
    #[default]
    Provision,
    /// the rest too, which waits for a person (`approval`).
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ExecLane {
    /// no commands.
    None,
    /// commands that the kernel lets change nothing.
    Inspect,
    /// what the container's root can.
    Change,
}

/// What kind of change an endpoint makes, the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Changes nothing. No configuration names it: nothing is held back for reading.
    #[serde(skip_deserializing)]
    Read,
    /// can be taken back as it was.
    Reversible,
    /// makes something new.
    Additive,
    /// changes what is there.
    Change,
    /// interrupts what runs.
    Disruptive,
    /// can cut somebody off, the operator too: network, firewall, access, certificates.
    Lockout,
    /// cannot be brought back.
    Destructive,
    /// reaches the node itself.
    Host,
    /// nobody's: logins, consoles, batches.
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
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(with = "String"))]
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
