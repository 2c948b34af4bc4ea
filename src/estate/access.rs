//! `user.cfg`: who there is, and what each was granted where.
//!
//! Names, comments, addresses and second factors are not kept. Tokens' secrets are in another file, which only root reads.

mod grants;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use smol_str::SmolStr;

pub use grants::{Grant, Through};

use super::finding::{Findings, What, shown};
use super::property::{is_yes, list};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    pub users: BTreeMap<SmolStr, User>,
    pub tokens: BTreeMap<SmolStr, Token>,
    pub groups: BTreeMap<SmolStr, BTreeSet<SmolStr>>,
    /// Those that were made here, each with its privileges.
    pub roles: BTreeMap<SmolStr, BTreeSet<SmolStr>>,
    pub pools: BTreeMap<SmolStr, Pool>,
    pub acls: Vec<Acl>,
    pool_of: HashMap<u32, SmolStr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub enabled: bool,
    /// Seconds since 1970; 0 is never.
    pub expire: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub expire: u64,
    /// It may only what both it and its user may.
    pub separate: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pool {
    pub guests: BTreeSet<u32>,
    pub storages: BTreeSet<SmolStr>,
}

/// One entry of an access list: one role for one holder at one path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acl {
    /// As PVE normalises it: one slash before each part, none at the end.
    pub path: SmolStr,
    pub holder: Holder,
    pub role: SmolStr,
    /// Whether it holds below the path too.
    pub propagate: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    User(SmolStr),
    /// `USER@REALM!NAME`
    Token(SmolStr),
    Group(SmolStr),
}

impl Holder {
    fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix('@') {
            Some("") => None,
            Some(group) => Some(Self::Group(group.into())),
            None if !text.contains('@') => None,
            None if text.contains('!') => Some(Self::Token(text.into())),
            None => Some(Self::User(text.into())),
        }
    }
}

pub fn parse(text: &str, findings: &mut Findings<'_>) -> Access {
    let mut access = Access::default();
    for (number, line) in (1u32..).zip(text.lines()) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut fields = line.split(':');
        let kind = fields.next().unwrap_or_default();
        let fields: Vec<&str> = fields.collect();
        if let Err(what) = access.take(kind, &fields) {
            findings.add(number, what);
        }
    }
    // PVE has it, whatever the file says.
    let root = User { enabled: true, expire: 0 };
    access.users.entry("root@pam".into()).or_insert(root);
    access
}

impl Access {
    fn take(&mut self, kind: &str, fields: &[&str]) -> Result<(), What> {
        let field = |index: usize| fields.get(index).copied().unwrap_or_default();
        let id: SmolStr = field(0).into();
        if id.is_empty() {
            return Err(What::Line);
        }
        let names = |index| list(field(index)).map(SmolStr::from).collect();
        let expire = |index: usize| field(index).parse().unwrap_or(0);
        match kind {
            "user" => {
                let user = User { enabled: is_yes(field(1)), expire: expire(2) };
                self.users.insert(id, user);
            }
            "token" => {
                let token = Token { expire: expire(1), separate: field(2) != "0" };
                self.tokens.insert(id, token);
            }
            "group" => {
                self.groups.insert(id, names(1));
            }
            "role" => {
                self.roles.insert(id, names(1));
            }
            "pool" => self.pool(id, field(2), field(3))?,
            "acl" => self.acl(fields)?,
            _ => return Err(What::Line),
        }
        Ok(())
    }

    /// A guest is in one pool: of two that claim it, PVE believes the first.
    fn pool(&mut self, id: SmolStr, guests: &str, storages: &str) -> Result<(), What> {
        let mut pool = Pool { storages: list(storages).map(SmolStr::from).collect(), ..Pool::default() };
        let mut bad = None;
        for text in list(guests) {
            match text.parse::<u32>() {
                Ok(vmid) if self.pool_of.contains_key(&vmid) => bad = Some(What::Twice(text.into())),
                Ok(vmid) => {
                    pool.guests.insert(vmid);
                    self.pool_of.insert(vmid, id.clone());
                }
                Err(_) => bad = Some(What::Value(shown(text))),
            }
        }
        self.pools.insert(id, pool);
        bad.map_or(Ok(()), Err)
    }

    fn acl(&mut self, fields: &[&str]) -> Result<(), What> {
        let &[propagate, path, holders, roles, ..] = fields else { return Err(What::Line) };
        let path = normal(path).ok_or_else(|| What::Value("path".into()))?;
        let mut bad = None;
        for text in list(holders) {
            let Some(holder) = Holder::parse(text) else {
                bad = Some(What::Value(shown(text)));
                continue;
            };
            self.acls.extend(list(roles).map(|role| Acl {
                path: path.clone(),
                holder: holder.clone(),
                role: role.into(),
                propagate: is_yes(propagate),
            }));
        }
        bad.map_or(Ok(()), Err)
    }

    /// The pool that a guest is in.
    #[must_use]
    pub fn pool_of(&self, vmid: u32) -> Option<&SmolStr> {
        self.pool_of.get(&vmid)
    }

    /// The groups that a user is in.
    pub fn groups_of<'a>(&'a self, user: &'a str) -> impl Iterator<Item = &'a SmolStr> {
        self.groups.iter().filter(move |(_, users)| users.contains(user)).map(|(name, _)| name)
    }
}

/// `//vms/104/` is `/vms/104`.
fn normal(path: &str) -> Option<SmolStr> {
    if !path.starts_with('/') {
        return None;
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    Some(format!("/{}", parts.join("/")).into())
}
