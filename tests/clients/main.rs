//! The product as real MCP clients get it: the official SDKs and the inspector over a real OpenSSH server and against a
//! simulated cluster, every protocol revision on the wire, and `provost bridge` in all that can happen to it.
//!
//! Needs what tests/container needs (`api` does not), and for the SDKs an OpenSSH server, node, npm and Python; what is
//! missing fails a test with its name, unless `$PROVOST_SKIP_CLIENTS` is set.

#[path = "../common/mod.rs"]
mod common;

#[path = "../read/site.rs"]
#[allow(dead_code, reason = "each test program uses its own part")]
mod site;

mod a2a;
mod api;
mod bridge;
mod connection;
mod http;
mod inspector;
mod reload;
mod revisions;
mod rust_sdk;
mod script;
mod sdk;
mod workstation;
