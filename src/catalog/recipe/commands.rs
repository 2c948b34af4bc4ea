//! Jobs that are done by a command in a guest, or by another tool that looks into one: as a table, `commands.toml`.
//!
//! In: what somebody typed. Out: the calls that do it, with what is to be filled in. They are advice, as the other recipes
//! are: whoever follows one is judged as for any other call. A word to be filled in must never be able to become an option,
//! or reach a shell as its text: the tests hold each row to that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

const TEXT: &str = include_str!("commands.toml");

/// One row.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub title: String,
    say: Vec<String>,
    keys: BTreeSet<String>,
    /// `exec`, `file_get` or `diagnose`.
    pub tool: String,
    /// What it is given besides the guest.
    pub args: Map<String, Value>,
    /// What the words in capitals stand for.
    #[serde(default)]
    pub fill: BTreeMap<String, String>,
    /// Arguments that can be left out.
    #[serde(default)]
    pub leave: Vec<String>,
    #[serde(default)]
    pub notes: Vec<String>,
}

#[derive(Deserialize)]
struct Table {
    command: Vec<Command>,
}

/// Those whose words make up this share of what was typed are for it.
const ENOUGH: f32 = 0.5;

/// All of the table. One that cannot be read is found by this room's tests.
pub fn all() -> &'static [Command] {
    static ALL: LazyLock<Vec<Command>> = LazyLock::new(|| read(TEXT).unwrap_or_default());
    &ALL
}

fn read(text: &str) -> Result<Vec<Command>, toml::de::Error> {
    toml::from_str(text).map(|table: Table| table.command)
}

/// The rows that do what was typed, the likeliest first, each with how much of it its words are.
#[must_use]
pub fn find(typed: &str) -> Vec<(&'static Command, f32)> {
    let asked: BTreeSet<String> = words(typed).filter(|word| !is_small(word)).collect();
    let fits = |command: &'static Command| {
        if command.title.eq_ignore_ascii_case(typed.trim()) {
            return Some((command, f32::INFINITY));
        }
        if command.keys.is_disjoint(&asked) {
            return None;
        }
        let known: BTreeSet<String> =
            command.say.iter().chain([&command.title]).flat_map(|text| words(text)).collect();
        let has = |word: &&String| known.contains(*word) || command.keys.contains(*word);
        let share = asked.iter().filter(has).count() as f32 / asked.len() as f32;
        (share >= ENOUGH).then_some((command, share))
    };
    let mut found: Vec<_> = all().iter().filter_map(fits).collect();
    // As the table has them where they fit alike.
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found
}

/// Its words in lower case; numbers, which are ids, are none.
fn words(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split(|character: char| !character.is_ascii_alphanumeric());
    let parts = parts.filter(|part| !part.is_empty() && !part.bytes().all(|byte| byte.is_ascii_digit()));
    parts.map(str::to_ascii_lowercase)
}

/// Words that say nothing of what is to be done, and those by which a guest is called.
fn is_small(word: &str) -> bool {
    const SMALL: &[&str] = &[
        "a",
        "an",
        "and",
        "are",
        "at",
        "by",
        "can",
        "container",
        "containers",
        "ct",
        "do",
        "does",
        "find",
        "for",
        "from",
        "get",
        "guest",
        "has",
        "how",
        "i",
        "in",
        "inside",
        "is",
        "it",
        "its",
        "list",
        "lxc",
        "me",
        "my",
        "of",
        "on",
        "or",
        "run",
        "see",
        "show",
        "that",
        "the",
        "there",
        "to",
        "up",
        "what",
        "which",
        "who",
        "why",
        "with",
    ];
    SMALL.contains(&word)
}

#[cfg(test)]
#[path = "commands_tests.rs"]
mod tests;
