//! Sets of guests as an operator writes them: `101`, `"200-299"`, `"pool:dev"`, `"tag:ai"`.

use std::ops::RangeInclusive;

use serde::Deserialize;

/// PVE's guest ids: 1 to 999999999, as its own `pve-vmid` format has it.
const VMID: RangeInclusive<u32> = 1..=999_999_999;

/// One term of a guest list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(with = "Raw"))]
pub enum GuestTerm {
    Ids(RangeInclusive<u32>),
    /// Resolved against the estate at each call; unresolvable means "not in the set".
    Pool(String),
    Tag(String),
}

/// Guests by id alone: what `[exec] containers` may hold, because `provost-execd` knows no pools or tags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize), schemars(with = "Vec<Raw>"))]
#[serde(try_from = "Vec<Raw>")]
pub struct GuestSet(Vec<RangeInclusive<u32>>);

impl GuestSet {
    pub fn contains(&self, vmid: u32) -> bool {
        self.0.iter().any(|ids| ids.contains(&vmid))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges, in the order written.
    pub fn ranges(&self) -> &[RangeInclusive<u32>] {
        &self.0
    }
}

/// A term as TOML holds it: a number, or a text.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub(super) enum Raw {
    Id(i64),
    Text(String),
}

impl TryFrom<Raw> for GuestTerm {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let text = match raw {
            Raw::Id(id) => id.to_string(),
            Raw::Text(text) => text,
        };
        if let Some(pool) = text.strip_prefix("pool:").filter(|name| !name.is_empty()) {
            return Ok(GuestTerm::Pool(pool.into()));
        }
        if let Some(tag) = text.strip_prefix("tag:").filter(|name| !name.is_empty()) {
            return Ok(GuestTerm::Tag(tag.into()));
        }
        let (low, high) = text.split_once('-').unwrap_or((&text, &text));
        match (low.trim().parse(), high.trim().parse()) {
            (Ok(low), Ok(high)) if VMID.contains(&low) && VMID.contains(&high) && low <= high => {
                Ok(GuestTerm::Ids(low..=high))
            }
            _ => Err(format!(
                "'{text}' is no guest id (1 to 999999999), range (\"200-299\"), \"pool:NAME\" or \"tag:NAME\""
            )),
        }
    }
}

impl TryFrom<String> for GuestTerm {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Raw::Text(text).try_into()
    }
}

impl TryFrom<Vec<Raw>> for GuestSet {
    type Error = String;

    fn try_from(terms: Vec<Raw>) -> Result<Self, String> {
        let ids = |raw| match GuestTerm::try_from(raw)? {
            GuestTerm::Ids(ids) => Ok(ids),
            GuestTerm::Pool(name) => Err(format!("'pool:{name}': only ids and ranges are allowed here")),
            GuestTerm::Tag(name) => Err(format!("'tag:{name}': only ids and ranges are allowed here")),
        };
        terms.into_iter().map(ids).collect::<Result<_, _>>().map(GuestSet)
    }
}

impl<'de> Deserialize<'de> for GuestTerm {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        GuestTerm::try_from(Raw::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}
