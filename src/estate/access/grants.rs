//! Who holds which role at a path, as PVE works it out: from the root down, the nearest entry wins; an entry for the user
//! itself goes before those of its groups; a pool's roles reach its guests and storages.

use std::collections::BTreeSet;

use smol_str::{SmolStr, ToSmolStr};

use super::{Access, Acl, Holder};

/// A role that somebody holds at a path, and from where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// A user or a token.
    pub who: SmolStr,
    pub role: SmolStr,
    /// The path of the entry.
    pub from: SmolStr,
    pub propagate: bool,
    pub through: Through,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Through {
    Itself,
    Group(SmolStr),
    /// It may all that its user may.
    Owner(SmolStr),
    /// The superuser.
    Root,
}

/// The role that takes away what others give.
const NOTHING: &str = "NoAccess";

impl Access {
    /// Every role of every user and token at a path such as `/vms/104`.
    #[must_use]
    pub fn granted(&self, path: &str) -> Vec<Grant> {
        let everybody = self.users.keys().chain(self.tokens.keys());
        everybody.flat_map(|who| self.granted_to(who, path)).collect()
    }

    /// The roles of one user or token at a path. Those of a token with privileges of its own are then cut to what its user
    /// may: ask for both.
    #[must_use]
    pub fn granted_to(&self, who: &str, path: &str) -> Vec<Grant> {
        if who == "root@pam" {
            let (role, from) = ("Administrator".into(), "/".into());
            return vec![Grant { who: who.into(), role, from, propagate: true, through: Through::Root }];
        }
        if let Some(token) = self.tokens.get(who)
            && !token.separate
        {
            let owner = who.split_once('!').map_or(who, |(user, _)| user);
            let as_its = |grant| Grant { who: who.into(), through: Through::Owner(owner.into()), ..grant };
            return self.granted_to(owner, path).into_iter().map(as_its).collect();
        }
        let mut found = self.along(who, path);
        if found.iter().any(|grant| grant.role == NOTHING) {
            return found;
        }
        for pool in self.pools_holding(path) {
            let by_pool = self.along(who, &format!("/pool/{pool}"));
            if by_pool.iter().any(|grant| grant.role == NOTHING) {
                return by_pool;
            }
            for grant in by_pool {
                if !found.iter().any(|held| held.role == grant.role) {
                    found.push(grant);
                }
            }
        }
        found
    }

    fn along(&self, who: &str, path: &str) -> Vec<Grant> {
        let mut held = Vec::new();
        for at in prefixes(path) {
            let here = |entry: &&Acl| entry.path == at && (entry.propagate || at == path);
            let entries: Vec<&Acl> = self.acls.iter().filter(here).collect();
            let own = entries.iter().filter(|entry| match &entry.holder {
                Holder::User(name) | Holder::Token(name) => name == who,
                Holder::Group(_) => false,
            });
            let mut nearer: Vec<Grant> = own.map(|entry| grant(who, entry, Through::Itself)).collect();
            if nearer.is_empty() {
                nearer = entries
                    .iter()
                    .filter_map(|entry| match &entry.holder {
                        Holder::Group(group) if self.is_in(who, group) => {
                            Some(grant(who, entry, Through::Group(group.clone())))
                        }
                        _ => None,
                    })
                    .collect();
            }
            if !nearer.is_empty() {
                // One that takes all away leaves nothing beside it.
                let nothing: Vec<Grant> =
                    nearer.iter().filter(|held| held.role == NOTHING).cloned().collect();
                held = if nothing.is_empty() { nearer } else { nothing };
            }
        }
        held
    }

    fn is_in(&self, user: &str, group: &str) -> bool {
        self.groups.get(group).is_some_and(|users| users.contains(user))
    }

    fn pools_holding(&self, path: &str) -> BTreeSet<SmolStr> {
        let parts: Vec<&str> = path.split('/').collect();
        let holds = |name: &SmolStr| {
            let pool = &self.pools[name];
            match *parts {
                ["", "vms", vmid] => vmid.parse().is_ok_and(|vmid| pool.guests.contains(&vmid)),
                ["", "storage", storage] => pool.storages.contains(storage),
                _ => false,
            }
        };
        self.pools.keys().filter(|name| holds(name)).cloned().collect()
    }
}

fn grant(who: &str, entry: &Acl, through: Through) -> Grant {
    let (role, from) = (entry.role.clone(), entry.path.clone());
    Grant { who: who.into(), role, from, propagate: entry.propagate, through }
}

/// `/`, `/vms`, `/vms/104`
fn prefixes(path: &str) -> impl Iterator<Item = SmolStr> {
    let ends = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
    let root = std::iter::once("/".to_smolstr());
    let inner = ends.map(|end| path[..end].to_smolstr());
    root.chain(inner).chain((path != "/").then(|| path.to_smolstr()))
}
