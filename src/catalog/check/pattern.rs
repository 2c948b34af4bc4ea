//! Perl's regular expressions, run by an engine that takes no longer than it is told.
//!
//! Most patterns go to an automaton that is linear in the value; those with lookaheads and atomic groups backtrack,
//! within a limit. Both sides of PVE's alternations are anchored here, where PVE anchors the first at its beginning
//! and the last at its end: `a|b` is `a` or `b`.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use fancy_regex::{Regex, RegexBuilder};

/// Steps back that one match may take. An honest value of PVE's patterns takes a few.
const BACKTRACKS: usize = 20_000;

/// Bytes that a compiled pattern may take.
const SIZE: usize = 4 * 1024 * 1024;

/// Patterns that are kept compiled. Three catalogues together have 90.
const KEPT: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Matches,
    Differs,
    /// It took too long to say.
    Exhausted,
    /// No pattern that this engine runs.
    Unrunnable,
}

pub(super) fn verdict(pattern: &str, value: &str) -> Verdict {
    match compiled(pattern).as_deref().map(|regex| regex.is_match(value)) {
        None => Verdict::Unrunnable,
        Some(Ok(true)) => Verdict::Matches,
        Some(Ok(false)) => Verdict::Differs,
        Some(Err(_)) => Verdict::Exhausted,
    }
}

type Compiled = HashMap<String, Option<Arc<Regex>>>;

fn compiled(pattern: &str) -> Option<Arc<Regex>> {
    static COMPILED: LazyLock<RwLock<Compiled>> = LazyLock::new(RwLock::default);
    if let Some(known) = COMPILED.read().unwrap_or_else(PoisonError::into_inner).get(pattern) {
        return known.clone();
    }
    let regex = compile(pattern).map(Arc::new);
    let mut compiled = COMPILED.write().unwrap_or_else(PoisonError::into_inner);
    if compiled.len() >= KEPT {
        compiled.clear();
    }
    compiled.insert(pattern.to_owned(), regex.clone());
    regex
}

fn compile(pattern: &str) -> Option<Regex> {
    [Letters::Unicode, Letters::Wide].into_iter().find_map(|letters| {
        RegexBuilder::new(&format!(r"\A(?:{})\z", translated(pattern, letters)))
            .backtrack_limit(BACKTRACKS)
            .delegate_size_limit(SIZE)
            .build()
            .ok()
    })
}

/// What `\w` and `\d` are. Unicode's tables, hundreds of times over as in `\w{0,256}`, make a pattern of many
/// megabytes; then everything beyond ASCII is a letter, which refuses nothing that PVE takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Letters {
    Unicode,
    Wide,
}

/// The few things that Perl writes otherwise: `(?^i:…)` for flags that forget those around them, as Perl prints a
/// pattern within a pattern; `\0`; `{,8}`; and classes in which `[`, `&` and `~` are only themselves.
fn translated(perl: &str, letters: Letters) -> String {
    let mut rest = perl;
    let mut out = String::with_capacity(perl.len() + 16);
    let mut in_class = false;
    while let Some(character) = rest.chars().next() {
        let flags = rest
            .strip_prefix("(?^")
            .and_then(|after| after.split_once(':'))
            .filter(|(flags, _)| !in_class && flags.bytes().all(|flag| b"imsxuadln".contains(&flag)));
        let consumed = if let Some((flags, _)) = flags {
            let (on, off): (String, String) = "imsx".chars().partition(|flag| flags.contains(*flag));
            let minus = if off.is_empty() { "" } else { "-" };
            out.push_str(&format!("(?{on}{minus}{off}:"));
            "(?^".len() + flags.len() + 1
        } else if character == '\\' {
            let escaped = rest[1..].chars().next();
            match escaped {
                Some('0') => out.push_str(r"\x00"),
                Some(class @ ('w' | 'd')) if letters == Letters::Wide => {
                    let (open, close) = if in_class { ("", "") } else { ("[", "]") };
                    let letters = if class == 'w' { r"A-Za-z_\x{80}-\x{10ffff}" } else { "" };
                    out.push_str(&format!("{open}0-9{letters}{close}"));
                }
                Some(escaped) => out.extend(['\\', escaped]),
                None => out.push('\\'),
            }
            1 + escaped.map_or(0, char::len_utf8)
        } else if !in_class && rest.starts_with("{,") {
            out.push_str("{0,");
            2
        } else if in_class && "[&~".contains(character) {
            out.extend(['\\', character]);
            1
        } else if !in_class && character == '[' {
            in_class = true;
            // A bracket that follows at once is one of the class.
            let length =
                ["[^]", "[]", "[^"].into_iter().find(|start| rest.starts_with(start)).map_or(1, str::len);
            out.push_str(&rest[..length].replace(']', r"\]"));
            length
        } else {
            in_class = in_class && character != ']';
            out.push(character);
            character.len_utf8()
        };
        rest = &rest[consumed..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Letters, Verdict, translated, verdict};

    #[test]
    fn perl_is_understood() {
        for (pattern, value, verdict_) in [
            (r"(?^:\d+(?:;\d+)*)", "1;22;3", Verdict::Matches),
            (r"(?^:\d+(?:;\d+)*)", "1;22;", Verdict::Differs),
            (r"(?^i:[a-z]+)", "AbC", Verdict::Matches),
            (r"(?^i:a(?^:b))", "AB", Verdict::Differs),
            (r"(?^u:^((?>[+-]?[\w\-\._=]+,?)+)$)", "+aes,-pcid", Verdict::Matches),
            (r"\d+(?!\n)", "12", Verdict::Matches),
            (r"[A-Z]{,3}", "AB", Verdict::Matches),
            (r"[A-Z]{,3}", "ABCD", Verdict::Differs),
            (r"a\0b", "a\0b", Verdict::Matches),
            (r"[[&~]+", "[&~", Verdict::Matches),
            (r"[]a]+", "]a", Verdict::Matches),
            (r"[^]a]+", "b", Verdict::Matches),
            (r"\w[\w.-]{0,127}", "größe.1", Verdict::Matches),
            (r"(?^i:[\(\)-_.\w\d\s]{0,256})", "(größe) 1", Verdict::Matches),
            (r"(?^i:[\(\)-_.\w\d\s]{0,256})", "a#b", Verdict::Differs),
            (r"one|two", "one more", Verdict::Differs),
            (r"one|two", "two\n", Verdict::Differs),
            (r"(unclosed", "anything", Verdict::Unrunnable),
        ] {
            assert_eq!(
                verdict(pattern, value),
                verdict_,
                "{pattern} as {}: {value:?}",
                translated(pattern, Letters::Unicode)
            );
        }
    }

    #[test]
    fn catastrophic_backtracking_ends() {
        let value = format!("{}!", "a".repeat(5000));
        let start = std::time::Instant::now();
        assert_eq!(verdict(r"(a+)+", &value), Verdict::Differs);
        assert_eq!(verdict(r"(?:(?:a|aa)+)+(?=b)", &value), Verdict::Exhausted);
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }
}
