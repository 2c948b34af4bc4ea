//! Secrets that stand in a text behind their names: `password=a,user=b`, `export TOKEN=…`, `"apiKey": "…"`, `--password x`.
//!
//! In: any text, a property string of PVE's, a line of a log, a file, a script. Out: where in it the secrets are. It goes by
//! the table of names alone. Where it is not clear how far a value goes, it goes further.

use std::ops::Range;

use super::WITHHELD;
use super::names::is_secret;
use crate::text::beginning;

/// Bytes of a name.
const LONGEST: usize = 128;

/// The places of secret values in `text`, in order, none within another.
pub fn find(path: &str, text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let (mut found, mut at) = (Vec::<Range<usize>>::new(), 0);
    // Of `name=X,value=Y`: whether X is secret.
    let mut said = false;
    let mut line = 0;
    while at < bytes.len() {
        if line < at {
            line = at + bytes[at..].iter().take_while(|byte| !matches!(byte, b'\n' | 0)).count();
        }
        let value = match bytes[at] {
            b'=' | b':' => named(text, at).and_then(|name| {
                let word = &text[name.clone()];
                let is_value = said && matches!(word, "value" | "content" | "data");
                if matches!(word, "name" | "key") {
                    let beginning = beginning(&text[at..line], LONGEST);
                    let value = value(beginning, 0, beginning.len(), false);
                    said = is_secret(path, &beginning[value]);
                }
                let is_secret =
                    is_value || is_secret_in_text(path, word) || is_password(text, &name, at, line);
                is_secret.then(|| match empty_line(text, at, line) && begins_line(bytes, name.start) {
                    true => block(text, name.start, line),
                    false => value(text, at, line, begins_line(bytes, name.start)),
                })
            }),
            b'-' => option(path, text, at),
            _ => None,
        };
        match value {
            Some(value) if !value.is_empty() && !is_known(&text[value.clone()]) => {
                at = value.end;
                found.push(value);
            }
            _ => at += 1,
        }
    }
    found
}

/// Names whose values have a form by which they are known, or which mean something else in most texts.
const NOT_IN_TEXT: &[&str] = &[
    "authorization",
    "keys",
    "pbsapitoken",
    "pdmapitoken",
    "pmgapitoken",
    "proxy-authorization",
    "pveapitoken",
    "recovery",
];

fn is_secret_in_text(path: &str, name: &str) -> bool {
    is_secret(path, name) && !NOT_IN_TEXT.iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// Whether `pwd` names a password here: to a shell it is where it stands, and a command.
fn is_password(text: &str, name: &Range<usize>, at: usize, line: usize) -> bool {
    let bytes = text.as_bytes();
    let place =
        || text[at + 1..line].trim_start_matches([' ', '\t', '"', '\'']).starts_with(['/', '~', '.', '$']);
    text[name.clone()].eq_ignore_ascii_case("pwd")
        && (bytes[at] == b'=' || begins_line(bytes, name.start))
        && !place()
}

/// What a message says of a parameter, and what was withheld before.
pub(super) fn is_known(value: &str) -> bool {
    const SAID: &[&str] =
        &["property is ", "value must ", "value may ", "value does not match ", "value is too costly "];
    value.starts_with(WITHHELD) || SAID.iter().any(|said| value.starts_with(said))
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The name that ends before the sign at `at`, which may be quoted.
fn named(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    // `Perl::Module`.
    if bytes[at] == b':' && bytes.get(at + 1) == Some(&b':') {
        return None;
    }
    let mut end = at;
    let quoted = |byte: u8| matches!(byte, b'"' | b'\'' | b'`' | b'\\' | b']');
    while end > 0 && at - end < 16 && (is_blank(bytes[end - 1]) || quoted(bytes[end - 1])) {
        end -= 1;
    }
    let length = bytes[..end].iter().rev().take(LONGEST).take_while(|byte| is_of_name(**byte)).count();
    (length > 0).then(|| end - length..end)
}

/// The value of `--password VALUE`, where an option begins at `at`.
fn option(path: &str, text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    if at > 0 && is_of_name(bytes[at - 1]) {
        return None;
    }
    let rest = text[at..].trim_start_matches('-');
    let name = &rest[..rest.bytes().take_while(|byte| is_of_name(*byte)).count()];
    let from = text.len() - rest.len() + name.len();
    let blanks = bytes[from..].iter().take_while(|byte| is_blank(**byte)).count();
    if name.len() < 3 || blanks == 0 || !is_secret_in_text(path, name) {
        return None;
    }
    let from = from + blanks;
    // `- password = x` is a setting.
    if matches!(bytes.get(from), Some(b'=' | b':')) {
        return None;
    }
    quote(text, from)
        .or_else(|| Some(from..from + bytes[from..].iter().take_while(|byte| !is_space(**byte)).count()))
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0
}

/// Whether nothing stands behind the `:` at `at`, or what says that the lines below are the value.
fn empty_line(text: &str, at: usize, line: usize) -> bool {
    text.as_bytes()[at] == b':'
        && matches!(text[at + 1..line].trim(), "" | "|" | "|-" | "|+" | ">" | ">-" | ">+")
}

/// The value behind the sign at `at`, on a line that ends at `line`.
fn value(text: &str, at: usize, line: usize, begins_line: bool) -> Range<usize> {
    let bytes = &text.as_bytes()[..line];
    let sign = bytes[at];
    let skip = |from: usize, which: fn(u8) -> bool| {
        from + bytes[from..].iter().take_while(|byte| which(**byte)).count()
    };
    let sign_end = skip(at + 1, |byte| matches!(byte, b'=' | b'>'));
    let from = skip(sign_end, is_blank);
    if let Some(quoted) = quote(text, from) {
        return quoted;
    }
    if matches!(bytes.get(from), Some(b'[' | b'{')) && !text[from..].starts_with(WITHHELD) {
        return from..brackets(text.as_bytes(), from).unwrap_or(text.len());
    }
    let spaced = from > sign_end;
    if begins_line && spaced && (sign == b':' || bytes[..at].ends_with(b" ") || bytes[..at].ends_with(b"\t"))
    {
        return from..trimmed(bytes, from, line);
    }
    let whole_line = sign == b':' && spaced;
    let end = (from..line).find(|at| match bytes[*at] {
        // Where another name follows.
        b',' | b';' | b'&' => match bytes.get(*at + 1) {
            Some(next) if !is_space(*next) || whole_line => names_next(bytes, *at + 1),
            _ => true,
        },
        byte if is_space(byte) => !whole_line,
        // Of what stands around name and value.
        b'"' | b'\'' => bytes.get(*at + 1).is_none_or(|next| is_space(*next) || b",;)]}".contains(next)),
        _ => false,
    });
    from..end.unwrap_or(line)
}

/// What stands in quotes from here on, whose first may be escaped as within JSON; to the end of the text if it does not end.
fn quote(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let slashes = bytes[from..].iter().take_while(|byte| **byte == b'\\').count();
    let quote = *bytes.get(from + slashes).filter(|byte| matches!(byte, b'"' | b'\''))?;
    let start = from + slashes + 1;
    let slashes_before = |at: usize| bytes[start..at].iter().rev().take_while(|byte| **byte == b'\\').count();
    let end = (start..bytes.len()).find(|at| bytes[*at] == quote && slashes_before(*at) <= slashes);
    Some(start..end.map_or(bytes.len(), |at| at - slashes_before(at)))
}

/// The end of what begins with a bracket here.
fn brackets(bytes: &[u8], from: usize) -> Option<usize> {
    let mut depth = 0usize;
    let closes = bytes[from..].iter().position(|byte| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        depth == 0
    })?;
    Some(from + closes + 1)
}

/// The lines that follow `line`, as far as they stand further to the right than the name does.
fn block(text: &str, name: usize, line: usize) -> Range<usize> {
    let begin = text[..name].rfind('\n').map_or(0, |at| at + 1);
    let column = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let own = column(&text[begin..name]);
    let (mut at, mut end) = (text.len().min(line + 1), line);
    for follows in text[at..].split_inclusive('\n') {
        if column(follows) <= own && !follows.trim().is_empty() {
            break;
        }
        if !follows.trim().is_empty() {
            end = at + follows.trim_end().len();
        }
        at += follows.len();
    }
    // From the first line of its own on.
    let from = (line + 1).min(end);
    from + column(&text[from..end])..end
}

fn trimmed(bytes: &[u8], from: usize, to: usize) -> usize {
    from + bytes[from..to].trim_ascii_end().len()
}

/// Whether nothing but what introduces it stands before a name on its line.
fn begins_line(bytes: &[u8], name: usize) -> bool {
    let before = bytes[..name]
        .iter()
        .rev()
        .find(|byte| !matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'>' | b'|' | b'+' | b'*' | b'-'));
    before.is_none_or(|byte| matches!(byte, b'\n' | 0))
}

/// Whether a name and its sign stand here.
fn names_next(bytes: &[u8], from: usize) -> bool {
    let rest = &bytes[from..];
    let skip = rest.iter().take_while(|byte| is_blank(**byte) || matches!(byte, b'"' | b'\'')).count();
    let name = rest[skip..].iter().take_while(|byte| is_of_name(**byte)).count();
    let rest = rest[skip + name..].iter().find(|byte| !is_blank(**byte) && !matches!(byte, b'"' | b'\''));
    name > 0 && matches!(rest, Some(b'=' | b':'))
}

/// `text` with the secrets at `places` withheld.
pub fn without(text: &str, places: &[Range<usize>]) -> String {
    let (mut clean, mut from) = (String::with_capacity(text.len()), 0);
    for place in places {
        clean.push_str(&text[from..place.start]);
        clean.push_str(WITHHELD);
        from = place.end;
    }
    clean.push_str(&text[from..]);
    clean
}
