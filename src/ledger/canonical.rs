//! RFC 8785: one way to write each JSON value, so that a hash of it means one thing.
//!
//! In: JSON from anywhere. Out: its canonical text. Receipts' own fields are declared in canonical order and hold no
//! fraction and no large number, so `serde_json` writes them canonically at four times the speed; a test holds every kind
//! of receipt against the scheme's own implementation. JSON that others wrote goes through that one here.

use serde_json::Value;
use serde_json::value::RawValue;

/// The largest integer that RFC 8785 writes as it is: 2^53 - 1.
pub const MOST_EXACT: u64 = (1 << 53) - 1;

/// `value` in canonical form. An integer beyond ±(2^53 - 1), which the scheme would round, is written as a string: two
/// different requests must not leave the same receipt.
pub fn canonical(mut value: Value) -> Box<RawValue> {
    exact(&mut value);
    let text = serde_json_canonicalizer::to_string(&value);
    // A value in memory has only finite numbers and text keys: nothing is left that could fail.
    text.and_then(RawValue::from_string).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Whether `line` is JSON, and its own canonical form.
pub fn is_canonical(line: &[u8]) -> bool {
    let value = serde_json::from_slice::<Value>(line);
    value.and_then(|value| serde_json_canonicalizer::to_vec(&value)).is_ok_and(|text| text == line)
}

fn exact(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            if size.is_some_and(|size| size > MOST_EXACT) {
                *value = Value::String(number.to_string());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(exact),
        Value::Object(object) => object.values_mut().for_each(exact),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        canonical(serde_json::from_str(text).unwrap()).get().to_owned()
    }

    /// RFC 8785, section 3.2.2 to 3.2.4.
    #[test]
    fn the_examples_of_the_standard_come_out_as_it_says() {
        let given = r#"{
            "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
            "literals": [null, true, false]
        }"#;
        let canonical = "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
            \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
        assert_eq!(of(given), canonical);
        let given = "{\"\\u20ac\":\"Euro Sign\",\"\\r\":\"Carriage Return\",\"\\ufb33\":\"Hebrew Letter Dalet With Dagesh\",\
            \"1\":\"One\",\"\\ud83d\\ude00\":\"Emoji: Grinning Face\",\"\\u0080\":\"Control\",\
            \"\\u00f6\":\"Latin Small Letter O With Diaeresis\"}";
        let order = ["Carriage Return", "One", "Control", "Latin Small", "Euro Sign", "Emoji", "Hebrew"];
        let text = of(given);
        let places: Vec<usize> = order.iter().map(|name| text.find(name).unwrap()).collect();
        // By UTF-16 units: the emoji's surrogates come before the Hebrew letter.
        assert!(places.is_sorted(), "{text}");
    }

    /// RFC 8785, appendix B, by the bits of each number.
    #[test]
    fn numbers_are_written_as_ecmascript_does() {
        for (bits, text) in [
            (0x0000000000000000u64, "0"),
            (0x8000000000000000, "0"),
            (0x0000000000000001, "5e-324"),
            (0x8000000000000001, "-5e-324"),
            (0x7fefffffffffffff, "1.7976931348623157e+308"),
            (0xffefffffffffffff, "-1.7976931348623157e+308"),
            (0x4340000000000000, "9007199254740992"),
            (0xc340000000000000, "-9007199254740992"),
            (0x4430000000000000, "295147905179352830000"),
            (0x44b52d02c7e14af5, "9.999999999999997e+22"),
            (0x44b52d02c7e14af6, "1e+23"),
            (0x44b52d02c7e14af7, "1.0000000000000001e+23"),
            (0x444b1ae4d6e2ef4e, "999999999999999700000"),
            (0x444b1ae4d6e2ef4f, "999999999999999900000"),
            (0x444b1ae4d6e2ef50, "1e+21"),
            (0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"),
            (0x3eb0c6f7a0b5ed8d, "0.000001"),
            (0x41b3de4355555553, "333333333.3333332"),
            (0x41b3de4355555554, "333333333.33333325"),
            (0x41b3de4355555555, "333333333.3333333"),
            (0x41b3de4355555556, "333333333.3333334"),
            (0x41b3de4355555557, "333333333.33333343"),
            (0xbecbf647612f3696, "-0.0000033333333333333333"),
            (0x43143ff3c1cb0959, "1424953923781206.2"),
        ] {
            assert_eq!(canonical(f64::from_bits(bits).into()).get(), text, "{bits:x}");
        }
    }

    #[test]
    fn an_integer_that_would_be_rounded_is_a_string() {
        assert_eq!(of("[9007199254740991,9007199254740993,-9007199254740993]"), {
            r#"[9007199254740991,"9007199254740993","-9007199254740993"]"#
        });
        assert_ne!(of("18446744073709551615"), of("18446744073709551614"));
    }

    #[test]
    fn what_is_not_canonical_is_known() {
        assert!(is_canonical(br#"{"a":1,"b":[]}"#));
        for line in [r#"{"b":1,"a":1}"#, r#"{"a": 1}"#, r#"{"a":1.0}"#, r#"{"a":1,"a":1}"#, "{", "\u{feff}{}"]
        {
            assert!(!is_canonical(line.as_bytes()), "{line}");
        }
    }
}
