use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::*;
use crate::share::Supply;

fn room(most: usize) -> Room {
    Room::new(Supply::new(1 << 20, 1 << 20), 1, most)
}

/// The rows, and what else there was, of a body that comes in pieces of these sizes, again and again.
fn cut(body: &[u8], sizes: &[usize]) -> (Vec<String>, Result<Rest, serde_json::Error>) {
    let (mut rows, mut cutter) = (Vec::new(), Cutter::new(&room(1 << 20)));
    let (mut rest, mut sizes) = (body, sizes.iter().cycle());
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(sizes.next().copied().unwrap_or(usize::MAX).clamp(1, rest.len()));
        cutter.take(piece, &mut |row, _| rows.push(row.to_owned())).expect("there is room");
        rest = behind;
    }
    let rest = cutter.finish(&mut |row, _| rows.push(row.to_owned()));
    (rows, rest)
}

const SIZES: [&[usize]; 5] = [&[1], &[2, 3], &[7], &[64], &[usize::MAX]];

#[test]
fn every_row_is_given_and_what_stands_behind_the_list() {
    let long = "x".repeat(3 * BIT);
    let rows = [
        r#"{"a":1}"#,
        r#"{"b":"},{\"a\":2}"}"#,
        r#"{"c":{"d":[1,{"e":2}]}}"#,
        "{}",
        "[1,[2]]",
        "17",
        "-1.5e3",
        "null",
        r#""text, with ]}""#,
        r#"{"a":"{"}"#,
        &format!(r#"{{"long":"{long}"}}"#),
        r#"{"a":3}"#,
    ];
    for behind in ["}", r#","total":7}"#, r#","other":[{"a":1},{"b":2}],"changes":"a ] b"}"#] {
        for from in 0..rows.len() {
            for to in from..=rows.len() {
                let body = format!("{{\"data\":[{}]{behind}", rows[from..to].join(","));
                for sizes in SIZES {
                    let (found, rest) = cut(body.as_bytes(), sizes);
                    assert_eq!(found, rows[from..to], "{body} {sizes:?}");
                    assert!(matches!(rest, Ok(Rest::List(text)) if text == behind.as_bytes()), "{body}");
                }
            }
        }
    }
}

#[test]
fn what_is_no_list_of_the_usual_form_is_kept_as_it_is() {
    for body in [
        r#"{"data":{"a":[{"b":1}]}}"#,
        r#"{"total":1,"data":[{"a":1}]}"#,
        r#"{"data": [1]}"#,
        "<html>",
        "",
        "{",
    ] {
        for sizes in SIZES {
            let (rows, rest) = cut(body.as_bytes(), sizes);
            assert!(rows.is_empty());
            assert!(matches!(rest, Ok(Rest::Whole(bytes, _)) if bytes == body.as_bytes()), "{body}");
        }
    }
}

#[test]
fn a_list_that_is_none_after_all_is_an_error() {
    for body in [
        r#"{"data":[{"a":1}"#,
        r#"{"data":[{"a":1},"#,
        r#"{"data":[{"a":1}{"b":1}]}"#,
        r#"{"data":[{"a":1},x]}"#,
        r#"{"data":[{"}]}"#,
        r#"{"data":[12"#,
    ] {
        for sizes in SIZES {
            assert!(cut(body.as_bytes(), sizes).1.is_err(), "{body} {sizes:?}");
        }
    }
}

#[test]
fn bytes_that_are_no_utf8_are_replaced() {
    let (rows, _) = cut(b"{\"data\":[{\"a\":\"\xff\"},{\"b\":\"\xfe{\"},{\"c\":1}]}", &[3]);
    assert_eq!(rows, ["{\"a\":\"\u{fffd}\"}", "{\"b\":\"\u{fffd}{\"}", "{\"c\":1}"]);
}

#[test]
fn a_row_beyond_the_room_is_an_error_and_a_list_of_any_length_is_none() {
    let row = format!("{{\"a\":\"{}\"}},", "x".repeat(10_000));
    let room = room(64 << 10);
    let mut cutter = Cutter::new(&room);
    cutter.take(b"{\"data\":[", &mut |_, _| {}).unwrap();
    let mut rows = 0;
    for _ in 0..1_000 {
        for piece in row.as_bytes().chunks(4096) {
            cutter.take(piece, &mut |_, _| rows += 1).unwrap();
        }
    }
    assert!(rows >= 999);
    cutter.take(b"{\"b\":\"", &mut |_, _| {}).unwrap();
    let grown = (0..100).try_for_each(|_| cutter.take("y".repeat(1000).as_bytes(), &mut |_, _| {}));
    assert!(matches!(grown, Err(Overfull::TooLong(_))));
}

fn value() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        "[\\\\\"{},:\\[\\]a-c]{0,8}".prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        Just(Value::Null),
    ];
    let row = |value: BoxedStrategy<Value>| {
        prop::collection::btree_map("[a-c]{1,2}|[\"{},:a\\\\]{0,3}", value, 0..5)
            .prop_map(|row| Value::Object(Map::from_iter(row)))
    };
    let nested = prop_oneof![4 => plain.clone(), 1 => row(plain.boxed())];
    row(nested.boxed())
}

proptest! {
    /// Whatever texts hold and wherever the pieces end: the rows are those that a parser finds.
    #[test]
    fn rows_are_those_that_a_parser_finds(
        list in prop::collection::vec(value(), 0..8),
        sizes in prop::collection::vec(1usize..40, 1..4),
    ) {
        let body = json!({ "data": list }).to_string();
        let expected: serde_json::Map<String, Value> = serde_json::from_str(&body).unwrap();
        let parsed: Vec<Box<RawValue>> = serde_json::from_value(expected["data"].clone()).unwrap();
        let (rows, rest) = cut(body.as_bytes(), &sizes);
        prop_assert!(matches!(rest, Ok(Rest::List(_))));
        prop_assert_eq!(rows, parsed.iter().map(|row| row.get().to_owned()).collect::<Vec<_>>());
    }
}
