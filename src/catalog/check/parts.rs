//! A property string taken apart: `virtio=BC:…,bridge=vmbr0` says model, macaddr and bridge.

use std::collections::BTreeMap;

use super::property::keys;
use crate::catalog::Parameter;

impl Parameter {
    /// The parts of a value by their keys, whichever way they are written; none where the value is no property string.
    /// What has no key that is known stands under its own name.
    #[must_use]
    pub fn parts(&self, text: &str) -> Option<BTreeMap<String, String>> {
        let keys = keys(&self.schema)?;
        let mut parts = BTreeMap::new();
        for part in text.split(',').map(str::trim_ascii).filter(|part| !part.is_empty()) {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name, value),
                None => {
                    let default = keys.iter().find(|key| key.is_default);
                    (default.map_or("", |key| key.parameter.name.as_str()), part)
                }
            };
            let known = keys.iter().find(|key| key.parameter.name == name);
            if let Some(named) = known.and_then(|key| key.key_alias.as_deref()) {
                parts.insert(named.to_owned(), name.to_owned());
            }
            let name = known.and_then(|key| key.alias.as_deref()).unwrap_or(name);
            parts.insert(name.to_owned(), value.to_owned());
        }
        Some(parts)
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::{Catalog, Method, Release};

    #[test]
    fn a_property_string_is_taken_apart_whichever_way_it_is_written() {
        let catalog = Catalog::embedded(Release::LATEST);
        let config = catalog.template(Method::Put, "/nodes/{node}/qemu/{vmid}/config").unwrap();
        let net = config.parameter("net0").unwrap();
        let short = net.parts("virtio=BC:24:11:00:00:01,bridge=vmbr0").unwrap();
        let long = net.parts("model=virtio, macaddr=BC:24:11:00:00:01,bridge=vmbr0").unwrap();
        assert_eq!(short, long);
        assert_eq!(short["model"], "virtio");
        let disk = config.parameter("scsi0").unwrap().parts("local-lvm:vm-100-disk-0,size=32G").unwrap();
        assert_eq!(disk["file"], "local-lvm:vm-100-disk-0");
        assert!(config.parameter("memory").is_some_and(|memory| memory.schema.choices.is_empty()));
        assert_eq!(config.parameter("name").unwrap().parts("web"), None);
    }
}
