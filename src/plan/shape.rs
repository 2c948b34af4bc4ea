//! What kind of change a call is, read off the catalogue: it sets what a GET shows, makes a thing that a DELETE removes,
//! removes one, or acts.

use crate::catalog::{Catalog, Endpoint, Method};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// Fields of what `shown` gives are set.
    Set {
        shown: String,
    },
    /// A thing is made in the list at the path; `item` is its own path, `key` what names it there.
    Create {
        item: String,
        key: String,
    },
    /// What `shown` gives is removed; it may be that nothing shows it.
    Remove {
        shown: Option<String>,
    },
    Act,
}

/// Calls whose shape the catalogue does not tell. `{kind}` is lxc and qemu.
const OTHERS: &[(&str, &str)] = &[
    ("POST /nodes/{node}/qemu/{vmid}/config", "set /nodes/{node}/qemu/{vmid}/config"),
    ("POST /nodes/{node}/hosts", "set /nodes/{node}/hosts"),
    ("PUT /pools", "act"),
    ("PUT /pools/{poolid}", "act"),
    ("PUT /access/acl", "act"),
    ("PUT /cluster/sdn", "act"),
    ("PUT /cluster/ceph/flags", "act"),
    ("PUT /cluster/ceph/flags/{flag}", "act"),
    ("PUT /nodes/{node}/network", "act"),
    ("PUT /nodes/{node}/apt/repositories", "act"),
    ("PUT /nodes/{node}/subscription", "act"),
    ("PUT /nodes/{node}/qemu/{vmid}/cloudinit", "act"),
    ("POST /cluster/config/nodes/{node}", "act"),
    ("POST /nodes/{node}/storage/{storage}/content/{volume}", "act"),
    ("POST /cluster/sdn/vnets/{vnet}/subnets", "act"),
    ("DELETE /nodes/{node}/{kind}/{vmid}", "remove /nodes/{node}/{kind}/{vmid}/config"),
    (
        "DELETE /nodes/{node}/{kind}/{vmid}/snapshot/{snapname}",
        "remove /nodes/{node}/{kind}/{vmid}/snapshot/{snapname}/config",
    ),
    ("DELETE /nodes/{node}/tasks/{upid}", "remove /nodes/{node}/tasks/{upid}/status"),
    ("DELETE /cluster/sdn/vnets/{vnet}/ips", "act"),
    ("DELETE /cluster/sdn/lock", "act"),
    ("DELETE /nodes/{node}/network", "act"),
];

/// `{kind}` written out, as the given template has it.
fn fits(pattern: &str, endpoint: &str) -> Option<&'static str> {
    ["qemu", "lxc"].into_iter().find(|kind| pattern.replace("{kind}", kind) == endpoint)
}

pub fn of(catalog: &Catalog, endpoint: &Endpoint) -> Shape {
    let (method, path) = (endpoint.method, endpoint.path.as_str());
    let name = format!("{method} {path}");
    if let Some((said, kind)) = OTHERS.iter().find_map(|(pattern, said)| Some((said, fits(pattern, &name)?)))
    {
        return match said.split_once(' ') {
            Some(("set", shown)) => Shape::Set { shown: shown.to_owned() },
            Some((_, shown)) => Shape::Remove { shown: Some(shown.replace("{kind}", kind)) },
            None => Shape::Act,
        };
    }
    let has = |method, path: &str| catalog.template(method, path).is_some();
    match method {
        Method::Put if has(Method::Get, path) => Shape::Set { shown: path.to_owned() },
        Method::Delete => Shape::Remove { shown: has(Method::Get, path).then(|| path.to_owned()) },
        Method::Post => create(catalog, endpoint).unwrap_or(Shape::Act),
        _ => Shape::Act,
    }
}

fn create(catalog: &Catalog, endpoint: &Endpoint) -> Option<Shape> {
    let path = endpoint.path.as_str();
    let last = |path: &str| {
        let (_, last) = path.rsplit_once('/')?;
        Some(last.strip_prefix('{')?.strip_suffix('}')?.to_owned())
    };
    // Its own name in the path: `POST /cluster/metrics/server/{id}`.
    if let (Some(key), Some(_)) = (last(path), catalog.template(Method::Delete, path)) {
        let list = path.rsplit_once('/').map_or("", |(list, _)| list);
        // A group of rules is itself one of a list, and a list of rules.
        if child(catalog, path).is_none() && !list.is_empty() {
            return Some(Shape::Create { item: path.to_owned(), key });
        }
    }
    let item = child(catalog, path)?;
    let key = last(&item)?;
    endpoint.parameter(&key)?;
    Some(Shape::Create { item, key })
}

/// The items of a list, where they can be removed: `/pools/{poolid}` of `/pools`.
fn child(catalog: &Catalog, path: &str) -> Option<String> {
    let below = |other: &&Endpoint| {
        other.method == Method::Delete
            && other
                .path
                .strip_prefix(path)
                .and_then(|rest| rest.strip_prefix("/{"))
                .is_some_and(|rest| rest.ends_with('}') && !rest.contains('/'))
    };
    catalog.endpoints().iter().find(below).map(|other| other.path.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Release;

    #[test]
    fn shapes_are_read_off_the_catalogue() {
        let catalog = Catalog::embedded(Release::LATEST);
        let shape = |method, path: &str| of(&catalog, catalog.template(method, path).unwrap());
        let create = |item: &str, key: &str| Shape::Create { item: item.into(), key: key.into() };
        assert_eq!(shape(Method::Post, "/pools"), create("/pools/{poolid}", "poolid"));
        assert_eq!(
            shape(Method::Post, "/cluster/firewall/groups/{group}"),
            create("/cluster/firewall/groups/{group}/{pos}", "pos")
        );
        assert_eq!(
            shape(Method::Post, "/cluster/metrics/server/{id}"),
            create("/cluster/metrics/server/{id}", "id")
        );
        assert_eq!(
            shape(Method::Post, "/nodes/{node}/lxc/{vmid}/snapshot"),
            create("/nodes/{node}/lxc/{vmid}/snapshot/{snapname}", "snapname")
        );
        assert_eq!(shape(Method::Post, "/access/tfa/{userid}"), Shape::Act);
        assert_eq!(shape(Method::Post, "/nodes/{node}/lxc/{vmid}/status/start"), Shape::Act);
        assert_eq!(
            shape(Method::Delete, "/nodes/{node}/lxc/{vmid}"),
            Shape::Remove { shown: Some("/nodes/{node}/lxc/{vmid}/config".into()) }
        );
    }

    #[test]
    fn each_exception_is_an_endpoint_of_some_release() {
        let catalogs = Release::ALL.map(Catalog::embedded);
        for (name, _) in OTHERS {
            let (method, path) = name.split_once(' ').unwrap();
            let method = Method::from_name(method).unwrap();
            let path = path.replace("{kind}", "qemu");
            assert!(catalogs.iter().any(|catalog| catalog.template(method, &path).is_some()), "{name}");
        }
    }
}
