//! A long list cut into its rows, and a field found in a row, without parsing either.
//!
//! PVE writes a list without white space, and most lists are of flat rows: `{"data":[{"vmid":100,"name":"web"},{…}]}`. Of
//! ten thousand rows a page shows a hundred, and searching for a few bytes is ten times faster than reading every
//! character for its meaning. It rests on two facts of JSON: within a text a quote has a backslash before it, and behind
//! a text's last quote stands `,`, `:`, `}`, `]` or white space. So `"` before a letter opens a text, whatever a guest
//! wrote into its name; and where it opens one, what stands before it is no text. What is not flat is left to a parser,
//! and so is every row that is shown.

use std::cell::Cell;

use memchr::memmem::Finder;
use memchr::{memchr, memchr2, memchr2_iter};

/// The rows of an answer's body, if it is nothing but a list of flat rows.
pub fn rows(body: &str) -> Option<Vec<&str>> {
    let bytes = body.as_bytes();
    let begin = "{\"data\":[".len();
    let end = body.len() - body.strip_prefix("{\"data\":[")?.strip_suffix("}]}").map(|_| "]}".len())?;
    let mut rows = Vec::with_capacity(body.len() / 256);
    let mut from = begin;
    // Every bracket that opens must open a row: then there is nothing within a row, and no text that looks like one.
    for at in memchr2_iter(b'{', b'[', &bytes[begin..end]).map(|at| begin + at) {
        let opens =
            bytes[at..end].starts_with(b"{\"") && bytes.get(at + 2).is_some_and(|byte| is_of_name(*byte));
        if !opens {
            return None;
        }
        if at > begin {
            if !bytes[from..at].ends_with(b"},") {
                return None;
            }
            rows.push(body.get(from..at - 1)?);
        } else if at != from {
            return None;
        }
        from = at;
    }
    if !bytes[begin..].starts_with(b"{") {
        return None;
    }
    rows.push(body.get(from..end)?);
    Some(rows)
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A field's name as it stands in a row. The rows of a list have their fields in one order, as a rule: it is looked for
/// first where it was in the row before, counted from the start and from the end.
pub struct Name {
    finder: Finder<'static>,
    from_start: Cell<usize>,
    from_end: Cell<usize>,
}

impl Name {
    /// `None`: what could also be found within a text, and must be looked for by a parser.
    pub fn new(name: &str) -> Option<Self> {
        let plain = name.bytes().all(|byte| is_of_name(byte) || byte == b'-' || byte == b'.');
        let sure = plain && name.bytes().next().is_some_and(is_of_name);
        let finder = sure.then(|| Finder::new(&format!("\"{name}\":")).into_owned())?;
        Some(Self { finder, from_start: Cell::new(0), from_end: Cell::new(0) })
    }

    /// The field's value in a row of [`rows`], as it is written.
    pub fn of<'a>(&self, row: &'a str) -> Option<&'a str> {
        let bytes = row.as_bytes();
        let at = self.find(bytes)? + self.finder.needle().len();
        let length = match bytes.get(at)? {
            b'"' => text(&bytes[at..])?,
            // In a flat row no value but a text has a `,` or a `}` in it.
            _ => memchr2(b',', b'}', &bytes[at..])?,
        };
        row.get(at..at + length)
    }

    fn find(&self, row: &[u8]) -> Option<usize> {
        // A quote within another field's name has a backslash before it.
        let begins = |at: usize| at > 0 && matches!(row[at - 1], b'{' | b',');
        let is_at = |at: &usize| {
            row.get(*at..).is_some_and(|rest| rest.starts_with(self.finder.needle())) && begins(*at)
        };
        let from_end = row.len().checked_sub(self.from_end.get()).filter(is_at);
        let at = Some(self.from_start.get()).filter(is_at).or(from_end);
        let at = at.or_else(|| self.finder.find_iter(row).find(|at| begins(*at)))?;
        self.from_start.set(at);
        self.from_end.set(row.len() - at);
        Some(at)
    }
}

/// The length of the text that begins here, with its quotes.
fn text(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Whether a text has no escape in it: then it means what stands between its quotes.
pub fn is_plain(text: &str) -> bool {
    memchr(b'\\', text.as_bytes()).is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    fn body(rows: &[Value]) -> String {
        json!({ "data": rows }).to_string()
    }

    fn parsed(row: &str) -> Value {
        serde_json::from_str(row).unwrap()
    }

    #[test]
    fn what_is_not_a_plain_list_of_flat_rows_is_left_to_a_parser() {
        for body in [
            r#"{"data":[]}"#,
            r#"{"data":["a","b"]}"#,
            r#"{"data":[{}]}"#,
            r#"{"data":[{"a":1}],"total":1}"#,
            r#"{"data":[{"a":1}],"other":[{"b":2}]}"#,
            r#"{"total":1,"data":[{"a":1}]}"#,
            r#"{"data":[{"a":{"b":1}},{"a":2}]}"#,
            r#"{"data":[{"a":[{"b":1},{"b":2}]}]}"#,
            r#"{"data": [{"a":1}]}"#,
            r#"{"data":[{"a":"{"}]}"#,
            r#"{"data":[{"a":1},{"":2}]}"#,
            r#"{"data":[{"a":1}"#,
            r#"{"data":[{"}]}"#,
            "",
        ] {
            assert!(rows(body).is_none(), "{body}");
        }
        assert_eq!(rows(r#"{"data":[{"a":1},{"b":"}"}]}"#).unwrap(), [r#"{"a":1}"#, r#"{"b":"}"}"#]);
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
            let Some(rows) = rows(&body) else { continue };
            assert_eq!(rows.iter().map(|row| parsed(row)).collect::<Vec<_>>(), list);
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
            if let Some(rows) = rows(&body) {
                prop_assert_eq!(rows.len(), list.len());
                for (row, expected) in rows.iter().zip(&list) {
                    prop_assert_eq!(&parsed(row), expected);
                    for name in ["a", "b", "ab", "cc"] {
                        let found = Name::new(name).unwrap().of(row).map(parsed);
                        prop_assert_eq!(found.as_ref(), expected.get(name));
                    }
                }
            }
        }
    }
}
