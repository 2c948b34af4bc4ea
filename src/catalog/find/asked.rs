//! Questions that speak of changes, and orders behind a wish to see: "what was deleted yesterday" is one, "show the stopped
//! guests, delete them" the other.

use super::lexicon::{Entry, Lexicon, Sense};
use super::query::cleaned;

const ASKING: [&str; 7] = ["what", "which", "who", "whose", "where", "when", "why"];
/// They begin a question by themselves; "do" and "have" begin orders too.
const BEING: [&str; 9] = ["is", "are", "was", "were", "does", "did", "has", "how", "any"];
/// What is said to be polite, before anything else.
const POLITE: [&str; 8] = ["please", "pls", "can", "could", "would", "you", "kindly", "hey"];
/// Behind these a verb says what somebody does, and not what is to be done: "who can delete it", "why did it stop".
const HELPING: [&str; 8] = ["can", "may", "could", "might", "will", "did", "does", "allowed"];
/// They ask for what is over.
const PAST: [&str; 4] = ["was", "were", "did", "been"];
const OVER: [&str; 2] = ["done", "finished"];
const MAY: [&str; 3] = ["can", "may", "allowed"];
/// Another wish begins.
const NEXT: [&str; 6] = ["and", "then", "also", "or", "please", "to"];
/// Before one of these a verb says what kind it is: "start time", "restore options".
const KINDS: [&str; 14] = [
    "time", "times", "date", "order", "delay", "options", "settings", "status", "state", "history", "log",
    "logs", "tasks", "jobs",
];
/// Before the means to an end, or what comes first.
const HOW: [&str; 4] = ["by", "after", "before", "while"];
/// Verbs that change nothing.
const HARMLESS: [&str; 4] = ["read", "check", "ping", "test"];
/// From which weight on a word is said of what is done, or is a thing.
const SURE: f32 = 0.7;

/// Whether the words ask or want to see, and each word in them that could be an order is said of what was done, of what
/// somebody may do, or as a thing.
pub(super) fn only(given: &str, lexicon: &Lexicon) -> bool {
    let text = cleaned(given).to_lowercase();
    let words = Words::of(&text, lexicon);
    let Some(first) = words.first() else { return false };
    let word = words.all[first].word;
    let begins = ASKING.contains(&word)
        || BEING.contains(&word)
        || words.says(first, &["read"])
        || words.is_of_a_kind(first);
    // "Get rid of it" begins as a wish to see.
    begins
        && !words.phrase(first).is_some_and(|entry| is_order(entry, lexicon))
        && !words.orders(first).any(|(at, begins)| begins || !words.entries(at).any(is_thing))
}

/// What a question is about beside what it names: who may do a thing is a permission's, and what was done a task's.
pub(super) fn about(given: &str, lexicon: &Lexicon) -> Option<&'static str> {
    let text = cleaned(given).to_lowercase();
    let words = Words::of(&text, lexicon);
    let first = words.first()?;
    let behind = || first + 1..words.all.len();
    let says = |any: &[&str]| behind().any(|at| any.contains(&words.all[at].word));
    let changes = || behind().any(|at| words.entries(at).any(|entry| is_order(entry, lexicon)));
    match words.all[first].word {
        "who" | "whose" if says(&MAY) && changes() => Some("acl"),
        "what" | "which" | "who" | "when" | "why" if says(&PAST) && changes() => Some("task"),
        "is" | "was" | "were" | "did" | "has" if says(&OVER) => Some("task"),
        _ => None,
    }
}

/// Whether an order begins behind something else: "list vms and reboot pve1".
pub(super) fn also(given: &str, lexicon: &Lexicon) -> bool {
    let text = cleaned(given).to_lowercase();
    let words = Words::of(&text, lexicon);
    let Some(first) = words.first() else { return false };
    // "Templates to download" are only looked for.
    let is_order = |at: usize| {
        words.all[at - 1].word != "to" && !words.entries(at).any(is_thing) && !words.is_before_a_kind(at)
    };
    words.orders(first).any(|(at, begins)| begins && is_order(at))
}

/// Whether the words begin as an order that is not said as one is: "destroys vm 102", "rebot it".
pub(super) fn nearly(given: &str, lexicon: &Lexicon) -> bool {
    let text = cleaned(given).to_lowercase();
    let words = Words::of(&text, lexicon);
    let Some(first) = words.first() else { return false };
    let word = words.all[first].word;
    let orders = |entry: &Entry| is_order(entry, lexicon) && !is_thing(entry);
    let bare = [word.strip_suffix('s'), word.strip_suffix("es")];
    let is_said = bare.into_iter().flatten().filter_map(|form| lexicon.word(form)).any(orders);
    let is_slip = || lexicon.word(word).is_none() && lexicon.nearest(word).is_some_and(orders);
    (is_said || is_slip()) && !words.is_before_a_kind(first)
}

struct Words<'a> {
    lexicon: &'a Lexicon,
    all: Vec<Word<'a>>,
    stems: Vec<String>,
}

struct Word<'a> {
    word: &'a str,
    /// A sentence, or a part of one, ends with it.
    ends: bool,
}

impl<'a> Words<'a> {
    fn of(text: &'a str, lexicon: &'a Lexicon) -> Self {
        let word = |raw: &'a str| Word {
            word: raw.trim_matches(|letter: char| !letter.is_alphanumeric()),
            ends: raw.ends_with([',', ';', '.', ':', '!', '?']),
        };
        let all: Vec<Word> = text.split_whitespace().map(word).collect();
        let stems = all.iter().map(|word| lexicon.stem(word.word)).collect();
        Self { lexicon, all, stems }
    }

    /// The first that is not only polite.
    fn first(&self) -> Option<usize> {
        self.all.iter().position(|word| !POLITE.contains(&word.word))
    }

    /// "Start time", "restore options".
    fn is_before_a_kind(&self, at: usize) -> bool {
        self.all.get(at + 1).is_some_and(|next| KINDS.contains(&next.word))
    }

    /// A verb that says which things are meant: "suspended guests", "restore log".
    fn is_of_a_kind(&self, at: usize) -> bool {
        let is_past = self.all[at].word.len() > 4 && self.all[at].word.ends_with("ed");
        self.is_before_a_kind(at) || is_past && self.all.len() > at + 1 && self.entries(at + 1).any(is_thing)
    }

    fn phrase(&self, at: usize) -> Option<&Entry> {
        self.lexicon.phrase(&self.stems[at..]).map(|(_, entry)| entry)
    }

    /// What a word may mean, by itself or with those behind it.
    fn entries(&self, at: usize) -> impl Iterator<Item = &Entry> {
        self.lexicon.word(self.all[at].word).into_iter().chain(self.phrase(at))
    }

    /// Words behind the first that could be orders, each with whether it begins one.
    fn orders(&self, first: usize) -> impl Iterator<Item = (usize, bool)> {
        let asks = ASKING.contains(&self.all[first].word);
        let mut helped = false;
        (first + 1..self.all.len()).filter_map(move |at| {
            let (before, word) = (&self.all[at - 1], self.all[at].word);
            helped =
                (helped || asks && HELPING.contains(&before.word)) && !before.ends && before.word != "then";
            let is_past = word.len() > 4 && (word.ends_with("ed") || word.ends_with("ing"));
            // "Backups and clones": nobody is told so.
            let is_many = word.len() > 4 && word.ends_with('s') && !word.ends_with("ss");
            // "Check it by rebooting it".
            let is_means = HOW.contains(&before.word) && word.ends_with("ing");
            let could = !helped
                && (!is_past || is_means)
                && !is_many
                && self.entries(at).any(|entry| is_order(entry, self.lexicon));
            could.then(|| (at, before.ends || is_means || NEXT.contains(&before.word)))
        })
    }

    /// Whether a word by itself surely means one of these verbs.
    fn says(&self, at: usize, verbs: &[&str]) -> bool {
        let verbs: Vec<_> = verbs.iter().filter_map(|name| self.lexicon.concepts.known_verb(name)).collect();
        let is = |sense: &Sense| matches!(sense, Sense::Verb(verb, weight) if *weight > SURE && verbs.contains(verb));
        self.lexicon.word(self.all[at].word).is_some_and(|entry| entry.senses.iter().any(is))
    }
}

/// Whether it says to change something.
fn is_order(entry: &Entry, lexicon: &Lexicon) -> bool {
    let harmless: Vec<_> = HARMLESS.iter().filter_map(|name| lexicon.concepts.known_verb(name)).collect();
    let is = |sense: &Sense| matches!(sense, Sense::Verb(verb, weight) if *weight >= SURE && !harmless.contains(verb));
    entry.senses.iter().any(is)
}

fn is_thing(entry: &Entry) -> bool {
    entry.senses.iter().any(|sense| matches!(*sense, Sense::Noun(_, weight) if weight >= SURE))
}
