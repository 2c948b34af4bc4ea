//! A path instead of words: what stands there, and below.

use super::{Finder, Found};
use crate::catalog::{Catalog, Method};

impl Finder {
    /// Endpoints at a path, or below it, when a path is what was typed; with its values, if it has any.
    pub(super) fn by_path(catalog: &Catalog, given: &str) -> Option<Vec<Found>> {
        let (method, path) = match given.trim().split_once(char::is_whitespace) {
            Some((method, path)) => (Some(Method::from_name(method)?), path.trim()),
            None => (None, given.trim()),
        };
        if !path.starts_with('/') || path.contains(char::is_whitespace) {
            return None;
        }
        let path = path.trim_end_matches('/');
        let wanted = |found: Method| method.is_none_or(|method| method == found);
        let endpoints =
            || catalog.endpoints().iter().enumerate().filter(|(_, endpoint)| wanted(endpoint.method));
        let template = |(at, endpoint): (usize, &crate::catalog::Endpoint)| Found {
            endpoint: at,
            path: endpoint.path.clone(),
            score: 1.0,
            covers: 1.0,
            too_wide: false,
            unsaid: false,
            undone: false,
        };
        let mut found: Vec<Found> =
            endpoints().filter(|(_, endpoint)| endpoint.path == path).map(template).collect();
        if found.is_empty() {
            let at = Method::ALL.iter().filter(|found| wanted(**found)).filter_map(|method| {
                let is = catalog.endpoint(*method, path).ok()?.endpoint;
                let at = catalog.endpoints().iter().position(|endpoint| std::ptr::eq(endpoint, is))?;
                // The path has been matched segment by segment, so it is one that means what it says.
                Some(Found {
                    endpoint: at,
                    path: path.to_owned(),
                    score: 1.0,
                    covers: 1.0,
                    too_wide: false,
                    unsaid: false,
                    undone: false,
                })
            });
            found.extend(at);
        }
        let below = format!("{path}/");
        found.extend(endpoints().filter(|(_, endpoint)| endpoint.path.starts_with(&below)).map(template));
        (!found.is_empty()).then_some(found)
    }
}
