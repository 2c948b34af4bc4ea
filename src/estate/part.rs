//! The parts of the estate, each with the files that say it.

/// What a question may be about. An answer is incomplete if a file of a part that it rests on was not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    Guests,
    Storages,
    Access,
    Datacenter,
    Nodes,
    Jobs,
    Replication,
    Ha,
    Sdn,
    Firewall,
    Mappings,
}

/// Each cluster-wide file that is read, with what it says. Guests' and nodes' own files are found by listing.
pub const FILES: &[(&str, Part)] = &[
    (".members", Part::Nodes),
    ("datacenter.cfg", Part::Datacenter),
    ("firewall/cluster.fw", Part::Firewall),
    ("ha/groups.cfg", Part::Ha),
    ("ha/resources.cfg", Part::Ha),
    ("ha/rules.cfg", Part::Ha),
    ("jobs.cfg", Part::Jobs),
    ("mapping/directory.cfg", Part::Mappings),
    ("mapping/pci.cfg", Part::Mappings),
    ("mapping/usb.cfg", Part::Mappings),
    ("replication.cfg", Part::Replication),
    ("sdn/controllers.cfg", Part::Sdn),
    ("sdn/subnets.cfg", Part::Sdn),
    ("sdn/vnets.cfg", Part::Sdn),
    ("sdn/zones.cfg", Part::Sdn),
    ("storage.cfg", Part::Storages),
    ("user.cfg", Part::Access),
    ("vzdump.cron", Part::Jobs),
];

impl Part {
    pub const ALL: [Self; 11] = [
        Self::Guests,
        Self::Storages,
        Self::Access,
        Self::Datacenter,
        Self::Nodes,
        Self::Jobs,
        Self::Replication,
        Self::Ha,
        Self::Sdn,
        Self::Firewall,
        Self::Mappings,
    ];

    /// What is not known if this file or folder is not: without the nodes' folder, nothing is.
    #[must_use]
    pub fn hidden_by(file: &str) -> Vec<Self> {
        if file == "nodes" { Self::ALL.to_vec() } else { vec![Self::of(file)] }
    }

    /// Of a path under /etc/pve. What is not in [`FILES`] is a guest's, a node's or a firewall's.
    #[must_use]
    pub fn of(file: &str) -> Self {
        match FILES.iter().find(|(name, _)| *name == file) {
            Some((_, part)) => *part,
            None if file.ends_with(".fw") || file.ends_with("firewall") => Self::Firewall,
            None => Self::Guests,
        }
    }
}
