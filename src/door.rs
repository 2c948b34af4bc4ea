//! What is asked of the file door, and what it says: the words between `provostd` and the process that has entered a
//! container for one file.
//!
//! They go over that process's three pipes, and `provost-execd` reads none of them. Out of its standard error come lines, a
//! [`Said`] each; out of its standard output the bytes of a file, or a [`Listing`]; into its standard input, for a change
//! alone, one [`GO`] and then the new content:
//!
//! | errand | says | gives | takes |
//! | --- | --- | --- | --- |
//! | `get` | `found` | what is asked of it | |
//! | `put`, `remove` | `found` or `absent` | the old content, if it is to be kept | |
//! | | `was`, with the hash of the old content | | `GO`, content |
//! | | `written` or `removed` | | |
//!
//! Instead of any of them, and last then: `refused`. Content that ends early, as that of a caller that died does, changes
//! nothing.

use serde::{Deserialize, Serialize};

/// Goes before the new content: what is to be known of the old one first is known, and on record.
pub const GO: u8 = b'G';
/// Entries of a directory that one listing holds at most.
pub const MOST_ENTRIES: u64 = 1000;
/// Entries of a directory that are counted.
pub const MOST_COUNTED: usize = 100_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Errand {
    Get(Get),
    Put(Put),
    Remove(Remove),
}

/// A part of a file, or of a directory's entries in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Get {
    pub path: String,
    pub part: Part,
    /// Bytes, or of a directory entries.
    pub most: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    From(u64),
    Last(u64),
}

/// A whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Put {
    pub path: String,
    pub bytes: u64,
    /// Of the content, in hexadecimal. What comes is held to it.
    pub sha256: String,
    /// None: that of the file it replaces, else 0644.
    pub mode: Option<u32>,
    /// None: that of the file it replaces, else root's. `user`, `user:group`, names or numbers.
    pub owner: Option<String>,
    pub over: Over,
    /// Bytes of a file to be replaced up to which it is given out before.
    pub keep: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    Never,
    /// Only what has that hash.
    IfHash(String),
    Always,
}

/// A file that is there and should not be: the way back from a [`Put`] that made one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    pub path: String,
    /// Only what has that hash.
    pub sha256: String,
    pub keep: u64,
}

impl Errand {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Get(_) => "get",
            Self::Put(_) => "put",
            Self::Remove(_) => "remove",
        }
    }

    pub fn path(&self) -> &str {
        match self {
            Self::Get(get) => &get.path,
            Self::Put(put) => &put.path,
            Self::Remove(remove) => &remove.path,
        }
    }

    pub fn changes(&self) -> bool {
        !matches!(self, Self::Get(_))
    }

    /// What is wrong with it, if something is: which field, and why.
    pub fn problem(&self) -> Option<(&'static str, &'static str)> {
        let path = self.path();
        if !path.starts_with('/') || path.contains('\0') || path.len() > 4095 {
            return Some(("path", "must be absolute, without a NUL byte and shorter than 4096 bytes"));
        }
        let hash = match self {
            Self::Get(_) => None,
            Self::Put(Put { over: Over::IfHash(hash), .. }) => Some(hash),
            Self::Put(_) => None,
            Self::Remove(remove) => Some(&remove.sha256),
        };
        if hash.is_some_and(|hash| !is_hash(hash)) {
            return Some(("if_sha256", "must be 64 hexadecimal digits"));
        }
        let Self::Put(put) = self else { return None };
        if !is_hash(&put.sha256) {
            return Some(("sha256", "must be 64 hexadecimal digits"));
        }
        if put.mode.is_some_and(|mode| mode > 0o7777) {
            return Some(("mode", "must be octal, of four digits at most"));
        }
        let bad = |owner: &String| owner.is_empty() || owner.len() > 256 || owner.contains(['\0', '\n']);
        if put.owner.as_ref().is_some_and(bad) {
            return Some(("owner", "must be a user or user:group, by names or numbers"));
        }
        None
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Said {
    Found(Found),
    Absent,
    /// Of the old content, in hexadecimal; null where there was none.
    Was(Option<String>),
    Written(Found),
    Removed,
    Refused(No),
}

/// A file or directory as it is. Ids and names are the container's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    pub is_directory: bool,
    /// Bytes; of a directory, entries.
    pub size: u64,
    /// There are more entries than are counted.
    pub uncounted: bool,
    /// Twelve bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub user: Option<String>,
    pub group: Option<String>,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Names that the file has.
    pub links: u64,
    /// Where what comes next on standard output begins, in bytes or entries, and how many bytes of a file come.
    pub from: u64,
    pub follows: u64,
}

/// A directory's entries, as far as they were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    pub entries: Vec<Listed>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// As the container has it: any bytes.
    pub name: Vec<u8>,
    /// As `find -type` says it: f d l p s c b; "?" for what went meanwhile.
    pub kind: char,
    pub size: u64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub user: Option<String>,
    pub group: Option<String>,
    pub mtime: i64,
    /// Where a symbolic link points.
    pub to: Option<Vec<u8>>,
}

/// Why it is not done. Nothing was changed, unless the kind is "not_synced".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct No {
    pub kind: String,
    pub message: String,
    pub next: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_named() {
        let put = |change: fn(&mut Put)| {
            let sha256 = "0".repeat(64);
            let (path, over) = ("/etc/motd".into(), Over::Never);
            let mut put = Put { path, bytes: 0, sha256, mode: None, owner: None, over, keep: 0 };
            change(&mut put);
            Errand::Put(put).problem().map(|(field, _)| field)
        };
        assert_eq!(put(|_| {}), None);
        assert_eq!(put(|put| put.path = "etc/motd".into()), Some("path"));
        assert_eq!(put(|put| put.path = "/a\0b".into()), Some("path"));
        assert_eq!(put(|put| put.path = format!("/{}", "a".repeat(4095))), Some("path"));
        assert_eq!(put(|put| put.sha256 = "A".repeat(64)), Some("sha256"));
        assert_eq!(put(|put| put.over = Over::IfHash("0".repeat(63))), Some("if_sha256"));
        assert_eq!(put(|put| put.mode = Some(0o10000)), Some("mode"));
        assert_eq!(put(|put| put.owner = Some("a\nb".into())), Some("owner"));
    }
}
