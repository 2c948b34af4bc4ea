//! Formats that are property strings, and of which PVE's description gives the name alone.

use std::{collections::HashMap, sync::LazyLock};

use crate::catalog::{Format, Parameter, PropertyKey, embedded};

static KEYS: LazyLock<HashMap<String, Vec<PropertyKey>>> = LazyLock::new(|| {
    // The tests read it, so that it is never empty.
    let formats = embedded::parameters(include_str!("keys.txt")).unwrap_or_default();
    formats
        .into_iter()
        .filter_map(|Parameter { name, schema, .. }| Some((name, properties(schema.format?)?)))
        .collect()
});

fn properties(format: Format) -> Option<Vec<PropertyKey>> {
    match format {
        Format::Properties(keys) => Some(keys),
        Format::Named(_) => None,
    }
}

pub(super) fn of(name: &str) -> Option<&'static [PropertyKey]> {
    KEYS.get(name).map(Vec::as_slice)
}

#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    KEYS.keys().map(String::as_str)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_reads() {
        let named = crate::catalog::embedded::parameters(include_str!("keys.txt")).unwrap();
        assert_eq!(super::KEYS.len(), named.len());
        assert!(named.len() >= 18);
    }
}
