//! Transports: who connects, as whom, and one bounded MCP session each.
//!
//! In: connections to the unix socket, and to the vsock port from virtual machines. Out: sessions of [`crate::tools`] with the principal that the kernel
//! reports.
//! It must never take a word of the client's for who it is.

pub mod control;
mod crowd;
mod lines;
mod room;
mod session;
mod stream;
mod transport;
mod unix;
mod vsock;

pub use unix::{ListenError, Listening, listen};
