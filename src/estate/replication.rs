//! `replication.cfg`: which guests are copied to which other node.

use smol_str::SmolStr;

use super::finding::{Findings, What, shown};
use super::section::{Heads, sections};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replication {
    /// `105-0`
    pub id: SmolStr,
    pub vmid: u32,
    pub target: Option<SmolStr>,
    pub source: Option<SmolStr>,
    pub schedule: Option<SmolStr>,
    pub disabled: bool,
    /// It is being removed, and its copies with it.
    pub leaving: bool,
}

pub fn parse(text: &str, findings: &mut Findings<'_>) -> Vec<Replication> {
    let mut found = Vec::new();
    for section in sections(text, Heads::Typed, findings) {
        let vmid = section.id.split_once('-').and_then(|(vmid, _)| vmid.parse().ok());
        let Some(vmid) = vmid.or_else(|| section.get("guest")?.parse().ok()) else {
            findings.add(section.line, What::Value(shown(section.id)));
            continue;
        };
        found.push(Replication {
            id: section.id.into(),
            vmid,
            target: section.name("target"),
            source: section.name("source"),
            schedule: section.name("schedule"),
            disabled: section.flag("disable").unwrap_or(false),
            leaving: section.get("remove_job").is_some(),
        });
    }
    found
}
