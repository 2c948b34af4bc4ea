//! Plan, apply and undo against a simulated cluster: what a plan says, that it is applied once and as planned, that it is
//! taken back whole, and that what became of it is never lost.

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "other suites use the rest")]
#[path = "../read/site.rs"]
mod daemon;

mod announced;
mod depends;
mod dialog;
mod doors;
mod every;
mod house;
mod jobs;
mod killed;
mod lasting;
mod profiles;
mod property;
mod races;
mod restore;
mod secrets;
mod served;
mod since;
mod site;
mod steps;
mod taint;
mod tokens;
mod worlds;
