//! Halves of surrogate pairs in JSON.
//!
//! `"\ud83d\ude00"` is one character, and `"\ud83d"` alone is none: Perl writes one where a guest's name was cut in the
//! midst of such a character, and a strict parser then refuses all that stands around it. Each becomes U+FFFD, as bytes do that
//! are no UTF-8.

use std::borrow::Cow;

/// As long as what it stands for.
const REPLACEMENT: &str = "\\ufffd";

/// `json` with each half that has no other half replaced.
pub fn whole(json: &str) -> Cow<'_, str> {
    let mut mended = Cow::Borrowed(json);
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &json.as_bytes()[at..]) {
        let escape = at + found;
        at = match half(json, escape) {
            Some(High) if half(json, escape + REPLACEMENT.len()) == Some(Low) => {
                escape + 2 * REPLACEMENT.len()
            }
            Some(_) => {
                let end = escape + REPLACEMENT.len();
                mended.to_mut().replace_range(escape..end, REPLACEMENT);
                end
            }
            // What is escaped may be a backslash.
            None => (escape + 2).min(json.len()),
        };
    }
    mended
}

#[derive(PartialEq)]
enum Half {
    High,
    Low,
}
use Half::{High, Low};

/// Which half is escaped there, if one is.
fn half(json: &str, at: usize) -> Option<Half> {
    let digits = json.as_bytes().get(at..at + REPLACEMENT.len())?.strip_prefix(b"\\u")?;
    let code = u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    match code {
        0xd800..=0xdbff => Some(High),
        0xdc00..=0xdfff => Some(Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn a_half_alone_is_replaced_and_a_pair_stays() {
        for (given, read) in [
            (r#""a\ud800b""#, "a\u{fffd}b"),
            (r#""\uDC00""#, "\u{fffd}"),
            (r#""\ud83d\ude00""#, "\u{1f600}"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
            (r#""\ud83d\n\ude00""#, "\u{fffd}\n\u{fffd}"),
            (r#""\\ud800""#, "\\ud800"),
            (r#""gr\u00f6\u00dfer größer \"\\""#, "größer größer \"\\"),
        ] {
            assert_eq!(serde_json::from_str::<String>(&whole(given)).unwrap(), read, "{given}");
        }
    }

    #[test]
    fn what_is_cut_off_or_no_json_does_no_harm() {
        for given in ["\\", "\\u", "\\ud8", "\\ud800", "\\ud800\\", "\\ud800\\u", "é\\é", "\\u+123"] {
            assert_eq!(whole(given).len(), given.len(), "{given}");
        }
    }
}
