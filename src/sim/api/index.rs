//! The indices of the tree: `GET /nodes/{node}` lists what there is below a node. Made from the catalogue, with the
//! exceptions of PVE's own lists.

use serde_json::{Value, json};

use crate::catalog::{Catalog, Endpoint, Kind, Method};

struct Exception {
    path: &'static str,
    /// The rows' key, where the schema does not say it.
    key: &'static str,
    without: &'static [&'static str],
    with: &'static [&'static str],
}

const fn but(path: &'static str, key: &'static str, without: &'static [&'static str]) -> Exception {
    Exception { path, key, without, with: &[] }
}

const EXCEPTIONS: &[Exception] = &[
    but("/access", "subdir", &["permissions", "vncticket"]),
    but("/cluster/sdn", "id", &["rollback", "prefix-lists", "lock", "dry-run", "route-maps"]),
    but("/nodes/{node}", "name", &["execute", "vncwebsocket"]),
    but("/nodes/{node}/lxc/{vmid}/firewall", "name", &["log"]),
    but("/nodes/{node}/qemu/{vmid}/firewall", "name", &["log"]),
    but("/nodes/{node}/qemu/{vmid}/status", "subdir", &["resume"]),
    but("/nodes/{node}/lxc/{vmid}/snapshot/{snapname}", "cmd", &[]),
    but("/nodes/{node}/qemu/{vmid}/snapshot/{snapname}", "cmd", &[]),
    but(
        "/nodes/{node}/lxc/{vmid}",
        "subdir",
        &["move_volume", "remote_migrate", "feature", "template", "mtunnel", "mtunnelwebsocket"],
    ),
    Exception {
        path: "/nodes/{node}/lxc/{vmid}/status",
        key: "subdir",
        without: &["suspend", "resume"],
        with: &["migrate"],
    },
    Exception {
        path: "/nodes/{node}/qemu/{vmid}",
        key: "subdir",
        without: &[
            "clone",
            "vncwebsocket",
            "feature",
            "move_disk",
            "dbus-vmstate",
            "template",
            "mtunnelwebsocket",
        ],
        with: &["move"],
    },
];

/// What `GET /` lists, which PVE's description does not have.
pub fn root(catalog: &Catalog) -> Value {
    let mut names: Vec<&str> = Vec::new();
    for endpoint in catalog.endpoints() {
        let name = endpoint.path.split('/').nth(1).unwrap_or_default();
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names.into_iter().map(|name| json!({ "subdir": name })).collect()
}

/// The rows, if this endpoint is an index.
pub fn rows(catalog: &Catalog, endpoint: &Endpoint) -> Option<Value> {
    if endpoint.method != Method::Get || endpoint.returns.kind != Kind::Array {
        return None;
    }
    let properties = endpoint.returns.items.as_ref().map_or(&[][..], |items| &items.properties);
    if properties.len() > 1 {
        return None;
    }
    let mut names: Vec<&str> = Vec::new();
    let prefix = if endpoint.path == "/" { "" } else { &endpoint.path };
    for other in catalog.endpoints() {
        let Some(below) = other.path.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')) else {
            continue;
        };
        let name = below.split('/').next().unwrap_or_default();
        if name.starts_with('{') {
            return None;
        }
        if !name.is_empty() && names.last() != Some(&name) && !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return None;
    }
    let exception = EXCEPTIONS.iter().find(|exception| exception.path == endpoint.path);
    let key = exception.map(|exception| exception.key);
    let key = key.or_else(|| properties.first().map(|property| property.name.as_str())).unwrap_or("name");
    if let Some(exception) = exception {
        names.retain(|name| !exception.without.contains(name));
        names.extend(exception.with);
    }
    Some(names.into_iter().map(|name| json!({ key: name })).collect())
}
