//! The node's own `pveum`: what there is, by its JSON; and changes, call by call.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::Failed;
use super::names::MARK;
use crate::cli::program;
use crate::pve::loose;

/// Perl starts, and takes the cluster's lock.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Pveum {
    pub program: PathBuf,
}

/// What there is, as far as it is ours to know.
#[derive(Debug, Default)]
pub struct Present {
    /// Every privilege of this release.
    pub known: BTreeSet<String>,
    pub roles: BTreeMap<String, BTreeSet<String>>,
    pub users: Vec<User>,
    pub acl: Vec<Entry>,
}

impl Present {
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.userid == name)
    }

    /// `USER@REALM!ID`
    pub fn token(&self, id: &str) -> Option<&Token> {
        let (user, id) = id.split_once('!')?;
        self.user(user)?.tokens.iter().find(|token| token.tokenid == id)
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct User {
    pub userid: String,
    pub comment: Option<String>,
    #[serde(default, deserialize_with = "loose::optional::u64")]
    pub enable: Option<u64>,
    #[serde(default)]
    pub tokens: Vec<Token>,
}

impl User {
    /// Whether setup made it.
    pub fn is_marked(&self) -> bool {
        self.comment.as_deref().is_some_and(|comment| comment.starts_with(MARK))
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct Token {
    pub tokenid: String,
    pub comment: Option<String>,
    #[serde(default, deserialize_with = "loose::optional::u64")]
    pub privsep: Option<u64>,
}

/// Of PVE's access list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry {
    pub path: String,
    /// `user`, `token`, `group`
    #[serde(rename = "type")]
    pub kind: String,
    pub ugid: String,
    pub roleid: String,
}

#[derive(Deserialize)]
struct Role {
    roleid: String,
    #[serde(default)]
    privs: String,
}

/// What `pveum user token add` answers; the one time that PVE says the secret.
#[derive(Deserialize)]
struct Made {
    #[serde(rename = "full-tokenid")]
    id: String,
    value: String,
}

impl Pveum {
    pub fn look(&self) -> Result<Present, Failed> {
        let roles: Vec<Role> = self.list(&["role", "list"])?;
        let list = |privs: &str| {
            privs.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
        };
        let roles: BTreeMap<String, BTreeSet<String>> =
            roles.into_iter().map(|role| (role.roleid, list(&role.privs))).collect();
        let known = roles.get("Administrator").cloned().unwrap_or_default();
        if known.is_empty() {
            return Err(Failed::Wrong(format!(
                "{} role list names no role Administrator, which every Proxmox VE has; is this a node?",
                self.program.display()
            )));
        }
        let users = self.list(&["user", "list", "--full", "1"])?;
        let acl = self.list(&["acl", "list"])?;
        Ok(Present { known, roles, users, acl })
    }

    fn list<T: DeserializeOwned>(&self, words: &[&str]) -> Result<T, Failed> {
        let words = [words, &["--output-format", "json"]].concat();
        let text = self.call(&words)?;
        serde_json::from_slice(&text).map_err(|error| Failed::Pveum {
            call: self.typed(&words),
            said: format!("what it printed is not the JSON that was expected: {error}"),
        })
    }

    /// Makes a call, and gives what it printed.
    pub fn call(&self, words: &[&str]) -> Result<Zeroizing<Vec<u8>>, Failed> {
        let failed = |said: String| Failed::Pveum { call: self.typed(words), said };
        let ran = program::run(&self.program, words, b"", PATIENCE).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => failed(format!(
                "there is no {}; this runs on a Proxmox VE node, as root",
                self.program.display()
            )),
            _ => Failed::Unknown { call: self.typed(words), said: error.to_string() },
        })?;
        if ran.status.success() {
            return Ok(ran.stdout);
        }
        // What it printed is not repeated: it may be a secret.
        let said = match ran.stderr.trim() {
            "" => format!("it ended with {}", ran.status),
            said => said.replace('\n', "; "),
        };
        // What was ended from outside may have done it.
        Err(match ran.status.code() {
            Some(_) => failed(said),
            None => Failed::Unknown { call: self.typed(words), said },
        })
    }

    /// The line `USER@REALM!ID=SECRET` of a token that is made.
    pub fn make_token(&self, words: &[&str]) -> Result<Zeroizing<String>, Failed> {
        let text = self.call(words)?;
        // An error of serde's may quote what it read, so it is not repeated.
        let made: Made = serde_json::from_slice(&text).map_err(|_| Failed::Unknown {
            call: self.typed(words),
            said:
                "what it printed names no token; the one that it may have made is removed by the next setup"
                    .into(),
        })?;
        let value = Zeroizing::new(made.value);
        Ok(Zeroizing::new(format!("{}={}\n", made.id, value.as_str())))
    }

    pub fn typed(&self, words: &[&str]) -> String {
        format!("pveum {}", program::typed(words))
    }
}
