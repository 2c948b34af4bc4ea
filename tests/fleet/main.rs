//! `provost connect` before many nodes: five daemons, two of them of one cluster, each behind an OpenSSH server of its own
//! on loopback; and hosts that lie, flood, hang or are gone.
//!
//! Needs no container and no root: OpenSSH's server and client, of which each test makes its own keys and configuration.

#[path = "../common/mod.rs"]
mod common;

#[path = "../read/site.rs"]
#[allow(dead_code, reason = "each test program uses its own part")]
mod site;

#[path = "../siblings/house.rs"]
#[allow(dead_code, reason = "each test program uses its own part")]
mod house;

mod check;
mod doubt;
mod down;
mod fake;
mod hostile;
mod machines;
mod many;
mod passing;
mod routing;
mod storm;
