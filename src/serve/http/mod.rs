//! The HTTP door: MCP (Streamable HTTP), OpenAPI, A2A, health and metrics, for whoever shows a token.
//!
//! In: connections to `[listen] http`, through the service manager's socket (`provost-http.socket`) or one of our own: a unix
//! path, or loopback. Out: calls of [`crate::tools`], the same as come by the other doors, whose principal is the token that
//! was shown ([`crate::policy::token`]). Nothing of this is made where `[listen] http` is not set.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`place`] | where it listens |
//! | [`connection`] | how many may come, and how slowly |
//! | [`origin`] | from where a browser may ask, and by which name |
//! | [`route`] | what is answered where |
//! | [`body`] | a request's body, bounded, and an answer's, cut when its token ends |
//! | [`callers`] | who shows which token, with their sessions |
//! | [`sessions`] | which of those are in use |
//! | [`kept`] | what was said in them, for who was cut off |
//! | [`message`] | what is no message of MCP's |
//! | [`unique`] | JSON in which no key stands twice |
//! | [`one`] | one call of a tool, whatever its envelope |
//! | [`tools`] | a tool called by a plain POST |
//! | [`openapi`] | what such a POST takes and gives |
//! | [`a2a`] | another agent's messages and tasks |
//! | [`token`] | a token renewed by its holder |
//!
//! It must never take a name, a cookie or an address for who asks.

mod a2a;
mod answer;
mod body;
mod callers;
mod connection;
mod kept;
mod message;
mod metrics;
mod one;
mod openapi;
mod origin;
mod place;
mod route;
mod sessions;
mod token;
mod tools;

use std::sync::Arc;

pub use place::Http;
use rmcp::handler::server::ServerHandler;

use self::origin::Allowed;
use super::room::Room;
use crate::config::Listen;
use crate::tools::{Provost, Session};

/// What answers MCP here, made of the session of whoever showed a token: that session itself; another only where the door is
/// tried with what Provost has not (tests/http/made-up).
pub trait Face: ServerHandler + From<Session> {}

impl<F: ServerHandler + From<Session>> Face for F {}

/// What every connection shares, beside [`callers::Callers`].
struct Door {
    provost: Arc<Provost>,
    room: Arc<Room>,
    allowed: Allowed,
    /// Requests that were turned away before it was known whose they are.
    crowd: std::sync::Mutex<super::crowd::Crowd>,
}

impl Door {
    fn new(config: &Listen, provost: Arc<Provost>, room: Arc<Room>) -> Self {
        provost.meter();
        Self { allowed: Allowed::of(config), crowd: Default::default(), provost, room }
    }

    /// As tokens name this node: by its ledger, which may become readable only later.
    fn audience(&self) -> String {
        super::control::audience(&self.provost.desk.ledger)
    }
}
