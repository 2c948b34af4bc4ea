//! The API of a Proxmox VE node as data: every endpoint, what it takes, what it needs, what it gives.
//!
//! In: the node's own `apidoc.js`, or the catalogue that is built in. Out: a [`Catalog`] that is searched, matched and
//! checked against. It must never make a call, and nothing in it is worth hiding.

mod cache;
mod check;
mod embedded;
pub mod import;
mod model;
mod path;
mod script;
mod segment;
mod source;
#[cfg(test)]
mod testing;

pub use cache::Cache;
pub use check::{Checked, Fault, Problem, Unchecked};
pub use embedded::{Release, TextError, text};
pub use model::{
    Catalog, Endpoint, Format, Kind, Method, Parameter, Permission, PropertyKey, Schema, Variant, Variants,
};
pub use path::{Match, PathError};
pub use segment::PathFault;
pub use source::{Identity, Loaded, Origin, Source, SourceError};
