//! `read` and what stands on it, through the daemon's socket, against a simulated cluster.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/furnished.rs"]
mod furnished;

mod bad_input;
mod every_get;
mod faults;
mod resources;
mod revoked;
mod rows;
mod scope;
mod site;
mod tasks;
mod verdict;
