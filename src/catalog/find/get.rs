//! Words for a read: which GET they mean, or that they mean to change something.

use thiserror::Error;

use super::query::Query;
use super::{Finder, Found, Known, Meant, asked};
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
    Mutation {
        method: Method,
        found: Found,
        /// What they want to see beside, if they do.
        seen: Option<Found>,
    },

    /// A GET that acts, or shows more than the state of things.
    #[error("the words mean GET {}, which is no mere read: {why}", found.path)]
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
        let is_read = |found: &Found| {
            let endpoint = &catalog.endpoints()[found.endpoint];
            endpoint.method == Method::Get
                && tier::of(endpoint.product, Method::Get, &endpoint.path).0 == Tier::Read
        };
        let get = || {
            let found = self.to_see(catalog, words, known).found;
            // What can be read as it is, before what asks for a name.
            let whole = found.iter().find(|found| is_read(found) && open(&found.path).all(|it| it == "node"));
            whole.or_else(|| found.iter().find(|found| is_read(found))).cloned()
        };
        let asks = asked::only(words, &self.lexicon);
        let of_changes = (asks && asked::about(words, &self.lexicon).is_some()).then(get).flatten();
        let chosen = match of_changes {
            Some(found) => Ok(found),
            None => self.chosen(catalog, &std::mem::take(&mut meant.found), words, known),
        };
        let found = match chosen {
            Err(NoGet::Mutation { method, found, .. }) => match asks.then(get).flatten() {
                Some(get) => get,
                None => {
                    let seen = self.says(words, known, &["read"]).then(get).flatten();
                    return Err(NoGet::Mutation { method, found, seen });
                }
            },
            found => found?,
        };
        meant.found.clear();
        let endpoint = &catalog.endpoints()[found.endpoint];
        match tier::of(endpoint.product, Method::Get, &endpoint.path) {
            (Tier::Read, _) => {}
            (tier, why) => return Err(NoGet::Acts { found: found.clone(), tier, why }),
        }
        let open = open(&found.path).map(str::to_owned).collect();
        Ok(GetByWords { open, found, meant })
    }

    /// Of what was found, the GET that is meant.
    fn chosen(&self, catalog: &Catalog, found: &[Found], words: &str, known: &Known) -> Result<Found, NoGet> {
        let method = |found: &Found| catalog.endpoints()[found.endpoint].method;
        let mutation =
            |found: &Found| NoGet::Mutation { method: method(found), found: found.clone(), seen: None };
        let best = found.first().ok_or(NoGet::Nothing)?;
        match method(best) {
            // What it would be done to is known, and not what does it: that is no wish to see it.
            Method::Get if self.harms(words, known) => {
                let change = found.iter().find(|found| method(found) != Method::Get);
                Err(change.map_or(NoGet::Nothing, mutation))
            }
            Method::Get => Ok(best.clone()),
            // A question stays one, whatever else it speaks of.
            _ if self.asks(words, known) => {
                found.iter().find(|found| method(found) == Method::Get).cloned().ok_or_else(|| mutation(best))
            }
            _ => Err(mutation(best)),
        }
    }

    /// Whether one of these verbs is said.
    fn says(&self, words: &str, known: &Known, names: &[&str]) -> bool {
        let query = Query::read(words, &self.lexicon, known);
        let verbs: Vec<_> = names.iter().filter_map(|name| self.lexicon.concepts.known_verb(name)).collect();
        query.verbs.iter().any(|said| said.sure >= 0.7 && verbs.contains(&said.verb))
    }

    /// Whether it says to take something away or to stop it, and not to show anything; or to change something besides.
    fn harms(&self, words: &str, known: &Known) -> bool {
        let query = Query::read(words, &self.lexicon, known);
        // "Stop it and show its config" is not only looked at.
        let is_first = || {
            let harmful: Vec<_> =
                HARMFUL.iter().filter_map(|name| self.lexicon.concepts.known_verb(name)).collect();
            let mut first = query.verbs.iter().filter(|said| said.order == 0);
            first.any(|said| said.sure >= 0.9 && harmful.contains(&said.verb)) && query.verbs.len() > 1
        };
        let looks = self.says(words, known, &["read"]);
        asked::also(words, &self.lexicon)
            || asked::nearly(words, &self.lexicon)
            || self.says(words, known, &HARMFUL) && (!looks || is_first())
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

/// The parameters of a path that nothing fills yet.
fn open(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}
