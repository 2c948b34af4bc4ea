//! Paths: templates with their parameters in braces, and the concrete ones that they stand for.
//!
//! In: what a client or a model wrote. Out: the endpoint that it names and the values in it, or why it names none and
//! what would. A literal segment of a template is only ever matched by itself, unencoded.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};
use thiserror::Error;

use super::{
    model::{Catalog, Endpoint},
    segment::{self, MAX_PATH, PathFault},
};
use crate::http::Method;

/// An endpoint as a concrete path names it.
#[derive(Debug, Clone)]
pub struct Match<'a> {
    pub endpoint: &'a Endpoint,
    /// The parameters that stood in the path, decoded, in their order there.
    pub captured: Vec<(String, String)>,
}

impl Match<'_> {
    /// The captured parameters as arguments, for [`Endpoint::check`].
    #[must_use]
    pub fn args(&self) -> Map<String, Value> {
        self.captured.iter().map(|(name, value)| (name.clone(), Value::from(value.clone()))).collect()
    }
}

/// Why a path names no endpoint. The path itself is the caller's to show.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum PathError {
    #[error("the path {0}")]
    Malformed(#[from] PathFault),

    #[error("the API has no such path{}", nearest_paths(.nearest))]
    Unknown { nearest: Vec<String> },

    #[error("{path} has no {method}; it has {}", joined(.exist))]
    Method { path: String, method: Method, exist: Vec<Method> },
}

fn nearest_paths(nearest: &[String]) -> String {
    if nearest.is_empty() { String::new() } else { format!("; near it are {}", nearest.join(", ")) }
}

fn joined(methods: &[Method]) -> String {
    methods.iter().map(|method| method.name()).collect::<Vec<_>>().join(", ")
}

impl Catalog {
    /// The endpoint that a concrete path names: `/nodes/pve1/lxc/105/config`.
    ///
    /// A literal segment goes before a parameter, as it does in PVE. Whether the captured values are what the
    /// parameters want is for [`Endpoint::check`] to say.
    ///
    /// # Errors
    ///
    /// When it could mean something else to somebody else ([`PathFault`]), when nothing has that path (with the
    /// nearest that exist), and when something has, but not for this method.
    pub fn endpoint(&self, method: Method, path: &str) -> Result<Match<'_>, PathError> {
        let segments = Segment::all(path)?;
        let Some(place) = self.index.find(&segments) else {
            return Err(PathError::Unknown { nearest: self.nearest(path) });
        };
        // Every method of a path has the same template.
        let Some(any) = place.endpoints.iter().flatten().next().map(|number| &self.endpoints()[*number])
        else {
            return Err(PathError::Unknown { nearest: self.nearest(path) });
        };
        let mut captured = Vec::new();
        for (name, Segment { raw, value }) in any.path.split('/').skip(1).map(capture).zip(segments) {
            let Some(name) = name else { continue };
            // A template given as such: a parameter that nobody filled in.
            if capture(raw).is_some() {
                return Err(PathError::Unknown { nearest: vec![any.path.clone()] });
            }
            if value.contains('/') && !segment::may_hold_slash(name) {
                return Err(PathFault::Slash.into());
            }
            captured.push((name.to_owned(), value));
        }
        let Some(number) = place.endpoints[method as usize] else {
            let has = |other: &Method| place.endpoints[*other as usize].is_some();
            let exist = Method::ALL.into_iter().filter(has).collect();
            return Err(PathError::Method { path: any.path.clone(), method, exist });
        };
        let endpoint = &self.endpoints()[number];
        Ok(Match { endpoint, captured })
    }

    /// The endpoint of exactly this template: `/nodes/{node}/lxc/{vmid}/config`.
    #[must_use]
    pub fn template(&self, method: Method, template: &str) -> Option<&Endpoint> {
        let endpoints = self.endpoints();
        endpoints
            .binary_search_by(|endpoint| (endpoint.path.as_str(), endpoint.method).cmp(&(template, method)))
            .ok()
            .map(|number| &endpoints[number])
    }

    /// The templates most like a path that is none.
    fn nearest(&self, path: &str) -> Vec<String> {
        const SHOWN: usize = 3;
        // Of a longer path the rest tells nothing, and comparing costs.
        const COMPARED: usize = 16;
        let wanted: Vec<&str> = path.split('/').skip(1).take(COMPARED).collect();
        let bound = 100 * wanted.len().div_ceil(2) as u32 + 60;
        let mut compared = Compared { wanted: &wanted, known: HashMap::new() };
        let mut found: Vec<(u32, &str)> = Vec::new();
        let mut before = "";
        for Endpoint { path, .. } in self.endpoints() {
            if path != before {
                found.extend(compared.distance(path, bound).map(|distance| (distance, path.as_str())));
                before = path;
            }
        }
        found.sort();
        found.into_iter().take(SHOWN).map(|(_, path)| path.to_owned()).collect()
    }
}

/// The segments of a path that is none, and how unlike they are to the names that have been compared with them.
struct Compared<'a> {
    wanted: &'a [&'a str],
    known: HashMap<&'a str, Vec<u32>>,
}

impl<'a> Compared<'a> {
    /// How far the path is from a template, if no further than `bound`: segments added, left out (each 100) or changed
    /// (by how much they differ).
    fn distance(&mut self, template: &'a str, bound: u32) -> Option<u32> {
        let template: Vec<&str> = template.split('/').skip(1).collect();
        if template.len().abs_diff(self.wanted.len()) as u32 * 100 > bound {
            return None;
        }
        let mut costs: Vec<u32> = (0..=self.wanted.len() as u32).map(|n| n * 100).collect();
        for (row, has) in (1..).zip(template) {
            let wanted = self.wanted;
            let changes = self
                .known
                .entry(has)
                .or_insert_with(|| wanted.iter().map(|wanted| unlikeness(wanted, has)).collect());
            let mut diagonal = std::mem::replace(&mut costs[0], row * 100);
            for (column, change) in changes.iter().enumerate() {
                let changed = diagonal + change;
                diagonal = costs[column + 1];
                costs[column + 1] = changed.min(costs[column + 1] + 100).min(costs[column] + 100);
            }
        }
        costs.last().copied().filter(|cost| *cost <= bound)
    }
}

fn unlikeness(wanted: &str, has: &str) -> u32 {
    const LONGEST_NAME: usize = 40;
    match capture(has) {
        // Anything may stand there, but a word that is at home elsewhere less likely.
        Some(_) => 12,
        None if wanted == has => 0,
        None if wanted.len() > LONGEST_NAME => 150,
        None => 20 + (150.0 * (1.0 - strsim::normalized_damerau_levenshtein(wanted, has))) as u32,
    }
}

struct Segment<'a> {
    raw: &'a str,
    value: String,
}

impl<'a> Segment<'a> {
    fn all(path: &'a str) -> Result<Vec<Self>, PathFault> {
        if path.len() > MAX_PATH {
            return Err(PathFault::TooLong);
        }
        let rest = path.strip_prefix('/').ok_or(PathFault::Relative)?;
        rest.split('/').map(|raw| Ok(Self { raw, value: segment::decode(raw)? })).collect()
    }
}

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
pub(super) fn capture(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// Every template, segment by segment.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    places: Vec<Place>,
}

#[derive(Debug, Clone, Default)]
struct Place {
    named: BTreeMap<String, usize>,
    captured: Option<usize>,
    /// By number of the method: which of the catalogue's endpoints.
    endpoints: [Option<usize>; 4],
}

impl Index {
    pub(super) fn new(endpoints: &[Endpoint]) -> Self {
        let mut index = Self { places: vec![Place::default()] };
        for (number, endpoint) in endpoints.iter().enumerate() {
            let at = endpoint.path.split('/').skip(1).fold(0, |at, segment| index.enter(at, segment));
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

    fn find(&self, segments: &[Segment<'_>]) -> Option<&Place> {
        let mut place = self.places.first()?;
        for segment in segments {
            let next = place.named.get(segment.raw).copied().or(place.captured)?;
            place = &self.places[next];
        }
        Some(place)
    }
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
