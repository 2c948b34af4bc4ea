//! Words for a read: which GET they mean, or that they mean to change something.

use thiserror::Error;

use super::query::Query;
use super::{Finder, Found, Known, Meant};
use crate::catalog::tier::{self, Tier};
use crate::catalog::{Catalog, Method};

/// A GET that words mean.
#[derive(Debug, Clone, PartialEq)]
pub struct GetByWords {
    /// With its path filled in as far as the words go.
    pub found: Found,
    /// The parameters of the path that are still open.
    pub open: Vec<String>,
    /// What else the words name.
    pub meant: Meant,
}

/// Why words are no read. What was typed is the caller's to show.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum NoGet {
    /// The call that they mean instead.
    #[error("the words mean {method} {}, which changes something", found.path)]
    Mutation { method: Method, found: Found },

    /// A GET that acts, or shows more than the state of things.
    #[error("the words mean GET {}, which is no mere read: it {why}", found.path)]
    Acts { found: Found, tier: Tier, why: &'static str },

    #[error("no endpoint fits the words")]
    Nothing,
}

/// What nobody says who wants to look.
const HARMFUL: [&str; 7] = ["delete", "wipe", "stop", "shutdown", "rollback", "prune", "revoke"];

impl Finder {
    /// The GET that the words mean.
    ///
    /// # Errors
    ///
    /// When they mean to change something, or to do more than to read, or nothing that is known.
    pub fn as_get(&self, catalog: &Catalog, words: &str, known: &Known) -> Result<GetByWords, NoGet> {
        let mut meant = self.among(catalog, words, known);
        let found = std::mem::take(&mut meant.found);
        let method = |found: &Found| catalog.endpoints()[found.endpoint].method;
        let best = found.first().ok_or(NoGet::Nothing)?;
        let found = match method(best) {
            // What it would be done to is known, and not what does it: that is no wish to see it.
            Method::Get if self.harms(words, known) => {
                let change = found.iter().find(|found| method(found) != Method::Get).ok_or(NoGet::Nothing)?;
                return Err(NoGet::Mutation { method: method(change), found: change.clone() });
            }
            Method::Get => best,
            // A question stays one, whatever else it speaks of.
            _ if self.asks(words, known) => match found.iter().find(|found| method(found) == Method::Get) {
                Some(get) => get,
                None => return Err(NoGet::Mutation { method: method(best), found: best.clone() }),
            },
            method => return Err(NoGet::Mutation { method, found: best.clone() }),
        };
        let endpoint = &catalog.endpoints()[found.endpoint];
        match tier::of(endpoint.product, Method::Get, &endpoint.path) {
            (Tier::Read, _) => {}
            (tier, why) => return Err(NoGet::Acts { found: found.clone(), tier, why }),
        }
        let open = found.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
        Ok(GetByWords { open: open.map(str::to_owned).collect(), found: found.clone(), meant })
    }

    /// Whether it says to take something away or to stop it, and not to show anything.
    fn harms(&self, words: &str, known: &Known) -> bool {
        let query = Query::read(words, &self.lexicon, known);
        let says = |names: &[&str]| {
            let verbs = names.iter().filter_map(|name| self.lexicon.concepts.known_verb(name));
            let verbs: Vec<_> = verbs.collect();
            query.verbs.iter().any(|said| said.sure >= 0.7 && verbs.contains(&said.verb))
        };
        // "Stop it and show its config" is not only looked at.
        let is_first = || {
            let harmful: Vec<_> =
                HARMFUL.iter().filter_map(|name| self.lexicon.concepts.known_verb(name)).collect();
            let mut first = query.verbs.iter().filter(|said| said.order == 0);
            first.any(|said| said.sure >= 0.9 && harmful.contains(&said.verb)) && query.verbs.len() > 1
        };
        says(&HARMFUL) && (!says(&["read"]) || is_first())
    }

    /// Whether it begins as a question or a wish to see, and nothing in it means to change anything.
    fn asks(&self, words: &str, known: &Known) -> bool {
        let query = Query::read(words, &self.lexicon, known);
        let read = self.lexicon.concepts.known_verb("read");
        let reads = |order| {
            let mut of =
                query.verbs.iter().filter(|said| said.order == order && said.sure >= 0.75).peekable();
            of.peek().is_none() || of.any(|said| Some(said.verb) == read)
        };
        query.verbs.iter().all(|said| reads(said.order))
    }
}
