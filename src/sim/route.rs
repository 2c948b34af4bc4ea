//! From a path to the endpoint that answers it, as PVE's own dispatcher walks its tree: a literal before a parameter,
//! and nothing else tried.

use std::collections::{BTreeMap, HashMap};

use super::call::Handler;
use crate::catalog::{Catalog, Endpoint, Method};

/// Parameters at a path's end that take all that is left of it, slashes included.
const WHOLE: &[&str] = &["{volume}", "{cidr}"];

#[derive(Debug, Default)]
struct Node {
    literal: HashMap<String, Node>,
    /// The parameter's name without braces, and what is below it.
    parameter: Option<(String, Box<Node>)>,
    whole: Option<(String, Box<Node>)>,
    /// By method: index into the catalogue.
    endpoints: HashMap<Method, usize>,
}

pub struct Routes {
    root: Node,
    handlers: Vec<Option<Handler>>,
}

/// A row of a room's table.
pub type Row = (Method, &'static str, Handler);

impl Routes {
    pub fn new(catalog: &Catalog, rows: impl Iterator<Item = Row>) -> Self {
        let mut root = Node::default();
        for (index, endpoint) in catalog.endpoints().iter().enumerate() {
            let mut node = &mut root;
            for part in endpoint.path.split('/').filter(|part| !part.is_empty()) {
                node = node.below(part, endpoint);
            }
            node.endpoints.insert(endpoint.method, index);
        }
        let table: HashMap<(Method, &str), Handler> =
            rows.map(|(method, path, handler)| ((method, path), handler)).collect();
        let handlers = catalog
            .endpoints()
            .iter()
            .map(|endpoint| table.get(&(endpoint.method, endpoint.path.as_str())).copied())
            .collect();
        Self { root, handlers }
    }

    pub fn handler(&self, index: usize) -> Option<Handler> {
        self.handlers[index]
    }

    /// The endpoint's index, and the parameters that the path names.
    pub fn find(&self, method: Method, path: &str) -> Option<(usize, BTreeMap<String, String>)> {
        let mut node = &self.root;
        let mut parameters = BTreeMap::new();
        let mut rest = path.trim_matches('/');
        while !rest.is_empty() {
            let (part, after) = rest.split_once('/').unwrap_or((rest, ""));
            if let Some(below) = node.literal.get(part) {
                node = below;
            } else if let Some((name, below)) = &node.whole {
                parameters.insert(name.clone(), rest.to_owned());
                node = below;
                break;
            } else if let Some((name, below)) = &node.parameter {
                parameters.insert(name.clone(), part.to_owned());
                node = below;
            } else {
                return None;
            }
            rest = after.trim_start_matches('/');
        }
        node.endpoints.get(&method).map(|index| (*index, parameters))
    }
}

impl Node {
    fn below(&mut self, part: &str, endpoint: &Endpoint) -> &mut Self {
        let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) else {
            return self.literal.entry(part.to_owned()).or_default();
        };
        let place = if WHOLE.contains(&part) && endpoint.path.ends_with(part) {
            &mut self.whole
        } else {
            &mut self.parameter
        };
        &mut place.get_or_insert_with(|| (name.to_owned(), Box::default())).1
    }
}
