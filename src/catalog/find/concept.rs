//! Verbs and words of the API as small numbers.

use std::collections::HashMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Verb(pub u16);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Noun(pub u16);

#[derive(Debug, Default)]
pub(super) struct Concepts {
    verbs: HashMap<Box<str>, u16>,
    nouns: HashMap<Box<str>, u16>,
}

impl Concepts {
    pub fn verb(&mut self, name: &str) -> Verb {
        Verb(number(&mut self.verbs, name))
    }

    /// By its stem.
    pub fn noun(&mut self, stem: &str) -> Noun {
        Noun(number(&mut self.nouns, stem))
    }

    pub fn known_verb(&self, name: &str) -> Option<Verb> {
        self.verbs.get(name).copied().map(Verb)
    }

    pub fn known_noun(&self, stem: &str) -> Option<Noun> {
        self.nouns.get(stem).copied().map(Noun)
    }

    pub fn nouns(&self) -> usize {
        self.nouns.len()
    }
}

fn number(known: &mut HashMap<Box<str>, u16>, name: &str) -> u16 {
    if let Some(number) = known.get(name) {
        return *number;
    }
    let next = u16::try_from(known.len()).unwrap_or(u16::MAX);
    known.insert(name.into(), next);
    next
}
