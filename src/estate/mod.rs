//! What exists and what depends on what: guests, disks, storages, networks, pools, access, backups.
//!
//! In: a [`Source`], which is `/etc/pve` ([`Tree`]) or the API where that cannot be read ([`Api`]). Out: an [`Index`], the
//! whole at one moment, with the questions that a plan asks of it; a [`Keeper`] keeps it current from a thread of its own.
//! What was not seen stands beside each answer ([`Seen`]).
//!
//! It must never say "nothing depends on it" of what it could not read, never change anything, never open `priv/` or a
//! key, and never keep a secret: of a password it holds that there is one. Files are taken apart as PVE does it, so that
//! what PVE ignores is not believed here either; none of them can make it fail, or take more than its bounds.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `source`, `tree`, `api` | where it is read from |
//! | `versions`, `refresh`, `index`, `users`, `keeper` | how it is read, and kept current |
//! | [`guest`], [`storage`], [`access`], [`jobs`], … | one parser for each file of PVE's |
//! | [`volume`] | volume ids |
//! | `query`, `graph` | what is asked |
//! | [`finding`], [`part`], `seen` | what was not seen |

pub mod access;
mod api;
mod cluster;
pub mod datacenter;
pub mod finding;
pub mod firewall;
mod graph;
pub mod guest;
pub mod ha;
mod index;
pub mod jobs;
mod keeper;
pub mod mapping;
pub mod members;
pub mod part;
pub mod property;
mod query;
mod refresh;
pub mod replication;
pub mod sdn;
mod section;
mod seen;
mod source;
pub mod storage;
mod text;
mod tree;
mod users;
mod versions;
pub mod volume;

pub use api::{Api, Fetch, Refused};
pub use cluster::Cluster;
pub use graph::{Edge, Object, Why};
pub use index::Index;
pub use keeper::{Keeper, Lost};
pub use query::{Cover, Covered, FirewallUse, Lack, NetUse, OnStorage, Tie, Use, Using, Within};
pub use refresh::refresh;
pub use seen::Seen;
pub use source::{Listed, Source, Stamp, Survey, Unread};
pub use tree::Tree;
