//! The client of a Proxmox VE node's REST API, on loopback.
//!
//! In: a [`Read`] or a [`Write`], whose path and values were made safe when they were built. Out: an [`Answer`], or a
//! [`PveError`] that says what was asked, of whom, what was answered and what to do. It must never send a write twice or
//! lose one in silence, never give the token to anybody but the daemon that was meant, and never print it.
//!
//! This node's own methods go to `pvedaemon` on port 85, the rest to `pveproxy` on 8006:
//!
//! | file | what it holds |
//! | --- | --- |
//! | `call`, `path` | what may be asked: where, and with what values |
//! | `client` | which daemon is asked, and how often |
//! | `daemon` | one daemon: turns, circuit, one exchange |
//! | `circuit` | a daemon that does not answer is left alone for a while |
//! | `pool`, `connection`, `wire` | kept connections, and the proof of what left on them |
//! | `head` | the first line of an answer, in which a guest may be quoted |
//! | `address`, `tls`, `token`, `watched`, `local` | whom we talk to, as whom, and where we are |
//! | `sink` | who takes an answer's body, and in how much memory |
//! | `answer`, `refusal`, `error`, `loose` | what came back |
//! | `upid`, `task` | long work |
//! | `knock` | whether a daemon is there at all, for `provost doctor` |

mod address;
mod answer;
mod call;
mod circuit;
mod client;
mod connection;
mod daemon;
mod error;
mod head;
mod knock;
mod local;
pub mod loose;
mod path;
mod pool;
mod refusal;
mod sink;
pub mod surrogates;
pub mod task;
mod tls;
mod token;
mod upid;
mod watched;
mod wire;

pub use crate::http::Method;
pub use address::{Address, AddressError};
pub use answer::{Accepted, Answer, Envelope, misfit};
pub use call::{CallError, Once, Path, Read, Rehearsal, Write};
pub use client::{Client, Limits, Methods, Options};
pub use error::PveError;
pub use knock::{Shut, knock};
pub use local::here;
pub use refusal::{Failure, Forbidden, Privileges};
pub use sink::{Held, Overfull, Room, Sink, Text};
pub use tls::CertificateError;
pub use token::TokenError;
pub use upid::{Upid, UpidError};

#[cfg(test)]
mod tests;
