//! What goes with a token's number.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::policy::Peer;

/// A token's number: 64 random bits. It opens nothing by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TokenId(u64);

impl TokenId {
    /// None: the kernel gave no random bits.
    pub fn random() -> Option<Self> {
        let mut bits = [0; 8];
        SystemRandom::new().fill(&mut bits).ok()?;
        Some(Self(u64::from_be_bytes(bits)))
    }

    pub fn account(self) -> Account {
        Account::Token(self.0)
    }

    #[cfg(test)]
    pub fn for_tests(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl From<TokenId> for String {
    fn from(id: TokenId) -> Self {
        id.to_string()
    }
}

impl FromStr for TokenId {
    type Err = String;

    /// With or without `token:` before it; or a token's own `jti`, which has the number of its form behind it.
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim();
        let digits = digits.strip_prefix("token:").unwrap_or(digits);
        let digits = match digits.split_once('-') {
            Some((id, form)) if form.parse::<u64>().is_ok() => id,
            _ => digits,
        };
        let is_one = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_one.then(|| u64::from_str_radix(digits, 16).ok()).flatten();
        number.map(Self).ok_or_else(|| "a token's id is 16 hexadecimal digits".to_owned())
    }
}

impl TryFrom<String> for TokenId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Whose rights it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// Those of a role, by its name.
    Role(String),
    /// Those of an account, by whichever role names it.
    User(Peer),
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(name) => write!(f, "role:{name}"),
            Self::User(peer) => f.write_str(&peer.name()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub id: TokenId,
    pub acts_as: Grant,
    /// Who gave it out, as the kernel said then.
    pub issuer: Peer,
    pub issued: Timestamp,
    /// Seconds that it lasts each time.
    pub ttl_s: u32,
    /// Of the latest form of it that was signed.
    pub expires: Timestamp,
    /// Until then its holder may have it signed anew, as long as it has not expired; no form of it lasts longer.
    pub refresh_until: Timestamp,
    /// How often that was done.
    pub refreshed: u64,
    pub revoked: Option<Revoked>,
    /// Whether its holder has been given text that a guest wrote. Absent in files from before it was kept.
    #[serde(default)]
    pub tainted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    pub at: Timestamp,
    pub by: String,
}

impl Record {
    /// Whom it acts as, or who gave it out.
    pub fn person(&self) -> &Peer {
        match &self.acts_as {
            Grant::User(peer) => peer,
            Grant::Role(_) => &self.issuer,
        }
    }

    /// Whether nothing that was ever signed with its number can open anything, and nothing more will be: no form of it lasts
    /// longer than its last, and what has expired is not renewed.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires <= now
    }

    /// Whether it opens something, now or later.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && !self.is_over(now)
    }

    /// `active`, `expired`, `revoked`
    pub fn state(&self, now: Timestamp) -> &'static str {
        match &self.revoked {
            Some(_) => "revoked",
            None if self.is_over(now) => "expired",
            None => "active",
        }
    }
}
