//! How far a call can reach: a tier for every endpoint that changes something, and what its arguments add.
//!
//! In: a product, a method, an endpoint's path with its parameters in braces, arguments. Out: a [`Judgement`] with each of its
//! grounds. What no table knows is destructive; it must never guess that something is harmless.

mod raise;
mod table;

#[cfg(test)]
mod sibling_tests;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use super::{Catalog, Endpoint, Method};
pub use crate::config::Tier;
use crate::product::Product;
pub use table::{Row, rows};

/// One reason why a call has the tier that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ground {
    pub tier: Tier,
    pub why: &'static str,
    /// The argument that brought it in; none for the endpoint itself.
    pub argument: Option<&'static str>,
}

/// What a call is judged to be: its endpoint's ground first, then each that its arguments add.
///
/// A profile has to permit *every* ground, and an approval that is asked for one tier is asked for when any ground has
/// it: `operate` may disrupt and may not change, so a change that also disrupts is not for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Whose call it is: one path of two products is two calls.
    product: Product,
    grounds: Vec<Ground>,
}

impl Judgement {
    pub fn product(&self) -> Product {
        self.product
    }

    pub fn grounds(&self) -> &[Ground] {
        &self.grounds
    }

    /// Whether nothing is done, by an argument that stands in the place of what the call is without it.
    pub fn only_tries(&self) -> bool {
        self.grounds.first().is_some_and(|ground| ground.argument.is_some())
    }

    /// The gravest of its grounds; to show, where one word must do. What an argument raised is never behind what the call
    /// is without it.
    pub fn tier(&self) -> Tier {
        self.grounds.iter().map(|ground| ground.tier).max().unwrap_or(Tier::Destructive)
    }
}

const UNKNOWN: &str = "no table knows this call";

/// The tier of an endpoint, whatever its arguments, and why.
pub fn of(product: Product, method: Method, path: &str) -> (Tier, &'static str) {
    match table::find(product, method, path) {
        Some(row) => (row.tier, row.why),
        None if method == Method::Get => (Tier::Read, "only reads"),
        None => (Tier::Destructive, UNKNOWN),
    }
}

/// What changes something in a catalogue and has no row: destructive, until somebody has looked at it. A newer release of
/// PVE may bring some.
pub fn unclassified(catalog: &Catalog) -> impl Iterator<Item = &Endpoint> {
    let unknown =
        |endpoint: &&Endpoint| table::find(endpoint.product, endpoint.method, &endpoint.path).is_none();
    catalog.endpoints().iter().filter(|endpoint| endpoint.method != Method::Get).filter(unknown)
}

/// The tier of a call with these arguments. `path` is the endpoint's, with its parameters in braces.
pub fn judge(product: Product, method: Method, path: &str, arguments: &Map<String, Value>) -> Judgement {
    let (tier, why) = of(product, method, path);
    let own = raise::instead(product, method, path, arguments);
    let mut grounds = vec![own.unwrap_or(Ground { tier, why, argument: None })];
    grounds.extend(raise::grounds(product, method, path, arguments));
    Judgement { product, grounds }
}
