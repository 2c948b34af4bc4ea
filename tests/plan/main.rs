//! Plan, apply and undo against a simulated cluster: what a plan says, that it is applied once and as planned, that it is
//! taken back whole, and that what became of it is never lost.

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "other suites use the rest")]
#[path = "../read/site.rs"]
mod daemon;

mod depends;
mod every;
mod jobs;
mod lasting;
mod property;
mod races;
mod restore;
mod secrets;
mod served;
mod site;
