//! The API of a Proxmox VE node as data: every endpoint, what it takes, what it needs, what it gives.
//!
//! In: the node's own `apidoc.js`, or the catalogue that is built in. Out: a [`Catalog`] that is searched, matched and
//! checked against. It must never make a call, and nothing in it is worth hiding.

mod check;
mod embedded;
pub mod find;
pub mod import;
mod model;
mod path;
mod segment;
#[cfg(test)]
mod testing;
pub mod tier;

pub use check::{Checked, Fault, Problem, Unchecked};
pub use embedded::{Release, TextError, text};
pub use model::{
    Catalog, Endpoint, Format, Kind, Method, Parameter, Permission, PropertyKey, Schema, Variant, Variants,
};
pub use path::{Match, PathError};
pub use segment::PathFault;
