//! A private key that stands in a log line by line: no line of it looks like one by itself.
//!
//! Lines may have something before them, a time and a name. Whoever writes the log decides what is in it, so what begins
//! a key and never ends it withholds only what looks like a key's lines.

use super::{WITHHELD, cut};

/// A log as it is read, from its first line on.
#[derive(Debug, Default)]
pub struct Lines {
    inside: Inside,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Inside {
    #[default]
    Nothing,
    /// Of lines with so many words before the key's own.
    Key(usize),
    /// A certificate, or another thing that is public.
    Public,
}

impl Lines {
    /// The next line without secrets, if it has any, and how many.
    pub fn next(&mut self, line: &str) -> Option<(String, usize)> {
        if let Some((before, after)) = line.split_once("-----BEGIN ") {
            let private = is_private(after);
            self.inside = match after.contains("-----END ") {
                true => Inside::Nothing,
                false if private => Inside::Key(words(before)),
                false => Inside::Public,
            };
            return cut(line);
        }
        if line.contains("-----END ") {
            self.inside = Inside::Nothing;
            return cut(line);
        }
        match self.inside {
            Inside::Key(words) if is_inside(line, words) => withheld(line),
            Inside::Public if is_body(last(line).1) => None,
            _ => {
                self.inside = Inside::Nothing;
                if is_body_by_itself(line) { withheld(line) } else { cut(line) }
            }
        }
    }
}

/// Replaces what is secret in the lines of a log, of which the first need not be there.
pub fn withhold<'a>(lines: impl Iterator<Item = &'a mut String>) -> usize {
    let lines: Vec<&mut String> = lines.collect();
    // A key's end says what the lines above are.
    let ends = lines.iter().position(|line| line.contains("-----END ") || line.contains("-----BEGIN "));
    let end =
        ends.filter(|at| lines[*at].split_once("-----END ").is_some_and(|(_, after)| is_private(after)));
    let begin = end.map(|end| {
        let before = lines[end].split_once("-----END ").map_or(0, |(before, _)| words(before));
        end - lines[..end].iter().rev().take_while(|line| is_inside(line, before)).count()
    });
    let (mut state, mut found) = (Lines::default(), 0);
    for (at, line) in lines.into_iter().enumerate() {
        let is_above = begin.is_some_and(|begin| begin <= at) && end.is_some_and(|end| at < end);
        let clean = if is_above { withheld(line) } else { state.next(line) };
        if let Some((clean, count)) = clean {
            *line = clean;
            found += count;
        }
    }
    found
}

fn is_private(marker: &str) -> bool {
    marker.split("-----").next().is_some_and(|what| what.contains("PRIVATE KEY"))
}

fn withheld(line: &str) -> Option<(String, usize)> {
    let (before, key) = last(line);
    (!key.is_empty() && key != WITHHELD).then(|| (format!("{before}{WITHHELD}"), 1))
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// A line's last word, and what stands before it.
fn last(line: &str) -> (&str, &str) {
    let line = line.trim_end();
    line.split_at(
        line.rfind(char::is_whitespace)
            .map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8)),
    )
}

/// Whether a line may stand within a key whose lines have so many words before them.
fn is_inside(line: &str, before: usize) -> bool {
    const HEADERS: &[&str] = &["Proc-Type:", "DEK-Info:", "Comment:", "Version:"];
    let has_header = HEADERS.iter().any(|header| line.contains(header));
    words(line) <= before || has_header || (words(line) == before + 1 && is_body(last(line).1))
}

fn is_body(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
}

/// Whether a line's last word is a key's line even where nothing above says so: whoever reads a log from its middle on
/// must not get what is withheld from its beginning on.
fn is_body_by_itself(line: &str) -> bool {
    const SHORTEST: usize = 60;
    let (before, word) = last(line);
    let has = |which: fn(&u8) -> bool| word.as_bytes().iter().any(which);
    let kind = before.split_whitespace().next_back().unwrap_or_default();
    word.len() >= SHORTEST
        && is_body(word)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_digit)
        && !["ssh-", "ecdsa-", "sk-ssh-"].iter().any(|public| kind.starts_with(public))
}
