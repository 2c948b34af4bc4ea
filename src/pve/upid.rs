//! A task's name: `UPID:node:pid:pstart:starttime:type:id:user:`, the numbers in hex, the user with its token after `!`. A Backup
//! Server and a Datacenter Manager put the task's own number before its start, as many of theirs run in one process. What a
//! Datacenter Manager has a remote do has the remote before it: `pve:east!UPID:…`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use super::call::Path;
use crate::product::Product;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no task's UPID: {why}")]
pub struct UpidError {
    given: String,
    why: &'static str,
}

/// A UPID that PVE would take. Printed as it came.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Upid {
    text: String,
    pub node: String,
    pub pid: u32,
    /// The process's start, in clock ticks since boot.
    pub pstart: u64,
    /// Of the task within its process, where it has one.
    pub task: Option<u64>,
    /// The task's start, in seconds since 1970.
    pub starttime: u32,
    /// `qmcreate`, `vzdump`.
    pub kind: String,
    /// What it works on, often a guest's id; may be empty.
    pub id: String,
    pub user: String,
    pub token: Option<String>,
    /// Where it runs, if not at the host that is asked.
    pub remote: Option<Remote>,
}

/// A remote of a Datacenter Manager.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Remote {
    /// `pve` or `pbs`, as in `/pve/remotes`.
    pub kind: &'static str,
    pub name: String,
}

/// What stands between a remote and the task's name there.
const AT_REMOTE: &str = "!UPID:";

impl Remote {
    /// `pve:east`, and `east` as the first Datacenter Managers wrote it.
    fn of(text: &str) -> Option<Self> {
        let (kind, name) = match text.split_once(':') {
            Some(("pve", name)) => ("pve", name),
            Some(("pbs", name)) => ("pbs", name),
            Some(_) => return None,
            None => ("pve", text),
        };
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let is_name = (1..=64).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(named);
        is_name.then(|| Self { kind, name: name.to_owned() })
    }
}

impl Upid {
    /// One that a product's API gives or takes: of its own tasks, and from a Datacenter Manager those of its remotes.
    pub fn of(product: Product, text: &str) -> Result<Self, UpidError> {
        let refused = |why| UpidError { given: crate::text::brief(text, 80), why };
        if product != Product::Datacenter || !Self::is_at_remote(text) {
            return text.parse();
        }
        let at = text.find(AT_REMOTE).unwrap_or_default();
        let remote = Remote::of(&text[..at]).ok_or_else(|| refused("what stands before it is no remote"))?;
        let upid: Self = text[at + 1..].parse()?;
        Ok(Self { text: text.to_owned(), remote: Some(remote), ..upid })
    }

    /// Whether it has the form of a task at a remote.
    pub fn is_at_remote(text: &str) -> bool {
        !text.starts_with("UPID:") && text.contains(AT_REMOTE)
    }
}

impl FromStr for Upid {
    type Err = UpidError;

    fn from_str(text: &str) -> Result<Self, UpidError> {
        let refused = |why| UpidError { given: crate::text::brief(text, 80), why };
        if text.len() > 512 {
            return Err(UpidError {
                given: crate::text::brief(text, 80),
                why: "it is longer than 512 bytes",
            });
        }
        if text.chars().any(char::is_whitespace) || Path::of([text]).is_err() {
            return Err(refused("white space, a control character or a '..' stands in it"));
        }
        let parts: Vec<&str> = text.split(':').collect();
        let (node, pid, pstart, task, starttime, kind, id, owner) = match parts[..] {
            ["UPID", node, pid, pstart, starttime, kind, id, owner, ""] => {
                (node, pid, pstart, None, starttime, kind, id, owner)
            }
            ["UPID", node, pid, pstart, task, starttime, kind, id, owner, ""] => {
                (node, pid, pstart, Some(task), starttime, kind, id, owner)
            }
            _ => return Err(refused("it is not UPID: and seven or eight parts, each ended by ':'")),
        };
        let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = node.as_bytes();
        let named = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
        if !named || !edge(bytes.first()) || !edge(bytes.last()) {
            return Err(refused("its node is no node's name"));
        }
        let hex = |digits: &str, lengths: std::ops::RangeInclusive<usize>| {
            let right =
                lengths.contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            right.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
        };
        let short = |digits| hex(digits, 8..=8).and_then(|number| u32::try_from(number).ok());
        let (Some(pid), Some(pstart), Some(starttime)) = (short(pid), hex(pstart, 8..=16), short(starttime))
        else {
            return Err(refused("a number in it is not of eight hex digits"));
        };
        let task = match task.map(|task| hex(task, 8..=16)) {
            Some(None) => return Err(refused("a number in it is not of eight hex digits")),
            task => task.flatten(),
        };
        if kind.is_empty() || owner.is_empty() {
            return Err(refused("its type or its user is empty"));
        }
        let (user, token) = match owner.split_once('!') {
            Some((user, token)) => (user, Some(token.to_owned())),
            None => (owner, None),
        };
        Ok(Self {
            node: node.to_owned(),
            pid,
            pstart,
            task,
            starttime,
            kind: kind.to_owned(),
            id: id.to_owned(),
            user: user.to_owned(),
            token,
            remote: None,
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for Upid {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.text)
    }
}

impl AsRef<str> for Upid {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl<'de> Deserialize<'de> for Upid {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Upid {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REAL: &str = "UPID:pve1:00002578:00074193:6B012E72:qmcreate:110:root@pam!t1:";

    #[test]
    fn a_real_one_is_taken_apart_and_printed_as_it_came() {
        let upid: Upid = REAL.parse().unwrap();
        assert_eq!((upid.node.as_str(), upid.pid, upid.pstart), ("pve1", 0x2578, 0x74193));
        assert_eq!((upid.starttime, upid.kind.as_str(), upid.id.as_str()), (0x6B01_2E72, "qmcreate", "110"));
        assert_eq!((upid.user.as_str(), upid.token.as_deref()), ("root@pam", Some("t1")));
        assert_eq!(upid.to_string(), REAL);
        let plain: Upid = "UPID:pve-2:0000ABCD:123456789:6b012e72:vzdump::root@pam:".parse().unwrap();
        assert_eq!((plain.id.as_str(), plain.token, plain.pstart), ("", None, 0x1_2345_6789));
    }

    #[test]
    fn a_task_of_a_backup_server_has_a_number_of_its_own() {
        let text = "UPID:pbs1:000002C5:00000A3B:0000001F:6B012E72:garbage_collection:tank:root@pam!t1:";
        let upid: Upid = text.parse().unwrap();
        assert_eq!((upid.pid, upid.pstart, upid.task, upid.starttime), (0x2C5, 0xA3B, Some(31), 0x6B01_2E72));
        assert_eq!((upid.kind.as_str(), upid.id.as_str()), ("garbage_collection", "tank"));
        assert_eq!((upid.user.as_str(), upid.token.as_deref()), ("root@pam", Some("t1")));
        assert!(text.replace("0000001F", "1F").parse::<Upid>().is_err());
        assert!(text.replace("0000001F", "0000001F:00000001").parse::<Upid>().is_err());
    }

    #[test]
    fn a_datacenter_manager_says_at_which_remote() {
        let at = |remote: &str| Upid::of(Product::Datacenter, &format!("{remote}!{REAL}"));
        for (text, kind, name) in
            [("pve:east", "pve", "east"), ("pbs:vault-1", "pbs", "vault-1"), ("east_2.x", "pve", "east_2.x")]
        {
            let upid = at(text).unwrap();
            assert_eq!(upid.remote, Some(Remote { kind, name: name.into() }));
            assert_eq!((upid.to_string(), upid.id.as_str()), (format!("{text}!{REAL}"), "110"));
        }
        for text in ["", "pve:", "pmg:east", "pve:a/b", "pve:..", "pve:a b", "pve:east:x", "pve:a!b"] {
            assert!(at(text).is_err(), "{text:?}");
        }
        assert_eq!(Upid::of(Product::Datacenter, REAL).unwrap(), REAL.parse().unwrap());
        assert!(Upid::of(Product::Datacenter, "pve:east!UPID:x").is_err());
        // No other has remotes, and in no list of a node's own does one stand.
        for product in [Product::Pve, Product::Backup, Product::Mail] {
            assert!(Upid::of(product, &format!("pve:east!{REAL}")).is_err());
        }
        assert!(format!("pve:east!{REAL}").parse::<Upid>().is_err());
    }

    #[test]
    fn what_pve_would_not_take_is_none() {
        for text in [
            "",
            "UPID",
            "UPID:::::::::",
            &REAL[..REAL.len() - 1],
            &format!("{REAL}x"),
            &format!("{REAL}\n"),
            &format!(" {REAL}"),
            &REAL.replace("pve1", "../x"),
            &REAL.replace("pve1", ""),
            &REAL.replace("pve1", "-pve"),
            &REAL.replace("00002578", "2578"),
            &REAL.replace("00002578", "0000257g"),
            &REAL.replace("00002578", "+0002578"),
            &REAL.replace("00074193", "74193"),
            &REAL.replace("6B012E72", "16B012E72"),
            &REAL.replace("qmcreate", ""),
            &REAL.replace("qmcreate", "qm create"),
            &REAL.replace("root@pam!t1", ""),
            &REAL.replace("UPID", "upid"),
            &REAL.replace("110", "1\u{0}0"),
            &REAL.replace("110", "a/../b"),
            &REAL.replace("110", &"1".repeat(600)),
        ] {
            assert!(text.parse::<Upid>().is_err(), "{text:?}");
        }
    }
}
