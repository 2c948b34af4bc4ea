//! The words of `apidoc.js` as they stand there, borrowed from the file; what nobody needs is skipped unread.
//!
//! Perl wrote it: a number may be a string, a truth `1` or `"1"`, and nothing may be `null`.

use std::{borrow::Cow, fmt, hash::Hash, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// A node of the tree: one path.
#[derive(Deserialize)]
pub(super) struct Node<'a> {
    #[serde(borrow)]
    pub(super) path: Text<'a>,
    #[serde(borrow, default)]
    pub(super) info: Pairs<'a, Info<'a>>,
    #[serde(borrow, default)]
    pub(super) children: Vec<Node<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Info<'a> {
    /// Only where endpoints stand one a line.
    #[serde(borrow, default)]
    pub(super) path: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) method: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) description: Option<Text<'a>>,
    #[serde(default)]
    pub(super) protected: Flag,
    #[serde(default)]
    pub(super) allowtoken: Flag,
    #[serde(borrow, default)]
    pub(super) proxyto: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) permissions: Option<Permissions<'a>>,
    #[serde(borrow, default)]
    pub(super) parameters: Schema<'a>,
    #[serde(borrow, default)]
    pub(super) returns: Schema<'a>,
}

#[derive(Deserialize)]
pub(super) struct Permissions<'a> {
    #[serde(borrow, default)]
    pub(super) user: Option<Text<'a>>,
    #[serde(default)]
    pub(super) check: Option<serde_json::Value>,
    #[serde(borrow, default)]
    pub(super) description: Option<Text<'a>>,
    /// Of the products whose description Rust wrote: `and`, `or`, `userParam`, `withParam`.
    #[serde(flatten)]
    pub(super) others: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize, Default, PartialEq, Eq, Hash)]
pub(super) struct Schema<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) description: Option<Text<'a>>,
    #[serde(default)]
    pub(super) optional: Flag,
    #[serde(borrow, default, rename = "enum")]
    pub(super) choices: Option<Vec<Scalar<'a>>>,
    // Some schemas say `min` and `max`, which PVE does not look at; so neither does this.
    #[serde(borrow, default)]
    pub(super) minimum: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) maximum: Option<Scalar<'a>>,
    #[serde(borrow, default, rename = "minLength")]
    pub(super) min_length: Option<Scalar<'a>>,
    #[serde(borrow, default, rename = "maxLength")]
    pub(super) max_length: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) pattern: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) format: Option<Format<'a>>,
    #[serde(borrow, default)]
    pub(super) default: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) requires: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) items: Option<Box<Schema<'a>>>,
    #[serde(borrow, default)]
    pub(super) properties: Pairs<'a, Schema<'a>>,
    #[serde(borrow, default, rename = "additionalProperties")]
    pub(super) additional: Option<Additional<'a>>,
    // Of the keys of property strings.
    #[serde(default)]
    pub(super) default_key: Flag,
    #[serde(borrow, default)]
    pub(super) alias: Option<Text<'a>>,
    #[serde(borrow, default, rename = "keyAlias")]
    pub(super) key_alias: Option<Text<'a>>,
    // Of what depends on the type of an object.
    #[serde(borrow, default, rename = "type-property", alias = "typeProperty")]
    pub(super) type_property: Option<Text<'a>>,
    #[serde(borrow, default, rename = "type-property-schema", alias = "typeSchema")]
    pub(super) type_property_schema: Option<Box<Schema<'a>>>,
    #[serde(borrow, default, rename = "instance-types")]
    pub(super) instance_types: Vec<Text<'a>>,
    #[serde(borrow, default, rename = "instance-type")]
    pub(super) instance_type: Option<Text<'a>>,
    /// In place of `instance-type`, where Rust wrote it.
    #[serde(borrow, default)]
    pub(super) title: Option<Text<'a>>,
    #[serde(borrow, default, rename = "oneOf")]
    pub(super) one_of: Vec<Schema<'a>>,
    #[serde(borrow, default, rename = "allOf")]
    pub(super) all_of: Vec<Schema<'a>>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Format<'a> {
    Named(Cow<'a, str>),
    Keys(Pairs<'a, Schema<'a>>),
}

#[derive(PartialEq, Eq, Hash)]
pub(super) enum Additional<'a> {
    Allowed(bool),
    Each(Box<Schema<'a>>),
}

/// A string, borrowed where it has no escapes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

/// A string or a number. A number is kept as the bits of an `f64`, so that schemas can be told apart by hash.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Scalar<'a> {
    Text(Cow<'a, str>),
    Integer(i64),
    Float(u64),
}

/// `1`, `"1"`, `true`; `0`, `"0"`, `""`, `false`, `null`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Flag(pub(super) bool);

/// An object, in the order of its names.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Pairs<'a, T>(pub(super) Vec<(Cow<'a, str>, T)>);

impl<T> Default for Pairs<'_, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl fmt::Debug for Schema<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Writes the `Visitor` methods that a word of Perl's may arrive by, each as an expression.
macro_rules! visit {
    ($($method:ident($value:ident: $type:ty) => $result:expr;)*) => {
        $(fn $method<E: de::Error>(self, $value: $type) -> Result<Self::Value, E> { Ok($result) })*
    };
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Words<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Words<'a> {
            type Value = Text<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            visit! {
                visit_borrowed_str(text: &'de str) => Text(Cow::Borrowed(text));
                visit_str(text: &str) => Text(Cow::Owned(text.to_owned()));
                visit_string(text: String) => Text(Cow::Owned(text));
                visit_u64(number: u64) => Text(Cow::Owned(number.to_string()));
                visit_i64(number: i64) => Text(Cow::Owned(number.to_string()));
                visit_f64(number: f64) => Text(Cow::Owned(number.to_string()));
            }
        }
        from.deserialize_any(Words(PhantomData))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Words<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Words<'a> {
            type Value = Scalar<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a number")
            }
            visit! {
                visit_borrowed_str(text: &'de str) => Scalar::Text(Cow::Borrowed(text));
                visit_str(text: &str) => Scalar::Text(Cow::Owned(text.to_owned()));
                visit_string(text: String) => Scalar::Text(Cow::Owned(text));
                visit_bool(truth: bool) => Scalar::Integer(truth.into());
                visit_i64(number: i64) => Scalar::Integer(number);
                visit_u64(number: u64) =>
                    i64::try_from(number).map_or(Scalar::Float((number as f64).to_bits()), Scalar::Integer);
                visit_f64(number: f64) => Scalar::Float(number.to_bits());
            }
        }
        from.deserialize_any(Words(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = Flag;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("0 or 1")
            }
            visit! {
                visit_bool(truth: bool) => Flag(truth);
                visit_u64(number: u64) => Flag(number != 0);
                visit_i64(number: i64) => Flag(number != 0);
                visit_f64(number: f64) => Flag(number != 0.0);
                visit_str(text: &str) => Flag(!matches!(text, "" | "0"));
            }
            fn visit_unit<E: de::Error>(self) -> Result<Flag, E> {
                Ok(Flag(false))
            }
        }
        from.deserialize_any(Words)
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Pairs<'a, T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object<'a, T>(PhantomData<(&'a (), T)>);
        impl<'de: 'a, 'a, T: Deserialize<'de>> Visitor<'de> for Object<'a, T> {
            type Value = Pairs<'a, T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(name) = map.next_key::<Text<'a>>()? {
                    pairs.push((name.0, map.next_value()?));
                }
                pairs.sort_by(|(a, _): &(Cow<'a, str>, T), (b, _)| a.cmp(b));
                pairs.dedup_by(|(b, _), (a, _)| a == b);
                Ok(Pairs(pairs))
            }
            // Perl's empty hash and empty array look alike to whoever makes JSON of them carelessly.
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                match list.next_element::<IgnoredAny>()? {
                    None => Ok(Pairs(Vec::new())),
                    Some(_) => Err(de::Error::invalid_type(de::Unexpected::Seq, &self)),
                }
            }
        }
        from.deserialize_any(Object(PhantomData))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Format<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Words<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Words<'a> {
            type Value = Format<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a format, or the keys of a property string")
            }
            visit! {
                visit_borrowed_str(text: &'de str) => Format::Named(Cow::Borrowed(text));
                visit_str(text: &str) => Format::Named(Cow::Owned(text.to_owned()));
            }
            /// The keys themselves; or a whole schema, where Rust wrote it, whose `properties` are the keys.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut keys, mut properties, mut default_key, mut of_items) =
                    (Vec::new(), None, None, false);
                while let Some(name) = map.next_key::<Text<'a>>()? {
                    match &*name.0 {
                        "properties" => properties = Some(map.next_value::<Pairs<'a, Schema<'a>>>()?),
                        "default_key" => default_key = Some(map.next_value::<Text<'a>>()?),
                        _ => match map.next_value::<Key<'a>>()? {
                            Key::Schema(schema) => {
                                of_items |= name.0 == "items";
                                keys.push((name.0, *schema));
                            }
                            Key::Word => {}
                        },
                    }
                }
                if let Some(mut properties) = properties {
                    for (name, schema) in &mut properties.0 {
                        schema.default_key.0 |= default_key.as_ref().is_some_and(|key| key.0 == *name);
                    }
                    return Ok(Format::Keys(properties));
                }
                if of_items && keys.len() == 1 {
                    return Ok(Format::Named(Cow::Borrowed("list")));
                }
                keys.sort_by(|(a, _): &(Cow<'a, str>, Schema<'a>), (b, _)| a.cmp(b));
                keys.dedup_by(|(b, _), (a, _)| a == b);
                Ok(Format::Keys(Pairs(keys)))
            }
        }
        from.deserialize_any(Words(PhantomData))
    }
}

/// What stands behind a name in a format: a key's schema, or a word about the whole.
enum Key<'a> {
    Schema(Box<Schema<'a>>),
    Word,
}

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Either<'a> {
            type Value = Key<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a schema, or a word about the whole")
            }
            visit! {
                visit_str(_text: &str) => Key::Word;
                visit_bool(_truth: bool) => Key::Word;
                visit_u64(_number: u64) => Key::Word;
                visit_i64(_number: i64) => Key::Word;
                visit_f64(_number: f64) => Key::Word;
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Key<'a>, A::Error> {
                Schema::deserialize(de::value::MapAccessDeserializer::new(map))
                    .map(|schema| Key::Schema(Box::new(schema)))
            }
        }
        from.deserialize_any(Either(PhantomData))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Additional<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Words<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Words<'a> {
            type Value = Additional<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("0, 1 or a schema")
            }
            visit! {
                visit_bool(truth: bool) => Additional::Allowed(truth);
                visit_u64(number: u64) => Additional::Allowed(number != 0);
                visit_i64(number: i64) => Additional::Allowed(number != 0);
                visit_str(text: &str) => Additional::Allowed(!matches!(text, "" | "0"));
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Schema::deserialize(de::value::MapAccessDeserializer::new(map))
                    .map(|schema| Additional::Each(Box::new(schema)))
            }
        }
        from.deserialize_any(Words(PhantomData))
    }
}
