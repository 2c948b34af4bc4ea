//! A file's bytes and a directory's entries, as an answer shows them: the guest wrote both.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};

use crate::door::{Found, Listed};
use crate::text::{begun, clean};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    Text,
    Base64,
}

/// Bytes as they are shown.
pub struct Shown {
    pub content: String,
    pub encoding: Encoding,
    /// Which of the bytes: without a character that the part cut in two.
    pub cut: std::ops::Range<usize>,
    /// Control sequences or hidden characters were taken out, or bytes were no UTF-8.
    pub cleaned: bool,
}

/// `begins` and `ends`: whether the bytes do so where the file does.
pub fn show(bytes: &[u8], wanted: Option<Encoding>, begins: bool, ends: bool) -> Shown {
    let cut = whole_characters(bytes, begins, ends);
    let text = std::str::from_utf8(&bytes[cut.clone()]);
    match (wanted, text) {
        (Some(Encoding::Base64), _) | (None, Err(_)) => Shown {
            content: BASE64.encode(bytes),
            encoding: Encoding::Base64,
            cut: 0..bytes.len(),
            cleaned: false,
        },
        (_, text) => {
            let content = clean(&bytes[cut.clone()]);
            let cleaned = text != Ok(&content);
            Shown { content, encoding: Encoding::Text, cut, cleaned }
        }
    }
}

fn whole_characters(bytes: &[u8], begins: bool, ends: bool) -> std::ops::Range<usize> {
    let continued = bytes.iter().take(3).take_while(|byte| matches!(byte, 0x80..=0xbf)).count();
    let from = if begins { 0 } else { continued };
    let begun = begun(&bytes[from..]);
    from..bytes.len() - if ends { 0 } else { begun }
}

/// Where the last so many lines begin.
pub fn last_lines(bytes: &[u8], lines: usize) -> usize {
    let ended = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut breaks = (0..ended.len()).rev().filter(|at| ended[*at] == b'\n');
    match lines.checked_sub(1) {
        None => bytes.len(),
        Some(before) => breaks.nth(before).map_or(0, |at| at + 1),
    }
}

/// An entry of a directory.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Entry {
    /// Written by the guest. Control and hidden characters are taken out, line breaks escaped.
    name: String,
    /// The bytes of the name, where `name` does not show them as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    name_base64: Option<String>,
    /// As find -type has it: f file, d directory, l link, p FIFO, s socket, c and b devices.
    kind: char,
    size: u64,
    mode: String,
    owner: String,
    mtime: String,
    /// Where a symbolic link points.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
}

pub fn entry(listed: Listed) -> Entry {
    let Listed { name, kind, size, mode, uid, gid, user, group, mtime, to } = listed;
    let shown = one_line(&name);
    Entry {
        name_base64: (shown.as_bytes() != name).then(|| BASE64.encode(&name)),
        name: shown,
        kind,
        size,
        mode: octal(mode),
        owner: owner(uid, gid, user.as_deref(), group.as_deref()),
        mtime: time(mtime),
        to: to.map(|to| one_line(&to)),
    }
}

fn one_line(bytes: &[u8]) -> String {
    clean(bytes).replace('\n', "\\n").replace('\t', "\\t")
}

pub fn octal(mode: u32) -> String {
    format!("{mode:04o}")
}

/// `user:group`, by the container's own names where it has some.
pub fn owner_of(found: &Found) -> String {
    owner(found.uid, found.gid, found.user.as_deref(), found.group.as_deref())
}

fn owner(uid: u32, gid: u32, user: Option<&str>, group: Option<&str>) -> String {
    let shown =
        |id: u32, name: Option<&str>| name.map_or_else(|| id.to_string(), |name| one_line(name.as_bytes()));
    format!("{}:{}", shown(uid, user), shown(gid, group))
}

/// RFC 3339.
pub fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cleaned_and_what_is_none_comes_whole() {
        for (bytes, wanted, content, cleaned) in [
            (&b"plain\n"[..], None, "plain\n", false),
            (b"\x1b[31mred", None, "red", true),
            ("a\u{202e}b".as_bytes(), None, "ab", true),
            (b"a\xffb", None, "Yf9i", false),
            (b"a\xffb", Some(Encoding::Text), "a\u{fffd}b", true),
            (b"ab", Some(Encoding::Base64), "YWI=", false),
            (b"", None, "", false),
        ] {
            let shown = show(bytes, wanted, true, true);
            assert_eq!((shown.content.as_str(), shown.cleaned), (content, cleaned), "{bytes:?}");
        }
    }

    #[test]
    fn a_part_splits_no_character_and_says_what_it_shows() {
        let all = "ä日😀".as_bytes();
        for from in 0..all.len() {
            for to in from..=all.len() {
                let shown = show(&all[from..to], None, from == 0, to == all.len());
                assert_eq!(shown.encoding, Encoding::Text, "{from}..{to}");
                assert!(!shown.cleaned && !shown.content.contains('\u{fffd}'), "{from}..{to}");
                assert_eq!(&all[from..to][shown.cut], shown.content.as_bytes());
            }
        }
    }

    #[test]
    fn the_last_lines_are_counted_from_the_end() {
        for (text, lines, expected) in [
            ("a\nb\nc\n", 2, "b\nc\n"),
            ("a\nb\nc", 2, "b\nc"),
            ("a\nb\nc\n", 9, "a\nb\nc\n"),
            ("a\n\n\n", 2, "\n\n"),
            ("a\n", 0, ""),
            ("", 3, ""),
        ] {
            assert_eq!(&text[last_lines(text.as_bytes(), lines)..], expected, "{text:?} {lines}");
        }
    }

    #[test]
    fn a_name_shows_nothing_that_a_terminal_or_a_reader_would_obey() {
        let name = b"a\n\x1b[2Jb\xff\xe2\x80\xae".to_vec();
        let listed = Listed {
            name: name.clone(),
            kind: 'f',
            size: 1,
            mode: 0o100644 & 0o7777,
            uid: 0,
            gid: 33,
            user: Some("ro\x1b[1mot".into()),
            group: None,
            mtime: 0,
            to: None,
        };
        let entry = entry(listed);
        assert_eq!((entry.name.as_str(), entry.owner.as_str()), ("a\\nb\u{fffd}", "root:33"));
        assert_eq!(entry.name_base64, Some(BASE64.encode(name)));
        assert_eq!((entry.mode.as_str(), entry.mtime.as_str()), ("0644", "1970-01-01T00:00:00Z"));
    }
}
