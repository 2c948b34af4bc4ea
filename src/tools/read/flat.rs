//! A long list cut into its rows, and a field found in a row, without parsing either.
//!
//! PVE writes a list without white space, and most lists are of flat rows: `{"data":[{"vmid":100,"name":"web"},{…}]}`. Of
//! ten thousand rows a page shows a hundred, and searching for a few bytes is ten times faster than reading every
//! character for its meaning. It rests on two facts of JSON: within a text a quote has a backslash before it, and behind
//! a text's last quote stands `,`, `:`, `}`, `]` or white space. So `"` before a letter opens a text, whatever a guest
//! wrote into its name; and where it opens one, what stands before it is no text. What is not flat is left to a parser,
//! and so is every row that is shown.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use memchr::{memchr, memchr2};

static BETWEEN: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("},{\""));

/// The rows of an answer's body, if it is nothing but a list of flat rows.
pub fn rows(body: &str) -> Option<Vec<&str>> {
    let list = body.strip_prefix("{\"data\":[{\"")?.strip_suffix("}]}")?;
    // With the `{"` of the first and the `}` of the last.
    let (begin, end) = (body.len() - "}]}".len() - list.len() - 2, body.len() - 2);
    let mut rows = Vec::with_capacity(list.len() / 256);
    let mut from = begin;
    for at in BETWEEN.find_iter(list.as_bytes()) {
        let next = begin + 2 + at + 2;
        rows.push(flat(body.get(from..next - 1)?)?);
        from = next;
    }
    rows.push(flat(body.get(from..end)?)?);
    Some(rows)
}

/// A row that begins with a name, and has nothing in it that could be a row or a list.
fn flat(row: &str) -> Option<&str> {
    let bytes = row.as_bytes();
    let begins = bytes.get(2).is_some_and(|byte| is_of_name(*byte));
    (begins && memchr2(b'{', b'[', &bytes[1..]).is_none()).then_some(row)
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A field's name as it stands in a row.
pub struct Name(Finder<'static>);

impl Name {
    /// `None`: what could also be found within a text, and must be looked for by a parser.
    pub fn new(name: &str) -> Option<Self> {
        let plain = name.bytes().all(|byte| is_of_name(byte) || byte == b'-' || byte == b'.');
        let sure = plain && name.bytes().next().is_some_and(is_of_name);
        sure.then(|| Self(Finder::new(&format!("\"{name}\":")).into_owned()))
    }

    /// The field's value in a row of [`rows`], as it is written.
    pub fn of<'a>(&self, row: &'a str) -> Option<&'a str> {
        let bytes = row.as_bytes();
        let at = self.0.find(bytes)? + self.0.needle().len();
        let length = match bytes.get(at)? {
            b'"' => text(&bytes[at..])?,
            // In a flat row no value but a text has a `,` or a `}` in it.
            _ => memchr2(b',', b'}', &bytes[at..])?,
        };
        row.get(at..at + length)
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
