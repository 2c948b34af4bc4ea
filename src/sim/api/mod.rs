//! The methods, one file a part of PVE's tree. Each brings a table of method, path and what answers; what no table
//! names is answered by its declared shape.

mod access;
mod acl;
mod agent;
mod backup;
mod ceph;
mod clone;
mod cluster;
mod config;
mod content;
mod create;
pub mod declared;
mod destroy;
mod disk;
mod download;
mod fabrics;
mod factors;
mod firewall;
mod groups;
mod ha;
mod health;
pub mod index;
pub mod latin;
mod lifecycle;
mod migrate;
mod network;
mod node;
mod pools;
mod replication;
pub mod resources;
mod sdn;
mod sections;
mod snapshot;
mod status;
mod storage;
mod tasks;
mod users;
mod value;

use super::route::Row;

/// Every method that has a state.
pub const TABLES: &[&[Row]] = &[
    access::TABLE,
    acl::TABLE,
    agent::TABLE,
    backup::TABLE,
    clone::TABLE,
    cluster::TABLE,
    config::TABLE,
    content::TABLE,
    create::TABLE,
    destroy::TABLE,
    disk::TABLE,
    download::TABLE,
    fabrics::TABLE,
    factors::TABLE,
    firewall::TABLE,
    groups::TABLE,
    ha::TABLE,
    health::TABLE,
    lifecycle::TABLE,
    migrate::TABLE,
    network::TABLE,
    node::TABLE,
    pools::TABLE,
    replication::TABLE,
    resources::TABLE,
    sdn::TABLE,
    snapshot::TABLE,
    status::TABLE,
    storage::TABLE,
    tasks::TABLE,
    users::TABLE,
];

/// The tables, and before them what is kept in section files in the common way: of two rows the later counts.
pub fn rows() -> impl Iterator<Item = Row> {
    sections::rows().chain(TABLES.iter().copied().flatten().copied())
}
