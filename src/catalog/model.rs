//! What an endpoint is, in the words of PVE's own JSON schema.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::path::Index;
use crate::http::Method;
use crate::product::Product;

/// Every endpoint of one product in one version.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    endpoints: Vec<Endpoint>,
    pub(super) index: Index,
}

impl Catalog {
    /// Of two endpoints with one method and path, the first counts.
    #[must_use]
    pub fn new(mut endpoints: Vec<Endpoint>) -> Self {
        endpoints.sort_by(|a, b| (&a.path, a.method).cmp(&(&b.path, b.method)));
        endpoints.dedup_by(|b, a| (&a.path, a.method) == (&b.path, b.method));
        let index = Index::new(&endpoints);
        Self { endpoints, index }
    }

    /// The same as another product's. What is read from a file is taken for Proxmox VE's until it is said whose it is.
    #[must_use]
    pub fn of_product(self, product: Product) -> Self {
        // Only Proxmox VE has calls that no token may make.
        let all_tokens = product != Product::Pve;
        let of = |endpoint: Endpoint| Endpoint {
            product,
            allowtoken: endpoint.allowtoken || all_tokens,
            ..endpoint
        };
        Self { endpoints: self.endpoints.into_iter().map(of).collect(), index: self.index }
    }

    /// Whose API it is.
    #[must_use]
    pub fn product(&self) -> Product {
        self.endpoints.first().map(|endpoint| endpoint.product).unwrap_or_default()
    }

    /// In the order of path, then method.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }
}

impl PartialEq for Catalog {
    fn eq(&self, other: &Self) -> bool {
        self.endpoints == other.endpoints
    }
}

/// One method of one path.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Whose it is: tables of several products have rows for one path.
    pub product: Product,
    pub method: Method,
    /// With its parameters in braces: `/nodes/{node}/lxc/{vmid}/config`.
    pub path: String,
    /// PVE's own prose, from the node's copy; empty in the catalogue that is built in.
    pub description: String,
    /// Runs in `pvedaemon` as root: pveproxy forwards it there.
    pub protected: bool,
    /// The parameter that names the node which answers, if that need not be this one.
    pub proxyto: Option<String>,
    /// Whether an API token may call it at all.
    pub allowtoken: bool,
    pub permission: Permission,
    /// In the order of their names, those of the path included.
    pub parameters: Vec<Arc<Parameter>>,
    /// Whether names that are not in `parameters` are taken too.
    pub additional: bool,
    pub returns: Arc<Schema>,
}

/// Who may call it, as PVE checks it. `/vms/{vmid}` and the like name parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Permission {
    /// Only `root@pam`: PVE's schema says nothing.
    Root,
    /// Anybody, even without a login.
    World,
    /// Anybody who has logged in; the method itself cuts what it shows, or checks more, as `description` says.
    All { description: String },
    /// PVE's check expression as it stands: `["perm", "/vms/{vmid}", ["VM.Audit"]]`, `["or", …]`, `["and", …]`,
    /// `["userid-group", …]`, `["perm-modify", "{path}"]`.
    Check {
        #[serde(with = "json_text")]
        check: serde_json::Value,
        description: String,
    },
    /// Only prose says who.
    Described(String),
}

/// A named value of an endpoint, of an object, or of a property string.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Without the `[n]` of a family.
    pub name: String,
    /// Stands for `net0`, `net1`, …: PVE writes `net[n]`.
    pub family: bool,
    pub optional: bool,
    /// The parameter that must be given beside this one.
    pub requires: Option<String>,
    pub schema: Schema,
    /// What it must be for which value of another parameter. `schema` is then the first case's, and `optional` says
    /// whether it may be left out in any of them.
    pub variants: Option<Box<Variants>>,
}

/// A parameter of which another one decides what it may be, or whether it may be: `area` of an SDN fabric goes with
/// `protocol=ospf` alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variants {
    /// The deciding parameter, of the same object.
    pub property: String,
    pub cases: Vec<Variant>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// Of the deciding parameter.
    pub values: Vec<String>,
    pub optional: bool,
    pub schema: Schema,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub enum Kind {
    #[default]
    Any,
    Null,
    String,
    Integer,
    Number,
    Boolean,
    Array,
    Object,
}

/// What a value may be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Schema {
    pub kind: Kind,
    /// PVE's own prose; empty in the catalogue that is built in.
    pub description: String,
    pub choices: Vec<String>,
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub min_length: Option<u32>,
    pub max_length: Option<u32>,
    /// A Perl regular expression, which PVE anchors at both ends.
    pub pattern: Option<String>,
    pub format: Option<Format>,
    /// A string or a number.
    #[serde(with = "json_text")]
    pub default: Option<serde_json::Value>,
    /// Of an array.
    pub items: Option<Box<Schema>>,
    /// Of an object, in the order of their names.
    pub properties: Vec<Parameter>,
    /// Of an object whose names nobody knows beforehand: what stands behind each.
    pub values: Option<Box<Schema>>,
}

/// JSON within a format that has no values without a type: as its text.
mod json_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, de::DeserializeOwned, ser};

    pub fn serialize<T: Serialize, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        serde_json::to_string(value).map_err(ser::Error::custom)?.serialize(to)
    }

    pub fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        serde_json::from_str(&text).map_err(de::Error::custom)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Format {
    /// `pve-vmid`, `dns-name`, `pve-storage-id-list`: checked by name.
    Named(String),
    /// A property string: `virtio,bridge=vmbr0,tag=5`.
    Properties(Vec<PropertyKey>),
}

/// One key of a property string.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PropertyKey {
    pub parameter: Parameter,
    /// May stand without its name: the `virtio` of `virtio,bridge=vmbr0`.
    pub is_default: bool,
    /// Stands for another key.
    pub alias: Option<String>,
    /// The key that takes this one's name as its value: `virtio=AA:BB:…` means `model=virtio,macaddr=AA:BB:…`.
    pub key_alias: Option<String>,
}
