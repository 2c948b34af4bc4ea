//! Text that a guest, a log or a config field could have written: made safe to show, never interpreted.
//!
//! One place for it. Terminal control sequences go, as do the characters by which text hides from a reader or
//! reorders itself: zero-width ones, bidirectional overrides, Unicode tags (invisible ASCII, used to smuggle
//! instructions to models). Line breaks and tabs stay.
//!
//! What is given out as it is ([`clean`], [`clean_json`]) is a value of its own in JSON: a string that nothing in it can end is
//! its fence, and the size of the answer bounds its lines. What is repeated among words of ours ([`brief`]) is one short line,
//! and what could pass for them stands between quotes that it cannot close ([`quoted`]).

#[cfg(feature = "ledger")]
pub use clean::{brief, clean, clean_json, quoted, reveal_json, revealed};

/// Values that the JSON of one message holds: as it is read each takes two hundred bytes, and is written in two.
pub const MOST_VALUES: usize = 1 << 17;

/// How deep serde_json makes values. What lies deeper ends it, or is passed over where nobody wants it: none is made of that,
/// and there may be more behind it.
const DEEPEST: usize = 128;

/// Whether a decoder would come to more. Text is looked through once, and only where it is long enough.
pub fn is_crowded(json: &[u8]) -> bool {
    if json.len() <= MOST_VALUES {
        return false;
    }
    let (mut values, mut depth, mut quoted, mut escaped) = (0, 0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => {
                depth += 1;
                values += usize::from(depth <= DEEPEST);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' | b':' => values += usize::from(depth <= DEEPEST),
            _ => {}
        }
    }
    values > MOST_VALUES
}

/// JSON that a client wrote as a text, with no more values than a message has; none where it is no such thing.
pub fn nested<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    (!is_crowded(text.as_bytes())).then(|| serde_json::from_str(text).ok()).flatten()
}

/// How many bytes at the end begin a character that does not end there.
pub fn begun(bytes: &[u8]) -> usize {
    let begun = (1..=bytes.len().min(3)).find(|back| {
        let needs = match bytes[bytes.len() - back] {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 0,
        };
        needs > *back
    });
    begun.unwrap_or(0)
}

/// The beginning of `text`, of at most so many bytes, and no character cut in two.
pub fn beginning(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// `text` of so many characters at most, with a sign where it was longer.
pub fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(feature = "ledger")]
mod clean {
    /// What somebody else wrote, as a message repeats it: cleaned, on one line, of so many characters at most.
    pub fn brief(text: &str, most: usize) -> String {
        // A character may take four bytes, and what is dropped takes some too.
        let beginning = super::beginning(text, most.saturating_mul(16));
        let cleaned = clean(beginning.as_bytes()).replace(['\n', '\t'], " ");
        let mut brief = super::shortened(cleaned.trim(), most);
        if beginning.len() < text.len() && !brief.ends_with('…') {
            brief.push('…');
        }
        brief
    }

    /// As [`brief`], between quotes that it cannot end: for a sentence or a line of a log among words of ours.
    pub fn quoted(text: &str, most: usize) -> String {
        let is_quote = |character: char| matches!(character, '"' | '\u{ab}' | '\u{bb}' | '\u{201c}'..='\u{201f}' | '\u{2033}' | '\u{2036}' | '\u{301d}'..='\u{301f}' | '\u{ff02}');
        format!("\"{}\"", brief(text, most).replace(is_quote, "'"))
    }

    /// `bytes` as text that shows what it says: invalid UTF-8 becomes U+FFFD, control sequences and hidden characters
    /// are dropped.
    pub fn clean(bytes: &[u8]) -> String {
        // Most output is plain ASCII; it is copied once and not parsed.
        if bytes.iter().all(|byte| matches!(byte, b'\n' | b'\t' | b' '..=b'~')) {
            return String::from_utf8_lossy(bytes).into_owned();
        }
        // Up to a line's end or a tab at a time: a sequence that is never ended would hide all that follows it, and what strips
        // them takes tabs along.
        let is_kept = |byte: &u8| matches!(byte, b'\n' | b'\t');
        let visible: Vec<u8> = bytes
            .split_inclusive(is_kept)
            .flat_map(|part| {
                let end = part.last().copied().filter(is_kept);
                let text = &part[..part.len() - usize::from(end.is_some())];
                strip_ansi_escapes::strip(text).into_iter().chain(end)
            })
            .collect();
        String::from_utf8_lossy(&visible).chars().filter(|character| !is_hidden(*character)).collect()
    }

    /// `text` with what nobody sees of it written out, `\u{200b}`: for who has to know what exactly stands there.
    pub fn revealed(text: &str) -> String {
        let mut revealed = String::with_capacity(text.len());
        for character in text.chars() {
            match is_hidden(character) {
                true => revealed.extend(character.escape_unicode()),
                false => revealed.push(character),
            }
        }
        revealed
    }

    /// As [`revealed`], for every text in a JSON value, names of fields included.
    pub fn reveal_json(value: &mut serde_json::Value) {
        use serde_json::Value;
        match value {
            Value::String(text) if text.chars().any(is_hidden) => *text = revealed(text),
            Value::Array(items) => items.iter_mut().for_each(reveal_json),
            Value::Object(object) => {
                if object.keys().any(|name| name.chars().any(is_hidden)) {
                    let fields = std::mem::take(object).into_iter();
                    object.extend(fields.map(|(name, value)| (revealed(&name), value)));
                }
                object.values_mut().for_each(reveal_json);
            }
            _ => {}
        }
    }

    /// As [`clean`], for every text in a JSON value, names of fields included.
    pub fn clean_json(value: &mut serde_json::Value) {
        use serde_json::Value;
        let is_plain = |text: &str| text.bytes().all(|byte| matches!(byte, b'\n' | b'\t' | b' '..=b'~'));
        match value {
            // A NUL stands between the settings of a list (a container's `env`), and must not join them.
            Value::String(text) if !is_plain(text) => *text = clean(text.replace('\0', "\n").as_bytes()),
            Value::Array(items) => items.iter_mut().for_each(clean_json),
            Value::Object(object) => {
                if !object.keys().all(|name| is_plain(name)) {
                    let fields = std::mem::take(object).into_iter();
                    object.extend(fields.map(|(name, value)| (clean(name.as_bytes()), value)));
                }
                object.values_mut().for_each(clean_json);
            }
            _ => {}
        }
    }

    fn is_hidden(character: char) -> bool {
        match character {
            '\n' | '\t' => false,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' => true,
            '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => true,
            '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' => true,
            '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}' => true,
            character => character.is_control(),
        }
    }

    #[cfg(test)]
    mod tests {
        use proptest::prelude::*;

        use super::{brief, clean, clean_json, is_hidden, quoted, reveal_json, revealed};

        #[test]
        fn what_is_revealed_holds_nothing_that_nobody_sees_and_all_that_was_there() {
            assert_eq!(revealed("a\u{200b}b\u{1b}[2J\n\t\u{e9}"), "a\\u{200b}b\\u{1b}[2J\n\t\u{e9}");
            let mut value = serde_json::json!({ "a\u{202e}": ["x\0"], "b": 1 });
            reveal_json(&mut value);
            assert_eq!(value, serde_json::json!({ "a\\u{202e}": ["x\\u{0}"], "b": 1 }));
        }

        /// Bytes of which many mean something to a terminal, to a decoder or to nobody who reads.
        fn hostile() -> impl Strategy<Value = Vec<u8>> {
            let parts: Vec<&'static [u8]> = vec![
                b"\x1b",
                b"\x1b[31m",
                b"\x1b]0;",
                b"\x1bP",
                b"\x1b\\",
                b"\x1b[",
                b"\x07",
                b"\x9b",
                b"\xc2\x9b",
                b"\r",
                b"\n",
                b"\t",
                b"\0",
                b"\x7f",
                b"\x08",
                b"\xe2\x80\x8b",
                b"\xe2\x80\xae",
                b"\xe2\x81\xa6",
                b"\xef\xbb\xbf",
                b"\xf3\xa0\x81\x81",
                b"\xe2",
                b"\xf0\x9f",
                b"\xff",
                b"\xed\xa0\x80",
                b"a",
                b"0;1m",
                b"\"",
                b"\xe2\x80\x9d",
                "\u{1bca0}".as_bytes(),
                "größe 日本".as_bytes(),
            ];
            let part = prop_oneof![
                3 => proptest::sample::select(parts).prop_map(<[u8]>::to_vec),
                1 => proptest::collection::vec(any::<u8>(), 0..8),
            ];
            proptest::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
        }

        proptest! {
            #[test]
            fn whatever_comes_nothing_acts_or_hides_and_no_line_is_lost_or_made(bytes in hostile()) {
                let shown = clean(&bytes);
                prop_assert!(!shown.chars().any(is_hidden), "{shown:?}");
                let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
                prop_assert_eq!(lines(shown.as_bytes()), lines(&bytes));
                let tabs = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\t').count();
                prop_assert_eq!(tabs(shown.as_bytes()), tabs(&bytes));
                prop_assert_eq!(clean(shown.as_bytes()), shown, "cleaned twice is cleaned once");
            }

            #[test]
            fn among_our_words_it_is_one_short_line_that_cannot_leave_its_quotes(bytes in hostile(), most in 1_usize..60) {
                let text = String::from_utf8_lossy(&bytes);
                let short = brief(&text, most);
                prop_assert!(short.chars().count() <= most + 1, "{short:?}");
                prop_assert!(!short.chars().any(|one| is_hidden(one) || matches!(one, '\n' | '\t')), "{short:?}");
                let quoted = quoted(&text, most);
                let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                prop_assert!(inner.is_some_and(|inner| !inner.contains(['"', '\u{201d}'])), "{quoted:?}");
            }

            #[test]
            fn in_json_it_is_clean_at_every_depth(a in hostile(), b in hostile()) {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let mut value = serde_json::json!({ "list": [text(&a), { "deep": text(&b) }] });
                value[text(&a)] = serde_json::json!({ text(&b): [text(&b)] });
                clean_json(&mut value);
                fn all(value: &serde_json::Value, holds: &dyn Fn(&str) -> bool) -> bool {
                    match value {
                        serde_json::Value::String(text) => holds(text),
                        serde_json::Value::Array(items) => items.iter().all(|item| all(item, holds)),
                        serde_json::Value::Object(fields) => fields.iter().all(|(name, value)| holds(name) && all(value, holds)),
                        _ => true,
                    }
                }
                prop_assert!(all(&value, &|text| !text.chars().any(is_hidden)), "{value:?}");
            }

            #[test]
            fn what_hides_nothing_stays_as_it_is(text in "[ -~\\n\\täöüßé日本語✓😀]{0,200}") {
                prop_assert_eq!(clean(text.as_bytes()), text);
            }
        }

        #[test]
        fn what_a_message_repeats_is_short_and_on_one_line() {
            assert_eq!(brief(" a\nb\x1b[31mc ", 9), "a bc");
            assert_eq!(brief("größer", 3), "grö…");
            assert_eq!(brief(&"\u{200b}".repeat(1 << 20), 9), "…");
            assert!(brief(&"é".repeat(1 << 20), 100).chars().count() == 101);
        }

        #[test]
        fn what_a_nul_separates_stays_separate() {
            let mut value = serde_json::json!({ "env": "A=1\0B=2" });
            clean_json(&mut value);
            assert_eq!(value["env"], "A=1\nB=2");
        }

        #[test]
        fn what_a_terminal_would_obey_is_gone() {
            for (given, shown) in [
                (&b"plain\ttext\n"[..], "plain\ttext\n"),
                (b"\x1b[31mred\x1b[0m", "red"),
                (b"\x1b]0;title\x07after", "after"),
                (b"\x1b]52;c;Y2xpcA==\x1b\\after", "after"),
                (b"\x1b]0;never ended\nnext\n\x1bPneither\nlast", "\nnext\n\nlast"),
                (b"over\rwritten", "overwritten"),
                ("a\tgröße\tb\n".as_bytes(), "a\tgröße\tb\n"),
                (b"bell\x07 back\x08", "bell back"),
                (b"\x9b31mC1", "31mC1"),
                ("\u{9b}31mC1".as_bytes(), "31mC1"),
            ] {
                assert_eq!(clean(given), shown, "{given:?}");
            }
        }

        #[test]
        fn what_hides_from_a_reader_is_gone() {
            for hidden in
                ["\u{200b}", "\u{202e}", "\u{2066}", "\u{feff}", "\u{e0041}", "\u{2028}", "\u{fe0f}"]
            {
                assert_eq!(clean(format!("a{hidden}b").as_bytes()), "ab", "{hidden:?}");
            }
        }

        #[test]
        fn bytes_that_are_no_text_are_shown_as_such() {
            assert_eq!(clean(b"a\xff\xfeb"), "a\u{fffd}\u{fffd}b");
            assert_eq!(clean("größe ✓ 日本".as_bytes()), "größe ✓ 日本");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_and_what_stands_in_quotes_is_none() {
        let many = MOST_VALUES + 1;
        for (text, crowded) in [
            (format!("[{}0]", "0,".repeat(many)), true),
            ("[".repeat(many), false),
            (format!("{}{}0", "[".repeat(DEEPEST + 1), "0,".repeat(many)), false),
            (format!("[{}{},{}0]", "[".repeat(200), "]".repeat(200), "0,".repeat(many)), true),
            (format!("[{}0]", format!("{}0{},", "[".repeat(100), "]".repeat(100)).repeat(many / 100)), true),
            (format!("{{{}}}", r#""a\"":0,"#.repeat(many / 2)), true),
            (format!("[\"{}\"]", "[,{:".repeat(many)), false),
            (format!(r#"["\"{}"]"#, "0,".repeat(many)), false),
            (format!(r#"["\\",{}0]"#, "0,".repeat(many)), true),
            (format!("[{}0]", "0,".repeat(1000)), false),
        ] {
            assert_eq!(is_crowded(text.as_bytes()), crowded, "{:.20}", text);
        }
    }

    #[test]
    fn json_in_a_text_holds_no_more() {
        let of = |count: usize| nested::<Vec<u8>>(&format!("[{}0]", "0,".repeat(count)));
        assert_eq!((of(2), of(MOST_VALUES)), (Some(vec![0; 3]), None));
        assert_eq!(nested::<Vec<u8>>("no"), None);
    }
}
