//! The simulated cluster against what the real one was seen to do.

mod client;
mod recorded;
mod shape;
