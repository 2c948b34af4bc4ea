//! `datacenter.cfg`: what holds for the whole cluster.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::finding::{Findings, What};

/// By key, without secrets: of one that is, there is [`crate::secret::WITHHELD`].
pub type Datacenter = BTreeMap<SmolStr, SmolStr>;

pub fn parse(text: &str, findings: &mut Findings<'_>) -> Datacenter {
    let mut values = Datacenter::new();
    for (number, line) in (1u32..).zip(text.lines()) {
        if line.trim_ascii().is_empty() || line.starts_with('#') {
            continue;
        }
        let key = |key: &&str| !key.is_empty() && !key.contains(char::is_whitespace);
        let Some((key, value)) = line.split_once(':').filter(|(name, _)| key(name)) else {
            findings.add(number, What::Line);
            continue;
        };
        let value = value.trim_ascii();
        let kept: SmolStr = if crate::secret::is_secret("/cluster/options", key) {
            crate::secret::WITHHELD.into()
        } else {
            // A proxy's address may hold its password.
            crate::secret::cut(value).map_or_else(|| value.into(), |(clean, _)| clean.into())
        };
        values.insert(key.into(), kept);
    }
    values
}
