//! Commands in containers and, where the operator lets them, on the node itself: the wire between `provostd` and `provost-execd`, and both of its ends.
//!
//! [`wire`] is what crosses it; [`client`] is `provostd`'s end, which speaks for a principal that policy has passed;
//! [`keeper`] is `provost-execd`'s, which believes nothing of that and holds its own list.

#[cfg(feature = "agent")]
pub mod client;
pub mod guest;
#[cfg(feature = "execd")]
pub mod keeper;
pub mod wire;
