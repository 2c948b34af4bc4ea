//! JSON as it is taken at every door: no key stands twice in one object. Of two, one reader takes the first and another the last,
//! so that what was looked at on the way here would not be what is done here.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Why it is not taken. In words of ours: a parser's would quote what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    NoJson,
    Twice,
    /// JSON, and not what was asked for.
    Other,
}

impl Wrong {
    pub fn said(self, wanted: &'static str) -> &'static str {
        match self {
            Self::NoJson => "the body is no JSON",
            Self::Twice => TWICE,
            Self::Other => wanted,
        }
    }
}

/// What is said of it.
pub const TWICE: &str = "a key stands twice in one object";

pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Wrong> {
    serde_json::from_slice::<Unique>(text).map_err(|error| match error.is_data() {
        true => Wrong::Twice,
        false => Wrong::NoJson,
    })?;
    serde_json::from_slice(text).map_err(|error| if error.is_data() { Wrong::Other } else { Wrong::NoJson })
}

/// Whether this is JSON in which a key stands twice in one object.
pub fn is_twice(text: &[u8]) -> bool {
    serde_json::from_slice::<Unique>(text).is_err_and(|error| error.is_data())
}

/// Any value in which no object has a key twice; what it is, is not kept.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Look)
    }
}

struct Look;

impl<'de> Visitor<'de> for Look {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(key) {
                return Err(A::Error::custom("a key stands twice"));
            }
            map.next_value::<Unique>()?;
        }
        Ok(Unique)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unique, A::Error> {
        while seq.next_element::<Unique>()?.is_some() {}
        Ok(Unique)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Unique, E> {
        IgnoredAny.visit_bool(value).map(|_| Unique)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Unique, E> {
        IgnoredAny.visit_i64(value).map(|_| Unique)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Unique, E> {
        IgnoredAny.visit_u64(value).map(|_| Unique)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Unique, E> {
        IgnoredAny.visit_f64(value).map(|_| Unique)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Unique, E> {
        IgnoredAny.visit_str(value).map(|_| Unique)
    }

    fn visit_unit<E: Error>(self) -> Result<Unique, E> {
        Ok(Unique)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;

    #[test]
    fn a_key_that_stands_twice_is_found_wherever_and_however_it_is_written() {
        for twice in [
            r#"{"tool":"status","tool":"read"}"#,
            r#"{"tool":1,"\u0074ool":2}"#,
            r#"[{"a":{"b":[1,{"c":1,"d":2,"c":1}]}}]"#,
        ] {
            assert_eq!(read::<Value>(twice.as_bytes()), Err(Wrong::Twice), "{twice}");
        }
        for once in [r#"{"a":{"a":[1,-1,1.5,null,true,"a",{}]},"b":{"a":1}}"#, "[]", "1e3", "\"x\""] {
            assert_eq!(read::<Value>(once.as_bytes()), Ok(serde_json::from_str(once).unwrap()), "{once}");
        }
        for none in ["", "{", r#"{"a":}"#, "[1,]", "{\"a\":1}x"] {
            assert_eq!(read::<Value>(none.as_bytes()), Err(Wrong::NoJson), "{none}");
        }
        assert_eq!(read::<Map<String, Value>>(b"[]"), Err(Wrong::Other));
    }
}
