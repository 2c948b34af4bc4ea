//! Values as PVE gives them: a boolean may be `1`, `"1"` or `true`, a number may be a string. For `deserialize_with`;
//! [`optional`] has the same for what may be absent or null (with `default`).

use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{Error, Unexpected, Visitor};

/// What can be made of each of JSON's plain values.
trait Loose: Sized {
    const EXPECTED: &'static str;
    fn from_text(text: &str) -> Option<Self>;
    fn from_u64(number: u64) -> Option<Self>;
    fn from_i64(number: i64) -> Option<Self>;
    fn from_f64(number: f64) -> Option<Self>;
    fn from_bool(yes: bool) -> Option<Self>;
}

/// A double holds every whole number up to here.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

impl Loose for bool {
    const EXPECTED: &'static str = "a boolean: 0, 1, true, false, or one of them as a string";
    fn from_text(text: &str) -> Option<Self> {
        match text {
            "1" | "true" | "yes" | "on" => Some(true),
            "0" | "false" | "no" | "off" | "" => Some(false),
            _ => None,
        }
    }
    fn from_u64(number: u64) -> Option<Self> {
        (number <= 1).then_some(number == 1)
    }
    fn from_i64(number: i64) -> Option<Self> {
        Self::from_u64(number.try_into().ok()?)
    }
    fn from_f64(number: f64) -> Option<Self> {
        Self::from_i64(whole(number)?)
    }
    fn from_bool(yes: bool) -> Option<Self> {
        Some(yes)
    }
}

impl Loose for u64 {
    const EXPECTED: &'static str = "a whole number that is not negative, or one as a string";
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn from_u64(number: u64) -> Option<Self> {
        Some(number)
    }
    fn from_i64(number: i64) -> Option<Self> {
        number.try_into().ok()
    }
    fn from_f64(number: f64) -> Option<Self> {
        Self::from_i64(whole(number)?)
    }
    fn from_bool(yes: bool) -> Option<Self> {
        Some(yes.into())
    }
}

impl Loose for i64 {
    const EXPECTED: &'static str = "a whole number, or one as a string";
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn from_u64(number: u64) -> Option<Self> {
        number.try_into().ok()
    }
    fn from_i64(number: i64) -> Option<Self> {
        Some(number)
    }
    fn from_f64(number: f64) -> Option<Self> {
        whole(number)
    }
    fn from_bool(yes: bool) -> Option<Self> {
        Some(yes.into())
    }
}

impl Loose for f64 {
    const EXPECTED: &'static str = "a number, or one as a string";
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number: &f64| number.is_finite())
    }
    fn from_u64(number: u64) -> Option<Self> {
        Some(number as f64)
    }
    fn from_i64(number: i64) -> Option<Self> {
        Some(number as f64)
    }
    fn from_f64(number: f64) -> Option<Self> {
        Some(number)
    }
    fn from_bool(_: bool) -> Option<Self> {
        None
    }
}

impl Loose for String {
    const EXPECTED: &'static str = "a string or a number";
    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
    fn from_u64(number: u64) -> Option<Self> {
        Some(number.to_string())
    }
    fn from_i64(number: i64) -> Option<Self> {
        Some(number.to_string())
    }
    fn from_f64(number: f64) -> Option<Self> {
        Some(number.to_string())
    }
    fn from_bool(yes: bool) -> Option<Self> {
        Some(if yes { "1" } else { "0" }.to_owned())
    }
}

struct One<T>(PhantomData<T>);

impl<T: Loose> Visitor<'_> for One<T> {
    type Value = T;
    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(T::EXPECTED)
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        T::from_u64(number).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        T::from_i64(number).ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        T::from_f64(number).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
    }
    fn visit_bool<E: Error>(self, yes: bool) -> Result<T, E> {
        T::from_bool(yes).ok_or_else(|| E::invalid_value(Unexpected::Bool(yes), &self))
    }
}

struct Maybe<T>(PhantomData<T>);

impl<'de, T: Loose> Visitor<'de> for Maybe<T> {
    type Value = Option<T>;
    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}, or null", T::EXPECTED)
    }
    fn visit_none<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }
    fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }
    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Option<T>, D::Error> {
        from.deserialize_any(One(PhantomData)).map(Some)
    }
}

macro_rules! loose {
    ($($name:ident: $type:ty),*) => {
        $(pub fn $name<'de, D: Deserializer<'de>>(from: D) -> Result<$type, D::Error> {
            from.deserialize_any(One(PhantomData))
        })*

        /// For what may be absent or null.
        pub mod optional {
            use super::*;
            $(pub fn $name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<$type>, D::Error> {
                from.deserialize_option(Maybe(PhantomData))
            })*
        }
    };
}

loose!(bool: bool, u64: u64, i64: i64, f64: f64, text: String);

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Row {
        #[serde(deserialize_with = "super::bool")]
        on: bool,
        #[serde(deserialize_with = "super::u64")]
        bytes: u64,
        #[serde(default, deserialize_with = "super::optional::f64")]
        load: Option<f64>,
        #[serde(default, deserialize_with = "super::optional::text")]
        id: Option<String>,
    }

    fn row(text: &str) -> Result<Row, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn numbers_and_booleans_come_in_every_dress() {
        for text in [
            r#"{"on":1,"bytes":7,"load":0.5,"id":"100"}"#,
            r#"{"on":"1","bytes":"7","load":"0.5","id":100}"#,
            r#"{"on":true,"bytes":7.0,"load":0.5,"id":"100"}"#,
        ] {
            assert_eq!(
                row(text).unwrap(),
                Row { on: true, bytes: 7, load: Some(0.5), id: Some("100".into()) }
            );
        }
        let bare = Row { on: false, bytes: u64::MAX, load: None, id: None };
        assert_eq!(row(r#"{"on":"","bytes":"18446744073709551615","load":null}"#).unwrap(), bare);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            r#"{"on":2,"bytes":7}"#,
            r#"{"on":1,"bytes":-7}"#,
            r#"{"on":1,"bytes":7.5}"#,
            r#"{"on":1,"bytes":"7 GiB"}"#,
            r#"{"on":1,"bytes":null}"#,
            r#"{"on":1,"bytes":7,"load":"NaN"}"#,
            r#"{"on":1,"bytes":7,"load":{}}"#,
        ] {
            assert!(row(text).is_err(), "{text}");
        }
    }
}
