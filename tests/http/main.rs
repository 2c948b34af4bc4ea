//! The HTTP door, on a daemon beside a simulated cluster: who gets in, by which token, how slowly and from where; and that what
//! they may do is the same as by the other doors.
//!
//! Needs neither root nor a container.

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "other suites use the rest")]
#[path = "../read/site.rs"]
mod daemon;

mod a2a;
mod clients;
mod doors;
mod limits;
mod origins;
mod place;
mod state;
mod tokens;
mod web;
