//! `sdn/`: virtual networks, the zones that they are in, their subnets, and the controllers behind zones.

use smol_str::SmolStr;

use super::finding::Findings;
use super::section::{Heads, Section, sections};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    pub id: SmolStr,
    /// `simple`, `vlan`, `qinq`, `vxlan`, `evpn`
    pub kind: SmolStr,
    /// Empty is everywhere.
    pub nodes: Box<[SmolStr]>,
    /// The nodes' bridge that it lies on.
    pub bridge: Option<SmolStr>,
    pub controller: Option<SmolStr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vnet {
    pub id: SmolStr,
    pub zone: Option<SmolStr>,
    pub tag: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// `lab-10.99.0.0-24`
    pub id: SmolStr,
    pub vnet: Option<SmolStr>,
    pub gateway: Option<SmolStr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controller {
    pub id: SmolStr,
    pub kind: SmolStr,
    pub node: Option<SmolStr>,
}

fn each<T>(text: &str, findings: &mut Findings<'_>, of: impl Fn(&Section<'_>) -> T) -> Vec<T> {
    sections(text, Heads::Typed, findings).iter().map(of).collect()
}

pub fn parse_zones(text: &str, findings: &mut Findings<'_>) -> Vec<Zone> {
    each(text, findings, |section| Zone {
        id: section.id.into(),
        kind: section.kind.into(),
        nodes: section.names("nodes"),
        bridge: section.name("bridge"),
        controller: section.name("controller"),
    })
}

pub fn parse_vnets(text: &str, findings: &mut Findings<'_>) -> Vec<Vnet> {
    each(text, findings, |section| Vnet {
        id: section.id.into(),
        zone: section.name("zone"),
        tag: section.get("tag").and_then(|tag| tag.parse().ok()),
    })
}

pub fn parse_subnets(text: &str, findings: &mut Findings<'_>) -> Vec<Subnet> {
    each(text, findings, |section| Subnet {
        id: section.id.into(),
        vnet: section.name("vnet"),
        gateway: section.name("gateway"),
    })
}

pub fn parse_controllers(text: &str, findings: &mut Findings<'_>) -> Vec<Controller> {
    each(text, findings, |section| Controller {
        id: section.id.into(),
        kind: section.kind.into(),
        node: section.name("node"),
    })
}
