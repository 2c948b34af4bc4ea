//! Which recipes go with what was found.

use super::concept::{Noun, Verb};
use super::known::Known;
use super::lexicon::Lexicon;
use super::query::Query;
use super::{Finder, Found};
use crate::catalog::recipe::{self, Recipe};
use crate::catalog::{Catalog, Endpoint};
use crate::product::Product;

/// A recipe's title and phrasings, as what they mean.
pub(super) struct Named {
    nouns: Vec<Noun>,
    verbs: Vec<Verb>,
}

const SURE: f32 = 0.7;
/// A recipe for what was hardly meant is none.
const NEAR: f32 = 0.85;
const OTHER_METHOD: f32 = 0.7;
const BY_NAME: f32 = 0.5;

pub(super) fn named(product: Product, lexicon: &Lexicon) -> Vec<Named> {
    let named = |recipe: &Recipe| {
        let mut named = Named { nouns: Vec::new(), verbs: Vec::new() };
        for text in std::iter::once(&recipe.title).chain(&recipe.phrasings) {
            let query = Query::read(text, lexicon, &Known::default());
            named.nouns.extend(nouns(&query));
            named.verbs.extend(verbs(&query));
        }
        // For either kind of guest, whichever its title speaks of.
        if recipe.steps.iter().any(|step| step.main && step.path.contains("{kind}")) {
            named
                .nouns
                .extend(["guest", "qemu", "lxc"].iter().filter_map(|kind| lexicon.concepts.known_noun(kind)));
        }
        named
    };
    recipe::all_of(product).iter().map(named).collect()
}

fn nouns(query: &Query) -> impl Iterator<Item = Noun> {
    query.terms.iter().flat_map(|term| &term.nouns).filter(|(_, sure)| *sure >= SURE).map(|(noun, _)| *noun)
}

fn verbs(query: &Query) -> impl Iterator<Item = Verb> {
    query.verbs.iter().filter(|said| said.sure >= SURE).map(|said| said.verb)
}

impl Finder {
    /// Recipes for the same job as what [`Finder::search`] found, the likeliest first.
    #[must_use]
    pub fn recipes(&self, catalog: &Catalog, words: &str, found: &[Found]) -> Vec<&'static Recipe> {
        let query = Query::read(words, &self.lexicon, &Known::default());
        let best = found.first().map_or(0.0, |found| found.score);
        let near: Vec<_> = found
            .iter()
            .filter(|found| found.score >= best * NEAR)
            .filter_map(|found| Some((catalog.endpoints().get(found.endpoint)?, found.score / best)))
            .collect();
        let fits = |recipe: &Recipe| {
            let share = |step: &recipe::Step, (endpoint, share): &(&Endpoint, f32)| match () {
                () if step.is(endpoint.method, &endpoint.path) => Some(*share),
                // Who looks at something may want to change it.
                () if step.is(step.method, &endpoint.path) => Some(*share * OTHER_METHOD),
                () => None,
            };
            let of_step =
                |step: &recipe::Step| near.iter().filter_map(|near| share(step, near)).max_by(f32::total_cmp);
            let steps = recipe.steps.iter().filter(|step| step.main).filter_map(of_step);
            steps.max_by(f32::total_cmp)
        };
        let by_name = |named: &Named| {
            let said: Vec<bool> = nouns(&query)
                .map(|noun| named.nouns.contains(&noun))
                .chain(verbs(&query).map(|verb| named.verbs.contains(&verb)))
                .collect();
            said.iter().filter(|said| **said).count() as f32 / said.len().max(1) as f32
        };
        // Who calls one by its title, as `diagnose` does, means no other.
        let called = |recipe: &Recipe| recipe.title.eq_ignore_ascii_case(words.trim());
        let score = |recipe: &Recipe, named: &Named| match called(recipe) {
            true => Some(f32::INFINITY),
            false => Some(2.0 * fits(recipe)? + BY_NAME * by_name(named)),
        };
        let all = recipe::all_of(catalog.product()).iter().zip(&self.recipes);
        let mut ranked: Vec<(f32, &Recipe)> =
            all.filter_map(|(recipe, named)| Some((score(recipe, named)?, recipe))).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        ranked.into_iter().map(|(_, recipe)| recipe).collect()
    }
}
