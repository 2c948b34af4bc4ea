//! Paths: templates with their parameters in braces, and the concrete ones that they stand for.

use std::collections::HashMap;

use super::model::Endpoint;

/// Whether this may be the path of an endpoint: `/nodes/{node}/qemu`.
pub(super) fn is_template(path: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            && !matches!(name, "." | "..")
    };
    path.len() <= 1024
        && path
            .strip_prefix('/')
            .is_some_and(|rest| rest.split('/').all(|segment| is_name(capture(segment).unwrap_or(segment))))
}

/// The names in the braces of a template.
pub(super) fn captures(template: &str) -> impl Iterator<Item = &str> {
    template.split('/').filter_map(capture)
}

/// The `node` of `{node}`.
fn capture(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// Every template, segment by segment.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    places: Vec<Place>,
}

#[derive(Debug, Clone, Default)]
struct Place {
    named: HashMap<String, usize>,
    captured: Option<usize>,
    endpoints: [Option<usize>; 4],
}

impl Index {
    pub(super) fn new(endpoints: &[Endpoint]) -> Self {
        let mut index = Self { places: vec![Place::default()] };
        for (number, endpoint) in endpoints.iter().enumerate() {
            let mut at = 0;
            for segment in endpoint.path.split('/').skip(1) {
                at = index.enter(at, segment);
            }
            index.places[at].endpoints[endpoint.method as usize] = Some(number);
        }
        index
    }

    fn enter(&mut self, at: usize, segment: &str) -> usize {
        let next = self.places.len();
        let place = &mut self.places[at];
        let there = if capture(segment).is_some() {
            *place.captured.get_or_insert(next)
        } else {
            *place.named.entry(segment.to_owned()).or_insert(next)
        };
        if there == next {
            self.places.push(Place::default());
        }
        there
    }
}
