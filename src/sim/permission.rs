//! What a caller may do where: PVE's computation over ACLs, groups, pools and token separation, and its check
//! expressions.
//!
//! The order of evaluation is PVE's own, since a caller sees it: a deeper ACL replaces what a higher one gave, a
//! token's own ACL, a user's and then a group's win in this order, `NoAccess` cancels the rest, what comes by a pool is
//! added, and a separated token has the intersection with its user.

use std::collections::BTreeMap;

use serde_json::Value;

use super::answer::Refusal;
use super::estate::access::{Access, Holder};

/// Privilege → whether it holds below this path too.
pub type Privileges = BTreeMap<String, bool>;
type Roles = BTreeMap<String, bool>;

/// PVE's superuser when it logs in by password: no token is it, not even its own without separation.
pub const ROOT: &str = "root@pam";

/// What `who` holds at `path`.
pub fn privileges(access: &Access, who: &str, path: &str) -> Privileges {
    let Some((user, _)) = who.split_once('!') else { return held(access, who, path) };
    match access.token(who) {
        None => Privileges::new(),
        Some((_, token)) if !token.privsep => held(access, user, path),
        Some(_) => {
            let of_user = held(access, user, path);
            held(access, who, path)
                .into_iter()
                .filter_map(|(name, below)| of_user.get(&name).map(|also| (name, below && *also)))
                .collect()
        }
    }
}

fn held(access: &Access, who: &str, path: &str) -> Privileges {
    let mut roles = roles_at(access, who, path);
    for pool in pools_of(access, path) {
        for (role, below) in roles_at(access, who, &format!("/pool/{pool}")) {
            roles.entry(role).or_insert(below);
        }
    }
    if roles.contains_key("NoAccess") {
        return Privileges::new();
    }
    let mut privileges = Privileges::new();
    for (role, below) in roles {
        for privilege in access.role(&role).unwrap_or_default() {
            *privileges.entry(privilege).or_default() |= below;
        }
    }
    privileges
}

/// The pools that hold the guest or the storage at `path`.
fn pools_of<'a>(access: &'a Access, path: &'a str) -> impl Iterator<Item = &'a str> {
    let vmid = path.strip_prefix("/vms/").and_then(|id| id.parse::<u32>().ok());
    let storage = path.strip_prefix("/storage/");
    access.pools.iter().filter_map(move |(name, pool)| {
        let inside = vmid.is_some_and(|id| pool.vms.contains(&id))
            || storage.is_some_and(|id| pool.storages.contains(id));
        inside.then_some(name.as_str())
    })
}

fn roles_at(access: &Access, who: &str, path: &str) -> Roles {
    if who == ROOT {
        return [("Administrator".to_owned(), true)].into();
    }
    let mut roles = Roles::new();
    for (at, holders) in &access.acl {
        let here = at == path;
        let above = at == "/" || path.strip_prefix(at.as_str()).is_some_and(|rest| rest.starts_with('/'));
        if !here && !above {
            continue;
        }
        let holding = |given: &Roles| -> Roles {
            given
                .iter()
                .filter(|(_, below)| here || **below)
                .map(|(role, below)| (role.clone(), *below))
                .collect()
        };
        let own =
            if who.contains('!') { Holder::Token(who.to_owned()) } else { Holder::User(who.to_owned()) };
        let of_own = holders.get(&own).map(holding).unwrap_or_default();
        if !of_own.is_empty() {
            roles = of_own;
            continue;
        }
        let mut of_groups = Roles::new();
        for (holder, given) in holders {
            let Holder::Group(group) = holder else { continue };
            if access.groups.get(group).is_some_and(|group| group.users.contains(who)) {
                of_groups.extend(holding(given));
            }
        }
        if !of_groups.is_empty() {
            roles = of_groups;
        }
    }
    roles
}

/// The one who asks.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    pub access: &'a Access,
    /// `USER@REALM`, or with `!ID`.
    pub who: &'a str,
}

impl Caller<'_> {
    pub fn may(&self, path: &str, privilege: &str) -> bool {
        privileges(self.access, self.who, path).contains_key(privilege)
    }

    pub fn may_any(&self, path: &str, wanted: &[&str]) -> bool {
        let held = privileges(self.access, self.who, path);
        wanted.iter().any(|privilege| held.contains_key(*privilege))
    }

    /// All of them, or the first that lacks is named.
    pub fn need(&self, path: &str, wanted: &[&str]) -> Result<(), Refusal> {
        let held = privileges(self.access, self.who, path);
        match wanted.iter().find(|privilege| !held.contains_key(**privilege)) {
            Some(privilege) => Err(Refusal::forbidden(&format!("{path}, {privilege}"))),
            None => Ok(()),
        }
    }

    pub fn need_any(&self, path: &str, wanted: &[&str]) -> Result<(), Refusal> {
        if self.may_any(path, wanted) {
            return Ok(());
        }
        Err(Refusal::forbidden(&format!("{path}, {}", wanted.join("|"))))
    }

    /// Refused to all but the superuser by password, whom no token is.
    pub fn need_root(&self, what: &str) -> Result<(), Refusal> {
        if self.who == ROOT { Ok(()) } else { Err(Refusal::forbidden(what)) }
    }

    /// PVE's check expression over the call's parameters.
    pub fn check(&self, check: &Value, parameters: &BTreeMap<String, String>) -> Result<(), Refusal> {
        let Some(parts) = check.as_array() else { return Err(Refusal::forbidden("")) };
        match parts.first().and_then(Value::as_str).unwrap_or_default() {
            "and" => parts[1..].iter().try_for_each(|part| self.check(part, parameters)),
            "or" if parts[1..].iter().any(|part| self.check(part, parameters).is_ok()) => Ok(()),
            "perm" => self.check_perm(parts, parameters),
            "perm-modify" => self.check_modify(&filled(text(&parts[1]), parameters)),
            "userid-param" => self.check_user_parameter(text(&parts[1]), parameters),
            "userid-group" => self.check_user_group(parts, parameters),
            _ => Err(Refusal::forbidden("")),
        }
    }

    fn check_perm(&self, parts: &[Value], parameters: &BTreeMap<String, String>) -> Result<(), Refusal> {
        let path = filled(text(&parts[1]), parameters);
        let wanted = texts(&parts[2]);
        let option = |name| parts[3..].iter().position(|part| part == name).and_then(|at| parts.get(at + 4));
        if option("require_param").is_some_and(|name| !parameters.contains_key(text(name))) {
            return Err(Refusal::forbidden(""));
        }
        match option("any") {
            Some(any) if any != 0 => self.need_any(&path, &wanted),
            _ => self.need(&path, &wanted),
        }
    }

    pub fn check_modify(&self, path: &str) -> Result<(), Refusal> {
        let also =
            [("/storage/", "Datastore.Allocate"), ("/vms/", "VM.Allocate"), ("/pool/", "Pool.Allocate")]
                .iter()
                .find(|(prefix, _)| path.starts_with(prefix))
                .map(|(_, privilege)| *privilege);
        let mut wanted = vec!["Permissions.Modify"];
        wanted.extend(also);
        self.need_any(path, &wanted)
    }

    fn check_user_parameter(&self, test: &str, parameters: &BTreeMap<String, String>) -> Result<(), Refusal> {
        let user = parameters.get("userid").map(String::as_str).unwrap_or_default();
        if test == "self" {
            self.existing(user)?;
            return if user == self.who { Ok(()) } else { Err(Refusal::forbidden("")) };
        }
        let realm = user.rsplit_once('@').map_or("", |(_, realm)| realm);
        self.need(&format!("/access/realm/{realm}"), &["Realm.AllocateUser"])
    }

    fn check_user_group(
        &self,
        parts: &[Value],
        parameters: &BTreeMap<String, String>,
    ) -> Result<(), Refusal> {
        let user = parameters.get("userid").map(String::as_str).unwrap_or_default();
        let wanted = texts(&parts[1]);
        let of_parameter =
            parts.iter().position(|part| part == "groups_param").map(|at| text(&parts[at + 1]));
        let exists = of_parameter != Some("create");
        if exists {
            self.existing(user)?;
        }
        if self.may_any("/access/groups", &wanted) {
            return Ok(());
        }
        let allowed = |group: &str| self.may_any(&format!("/access/groups/{group}"), &wanted);
        if of_parameter.is_some() {
            let groups = parameters.get("groups").map(String::as_str).unwrap_or_default();
            let mut groups = groups.split([',', ';', ' ']).filter(|group| !group.is_empty()).peekable();
            if groups.peek().is_none() {
                return Err(Refusal::forbidden(&format!("/access/groups, {}", wanted.join("|"))));
            }
            if let Some(refused) = groups.find(|group| !allowed(group)) {
                let wanted = wanted.join("|");
                return Err(Refusal::forbidden(&format!("/access/groups/{refused}, {wanted}")));
            }
        }
        let member = |(name, group): (&String, &super::estate::access::Group)| {
            group.users.contains(user) && allowed(name)
        };
        if exists && !self.access.groups.iter().any(member) {
            return Err(Refusal::forbidden(""));
        }
        Ok(())
    }

    fn existing(&self, user: &str) -> Result<(), Refusal> {
        if self.access.users.contains_key(user) {
            return Ok(());
        }
        Err(Refusal::die(format!("no such user ('{user}')")))
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().map(|list| list.iter().map(text).collect()).unwrap_or_default()
}

/// A path with its `{name}`s replaced by the call's parameters.
fn filled(template: &str, parameters: &BTreeMap<String, String>) -> String {
    let mut path = String::new();
    for (index, part) in template.split(['{', '}']).enumerate() {
        if index % 2 == 0 {
            path.push_str(part);
        } else {
            path.push_str(parameters.get(part).map(String::as_str).unwrap_or_default());
        }
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    format!("/{}", parts.join("/"))
}
