//! What a plan asks of the estate. Each answer says what it could not look at.

mod access;
mod backup;
mod firewall;
mod network;
mod place;
mod scope;
mod storage;

pub use backup::{Cover, Covered};
pub use firewall::{FirewallUse, Within};
pub use network::NetUse;
pub use place::{Lack, Tie};
pub use storage::{OnStorage, Use, Using};
