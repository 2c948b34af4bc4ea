//! PVE's section files: `storage.cfg`, `jobs.cfg`, `replication.cfg`, `ha/*.cfg`, `sdn/*.cfg`, `mapping/*.cfg`.
//!
//! ```text
//! dir: backup
//!     path /mnt/backup
//!     content backup,iso
//! ```
//!
//! A head begins a section, an empty line ends it, `#` begins a comment. It borrows the text and is gone with it.

use super::finding::{Findings, What, shown};
use super::property;

/// What a section's first line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heads {
    /// `dir: backup`
    Typed,
    /// `share`, as the mappings have it.
    Plain,
}

#[derive(Debug)]
pub struct Section<'a> {
    /// Empty where heads have none.
    pub kind: &'a str,
    pub id: &'a str,
    pub line: u32,
    /// In the order of the file; some keys stand there more than once. A key alone is a yes.
    pub values: Vec<(&'a str, &'a str)>,
}

impl<'a> Section<'a> {
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.values.iter().rev().find(|(name, _)| *name == key).map(|(_, value)| *value)
    }

    pub fn all(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.values.iter().filter(move |(name, _)| *name == key).map(|(_, value)| *value)
    }

    pub fn list(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.get(key).into_iter().flat_map(property::list)
    }

    #[must_use]
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.get(key).map(property::is_yes)
    }

    /// The list as names, for keeping.
    #[must_use]
    pub fn names(&self, key: &str) -> Box<[smol_str::SmolStr]> {
        self.list(key).map(Into::into).collect()
    }

    #[must_use]
    pub fn name(&self, key: &str) -> Option<smol_str::SmolStr> {
        self.get(key).map(Into::into)
    }
}

/// The sections of a file, in its order. Of two with one kind and id, the last counts.
pub fn sections<'a>(text: &'a str, heads: Heads, findings: &mut Findings<'_>) -> Vec<Section<'a>> {
    let mut found: Vec<Section<'a>> = Vec::new();
    let mut open = false;
    for (number, line) in (1u32..).zip(text.lines()) {
        if line.is_empty() {
            open = false;
        } else if line.trim_ascii().is_empty() || line.trim_ascii_start().starts_with('#') {
            // A line of blanks does not end a section.
        } else if open {
            match (line.starts_with([' ', '\t']), found.last_mut()) {
                (true, Some(section)) => section.values.push(value(line.trim_ascii())),
                // A head without an empty line before it: PVE gives what follows to the section before.
                _ => findings.add(number, What::Line),
            }
        } else if let Some((kind, id)) = head(line, heads) {
            found.push(Section { kind, id, line: number, values: Vec::new() });
            open = true;
        } else {
            findings.add(number, What::Line);
        }
    }
    let mut seen = std::collections::HashSet::new();
    let mut kept: Vec<Section<'a>> = Vec::with_capacity(found.len());
    for section in found.into_iter().rev() {
        if seen.insert((section.kind, section.id)) {
            kept.push(section);
        } else {
            findings.add(section.line, What::Twice(shown(section.id)));
        }
    }
    kept.reverse();
    kept
}

fn value(line: &str) -> (&str, &str) {
    let (key, value) = line.split_once([' ', '\t']).unwrap_or((line, "1"));
    (key, value.trim_ascii_start())
}

fn head(line: &str, heads: Heads) -> Option<(&str, &str)> {
    let line = line.trim_ascii_end();
    let word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
    match heads {
        Heads::Plain => word(line).then_some(("", line)),
        Heads::Typed => {
            let (kind, id) = line.split_once(':')?;
            let id = id.trim_ascii_start();
            (word(kind) && word(id)).then_some((kind, id))
        }
    }
}
