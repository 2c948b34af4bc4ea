//! The simulated cluster against what the real one was seen to do.

mod client;
mod faults;
mod recorded;
mod shape;
mod wire;
