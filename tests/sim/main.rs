//! The simulated cluster against what the real one was seen to do.

#[path = "../common/furnished.rs"]
mod furnished;

mod access;
mod client;
mod cluster;
mod every;
mod faults;
mod guests;
mod recorded;
mod shape;
mod tree;
mod verb;
mod wire;
