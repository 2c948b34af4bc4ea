//! Where a command or an errand goes: into a guest, or to the node itself.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number in JSON, or the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guest {
    Vmid(u32),
    Host,
}

const HOST: &str = "host";

impl Guest {
    /// None for the node.
    pub fn vmid(self) -> Option<u32> {
        match self {
            Self::Vmid(vmid) => Some(vmid),
            Self::Host => None,
        }
    }
}

impl fmt::Display for Guest {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vmid(vmid) => vmid.fmt(to),
            Self::Host => HOST.fmt(to),
        }
    }
}

impl Serialize for Guest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Vmid(vmid) => serializer.serialize_u32(*vmid),
            Self::Host => serializer.serialize_str(HOST),
        }
    }
}

impl<'de> Deserialize<'de> for Guest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Guest;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(to, "a vmid, or \"{HOST}\"")
            }

            fn visit_u64<E: Error>(self, vmid: u64) -> Result<Guest, E> {
                let fits = u32::try_from(vmid).map(Guest::Vmid);
                fits.map_err(|_| E::invalid_value(Unexpected::Unsigned(vmid), &self))
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Guest, E> {
                match word {
                    HOST => Ok(Guest::Host),
                    other => Err(E::invalid_value(Unexpected::Str(other), &self)),
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(feature = "agent")]
mod schema {
    use std::borrow::Cow;

    use rmcp::schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::Guest;

    /// As short as it can be: every conversation pays for it.
    impl JsonSchema for Guest {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            "Guest".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            // Not one type of two: some clients take no such list.
            json_schema!({ "anyOf": [{ "type": "integer" }, { "type": "string" }] })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_a_number_or_the_word_and_nothing_else() {
        let read = |text: &str| serde_json::from_str::<Guest>(text).ok();
        assert_eq!(read("101"), Some(Guest::Vmid(101)));
        assert_eq!(read("\"host\""), Some(Guest::Host));
        for wrong in ["\"101\"", "\"Host\"", "101.5", "-1", "4294967397", "true", "null", "\"\""] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(serde_json::to_string(&[Guest::Vmid(7), Guest::Host]).unwrap(), "[7,\"host\"]");
    }
}
