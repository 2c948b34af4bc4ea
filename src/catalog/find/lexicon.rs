//! `words.txt`: what people say, and which verbs and words of the API they mean by it.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;

use rust_stemmers::{Algorithm, Stemmer};

use super::concept::{Concepts, Noun, Verb};

/// What a word may mean, and how surely: 1 is surely.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Sense {
    Verb(Verb, f32),
    Noun(Noun, f32),
}

#[derive(Debug, Default, Clone)]
pub(super) struct Entry {
    pub senses: Vec<Sense>,
}

/// The stems after the first, and what it means.
type Phrase = (Vec<Box<str>>, Entry);

pub(super) struct Lexicon {
    stemmer: Stemmer,
    /// A word as it is written, before its relatives.
    exact: HashMap<Box<str>, Entry>,
    stems: HashMap<Box<str>, Entry>,
    /// By the stem of the first word: the stems that follow, the longest first.
    phrases: HashMap<Box<str>, Vec<Phrase>>,
    /// Words of the API that have been met: there are few, and each many times. Empty once all are known.
    own: HashMap<Box<str>, Noun>,
    /// Words of PVE's prose that nothing above knows, by their stems.
    prose: HashMap<Box<str>, Entry>,
    pub concepts: Concepts,
}

/// What stands apart from its verb: "turn it on", "start it at boot".
const PARTS: [&str; 18] = [
    "via", "under", "on", "off", "up", "down", "out", "back", "away", "through", "into", "at", "boot",
    "startup", "onlin", "offlin", "go", "run",
];
const GAP: usize = 4;

/// Words that say nothing about what is wanted.
const IDLE: &str = "a able about across actually after again all-right already also am an and any anything around as at \
    be because been before being below between both but by can case come could currently d did each either else ever \
    every few for from further get good got had has hello here hey hi i if in into instead is it its itself just kindly ll \
    like ll m made may maybe me might mine must my need needs no not now of off ok okay on once one only onto or other our \
    out over own per perhaps please possible pls plz properly quick quickly re really s same second set shall she should so \
    some someone something soon still such sure t tell than thanks that the their them then there these they thing \
    things this those through thx to too two under until us use ve very via want wants was way we well were while will \
    with within without would yes yet you your";

const TEXT: &str = include_str!("words.txt");

pub(super) fn idle(word: &str) -> bool {
    static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| IDLE.split_ascii_whitespace().collect());
    WORDS.contains(word)
}

impl Lexicon {
    pub fn new() -> Self {
        let mut lexicon = Self {
            stemmer: Stemmer::create(Algorithm::English),
            exact: HashMap::new(),
            stems: HashMap::new(),
            phrases: HashMap::new(),
            own: HashMap::new(),
            prose: HashMap::new(),
            concepts: Concepts::default(),
        };
        let mut verbs = false;
        for line in TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line {
                "[verbs]" => verbs = true,
                "[nouns]" => verbs = false,
                _ => lexicon.row(line, verbs),
            }
        }
        for phrases in lexicon.phrases.values_mut() {
            phrases.sort_by_key(|(rest, _)| Reverse(rest.len()));
        }
        lexicon
    }

    fn row(&mut self, line: &str, verbs: bool) {
        let Some((name, said)) = line.split_once(':') else { return };
        let sense = |lexicon: &mut Self, weight| match verbs {
            true => Sense::Verb(lexicon.concepts.verb(name), weight),
            false => {
                let stem = lexicon.stem(name);
                Sense::Noun(lexicon.concepts.noun(&stem), weight)
            }
        };
        for (words, weight) in weighted(said) {
            let sense = sense(self, weight);
            let (words, only) = match words.strip_prefix('!') {
                Some(rest) => (rest, true),
                None => (words, false),
            };
            let stems: Vec<Box<str>> = words_of(words).map(|word| self.stem(word).into()).collect();
            let entry = match &stems[..] {
                [] => continue,
                _ if only => self.exact.entry(words.into()).or_default(),
                [stem] => self.stems.entry(stem.clone()).or_default(),
                [first, rest @ ..] => {
                    let phrases = self.phrases.entry(first.clone()).or_default();
                    let at = phrases.iter().position(|(known, _)| known == rest).unwrap_or_else(|| {
                        phrases.push((rest.to_vec(), Entry::default()));
                        phrases.len() - 1
                    });
                    &mut phrases[at].1
                }
            };
            entry.add(sense);
        }
    }

    pub fn stem(&self, word: &str) -> String {
        self.stemmer.stem(word).into_owned()
    }

    /// Makes a word of the API known as itself.
    pub fn own_word(&mut self, word: &str) -> Noun {
        if let Some(noun) = self.own.get(word) {
            return *noun;
        }
        let noun = self.new_own_word(word);
        self.own.insert(word.into(), noun);
        noun
    }

    fn new_own_word(&mut self, word: &str) -> Noun {
        let stem = self.stem(word);
        let noun = self.concepts.noun(&stem);
        if idle(word) || idle(&stem) || PARTS.contains(&word) {
            return noun;
        }
        let entry = self.stems.entry(stem.into()).or_default();
        // The table may say that the word seldom means itself, and what is mostly done is seldom asked about.
        if !entry.senses.iter().any(|sense| matches!(sense, Sense::Noun(known, _) if *known == noun)) {
            let done =
                entry.senses.iter().any(|sense| matches!(sense, Sense::Verb(_, weight) if *weight >= 0.7));
            entry.senses.push(Sense::Noun(noun, if done { 0.4 } else { 1.0 }));
        }
        noun
    }

    /// When every word of the API is known.
    pub fn settle(&mut self) {
        self.own = HashMap::new();
    }

    /// Makes a word of PVE's prose known, unless it is: what people mean by the others is in the tables.
    pub fn prose_word(&mut self, word: &str) -> Option<Noun> {
        let stem = self.stem(word);
        if stem.len() < 3
            || self.exact.contains_key(word)
            || self.stems.contains_key(stem.as_str())
            || idle(word)
        {
            return None;
        }
        let noun = self.concepts.noun(&stem);
        self.prose.entry(stem.into()).or_default().add(Sense::Noun(noun, 1.0));
        Some(noun)
    }

    /// Whether a word with a hyphen in it is one of its own in the tables.
    pub fn is_whole(&self, word: &str) -> bool {
        self.exact.contains_key(word)
    }

    pub fn word(&self, word: &str) -> Option<&Entry> {
        let stem = self.stem(word);
        let tables = self.exact.get(word).or_else(|| self.stems.get(stem.as_str()));
        tables.or_else(|| self.prose.get(stem.as_str()))
    }

    /// The longest phrase that `stems` begin with, and where its words after the first stand: beside it, or for "turn …
    /// off" a little later.
    pub fn phrase(&self, stems: &[String]) -> Option<(Range<usize>, &Entry)> {
        let (first, rest) = stems.split_first()?;
        self.phrases.get(first.as_str())?.iter().find_map(|(known, entry)| {
            let parts = known.iter().all(|word| PARTS.contains(&&**word));
            let most = if parts { GAP } else { 0 };
            let at = (0..=most).find(|at| {
                let here = rest.get(*at..*at + known.len());
                here.is_some_and(|here| known.iter().zip(here).all(|(a, b)| **a == **b))
            })?;
            Some((at + 1..at + 1 + known.len(), entry))
        })
    }

    /// A short word with two letters the wrong way round. With another letter it is another word: a pool may be called "tank".
    fn swapped(&self, word: &str) -> Option<&Entry> {
        let mut letters: Vec<char> = word.chars().collect();
        (1..letters.len()).find_map(|at| {
            letters.swap(at - 1, at);
            let other: String = letters.iter().collect();
            letters.swap(at - 1, at);
            let stem = self.stem(&other);
            (other != word)
                .then(|| self.exact.get(other.as_str()).or_else(|| self.stems.get(stem.as_str())))
                .flatten()
        })
    }

    /// The known word that `word` most likely should have been.
    pub fn nearest(&self, word: &str) -> Option<&Entry> {
        let most = match word.len() {
            0..=3 => return None,
            4 => return self.swapped(word),
            5..=7 => 1,
            _ => 2,
        };
        let stem = self.stem(word);
        // The first letter is rarely the wrong one, and never in a word this short.
        let close = |known: &str, said: &str| {
            (known.len().abs_diff(said.len()) <= most && known.len() > 2)
                .then(|| strsim::osa_distance(known, said))
                .filter(|far| {
                    *far <= most && (known.as_bytes().first() == said.as_bytes().first() || said.len() > 5)
                })
        };
        let exact =
            self.exact.iter().filter_map(|(known, entry)| Some((close(known, word)?, &**known, entry)));
        let stems = self.stems.iter().filter_map(|(known, entry)| {
            let far = close(known, word).into_iter().chain(close(known, &stem)).min()?;
            Some((far, &**known, entry))
        });
        let same_start = |known: &str| known.bytes().zip(word.bytes()).take_while(|(a, b)| a == b).count();
        // The word itself last, so that the same one is taken every time.
        let key = |found: &(usize, &str, &Entry)| {
            let (far, known, _) = *found;
            (far, Reverse(same_start(known)), known.len().abs_diff(word.len()), known.to_owned())
        };
        exact.chain(stems).min_by_key(key).map(|(_, _, entry)| entry)
    }
}

impl Entry {
    pub fn only_verbs(&self) -> bool {
        self.senses.iter().all(|sense| matches!(sense, Sense::Verb(..)))
    }

    pub fn says(&self, verb: Verb) -> bool {
        self.senses.iter().any(|sense| matches!(sense, Sense::Verb(said, _) if *said == verb))
    }

    fn add(&mut self, sense: Sense) {
        let same = self.senses.iter_mut().find(|known| match (&**known, &sense) {
            (Sense::Verb(a, _), Sense::Verb(b, _)) => a == b,
            (Sense::Noun(a, _), Sense::Noun(b, _)) => a == b,
            _ => false,
        });
        match (same, sense) {
            (None, sense) => self.senses.push(sense),
            (Some(Sense::Verb(_, known) | Sense::Noun(_, known)), Sense::Verb(_, w) | Sense::Noun(_, w)) => {
                *known = known.max(w);
            }
        }
    }
}

/// `a b=.5 "c d"=.7` as words or phrases with their weights.
pub(super) fn weighted(text: &str) -> Vec<(&str, f32)> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (words, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_at(rest.find([' ', '=']).unwrap_or(rest.len())),
        };
        let (weight, after) = match after.strip_prefix('=') {
            Some(number) => number.split_at(number.find(' ').unwrap_or(number.len())),
            None => ("1", after),
        };
        found.push((words, weight.parse().unwrap_or(1.0)));
        rest = after.trim_start();
    }
    found
}

/// The words of a lower-case text, without what stands between them; an apostrophe joins.
pub(super) fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty())
}
