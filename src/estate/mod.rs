//! What exists and what depends on what.

pub mod access;
mod cluster;
pub mod datacenter;
pub mod finding;
pub mod firewall;
pub mod guest;
pub mod ha;
mod index;
pub mod jobs;
pub mod mapping;
pub mod members;
pub mod part;
mod property;
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
mod versions;
pub mod volume;

pub use cluster::Cluster;
pub use index::Index;
pub use query::{Cover, Covered, FirewallUse, Lack, NetUse, OnStorage, Tie, Use, Using, Within};
pub use refresh::refresh;
pub use seen::Seen;
pub use source::{Listed, Source, Stamp, Survey, Unread};
pub use tree::Tree;
