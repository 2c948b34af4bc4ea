//! What was typed, as verbs, words and values.

use super::concept::{Noun, Verb};
use super::known::{Known, is_like_a_guest, is_like_a_node};
use super::lexicon::{Entry, Lexicon, Sense, idle, words_of};
use super::values::{Means, Values};
use crate::text;

/// More is not read.
pub const MAX_BYTES: usize = 1024;
const MAX_WORDS: usize = 48;
const MAX_WORD: usize = 32;
/// Stems of things that are a kind by the word before them: "backup jobs".
const HEADS: [&str; 13] = [
    "job", "schedul", "config", "configur", "status", "log", "histori", "state", "target", "storag", "info",
    "inform", "command",
];
const ASKING: [&str; 7] = ["is", "are", "do", "does", "did", "has", "have"];
const NOT: [&str; 4] = ["not", "dont", "never", "without"];
/// How surely a word is meant that is only nearly said.
const OF_A_SLIP: f32 = 0.8;
/// How surely a thing is to be made that is for somebody.
const FOR_SOMEBODY: f32 = 0.8;
/// What a node's name is worth beside "node".
const OF_A_NAME: f32 = 0.6;
/// Before a "not" these leave it an order.
const ORDERING: [&str; 6] = ["do", "please", "pls", "but", "and", "you"];
const INSTEAD: [&str; 5] = ["just", "but", "instead", "rather", "only"];
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
    /// Names that are nobody's.
    pub strays: Vec<String>,
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
    /// Said as a verb: what it does is wanted, and what is about it need not be.
    pub done: bool,
}

/// How a word was said.
#[derive(Clone, Copy)]
struct How {
    sure: f32,
    /// Of more than one, which no verb is.
    plural: bool,
    /// Before the thing that it is a kind of, or that thing.
    compound: bool,
    phrase: bool,
}

struct Token<'a> {
    word: &'a str,
    stem: String,
    /// What it was written in: `local-lvm` of `lvm`.
    raw: &'a str,
}

impl Query {
    pub fn read(given: &str, lexicon: &Lexicon, known: &Known) -> Self {
        let text = osds_apart(&cleaned(given));
        let lower = text.to_lowercase().replace(['\'', '’'], "");
        let words = lower.split_whitespace().filter(|raw| !ARTICLES.contains(raw));
        let mut tokens: Vec<Token> = words.flat_map(|raw| tokens(raw, lexicon)).take(MAX_WORDS).collect();
        osd_states(&mut tokens);
        let stems: Vec<String> = tokens.iter().map(|token| token.stem.clone()).collect();

        let values = Values::read(&text, known, |word| means(word, lexicon));
        let mut query = Self { values, ..Self::default() };
        let mut taken = vec![false; tokens.len()];
        // "Not backed up" takes nothing back.
        let is_phrase = |at: usize| lexicon.phrase(&stems[at - 1..]).is_some();
        if let Some(at) = denied(&tokens).filter(|at| !is_phrase(*at)) {
            taken[at] = true;
        }
        for (at, token) in tokens.iter().enumerate() {
            if taken[at] {
                continue;
            }
            if let Some((rest, entry)) = lexicon.phrase(&stems[at..]) {
                query.add(entry, How { sure: 1.0, plural: false, compound: false, phrase: true });
                taken[at + rest.start..at + rest.end].fill(true);
                taken[at] = true;
                continue;
            }
            // "Is it up?" asks; "it is stuck, kill it" does not.
            if at == 0 || !ASKING.contains(&token.word) {
                query.word(&tokens[at..], lexicon);
            }
        }
        query.settle(&tokens, lexicon);
        if query.verbs.is_empty() && query.is_for_somebody(&tokens, lexicon) {
            let create = lexicon.concepts.known_verb("create");
            query.verbs.extend(create.map(|verb| Said { verb, sure: FOR_SOMEBODY, order: 0, pure: true }));
        }
        // A part of a phrase is no name: "turn it off".
        let phrased =
            |part: &str| tokens.iter().zip(&taken).any(|(token, taken)| *taken && token.word == part);
        let is_word = |word: &str| {
            !is_like_a_guest(word) && words_of(word).all(|part| phrased(part) || is_said(part, lexicon))
        };
        query.strays = query.values.strays(is_word);
        query
    }

    /// "A user for grafana": who is not there yet is to be given one. Several of a thing are there: "tokens for terraform".
    fn is_for_somebody(&self, tokens: &[Token], lexicon: &Lexicon) -> bool {
        let [.., before, last] = tokens else { return false };
        let is_nobody = last.word == last.raw
            && last.word.bytes().all(|byte| byte.is_ascii_alphabetic())
            && lexicon.word(last.word).is_none()
            && !idle(last.word)
            && !self.values.took(last.raw);
        before.word == "for"
            && is_nobody
            && !self.many
            && self.terms.iter().any(|term| !term.nouns.is_empty())
    }

    /// As if no other verb were said, and it were about this too.
    pub fn only(&mut self, verb: Option<Verb>, about: Option<Noun>) {
        self.verbs = verb.map(|verb| Said { verb, sure: 1.0, order: 0, pure: true }).into_iter().collect();
        self.terms.iter_mut().for_each(|term| term.done = false);
        self.terms.extend(about.map(|noun| Term { nouns: vec![(noun, 1.0)], weight: 1.0, done: false }));
    }

    /// The first of `tokens`.
    fn word(&mut self, tokens: &[Token], lexicon: &Lexicon) {
        let [token, rest @ ..] = tokens else { return };
        let bare = token.raw.trim_matches(|c: char| !c.is_alphanumeric());
        if self.values.took(token.raw) || token.word.len() > MAX_WORD {
            return;
        }
        // What every node has one of by this name, and what is a word elsewhere.
        if bare == "local" && self.values.may_be(bare) {
            self.values.unknown(bare);
            return;
        }
        // A guest's name, whose parts say nothing of what is wanted.
        if is_like_a_guest(bare) {
            self.values.unknown(bare);
            return;
        }
        // A node's name says that it is about a node, unless that is only where something is.
        if is_like_a_node(bare) {
            self.values.unknown(bare);
            let node = lexicon.concepts.known_noun("node").filter(|_| !self.values.is_beside(bare));
            self.terms.extend(node.map(|noun| Term {
                nouns: vec![(noun, 1.0)],
                weight: OF_A_NAME,
                done: false,
            }));
            return;
        }
        if bare != token.word && self.values.may_be(bare) {
            self.values.unknown(bare);
            return;
        }
        let is_head = |token: &Token| HEADS.contains(&token.stem.as_str());
        // "id 105" is that guest and nobody's id.
        let numbered = rest.first().is_some_and(is_count);
        if numbered && ["id", "vmid", "ctid"].contains(&token.word) {
            return;
        }
        // "The last 200 lines" are how much is wanted, and not what.
        if ["last", "tail"].contains(&token.word) && rest.first().is_some_and(is_count) {
            return;
        }
        let how = How {
            sure: 1.0,
            plural: token.word.len() > 4 && token.word.ends_with('s') && !token.word.ends_with("ss"),
            // "backup jobs", but "backup vm".
            compound: rest.first().is_some_and(is_head) || is_head(token) && !self.terms.is_empty(),
            phrase: false,
        };
        let idle = idle(token.word);
        match lexicon.word(token.word) {
            Some(entry) if !idle || entry.only_verbs() => self.add(entry, how),
            Some(_) => {}
            None if idle => {}
            None if token.word.contains(|c: char| c.is_ascii_digit()) => self.values.unknown(bare),
            // What stands where a name stands is one, however near it is to a word.
            None if self.values.may_be(bare) => self.values.unknown(bare),
            None => match lexicon.nearest(token.word) {
                Some(entry) => self.add(entry, How { sure: OF_A_SLIP, ..how }),
                None => self.values.unknown(bare),
            },
        }
    }

    /// "snapshot delete": the verb comes last, and what could have been one is a thing.
    fn settle(&mut self, tokens: &[Token], lexicon: &Lexicon) {
        let last = self.verbs.last().map_or(0, |last| last.order);
        let ends =
            tokens.last().filter(|end| !end.word.ends_with("ion")).and_then(|end| lexicon.word(end.word));
        let is_last = |said: &Said| said.order == last && said.pure && said.sure >= 0.8;
        if self.verbs.iter().any(|said| is_last(said) && ends.is_some_and(|entry| entry.says(said.verb))) {
            self.verbs.retain(|said| said.pure);
        }
    }

    /// What can be a thing is one after a verb: "delete the backup".
    fn add(&mut self, entry: &Entry, how: How) {
        let How { sure, plural, compound, phrase } = how;
        let mut term = Term { nouns: Vec::new(), weight: sure, done: false };
        let mut said = false;
        let is_noun =
            entry.senses.iter().any(|sense| matches!(sense, Sense::Noun(_, weight) if *weight >= 0.7));
        let told = self.verbs.iter().any(|said| said.sure >= 0.8);
        let order = self.verbs.last().map_or(0, |last| last.order.saturating_add(1));
        self.many |= plural;
        for sense in &entry.senses {
            match *sense {
                Sense::Verb(..) if (plural || (told || compound) && is_noun) && !phrase => {}
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
        term.done = said;
        self.terms.push(term);
    }
}

fn is_count(token: &Token) -> bool {
    token.word.bytes().all(|byte| byte.is_ascii_digit())
}

/// The word after a "not" by which an order is taken back, "do not delete it", or that something else is said in place of: "it
/// should not be deleted, just stopped".
fn denied(tokens: &[Token]) -> Option<usize> {
    let not = tokens.iter().position(|token| NOT.contains(&token.word))?;
    let rest = tokens.get(not + 2..)?;
    let is_order = tokens[..not].iter().all(|token| ORDERING.contains(&token.word));
    (is_order || rest.iter().any(|token| INSTEAD.contains(&token.word))).then_some(not + 1)
}

/// Whether an order is taken back: what is left of the words is all that they ask for.
pub(super) fn is_denied(given: &str, lexicon: &Lexicon) -> bool {
    let lower = cleaned(given).to_lowercase().replace(['\'', '’'], "");
    let tokens: Vec<Token> = lower.split_whitespace().flat_map(|raw| tokens(raw, lexicon)).collect();
    let orders =
        |at: usize| lexicon.word(tokens[at].word).is_some_and(|_| entry_is_done(lexicon, tokens[at].word));
    denied(&tokens).is_some_and(orders)
}

/// What a whole word means, by itself.
fn means(word: &str, lexicon: &Lexicon) -> Means {
    let mut parts = words_of(word).peekable();
    if parts.peek().is_none() {
        return Means::Idle;
    }
    let of = |part: &str| match lexicon.word(part) {
        Some(entry) if entry.only_verbs() => Means::Doing,
        Some(_) if !idle(part) => match entry_is_done(lexicon, part) {
            true => Means::Doing,
            false if is_itself(lexicon, part) => Means::Itself,
            false => Means::Thing,
        },
        _ if idle(part) || ARTICLES.contains(&part) => Means::Idle,
        _ => Means::Nothing,
    };
    let found: Vec<Means> = parts.map(of).collect();
    [Means::Nothing, Means::Itself, Means::Thing, Means::Doing]
        .into_iter()
        .find(|means| found.contains(means))
        .unwrap_or(Means::Idle)
}

/// Whether a word that is a thing too is mostly said of what is done: "stop".
fn entry_is_done(lexicon: &Lexicon, part: &str) -> bool {
    let senses = lexicon.word(part).map_or(&[][..], |entry| &entry.senses);
    let most = |verbs: bool| {
        let weights = senses.iter().filter_map(|sense| match *sense {
            Sense::Verb(_, weight) if verbs => Some(weight),
            Sense::Noun(_, weight) if !verbs => Some(weight),
            Sense::Verb(..) | Sense::Noun(..) => None,
        });
        weights.fold(0.0, f32::max)
    };
    most(true) >= 0.9 && most(true) > most(false)
}

/// Whether it is what the API calls a thing, and no other word for one.
fn is_itself(lexicon: &Lexicon, part: &str) -> bool {
    let own = lexicon.concepts.known_noun(&lexicon.stem(part));
    let senses = lexicon.word(part).map_or(&[][..], |entry| &entry.senses);
    senses
        .iter()
        .any(|sense| matches!(sense, Sense::Noun(noun, weight) if Some(*noun) == own && *weight >= 0.9))
}

/// Whether somebody may say it who names nobody: a word that is known, or nearly.
fn is_said(part: &str, lexicon: &Lexicon) -> bool {
    // With a number in it, it is one of several, and no slip.
    let is_numbered = part.bytes().any(|byte| byte.is_ascii_digit());
    idle(part) || lexicon.word(part).is_some() || !is_numbered && lexicon.nearest(part).is_some()
}

/// The same of a word as it is written: each part of it.
pub(super) fn is_usual(word: &str, lexicon: &Lexicon) -> bool {
    words_of(&word.to_lowercase()).all(|part| is_said(part, lexicon))
}

/// As text that shows what it says, and no longer than is read.
pub(super) fn cleaned(given: &str) -> String {
    let end =
        (0..=given.len().min(MAX_BYTES)).rev().find(|end| given.is_char_boundary(*end)).unwrap_or_default();
    text::clean(&given.as_bytes()[..end]).replace(['\n', '\t'], " ")
}

/// How far behind its OSD a state may stand: "take osd 4 back out".
const OSD_STATE: usize = 3;

/// What an OSD is to be is no filler: "mark osd 4 out", "bring osd.3 in".
fn osd_states(tokens: &mut [Token]) {
    let Some(osd) = tokens.iter().position(|token| token.stem == "osd") else { return };
    for token in tokens[osd + 1..].iter_mut().take(OSD_STATE) {
        let state = match token.word {
            "in" => "osdin",
            "out" => "osdout",
            "down" => "osddown",
            _ => continue,
        };
        (token.word, token.stem) = (state, state.to_owned());
        return;
    }
}

/// `osd.4` is written as a name, and is OSD 4.
fn osds_apart(text: &str) -> String {
    let apart = |raw: &str| {
        let number = raw.get(..4).filter(|osd| osd.eq_ignore_ascii_case("osd.")).and_then(|_| raw.get(4..));
        match number.filter(|number| number.starts_with(|c: char| c.is_ascii_digit())) {
            Some(number) => format!("osd {number}"),
            None => raw.to_owned(),
        }
    };
    text.split_whitespace().map(apart).collect::<Vec<_>>().join(" ")
}

fn tokens<'a>(raw: &'a str, lexicon: &Lexicon) -> Vec<Token<'a>> {
    // Services and packages are called so as a whole: "pve-cluster" is nothing of a cluster.
    let whole = raw.trim_matches(|c: char| !c.is_alphanumeric());
    if whole.contains('-') && lexicon.is_whole(whole) {
        return vec![Token { word: whole, stem: whole.to_owned(), raw }];
    }
    words_of(raw).map(|word| Token { word, stem: lexicon.stem(word), raw }).collect()
}
