//! `.version` and `.vmlist`: what the cluster file system says has moved.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use smol_str::SmolStr;

use super::guest::Kind;
use super::source::{Listed, Stamp};

/// `.version`: a counter for each counted file. They begin anew when the file system is started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions {
    pub start: u64,
    pub vmlist: u64,
    /// In the order of the file.
    files: Vec<(SmolStr, u64)>,
}

impl Versions {
    /// # Errors
    ///
    /// When it is not what pmxcfs writes.
    pub fn parse(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }

    /// The counter of a file under /etc/pve; nothing for one that is not counted.
    #[must_use]
    pub fn of(&self, file: &str) -> Option<u64> {
        self.files.iter().find(|(name, _)| name == file).map(|(_, count)| *count)
    }
}

impl<'de> Deserialize<'de> for Versions {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct File;
        impl<'de> Visitor<'de> for File {
            type Value = Versions;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("the counters of .version")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Versions, A::Error> {
                let mut found = Versions::default();
                while let Some(key) = map.next_key::<&str>()? {
                    match key {
                        "starttime" => found.start = map.next_value()?,
                        "vmlist" => found.vmlist = map.next_value()?,
                        // What is told between nodes: tasks, statistics.
                        "kvstore" => drop(map.next_value::<IgnoredAny>()?),
                        file => found.files.push((file.into(), map.next_value()?)),
                    }
                }
                Ok(found)
            }
        }
        from.deserialize_map(File)
    }
}

/// The guests of `.vmlist`, in its order, which is none.
///
/// `start` is that of `.version`: the counters are of that time.
///
/// # Errors
///
/// When it is not what pmxcfs writes.
pub fn parse_vmlist(bytes: &[u8], start: u64) -> serde_json::Result<Vec<Listed>> {
    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        ids: Ids,
    }
    let mut listed = serde_json::from_slice::<File>(bytes)?.ids.0;
    for guest in &mut listed {
        if let Stamp::Count(_, count) = guest.stamp {
            guest.stamp = Stamp::Count(start, count);
        }
    }
    Ok(listed)
}

#[derive(Default)]
struct Ids(Vec<Listed>);

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Entry<'a> {
            node: &'a str,
            r#type: &'a str,
            version: u64,
        }
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Ids;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("the guests of .vmlist")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ids, A::Error> {
                let mut found = Vec::new();
                // Guests come by the node, and a name is shared by those that follow each other.
                let mut node = SmolStr::default();
                while let Some(vmid) = map.next_key::<&str>()? {
                    let entry: Entry<'de> = map.next_value()?;
                    let vmid = vmid.parse().map_err(A::Error::custom)?;
                    // OpenVZ went before PVE 4.
                    let Some(kind) = Kind::from_name(entry.r#type) else { continue };
                    if node != entry.node {
                        node = entry.node.into();
                    }
                    found.push(Listed {
                        vmid,
                        kind,
                        node: node.clone(),
                        stamp: Stamp::Count(0, entry.version),
                    });
                }
                Ok(Ids(found))
            }
        }
        from.deserialize_map(Map)
    }
}
