//! Who can do less, or is not let in any more, when users, tokens, groups, roles, realms or rights change. The agent's own
//! token is named first.

use smol_str::SmolStr;

use super::rights::{
    barred, compare, holders, is_let_in, is_past, known, last, named, owner, paths, tokens_of,
};
use super::{Need, Rule};
use crate::estate::access::{Access, Acl, Holder};
use crate::plan::blast::look::and;
use crate::plan::blast::{Found, Look, Severity};

const NONE: &[Need] = &[];

pub const RULES: &[Rule] = &[
    Rule { calls: &["PUT /access/acl"], needs: NONE, checks: &[rights] },
    Rule { calls: &["DELETE /access/users/{userid}"], needs: NONE, checks: &[user_removed] },
    Rule { calls: &["PUT /access/users/{userid}"], needs: NONE, checks: &[user_barred, user_grouped] },
    Rule { calls: &["DELETE /access/users/{userid}/token/{tokenid}"], needs: NONE, checks: &[token_removed] },
    Rule {
        calls: &["PUT /access/users/{userid}/token/{tokenid}"],
        needs: NONE,
        checks: &[token_barred, token_parted],
    },
    Rule { calls: &["DELETE /access/groups/{groupid}"], needs: NONE, checks: &[group_removed] },
    Rule { calls: &["DELETE /access/roles/{roleid}"], needs: NONE, checks: &[role_removed] },
    Rule { calls: &["PUT /access/roles/{roleid}"], needs: NONE, checks: &[role_narrowed] },
    Rule { calls: &["DELETE /access/domains/{realm}"], needs: NONE, checks: &[realm_removed] },
    Rule { calls: &["PUT /access/domains/{realm}"], needs: NONE, checks: &[realm_changed] },
    Rule { calls: &["POST /access/domains/{realm}/sync"], needs: NONE, checks: &[realm_synced] },
];

fn rights(look: &Look<'_>, found: &mut Found) {
    let before = known(look, found);
    let mut after = before.clone();
    let path = look.text("path").unwrap_or_default();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let path = SmolStr::from(format!("/{}", parts.join("/")));
    let users = look.list("users").into_iter().map(|name| Holder::User(name.into()));
    let tokens = look.list("tokens").into_iter().map(|name| Holder::Token(name.into()));
    let groups = look.list("groups").into_iter().map(|name| Holder::Group(name.into()));
    let mut whom = Vec::new();
    for holder in users.chain(tokens).chain(groups) {
        for role in look.list("roles") {
            let acl = Acl {
                path: path.clone(),
                holder: holder.clone(),
                role: role.into(),
                propagate: !look.is_off("propagate"),
            };
            let is_it = |one: &Acl| one.path == acl.path && one.holder == acl.holder && one.role == acl.role;
            whom.extend(holders(before, &acl));
            after.acls.retain(|one| !is_it(one));
            if !look.flag("delete") {
                after.acls.push(acl);
            }
        }
    }
    compare(look, found, &after, whom, &paths([before, &after]));
}

fn user_removed(look: &Look<'_>, found: &mut Found) {
    let Some(user) = look.text("userid") else { return };
    let before = known(look, found);
    let own = "the user is removed, with its rights and tokens, and can no longer log in";
    barred(look, found, before, &user, own, "its user is removed, and the token with it");
    let mut after = before.clone();
    after.users.remove(user.as_str());
    last(look, found, before, &after);
}

fn user_barred(look: &Look<'_>, found: &mut Found) {
    let Some(user) = look.text("userid") else { return };
    let before = known(look, found);
    let expire = look.text("expire").and_then(|text| text.parse().ok());
    let mut after = before.clone();
    let Some(entry) = after.users.get_mut(user.as_str()) else { return };
    if look.is_off("enable") {
        entry.enabled = false;
        let own = "the user is disabled, and can no longer log in";
        barred(look, found, before, &user, own, "its user is disabled, and PVE refuses the token");
    } else if let Some(expire) = expire.filter(|expire| is_past(*expire)) {
        entry.expire = expire;
        let own = "the user expires at once, and can no longer log in";
        barred(look, found, before, &user, own, "its user expires at once, and PVE refuses the token");
    } else {
        return;
    }
    last(look, found, before, &after);
}

/// `groups` names all that the user is in from now on, unless it is to `append`.
fn user_grouped(look: &Look<'_>, found: &mut Found) {
    let Some(user) = look.text("userid").map(SmolStr::from) else { return };
    if !look.request().args.contains_key("groups") {
        return;
    }
    let before = known(look, found);
    let stay = look.list("groups");
    let mut after = before.clone();
    for (group, users) in &mut after.groups {
        if stay.iter().any(|name| name == group) {
            users.insert(user.clone());
        } else if !look.flag("append") {
            users.remove(&user);
        }
    }
    compare(look, found, &after, [user], &paths([before]));
}

fn token(look: &Look<'_>) -> Option<SmolStr> {
    Some(format!("{}!{}", look.text("userid")?, look.text("tokenid")?).into())
}

fn token_removed(look: &Look<'_>, found: &mut Found) {
    let Some(token) = token(look) else { return };
    let before = known(look, found);
    barred(look, found, before, &token, "the token is removed, and whatever uses it is refused", "");
}

fn token_barred(look: &Look<'_>, found: &mut Found) {
    let Some(token) = token(look) else { return };
    let before = known(look, found);
    let expire = look.text("expire").and_then(|text| text.parse().ok());
    if expire.is_some_and(is_past) {
        barred(look, found, before, &token, "the token expires at once, and whatever uses it is refused", "");
    }
    if look.flag("regenerate") {
        let own = "the token has another secret, and whatever uses the old one is refused";
        barred(look, found, before, &token, own, "");
    }
}

/// With rights of its own it no longer has its user's.
fn token_parted(look: &Look<'_>, found: &mut Found) {
    let Some(token) = token(look).filter(|_| look.flag("privsep")) else { return };
    let before = known(look, found);
    let mut after = before.clone();
    let Some(entry) = after.tokens.get_mut(&token) else { return };
    entry.separate = true;
    compare(look, found, &after, [token], &paths([before]));
}

fn group_removed(look: &Look<'_>, found: &mut Found) {
    let Some(group) = look.text("groupid").map(SmolStr::from) else { return };
    let before = known(look, found);
    let mut after = before.clone();
    let members = after.groups.remove(&group).unwrap_or_default();
    after.acls.retain(|acl| acl.holder != Holder::Group(group.clone()));
    compare(look, found, &after, members, &paths([before]));
}

/// Everybody who has the role somewhere.
fn having(access: &Access, role: &str) -> Vec<SmolStr> {
    let mut all: Vec<SmolStr> =
        access.acls.iter().filter(|acl| acl.role == role).flat_map(|acl| holders(access, acl)).collect();
    all.sort();
    all.dedup();
    all
}

fn role_removed(look: &Look<'_>, found: &mut Found) {
    let Some(role) = look.text("roleid") else { return };
    let before = known(look, found);
    let mut after = before.clone();
    after.roles.remove(role.as_str());
    after.acls.retain(|acl| acl.role != role.as_str());
    compare(look, found, &after, having(before, &role), &paths([before]));
}

fn role_narrowed(look: &Look<'_>, found: &mut Found) {
    let Some(role) = look.text("roleid") else { return };
    let before = known(look, found);
    if look.flag("append") || !look.request().args.contains_key("privs") {
        return;
    }
    let stay = look.list("privs");
    let Some(held) = before.roles.get(role.as_str()) else {
        return found
            .unseen(format!("what {role} gives now was not seen, and so not what it no longer gives"));
    };
    let lost: Vec<String> = held
        .iter()
        .filter(|name| !stay.iter().any(|stays| stays == *name))
        .map(ToString::to_string)
        .collect();
    if lost.is_empty() {
        return;
    }
    let mut whom = having(before, &role);
    let of: Vec<SmolStr> = whom.iter().flat_map(|who| tokens_of(before, who)).cloned().collect();
    whom.extend(of.into_iter().filter(|token| !before.tokens[token].separate));
    whom.sort();
    whom.dedup();
    for who in whom.iter().filter(|who| is_let_in(before, who)) {
        let wide: Vec<&SmolStr> = paths([before])
            .iter()
            .filter(|path| before.granted_to(who, path).iter().any(|grant| grant.role == role.as_str()))
            .filter_map(|path| before.acls.iter().find(|acl| acl.path == *path).map(|acl| &acl.path))
            .collect();
        // Where a nearer entry takes the place of this role everywhere, nothing is lost.
        if wide.is_empty() {
            continue;
        }
        let places: Vec<String> = wide.iter().map(ToString::to_string).collect();
        let why = format!("has {role} on {}, which no longer gives {}", and(&places), and(&lost));
        found.hit(named(look, who), Severity::LosesAccess, why);
    }
}

fn of_realm<'a>(access: &'a Access, realm: &'a str) -> Vec<&'a SmolStr> {
    let is_in = |user: &str| user.rsplit_once('@').is_some_and(|(_, at)| at == realm);
    access.users.keys().filter(|user| is_in(user) && is_let_in(access, user)).collect()
}

fn realm_removed(look: &Look<'_>, found: &mut Found) {
    let Some(realm) = look.text("realm") else { return };
    let before = known(look, found);
    for user in of_realm(before, &realm) {
        let tokens: Vec<&SmolStr> = tokens_of(before, user).filter(|one| is_let_in(before, one)).collect();
        let rest = if tokens.is_empty() { "" } else { "; its tokens go on" };
        let why = format!("its realm {realm} is removed, and it can no longer log in{rest}");
        found.hit(named(look, user), Severity::LosesAccess, why);
    }
    let mut after = before.clone();
    after.users.retain(|user, _| owner(user).rsplit_once('@').is_none_or(|(_, at)| at != realm));
    last(look, found, before, &after);
}

/// Settings that nobody's login goes by.
const HARMLESS: &[&str] = &["comment", "default", "digest", "prompt", "sync-defaults-options", "autocreate"];

fn realm_changed(look: &Look<'_>, found: &mut Found) {
    let Some(realm) = look.text("realm") else { return };
    let before = known(look, found);
    let mut set: Vec<String> = look.request().args.keys().cloned().chain(look.list("delete")).collect();
    set.retain(|key| key != "delete" && !HARMLESS.contains(&key.as_str()));
    let users = of_realm(before, &realm);
    if set.is_empty() || users.is_empty() {
        return;
    }
    let users: Vec<String> = users.iter().map(ToString::to_string).collect();
    let tfa = set.iter().any(|key| key == "tfa") && look.text("tfa").is_some();
    let why = match tfa {
        true => format!("{} cannot log in without a second factor", and(&users)),
        false => format!("{} log in by what {realm} is now: a mistake keeps them out", and(&users)),
    };
    found.hit(format!("realm {realm}"), Severity::LosesAccess, why);
}

/// Which users the directory names is nowhere in the cluster's files.
fn realm_synced(look: &Look<'_>, found: &mut Found) {
    let Some(realm) = look.text("realm").filter(|_| !look.flag("dry-run")) else { return };
    let vanished = look.list("remove-vanished");
    let removes = vanished.iter().any(|what| what == "entry" || what == "acl");
    if !removes && !look.flag("purge") && !look.flag("full") {
        return;
    }
    let before = known(look, found);
    found.unseen(format!("which users the directory of {realm} still names"));
    let users: Vec<String> = of_realm(before, &realm).iter().map(ToString::to_string).collect();
    if !users.is_empty() {
        let why = format!(
            "of {}, those whom the directory no longer names are removed, or lose their rights",
            and(&users)
        );
        found.hit(format!("realm {realm}"), Severity::LosesAccess, why);
    }
}
