//! `ha/`: what the high-availability manager keeps running, and where. Groups are PVE 8's, rules PVE 9's.

use smol_str::SmolStr;

use super::finding::{Findings, What, shown};
use super::section::{Heads, Section, sections};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// `vm:105`
    pub sid: SmolStr,
    pub vmid: u32,
    /// What it is kept in: `started` if nothing is said, `stopped`, `disabled`, `ignored`.
    pub state: SmolStr,
    pub group: Option<SmolStr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub id: SmolStr,
    /// Without their priorities.
    pub nodes: Box<[SmolStr]>,
    /// On no other node at all.
    pub restricted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub id: SmolStr,
    pub resources: Box<[SmolStr]>,
    pub places: Places,
    pub disabled: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Places {
    Nodes {
        nodes: Box<[SmolStr]>,
        strict: bool,
    },
    Together,
    Apart,
    /// Of a kind that came after this program.
    Unknown(SmolStr),
}

pub fn parse_resources(text: &str, findings: &mut Findings<'_>) -> Vec<Resource> {
    let mut found = Vec::new();
    for section in sections(text, Heads::Typed, findings) {
        let Ok(vmid) = section.id.parse() else {
            findings.add(section.line, What::Value(shown(section.id)));
            continue;
        };
        found.push(Resource {
            sid: format!("{}:{vmid}", section.kind).into(),
            vmid,
            state: section.name("state").unwrap_or_else(|| "started".into()),
            group: section.name("group"),
        });
    }
    found
}

/// `pve1:2,pve2`: names, and how much each is preferred.
fn nodes(section: &Section<'_>) -> Box<[SmolStr]> {
    section.list("nodes").map(|node| node.split_once(':').map_or(node, |(name, _)| name).into()).collect()
}

pub fn parse_groups(text: &str, findings: &mut Findings<'_>) -> Vec<Group> {
    let all = sections(text, Heads::Typed, findings);
    let group = |section: &Section<'_>| Group {
        id: section.id.into(),
        nodes: nodes(section),
        restricted: section.flag("restricted").unwrap_or(false),
    };
    all.iter().map(group).collect()
}

pub fn parse_rules(text: &str, findings: &mut Findings<'_>) -> Vec<Rule> {
    let all = sections(text, Heads::Typed, findings);
    let rule = |section: &Section<'_>| Rule {
        id: section.id.into(),
        resources: section.names("resources"),
        places: match (section.kind, section.get("affinity")) {
            ("node-affinity", _) => {
                Places::Nodes { nodes: nodes(section), strict: section.flag("strict").unwrap_or(false) }
            }
            ("resource-affinity", Some("positive")) => Places::Together,
            ("resource-affinity", Some("negative")) => Places::Apart,
            (kind, _) => Places::Unknown(kind.into()),
        },
        disabled: section.flag("disable").unwrap_or(false),
    };
    all.iter().map(rule).collect()
}
