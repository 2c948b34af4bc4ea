//! The catalogue that is built in, for a node without the pve-docs package, for the tests and for the simulator.
//!
//! In: `pve.txt`, facts without prose, in lines that a reviewer can read, and the same of each other product. Out: the
//! [`Catalog`] of one release of PVE, or of another product.
//! Nothing here is read from outside of the program.
//!
//! # The lines
//!
//! ```text
//! releases 8.4 9.1 9.2
//!
//! share vmid                                        a line that stands in several places, as @vmid
//!   vmid integer format=pve-vmid min=100 max=999999999
//!
//! GET /nodes/{node}/lxc/{vmid}/config proxyto=node perm=/vms/{vmid}:VM.Audit
//!   @node
//!   ?snapshot string format=pve-configid maxlen=40  a parameter; ? may be left out
//!   @vmid
//!   <9.1,9.2> ?current boolean default=0            only in these releases
//!   returns object
//!     ?cores integer min=1 max=8192                 a property of an object
//!     ?net[n] string                                a family: net0, net1, …
//!       ,name string ~ [-_.\w\d]+                   a key of a property string; ~ a pattern, to the line's end
//!       ,?bridge string default-key
//!     ?ids array
//!       [] integer                                  an item of an array
//!     ?by-name object
//!       {} string                                   what stands behind any name of an object
//!     ?area by=protocol                             depends on another parameter
//!       | ospf ?string                              what it is for which values of that
//! ```
//!
//! `cargo run --example catalogue -- 8.4=FILE 9.1=FILE 9.2=FILE` makes the text from the files of nodes, and
//! `cargo run --example catalogue -- backup 2026-10=FILE` that of another product.

mod line;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use thiserror::Error;

pub(super) use read::parameters;
pub use write::text;

use crate::product::Product;

use super::{Catalog, Endpoint, Format, Parameter, Permission, PropertyKey, Schema};

/// What is built in.
const TEXT: &str = include_str!("pve.txt");

/// Of the other products: paths, methods, and the names and kinds of parameters.
const fn of(product: Product) -> &'static str {
    match product {
        Product::Pve => TEXT,
        Product::Backup => include_str!("backup.txt"),
        Product::Mail => include_str!("mail.txt"),
        Product::Datacenter => include_str!("datacenter.txt"),
    }
}

/// When the other products' descriptions were taken down.
const TAKEN: &str = "2026-10";

/// A catalogue that is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    Pve(Release),
    Other(Product),
}

impl Edition {
    /// The newest of a product.
    #[must_use]
    pub fn of(product: Product) -> Self {
        match product {
            Product::Pve => Self::Pve(Release::LATEST),
            other => Self::Other(other),
        }
    }

    #[must_use]
    pub fn product(self) -> Product {
        match self {
            Self::Pve(_) => Product::Pve,
            Self::Other(product) => product,
        }
    }
}

impl From<Release> for Edition {
    fn from(release: Release) -> Self {
        Self::Pve(release)
    }
}

impl std::fmt::Display for Edition {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pve(release) => release.fmt(to),
            Self::Other(product) => write!(to, "{product} as of {TAKEN}"),
        }
    }
}

/// A release of PVE, as its package's version begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Release {
    V8_4,
    V9_1,
    V9_2,
}

impl std::fmt::Display for Release {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(match self {
            Self::V8_4 => "PVE 8.4",
            Self::V9_1 => "PVE 9.1",
            Self::V9_2 => "PVE 9.2",
        })
    }
}

impl Release {
    pub const ALL: [Self; 3] = [Self::V8_4, Self::V9_1, Self::V9_2];
    pub const LATEST: Self = Self::V9_2;

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V8_4 => "8.4",
            Self::V9_1 => "9.1",
            Self::V9_2 => "9.2",
        }
    }

    /// The release that is built in for a version such as `9.1.6`: itself, or the next older one.
    #[must_use]
    pub fn for_version(version: &str) -> Self {
        let mut parts = version.split(['.', '-', '~', '+']).map(|part| part.parse::<u32>().unwrap_or(0));
        let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        match version {
            (..=8, _) => Self::V8_4,
            (9, ..=1) => Self::V9_1,
            _ => Self::V9_2,
        }
    }
}

/// A text that is none of ours. What is built in has been read by the tests.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("line {line}: {problem}")]
pub struct TextError {
    pub line: usize,
    pub problem: String,
}

impl Catalog {
    /// The catalogue that is built in.
    #[must_use]
    pub fn embedded(release: Release) -> Self {
        // The tests read every release of it.
        Self::from_text(TEXT, release.name()).unwrap_or_default()
    }

    /// The catalogue of any product that is built in.
    #[must_use]
    pub fn built_in(edition: impl Into<Edition>) -> Self {
        match edition.into() {
            Edition::Pve(release) => Self::embedded(release),
            Edition::Other(product) => {
                Self::from_text(of(product), TAKEN).unwrap_or_default().of_product(product)
            }
        }
    }

    /// As facts that name no permission and no other parameter have it: who may call is the call's own to check, and nothing
    /// but what is named is taken.
    #[must_use]
    pub fn of_bare_facts(&self, product: Product) -> Self {
        let bare = |endpoint: &Endpoint| Endpoint {
            permission: Permission::Described(String::new()),
            additional: false,
            ..endpoint.clone()
        };
        Self::new(self.endpoints().iter().map(bare).collect()).of_product(product)
    }

    /// One release of a text as [`text`] makes it.
    ///
    /// # Errors
    ///
    /// When a line says nothing, or the text does not have that release.
    pub fn from_text(text: &str, release: &str) -> Result<Self, TextError> {
        read::catalog(text, release)
    }

    /// With `proxyto` as an older release had it, if this one's source leaves it out of every endpoint, as one that has
    /// an endpoint a line may. A new endpoint of a node is taken to be answered there.
    #[must_use]
    pub fn completed_from(&self, older: &Self) -> Self {
        if self.endpoints().iter().any(|endpoint| endpoint.proxyto.is_some()) {
            return self.clone();
        }
        let complete = |endpoint: &Endpoint| Endpoint {
            proxyto: match older.template(endpoint.method, &endpoint.path) {
                Some(older) => older.proxyto.clone(),
                None => endpoint.path.starts_with("/nodes/{node}/").then(|| "node".to_owned()),
            },
            ..endpoint.clone()
        };
        Self::new(self.endpoints().iter().map(complete).collect())
    }

    /// Without what PVE's authors wrote for people.
    #[must_use]
    pub fn without_prose(&self) -> Self {
        let endpoints = self.endpoints().iter().map(|endpoint| Endpoint {
            description: String::new(),
            permission: match &endpoint.permission {
                Permission::Root => Permission::Root,
                Permission::World => Permission::World,
                Permission::All { .. } => Permission::All { description: String::new() },
                Permission::Check { check, .. } => {
                    Permission::Check { check: check.clone(), description: String::new() }
                }
                Permission::Described(_) => Permission::Described(String::new()),
            },
            parameters: endpoint
                .parameters
                .iter()
                .map(|parameter| Arc::new(plain_parameter(parameter)))
                .collect(),
            returns: Arc::new(plain(&endpoint.returns)),
            ..endpoint.clone()
        });
        Self::new(endpoints.collect())
    }
}

fn plain_parameter(parameter: &Parameter) -> Parameter {
    let mut plainer = parameter.clone();
    plainer.schema = plain(&plainer.schema);
    for case in plainer.variants.iter_mut().flat_map(|variants| &mut variants.cases) {
        case.schema = plain(&case.schema);
    }
    plainer
}

fn plain(schema: &Schema) -> Schema {
    // What PVE does by default is a word; what has spaces tells people about it.
    let is_word = |value: &serde_json::Value| !value.as_str().is_some_and(|text| text.contains(' '));
    Schema {
        description: String::new(),
        default: schema.default.clone().filter(is_word),
        format: schema.format.as_ref().map(|format| match format {
            Format::Named(name) => Format::Named(name.clone()),
            Format::Properties(keys) => Format::Properties(
                keys.iter()
                    .map(|key| PropertyKey { parameter: plain_parameter(&key.parameter), ..key.clone() })
                    .collect(),
            ),
        }),
        items: schema.items.as_deref().map(|items| Box::new(plain(items))),
        properties: schema.properties.iter().map(plain_parameter).collect(),
        values: schema.values.as_deref().map(|values| Box::new(plain(values))),
        ..schema.clone()
    }
}
