//! PVE's HTTP: what its daemons read and write on a connection, with their habits.
//!
//! Written on top of a parser and not of a server, since the habits are the point: two `Connection` headers on one
//! answer, bodies that end with the connection, reason phrases that carry the error.

pub mod connection;
pub mod listen;
pub mod request;
pub mod response;
