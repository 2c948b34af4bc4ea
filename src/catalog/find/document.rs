//! An endpoint as what it does and what it is about: its method and path, its parameters' names, and its row of
//! `topics.txt`.

use std::collections::HashMap;

use super::Below;
use super::concept::{Noun, Verb};
use super::lexicon::{Lexicon, weighted, words_of};
use crate::catalog::{Endpoint, Method};
use crate::product::Product;

#[derive(Debug, Default)]
pub(super) struct Document {
    pub verbs: Vec<(Verb, f32)>,
    pub nouns: HashMap<Noun, f32>,
    /// The words of its path that a question about it would name, each with what is lost when it does not.
    pub named: Vec<(Vec<Noun>, f32)>,
    pub scope: Scope,
    /// Has a guest in its path.
    pub guest: bool,
    /// Has a guest among its other parameters.
    pub takes_guest: bool,
    /// What it reaches, beyond what its path names.
    pub wide: Wide,
    /// Has a node in its path.
    pub node: bool,
    /// Path parameters other than the node and the guest.
    pub items: Vec<Box<str>>,
}

/// How far a change reaches by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Wide {
    #[default]
    No,
    /// Every guest, of a node or of the cluster.
    Guests,
    /// A node as a whole.
    Node,
}

impl Wide {
    fn of(endpoint: &Endpoint) -> Self {
        match endpoint.path.as_str() {
            _ if endpoint.method == Method::Get => Self::No,
            "/nodes/{node}/stopall"
            | "/nodes/{node}/startall"
            | "/nodes/{node}/suspendall"
            | "/nodes/{node}/migrateall" => Self::Guests,
            path if path.starts_with("/cluster/bulk-action/") => Self::Guests,
            "/nodes/{node}/status" | "/cluster/config/nodes/{node}" => Self::Node,
            _ => Self::No,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Scope {
    #[default]
    Other,
    Cluster,
    Node,
    Qemu,
    Lxc,
}

struct Topic {
    verbs: &'static str,
    nouns: &'static str,
}

pub(super) struct Topics(HashMap<(Method, String), Vec<Topic>>);

pub(super) const TEXT: &str = include_str!("topics.txt");
pub(super) const BACKUP: &str = include_str!("topics-backup.txt");

impl Topics {
    pub fn new(product: Product) -> Self {
        let mut topics: HashMap<_, Vec<Topic>> = HashMap::new();
        // Paths that two products have mean the same in both; the others are in no catalogue but their own.
        let own = if product == Product::Backup { BACKUP } else { "" };
        for (method, path, verbs, nouns) in rows().chain(rows_of(own)) {
            let paths = match path.contains("{kind}") {
                true => ["lxc", "qemu"].map(|kind| path.replace("{kind}", kind)).to_vec(),
                false => vec![path.to_owned()],
            };
            for path in paths {
                topics.entry((method, path)).or_default().push(Topic { verbs, nouns });
            }
        }
        Self(topics)
    }
}

/// Each row that can be read.
pub(super) fn rows() -> impl Iterator<Item = (Method, &'static str, &'static str, &'static str)> {
    rows_of(TEXT)
}

pub(super) fn rows_of(
    text: &'static str,
) -> impl Iterator<Item = (Method, &'static str, &'static str, &'static str)> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).filter_map(|line| {
        let [call, verbs, nouns]: [&str; 3] =
            line.split('|').map(str::trim).collect::<Vec<_>>().try_into().ok()?;
        let (method, path) = call.split_once(' ')?;
        Some((Method::from_name(method)?, path, verbs, nouns))
    })
}

/// Words of paths that say where something is, not what: nobody need name them.
const QUIET: [&str; 7] = ["nodes", "cluster", "access", "status", "current", "config", "endpoints"];

const OF_A_SEGMENT: f32 = 1.0;
const OF_AN_OUTER_SEGMENT: f32 = 0.75;
const OF_A_PARAMETER: f32 = 0.4;
const OF_PROSE: f32 = 0.6;
const MOST_PROSE: usize = 24;

impl Document {
    pub fn new(endpoint: &Endpoint, topics: &Topics, below: Below, lexicon: &mut Lexicon) -> Self {
        let mut document = Self::default();
        let segments: Vec<&str> = endpoint.path.split('/').skip(1).collect();
        document.guest = endpoint.path.contains("{vmid}") || endpoint.path.contains("{sid}");
        document.wide = Wide::of(endpoint);
        document.node = endpoint.path.contains("{node}");
        document.scope = scope(&segments);
        // A new guest's id is nobody's yet.
        let is_of_guests = matches!(document.scope, Scope::Qemu | Scope::Lxc);
        document.takes_guest = !is_of_guests && endpoint.parameter("vmid").is_some();
        let literal = |segment: &&&str| !segment.starts_with('{');
        let names = segments.iter().filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
        document.items =
            names.filter(|name| !["node", "vmid", "sid"].contains(name)).map(Into::into).collect();

        let last = segments.iter().rposition(|segment| !segment.starts_with('{'));
        for (at, segment) in segments.iter().enumerate().filter(|(_, segment)| literal(segment)) {
            // Where everything is, not what it is about.
            if *segment == "nodes" && Some(at) != last {
                continue;
            }
            let act = acts(endpoint.method, segment, lexicon).filter(|_| at + 1 == segments.len());
            let weight = if Some(at) == last { OF_A_SEGMENT } else { OF_AN_OUTER_SEGMENT };
            let nouns: Vec<Noun> = words_of(segment).map(|word| lexicon.own_word(word)).collect();
            if act.is_some() {
                continue;
            }
            for noun in &nouns {
                document.add(*noun, weight);
            }
            let lost = match *segment {
                quiet if QUIET.contains(&quiet) => continue,
                "qemu" | "lxc" => 0.05,
                _ if Some(at) == last => 0.16,
                _ => 0.07,
            };
            document.named.push((nouns, lost));
        }
        for kind in ["qemu", "lxc"].iter().filter(|kind| segments.contains(kind)) {
            let guest = lexicon.own_word("guest");
            document.add(guest, if segments.last() == Some(kind) { 0.8 } else { 0.9 });
        }
        if document.scope == Scope::Node {
            let node = lexicon.own_word("node");
            document.add(node, 0.8);
        }
        for parameter in &endpoint.parameters {
            let in_path = |segment: &&str| segment.trim_matches(['{', '}']) == parameter.name;
            if segments.iter().filter(|segment| segment.starts_with('{')).any(in_path) {
                continue;
            }
            for word in words_of(&parameter.name) {
                let noun = lexicon.own_word(word);
                document.add(noun, OF_A_PARAMETER);
            }
        }
        document.verbs = verbs(endpoint, segments.last().copied(), below, lexicon);
        for topic in topics.0.get(&(endpoint.method, endpoint.path.clone())).into_iter().flatten() {
            document.topic(topic, lexicon);
        }
        document
    }

    /// What PVE says of it, for words that nothing else knows. After every document has been made.
    pub fn add_prose(&mut self, description: &str, lexicon: &mut Lexicon) {
        let sentence = description.split_once(". ").map_or(description, |(first, _)| first).to_lowercase();
        for word in words_of(&sentence).take(MOST_PROSE) {
            if let Some(noun) = lexicon.prose_word(word) {
                self.add(noun, OF_PROSE);
            }
        }
    }

    fn topic(&mut self, topic: &Topic, lexicon: &mut Lexicon) {
        let verbs = match topic.verbs.strip_prefix('=') {
            Some(verbs) => {
                self.verbs.clear();
                verbs
            }
            None => topic.verbs,
        };
        for (name, weight) in weighted(verbs) {
            let verb = lexicon.concepts.verb(name);
            match self.verbs.iter_mut().find(|(known, _)| *known == verb) {
                Some(known) => known.1 = weight,
                None => self.verbs.push((verb, weight)),
            }
        }
        for (word, weight) in weighted(topic.nouns) {
            let noun = lexicon.own_word(word);
            self.nouns.insert(noun, weight);
            // Another name for what the path's last word says.
            if let Some(((nouns, _), outer)) = self.named.split_last_mut().filter(|_| weight >= 0.9)
                && !outer.iter().any(|(nouns, _)| nouns.contains(&noun))
            {
                nouns.push(noun);
            }
        }
    }

    fn add(&mut self, noun: Noun, weight: f32) {
        let known = self.nouns.entry(noun).or_default();
        *known = known.max(weight);
    }
}

fn scope(segments: &[&str]) -> Scope {
    match segments {
        ["nodes", "{node}", "qemu", ..] => Scope::Qemu,
        ["nodes", "{node}", "lxc", ..] => Scope::Lxc,
        ["nodes", ..] => Scope::Node,
        ["cluster", ..] => Scope::Cluster,
        _ => Scope::Other,
    }
}

/// The verb that a path ends in: `…/status/start`.
fn acts(method: Method, segment: &str, lexicon: &Lexicon) -> Option<Verb> {
    match method {
        Method::Post | Method::Put => lexicon.concepts.known_verb(segment),
        Method::Get | Method::Delete => None,
    }
}

fn verbs(endpoint: &Endpoint, last: Option<&str>, below: Below, lexicon: &mut Lexicon) -> Vec<(Verb, f32)> {
    if let Some(verb) = last.and_then(|last| acts(endpoint.method, last, lexicon)) {
        return vec![(verb, 1.0)];
    }
    let (name, weight) = match endpoint.method {
        // Only lists what is below it.
        Method::Get if below == Below::Words => ("read", 0.6),
        Method::Get => ("read", 1.0),
        Method::Post if below == Below::Items || last.is_some_and(|last| last.starts_with('{')) => {
            ("create", 1.0)
        }
        Method::Post => ("create", 0.7),
        Method::Put => ("update", 1.0),
        Method::Delete => ("delete", 1.0),
    };
    vec![(lexicon.concepts.verb(name), weight)]
}
