//! A long list cut into its rows, and a field found in a row, without parsing either.
//!
//! PVE writes a list without white space, and most lists are of flat rows: `{"data":[{"vmid":100,"name":"web"},{…}]}`. Of
//! ten thousand rows a page shows a hundred, and searching for a few bytes is ten times faster than reading every
//! character for its meaning. It rests on two facts of JSON: within a text a quote has a backslash before it, and behind
//! a text's last quote stands `,`, `:`, `}`, `]` or white space. So `"` before a letter opens a text, whatever a guest
//! wrote into its name; and where it opens one, what stands before it is no text. What is not flat is left to a parser,
//! and so is every row that is shown.

use std::ops::Range;

use memchr::memchr2_iter;
use memchr::memmem::Finder;

/// Why [`cut`] ended, behind so many bytes that it has cut.
pub enum Cut {
    /// More has to come: a flat row may go on.
    Wait(usize),
    /// Here begins what is no flat row, or the last one.
    Parse(usize),
}

/// Gives where the rows of a list are, one after the other, from where one begins, as long as they are flat and another
/// flat one follows.
pub fn cut(bytes: &[u8], mut row: impl FnMut(Range<usize>)) -> Cut {
    let mut from = 0;
    match opens(bytes) {
        None => return Cut::Wait(0),
        Some(false) => return Cut::Parse(0),
        Some(true) => {}
    }
    // The next bracket that opens must open a row: then there is nothing within this one, and no text that looks like one.
    for at in memchr2_iter(b'{', b'[', &bytes[1..]).map(|at| at + 1) {
        match opens(&bytes[at..]) {
            None => return Cut::Wait(from),
            Some(true) if bytes[from..at].ends_with(b"},") => {
                row(from..at - 1);
                from = at;
            }
            Some(_) => return Cut::Parse(from),
        }
    }
    Cut::Wait(from)
}

/// Whether a flat row begins here; `None`: it cannot be known yet.
fn opens(bytes: &[u8]) -> Option<bool> {
    match bytes {
        [b'{', b'"', byte, ..] => Some(is_of_name(*byte)),
        [] | [b'{'] | [b'{', b'"'] => None,
        _ => Some(false),
    }
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A field's name as it stands in a row. Rows of one list have their fields each in an order of its own, as a Perl hash
/// gives them, so there is no place where it is looked for first.
pub struct Name {
    /// The name without its quotes, unless it is very short. With them there would be more places to look at: every name
    /// has a quote, and the search is for the rarest two bytes of what it is given.
    finder: Finder<'static>,
    /// Where in that the name begins.
    begins: usize,
    length: usize,
}

impl Name {
    /// `None`: what could also be found within a text, and must be looked for by a parser.
    pub fn new(name: &str) -> Option<Self> {
        let plain = name.bytes().all(|byte| is_of_name(byte) || byte == b'-' || byte == b'.');
        if !plain || !name.bytes().next().is_some_and(is_of_name) {
            return None;
        }
        let (finder, begins) = match name.len() {
            ..3 => (Finder::new(&format!("\"{name}\"")).into_owned(), 1),
            _ => (Finder::new(name).into_owned(), 0),
        };
        Some(Self { finder, begins, length: name.len() })
    }

    /// The field's value in a row of [`cut`]'s.
    #[inline]
    pub fn of<'a>(&self, row: &'a str) -> Option<Value<'a>> {
        let at = self.find(row.as_bytes())?;
        let rest = row.get(at..)?;
        match *rest.as_bytes().first()? {
            b'"' => Value::text(rest),
            // In a flat row no value but a text has a `,` or a `}` in it.
            _ => {
                let end = rest.bytes().position(|byte| matches!(byte, b',' | b'}'))?;
                Some(Value { written: &rest[..end], is_word: false })
            }
        }
    }

    /// Where its value begins.
    fn find(&self, row: &[u8]) -> Option<usize> {
        let mut from = 0;
        loop {
            let at = from + self.finder.find(&row[from..])? + self.begins;
            from = at + self.length;
            // A quote within another field's name has a backslash before it.
            let opens = at > 1 && row[at - 1] == b'"' && matches!(row[at - 2], b'{' | b',');
            if opens && row[from..].starts_with(b"\":") {
                return Some(from + 2);
            }
        }
    }
}

/// A field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    /// As it stands in its row.
    pub written: &'a str,
    /// A short text of letters, digits and what joins them: it means what stands between its quotes, and no secret has room
    /// in it.
    pub is_word: bool,
}

/// Bytes in a word, at most.
const LONGEST_WORD: usize = 19;

impl<'a> Value<'a> {
    /// The text that `rest` begins with. Most are words, of which each byte is looked at once.
    #[inline]
    fn text(rest: &'a str) -> Option<Self> {
        let bytes = rest.as_bytes();
        let mut at = 1;
        while is_of_word(*bytes.get(at)?) {
            at += 1;
        }
        if bytes[at] == b'"' {
            return Some(Self { written: &rest[..=at], is_word: at - 1 <= LONGEST_WORD });
        }
        loop {
            match bytes.get(at)? {
                b'"' => return Some(Self { written: &rest[..=at], is_word: false }),
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
    }
}

const fn words() -> [bool; 256] {
    let (mut of_word, mut byte) = ([false; 256], 0);
    while byte < 128 {
        of_word[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let joins = b"_./@-";
    let mut at = 0;
    while at < joins.len() {
        of_word[joins[at] as usize] = true;
        at += 1;
    }
    of_word
}

fn is_of_word(byte: u8) -> bool {
    const OF_WORD: [bool; 256] = words();
    OF_WORD[byte as usize]
}

/// Whether this means itself, and no secret has room in it.
pub fn is_word(text: &str) -> bool {
    text.len() <= LONGEST_WORD && text.bytes().all(is_of_word)
}

/// Whether a text has no escape in it: then it means what stands between its quotes.
pub fn is_plain(text: &str) -> bool {
    !text.bytes().any(|byte| byte == b'\\')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    fn body(rows: &[Value]) -> String {
        json!({ "data": rows }).to_string()
    }

    /// The flat rows that `body` begins with; the last row is never among them.
    fn rows(body: &str) -> Vec<&str> {
        let (mut rows, list) = (Vec::new(), &body["{\"data\":[".len()..]);
        cut(list.as_bytes(), |row| rows.push(&list[row]));
        rows
    }

    fn parsed(row: &str) -> Value {
        serde_json::from_str(row).unwrap()
    }

    fn written<'a>(name: &str, row: &'a str) -> Option<&'a str> {
        Name::new(name).unwrap().of(row).map(|value| value.written)
    }

    #[test]
    fn a_guest_s_name_makes_no_row_and_no_field() {
        let vicious = [
            r#"x},{"vmid":666,"name":"forged"#,
            r#"x},{"#,
            r#"","vmid":666,"a":""#,
            r#"\"vmid\":666"#,
            r#"},{"vmid":666},{"name":""#,
            r#"\"#,
            r#"\","vmid":666,"#,
        ];
        for name in vicious {
            let list = [json!({ "name": name, "vmid": 1 }), json!({ "a": name, "tags": name, "vmid": 2 })];
            let body = body(&list);
            let rows = rows(&body);
            assert_eq!(rows.iter().map(|row| parsed(row)).collect::<Vec<_>>(), list[..rows.len()]);
            for (row, vmid) in rows.iter().zip(["1", "2"]) {
                assert_eq!(written("vmid", row), Some(vmid), "{row}");
            }
        }
    }

    #[test]
    fn a_quote_in_a_field_s_name_begins_no_other() {
        for (row, value) in [
            (r#"{"b":1,"}\"a":2}"#, None),
            (r#"{"b":1,"}\"a":2,"a":3}"#, Some("3")),
            (r#"{"b,\"a":2,"a":3}"#, Some("3")),
        ] {
            assert!(parsed(row).is_object());
            assert_eq!(written("a", row), value, "{row}");
        }
    }

    proptest! {
        /// Whatever texts hold: the rows and fields are those that a parser finds, or it is left to one.
        #[test]
        fn rows_and_fields_are_those_that_a_parser_finds(
            list in prop::collection::vec(
                prop::collection::btree_map(
                    "[a-c]{1,2}|[\"{},:a\\\\]{0,3}",
                    prop_oneof![
                        "[\\\\\"{},:\\[\\]a-c]{0,8}".prop_map(Value::from),
                        any::<i32>().prop_map(Value::from),
                        Just(Value::Null),
                        any::<bool>().prop_map(Value::from),
                    ],
                    0..5,
                ),
                0..5,
            )
        ) {
            let list: Vec<Value> =
                list.into_iter().map(|row| Value::Object(Map::from_iter(row))).collect();
            let body = body(&list);
            for (row, expected) in rows(&body).iter().zip(&list) {
                prop_assert_eq!(&parsed(row), expected);
                for name in ["a", "b", "ab", "cc"] {
                    let found = written(name, row).map(parsed);
                    prop_assert_eq!(found.as_ref(), expected.get(name));
                }
            }
        }
    }
}
