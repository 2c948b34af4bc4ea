//! What was typed, as verbs, words and values.

use super::concept::{Noun, Verb};
use super::lexicon::{Entry, Lexicon, Sense, words_of};
use super::values::Values;
use crate::text;

/// More is not read.
pub const MAX_BYTES: usize = 1024;
const MAX_WORDS: usize = 48;

#[derive(Debug, Default)]
pub(super) struct Query {
    /// In the order in which they were said.
    pub verbs: Vec<Said>,
    pub terms: Vec<Term>,
    pub values: Values,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    pub verb: Verb,
    pub sure: f32,
    /// 0 for the first word that was a verb.
    pub order: u8,
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

/// Words that say nothing about what is wanted.
const IDLE: &str = "a able about across actually after again all-right already also am an and any anything around as at \
    be because been before being below between both but by can case come could currently d did each either else ever \
    every few for from further good got had has hello here hey hi i if in into instead is it its itself just kindly ll \
    like ll m made may maybe me might mine must my need needs no not of off ok okay on once one only onto or other our \
    out over own per perhaps please possible pls plz properly quick quickly re really s same second shall she should so \
    some someone something soon still such sure t tell than thanks that the their them then there these they thing \
    things this those through thx to too two under until us use ve very via want wants was way we well were while will \
    with within without would yes yet you your";

impl Query {
    pub fn read(given: &str, lexicon: &Lexicon) -> Self {
        let text = cleaned(given);
        let lower = text.to_lowercase().replace(['\'', '’'], "");
        let tokens: Vec<Token> =
            lower.split_whitespace().flat_map(|raw| tokens(raw, lexicon)).take(MAX_WORDS).collect();
        let stems: Vec<String> = tokens.iter().map(|token| token.stem.clone()).collect();

        let mut query = Self { values: Values::read(&text), ..Self::default() };
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            if let Some((length, entry)) = lexicon.phrase(&stems[at..]) {
                query.add(entry, 1.0, false);
                at += length;
                continue;
            }
            at += 1;
            let plural = token.word.ends_with('s') && !token.word.ends_with("ss");
            let idle = IDLE.split_ascii_whitespace().any(|idle| idle == token.word);
            let number = token.word.starts_with(|first: char| first.is_ascii_digit());
            if number || query.values.took(token.raw) {
                continue;
            }
            match lexicon.word(token.word) {
                Some(entry) if !idle || entry.senses.iter().all(|sense| matches!(sense, Sense::Verb(..))) => {
                    query.add(entry, 1.0, plural);
                }
                Some(_) => {}
                None if idle || token.word.len() > 32 => {}
                None if query.values.may_be(token.raw) && token.first_of_raw && token.raw != token.word => {}
                None => match lexicon.nearest(token.word) {
                    Some(entry) => query.add(entry, 0.9, plural),
                    None => query.values.unknown(token.raw),
                },
            }
        }
        query
    }

    /// `plural`: said of more than one, which no verb is.
    fn add(&mut self, entry: &Entry, sure: f32, plural: bool) {
        let mut term = Term { nouns: Vec::new(), weight: sure };
        let mut said = false;
        let is_noun =
            entry.senses.iter().any(|sense| matches!(sense, Sense::Noun(_, weight) if *weight >= 0.7));
        let order = self.verbs.last().map_or(0, |last| last.order.saturating_add(1));
        for sense in &entry.senses {
            match *sense {
                Sense::Verb(..) if plural && is_noun => {}
                Sense::Verb(verb, weight) => {
                    self.verbs.push(Said { verb, sure: weight * sure, order });
                    said |= weight > 0.6;
                }
                Sense::Noun(noun, weight) => term.nouns.push((noun, weight)),
            }
        }
        if term.nouns.is_empty() {
            return;
        }
        if said {
            term.weight *= 0.5;
        }
        self.terms.push(term);
    }
}

/// As text that shows what it says, and no longer than is read.
pub(super) fn cleaned(given: &str) -> String {
    let end =
        (0..=given.len().min(MAX_BYTES)).rev().find(|end| given.is_char_boundary(*end)).unwrap_or_default();
    text::clean(given[..end].as_bytes()).replace(['\n', '\t'], " ")
}

fn tokens<'a>(raw: &'a str, lexicon: &Lexicon) -> Vec<Token<'a>> {
    let words = words_of(raw).enumerate();
    words.map(|(at, word)| Token { word, stem: lexicon.stem(word), raw, first_of_raw: at == 0 }).collect()
}
