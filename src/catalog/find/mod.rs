//! Plain words to endpoints: "spin up ct 105" to `POST /nodes/{node}/lxc/105/status/start`.
//!
//! In: what somebody typed, and the catalogue. Out: endpoints, the likeliest first, each with its tier and what it needs. It
//! knows words by tables (`words.txt`, `topics.txt`), by their stems and by how near they are to a known one; PVE's own
//! prose, where the catalogue has it, only serves for words that no table knows. It must never show what was typed:
//! it may hold anything.

mod asked;
mod concept;
mod document;
mod finders;
mod get;
mod known;
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
pub use known::{Guest, GuestKind, Known};
pub use query::MAX_BYTES as MAX_QUERY;

use super::{Catalog, Endpoint};
use document::{Document, Topics};
use lexicon::Lexicon;
use query::Query;
use rank::{Ranked, Ranking};
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
    /// What of the words it is about, of 1.
    pub covers: f32,
    /// It reaches all there is, and the words do not say so.
    pub too_wide: bool,
    /// Its path says what it is about, and the words do not.
    pub unsaid: bool,
    /// No word says what it does.
    pub undone: bool,
}

/// What words mean, among what there is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Meant {
    /// The likeliest first.
    pub found: Vec<Found>,
    /// The guest that they name.
    pub vmid: Option<u32>,
    /// What it is and where, if it is there.
    pub guest: Option<Guest>,
    /// The node that they name.
    pub node: Option<String>,
    /// Names in them that are nobody's.
    pub strays: Vec<String>,
    /// The one of these that is written as a guest's.
    pub nobody: Option<String>,
    /// The one that stands where a node or a guest would: "on pve9".
    pub nowhere: Option<String>,
    /// A name that several guests have, with their ids.
    pub unclear: Option<(String, Vec<u32>)>,
    /// Nodes and guests that are named beside the one, as typed.
    pub others: Vec<String>,
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

    /// Whether somebody may say this word who names nobody by it: "backup", "start", "a", and what is nearly that.
    #[must_use]
    pub fn is_usual(&self, word: &str) -> bool {
        query::is_usual(word, &self.lexicon)
    }

    /// Whether the words say what is not to be done: that is in nothing that is found.
    #[must_use]
    pub fn denies(&self, words: &str) -> bool {
        query::is_denied(words, &self.lexicon)
    }

    /// Endpoints that may be meant, the likeliest first; none when no word says anything. A path is taken as one.
    #[must_use]
    pub fn search(&self, catalog: &Catalog, words: &str) -> Vec<Found> {
        self.among(catalog, words, &Known::default()).found
    }

    /// The same among what there is, and what of it is named.
    #[must_use]
    pub fn among(&self, catalog: &Catalog, words: &str, known: &Known) -> Meant {
        if let Some(found) = Self::by_path(catalog, words) {
            return Meant { found, ..Meant::default() };
        }
        self.of_query(catalog, Query::read(words, &self.lexicon, known))
    }

    /// The same of words that are said to see something, whatever they speak of.
    fn to_see(&self, catalog: &Catalog, words: &str, known: &Known) -> Meant {
        let mut query = Query::read(words, &self.lexicon, known);
        let concepts = &self.lexicon.concepts;
        let about =
            asked::about(words, &self.lexicon).and_then(|noun| concepts.known_noun(&self.lexicon.stem(noun)));
        query.only(concepts.known_verb("read"), about);
        self.of_query(catalog, query)
    }

    fn of_query(&self, catalog: &Catalog, mut query: Query) -> Meant {
        self.ranking.correct(&mut query);
        let found = self.ranking.rank(&query).into_iter().filter_map(
            |Ranked { at, score, covers, too_wide, unsaid, undone }| {
                let path = filled(&catalog.endpoints().get(at)?.path, &query.values);
                Some(Found { endpoint: at, path, score, covers, too_wide, unsaid, undone })
            },
        );
        let found = found.collect();
        let Query { values, strays, .. } = query;
        let nowhere = strays.iter().find(|name| values.is_place(name)).cloned();
        Meant {
            found,
            vmid: values.vmid,
            node: values.get("node"),
            guest: values.guest,
            nobody: strays.iter().find(|name| known::is_like_a_guest(&name.to_lowercase())).cloned(),
            nowhere,
            strays,
            unclear: values.unclear,
            others: values.others,
        }
    }
}

impl Meant {
    /// The guest that a call with this path takes as an argument, and not in its path.
    #[must_use]
    pub fn argument(&self, endpoint: &Endpoint) -> Option<&Guest> {
        let is_new = endpoint.path.ends_with("/qemu") || endpoint.path.ends_with("/lxc");
        let takes = endpoint.parameter("vmid").is_some() && !endpoint.path.contains("{vmid}") && !is_new;
        self.guest.as_ref().filter(|_| takes)
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
