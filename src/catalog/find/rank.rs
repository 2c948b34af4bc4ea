//! How well each endpoint fits a query.
//!
//! The words that it covers, the rarer the more; the verb; less for what its path names and nobody asked for.

use super::concept::{Noun, Verb};
use super::document::{Document, Scope, Wide};
use super::known::GuestKind;
use super::lexicon::Lexicon;
use super::query::Query;

pub(super) struct Ranking {
    documents: Vec<Kept>,
    /// By noun: the documents that are about it, and how much.
    postings: Vec<Vec<(u16, f32)>>,
    /// By noun: what it is worth; most where it is in one place only.
    rarity: Vec<f32>,
    topics: Vec<Noun>,
    /// [`GENERAL`]
    general: Vec<Verb>,
    read: Option<Verb>,
    qemu: Option<Noun>,
    lxc: Option<Noun>,
    guest: Option<Noun>,
}

struct Kept {
    verbs: Box<[(Verb, f32)]>,
    named: Box<[(Box<[Noun]>, f32)]>,
    scope: Scope,
    guest: bool,
    takes_guest: bool,
    node: bool,
    wide: Wide,
    items: Box<[Box<str>]>,
}

/// An endpoint with its score.
pub(super) struct Ranked {
    pub at: usize,
    pub score: f32,
    pub covers: f32,
    pub too_wide: bool,
    /// Its path says what it is about, and the words do not.
    pub unsaid: bool,
    /// No word says what it does.
    pub undone: bool,
}

/// What the verb is worth beside the words.
const VERB: f32 = 0.9;
/// Without a verb a question is meant.
const READ_UNSAID: f32 = 0.75;
/// Each later verb is worth less: the first says what is wanted.
const LATER_VERB: f32 = 0.85;
const AGREES: f32 = 0.2;
/// What words are worth that are verbs too, where nothing else is said.
const OF_VERBS: f32 = 0.3;
/// Words that nearly every question could hold.
const GENERIC: [&str; 4] = ["config", "option", "state", "usage"];
const OF_GENERIC: f32 = 0.6;
const OTHER_KIND: f32 = 0.7;
const ITEM: f32 = 0.05;
const FILLED: f32 = 0.1;
/// For a value that its path has no place for.
const NO_PLACE: f32 = 0.06;
const ID_FITS: f32 = 0.2;
/// For a guest in its path, where a node was named and no guest.
const OF_A_NODE: f32 = 0.25;
/// At most, for "qemu" or "lxc" in a path: "start 105" says neither.
const OF_A_KIND: f32 = 0.06;
/// What is never a mere word beside another: a call that is not about it is another call. "Take vm 105 out of the pool" is nothing
/// that is done to vm 105.
const TOPICS: [&str; 11] = [
    "acl",
    "affinity",
    "firewall",
    "ha",
    "job",
    "pool",
    "replication",
    "retention",
    "role",
    "schedule",
    "token",
];
/// For a call that is about none of those that are named.
const OFF_TOPIC: f32 = 0.8;
/// From which weight on a word is about it.
const IS_ABOUT: f32 = 0.3;
/// For what reaches all there is where nobody said so.
const TOO_WIDE: f32 = 0.6;
const ALL: [&str; 17] = [
    "all",
    "every",
    "everything",
    "everybody",
    "everyone",
    "each",
    "entire",
    "whole",
    "bulk",
    "guests",
    "vms",
    "containers",
    "cts",
    "machines",
    "stopall",
    "startall",
    "workloads",
];
const NODE: [&str; 13] = [
    "node",
    "nodes",
    "host",
    "hosts",
    "hypervisor",
    "server",
    "machine",
    "member",
    "members",
    "box",
    "proxmox",
    "pve",
    "itself",
];
/// They may be done to anything.
const GENERAL: [&str; 6] = ["read", "create", "update", "delete", "check", "run"];
/// From which weight on a word names a thing.
const IS_SAID: f32 = 0.5;
/// From which weight on a verb says it by itself.
const IS_A_JOB: f32 = 0.7;
/// Below this share of the best nothing was meant.
const FAR: f32 = 0.45;

/// Whether a node is named, by its name or as one.
fn has_node(query: &Query) -> bool {
    query.values.has_node || query.values.get("node").is_some()
}

impl Ranking {
    pub fn new(documents: Vec<Document>, lexicon: &Lexicon) -> Self {
        let mut postings = vec![Vec::new(); lexicon.concepts.nouns()];
        for (at, document) in (0u16..).zip(&documents) {
            for (noun, weight) in &document.nouns {
                postings[usize::from(noun.0)].push((at, *weight));
            }
        }
        // Of a library: the C library's brings a third of a megabyte into memory for this alone.
        let most = libm::logf(documents.len() as f32 + 1.0);
        let rarity = postings.iter().map(|found: &Vec<(u16, f32)>| {
            let about: f32 = found.iter().map(|(_, weight)| weight.min(1.0).powi(2)).sum();
            1.0 - libm::logf(1.0 + about) / most
        });
        let mut rarity: Vec<f32> = rarity.map(|rarity: f32| 0.35 + 0.65 * rarity).collect();
        for noun in GENERIC.iter().filter_map(|name| lexicon.concepts.known_noun(&lexicon.stem(name))) {
            rarity[usize::from(noun.0)] *= OF_GENERIC;
        }
        let kept = documents.into_iter().map(|document| Kept {
            verbs: document.verbs.into(),
            named: document.named.into_iter().map(|(nouns, lost)| (nouns.into(), lost)).collect(),
            scope: document.scope,
            guest: document.guest,
            takes_guest: document.takes_guest,
            node: document.node,
            wide: document.wide,
            items: document.items.into(),
        });
        Self {
            documents: kept.collect(),
            postings,
            rarity,
            topics: TOPICS
                .iter()
                .filter_map(|name| lexicon.concepts.known_noun(&lexicon.stem(name)))
                .collect(),
            general: GENERAL.iter().filter_map(|name| lexicon.concepts.known_verb(name)).collect(),
            read: lexicon.concepts.known_verb("read"),
            qemu: lexicon.concepts.known_noun("qemu"),
            lxc: lexicon.concepts.known_noun("lxc"),
            guest: lexicon.concepts.known_noun("guest"),
        }
    }

    /// Endpoints with their scores, the best first.
    pub fn rank(&self, query: &Query) -> Vec<Ranked> {
        let names = query.values.vmid.is_some() || query.values.has_guest || has_node(query);
        // "shutdown" alone is a word of one parameter too, and of no path that does it: then the verb decides.
        let only_done = query.terms.iter().all(|term| term.done);
        // So it is of "delete", which is done to anything.
        let says_nothing = query.terms.iter().flat_map(|term| &term.nouns).all(|(_, sure)| *sure < IS_SAID);
        if only_done && says_nothing && !names && !self.is_a_job(query) {
            return Vec::new();
        }
        let covered = self.covered(query);
        let said = self.said(query);
        let on_topic = self.on_topic(query);
        let about = if only_done { OF_VERBS } else { 1.0 };
        let rank = |at: usize| {
            let too_wide = self.is_too_wide(query, at);
            let verb = self.verb(query, at);
            let undone = verb <= 0.0;
            let score = about * covered[at] + verb
                - self.lost(query, &said, at)
                - if too_wide { TOO_WIDE } else { 0.0 }
                - if on_topic[at] { 0.0 } else { OFF_TOPIC };
            let names = |noun: &Noun| said.iter().any(|(known, _)| known == noun);
            let document = &self.documents[at];
            let mut segments = document.named.iter().filter(|(_, lost)| *lost > OF_A_KIND).peekable();
            let unsaid = document.wide == Wide::No
                && segments.peek().is_some()
                && !segments.any(|(nouns, _)| nouns.iter().any(names));
            Ranked { at, score, covers: if only_done { 1.0 } else { covered[at] }, too_wide, unsaid, undone }
        };
        let of_kind = |at: &usize| match (query.values.kind(), self.documents[*at].scope) {
            (Some(GuestKind::Qemu), Scope::Lxc) | (Some(GuestKind::Lxc), Scope::Qemu) => false,
            _ => covered[*at] > 0.0 || only_done,
        };
        let mut ranked: Vec<Ranked> = (0..self.documents.len()).filter(of_kind).map(rank).collect();
        ranked.retain(|ranked| ranked.score > 0.0);
        if query.terms.is_empty() && !names {
            ranked.retain(|ranked| !ranked.unsaid);
        }
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.at.cmp(&b.at)));
        let best = ranked.first().map_or(0.0, |first| first.score);
        ranked.retain(|ranked| ranked.score >= best * FAR);
        ranked
    }

    /// Whether a verb by itself says which job is meant: "reboot" does, and what is made or deleted has to be said.
    fn is_a_job(&self, query: &Query) -> bool {
        let most = |general: bool| {
            let of = query.verbs.iter().filter(|said| self.general.contains(&said.verb) == general);
            of.map(|said| said.sure).fold(0.0, f32::max)
        };
        most(false) >= IS_A_JOB && most(false) > most(true)
    }

    /// By document: whether it is about each of [`TOPICS`] that is named.
    fn on_topic(&self, query: &Query) -> Vec<bool> {
        let mut on_topic = vec![true; self.documents.len()];
        let is_topic = |noun: &Noun| self.topics.contains(noun);
        let terms = query
            .terms
            .iter()
            .filter(|term| term.nouns.iter().any(|(noun, sure)| *sure >= 0.9 && is_topic(noun)));
        for term in terms {
            let mut about = vec![false; self.documents.len()];
            for (noun, _) in &term.nouns {
                let found = self.postings[usize::from(noun.0)].iter();
                found
                    .filter(|(_, weight)| *weight >= IS_ABOUT)
                    .for_each(|(at, _)| about[usize::from(*at)] = true);
            }
            on_topic.iter_mut().zip(about).for_each(|(on_topic, about)| *on_topic &= about);
        }
        on_topic
    }

    /// Whether it reaches every guest, or a whole node, and nobody said so.
    fn is_too_wide(&self, query: &Query, at: usize) -> bool {
        match self.documents[at].wide {
            Wide::No => false,
            Wide::Guests => !query.values.says(&ALL),
            Wide::Node => !query.values.says(&NODE) && !has_node(query),
        }
    }

    /// A guest is what it is, whatever it was called: "vm 105" of a container.
    pub fn correct(&self, query: &mut Query) {
        let (Some(qemu), Some(lxc)) = (self.qemu, self.lxc) else { return };
        let (wrong, right) = match query.values.kind() {
            Some(GuestKind::Qemu) => (lxc, qemu),
            Some(GuestKind::Lxc) => (qemu, lxc),
            None => return,
        };
        for (noun, _) in
            query.terms.iter_mut().flat_map(|term| &mut term.nouns).filter(|(noun, _)| *noun == wrong)
        {
            *noun = right;
        }
    }

    /// Whether any endpoint does, or is about, what has this name.
    #[cfg(test)]
    pub fn knows(&self, lexicon: &Lexicon, name: &str) -> bool {
        let verb = lexicon.concepts.known_verb(name);
        let noun = lexicon.concepts.known_noun(name);
        noun.is_some_and(|noun| !self.postings[usize::from(noun.0)].is_empty())
            || self
                .documents
                .iter()
                .flat_map(|document| &document.verbs)
                .any(|(known, _)| Some(*known) == verb)
    }

    /// By document: the share of the query's words that it is about.
    fn covered(&self, query: &Query) -> Vec<f32> {
        let mut sums = vec![0.0f32; self.documents.len()];
        let mut total = 0.0;
        let mut best = vec![0.0f32; self.documents.len()];
        let implied = self.implied_guest(query);
        let terms = query.terms.iter().map(|term| (&term.nouns[..], term.weight));
        for (nouns, weight) in terms.chain(implied.iter().map(|noun| (std::slice::from_ref(noun), 0.6))) {
            best.fill(0.0);
            let mut importance = 0.0f32;
            for (noun, sure) in nouns {
                let found = &self.postings[usize::from(noun.0)];
                if found.is_empty() {
                    continue;
                }
                importance = importance.max(sure * self.rarity[usize::from(noun.0)]);
                for (at, about) in found {
                    let known = &mut best[usize::from(*at)];
                    *known = known.max(sure * about);
                }
            }
            total += importance * weight;
            for (sum, best) in sums.iter_mut().zip(&best) {
                *sum += best * importance * weight;
            }
        }
        if total > 0.0 {
            sums.iter_mut().for_each(|sum| *sum /= total);
        }
        sums
    }

    /// An id that nobody said what it is of is a guest's.
    fn implied_guest(&self, query: &Query) -> Option<(Noun, f32)> {
        let noun = self.guest?;
        let guests = [Some(noun), self.qemu, self.lxc];
        let said = query
            .terms
            .iter()
            .flat_map(|term| &term.nouns)
            .any(|(noun, sure)| *sure > 0.6 && guests.contains(&Some(*noun)));
        ((query.values.vmid.is_some() || query.values.has_guest) && !said).then_some((noun, 1.0))
    }

    fn verb(&self, query: &Query, at: usize) -> f32 {
        let does = &self.documents[at].verbs;
        let fits =
            |verb: Verb| does.iter().find(|(known, _)| *known == verb).map_or(0.0, |(_, weight)| *weight);
        if query.verbs.is_empty() {
            return VERB * READ_UNSAID * self.read.map_or(0.0, fits);
        }
        // By the word that said it: the best one, and a little more for each other that agrees.
        let mut words = [0.0f32; 16];
        for said in &query.verbs {
            let word = &mut words[usize::from(said.order).min(15)];
            *word = word.max(said.sure * LATER_VERB.powi(said.order.into()) * fits(said.verb));
        }
        let best = words.into_iter().fold(0.0, f32::max);
        VERB * (best + AGREES * (words.iter().sum::<f32>() - best))
    }

    /// Nouns that the query may mean, to see what of a path it names.
    fn said(&self, query: &Query) -> Vec<(Noun, f32)> {
        query.terms.iter().flat_map(|term| &term.nouns).copied().filter(|(_, sure)| *sure >= 0.4).collect()
    }

    fn lost(&self, query: &Query, said: &[(Noun, f32)], at: usize) -> f32 {
        let document = &self.documents[at];
        let names = |noun: &Noun| said.iter().any(|(known, _)| known == noun);
        let mut lost: f32 =
            document.named.iter().filter(|(nouns, _)| !nouns.iter().any(names)).map(|(_, lost)| lost).sum();
        let item = if query.many { 2.0 * ITEM } else { ITEM };
        let filled = document.items.iter().filter(|name| query.values.get(name).is_some()).count();
        lost += item * (document.items.len() - filled) as f32;
        match query.values.has_names() {
            true if filled > 0 => lost -= FILLED,
            true => lost += NO_PLACE,
            false => {}
        }

        if has_node(query) && !document.node {
            lost += NO_PLACE;
        }

        let means = |kind: Option<Noun>| {
            said.iter().filter(|(noun, _)| Some(*noun) == kind).map(|(_, sure)| *sure).fold(0.0, f32::max)
        };
        let (qemu, lxc) = (means(self.qemu), means(self.lxc));
        match document.scope {
            Scope::Qemu if lxc > qemu => lost += OTHER_KIND * (lxc - qemu),
            Scope::Lxc if qemu > lxc => lost += OTHER_KIND * (qemu - lxc),
            _ => {}
        }
        let guest = query.values.vmid.is_some() || query.values.has_guest;
        let speaks_of_guests =
            guest || [self.qemu, self.lxc, self.guest].into_iter().any(|kind| means(kind) > 0.5);
        // "Is pve2 up?"
        if has_node(query) && !speaks_of_guests && document.guest {
            lost += OF_A_NODE;
        }
        match (guest, document.guest) {
            (true, true) => lost -= ID_FITS,
            (true, false) if !document.takes_guest => lost += 2.0 * NO_PLACE,
            _ => {}
        }
        lost
    }
}
