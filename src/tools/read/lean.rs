//! A row, parsed no further than it is shown.
//!
//! In: a row as it came, and the fields to show of it. Out: those, nothing secret in them. A row has twenty fields, of which
//! an answer shows three. What is left out may still say that what is shown is secret, as the name of a setting beside its
//! value does, and it may be called like a shown field once its name is cleaned: there all of it is parsed.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::veil;
use crate::secret;

/// The fields `shown` of a `row` that the endpoint of the path template `template` gave, or what it is if it is no object.
/// The names of its other fields go to `more`.
pub fn parse(
    row: &str,
    template: &str,
    shown: &[&str],
    more: &mut dyn FnMut(&str),
) -> serde_json::Result<Value> {
    if row.starts_with('{') && shown.iter().all(|name| secret::names_beside(name).is_empty()) {
        let (mut object, mut others) = (Map::new(), Vec::new());
        let taken = Taken { shown, object: &mut object, others: &mut others };
        let mut from = serde_json::Deserializer::from_str(row);
        let is_plain = taken.deserialize(&mut from)?;
        from.end()?;
        if is_plain {
            let mut value = Value::Object(object);
            veil::hide(template, &mut value);
            others.iter().for_each(|name| more(name));
            return Ok(value);
        }
    }
    let mut value: Value = serde_json::from_str(row)?;
    veil::hide(template, &mut value);
    if let Value::Object(object) = &mut value {
        object.retain(|name, _| {
            let keep = shown.contains(&name.as_str());
            if !keep {
                more(name);
            }
            keep
        });
    }
    Ok(value)
}

struct Taken<'t, 'row> {
    shown: &'t [&'t str],
    object: &'t mut Map<String, Value>,
    others: &'t mut Vec<Cow<'row, str>>,
}

impl<'row> DeserializeSeed<'row> for Taken<'_, 'row> {
    /// Whether all names are what they look like.
    type Value = bool;

    fn deserialize<D: Deserializer<'row>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'row> Visitor<'row> for Taken<'_, 'row> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a row")
    }

    fn visit_map<A: MapAccess<'row>>(self, mut map: A) -> Result<bool, A::Error> {
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
        let mut is_plain = true;
        while let Some(Name(name)) = map.next_key()? {
            is_plain &= name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            if self.shown.contains(&&*name) {
                self.object.insert(name.into_owned(), map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
                self.others.push(name);
            }
        }
        Ok(is_plain)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// All of it parsed and hidden, and then what is shown kept.
    fn whole(row: &str, shown: &[&str]) -> (Value, BTreeSet<String>) {
        let mut value: Value = serde_json::from_str(row).unwrap();
        veil::hide("/x", &mut value);
        let mut others = BTreeSet::new();
        if let Value::Object(object) = &mut value {
            object.retain(|name, _| shown.contains(&name.as_str()) || !others.insert(name.clone()));
        }
        (value, others)
    }

    fn lean(row: &str, shown: &[&str]) -> (Value, BTreeSet<String>) {
        let mut others = BTreeSet::new();
        let value = parse(row, "/x", shown, &mut |name| {
            others.insert(name.to_owned());
        });
        (value.unwrap(), others)
    }

    #[test]
    fn what_is_left_out_still_hides_what_is_shown() {
        for row in [
            json!({ "key": "cipassword", "value": "hunter2" }),
            json!({ "na\u{200b}me": "visible", "x": 1 }),
            json!({ "name": "a", "na\u{1b}[0mme": "b" }),
            json!({ "name": { "password": "x", "y": "api_key=0123456789abcdef" } }),
            json!(["name", 1]),
            json!("name"),
        ] {
            for shown in [&["value"][..], &["name"], &["name", "x"], &[]] {
                assert_eq!(lean(&row.to_string(), shown), whole(&row.to_string(), shown), "{row} {shown:?}");
            }
        }
        assert_eq!(
            lean(r#"{"key":"cipassword","value":"hunter2"}"#, &["value"]).0["value"],
            secret::WITHHELD
        );
        assert!(parse(r#"{"a":1}}"#, "/x", &["a"], &mut |_| ()).is_err());
    }

    proptest! {
        #[test]
        fn a_lean_row_is_the_whole_one_without_the_rest(
            row in prop::collection::vec(
                (
                    prop_oneof!["[a-c]", Just("key".to_owned()), Just("value".into()), Just("password".into()), "[\u{200b}a\"\\\\\n]{1,2}"],
                    prop_oneof![
                        any::<i32>().prop_map(Value::from),
                        "[a-c\u{1b}\\[0m ]{0,6}".prop_map(Value::from),
                        Just(json!("cipassword")),
                        Just(json!({ "token": "x", "a": [1, "\u{202e}"] })),
                    ],
                ),
                0..6,
            ),
            shown in prop::sample::subsequence(vec!["a", "b", "value", "password", "key"], 0..5),
        ) {
            let fields = row.iter().map(|(name, value)| format!("{}:{value}", json!(name)));
            let row = format!("{{{}}}", fields.collect::<Vec<_>>().join(","));
            prop_assert_eq!(lean(&row, &shown), whole(&row, &shown));
        }
    }
}
