//! Plain words to endpoints: "spin up ct 105" to `POST /nodes/{node}/lxc/105/status/start`.
//!
//! In: what somebody typed, and the catalogue. Out: endpoints, the likeliest first, each with its tier and what it needs. It
//! knows words by tables (`words.txt`, `topics.txt`), by their stems and by how near they are to a known one; PVE's own
//! prose, where the catalogue has it, only serves for words that no table knows. It must never show what was typed:
//! it may hold anything.

mod concept;
mod document;
mod finders;
mod get;
mod lexicon;
mod path;
mod query;
mod rank;
mod recipes;
#[cfg(test)]
mod tests;
mod values;

pub use finders::Finders;
pub use get::{GetByWords, NoGet};
pub use query::MAX_BYTES as MAX_QUERY;

use super::{Catalog, Endpoint};
use document::{Document, Topics};
use lexicon::Lexicon;
use query::Query;
use rank::Ranking;
use values::Values;

/// What is needed to search one catalogue. Holds numbers of its endpoints, so it is of use with that catalogue alone.
pub struct Finder {
    lexicon: Lexicon,
    ranking: Ranking,
    recipes: Vec<recipes::Named>,
}

/// One endpoint that may have been meant.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// In [`Catalog::endpoints`].
    pub endpoint: usize,
    /// Its path, with those parameters filled in that the words name.
    pub path: String,
    /// How well it fits; the best is the greatest. Comparable within one answer.
    pub score: f32,
}

impl Finder {
    #[must_use]
    pub fn new(catalog: &Catalog) -> Self {
        let mut lexicon = Lexicon::new();
        let topics = Topics::new(catalog.product());
        let endpoints = catalog.endpoints();
        let documents = endpoints
            .iter()
            .enumerate()
            .map(|(at, endpoint)| Document::new(endpoint, &topics, below(endpoints, at), &mut lexicon));
        let mut documents: Vec<Document> = documents.collect();
        for (document, endpoint) in documents.iter_mut().zip(endpoints) {
            document.add_prose(&endpoint.description, &mut lexicon);
        }
        lexicon.settle();
        let recipes = recipes::named(catalog.product(), &lexicon);
        Self { ranking: Ranking::new(documents, &lexicon), recipes, lexicon }
    }

    /// Endpoints that may be meant, the likeliest first; none when no word says anything. A path is taken as one.
    #[must_use]
    pub fn search(&self, catalog: &Catalog, words: &str) -> Vec<Found> {
        if let Some(found) = Self::by_path(catalog, words) {
            return found;
        }
        let query = Query::read(words, &self.lexicon);
        let ranked = self.ranking.rank(&query);
        ranked
            .into_iter()
            .filter_map(|(endpoint, score)| {
                let path = filled(&catalog.endpoints().get(endpoint)?.path, &query.values);
                Some(Found { endpoint, path, score })
            })
            .collect()
    }
}

/// The path with the values that are known for its parameters.
fn filled(template: &str, values: &Values) -> String {
    let segments = template.split('/').map(|segment| {
        let name = segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}'));
        name.and_then(|name| values.get(name)).unwrap_or_else(|| segment.to_owned())
    });
    segments.collect::<Vec<_>>().join("/")
}

/// What there is below an endpoint's path.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Below {
    Nothing,
    Words,
    /// `{vmid}`: its items.
    Items,
}

fn below(endpoints: &[Endpoint], at: usize) -> Below {
    let path = endpoints[at].path.as_str();
    // In the order of paths, so what is below follows, among paths that are longer words.
    let following = endpoints[at..].iter().take_while(|other| other.path.starts_with(path));
    let mut children = following.filter_map(|other| other.path[path.len()..].strip_prefix('/')).peekable();
    let is_leaf = children.peek().is_none();
    match children.any(|child| child.starts_with('{')) {
        true => Below::Items,
        false if is_leaf => Below::Nothing,
        false => Below::Words,
    }
}
