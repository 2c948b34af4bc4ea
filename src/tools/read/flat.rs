//! A long list cut into its rows, and a field found in a row, without parsing either.
//!
//! PVE writes a list without white space, and most lists are of flat rows: `{"data":[{"vmid":100,"name":"web"},{…}]}`. Of
//! ten thousand rows a page shows a hundred, and searching for a few bytes is ten times faster than reading every
//! character for its meaning. It rests on two facts of JSON: within a text a quote has a backslash before it, and behind
//! a text's last quote stands `,`, `:`, `}`, `]` or white space. So `"` before a letter opens a text, whatever a guest
//! wrote into its name; and where it opens one, what stands before it is no text. What is not flat is left to a parser,
//! and so is every row that is shown.

use std::cell::Cell;
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

/// A field's name as it stands in a row. The rows of a list have their fields in one order, as a rule: it is looked for
/// first where it was in the row before, counted from the start and from the end.
pub struct Name {
    finder: Finder<'static>,
    /// The first eight bytes of what is looked for, and which of them it has: most places are told by one comparison.
    start: u64,
    mask: u64,
    from_start: Cell<usize>,
    from_end: Cell<usize>,
}

impl Name {
    /// `None`: what could also be found within a text, and must be looked for by a parser.
    pub fn new(name: &str) -> Option<Self> {
        let plain = name.bytes().all(|byte| is_of_name(byte) || byte == b'-' || byte == b'.');
        let sure = plain && name.bytes().next().is_some_and(is_of_name);
        let finder = sure.then(|| Finder::new(&format!("\"{name}\":")).into_owned())?;
        let mut start = [0; 8];
        start.iter_mut().zip(finder.needle()).for_each(|(to, byte)| *to = *byte);
        let mask = u64::MAX.checked_shr(64 - 8 * finder.needle().len().min(8) as u32).unwrap_or(0);
        let start = u64::from_le_bytes(start);
        Some(Self { finder, start, mask, from_start: Cell::new(0), from_end: Cell::new(0) })
    }

    /// The field's value in a row of [`cut`]'s, as it is written.
    pub fn of<'a>(&self, row: &'a str) -> Option<&'a str> {
        let bytes = row.as_bytes();
        let at = self.find(bytes)? + self.finder.needle().len();
        let length = match bytes.get(at)? {
            b'"' => text(&bytes[at..])?,
            // In a flat row no value but a text has a `,` or a `}` in it.
            _ => bytes[at..].iter().position(|byte| matches!(byte, b',' | b'}'))?,
        };
        row.get(at..at + length)
    }

    fn find(&self, row: &[u8]) -> Option<usize> {
        let needle = self.finder.needle();
        // A quote within another field's name has a backslash before it.
        let begins = |at: usize| at > 0 && matches!(row[at - 1], b'{' | b',');
        let is_at = |at: &usize| match row.get(*at..) {
            Some(rest) => match rest.first_chunk() {
                Some(start) if u64::from_le_bytes(*start) & self.mask != self.start => false,
                Some(_) if needle.len() <= 8 => begins(*at),
                _ => rest.starts_with(needle) && begins(*at),
            },
            None => false,
        };
        let from_end = row.len().checked_sub(self.from_end.get()).filter(is_at);
        let at = Some(self.from_start.get()).filter(is_at).or(from_end);
        let at = match at.or_else(|| self.finder.find(row))? {
            at if begins(at) => at,
            _ => self.finder.find_iter(row).find(|at| begins(*at))?,
        };
        self.from_start.set(at);
        self.from_end.set(row.len() - at);
        Some(at)
    }
}

/// The length of the text that begins here, with its quotes. Most are of a few bytes: a search for more costs more to begin.
fn text(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
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
                assert_eq!(Name::new("vmid").unwrap().of(row), Some(vmid), "{row}");
            }
        }
    }

    #[test]
    fn a_quote_in_a_field_s_name_begins_no_other() {
        let name = Name::new("a").unwrap();
        for (row, value) in [
            (r#"{"b":1,"}\"a":2}"#, None),
            (r#"{"b":1,"}\"a":2,"a":3}"#, Some("3")),
            (r#"{"b,\"a":2,"a":3}"#, Some("3")),
        ] {
            assert!(parsed(row).is_object());
            assert_eq!(name.of(row), value, "{row}");
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
                    let found = Name::new(name).unwrap().of(row).map(parsed);
                    prop_assert_eq!(found.as_ref(), expected.get(name));
                }
            }
        }
    }
}
