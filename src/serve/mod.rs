//! Transports: who connects, as whom, and one bounded MCP session each.
//!
//! In: connections to the unix socket. Out: sessions of [`crate::tools`] with the principal that the kernel reports.
//! It must never take a word of the client's for who it is.

pub mod control;
mod lines;
mod room;
mod session;
mod transport;
mod unix;

pub use unix::{ListenError, Listening, listen};
