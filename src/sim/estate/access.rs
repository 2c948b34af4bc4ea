//! Who there is: users, tokens, groups, roles, ACLs and pools, as `user.cfg` holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// Every privilege, and the roles that PVE brings.
pub mod roles;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct User {
    pub enable: bool,
    pub expire: u64,
    pub firstname: String,
    pub lastname: String,
    /// `None` and empty are told apart in lists.
    pub email: Option<String>,
    pub comment: Option<String>,
    pub keys: Option<String>,
    pub tokens: BTreeMap<String, Token>,
    /// By their ids.
    #[serde(skip)]
    pub factors: BTreeMap<String, Factor>,
}

/// What a login asks for beside the password.
#[derive(Debug, Clone)]
pub struct Factor {
    /// `totp`, `webauthn`, `recovery`.
    pub kind: &'static str,
    pub description: String,
    pub created: u64,
}

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Token {
    pub secret: String,
    pub expire: u64,
    pub privsep: bool,
    pub comment: Option<String>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Token").field("privsep", &self.privsep).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Group {
    pub users: BTreeSet<String>,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Pool {
    pub comment: Option<String>,
    pub vms: BTreeSet<u32>,
    pub storages: BTreeSet<String>,
}

/// Of whom an ACL entry speaks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Holder {
    User(String),
    /// `USER@REALM!ID`
    Token(String),
    Group(String),
}

impl Holder {
    /// Its type and its name, as `/access/acl` lists them.
    pub fn words(&self) -> (&'static str, &str) {
        match self {
            Self::User(name) => ("user", name),
            Self::Token(name) => ("token", name),
            Self::Group(name) => ("group", name),
        }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Access {
    pub users: BTreeMap<String, User>,
    pub groups: BTreeMap<String, Group>,
    /// Of an administrator, beside those of PVE 9.2.
    #[serde(skip)]
    pub earlier: &'static [&'static str],
    /// Without those that PVE brings.
    pub roles: BTreeMap<String, BTreeSet<String>>,
    pub pools: BTreeMap<String, Pool>,
    /// Path → holder → role → whether it propagates.
    pub acl: BTreeMap<String, BTreeMap<Holder, BTreeMap<String, bool>>>,
}

impl Access {
    pub fn role(&self, name: &str) -> Option<BTreeSet<String>> {
        let brought = || {
            let (_, privileges) = roles::BROUGHT.iter().find(|(role, _)| *role == name)?;
            let earlier = if name == "Administrator" { self.earlier } else { &[] };
            let known = |privilege: &&&str| self.earlier.is_empty() || !roles::is_new(privilege);
            let privileges = privileges.iter().filter(known);
            Some(privileges.chain(earlier).map(|privilege| (*privilege).to_owned()).collect())
        };
        self.roles.get(name).cloned().or_else(brought)
    }

    pub fn token(&self, id: &str) -> Option<(&User, &Token)> {
        let (user, token) = id.split_once('!')?;
        let user = self.users.get(user)?;
        Some((user, user.tokens.get(token)?))
    }

    pub fn grant(&mut self, path: &str, holder: Holder, role: &str, propagate: bool) {
        let entry = self.acl.entry(path.to_owned()).or_default().entry(holder).or_default();
        entry.insert(role.to_owned(), propagate);
    }

    pub fn pool_of(&self, vmid: u32) -> Option<&str> {
        self.pools.iter().find(|(_, pool)| pool.vms.contains(&vmid)).map(|(name, _)| name.as_str())
    }

    /// Removes what names a holder who is gone.
    pub fn forget(&mut self, gone: impl Fn(&Holder) -> bool) {
        for holders in self.acl.values_mut() {
            holders.retain(|holder, _| !gone(holder));
        }
        self.acl.retain(|_, holders| !holders.is_empty());
    }

    /// `user.cfg`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let or_empty = |value: &Option<String>| value.clone().unwrap_or_default();
        for (id, user) in &self.users {
            let _ = writeln!(
                text,
                "user:{id}:{}:{}:{}:{}:{}:{}:{}:",
                u8::from(user.enable),
                user.expire,
                user.firstname,
                user.lastname,
                or_empty(&user.email),
                or_empty(&user.comment),
                or_empty(&user.keys),
            );
            for (name, token) in &user.tokens {
                let comment = or_empty(&token.comment);
                let privsep = u8::from(token.privsep);
                let _ = writeln!(text, "token:{id}!{name}:{}:{privsep}:{comment}:", token.expire);
            }
        }
        text.push('\n');
        for (id, group) in &self.groups {
            let users: Vec<&str> = group.users.iter().map(String::as_str).collect();
            let _ = writeln!(text, "group:{id}:{}:{}:", users.join(","), or_empty(&group.comment));
        }
        text.push('\n');
        for (id, pool) in &self.pools {
            let vms: Vec<String> = pool.vms.iter().map(u32::to_string).collect();
            let storages: Vec<&str> = pool.storages.iter().map(String::as_str).collect();
            let (vms, storages) = (vms.join(","), storages.join(","));
            let _ = writeln!(text, "pool:{id}:{}:{vms}:{storages}:", or_empty(&pool.comment));
        }
        text.push('\n');
        for (id, privileges) in &self.roles {
            let privileges: Vec<&str> = privileges.iter().map(String::as_str).collect();
            let _ = writeln!(text, "role:{id}:{}:", privileges.join(","));
        }
        text.push('\n');
        for (path, holders) in &self.acl {
            self.write_acl(&mut text, path, holders);
        }
        text
    }

    fn write_acl(&self, text: &mut String, path: &str, holders: &BTreeMap<Holder, BTreeMap<String, bool>>) {
        // Entries that differ only in who or only in propagation share a line.
        let mut lines: BTreeMap<(bool, String), Vec<String>> = BTreeMap::new();
        for (holder, roles) in holders {
            for (role, propagate) in roles {
                let who = match holder {
                    Holder::Group(name) => format!("@{name}"),
                    Holder::User(name) | Holder::Token(name) => name.clone(),
                };
                lines.entry((*propagate, role.clone())).or_default().push(who);
            }
        }
        for ((propagate, role), who) in lines {
            let _ = writeln!(text, "acl:{}:{path}:{}:{role}:", u8::from(propagate), who.join(","));
        }
    }
}
