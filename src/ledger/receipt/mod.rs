//! What a receipt holds.
//!
//! In: what a room did or refused, as one of the types of [`body`]. Out: a line in canonical form (RFC 8785), or a
//! receipt read back. Text that came from elsewhere gets in only as [`Clean`] or [`Json`], which take secrets out.
//!
//! Fields are declared in the order of their names, hold no fraction and no number above 2^53: so `serde_json` writes
//! canonical form at once. A test holds each kind against the scheme's own implementation.

pub mod body;
mod clean;
#[cfg(all(test, feature = "agent"))]
pub(super) mod samples;
#[cfg(all(test, feature = "agent"))]
mod secrets_tests;
#[cfg(all(test, feature = "agent"))]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::account::Account;
pub use body::Body;
pub use clean::{Argv, Clean, Json};

/// Number of a receipt, from 0: its place in the tree.
pub type Seq = u64;

/// What kind of thing a receipt records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Start,
    Session,
    Read,
    Plan,
    Approval,
    Intent,
    Outcome,
    Exec,
    File,
    Refusal,
    Halt,
    Repair,
    Token,
}

impl Kind {
    pub const ALL: [Kind; 13] = [
        Kind::Start,
        Kind::Session,
        Kind::Read,
        Kind::Plan,
        Kind::Approval,
        Kind::Intent,
        Kind::Outcome,
        Kind::Exec,
        Kind::File,
        Kind::Refusal,
        Kind::Halt,
        Kind::Repair,
        Kind::Token,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Start => "start",
            Kind::Session => "session",
            Kind::Read => "read",
            Kind::Plan => "plan",
            Kind::Approval => "approval",
            Kind::Intent => "intent",
            Kind::Outcome => "outcome",
            Kind::Exec => "exec",
            Kind::File => "file",
            Kind::Refusal => "refusal",
            Kind::Halt => "halt",
            Kind::Repair => "repair",
            Kind::Token => "token",
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = Kind::ALL.map(Kind::name).join(", ");
        let found = Kind::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| format!("'{text}' is no kind of receipt; there are: {names}"))
    }
}

/// What was decided about the thing asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    Allowed,
    Refused,
    /// Waits for a person.
    Held,
}

impl Decision {
    pub fn name(self) -> &'static str {
        match self {
            Decision::Allowed => "allowed",
            Decision::Refused => "refused",
            Decision::Held => "held",
        }
    }
}

impl std::str::FromStr for Decision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "allowed" => Ok(Decision::Allowed),
            "refused" => Ok(Decision::Refused),
            "held" => Ok(Decision::Held),
            _ => Err(format!("'{text}' is no decision; there are: allowed, refused, held")),
        }
    }
}

/// Who asked, as the kernel says, and through which program, as it says itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// vsock CID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cid: Option<u32>,
    /// Name of the MCP client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Clean>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_version: Option<Clean>,
    /// Of a token: the uid of whoever gave it out, or whom it acts as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<u32>,
    /// The role that policy found for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Clean>,
    /// Whether its session had been given text that a guest wrote.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tainted: bool,
    /// Number of the token by which it came, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Clean>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Name of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Clean>,
    /// Of the virtual machine that has the CID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vmid: Option<u32>,
}

impl Who {
    /// Whose it is; the daemon's own is nobody's.
    pub fn account(&self) -> Option<Account> {
        if let Some(token) = &self.token {
            // What is no number is nobody's.
            return u64::from_str_radix(token.as_str(), 16).ok().map(Account::Token);
        }
        self.vmid.map(Account::Machine).or(self.uid.map(Account::User))
    }

    /// As configuration writes members: `user:alice`, `vsock:1101`; `uid:1000` for an account without a name; `token:ID`.
    pub fn name(&self) -> String {
        if let Some(token) = &self.token {
            return format!("token:{}", token.as_str());
        }
        match (&self.user, self.cid, self.uid) {
            (Some(user), _, _) => format!("user:{}", user.as_str()),
            (None, Some(cid), _) => format!("vsock:{cid}"),
            (None, None, Some(uid)) => format!("uid:{uid}"),
            (None, None, None) => "provost".into(),
        }
    }

    /// `name` as [`Who::name`] gives it, or the bare user name or number; `vm:120` for a virtual machine by any CID.
    pub fn is(&self, name: &str) -> bool {
        let bare = || self.user.as_ref().is_some_and(|user| user.as_str() == name);
        self.name() == name
            || bare()
            || self.uid.is_some_and(|uid| name == uid.to_string())
            || self.account().is_some_and(|account| name == account.to_string())
    }
}

/// What is to be recorded; the writer adds number, times and start.
#[derive(Debug, Clone)]
pub struct Entry {
    /// None: the daemon itself.
    pub principal: Option<Who>,
    /// The MCP tool that was called.
    pub tool: Option<&'static str>,
    /// vmid
    pub guest: Option<u32>,
    /// `PUT /nodes/{node}/qemu/{vmid}/config`, with names in braces.
    pub endpoint: Option<Clean>,
    pub decision: Option<Decision>,
    /// Why it was decided so, or what happened, for a person.
    pub why: Option<Clean>,
    /// plan_id
    pub plan: Option<Clean>,
    pub body: Body,
}

impl Entry {
    /// Nothing but a body: what the daemon records of itself.
    pub fn of(body: impl Into<Body>) -> Self {
        Self {
            principal: None,
            tool: None,
            guest: None,
            endpoint: None,
            decision: None,
            why: None,
            plan: None,
            body: body.into(),
        }
    }
}

/// The line of an entry.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    pub body: &'a Body,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: &'a Option<Clean>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest: Option<u32>,
    pub kind: Kind,
    pub mono_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: &'a Option<Clean>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: &'a Option<Who>,
    pub seq: Seq,
    pub start: &'a str,
    pub time: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<&'static str>,
    pub v: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: &'a Option<Clean>,
}

/// The version of the form of receipts.
pub(super) const VERSION: u8 = 1;

/// A receipt as it was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// What belongs to the kind: [`body`] says what.
    pub body: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest: Option<u32>,
    pub kind: Kind,
    /// Microseconds since the daemon's start, by a clock that nobody sets.
    pub mono_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<Who>,
    pub seq: Seq,
    /// Which start of the daemon: random, the same for all receipts of one.
    pub start: String,
    /// RFC 3339, UTC, with microseconds.
    pub time: jiff::Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    pub v: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Receipt {
    pub fn parse(line: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line)
    }

    pub fn principal_name(&self) -> String {
        self.principal.as_ref().map_or_else(|| "provost".into(), Who::name)
    }

    /// The intent that this receipt closes.
    pub fn closes(&self) -> Option<Seq> {
        self.body.get("of").and_then(Value::as_u64).filter(|_| self.kind != Kind::Approval)
    }
}
