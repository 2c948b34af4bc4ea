//! What the files say that are not a guest's own, each parsed into its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::access::{self, Access};
use super::datacenter::{self, Datacenter};
use super::finding::{Finding, Findings};
use super::firewall::{self, Firewall, Scope};
use super::ha;
use super::jobs::{self, BackupJob};
use super::mapping::{self, Mapping};
use super::members::{self, Members};
use super::replication::{self, Replication};
use super::sdn;
use super::storage::{self, Storage};
use super::text::Text;

/// One file's content.
#[derive(Debug)]
pub(super) enum Parsed {
    Members(Members),
    Datacenter(Datacenter),
    Storages(Vec<Storage>),
    Access(Access),
    Jobs(Vec<BackupJob>),
    /// It only has findings.
    Cron,
    Replications(Vec<Replication>),
    Resources(Vec<ha::Resource>),
    Groups(Vec<ha::Group>),
    Rules(Vec<ha::Rule>),
    Zones(Vec<sdn::Zone>),
    Vnets(Vec<sdn::Vnet>),
    Subnets(Vec<sdn::Subnet>),
    Controllers(Vec<sdn::Controller>),
    Mappings(mapping::Kind, Vec<Mapping>),
    Firewall(Scope, Firewall),
}

/// Nothing for a file that is not this room's.
pub(super) fn parse(file: &str, bytes: &[u8]) -> Option<(Parsed, Vec<Finding>)> {
    let mut findings = Findings::new(file);
    let text = Text::new(bytes, &mut findings);
    let found = &mut findings;
    let mapped = |kind, found: &mut Findings<'_>| Parsed::Mappings(kind, mapping::parse(kind, &text, found));
    let parsed = match file {
        ".members" => Parsed::Members(members::parse(&text, found)),
        "datacenter.cfg" => Parsed::Datacenter(datacenter::parse(&text, found)),
        "storage.cfg" => Parsed::Storages(storage::parse(&text, found)),
        "user.cfg" => Parsed::Access(access::parse(&text, found)),
        "jobs.cfg" => Parsed::Jobs(jobs::parse(&text, found)),
        "vzdump.cron" => {
            jobs::parse_cron(&text, found);
            Parsed::Cron
        }
        "replication.cfg" => Parsed::Replications(replication::parse(&text, found)),
        "ha/resources.cfg" => Parsed::Resources(ha::parse_resources(&text, found)),
        "ha/groups.cfg" => Parsed::Groups(ha::parse_groups(&text, found)),
        "ha/rules.cfg" => Parsed::Rules(ha::parse_rules(&text, found)),
        "sdn/zones.cfg" => Parsed::Zones(sdn::parse_zones(&text, found)),
        "sdn/vnets.cfg" => Parsed::Vnets(sdn::parse_vnets(&text, found)),
        "sdn/subnets.cfg" => Parsed::Subnets(sdn::parse_subnets(&text, found)),
        "sdn/controllers.cfg" => Parsed::Controllers(sdn::parse_controllers(&text, found)),
        "mapping/pci.cfg" => mapped(mapping::Kind::Pci, found),
        "mapping/usb.cfg" => mapped(mapping::Kind::Usb, found),
        "mapping/directory.cfg" => mapped(mapping::Kind::Directory, found),
        file => Parsed::Firewall(Scope::of(file)?, firewall::parse(&text, found)),
    };
    Some((parsed, findings.finish()))
}

/// Each part is shared with the index before, unless its file moved.
#[derive(Debug, Clone, Default)]
pub struct Cluster {
    pub members: Arc<Members>,
    pub datacenter: Arc<Datacenter>,
    pub storages: Arc<Vec<Storage>>,
    pub access: Arc<Access>,
    pub jobs: Arc<Vec<BackupJob>>,
    pub replications: Arc<Vec<Replication>>,
    pub resources: Arc<Vec<ha::Resource>>,
    pub ha_groups: Arc<Vec<ha::Group>>,
    pub rules: Arc<Vec<ha::Rule>>,
    pub zones: Arc<Vec<sdn::Zone>>,
    pub vnets: Arc<Vec<sdn::Vnet>>,
    pub subnets: Arc<Vec<sdn::Subnet>>,
    pub controllers: Arc<Vec<sdn::Controller>>,
    pub mappings: Arc<BTreeMap<mapping::Kind, Vec<Mapping>>>,
    pub firewalls: Arc<BTreeMap<Scope, Arc<Firewall>>>,
}

impl Cluster {
    pub(super) fn put(&mut self, parsed: Parsed) {
        match parsed {
            Parsed::Members(value) => self.members = value.into(),
            Parsed::Datacenter(value) => self.datacenter = value.into(),
            Parsed::Storages(value) => self.storages = value.into(),
            Parsed::Access(value) => self.access = value.into(),
            Parsed::Jobs(value) => self.jobs = value.into(),
            Parsed::Cron => {}
            Parsed::Replications(value) => self.replications = value.into(),
            Parsed::Resources(value) => self.resources = value.into(),
            Parsed::Groups(value) => self.ha_groups = value.into(),
            Parsed::Rules(value) => self.rules = value.into(),
            Parsed::Zones(value) => self.zones = value.into(),
            Parsed::Vnets(value) => self.vnets = value.into(),
            Parsed::Subnets(value) => self.subnets = value.into(),
            Parsed::Controllers(value) => self.controllers = value.into(),
            Parsed::Mappings(kind, value) => {
                Arc::make_mut(&mut self.mappings).insert(kind, value);
            }
            Parsed::Firewall(scope, value) => {
                Arc::make_mut(&mut self.firewalls).insert(scope, value.into());
            }
        }
    }

    /// As if the file were empty: it is gone, or it could not be read.
    pub(super) fn clear(&mut self, file: &str) {
        match Scope::of(file) {
            Some(scope) => {
                Arc::make_mut(&mut self.firewalls).remove(&scope);
            }
            None if file == ".members" => self.members = Arc::default(),
            None => {
                if let Some((parsed, _)) = parse(file, &[]) {
                    self.put(parsed);
                }
            }
        }
    }
}
