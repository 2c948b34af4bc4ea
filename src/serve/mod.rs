//! Transports: who connects, as whom, and one bounded MCP session each.
//!
//! In: connections to the unix socket, to the vsock port from virtual machines, and over HTTP. Out: sessions of [`crate::tools`] with the
//! principal that the kernel reports, or whose token was shown.
//! It must never take a word of the client's for who it is.

pub mod control;
mod crowd;
mod handed;
mod http;
pub(crate) mod lines;
mod room;
mod session;
mod stream;
mod transport;
pub(crate) mod unique;
mod unix;
mod vsock;

pub use http::Face;
pub use unix::{ListenError, Listening, listen};
