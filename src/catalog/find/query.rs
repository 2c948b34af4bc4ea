//! What was typed, as verbs, words and values.

use super::concept::{Noun, Verb};
use super::lexicon::{Entry, Lexicon, Sense, idle, words_of};
use super::values::Values;
use crate::text;

/// More is not read.
pub const MAX_BYTES: usize = 1024;
const MAX_WORDS: usize = 48;
/// They stand in the midst of phrases.
const ARTICLES: [&str; 12] =
    ["a", "an", "the", "my", "our", "your", "its", "this", "that", "these", "those", "some"];

#[derive(Debug, Default)]
pub(super) struct Query {
    /// In the order in which they were said.
    pub verbs: Vec<Said>,
    pub terms: Vec<Term>,
    /// Of more than one: "running tasks".
    pub many: bool,
    pub values: Values,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    pub verb: Verb,
    pub sure: f32,
    /// 0 for the first word that was a verb.
    pub order: u8,
    /// By a word that is no thing too.
    pure: bool,
}

/// A word or phrase and what it may be about.
#[derive(Debug, Default)]
pub(super) struct Term {
    pub nouns: Vec<(Noun, f32)>,
    /// Said as a verb too, or guessed: it counts for less.
    pub weight: f32,
}

struct Token<'a> {
    word: &'a str,
    stem: String,
    /// What it was written in: `local-lvm` of `lvm`.
    raw: &'a str,
    first_of_raw: bool,
}

impl Query {
    pub fn read(given: &str, lexicon: &Lexicon) -> Self {
        let text = cleaned(given);
        let lower = text.to_lowercase().replace(['\'', '’'], "");
        let words = lower.split_whitespace().filter(|raw| !ARTICLES.contains(raw));
        let tokens: Vec<Token> = words.flat_map(|raw| tokens(raw, lexicon)).take(MAX_WORDS).collect();
        let stems: Vec<String> = tokens.iter().map(|token| token.stem.clone()).collect();

        let mut query = Self { values: Values::read(&text), ..Self::default() };
        let mut taken = vec![false; tokens.len()];
        for (at, token) in tokens.iter().enumerate() {
            if taken[at] {
                continue;
            }
            if let Some((rest, entry)) = lexicon.phrase(&stems[at..]) {
                query.add(entry, 1.0, false, true);
                taken[at + rest.start..at + rest.end].fill(true);
                continue;
            }
            let plural = token.word.len() > 4 && token.word.ends_with('s') && !token.word.ends_with("ss");
            // "Is it up?" asks; "it is stuck, kill it" does not.
            if at > 0 && ["is", "are", "do", "does", "did", "has", "have"].contains(&token.word) {
                continue;
            }
            let idle = idle(token.word);
            let number = token.word.starts_with(|first: char| first.is_ascii_digit());
            if (number && lexicon.word(token.word).is_none()) || query.values.took(token.raw) {
                continue;
            }
            match lexicon.word(token.word) {
                Some(entry) if !idle || entry.senses.iter().all(|sense| matches!(sense, Sense::Verb(..))) => {
                    query.add(entry, 1.0, plural, false);
                }
                Some(_) => {}
                None if idle || token.word.len() > 32 => {}
                None if query.values.may_be(token.raw) && token.first_of_raw && token.raw != token.word => {}
                None if token.word.contains(|c: char| c.is_ascii_digit()) => query.values.unknown(token.raw),
                None => match lexicon.nearest(token.word) {
                    Some(entry) => query.add(entry, 0.9, plural, false),
                    None => query.values.unknown(token.raw),
                },
            }
        }
        // "snapshot delete": the verb comes last, and what could have been one is a thing.
        let last = query.verbs.last().map_or(0, |last| last.order);
        let ends = tokens.last().and_then(|end| lexicon.word(end.word));
        let is_last = |said: &Said| said.order == last && said.pure && said.sure >= 0.8;
        if query.verbs.iter().any(|said| is_last(said) && ends.is_some_and(|entry| entry.says(said.verb))) {
            query.verbs.retain(|said| said.pure);
        }
        query
    }

    /// `plural`: said of more than one, which no verb is. What can be a thing is one after a verb: "delete the backup".
    fn add(&mut self, entry: &Entry, sure: f32, plural: bool, phrase: bool) {
        let mut term = Term { nouns: Vec::new(), weight: sure };
        let mut said = false;
        let is_noun = entry.senses.iter().any(|sense| matches!(sense, Sense::Noun(_, weight) if *weight >= 0.7));
        let told = self.verbs.iter().any(|said| said.sure >= 0.8);
        let order = self.verbs.last().map_or(0, |last| last.order.saturating_add(1));
        self.many |= plural;
        for sense in &entry.senses {
            match *sense {
                Sense::Verb(..) if (plural || told && is_noun) && !phrase => {}
                Sense::Verb(verb, weight) => {
                    self.verbs.push(Said { verb, sure: weight * sure, order, pure: !is_noun });
                    said |= weight > 0.6;
                }
                Sense::Noun(noun, weight) => term.nouns.push((noun, weight)),
            }
        }
        if term.nouns.is_empty() {
            return;
        }
        if said && !phrase {
            term.weight *= 0.7;
        }
        self.terms.push(term);
    }
}

/// As text that shows what it says, and no longer than is read.
pub(super) fn cleaned(given: &str) -> String {
    let end = (0..=given.len().min(MAX_BYTES)).rev().find(|end| given.is_char_boundary(*end)).unwrap_or_default();
    text::clean(given[..end].as_bytes()).replace(['\n', '\t'], " ")
}

fn tokens<'a>(raw: &'a str, lexicon: &Lexicon) -> Vec<Token<'a>> {
    let words = words_of(raw).enumerate();
    words.map(|(at, word)| Token { word, stem: lexicon.stem(word), raw, first_of_raw: at == 0 }).collect()
}
