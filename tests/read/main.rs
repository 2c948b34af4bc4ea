//! `read` and what stands on it, through the daemon's socket, against a simulated cluster.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/furnished.rs"]
mod furnished;

mod apidoc;
mod bad_input;
mod every_get;
mod faults;
mod resources;
mod revoked;
mod rows;
mod scope;
mod scope_whole;
#[allow(dead_code, reason = "other suites use the rest")]
mod site;
mod tasks;
mod tools;
mod verdict;
