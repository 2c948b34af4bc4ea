//! The product as real MCP clients get it: the official SDKs and the inspector over a real OpenSSH server, every
//! protocol revision on the wire, and `provost bridge` in all that can happen to it.
//!
//! Needs what tests/container needs, and for the SDKs an OpenSSH server, node, npm and Python; what is missing fails
//! a test with its name, unless `$PROVOST_SKIP_CLIENTS` is set.

#[path = "../common/mod.rs"]
mod common;

mod bridge;
mod connection;
mod inspector;
mod reload;
mod revisions;
mod rust_sdk;
mod script;
mod sdk;
mod workstation;
