//! The methods, one file a part of PVE's tree. Each brings a table of method, path and what answers; what no table
//! names is answered by its declared shape.

mod access;
mod acl;
mod backup;
mod ceph;
mod cluster;
mod config;
mod content;
mod create;
pub mod declared;
mod disk;
mod firewall;
mod groups;
mod ha;
mod index;
mod lifecycle;
mod migrate;
mod network;
mod node;
mod pools;
pub mod resources;
mod sdn;
mod sections;
mod snapshot;
mod status;
mod storage;
mod tasks;
mod users;

use super::route::Row;

/// Every method that has a state.
pub const TABLES: &[&[Row]] = &[
    // The others win over it.
    sections::TABLE,
    access::TABLE,
    acl::TABLE,
    backup::TABLE,
    cluster::TABLE,
    config::TABLE,
    content::TABLE,
    create::TABLE,
    disk::TABLE,
    firewall::TABLE,
    groups::TABLE,
    ha::TABLE,
    lifecycle::TABLE,
    migrate::TABLE,
    network::TABLE,
    node::TABLE,
    pools::TABLE,
    resources::TABLE,
    sdn::TABLE,
    snapshot::TABLE,
    status::TABLE,
    storage::TABLE,
    tasks::TABLE,
    users::TABLE,
];
