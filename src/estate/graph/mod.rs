//! The same as a graph: what hangs on what, and why. Nothing of it is kept; edges are told off from the index as they are
//! asked for.

mod cluster;
mod guest;

use std::fmt;

use super::firewall::Scope;
use super::index::Index;
use super::mapping;
use super::part::Part;
use super::seen::Seen;
use super::volume::Volume;

/// Something that exists, or that is spoken of as if it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object<'a> {
    Guest(u32),
    Snapshot(u32, &'a str),
    Volume(&'a Volume),
    Storage(&'a str),
    /// A bridge of the nodes', or a virtual network: a guest's configuration does not tell them apart, the SDN files do.
    Bridge(&'a str),
    Vnet(&'a str),
    Zone(&'a str),
    Subnet(&'a str),
    Controller(&'a str),
    Pool(&'a str),
    Tag(&'a str),
    User(&'a str),
    Token(&'a str),
    Group(&'a str),
    Role(&'a str),
    /// Of an access list.
    Path(&'a str),
    Resource(&'a str),
    HaGroup(&'a str),
    HaRule(&'a str),
    Job(&'a str),
    Replication(&'a str),
    Node(&'a str),
    Firewall(&'a Scope),
    SecurityGroup(&'a str),
    Alias(&'a str),
    Set(&'a str),
    Mapping(mapping::Kind, &'a str),
}

/// Why one thing hangs on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    RunsOn,
    BootsFrom,
    HasDataOn,
    HasFirmwareOn,
    HasCloudInitOn,
    HasMediaOn,
    HasSnippetOn,
    KeepsUnusedOn,
    HasStateOn,
    HasLeftoverOn,
    SuspendsTo,
    LiesOn,
    CloneOf,
    SnapshotOf,
    SnapshotAfter,
    SnapshotOn,
    SnapshotStateOn,
    UsesBridge,
    InZone,
    InVnet,
    ControlledBy,
    UsesMapping,
    MemberOfPool,
    Tagged,
    MemberOfGroup,
    TokenOf,
    GrantedAt,
    GivesRole,
    Concerns,
    RestrictedToNode,
    BacksUp,
    BacksUpTo,
    Replicates,
    ReplicatesTo,
    Keeps,
    InHaGroup,
    Places,
    Guards,
    TakesInGroup,
    NamesAlias,
    NamesSet,
}

impl Why {
    /// As a sentence says it: "VM 105 `boots_from` storage local".
    #[must_use]
    pub fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }
}

/// `from` hangs on `to`: without `to`, `from` is not what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge<'a> {
    pub from: Object<'a>,
    pub why: Why,
    pub to: Object<'a>,
}

impl Index {
    /// Every edge, one after another.
    pub fn edges<'a>(&'a self, each: &mut dyn FnMut(Edge<'a>)) {
        self.guests().for_each(|guest| guest::edges(self, guest, each));
        cluster::edges(self, each);
    }

    /// What hangs on it.
    pub fn dependents<'a>(&'a self, on: Object<'_>) -> Seen<Vec<Edge<'a>>> {
        let mut found = Vec::new();
        self.edges(&mut |edge| {
            if edge.to == on {
                found.push(edge);
            }
        });
        found.sort_unstable();
        found.dedup();
        self.seen(found, &Part::ALL)
    }
}

impl fmt::Display for Object<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guest(vmid) => write!(out, "guest {vmid}"),
            Self::Snapshot(vmid, name) => write!(out, "snapshot {name} of guest {vmid}"),
            Self::Volume(volume) => write!(out, "volume {volume}"),
            Self::Storage(id) => write!(out, "storage {id}"),
            Self::Bridge(id) => write!(out, "bridge {id}"),
            Self::Vnet(id) => write!(out, "virtual network {id}"),
            Self::Zone(id) => write!(out, "zone {id}"),
            Self::Subnet(id) => write!(out, "subnet {id}"),
            Self::Controller(id) => write!(out, "controller {id}"),
            Self::Pool(id) => write!(out, "pool {id}"),
            Self::Tag(id) => write!(out, "tag {id}"),
            Self::User(id) => write!(out, "user {id}"),
            Self::Token(id) => write!(out, "token {id}"),
            Self::Group(id) => write!(out, "group {id}"),
            Self::Role(id) => write!(out, "role {id}"),
            Self::Path(path) => write!(out, "access to {path}"),
            Self::Resource(sid) => write!(out, "HA resource {sid}"),
            Self::HaGroup(id) => write!(out, "HA group {id}"),
            Self::HaRule(id) => write!(out, "HA rule {id}"),
            Self::Job(id) => write!(out, "backup job {id}"),
            Self::Replication(id) => write!(out, "replication {id}"),
            Self::Node(name) => write!(out, "node {name}"),
            Self::Firewall(Scope::Cluster) => out.write_str("the cluster's firewall"),
            Self::Firewall(Scope::Node(name)) => write!(out, "node {name}'s firewall"),
            Self::Firewall(Scope::Guest(vmid)) => write!(out, "guest {vmid}'s firewall"),
            Self::Firewall(Scope::Vnet(id)) => write!(out, "virtual network {id}'s firewall"),
            Self::SecurityGroup(name) => write!(out, "security group {name}"),
            Self::Alias(name) => write!(out, "alias {name}"),
            Self::Set(name) => write!(out, "address set {name}"),
            Self::Mapping(kind, id) => write!(out, "{} mapping {id}", kind.name()),
        }
    }
}
