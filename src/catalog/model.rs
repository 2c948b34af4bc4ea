//! What an endpoint is, in the words of PVE's own JSON schema.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Every endpoint of one product in one version.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// In the order of path, then method.
    pub endpoints: Vec<Endpoint>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

/// One method of one path.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
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
    /// By name, those of the path included.
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
    Check { check: serde_json::Value, description: String },
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
    pub optional: bool,
    pub choices: Vec<String>,
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub min_length: Option<u32>,
    pub max_length: Option<u32>,
    /// A Perl regular expression, which PVE anchors at both ends.
    pub pattern: Option<String>,
    pub format: Option<Format>,
    pub default: Option<serde_json::Value>,
    /// Of an array.
    pub items: Option<Box<Schema>>,
    /// Of an object.
    pub properties: Vec<Parameter>,
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
