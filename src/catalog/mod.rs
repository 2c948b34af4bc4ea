//! The API of a Proxmox VE node, or of a host of another product, as data: every endpoint, what it takes, what it needs, what it gives.
//!
//! In: the node's own `apidoc.js`, or the catalogue that is built in. Out: a [`Catalog`] that is searched, matched and
//! checked against. It must never make a call, and nothing in it is worth hiding.
//!
//! | file | what it does |
//! | --- | --- |
//! | `model` | the words: endpoint, parameter, schema, permission |
//! | `import` | the node's `apidoc.js` to a catalogue; `script` writes one, for a simulated node |
//! | `embedded` | the catalogue that is built in, as text; `cargo run --example catalogue` makes it anew |
//! | `source`, `cache` | which of them is current, and what is kept for the next start |
//! | `path`, `segment` | a concrete path to its endpoint and back |
//! | `list` | names in a text, as PVE takes them apart |
//! | `check` | parameters against schemas; a [`Checked`] is the only thing that can be sent |
//! | `tier`, `scope` | tables: how far a call can reach, and where an answer names guests |

mod cache;
mod check;
mod embedded;
pub mod find;
pub mod import;
mod list;
mod model;
mod path;
mod privileges;
pub mod recipe;
pub mod scope;
mod script;
mod segment;
mod source;
#[cfg(test)]
pub(crate) mod testing;
pub mod tier;

pub use crate::http::Method;
pub use cache::Cache;
#[cfg(test)]
pub(crate) use check::tests::required;
pub use check::{Checked, Fault, Problem, Unchecked};
pub use embedded::{Edition, Release, TextError, text};
pub use list::list;
pub use model::{
    Catalog, Endpoint, Format, Kind, Parameter, Permission, PropertyKey, Schema, Variant, Variants,
};
pub use path::{Match, PathError};
pub use segment::PathFault;
pub use source::{Foreseen, Identity, Loaded, Origin, Source, SourceError};
